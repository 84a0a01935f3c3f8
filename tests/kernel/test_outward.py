"""Float64 with error bounds against exact rationals."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx

from protoproof.kernel.arithmetic import outward
from protoproof.kernel.arithmetic.exact import sigmoid
from protoproof.kernel.arithmetic.outward import Array, Range

WIDTHS = (0.0, 1e-16, 1e-6, 1.0)


def exact(values: Array) -> np.ndarray:
    return np.vectorize(Fraction, otypes=[object])(values)


def draw(rng: np.random.Generator, shape: tuple[int, ...], width: float) -> Range:
    middle = rng.normal(size=shape) * 10.0 ** rng.uniform(-6, 6, shape)
    reach = width * rng.random(shape)
    return Range(middle - reach, middle + reach)


def members(rng: np.random.Generator, x: Range) -> np.ndarray:
    low, high = exact(x.low), exact(x.high)
    share = rng.choice([Fraction(0), Fraction(1), Fraction(2, 7)], low.shape)
    return np.asarray(low + share * (high - low))


def holds(found: Range, value: np.ndarray) -> bool:
    return bool((exact(found.low) <= value).all() and (value <= exact(found.high)).all())


@pytest.mark.parametrize("width", WIDTHS)
def test_every_rule_contains_the_exact_results(width: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(6):
        x, y = draw(rng, (20, 3), width), draw(rng, (20, 3), width)
        weight = rng.normal(size=(4, 20)).astype(np.float32).astype(np.float64)
        offset = rng.normal(size=(4, 1))
        image = outward.affine(x, weight, offset, lambda w, v: w @ v, 20)
        apart = (y.low > 0) | (y.high < 0)
        for _ in range(6):
            a, b = members(rng, x), members(rng, y)
            assert holds(image, exact(weight) @ a + exact(offset))
            assert holds(outward.plus(x, y), a + b)
            assert holds(outward.minus(x), -a)
            assert holds(outward.times(x, y), a * b)
            assert holds(outward.mean(x, lambda v: v.sum(axis=0), 20), a.sum(axis=0) / 20)
            inverse = outward.inverse(Range(y.low[apart], y.high[apart]))
            assert holds(inverse, np.array([1 / v for v in b[apart]]))


def test_the_ends_are_attained_up_to_rounding() -> None:
    """By signs the exact ends are known: the bounds exceed them by rounding only."""
    rng = np.random.default_rng(2)
    x = draw(rng, (30,), 1.0)
    weight = rng.normal(size=(3, 30))
    found = outward.affine(x, weight, np.zeros(3), lambda w, v: w @ v, 30)
    up, down = exact(np.maximum(weight, 0)), exact(np.minimum(weight, 0))
    least = up @ exact(x.low) + down @ exact(x.high)
    room = (np.abs(weight) @ x.size) * 100 * 2.0**-52
    assert (exact(found.low) >= least - exact(room)).all()


def test_underflow_is_paid_for() -> None:
    tiny = np.full(4, 1e-300)
    x = Range(tiny, tiny)
    image = outward.affine(x, np.full((1, 4), 1e-300), np.zeros(1), lambda w, v: w @ v, 4)
    assert holds(image, np.array([4 * Fraction(1e-300) ** 2]))
    assert holds(outward.times(x, x), np.full(4, Fraction(1e-300) ** 2))


def test_a_range_with_zero_has_no_inverse() -> None:
    for low, high in ((-1.0, 1.0), (0.0, 1.0), (-1.0, 0.0), (math.nan, 1.0)):
        with pytest.raises(ZeroDivisionError):
            outward.inverse(Range(np.array([low]), np.array([high])))


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_functions_contain_the_balls_and_are_tight(name: str) -> None:
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(size=300) * 10.0 ** rng.uniform(-9, 3, 300), [0.0, 1e9, -1e9]])
    function = sigmoid if name == "sigmoid" else arb.tanh
    found = outward.increasing(Range(x, x), function)
    with ctx.workprec(2000):
        for at, low, high in zip(x.tolist(), found.low.tolist(), found.high.tolist(), strict=True):
            value = 1 / (1 + (-arb(at)).exp()) if name == "sigmoid" else arb(at).tanh()
            assert arb(low) <= value
            assert value <= arb(high)
            assert high - low <= 4 * 2.0**-52 * max(abs(low), abs(high)) + 1e-270


def test_the_error_is_that_of_the_theorem() -> None:
    """Of sums that cancel nothing is left but it: (2 n + 16) 2**-52 M + 2**-900, and the next."""
    unit, floor = Fraction(2) ** -52, Fraction(2) ** -900
    weight, one = np.array([[8.0, -4.0, -4.0], [0.0, 0.0, 0.0]]), np.ones(3)
    offset = np.array([1.0, 0.0])
    found = outward.affine(Range(one, one), weight, offset, lambda w, v: w @ v, 3)
    wanted = (2 * 3 + 16) * unit * 17 + floor
    for sign, end in ((-1, found.low), (1, found.high)):
        assert abs(Fraction(end[0]) - (1 + sign * wanted)) < 3 * unit
        assert end[1] == sign * (math.nextafter(2.0**-900, 1.0) + 2.0**-900)
    wide = Range(np.array([-31.0, 29.0]), np.array([-29.0, 31.0]))
    assert wide.size.tolist() == [31.0, 31.0]
    means = outward.mean(wide, lambda v: v.sum(keepdims=True), 2)
    wanted = (2 + 16) * unit * 31 + floor
    assert abs(Fraction(means.low[0]) - (-1 - wanted)) < 3 * unit
    assert abs(Fraction(means.high[0]) - (1 + wanted)) < 3 * unit
    nothing = outward.mean(Range(0 * one, 0 * one), lambda v: v.sum(keepdims=True), 2)
    assert nothing.high[0] == -nothing.low[0] == math.nextafter(2.0**-900, 1.0) + 2.0**-900


def test_one_range_with_zero_is_enough_for_none() -> None:
    with pytest.raises(ZeroDivisionError):
        outward.inverse(Range(np.array([1.0, -1.0]), np.array([2.0, 1.0])))


def test_a_function_takes_the_lower_end_to_the_lower_and_the_upper_to_the_upper() -> None:
    x = Range(np.array([[-1.0, 0.0, 1.0]]), np.array([[0.0, 2.0, 1.0]]))
    found = outward.increasing(x, lambda t: t)
    assert found.low.shape == found.high.shape == (1, 3)
    assert (found.low <= x.low).all()
    assert (x.high <= found.high).all()
    assert np.abs(np.array(found) - np.array(x)).max() < 1e-200


def test_no_float_is_below_what_is_not_finite_or_too_large() -> None:
    for value in (arb("nan"), arb("inf"), arb("-inf"), arb(2) ** 2000, -(arb(2) ** 2000)):
        assert outward.float_below(value) == -math.inf
    for exact in (1 + 2.0**-52, -1 - 2.0**-52, 3.0, 2.0**1000):
        assert outward.float_below(arb(exact)) == exact
    with ctx.workprec(64):
        assert outward.float_below(arb(1) + arb(2) ** -60) == 1
        assert outward.float_below(-1 - arb(2) ** -60) == -1 - 2.0**-52
