"""Relational certificates: the prover's float64 bound against the checker's, and real images."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import Envelope
from protoproof.data.dataset import load_data
from protoproof.errors import UsageError
from protoproof.explanation.explainer import Explainer
from protoproof.explanation.result import Explanation
from protoproof.kernel import check
from protoproof.network import load
from protoproof.prover.latent.domain import Free
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.gram import squared_distances
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import pair_fact
from protoproof.prover.oracle.relational import RelationalOracle, RelationalState
from protoproof.prover.proof.encode import core_of
from protoproof.prover.relaxation.intervals import margins_between
from protoproof.resources import zoo_path
from protoproof.verdict import Status
from tests.support import heads
from tests.support.heads import SIMILARITIES
from tests.support.kernel.builders import Scene, identity, scene
from tests.support.kernel.relational import latents

LOWEST = (299, 640, 213, 298)  # test images of mnist-1x1 with the smallest margins


def instance_of(here: Scene) -> Instance:
    head = heads.prototype_head(
        here.tiny.prototypes.astype(np.float64),
        heads.similarity(here.tiny.similarity, here.tiny.constant),
        here.tiny.weight.astype(np.float64),
        np.zeros(len(here.tiny.weight)),
        None,
        here.tiny.grid,
    )
    latent = here.latent.astype(np.float64)
    measurement = head.measurement(latent)
    activation = head.activation(measurement)
    gram = squared_distances(head.prototypes)
    return Instance(head, latent, measurement, activation, here.predicted, gram)


def certificate(here: Scene, state: RelationalState) -> bytes:
    """What the prover says about pair facts of a tiny network."""
    facts = FactSet(pairs=tuple(pair_fact(state.instance, *pair) for pair in state.pairs))
    core = core_of(
        identity(here.tiny, here.data), "0" * 64, Free(), "pairs", facts, state, short=False
    )
    return canonical_bytes(Envelope(core=core))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(SIMILARITIES), st.sampled_from([(1, 1), (1, 3)]))
def test_the_checker_finds_the_bounds_of_the_prover(
    seed: int, similarity: str, grid: tuple[int, int]
) -> None:
    here = scene(seed, similarity=similarity, grid=grid, count=6, channels=5, classes=3)
    rng = np.random.default_rng(seed)
    named = [rng.permutation(6)[: rng.integers(1, 5)].tolist() for _ in range(len(here.latent))]
    state = RelationalOracle().prepare(instance_of(here), Free())
    for location, chosen in enumerate(named):
        state.set_location(location, chosen)
    report = check(certificate(here, state), here.data)
    assert report.status in ("accepted", "incomplete"), report.failures
    proved = np.array([lower for _, lower in report.margins])
    # where intervals miss a margin the certificate carries what its form needs, and only that
    intervals = margins_between(state.instance, *state.nearest())
    rows = list(range(len(intervals)))
    wanted = np.where(intervals > state.slack, intervals, state.forms(rows).bound)
    close = 1e-6 * (1 + np.abs(wanted))
    assert (proved >= wanted - close).all()
    assert (proved <= np.maximum(wanted, intervals) + close).all()
    points = latents(here, named, rng, 100)
    p = here.tiny.prototypes.astype(np.float64)
    best = ((points[:, :, None] - p) ** 2).sum(axis=3).min(axis=1)
    logits = np.array([here.logits(row) for row in best.tolist()])
    assert (logits[:, [here.predicted]] - logits[:, here.rivals] >= proved - 1e-6).all()


def test_a_recorded_latent_on_a_prototype() -> None:
    """q = 0: the facts leave no freedom, which multipliers reach only in the limit."""
    base = scene(3, grid=(1, 1), count=6, channels=5, classes=3)
    here = Scene(base.tiny, base.tiny.prototypes[:1].copy())
    state = RelationalOracle().prepare(instance_of(here), Free())
    state.set_location(0, [0])
    report = check(certificate(here, state), here.data)
    assert report.accepted, report.failures


@cache
def explainer() -> Explainer:
    return Explainer(load(zoo_path("mnist-1x1")))


@cache
def explanation(index: int, oracle: str) -> Explanation:
    image = load_data("mnist5k").x_test[index]
    return explainer().explain(image, vocabulary="pairs", oracle=oracle)


@pytest.mark.parametrize("index", LOWEST)
@pytest.mark.parametrize("oracle", ["auto", "relational"])
def test_relational_certificates_are_accepted_and_smaller(index: int, oracle: str) -> None:
    result, exact = explanation(index, oracle), explanation(index, "exact")
    assert result.verdict.status is Status.PROVED
    assert result.oracle == "relational"
    assert exact.oracle == "exact"
    assert result.certificate is not None
    assert result.check is not None
    assert result.check.accepted
    assert result.size < exact.size
    assert result.certificate.about.oracle == "relational"
    assert result.certificate.core.evidence.forms
    assert all(lower > 0 for _, lower in result.check.margins)


def mutate(core: Any, change: str) -> None:
    for form in core["evidence"]["forms"]:
        for place in form["multipliers"]:
            if change == "mu negated":
                place["mu"] = [-mu for mu in place["mu"]]
            if change == "A <= 0":
                place["mu"] = [mu - (1 << 90) for mu in place["mu"]]
        for entry in form["supports"]:
            if change == "tangents elsewhere":
                entry["at"] = (1e9).hex()
    if change == "no forms":
        core["evidence"]["forms"] = []


@pytest.mark.parametrize("change", ["mu negated", "A <= 0", "tangents elsewhere", "no forms"])
@pytest.mark.parametrize("index", LOWEST)
def test_without_its_choices_the_proof_is_incomplete(index: int, change: str) -> None:
    envelope = explanation(index, "auto").certificate
    assert envelope is not None
    document = json.loads(canonical_bytes(envelope))
    mutate(document["core"], change)
    report = check(json.dumps(document).encode(), explainer().model_file)
    assert report.status == "incomplete", report.failures


def test_where_intervals_suffice_there_are_no_forms() -> None:
    result = explanation(0, "auto")
    assert result.oracle == "exact"
    assert result.certificate is not None
    assert not result.certificate.core.evidence.forms


def test_an_unknown_oracle_is_refused() -> None:
    with pytest.raises(UsageError, match="--oracle delphi"):
        explanation(0, "delphi")


def test_other_vocabularies_use_the_exact_oracle() -> None:
    image = load_data("mnist5k").x_test[LOWEST[0]]
    result = explainer().explain(image, vocabulary="ceiling", oracle="relational")
    assert result.oracle == "exact"
