"""Steps of one location on its sphere, against dense samples; and what they show of small heads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings

from protoproof.network.head.chain import Chain
from protoproof.prover.counterexample.alternation import Alternation, Start
from protoproof.prover.counterexample.constraints import Demands
from protoproof.prover.counterexample.cut_spheres import least_on
from protoproof.prover.counterexample.witness import _Search, find_witnesses
from protoproof.prover.latent.domain import Free
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import activation_fact, ceilings_of
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.search.ceiling import ceiling
from tests.support.heads import similarity, step
from tests.support.strategies import make_instance, random_instance, seeds


def unequal(seed: int, **sizes: object) -> Instance:
    """An instance whose prototypes have similarities of their own: ceilings are about them."""
    instance = random_instance(seed, **sizes)  # type: ignore[arg-type]
    count = len(instance.head.prototypes)
    scales = np.random.default_rng(seed).uniform(0.5, 1.0, count).astype(np.float32)
    chain = Chain((step("mul", *scales.astype(float)), *similarity("log_ratio").steps))
    return make_instance(replace(instance.head, chain=chain), instance.latent)


def searched(instance: Instance) -> tuple[_Search, FactSet]:
    """A search for witnesses of what `ceiling` finds."""
    assume(bool((instance.margins > 1e-6).all()))
    facts = ceiling(IntervalOracle().prepare(instance, Free()))
    assert facts is not None
    return _Search(instance, Free(), facts, 1), facts


@settings(max_examples=5)
@given(seeds)
def test_the_least_value_on_a_sphere_that_limits_cut(seed: int) -> None:
    """No point of a dense sample that respects the limits has a smaller value."""
    instance = random_instance(seed, prototypes=6, channels=3, grid=(1, 1))
    search, _ = searched(instance)
    start = Start(search.demands, 0, instance.latent)
    alternation = search.alternation
    alternation.improved([start], [[0]], rounds=0)  # makes the columns known
    rng = np.random.default_rng(seed)
    limits = rng.uniform(0.0, 0.3, len(alternation.columns)) * (rng.random(6) < 0.7)
    walk = alternation._walk(start, np.zeros((1, 6)))
    walk.limit[0] = limits
    centre = int(rng.integers(6))
    walk.limit[0, centre] = 0.2
    places = alternation._places([walk], [(0, 0, centre, instance.latent[0])])
    slope = rng.normal(size=(1, 3))
    goal = least_on(places, slope, alternation.prototypes, alternation.norms)
    points = rng.normal(size=(20_000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    inside = (alternation._measured(places.points(points)) >= places.limit * (1 + 1e-6)).all(axis=1)
    assume(inside.sum() > 100)
    assert (alternation._measured(places.points(goal)) >= places.limit * (1 - 1e-6)).all()
    assert float(goal[0] @ slope[0]) <= float((points[inside] @ slope[0]).min()) + 1e-6


@settings(max_examples=5)
@given(seeds)
def test_no_admissible_point_is_more_similar_than_the_limits_allow(seed: int) -> None:
    instance = random_instance(seed, prototypes=6, channels=3, grid=(1, 1))
    search, _ = searched(instance)
    alternation = search.alternation
    alternation.improved([Start(search.demands, 0, instance.latent)], [[0]], rounds=0)
    rng = np.random.default_rng(seed)
    limit = rng.uniform(0.0, 1.5, len(alternation.columns)) * (rng.random(6) < 0.6)
    most = alternation._reach(limit)
    points = alternation.prototypes[rng.integers(6, size=20_000)] + rng.normal(size=(20_000, 3))
    measured = alternation._measured(points)
    good = measured[(measured >= limit).all(axis=1)][:, : len(most)]
    similar = alternation.descent.similarity.value(good, alternation.weighed)
    assert (similar <= most + 1e-9).all()
    bare = alternation.descent.similarity.value(limit[: len(most)], alternation.weighed)
    assert (most <= bare + 1e-9).all()


@settings(max_examples=5)
@given(seeds)
@pytest.mark.parametrize("make", [random_instance, unequal])
def test_improved_latents_meet_the_demands(make: object, seed: int) -> None:
    instance = make(seed, prototypes=10, grid=(3, 3))  # type: ignore[operator]
    search, _ = searched(instance)
    spheres = search.released.spheres
    alternation = Alternation(search.descent, spheres, search.weights, search.offset)
    for row in range(len(search.rows)):
        begin = search.base.layout.latent(search.demands, row)
        ((latent, margin),) = alternation.improved(
            [Start(search.demands, row, begin)], [range(len(begin))]
        )
        measured = instance.head.measurement(latent)
        activation = instance.similarity(measured.min(axis=0))
        true = float(activation @ search.weights[row] + search.offset[row])
        assert margin == pytest.approx(true, abs=1e-9)
        before = instance.similarity(instance.head.measurement(begin).min(axis=0))
        assert true <= float(before @ search.weights[row] + search.offset[row]) + 1e-9
        moved = np.abs(latent - begin).max(axis=1) > 0
        assert (measured[moved] >= search.demands.limit[moved] * (1 - 1e-9)).all()
        for location, kept in enumerate(search.demands.kept):
            assert np.allclose(measured[location, kept], instance.measurement[location, kept])


@settings(max_examples=5)
@given(seeds)
def test_a_ceiling_about_activations_limits_distances(seed: int) -> None:
    """At the limit a similarity is what the ceiling allows, a little nearer it is more."""
    instance = unequal(seed)
    for stair in ceilings_of(instance):
        limit = Demands(instance, FactSet(ceilings=(stair,))).limit[0]
        bound = [j for j in range(len(limit)) if j not in stair.exempt]
        assert not limit[list(stair.exempt)].any()
        assert np.allclose(instance.similarity(limit)[bound], -stair.bound, atol=1e-9)
        assert (instance.similarity(limit * (1 - 1e-3))[bound] > -stair.bound).all()


def test_most_facts_about_unequal_prototypes_get_a_witness() -> None:
    """Where the limits of ceilings are left out of account, next to none does."""
    facts = proved = 0
    for seed in range(6):
        instance = unequal(seed, prototypes=10, grid=(3, 3))
        if (instance.margins > 1e-6).all():
            found = ceiling(IntervalOracle().prepare(instance, Free()))
            assert found is not None
            facts += len(found)
            proved += len(find_witnesses(instance, Free(), found))
    assert proved >= 0.7 * facts > 0, (proved, facts)


@settings(max_examples=8)
@given(seeds)
@pytest.mark.parametrize("make", [random_instance, unequal])
def test_what_a_fine_grid_shows_is_found(make: object, seed: int) -> None:
    """One location in the plane: where a point of the grid clearly shows that a ceiling is needed,
    so does the search; and where it finds a witness, that is one."""
    instance = make(seed, prototypes=5, channels=2, grid=(1, 1))  # type: ignore[operator]
    assume(bool((instance.margins > 1e-6).all()))
    head = instance.head
    facts = FactSet(ceilings=tuple(ceilings_of(instance)[::2]))
    found = {witness.fact for witness in find_witnesses(instance, Free(), facts)}
    axis = np.linspace(-1.0, 2.0, 121)
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    measured = np.maximum(((points[:, None] - head.prototypes) ** 2).sum(axis=2), 0.0)
    margins = head.chain.value(measured) @ instance.margin_weights.T + instance.margin_offset
    loses = (margins < -0.05).any(axis=1)
    for index, fact in enumerate(facts.ceilings):
        limit = Demands(instance, facts.without(fact)).limit[0]
        if (loses & (measured > limit * 1.02 + 1e-3).all(axis=1)).any():
            assert index in found


def test_a_name_alone_on_its_sphere_moves_too() -> None:
    """A set without ceilings: every location keeps what it names, and is moved along its sphere."""
    instance = random_instance(11, prototypes=6, grid=(1, 2))
    names = FactSet(activations=tuple(activation_fact(instance, j) for j in (0, 1)))
    search = _Search(instance, Free(), names, 1)
    ((latent, margin),) = search.alternation.improved(
        [Start(search.demands, 0, instance.latent)], [[0, 1]]
    )
    measured = instance.head.measurement(latent).min(axis=0)
    assert np.allclose(measured[:2], instance.pooled[:2])
    assert margin <= float(instance.margins[search.rows[0]]) + 1e-9
