"""The triangle oracle: sound, monotone, independent of order, never tighter than exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from protoproof.prover.latent.domain import Box, Domain, Free
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.observed import pair_fact
from protoproof.prover.oracle.interval import IntervalOracle, IntervalState
from protoproof.prover.oracle.triangle import TriangleOracle
from tests.support.strategies import Sphere, margins_at, random_instance, seeds, some_pairs

DOMAINS = pytest.mark.parametrize("domain", [Free(), Box(0.0, 1.0)], ids=["free", "box"])


@given(seeds)
def test_sampled_latents_stay_inside(seed: int) -> None:
    instance = random_instance(seed)
    facts = some_pairs(instance, seed)
    oracle = TriangleOracle()
    state = oracle.prepare(instance, Free())
    decision = oracle.decide(state, facts)
    rng = np.random.default_rng(seed)
    latents = np.stack(
        [
            Sphere(
                instance.latent[location],
                instance.head.prototypes[[fact.prototype for fact in facts.at(location)]],
            ).sample(rng, 50)
            for location in range(len(instance.latent))
        ],
        axis=1,
    )
    for latent in latents:
        # squared distances of unit-sized points are good to 1e-13; the similarity's slope is at
        # most 1/eps = 1e4
        distances = instance.head.measurement(latent)
        assert (distances >= state.low - 1e-11).all()
        assert (distances <= state.high + 1e-11).all()
        assert (margins_at(instance, latent) >= decision.margins - 1e-8).all()


@given(seeds)
@DOMAINS
def test_monotone_and_independent_of_history(domain: Domain, seed: int) -> None:
    instance = random_instance(seed)
    facts = some_pairs(instance, seed)
    oracle = TriangleOracle()
    state = oracle.prepare(instance, domain)
    full = oracle.decide(state, facts).margins
    for fact in facts:
        assert (oracle.decide(state, facts.without(fact)).margins <= full + 1e-8).all()
    backwards = oracle.prepare(instance, domain)
    for location in range(len(instance.latent)):
        chosen = [fact.prototype for fact in facts.at(location)]
        backwards.set_location(location, chosen[::-1])
    np.testing.assert_allclose(backwards.margins(), full, rtol=0, atol=1e-8)


@given(seeds)
@DOMAINS
def test_never_tighter_than_exact(domain: Domain, seed: int) -> None:
    instance = random_instance(seed)
    facts = some_pairs(instance, seed)
    states: list[IntervalState] = []
    margins = []
    for oracle in (TriangleOracle(), IntervalOracle()):
        states.append(oracle.prepare(instance, domain))
        margins.append(oracle.decide(states[-1], facts).margins)
    triangle, exact = states
    # a root of a difference of unit-sized numbers is good to about 1e-8
    assert (triangle.low <= exact.low + 1e-7).all()
    assert (triangle.high >= exact.high - 1e-7).all()
    # where a squared distance is near zero, 1e-7 of it moves the similarity by up to 1e-3
    assert (margins[0] <= margins[1] + 1e-2).all()


@given(seeds)
def test_one_fact_says_the_same_as_exact(seed: int) -> None:
    instance = random_instance(seed)
    facts = FactSet(pairs=tuple(pair_fact(instance, location, 0) for location in range(4)))
    margins = [
        oracle.decide(oracle.prepare(instance, Free()), facts).margins
        for oracle in (TriangleOracle(), IntervalOracle())
    ]
    np.testing.assert_allclose(*margins, rtol=0, atol=1e-8)
