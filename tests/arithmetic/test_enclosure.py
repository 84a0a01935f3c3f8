"""Enclosures are exact: checked against rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protoproof.arithmetic.enclosure import enclose_nearest, enclose_squared_distance
from tests.support.strategies import float32, seeds

unit = st.floats(-4, 4, width=32)


def exact(point: list[float], prototype: list[float]) -> Fraction:
    return sum(
        ((Fraction(a) - Fraction(b)) ** 2 for a, b in zip(point, prototype, strict=True)),
        Fraction(0),
    )


@given(st.lists(st.tuples(unit, unit), min_size=1, max_size=6))
def test_enclosure_is_the_tightest(pairs: list[tuple[float, float]]) -> None:
    point, prototype = [a for a, _ in pairs], [b for _, b in pairs]
    low, high = enclose_squared_distance(np.array(point), np.array(prototype))
    truth = exact(point, prototype)
    assert Fraction(low) <= truth <= Fraction(high)
    assert low == high or (math.nextafter(low, math.inf) == high and Fraction(low) != truth)


def test_same_point_has_distance_zero() -> None:
    point = float32(np.array([0.1, 0.7, 1e-30]))
    assert enclose_squared_distance(point, point) == (0.0, 0.0)


@given(seeds)
def test_nearest_encloses_the_exact_minimum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    latent, prototype = float32(rng.random((5, 3))), float32(rng.random(3))
    latent[3] = latent[1]  # a tie between two locations
    measurement = ((latent - prototype) ** 2).sum(axis=1)
    low, high = enclose_nearest(latent, prototype, measurement)
    truth = min(exact(row.tolist(), prototype.tolist()) for row in latent)
    assert Fraction(low) <= truth <= Fraction(high)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e15])
def test_scale_does_not_break_exactness(scale: float) -> None:
    rng = np.random.default_rng(0)
    point, prototype = float32(scale * rng.random(64)), float32(scale * rng.random(64))
    low, high = enclose_squared_distance(point, prototype)
    assert Fraction(low) <= exact(point.tolist(), prototype.tolist()) <= Fraction(high)
