"""What activation facts and ceilings imply holds at every latent that meets them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from protoproof.prover.latent.facts import ActivationFact, CeilingFact
from protoproof.prover.latent.gram import squared_distances
from protoproof.prover.latent.observed import activation_fact
from protoproof.prover.relaxation.implied import Distances, implied
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
