"""Multipliers: valid whatever they are, and as tight as the exact interval when chosen well."""

from __future__ import annotations

import numpy as np
from hypothesis import given

from protoproof.prover.relaxation.multipliers import lower_rows, upper_rows
from protoproof.prover.relaxation.pair_bounds import Hull
from tests.support.lagrangian import value
from tests.support.strategies import random_instance, seeds


@given(seeds)
def test_chosen_multipliers_reach_the_exact_interval(seed: int) -> None:
    instance = random_instance(seed)
    rng = np.random.default_rng(seed)
    facts = [int(j) for j in rng.permutation(8)[: rng.integers(1, 4)]]
    hull = Hull.of(instance.gram, instance.measurement[0], facts)
    low, high = hull.bounds()
    others = [j for j in range(8) if j not in facts]
    rows = lower_rows(hull, instance.gram, instance.measurement[0], others, low)
    for j, theta in zip(rows.prototypes, rows.theta.tolist(), strict=True):
        assert abs(value(instance, hull.spanning, theta, j, 1) - low[j]) < 1e-6
    rows = upper_rows(hull, others)
    for j, theta in zip(rows.prototypes, rows.theta.tolist(), strict=True):
        assert abs(-value(instance, hull.spanning, theta, j, -1) - high[j]) < 1e-6


@given(seeds)
def test_any_multipliers_are_sound(seed: int) -> None:
    instance = random_instance(seed)
    rng = np.random.default_rng(seed)
    facts = tuple(int(j) for j in rng.permutation(8)[:3])
    theta = rng.normal(size=3)
    theta[0] += max(0.0, -1.0 - theta.sum()) + 0.1  # curvature above zero
    # the instance itself meets the facts, so no valid bound may exceed its measurement
    bound = value(instance, facts, theta.tolist(), 7, 1)
    assert bound <= instance.measurement[0, 7] + 1e-12


@given(seeds)
def test_one_fact_serves_where_it_suffices(seed: int) -> None:
    instance = random_instance(seed)
    hull = Hull.of(instance.gram, instance.measurement[0], [0, 1, 2])
    others = [3, 4, 5, 6, 7]
    rows = lower_rows(hull, instance.gram, instance.measurement[0], others, np.zeros(8))
    assert (np.count_nonzero(rows.theta, axis=1) <= 1).all()
    for j, theta in zip(rows.prototypes, rows.theta.tolist(), strict=True):
        assert value(instance, hull.spanning, theta, j, 1) >= -1e-9
