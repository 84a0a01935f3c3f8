"""Short rows: they reach their targets with few facts and few bits, whatever the targets are."""

from __future__ import annotations

import numpy as np
import pytest

from protoproof.prover.latent.gram import GramRows, distances_between, squared_distances
from protoproof.prover.relaxation.pair_bounds import Hull
from protoproof.prover.relaxation.sparsify import SHIFTS, lower_groups
from tests.support.lagrangian import value
from tests.support.strategies import random_instance


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 1.0])
def test_every_row_proves_its_target_exactly(share: float) -> None:
    instance = random_instance(3, prototypes=30, channels=9)
    measurement = instance.measurement[0]
    facts = np.argsort(measurement)[:5].tolist()
    hull = Hull.of(instance.gram, measurement, facts)
    low, _ = hull.bounds()
    target = share * low
    others = [j for j in range(30) if j not in facts]
    seen = []
    for group in lower_groups(hull, instance.gram, measurement, others, target):
        assert set(group.facts) <= set(facts)
        seen += group.prototypes
        for j, row in zip(group.prototypes, group.theta, strict=True):
            theta = [t / 2**group.shift for t in row]
            assert len(theta) == len(group.facts)
            # `value` is exact; the optimum itself is float64
            assert value(instance, group.facts, theta, j, 1) >= target[j] - 1e-9
    assert sorted(seen) == others


def test_looser_targets_need_fewer_multipliers_and_bits() -> None:
    instance = random_instance(4, prototypes=60, channels=12)
    measurement = instance.measurement[0]
    facts = np.argsort(measurement)[:8].tolist()
    hull = Hull.of(instance.gram, measurement, facts)
    low, _ = hull.bounds()
    others = [j for j in range(60) if j not in facts]

    def bits(share: float) -> int:
        groups = lower_groups(hull, instance.gram, measurement, others, share * low)
        return sum(group.shift * len(group.facts) * len(group.prototypes) for group in groups)

    assert bits(0.3) < bits(0.9) < bits(1.0)
    loose = list(lower_groups(hull, instance.gram, measurement, others, np.zeros(60)))
    assert {(len(group.facts), group.shift) for group in loose} == {(1, SHIFTS[0])}


def test_rows_on_demand_read_like_the_whole_matrix() -> None:
    points = random_instance(5, prototypes=20, channels=6).head.prototypes
    whole, rows = squared_distances(points), GramRows(points, kept=3)
    assert len(rows) == 20
    near = {"rtol": 0, "atol": 1e-12}
    few, many = np.array([4, 2]), np.array([1, 4, 7, 19, 2])
    for key in (5, [3, 1], (3, 8), (2, many), np.ix_(many, few), np.ix_(few, many)):
        np.testing.assert_allclose(rows[key], whole[key], **near)
    assert rows[7][7] == 0
    assert len(rows._rows) <= 3
    measurement = ((points - points[0] - 0.1) ** 2).sum(axis=1)
    for first, second in zip(
        Hull.of(whole, measurement, [0, 3, 9]).bounds(),
        Hull.of(rows, measurement, [0, 3, 9]).bounds(),
        strict=True,
    ):
        np.testing.assert_allclose(first, second, rtol=0, atol=1e-7)  # square roots near zero


def test_only_small_matrices_are_computed_as_a_whole() -> None:
    assert isinstance(distances_between(np.zeros((10, 2))), np.ndarray)
    assert isinstance(distances_between(np.zeros((20_000, 2))), GramRows)
