"""The functions that similarities are made of: values, slopes, limits, shapes, from their names."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath
import pytest
from flint import arb, ctx, fmpq

from protoproof.kernel.model.primitives import (
    APPROACHED,
    CONSTANTS,
    HAIR,
    PRIMITIVES,
    End,
    above,
    as_ball,
    at_least,
    at_most,
    below,
)

INF = math.inf
FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda t, c: t + c,
    "mul": lambda t, c: t * c,
    "div_root": lambda t, c: t / mpmath.sqrt(c),
    "max": max,
    "min": min,
    "sqrt": lambda t, c: mpmath.sqrt(t),
    "square": lambda t, c: t**2,
    "exp": lambda t, c: mpmath.exp(t),
    "log": lambda t, c: mpmath.log(t),
    "reciprocal": lambda t, c: 1 / t,
    "one_plus": lambda t, c: 1 + c / t,
    "log_one_plus": lambda t, c: mpmath.log(1 + c / t),
    "sigmoid": lambda t, c: 1 / (1 + mpmath.exp(-t)),
    "tanh": lambda t, c: mpmath.tanh(t),
    "softplus": lambda t, c: mpmath.log(1 + mpmath.exp(t)),
    "power": lambda t, c: t**c,
    "abs": lambda t, c: abs(t),
    "zero_below": lambda t, c: t if t >= c else t * 0,
}
TRIED = {
    "add": (-2, Fraction(1, 3)), "mul": (-2, Fraction(1, 3)), "div_root": (Fraction(1, 3), 5),
    "max": (-1, 1), "min": (-1, 1), "one_plus": (-2, Fraction(1, 2), 3),
    "log_one_plus": (Fraction(-1, 2), Fraction(1, 2), 3),
    "power": (-1, Fraction(1, 2), 1, Fraction(3, 2), 2, 8, 9), "zero_below": (-1, 0, 1),
}  # fmt: skip
CASES = [(name, c) for name in FUNCTIONS for c in TRIED.get(name, (0,))]
POSITIVE = {"sqrt", "log", "reciprocal", "one_plus", "log_one_plus", "power"}
RANGES = [(-3, -2), (-3, -1), (-2, 0), (-1, 1), (-2, 3), (0, 1), (0, 3), (1, 2), (1, 3), (2, 5)]
POINTS = [Fraction(n, 8) for n in (-40, -17, -9, -8, -1, 1, 3, 4, 8, 9, 17, 40, 500)]


def defined(name: str, c: Any, low: Any) -> bool:
    if name == "log_one_plus":
        return low > 0 and low + c > 0
    if name in ("sqrt", "power"):
        return low > 0 or (low == 0 and (name == "sqrt" or c > 0))
    if name in ("reciprocal", "one_plus"):
        return low > 0
    return low > 0 or name != "log"


def exact(value: Any) -> fmpq:
    return fmpq(Fraction(value).numerator, Fraction(value).denominator)


def number(value: Any) -> Any:
    value = Fraction(value)
    return mpmath.mpf(value.numerator) / value.denominator


@pytest.mark.trust(22)
@pytest.mark.parametrize(("name", "c"), CASES)
def test_values_and_slopes(name: str, c: Any) -> None:
    primitive, function = PRIMITIVES[name], FUNCTIONS[name]
    with mpmath.workdps(60), ctx.workprec(200):
        for point in (p for p in POINTS if defined(name, c, p) and (name != "abs" or p > 0)):
            wanted = function(number(point), number(c))
            for t in (exact(point), arb(exact(point))):
                found = as_ball(primitive.value(t, exact(c)))
                assert abs(found - arb(str(wanted))) < 1e-40 * (1 + abs(found))
                if point in (c, 0):
                    continue  # a kink
                slope = as_ball(primitive.slope(t, exact(c)))
                around = [function(number(point) + s, number(c)) for s in (-1e-20, 1e-20)]
                wanted_slope = arb(str((around[1] - around[0]) / mpmath.mpf(2e-20)))
                assert abs(slope - wanted_slope) < 1e-15 * (1 + abs(slope))


@pytest.mark.trust(22)
@pytest.mark.parametrize(("name", "c"), CASES)
def test_what_is_said_of_a_shape_is_true_and_all_there_is(name: str, c: Any) -> None:
    primitive, function = PRIMITIVES[name], FUNCTIONS[name]
    for low, high in RANGES:
        shape = primitive.shape(exact(low), exact(high), exact(c))
        if not defined(name, c, low):
            # below 0 only what is known to be of one sign there is said
            assert shape.direction is None or high < 0
            continue
        if (name == "abs" and low < 0) or (name == "zero_below" and low < c < 0):
            assert shape.direction is None
            continue
        points = [number(Fraction(low) + Fraction(high - low, 32) * k) for k in range(33)]
        values = [function(t, number(c)) for t in points]
        steps = [b - a for a, b in pairwise(values)]
        bends = [b - a for a, b in pairwise(steps)]
        rises, falls = min(steps) >= 0, max(steps) <= 0
        small = mpmath.mpf(10) ** -12
        convex, concave = min(bends) >= -small, max(bends) <= small
        assert shape.direction == (1 if rises else -1 if falls else None)
        if name not in ("abs", "zero_below"):
            assert (shape.convex, shape.concave) == (convex, concave)
        assert not shape.convex or convex
        assert not shape.concave or concave


@pytest.mark.parametrize(("name", "c"), CASES)
def test_limits(name: str, c: Any) -> None:
    primitive, function = PRIMITIVES[name], FUNCTIONS[name]
    for side, far in zip((-1, 1), primitive.limits(exact(c)), strict=True):
        if isinstance(far, float) and math.isnan(far):
            assert side < 0
            assert name in POSITIVE
            continue
        value = function(mpmath.mpf(side) * 10**30, number(c))
        if isinstance(far, float):
            assert abs(value) > 60
            assert (value > 0) == (far > 0)
        else:
            assert abs(arb(str(mpmath.nstr(value, 30))) - as_ball(far)) < 1e-12


@pytest.mark.parametrize("end", [-INF, INF, fmpq(-1), fmpq(0), fmpq(1), arb(0, 1)])
def test_comparisons_of_ends_are_certain(end: End) -> None:
    zero = fmpq(0)
    sign = 0 if isinstance(end, arb) else (end > 0) - (end < 0)
    unknown = isinstance(end, arb)
    assert at_least(end, zero) == (sign >= 0 and not unknown)
    assert at_most(end, zero) == (sign <= 0 and not unknown)
    assert above(end, zero) == (sign > 0)
    assert below(end, zero) == (sign < 0)


@pytest.mark.parametrize("end", [-INF, INF])
def test_infinite_ends_are_on_either_side_of_every_number(end: float) -> None:
    """Also where a comparison with 0 and one with 1 would differ."""
    for bound in (fmpq(-5), fmpq(5)):
        assert at_least(end, bound) == above(end, bound) == (end > 0)
        assert at_most(end, bound) == below(end, bound) == (end < 0)
    assert not above(fmpq(5), fmpq(5))
    assert not below(fmpq(5), fmpq(5))


def test_below_zero_quotients_bend_the_other_way() -> None:
    low, high = fmpq(-3), fmpq(-1)
    shape = PRIMITIVES["reciprocal"].shape(low, high, fmpq(0))
    assert shape == (-1, False, True)
    assert PRIMITIVES["one_plus"].shape(low, high, fmpq(-2)) == (1, True, False)
    assert PRIMITIVES["log_one_plus"].shape(fmpq(1, 4), fmpq(3), fmpq(-1, 2)).direction is None
    assert PRIMITIVES["log_one_plus"].shape(fmpq(1), fmpq(3), fmpq(-1, 2)) == (1, False, True)
    assert not as_ball(PRIMITIVES["reciprocal"].value(fmpq(0), fmpq(0))).is_finite()
    assert PRIMITIVES["zero_below"].value(fmpq(1), fmpq(2)) == 0
    assert PRIMITIVES["power"].value(fmpq(1, 3), fmpq(8)) == fmpq(1, 3) ** 8


def test_kinks_hold_the_slopes_of_both_sides() -> None:
    for name in ("max", "min"):
        found = as_ball(PRIMITIVES[name].slope(fmpq(1), fmpq(1)))
        assert found.contains(0)
        assert found.contains(1)
        assert not found.contains(2)
    assert as_ball(PRIMITIVES["abs"].slope(fmpq(0), fmpq(0))).contains(arb(-1))
    assert not as_ball(PRIMITIVES["zero_below"].slope(arb(1, 0.5), fmpq(1))).is_finite()


def test_a_hair_below_zero_counts_as_rising_and_no_further() -> None:
    shape = PRIMITIVES["abs"].shape
    assert shape(-HAIR, fmpq(1), fmpq(0)).direction == 1
    assert shape(-2 * HAIR, fmpq(1), fmpq(0)).direction is None
    assert PRIMITIVES["abs"].value(HAIR, fmpq(0)) == HAIR
    for t in (fmpq(0), -HAIR / 2):
        found = as_ball(PRIMITIVES["abs"].value(t, fmpq(0)))
        assert found.contains(arb(HAIR) / 2)
        assert not found.contains(-1e-9)


def test_inside_of_a_hair_the_lower_end_rises_with_the_argument() -> None:
    found = as_ball(PRIMITIVES["abs"].value(HAIR / 2, fmpq(0)))
    assert found.contains(arb(HAIR) / 2)
    assert found.contains(arb(HAIR))
    assert not found.contains(arb(HAIR) / 4)
    assert isinstance(PRIMITIVES["abs"].value(HAIR, fmpq(0)), fmpq)
    below_zero = as_ball(PRIMITIVES["abs"].value(-HAIR / 2, fmpq(0)))
    assert below_zero.contains(0)
    assert not below_zero.contains(0.5)


def test_slopes_of_an_absolute_value() -> None:
    slope = PRIMITIVES["abs"].slope
    assert [slope(t, fmpq(0)) for t in (fmpq(-2), fmpq(-1, 2), fmpq(1, 2), fmpq(2))] == [
        -1,
        -1,
        1,
        1,
    ]
    kink = as_ball(slope(fmpq(0), fmpq(0)))
    assert kink.contains(-1)
    assert kink.contains(1)
    assert not kink.contains(1.5)
    assert not kink.contains(-1.5)


def test_at_a_jump_both_values_are_possible_and_the_slope_is_that_above() -> None:
    jump, c = PRIMITIVES["zero_below"], fmpq(1, 2)
    both = as_ball(jump.value(arb(0.5, 0.125), c))
    assert both.contains(0)
    assert both.contains(0.625)
    assert not both.contains(0.75)
    assert (jump.value(c, c), jump.slope(c, c), jump.slope(fmpq(0), c)) == (c, 1, 0)


@pytest.mark.parametrize("exponent", range(1, 9))
def test_small_powers_of_fractions_are_fractions(exponent: int) -> None:
    power = PRIMITIVES["power"].value
    assert power(fmpq(2, 3), fmpq(exponent)) == fmpq(2**exponent, 3**exponent)
    assert isinstance(power(fmpq(2, 3), fmpq(exponent, 2)), arb) == bool(exponent % 2)
    assert isinstance(power(fmpq(2, 3), fmpq(8 + exponent)), arb)


def test_large_arguments_of_what_levels_off() -> None:
    huge = arb(2) ** 200
    assert as_ball(PRIMITIVES["softplus"].value(-huge, fmpq(0))).contains(0)
    grown = as_ball(PRIMITIVES["softplus"].value(huge, fmpq(0)))
    assert abs(grown / huge - 1) < 1e-12


def test_poles_approached_from_above() -> None:
    half, two = fmpq(1, 2), fmpq(2)
    assert APPROACHED["log"](two) == -INF
    assert APPROACHED["reciprocal"](two) == APPROACHED["log_one_plus"](two) == INF
    assert [APPROACHED["one_plus"](c) for c in (-two, -half, half, two)] == [-INF, -INF, INF, INF]


def test_which_constants_a_step_takes() -> None:
    numbers = [fmpq(n, 2) for n in (-4, -1, 0, 1, 2, 4)]
    signs: dict[str, Callable[[fmpq], bool]] = {"div_root": lambda c: c > 0} | {
        name: lambda c: c != 0 for name in ("mul", "one_plus", "power")
    }
    assert set(CONSTANTS) == {"add", "max", "min", "zero_below", *signs}
    for name, good in CONSTANTS.items():
        wanted = [signs[name](c) if name in signs else True for c in numbers]
        assert [bool(good(c)) for c in numbers] == wanted
