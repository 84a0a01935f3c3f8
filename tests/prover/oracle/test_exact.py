"""The exact oracle against its laws and against brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given

from protoproof.errors import InternalError
from protoproof.network.head.decision import Linear
from protoproof.prover.latent.domain import Box, Domain, Free
from protoproof.prover.latent.facts import FactSet, PairFact
from protoproof.prover.latent.observed import activation_fact, ceiling_fact, pair_fact
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.verdict import Status
from tests.support.examples import examples
from tests.support.strategies import (
    Sphere,
    float32,
    make_head,
    make_instance,
    margins_at,
    random_instance,
    seeds,
    some_pairs,
)


@given(seeds)
@pytest.mark.trust(5)
def test_no_sampled_latent_beats_the_bound(seed: int) -> None:
    instance = random_instance(seed)
    facts = some_pairs(instance, seed)
    oracle = IntervalOracle()
    decision = oracle.decide(oracle.prepare(instance, Free()), facts)
    rng = np.random.default_rng(seed)
    spheres = [
        Sphere(
            instance.latent[location],
            instance.head.prototypes[[fact.prototype for fact in facts.at(location)]],
        ).sample(rng, 50)
        for location in range(len(instance.latent))
    ]
    for latent in np.stack(spheres, axis=1):
        # a squared distance is good to 1e-13 here; the similarity's slope is at most 1/eps = 1e4
        assert (margins_at(instance, latent) >= decision.margins - 1e-8).all()


@examples(25, 100)
@given(seeds)
@example(seed=7947)  # over a box, one fact less gains 2e-6
@pytest.mark.parametrize(
    ("domain", "spare"),
    # over a box multipliers are optimised by a few steps only, hence the tolerance
    [pytest.param(Free(), 1e-8, id="free"), pytest.param(Box(0.0, 1.0), 2e-2, id="box")],
)
def test_monotone_and_independent_of_history(domain: Domain, spare: float, seed: int) -> None:
    instance = random_instance(seed)
    facts = some_pairs(instance, seed)
    oracle = IntervalOracle()
    state = oracle.prepare(instance, domain)
    full = oracle.decide(state, facts).margins
    for fact in facts:
        fewer = oracle.decide(state, facts.without(fact)).margins
        assert (fewer <= full + spare).all()
    fresh = oracle.decide(oracle.prepare(instance, domain), facts).margins
    np.testing.assert_allclose(oracle.decide(state, facts).margins, fresh, rtol=0, atol=1e-12)


@given(seeds)
def test_box_is_never_looser_than_free(seed: int) -> None:
    instance = random_instance(seed)
    oracle = IntervalOracle()
    nearest = instance.measurement.min(axis=0)
    third = int(np.argsort(nearest)[2])
    named = [int(j) for j in np.argsort(nearest)[:3]]
    facts = FactSet(
        activations=tuple(activation_fact(instance, j) for j in named),
        ceilings=(ceiling_fact(instance, third, named),),
    )
    free = oracle.decide(oracle.prepare(instance, Free()), facts).margins
    box = oracle.decide(oracle.prepare(instance, Box(0.0, 1.0)), facts).margins
    assert (box >= free).all()


@given(seeds)
def test_activation_facts_against_sampled_latents(seed: int) -> None:
    """Latents of the box that happen to meet a ceiling never fall below the proved margins."""
    instance = random_instance(seed, prototypes=5, channels=2, grid=(1, 2))
    oracle = IntervalOracle()
    nearest = instance.measurement.min(axis=0)
    top = int(np.argmax(nearest))
    facts = FactSet(ceilings=(ceiling_fact(instance, top, [j for j in range(5) if j != top]),))
    margins = oracle.decide(oracle.prepare(instance, Box(0.0, 1.0)), facts).margins
    rng = np.random.default_rng(seed)
    for latent in rng.random((300, 2, 2)):
        distances = instance.head.measurement(latent).min(axis=0)
        if distances[top] >= facts.ceilings[0].bound:
            assert (margins_at(instance, latent) >= margins - 1e-8).all()


def test_all_pairs_leave_nothing_open() -> None:
    instance = random_instance(5)
    facts = FactSet(pairs=tuple(pair_fact(instance, loc, j) for loc in range(4) for j in range(8)))
    oracle = IntervalOracle()
    decision = oracle.decide(oracle.prepare(instance, Free()), facts)
    np.testing.assert_allclose(decision.margins, instance.margins, atol=1e-8)


@pytest.mark.trust(4)
def test_tie_is_not_proved() -> None:
    """Two classes with mirrored prototypes, seen from the middle."""
    head = replace(
        make_head(np.random.default_rng(0), 2, 2, 2, (1, 1)),
        prototypes=np.array([[0.25, 0.5], [0.75, 0.5]]),
        decision=Linear(np.array([[1.0, -0.5], [-0.5, 1.0]]), np.zeros(2)),
    )
    instance = make_instance(head, float32(np.array([[0.5, 0.5]])))
    facts = FactSet(pairs=tuple(pair_fact(instance, 0, j) for j in range(2)))
    oracle = IntervalOracle()
    decision = oracle.decide(oracle.prepare(instance, Free()), facts)
    assert decision.verdict.status is Status.UNKNOWN


@pytest.mark.trust(2)
def test_nan_fails_closed() -> None:
    instance = random_instance(2)
    instance.measurement[0, :] = np.nan
    oracle = IntervalOracle()
    facts = FactSet(pairs=tuple(PairFact(location, 0, np.nan, np.nan) for location in range(4)))
    with pytest.raises(InternalError):
        oracle.decide(oracle.prepare(instance, Free()), facts)
