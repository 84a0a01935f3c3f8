"""Widened pair facts: proved by the checker, true of every latent inside, and not to be widened."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import Core, Envelope
from protoproof.data.dataset import load_data
from protoproof.explanation.explainer import Explainer
from protoproof.kernel import CheckReport, check
from protoproof.network import load
from protoproof.prover.latent.domain import Free
from protoproof.prover.latent.facts import FactSet, PairFact
from protoproof.prover.latent.observed import activation_fact, ceiling_fact
from protoproof.prover.oracle.relational import RelationalState
from protoproof.prover.proof.encode import core_of, restated
from protoproof.prover.proof.ends import UNBOUNDED
from protoproof.prover.proof.evaluate import Evidence
from protoproof.prover.proof.inflation import widest
from protoproof.prover.search.search import Candidate, candidates
from protoproof.resources import zoo_path
from tests.support.heads import SIMILARITIES
from tests.support.kernel.builders import Scene, identity, scene
from tests.support.kernel.relational import latents
from tests.support.witnesses import instance_of

EVERY_SIMILARITY = st.sampled_from(SIMILARITIES)
GRIDS = st.sampled_from([(1, 1), (1, 3)])
ORACLE = pytest.mark.parametrize("oracle", ["exact", "relational"])


def tiny(seed: int, similarity: str, grid: tuple[int, int]) -> Scene:
    return scene(seed, similarity=similarity, grid=grid, count=6, channels=5, classes=3)


def proposed(here: Scene, oracle: str) -> tuple[Candidate, Core] | None:
    """A sufficient set of pair facts of a tiny network, and its certificate of equalities."""
    found = next(candidates(instance_of(here), Free(), "pairs", oracle), None)
    if found is None:
        return None
    core = core_of(
        identity(here.tiny, here.data),
        "0" * 64,
        Free(),
        "pairs",
        found.facts,
        found.state,
        short=False,
    )
    return found, core


def judged(here: Scene, core: Core) -> CheckReport:
    return check(canonical_bytes(Envelope(core=core)), here.data)


def wider(facts: FactSet, share: float) -> list[FactSet]:
    """Every set with one end moved outwards, where there is room."""
    result = []
    for number, fact in enumerate(facts.pairs):
        others = facts.pairs[:number] + facts.pairs[number + 1 :]
        changed = []
        if fact.lower > 0:
            changed.append(replace(fact, lower=fact.lower * (1 - share)))
        if fact.upper < UNBOUNDED:
            changed.append(replace(fact, upper=fact.upper * (1 + share) + share))
        result += [FactSet(pairs=(*others, new)) for new in changed]
    return result


@ORACLE
@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), EVERY_SIMILARITY, GRIDS)
def test_as_wide_as_the_checker_accepts(
    oracle: str, seed: int, similarity: str, grid: tuple[int, int]
) -> None:
    here = tiny(seed, similarity, grid)
    start = proposed(here, oracle)
    assume(start is not None)
    assert start is not None
    (found, core) = start
    facts = widest(found.state, found.facts, core)
    assert facts == widest(found.state, found.facts, core)
    for before, after in zip(found.facts.pairs, facts.pairs, strict=True):
        assert (after.location, after.prototype) == (before.location, before.prototype)
        assert after.lower <= before.lower
        assert after.upper >= before.upper
    report = judged(here, restated(core, facts))
    assert report.accepted, report.failures
    for more in wider(facts, 1e-4)[:6]:
        assert judged(here, restated(core, more)).status == "incomplete"


@ORACLE
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), EVERY_SIMILARITY, GRIDS)
def test_float64_and_the_checker_find_the_same_margins(
    oracle: str, seed: int, similarity: str, grid: tuple[int, int]
) -> None:
    """For any intervals, not only those that are proved."""
    here = tiny(seed, similarity, grid)
    start = proposed(here, oracle)
    assume(start is not None)
    assert start is not None
    (found, core) = start
    rng = np.random.default_rng(seed)
    share = 10.0 ** rng.uniform(-6, -1, (len(found.facts), 2))
    facts = FactSet(
        pairs=tuple(
            PairFact(f.location, f.prototype, f.lower * (1 - a), f.upper * (1 + b))
            for f, (a, b) in zip(found.facts.pairs, share.tolist(), strict=True)
        )
    )
    state = found.state
    evidence = Evidence(state.instance, state.near, state.far, found.facts, core.evidence)
    for fact in facts.pairs:
        evidence.set_pair(fact.location, fact.prototype, fact.lower, fact.upper)
    report = judged(here, restated(core, facts))
    exact = np.array([lower for _, lower in report.margins])
    assert np.allclose(evidence.margins(), exact, rtol=1e-6, atol=1e-7)


@ORACLE
@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), EVERY_SIMILARITY, GRIDS)
def test_latents_inside_are_predicted_the_same(
    oracle: str, seed: int, similarity: str, grid: tuple[int, int]
) -> None:
    here = tiny(seed, similarity, grid)
    start = proposed(here, oracle)
    assume(start is not None)
    assert start is not None
    (found, core) = start
    facts = widest(found.state, found.facts, core)
    named = [[f.prototype for f in facts.at(place)] for place in range(len(here.latent))]
    rng = np.random.default_rng(seed)
    points = latents(here, named, rng, 200)
    points += rng.normal(size=points.shape) * 10.0 ** rng.uniform(-6, 0, (200, 1, 1))
    p = here.tiny.prototypes.astype(np.float64)
    measured = ((points[:, :, None] - p) ** 2).sum(axis=3)
    inside = np.ones(len(points), dtype=bool)
    for fact in facts.pairs:
        value = measured[:, fact.location, fact.prototype]
        inside &= (fact.lower <= value) & (value <= fact.upper)
    logits = np.array([here.logits(row) for row in measured.min(axis=1)[inside].tolist()])
    if len(logits):
        margins = logits[:, [here.predicted]] - logits[:, here.rivals]
        assert (margins > -1e-9).all()


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), EVERY_SIMILARITY, GRIDS)
def test_activations_and_a_ceiling_are_widened_with_pairs(
    seed: int, similarity: str, grid: tuple[int, int]
) -> None:
    here = tiny(seed, similarity, grid)
    start = proposed(here, "relational")
    assume(start is not None)
    assert start is not None
    (found, core) = start
    instance = found.state.instance
    above = np.flatnonzero(instance.activation > instance.activation[3]).tolist()
    facts = FactSet(
        found.facts.pairs,
        tuple(activation_fact(instance, j) for j in (0, 3)),
        (ceiling_fact(instance, 3, above),),
    )
    mixed = restated(core, facts).model_copy(update={"vocabulary": "mixed"})
    # more facts move the chords, which multipliers that were made without them may not survive
    assume(judged(here, mixed).accepted)
    inflated = widest(found.state, facts, mixed)
    assert inflated.ceilings[0].bound <= facts.ceilings[0].bound
    assert all(
        after.lower <= before.lower and after.upper >= before.upper
        for before, after in zip(facts.activations, inflated.activations, strict=True)
    )
    final = restated(mixed, inflated)
    report = judged(here, final)
    assert report.accepted, report.failures
    evidence = Evidence(instance, found.state.near, found.state.far, inflated, core.evidence)
    exact = np.array([lower for _, lower in report.margins])
    assert np.allclose(evidence.margins(), exact, rtol=1e-6, atol=1e-7)


def test_a_set_that_is_not_proved_stays_as_it_is() -> None:
    here = tiny(1, "log_ratio", (1, 3))
    start = proposed(here, "exact")
    assert start is not None
    (found, core) = start
    bare = core.model_copy(update={"evidence": core.evidence.model_copy(update={"blocks": ()})})
    assert widest(found.state, found.facts, bare) == found.facts
    assert restated(core, found.facts).facts == core.facts


@cache
def explainer(name: str) -> Explainer:
    return Explainer(load(zoo_path(name)))


# an image whose proof needs forms, and one whose proof does not
@pytest.mark.parametrize(
    ("name", "index", "forms"), [("mnist-1x1", 213, True), ("mnist-7x7", 81, False)]
)
def test_widened_pairs_of_trained_networks(name: str, index: int, forms: bool) -> None:
    x = load_data("mnist5k").x_test[index]
    found = explainer(name).explain(x, vocabulary="pairs", widen=True)
    assert found.check is not None
    assert found.check.accepted
    assert found.certificate is not None
    core: Any = found.certificate.core
    assert core.premises == "interval"
    assert bool(core.evidence.forms) == forms
    assert isinstance(found.facts.pairs[0], PairFact)
    assert all(fact.upper > fact.lower * (1 + 1e-6) for fact in found.facts.pairs)
    # facts became weaker, so what showed that they are needed still shows it
    assert found.necessary


def test_the_relational_state_is_among_the_tested() -> None:
    """Some tiny proofs need forms, so the tests above are about both kinds of evidence."""
    used = 0
    for seed in range(20):
        start = proposed(tiny(seed, "log_ratio", (1, 1)), "relational")
        used += start is not None and isinstance(start[0].state, RelationalState)
        used += start is not None and bool(start[1].evidence.forms)
    assert used > 20
