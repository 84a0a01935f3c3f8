"""The triangle oracle: sound, monotone, independent of order, never tighter than exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from protoproof.prover.latent.domain import Ball, Box, Domain, Free
from protoproof.prover.latent.domain import Sphere as Shell
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.observed import pair_fact
from protoproof.prover.oracle.interval import IntervalOracle, IntervalState
from protoproof.prover.oracle.triangle import AngleState, TriangleOracle
from protoproof.prover.search.search import candidates
from tests.benchmarks.cap import CapOracle
from tests.support.algebra import Case, case, instance_of
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


ANGLES = ("angular", "angular each", "angular labels", "angular banks", "linear sphere")


def named_at(made: Case, location: int, count: int, seed: int) -> list[int]:
    """Some prototypes that are measured at a location, in random order."""
    measured = np.flatnonzero(np.isfinite(made.instance.measurement[location]))
    return np.random.default_rng(seed).permutation(measured)[:count].tolist()


def alike(made: Case, location: int, named: list[int], seed: int, share: float) -> np.ndarray:
    """A latent with the instance's inner products with some prototypes, turned at random across
    them, where it has ``share`` of the instance's length there."""
    rng = np.random.default_rng(seed)
    latent = made.instance.latent[location]
    if made.head.geometry == "angular":
        latent = latent / np.linalg.norm(latent)
    basis = np.linalg.svd(made.head.prototypes[named], full_matrices=False)[2]
    along = latent @ basis.T @ basis
    across = rng.normal(size=len(latent))
    across -= across @ basis.T @ basis
    rest = np.linalg.norm(latent - along)
    return np.asarray(along + share * rest * across / np.linalg.norm(across))


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("name", ANGLES)
@pytest.mark.parametrize("oracle", [TriangleOracle(), CapOracle()], ids=["angles", "cap"])
def test_latents_with_the_same_angles_stay_inside(
    oracle: IntervalOracle, name: str, count: int
) -> None:
    told = 0
    for seed in range(3):
        made = case(name, seed)
        state = oracle.prepare(made.instance, made.domain)
        for location in range(len(made.instance.latent)):
            named = named_at(made, location, count, seed)
            known = state.known_at(location, named)
            told += int((known.high < state.far[location] - 1e-3).sum())
            for number in range(20):
                latent = made.instance.latent.copy()
                latent[location] = alike(made, location, named, number, 1.0)
                measured = made.head.measurement(latent)[location]
                assert (measured >= known.low - 1e-7).all()
                assert (measured <= known.high + 1e-7).all()
    assert told > 0


@pytest.mark.parametrize("oracle", [TriangleOracle(), CapOracle()], ids=["angles", "cap"])
def test_latents_without_a_length_stay_inside(oracle: IntervalOracle) -> None:
    """Over a ball the part across the facts may be shorter, or nothing at all."""
    for seed in range(3):
        made = case("linear sphere", seed)
        assert isinstance(made.domain, Shell)
        state = oracle.prepare(made.instance, Ball(made.domain.slack))
        named = named_at(made, 0, 2, seed)
        known = state.known_at(0, named)
        for number, share in enumerate(np.linspace(0, 1, 20).tolist()):
            latent = made.instance.latent.copy()
            latent[0] = alike(made, 0, named, number, share)
            measured = made.head.measurement(latent)[0]
            assert (measured >= known.low - 1e-7).all()
            assert (measured <= known.high + 1e-7).all()


@pytest.mark.parametrize("name", ["angular", "angular each", "angular banks"])
@pytest.mark.parametrize("oracle", [TriangleOracle(), CapOracle()], ids=["angles", "cap"])
def test_angles_are_never_tighter_than_exact(oracle: IntervalOracle, name: str) -> None:
    for seed in range(5):
        made = case(name, seed)
        for count in (1, 3):
            named = named_at(made, 0, count, seed)
            loose, exact = (
                one.prepare(made.instance, made.domain).known_at(0, named)
                for one in (oracle, IntervalOracle())
            )
            assert (loose.low <= exact.low + 1e-7).all()
            assert (loose.high >= exact.high - 1e-7).all()


@pytest.mark.parametrize("name", ["angular", "linear sphere", "euclidean tree", "diagonal"])
def test_the_oracle_is_named_for_what_it_is(name: str) -> None:
    """Records say ``triangle`` where there is one, whatever decides."""
    for seed in range(6):
        made = case(name, seed)
        found = list(candidates(made.instance, made.domain, "pairs", "triangle"))
        expected = "exact" if name == "diagonal" else "triangle"
        assert {candidate.oracle for candidate in found} <= {expected}
        if found:
            return
    pytest.fail("no instance has an explanation by pairs")


def test_a_prototype_without_a_direction_says_nothing() -> None:
    made = case("linear sphere", 0)
    points = made.head.prototypes.copy()
    points[1] = 0.0
    head = replace(made.head, prototypes=points)
    instance = instance_of(head, made.instance.latent)
    state = TriangleOracle().prepare(instance, made.domain)
    assert isinstance(state, AngleState)
    known = state.known_at(0, [1])
    others = [j for j in range(len(points)) if j != 1]
    assert (known.low[others] <= state.near[0, others] + 1e-12).all()
    assert (known.high[others] >= state.far[0, others] - 1e-12).all()
    assert state.known_at(0, [0]).low[1] == pytest.approx(0.0, abs=1e-12)
