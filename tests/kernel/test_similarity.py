"""Similarities in balls against mpmath, and the monotonicity that the checker rests on."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import pytest
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st

from protoproof.errors import DescriptionError
from protoproof.kernel.arithmetic.exact import ball
from protoproof.kernel.model.similarity import PARAMETERS, Similarity

CONSTANTS = {"log_ratio": Fraction(0.0001), "exponential": Fraction(0.75)}
ROWS = [Similarity(kind, CONSTANTS.get(kind, Fraction(1))) for kind in PARAMETERS]
REFERENCE = {
    "log_ratio": lambda q, c: mpmath.log((q + 1) / (q + c)),
    "exponential": lambda q, c: mpmath.exp(-q / c),
    "negated": lambda q, _: -q,
    "reciprocal": lambda q, _: 1 / (q + 1),
}
Q = st.floats(0, 1e6)


def real(value: Fraction) -> mpmath.mpf:
    return mpmath.mpf(value.numerator) / value.denominator


@given(st.sampled_from(ROWS), Q, st.sampled_from([53, 64, 128]))
def test_the_ball_contains_the_value(row: Similarity, q: float, precision: int) -> None:
    with mpmath.workprec(400):
        truth = REFERENCE[row.kind](mpmath.mpf(q), real(row.constant))
        sign, mantissa, exponent, _ = truth._mpf_
    with ctx.workprec(precision):
        value = row.value(ball(q.as_integer_ratio()))
    with ctx.workprec(500):
        # mpmath rounds at 400 bits, far inside the ball
        point = arb((-1) ** sign * int(mantissa)) * arb(2) ** int(exponent)
        assert value.overlaps(arb(point, abs(point) * arb(2) ** -390))
        assert value.rad() <= (abs(value.mid()) + arb(2) ** -1000) * arb(2) ** (12 - precision)


@given(st.sampled_from(ROWS), Q, Q)
def test_every_similarity_decreases(row: Similarity, first: float, second: float) -> None:
    near, far = sorted((first, second))
    with ctx.workprec(128):
        gap = row.value(arb(near)) - row.value(arb(far))
        assert not gap < 0
        infimum = row.at_infinity()
        if infimum is not None:
            assert not row.value(arb(far)) < infimum


SLOPES = {
    "log_ratio": lambda q, c: 1 / (q + 1) - 1 / (q + c),
    "exponential": lambda q, c: -mpmath.exp(-q / c) / c,
    "negated": lambda _q, _c: mpmath.mpf(-1),
    "reciprocal": lambda q, _: -1 / (q + 1) ** 2,
}


@given(st.sampled_from(ROWS), Q)
def test_the_ball_of_the_derivative_is_around_the_derivative(row: Similarity, q: float) -> None:
    with mpmath.workprec(400):
        truth = SLOPES[row.kind](mpmath.mpf(q), real(row.constant))
        sign, mantissa, exponent, _ = truth._mpf_
    with ctx.workprec(128):
        value = row.derivative(ball(q.as_integer_ratio()))
    with ctx.workprec(500):
        point = arb((-1) ** sign * int(mantissa)) * arb(2) ** int(exponent)
        # the closed form of log_ratio cancels at 400 bits, by at most 100 of them here
        assert value.overlaps(arb(point, abs(point) * arb(2) ** -250))
        assert value.rad() <= (abs(value.mid()) + arb(2) ** -1000) * arb(2) ** -100


@given(st.sampled_from(ROWS), Q, Q)
def test_every_similarity_is_above_its_tangents(row: Similarity, at: float, q: float) -> None:
    """Convexity, which tangents and chords rest on."""
    with ctx.workprec(256):
        tangent = row.value(arb(at)) + row.derivative(arb(at)) * (arb(q) - arb(at))
        assert not row.value(arb(q)) < tangent


@pytest.mark.parametrize(
    ("kind", "constant"),
    [("log_ratio", 1), ("log_ratio", 2), ("log_ratio", 0), ("exponential", -1), ("cosine", 1)],
)
def test_similarities_that_do_not_decrease_are_refused(kind: str, constant: int) -> None:
    with pytest.raises(DescriptionError):
        Similarity(kind, Fraction(constant))
