"""The exact interval: sound, attained, monotone, independent of order, never looser than others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from protoproof.prover.latent.gram import squared_distances
from protoproof.prover.relaxation.pair_bounds import Hull
from tests.support.strategies import Sphere, float32, random_instance, seeds

# Intervals come from float64 Gram matrices of unit-sized points in few dimensions: a square root
# of a difference of such numbers is good to about 1e-8.
ROUNDING = 1e-7


def facts_of(seed: int) -> list[int]:
    rng = np.random.default_rng(seed)
    return [int(j) for j in rng.permutation(8)[: rng.integers(1, 5)]]


@given(seeds)
def test_sampled_latents_stay_inside(seed: int) -> None:
    instance = random_instance(seed)
    facts = facts_of(seed)
    low, high = Hull.of(instance.gram, instance.measurement[0], facts).bounds()
    sphere = Sphere(instance.latent[0], instance.head.prototypes[facts])
    points = sphere.sample(np.random.default_rng(seed), 200)
    distances = ((points[:, None] - instance.head.prototypes) ** 2).sum(axis=2)
    assert (distances[:, facts] - instance.measurement[0, facts] < ROUNDING).all()
    assert (distances >= low - ROUNDING).all()
    assert (distances <= high + ROUNDING).all()


@given(seeds)
def test_both_ends_are_attained(seed: int) -> None:
    instance = random_instance(seed)
    facts = facts_of(seed)
    prototypes, latent = instance.head.prototypes, instance.latent[0]
    low, high = Hull.of(instance.gram, instance.measurement[0], facts).bounds()
    base = prototypes[facts[0]]
    span = np.linalg.qr((prototypes[facts[1:]] - base).T)[0]
    project = span @ span.T
    centre = base + project @ (latent - base)
    radius = np.linalg.norm(latent - centre)
    for j, prototype in enumerate(prototypes):
        beta = prototype - base - project @ (prototype - base)
        length = np.linalg.norm(beta)
        if length < 1e-6:
            continue
        for sign, end in ((1, low), (-1, high)):
            attained = ((centre + sign * radius * beta / length - prototype) ** 2).sum()
            assert attained == pytest.approx(end[j], abs=ROUNDING)


@given(seeds)
def test_more_facts_never_loosen_and_order_does_not_matter(seed: int) -> None:
    instance = random_instance(seed)
    facts = facts_of(seed)
    low, high = Hull.of(instance.gram, instance.measurement[0], facts).bounds()
    other_low, other_high = Hull.of(instance.gram, instance.measurement[0], facts[::-1]).bounds()
    np.testing.assert_allclose(low, other_low, atol=ROUNDING)
    np.testing.assert_allclose(high, other_high, atol=ROUNDING)
    if len(facts) > 1:
        less_low, less_high = Hull.of(instance.gram, instance.measurement[0], facts[1:]).bounds()
        assert (low >= less_low - ROUNDING).all()
        assert (high <= less_high + ROUNDING).all()


@given(seeds)
def test_never_looser_than_the_triangle(seed: int) -> None:
    instance = random_instance(seed)
    facts = facts_of(seed)
    low, high = Hull.of(instance.gram, instance.measurement[0], facts).bounds()
    between, seen = np.sqrt(instance.gram[facts]), np.sqrt(instance.measurement[0, facts])
    triangle_low = np.abs(between - seen[:, None]).max(axis=0)
    triangle_high = (between + seen[:, None]).min(axis=0)
    assert (np.sqrt(low) >= triangle_low - 1e-5).all()
    assert (np.sqrt(high) <= triangle_high + 1e-5).all()


def test_trilateration_cap() -> None:
    """Facts that span the hull of all prototypes determine every distance."""
    instance = random_instance(3, prototypes=9, channels=4)
    low, high = Hull.of(instance.gram, instance.measurement[0], range(9)).bounds()
    np.testing.assert_allclose(low, instance.measurement[0], atol=ROUNDING)
    np.testing.assert_allclose(high, instance.measurement[0], atol=ROUNDING)


def test_duplicates_and_collinear_prototypes_are_harmless() -> None:
    prototypes = float32(np.array([[0, 0, 0], [1, 0, 0], [1, 0, 0], [0.5, 0, 0], [0, 1, 1]]))
    latent = float32(np.array([0.25, 0.5, 0.5]))
    measurement = ((latent - prototypes) ** 2).sum(axis=1)
    gram = squared_distances(prototypes)
    hull = Hull.of(gram, measurement, [0, 1, 2, 3])
    assert hull.spanning == (0, 1)
    low, high = hull.bounds()
    np.testing.assert_allclose(low[:4], measurement[:4], atol=ROUNDING)
    np.testing.assert_allclose(high[:4], measurement[:4], atol=ROUNDING)
    assert low[4] <= measurement[4] + ROUNDING
    assert high[4] >= measurement[4] - ROUNDING


def test_perfect_match_pins_everything() -> None:
    """A latent that equals a named prototype leaves nothing free."""
    instance = random_instance(1, near=0.0)
    nearest = int(np.argmin(instance.measurement[0]))
    low, high = Hull.of(instance.gram, instance.measurement[0], [nearest]).bounds()
    np.testing.assert_allclose(low, instance.measurement[0], atol=ROUNDING)
    np.testing.assert_allclose(high, instance.measurement[0], atol=ROUNDING)


@given(seeds, st.integers(1, 6))
def test_one_more_of_each_is_one_more_at_a_time(seed: int, count: int) -> None:
    """Also of prototypes that the hull contains already."""
    instance = random_instance(seed, prototypes=8, channels=4)
    measurement = instance.measurement[0]
    hull = Hull.of(instance.gram, measurement, list(range(count)))
    columns = np.array([1, 4, 5, 7])
    low, high = hull.bounds_with_each(instance.gram, measurement, np.arange(8), columns)
    for candidate in range(8):
        wanted = hull.adding(instance.gram, measurement, candidate).bounds()
        assert np.allclose(low[candidate], wanted[0][columns], rtol=0, atol=ROUNDING)
        assert np.allclose(high[candidate], wanted[1][columns], rtol=0, atol=ROUNDING)


@given(seeds, st.integers(2, 5))
def test_one_less_of_each_is_one_less_at_a_time(seed: int, count: int) -> None:
    instance = random_instance(seed, prototypes=8, channels=6)
    measurement = instance.measurement[0]
    hull = Hull.of(instance.gram, measurement, list(range(count)))
    assume(len(hull.spanning) == count and _well_apart(instance.head.prototypes[:count]))
    low, high = hull.bounds_without_each()
    for gone in range(count):
        rest = [j for j in range(count) if j != gone]
        wanted = Hull.of(instance.gram, measurement, rest).bounds()
        assert np.allclose(low[gone], wanted[0], rtol=1e-6, atol=ROUNDING)
        assert np.allclose(high[gone], wanted[1], rtol=1e-6, atol=ROUNDING)


def _well_apart(points: NDArray[np.float64]) -> bool:
    """Whether the directions between some points are far from dependent."""
    return bool(np.linalg.cond(points[1:] - points[0]) < 1e3)
