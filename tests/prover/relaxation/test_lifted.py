"""The convex relaxation of one location: tight, met by its points, and true for random latents."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from protoproof.prover.latent.domain import Free
from protoproof.prover.latent.facts import FactSet, of_facts
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import activation_fact, ceilings_of, pair_fact
from protoproof.prover.latent.replay import Replay
from protoproof.prover.oracle.branch_and_bound import BranchAndBoundOracle, CaseState
from protoproof.prover.relaxation.lifted import Asked, Lifted
from protoproof.verdict import Status
from tests.support.strategies import random_instance

SEEDS = range(4)


def one_location(seed: int, channels: int = 5) -> Instance:
    return random_instance(seed, prototypes=4, channels=channels, classes=2, grid=(1, 1))


def linear(
    instance: Instance,
    slopes: NDArray[np.float64],
    lower: NDArray[np.float64],
    equal: tuple[int, ...],
) -> Asked:
    """A form of distances alone, over lower bounds and given distances."""
    count = len(slopes)
    given = instance.measurement[0, list(equal)]
    return Asked(np.zeros(count), slopes, 0.0, lower, np.full(count, np.inf), equal, given)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_least_distance_on_a_sphere_is_the_closed_form(seed: int) -> None:
    """With one distance kept, the least other one is (|p_i - p_j| - d_i)^2: the triangle."""
    instance = one_location(seed)
    q, prototypes = instance.measurement[0], instance.head.prototypes
    slopes = np.array([0.0, 1.0, 0.0, 0.0])
    (*_, found) = Lifted(instance).least(linear(instance, slopes, np.zeros(4), (0,)), np.inf)
    apart = float(np.linalg.norm(prototypes[0] - prototypes[1]))
    z = instance.latent[0] + found.point
    assert found.met
    assert np.sum((z - prototypes[0]) ** 2) == pytest.approx(q[0], rel=1e-6)
    assert np.sum((z - prototypes[1]) ** 2) == pytest.approx((apart - np.sqrt(q[0])) ** 2, abs=1e-3)


@pytest.mark.parametrize("seed", SEEDS)
def test_points_meet_lower_bounds_and_multipliers_charge_the_ones_that_bind(seed: int) -> None:
    instance = one_location(seed)
    q, prototypes = instance.measurement[0], instance.head.prototypes
    lower = np.where(np.arange(4) == 1, 0.9 * q[1], 0.0)
    slopes = np.array([0.0, 1.0, 0.0, 0.0])
    (*_, found) = Lifted(instance).least(linear(instance, slopes, lower, ()), np.inf)
    z = instance.latent[0] + found.point
    assert np.sum((z - prototypes[1]) ** 2) == pytest.approx(0.9 * q[1], abs=1e-3)
    assert found.multipliers[1] == pytest.approx(-1.0, abs=1e-3)


def facts_of(instance: Instance, seed: int) -> FactSet:
    """A name and a ceiling, as an activation or as a pair fact."""
    ceiling = ceilings_of(instance)[1 + seed % 3]
    named = activation_fact(instance, 0) if seed % 2 else pair_fact(instance, 0, 0)
    return of_facts([named, ceiling])


def decided(instance: Instance, facts: FactSet) -> tuple[CaseState, Status]:
    state = BranchAndBoundOracle(most=30).cases(instance, Free())
    return state, state.decide(facts).verdict.status


def test_a_name_and_a_ceiling_are_proved_or_refuted() -> None:
    """Every set is decided in a few cases, and what is refuted loses exactly."""
    proved = 0
    for seed in range(22, 37):
        instance = one_location(seed)
        facts = facts_of(instance, seed)
        state, status = decided(instance, facts)
        if status is Status.PROVED:
            proved += 1
            continue
        assert state.losing is not None
        row, latent = state.losing
        activation = instance.head.activation(instance.head.measurement(latent))
        margins = instance.margin_weights @ activation + instance.margin_offset
        assert margins[row] < 0
        assert status is Status.REFUTED
        assert state.refutation is not None
        rival, moves = state.refutation
        assert Replay(instance, Free()).survives(facts, None, rival, moves)
    assert proved >= 3


@pytest.mark.parametrize("channels", [5, 3])
def test_no_latent_that_meets_a_proved_set_loses(channels: int) -> None:
    """Random points of the sphere that a proved set leaves, those that respect its ceiling; with
    three channels there is no dimension besides the prototypes' hull, and all still holds."""
    tried = 0
    generator = np.random.default_rng(0)
    for seed in (1, 6, 23, 25, 32):
        instance = one_location(seed, channels)
        facts = facts_of(instance, seed)
        if decided(instance, facts)[1] is not Status.PROVED:
            continue
        (ceiling,) = facts.ceilings
        away = generator.normal(size=(500, channels))
        away /= np.linalg.norm(away, axis=1, keepdims=True)
        points = instance.head.prototypes[0] + np.sqrt(instance.measurement[0, 0]) * away
        q = ((points[:, None] - instance.head.prototypes) ** 2).sum(axis=2)
        others = [j for j in range(4) if j not in ceiling.exempt and j != 0]
        meets = (q[:, others] >= ceiling.bound).all(axis=1)
        tried += int(meets.sum())
        margins = instance.similarity(q[meets]) @ instance.margin_weights.T + instance.margin_offset
        assert (margins > 0).all()
    assert tried > 50
