"""What activation facts and ceilings imply holds at every latent that meets them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protoproof.network.head.chain import Chain
from protoproof.network.head.pooling import Pooling
from protoproof.prover.latent.domain import Free
from protoproof.prover.latent.facts import ActivationFact, CeilingFact
from protoproof.prover.latent.gram import squared_distances
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import activation_fact
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.relaxation.implied import Distances, implied, kin_of
from protoproof.prover.relaxation.intervals import SLACK
from protoproof.prover.search.greedy_cover import Cover
from tests.support import heads
from tests.support.algebra import case, instance_of
from tests.support.strategies import random_instance

seeds = st.integers(0, 10**6)


@given(seeds)
def test_every_latent_obeys_the_bounds_of_its_own_activations(seed: int) -> None:
    """Whatever a latent's nearest distances are, they are consistent with what some imply."""
    rng = np.random.default_rng(seed)
    instance = random_instance(seed, grid=(1, 2))
    for latent in rng.normal(size=(20, *instance.latent.shape)):
        nearest = instance.head.measurement(latent).min(axis=0)
        named = rng.permutation(len(nearest))[:3]
        facts = [ActivationFact(int(j), float(nearest[j]), float(nearest[j])) for j in named]
        bound = float(np.sort(nearest)[3])
        exempt = tuple(np.flatnonzero(nearest < bound).tolist())
        found = implied(8, facts, [CeilingFact(bound, exempt)], Distances(instance.gram))
        assert (found.low <= nearest + 1e-12).all()
        assert (nearest <= found.high + 1e-9).all()
        assert (found.high[named] <= nearest[named]).all()


@given(seeds)
def test_more_facts_never_loosen_and_order_does_not_matter(seed: int) -> None:
    instance = random_instance(seed)
    facts = [activation_fact(instance, j) for j in (4, 1, 6)]
    steps = [CeilingFact(0.3, (1, 4)), CeilingFact(0.5, (1, 2, 3, 4))]
    kin = Distances(instance.gram)
    whole = implied(8, facts, steps, kin)
    again = implied(8, facts[::-1], steps[::-1], kin)
    np.testing.assert_array_equal(whole.high, again.high)
    np.testing.assert_array_equal(whole.low, again.low)
    for number in range(3):
        part = implied(8, facts[:number], steps[: number - 1] if number else [], kin)
        assert (part.high >= whole.high).all()
        assert (part.low <= whole.low).all()


def test_a_duplicate_is_seen_exactly_as_strongly() -> None:
    points = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    found = implied(3, [ActivationFact(0, 0.25, 0.25)], [], Distances(squared_distances(points)))
    np.testing.assert_allclose(found.high, [0.25, 0.25, 2.25])
    assert found.via.tolist() == [0, 0, 0]


def test_a_perfect_match_says_where_the_latent_is() -> None:
    points = np.array([[0.0, 0.0], [3.0, 4.0]])
    found = implied(2, [ActivationFact(0, 0.0, 0.0)], [], Distances(squared_distances(points)))
    np.testing.assert_allclose(found.high, [0.0, 25.0])


def test_the_strictest_step_counts() -> None:
    steps = [CeilingFact(0.2, ()), CeilingFact(0.7, (0,))]
    found = implied(3, [], steps, None)
    assert found.low.tolist() == [0.2, 0.7, 0.7]
    assert found.via.tolist() == [-1, -1, -1]


def slots(seed: int) -> Instance:
    """Three prototypes pooled by the nearest location, then the same by the mean, in turn."""
    made = case("euclidean mean", seed)
    points = np.repeat(made.head.prototypes[:3], 2, axis=0)
    head = replace(
        made.head,
        prototypes=points,
        chain=heads.similarity("negated"),
        inner=Chain(()),
        pooling=Pooling(("nearest", "mean") * 3),
    )
    return instance_of(head, made.instance.latent)


@pytest.mark.parametrize("seed", range(5))
def test_next_to_other_poolings_the_nearest_still_imply_each_other(seed: int) -> None:
    instance = slots(seed)
    kin, near = kin_of(instance), instance.head.pooling_of.nearest
    rng = np.random.default_rng(seed)
    for latent in rng.normal(size=(20, *instance.latent.shape)):
        pooled = instance.head.pooled(instance.head.measurement(latent))
        facts = [ActivationFact(j, float(pooled[j]), float(pooled[j])) for j in (0, 1)]
        found = implied(6, facts, [], kin, uniform=False)
        assert (pooled <= found.high + 1e-9).all()
        assert (found.low <= pooled).all()
        # of means nothing is said, but of the one that is named
        assert np.isfinite(found.high[near]).all()
        assert found.via.tolist() == [0, 1, 0, -1, 0, -1]


@pytest.mark.parametrize("seed", range(5))
def test_a_search_next_to_other_poolings_proposes_what_the_oracle_proves(seed: int) -> None:
    instance = slots(seed)
    state = IntervalOracle().prepare(instance, Free())
    cover = Cover(state, SLACK)
    for chosen in ([0], [1], [0, 3], [6 + 2], [0, 2, 5, 6 + 1]):
        reached = cover.after(chosen).margins
        proved = state.margins(cover.facts(chosen))
        finite = np.isfinite(proved)
        # numbers of the search stand in for infinite ends; where there are none, they agree
        np.testing.assert_allclose(reached[finite], proved[finite], rtol=1e-9, atol=1e-9)
