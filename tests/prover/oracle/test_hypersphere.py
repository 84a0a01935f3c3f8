"""The hypersphere oracle: sound for the facts it processed; order dependent and not monotone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given

from protoproof.prover.latent.domain import Free
from protoproof.prover.latent.instance import Instance
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.oracle.triangle import TriangleOracle
from tests.benchmarks.hypersphere import HypersphereOracle, HypersphereState, intersect
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


def planar() -> Instance:
    """Four prototypes in a plane of three dimensions, seen from a point above it."""
    head = replace(
        make_head(np.random.default_rng(0), 4, 3, 2, (1, 1)),
        prototypes=np.array([[0, 0, 0], [1, 0, 0], [0.5, 1, 0], [0.25, 0.5, 0]], dtype=np.float64),
    )
    return make_instance(head, float32(np.array([[0.25, 0.5, 0.5]])))


def width(instance: Instance, order: list[int], prototype: int) -> float:
    place = HypersphereState(instance, Free(), 0.0).known_at(0, order)
    return float(place.high[prototype] - place.low[prototype])


@given(seeds)
def test_sampled_latents_stay_inside(seed: int) -> None:
    instance = random_instance(seed)
    facts = some_pairs(instance, seed)
    rng = np.random.default_rng(seed)
    state = HypersphereOracle().prepare(instance, Free())
    spheres = []
    for location in range(len(instance.latent)):
        order = rng.permutation([fact.prototype for fact in facts.at(location)]).tolist()
        state.set_location(location, order)
        known = instance.head.prototypes[order]
        spheres.append(Sphere(instance.latent[location], known).sample(rng, 50))
    margins = state.margins()
    for latent in np.stack(spheres, axis=1):
        # the running radius is a root of a difference of unit-sized numbers
        distances = instance.head.measurement(latent)
        assert (distances >= state.low - 1e-7).all()
        assert (distances <= state.high + 1e-7).all()
        # where a squared distance is near zero, 1e-7 of it moves the similarity by up to 1e-3
        assert (margins_at(instance, latent) >= margins - 1e-2).all()


@given(seeds)
def test_the_latent_lies_on_the_running_sphere(seed: int) -> None:
    """The centre, formed explicitly, is where the squared distances say it is."""
    instance = random_instance(seed)
    order = np.random.default_rng(seed).permutation(8)[:3].tolist()
    prototypes, latent = instance.head.prototypes, instance.latent[0]
    centre = prototypes[order[0]]
    for j in order[1:]:
        axis = prototypes[j] - centre
        centre = centre + ((latent - centre) @ axis) / (axis @ axis) * axis
    from_centre, squared_radius = intersect(instance.gram, instance.measurement[0], order)
    np.testing.assert_allclose(from_centre, ((prototypes - centre) ** 2).sum(axis=1), atol=1e-9)
    np.testing.assert_allclose(squared_radius, ((latent - centre) ** 2).sum(), atol=1e-9)


@given(seeds)
def test_never_tighter_than_exact(seed: int) -> None:
    """The exact interval holds for the same facts, all together."""
    instance = random_instance(seed)
    order = np.random.default_rng(seed).permutation(8)[:3].tolist()
    loose = HypersphereOracle().prepare(instance, Free()).known_at(0, order)
    exact = IntervalOracle().prepare(instance, Free()).known_at(0, order)
    assert (loose.low <= exact.low + 1e-7).all()
    assert (loose.high >= exact.high - 1e-7).all()


def test_the_order_of_the_facts_matters() -> None:
    instance = planar()
    orders = ([0, 1, 2], [2, 1, 0], [1, 2, 0])
    widths = [width(instance, order, 3) for order in orders]
    assert max(widths) - min(widths) > 0.05
    # the exact oracle does not care
    exact = IntervalOracle().prepare(instance, Free())
    highs = [exact.known_at(0, order).high[3] for order in orders]
    np.testing.assert_allclose(highs, highs[0], atol=1e-12)


def test_one_more_fact_can_loosen_the_bound() -> None:
    """Two settled coordinates, then a fact whose sphere pulls the centre away from them."""
    loosened = 0
    for seed in range(200):
        instance = random_instance(seed)
        order = np.random.default_rng(seed).permutation(8).tolist()
        unnamed = order[4]
        before, after = (width(instance, order[:count], unnamed) for count in (2, 3))
        loosened += after > before + 1e-6
    assert loosened > 0


@given(seeds)
def test_one_fact_says_the_same_as_the_triangle(seed: int) -> None:
    instance = random_instance(seed)
    places = [
        oracle.prepare(instance, Free()).known_at(1, [2])
        for oracle in (TriangleOracle(), HypersphereOracle())
    ]
    np.testing.assert_allclose(places[0].low, places[1].low, atol=1e-12)
    np.testing.assert_allclose(places[0].high, places[1].high, atol=1e-12)
