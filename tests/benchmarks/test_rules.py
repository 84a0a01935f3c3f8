"""Comparison rules: which apply to which head, and whether they force the prediction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.heldout import heldout
from protoproof.explanation.explainer import Explainer
from protoproof.network import load
from protoproof.network.head.decision import Linear
from protoproof.prover.latent.domain import Simplex
from protoproof.prover.latent.instance import Instance
from protoproof.resources import zoo_path
from tests.benchmarks import baseline, channels
from tests.benchmarks.rules import CARRIED_OVER, path, results, slots
from tests.benchmarks.tally import hardest, tally
from tests.support.algebra import NAMES, Case, case

PAIRS = {"triangle", "hypersphere"}
ANGLES = {"angles", "cap"}
# what applies besides a top-k
BESIDES = {
    **dict.fromkeys(
        (
            "euclidean",
            "euclidean exponential",
            "euclidean root",
            "euclidean jump",
            "euclidean bell",
            "euclidean each",
            "euclidean gaussian",
        ),
        PAIRS,
    ),
    **dict.fromkeys(
        ("angular", "angular each", "angular clamped", "angular sphere", "angular banks"), ANGLES
    ),
    "linear sphere": ANGLES,
    "channel": {"simplex"},
    "euclidean tree": {"path"},
    "linear tree": {"path"},
}
# whose similarity can be negative, or whose decision is not over classes linearly
NOT_PUBLISHED = {
    *(name for name in NAMES if name.startswith(("angular", "linear"))),
    "euclidean labels",
    "euclidean best",
    "euclidean tree",
} - {"angular clamped"}


@pytest.mark.parametrize("name", NAMES)
def test_every_head_has_its_rules(name: str) -> None:
    made = case(name, 0)
    found = {result.rule for result in results(made.instance, made.domain)}
    assert {rule for rule in found if "top-k" not in rule} == BESIDES.get(name, set())
    least = made.head.activation_between(*_seen(made))[0]
    negative = bool((least < 0).any())
    published = "top-k" in found
    assert published == (name not in NOT_PUBLISHED and not negative)
    assert (CARRIED_OVER in found) == (not published)


def _seen(made: Case) -> tuple[np.ndarray, np.ndarray]:
    state = baseline.PARADIGMS["triangle"].prepare(made.instance, made.domain)
    return state.seen()


def softmax_latents(
    instance: Instance, named: tuple[tuple[int, int], ...], seed: int
) -> np.ndarray:
    """A latent on the simplex with the instance's values at some (location, channel)."""
    rng = np.random.default_rng(seed)
    latent = instance.latent.copy()
    for location, row in enumerate(latent):
        known = [channel for where, channel in named if where == location]
        free = [channel for channel in range(len(row)) if channel not in known]
        mass = max(1.0 - row[known].sum(), 0.0)
        row[free] = mass * rng.dirichlet(np.full(len(free), 0.3)) if free else 0.0
    return latent


def test_the_simplex_rule_forces_the_prediction() -> None:
    explained = 0
    for seed in range(10):
        made = case("channel", seed)
        assert isinstance(made.domain, Simplex)
        assert channels.are_channels(made.instance, made.domain)
        named = channels.simplex(made.instance, made.domain)
        if named is None:
            continue
        explained += 1
        for number in range(50):
            latent = softmax_latents(made.instance, named, number)
            activation = made.head.activation(made.head.measurement(latent))
            assert (made.instance.atoms.margins(activation) > 0).all()
    assert explained > 0


def voting(seed: int) -> tuple[Instance, Simplex]:
    """Channels whose votes are never negative."""
    made = case("channel", seed)
    assert isinstance(made.domain, Simplex)
    rng = np.random.default_rng(seed)
    weight = np.maximum(rng.normal(0.0, 1.0, made.head.weight.shape), 0.0)
    head = replace(made.head, decision=Linear(weight, np.zeros(len(weight))))
    activation = made.instance.activation
    predicted = int(np.argmax(head.logits(activation)))
    return replace(made.instance, head=head, predicted=predicted), made.domain


def test_sparse_evidence_forces_the_prediction_and_its_last_prototype_counts() -> None:
    longer = 0
    for seed in range(20):
        instance, domain = voting(seed)
        assert channels.evidence_counts(instance, domain)
        named = list(channels.sparse_evidence(instance, domain))
        votes = np.flatnonzero(instance.head.weight[instance.predicted] > 0).tolist()
        assert set(votes) <= set(named)

        def least(some: list[int], instance: Instance = instance) -> float:
            low, high = np.zeros(len(instance.activation)), np.ones(len(instance.activation))
            low[some] = high[some] = instance.activation[some]
            return float(instance.atoms.least(low, high).min())

        assert least(named) > -1e-6
        if len(named) > len(votes):
            longer += 1
            assert least(named[:-1]) <= 1e-6
    assert longer > 0


def test_negative_votes_are_no_evidence() -> None:
    made = case("channel", 0)
    assert (made.head.weight < 0).any()
    assert not channels.evidence_counts(made.instance, made.domain)


def test_topk_with_true_ends_holds_where_zero_would_not() -> None:
    """A cosine can be negative: the published least similarity promises too much."""
    more = 0
    for seed in range(20):
        instance = case("angular", seed).instance
        floor = np.broadcast_to(instance.head.chain.infimum, instance.activation.shape)
        ours = baseline.topk(instance.activation, instance.atoms, floor)
        assumed = baseline.topk(instance.activation, instance.atoms)
        assert assumed is not None
        more += ours is None or ours > assumed
        assert ours is None or ours >= assumed
    assert more > 0


def test_slots_decide_as_their_two_poolings_do() -> None:
    known = Explainer(load(zoo_path("emoji-protopool")))
    for x in heldout("emoji-protopool", 3).x:
        instance = known.instance(known.network.observe(x))
        merged = slots(instance)
        assert merged is not None
        focal, atoms = merged
        assert len(focal) == len(instance.activation) // 2
        assert (focal >= 0).all()
        np.testing.assert_allclose(atoms.margins(focal), instance.margins, atol=1e-9)


def test_a_path_counts_where_it_forces_the_prediction() -> None:
    known = Explainer(load(zoo_path("mnist-tree")))
    lengths = []
    for x in heldout("mnist-tree", 6).x:
        observation = known.network.observe(x)
        lengths.append(path(known.instance(observation), known.domain("free", observation)))
    assert None in lengths
    assert set(lengths) - {None} == {5}


def test_computing_only_what_changed_changes_nothing() -> None:
    for name, paradigm in (("angular banks", "triangle"), ("angular", "cap")):
        made = case(name, 1)
        outcomes = [
            baseline.pairs(made.instance, paradigm, made.domain, afresh=afresh)
            for afresh in (True, False)
        ]
        assert outcomes[0] == outcomes[1]


def test_a_tally_sets_rules_next_to_what_is_accepted() -> None:
    name = "digits-hyperspherical"
    seen = tally(Explainer(load(zoo_path(name))), heldout(name, 2).x, paired=2)
    row = seen.row()
    assert row["proved"] == row["images"] == 2
    assert row["open"] == {}
    assert {"angles", "cap", "sparse evidence", CARRIED_OVER} == set(row["rules"])
    assert row["baseline"] == hardest(row["rules"])
    for rule in row["rules"].values():
        assert rule["ours_mean"] <= rule["facts_mean"]
