"""Every row of the similarity table: value, derivative, limits, and the traits others rely on."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protoproof.errors import InternalError
from protoproof.network.head.similarity import ROWS, Similarity

ALL = [
    Similarity("log_ratio", float(np.float32(1e-4))),
    Similarity("log_ratio", 0.5),
    Similarity("log_ratio", 2.0**-60),
    Similarity("exponential", 0.75),
    Similarity("exponential", 64.0),
    Similarity("negated"),
    Similarity("reciprocal"),
]
similarities = st.sampled_from(ALL)
distances = st.floats(0, 1e30)


def exact(similarity: Similarity, q: float) -> mpmath.mpf:
    """The definition, to 80 digits."""
    with mpmath.workdps(80):
        x, c = mpmath.mpf(q), mpmath.mpf(similarity.constant)
        return {
            "log_ratio": lambda: mpmath.log((x + 1) / (x + c)),
            "exponential": lambda: mpmath.exp(-x / c),
            "negated": lambda: -x,
            "reciprocal": lambda: 1 / (x + 1),
        }[similarity.kind]()


def at(similarity: Similarity, q: float) -> float:
    return float(similarity.value(np.array([q]))[0])


def test_every_row_is_tested() -> None:
    assert {similarity.kind for similarity in ALL} == set(ROWS)


@given(similarities, distances)
def test_value_is_accurate(similarity: Similarity, q: float) -> None:
    truth = exact(similarity, q)
    # the quotient errs by half a unit, which the exponential magnifies by its argument
    units = 4 + (q / similarity.constant if similarity.kind == "exponential" else 0)
    assert abs(mpmath.mpf(at(similarity, q)) - truth) <= units * 2.0**-52 * abs(truth) + 1e-300


@given(similarities, st.floats(0, 1e6))
def test_derivative_is_the_value_s(similarity: Similarity, q: float) -> None:
    with mpmath.workdps(80):
        h = mpmath.mpf(max(q, similarity.constant, 1e-3)) * mpmath.mpf(10) ** -25
        definition = similarity, q
        slope = (_exact_at(*definition, h) - _exact_at(*definition, 0)) / h
    got = float(similarity.derivative(np.array([q]))[0])
    assert got <= 0
    assert got == pytest.approx(float(slope), rel=1e-9, abs=1e-300)


def _exact_at(similarity: Similarity, q: float, h: mpmath.mpf) -> mpmath.mpf:
    x, c = mpmath.mpf(q) + h, mpmath.mpf(similarity.constant)
    if similarity.kind == "log_ratio":
        return mpmath.log((x + 1) / (x + c))
    if similarity.kind == "exponential":
        return mpmath.exp(-x / c)
    return -x if similarity.kind == "negated" else 1 / (x + 1)


@given(similarities, distances, distances)
def test_decreasing_and_within_its_limits(similarity: Similarity, a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    assert similarity.decreasing
    slack = 4 * 2.0**-52 * max(1.0, abs(at(similarity, low)))
    assert at(similarity, high) <= at(similarity, low) + slack
    assert similarity.infimum <= at(similarity, high)
    assert at(similarity, low) <= similarity.supremum + slack


@given(similarities, st.floats(0, 1e4), st.floats(0, 1e4))
def test_convex(similarity: Similarity, a: float, b: float) -> None:
    """The tangent at one point lies below the value at any other."""
    assert similarity.convex
    tangent = at(similarity, a) + float(similarity.derivative(np.array([a]))[0]) * (b - a)
    slack = 1e-9 * max(1.0, abs(tangent), abs(at(similarity, a)))
    assert tangent <= at(similarity, b) + slack


@pytest.mark.parametrize("similarity", ALL)
def test_limits(similarity: Similarity) -> None:
    assert at(similarity, 0.0) == pytest.approx(similarity.supremum, rel=1e-15, abs=0)
    assert at(similarity, math.inf) == similarity.infimum
    assert at(similarity, 1e300) == pytest.approx(similarity.infimum, abs=1e-30) or (
        similarity.kind == "negated"
    )


@pytest.mark.parametrize("q", [-1e-12, math.nan, -math.inf])
def test_no_silent_clamping(q: float) -> None:
    for function in (ALL[0].value, ALL[0].derivative):
        with pytest.raises(InternalError, match="negative or NaN"):
            function(np.array([1.0, q]))


@pytest.mark.parametrize(
    ("kind", "constant"),
    [
        ("cosine", 1.0),
        ("log_ratio", 0.0),
        ("log_ratio", 1.0),
        ("log_ratio", math.nan),
        ("exponential", 0.0),
        ("exponential", -1.0),
        ("exponential", math.inf),
    ],
)
def test_constants_in_range(kind: str, constant: float) -> None:
    with pytest.raises(InternalError):
        Similarity(kind, constant)


def test_shapes_are_kept() -> None:
    for similarity in ALL:
        q = np.ones((2, 3, 4))
        assert similarity.value(q).shape == similarity.derivative(q).shape == (2, 3, 4)
