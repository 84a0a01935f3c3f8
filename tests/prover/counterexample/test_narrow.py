"""Losing latents that break few facts: what they keep, and that they lose."""

from __future__ import annotations

import numpy as np
import pytest

from protoproof.prover.counterexample.narrow import Narrowing, Sphere
from protoproof.prover.counterexample.refute import Refuter
from protoproof.prover.latent.domain import Box, Free
from protoproof.prover.latent.facts import FactSet, of_facts
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import activation_fact, ceilings_of, pair_fact
from tests.support.strategies import random_instance


def instance_of(seed: int) -> Instance:
    return random_instance(seed, prototypes=8, channels=12, classes=3, grid=(1, 1))


def test_spheres_keep_distances() -> None:
    instance = instance_of(0)
    points, home = instance.head.prototypes, instance.latent[0]
    sphere = Sphere.around(home).keeping(points, [3, 5]).keeping(points, [1])
    there = sphere.onto(np.random.default_rng(0).normal(size=(6, 12)))
    for j in sphere.kept:
        np.testing.assert_allclose(
            ((there - points[j]) ** 2).sum(axis=1), ((home - points[j]) ** 2).sum()
        )
    np.testing.assert_allclose(sphere.onto(there), there)


def test_what_is_spanned_already_changes_no_sphere() -> None:
    home, points = np.array([0.0, 0.0, 3.0]), np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]])
    two = Sphere.around(home).keeping(points, [0, 1])
    three = two.keeping(points, [2])
    assert len(three.basis) == len(two.basis) == 1
    assert three.radius == two.radius == 3.0


@pytest.mark.parametrize("seed", range(4))
def test_a_refutation_keeps_what_is_asked_and_more(seed: int) -> None:
    instance = instance_of(seed)
    refuter = Refuter(instance, Free(), kinds=frozenset({"pairs"}))
    assert refuter.narrows
    facts = of_facts([pair_fact(instance, 0, seed)])
    found = refuter.narrow(facts, np.zeros(8))
    assert found is not None
    assert refuter.replay.survives(facts, None, found.rival, found.moves)
    assert set(refuter.replay.broken(refuter.elements(), found.moves)) == found.violated
    assert len(found.violated) < 7


def test_what_is_dear_is_kept() -> None:
    """Among four networks, no fact is broken more often for being asked for."""
    broken = {0.0: 0, 100.0: 0}
    for seed in range(4):
        instance = instance_of(seed)
        refuter = Refuter(instance, Free(), kinds=frozenset({"pairs"}))
        for weight in broken:
            found = refuter.narrow(FactSet(), weight * (np.arange(8) < 3))
            assert found is not None
            broken[weight] += sum(fact.prototype < 3 for fact in found.violated)  # type: ignore[union-attr]
    assert broken[100.0] < broken[0.0]


def test_limits_are_respected() -> None:
    instance = instance_of(1)
    limit = np.where(np.arange(8) % 2 == 0, instance.measurement[0], 0.0)
    search = Narrowing(instance, 0, instance.margin_weights, instance.margin_offset, limit)
    found = search.losing(search.free())
    assert found is not None
    found = search.narrowed(found, np.zeros(8))
    measured = ((found.point - instance.head.prototypes) ** 2).sum(axis=1)
    kept = np.isin(np.arange(8), found.sphere.kept)
    assert (kept | (measured >= limit)).all()
    np.testing.assert_allclose(measured[kept], instance.measurement[0][kept])
    activation = instance.head.chain.value(measured)
    assert (instance.margin_weights @ activation + instance.margin_offset).min() < 0


@pytest.mark.parametrize("kinds", [("pairs", "activations", "ceilings"), ("activations",)])
def test_a_ceiling_is_met_where_its_own_prototype_is_kept(kinds: tuple[str, ...]) -> None:
    """What is kept is as far as the ceiling asks, not a rounding farther."""
    found = 0
    for seed in range(3):
        instance = instance_of(seed)
        refuter = Refuter(instance, Free(), kinds=frozenset(kinds))  # type: ignore[arg-type]
        for ceiling in ceilings_of(instance)[::2]:
            level = np.where(np.isin(np.arange(8), ceiling.exempt), np.inf, instance.level)
            own = int(np.argmin(level))
            named = (
                pair_fact(instance, 0, own) if len(kinds) > 1 else activation_fact(instance, own)
            )
            facts = of_facts([ceiling, named])
            refutation = refuter.narrow(facts, np.zeros(8))
            if refutation is not None:
                found += 1
                assert refuter.replay.survives(facts, None, refutation.rival, refutation.moves)
                assert ceiling not in refutation.violated
    assert found


@pytest.mark.parametrize("grid", [(1, 1), (1, 2)])
def test_elsewhere_it_says_that_it_does_not_apply(grid: tuple[int, int]) -> None:
    instance = random_instance(0, prototypes=6, channels=8, classes=2, grid=grid)
    domain = Box(-9.0, 9.0) if grid == (1, 1) else Free()
    assert not Refuter(instance, domain, kinds=frozenset({"pairs"})).narrows
