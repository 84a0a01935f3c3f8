"""Lines over intervals: bounds of every value, whatever is infinite, and exact at 0."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from protoproof.kernel.float32.rows import affine_ends


def test_values_between_the_ends_stay_between_the_ends() -> None:
    rng = np.random.default_rng(0)
    count = 200
    slope = rng.normal(size=count) * 10.0 ** rng.integers(-6, 7, count)
    shift = rng.normal(size=count) * 10.0 ** rng.integers(-6, 7, count)
    wide = rng.uniform(0, 1e-9, size=(2, count))
    lines = np.stack([slope * (1 - 1e-12), slope * (1 + 1e-12), shift, wide[0]], axis=1)
    lines[:, :2].sort(axis=1)
    ends = np.sort(rng.normal(size=(count, 2, 2)), axis=2).reshape(count, 4)
    found = affine_ends(lines, ends)
    for k in range(count):
        for low, high in ((0, 1), (2, 3)):
            for m in (ends[k, low], ends[k, high], (ends[k, low] + ends[k, high]) / 2):
                for factor in lines[k, :2]:
                    value = Fraction(factor) * Fraction(m) + Fraction(lines[k, 2])
                    assert Fraction(found[low][k]) <= value - Fraction(lines[k, 3])
                    assert Fraction(found[high][k]) >= value + Fraction(lines[k, 3])


def test_what_is_infinite_stays_unbounded_and_zero_is_exact() -> None:
    lines = np.array([[2.0, 2.0, 0.0, 0.0], [-1.0, 3.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    ends = np.array([[0.0, np.inf, 0.0, 0.0]] * 3)
    first, last, near, far = affine_ends(lines, ends)
    assert first.tolist()[:2] == [0.0, -np.inf]
    assert last.tolist()[:2] == [np.inf, np.inf]
    # no slope at all and no end: nothing is known, so nothing bounds it
    assert (first[2], last[2]) == (-np.inf, np.inf)
    assert near.tolist() == far.tolist() == [0.0, 1.0, 1.0]
