"""Interval arithmetic against exact rationals and balls."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from flint import arb, ctx

from protoproof.arithmetic import interval as en
from protoproof.arithmetic.interval import Interval

WIDTHS = (0.0, 1e-16, 1e-7, 1e-3, 1.0, 10.0)


def random_interval(rng: np.random.Generator, shape: tuple[int, ...], width: float) -> Interval:
    scale = 10.0 ** rng.uniform(-3, 3, shape)
    middle = rng.normal(size=shape) * scale
    reach = width * rng.random(shape)
    return Interval(torch.from_numpy(middle - reach), torch.from_numpy(middle + reach))


def exact(values: torch.Tensor) -> np.ndarray:
    return np.vectorize(Fraction, otypes=[object])(values.numpy())


def corner(rng: np.random.Generator, x: Interval) -> np.ndarray:
    """Random exact members, most of them ends."""
    low, high = exact(x.lower), exact(x.upper)
    share = rng.choice([Fraction(0), Fraction(1), Fraction(1, 3)], low.shape)
    return np.asarray(low + share * (high - low))


def holds(found: Interval, value: np.ndarray) -> bool:
    return bool((exact(found.lower) <= value).all() and (value <= exact(found.upper)).all())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("second", WIDTHS)
def test_arithmetic_contains_the_exact_results(width: float, second: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(4):
        a, b = random_interval(rng, (3, 4), width), random_interval(rng, (4, 2), second)
        c = random_interval(rng, (3, 4), second)
        product = en.bilinear(a, b, torch.matmul, 4)
        quotient = en.divide(a, c)
        for _ in range(8):
            x, y, z = (corner(rng, part) for part in (a, b, c))
            assert holds(product, x @ y)
            assert holds(en.multiply(a, c), x * z)
            assert holds(en.add(a, c), x + z)
            assert holds(en.square(a), x * x)
            assert holds(en.average(a, lambda t: t.mean(1), 4), x.sum(1) / 4)
            assert quotient is None or holds(quotient, x / z)


def test_bounds_are_tight() -> None:
    """Intervals of one point stay within rounding; nothing else explains a width here."""
    rng = np.random.default_rng(1)
    a, b = random_interval(rng, (5, 30), 0.0), random_interval(rng, (30, 5), 0.0)
    found = en.bilinear(a, b, torch.matmul, 30)
    scale = a.lower.abs() @ b.lower.abs()
    assert bool((found.upper - found.lower <= 4 * en.gamma(30) * scale).all())
    total = en.add(en.point(torch.tensor([0.5])), en.point(torch.tensor([0.25])))
    assert total.lower.item() == total.upper.item() == 0.75


def test_a_divisor_that_may_be_zero_is_refused() -> None:
    one = en.point(torch.ones(2, dtype=torch.float64))
    low, high = torch.tensor([1.0, -1.0]), torch.tensor([2.0, 1.0])
    assert en.divide(one, Interval(low.double(), high.double())) is None
    assert en.divide(one, Interval(low.double() - 1, high.double())) is None


FUNCTIONS = {
    "sigmoid": (torch.sigmoid, lambda x: 1 / (1 + (-x).exp()), 0.0, 1.0, -800.0, 800.0),
    "tanh": (torch.tanh, lambda x: x.tanh(), -1.0, 1.0, -40.0, 40.0),
    "exp": (torch.exp, lambda x: x.exp(), 0.0, math.inf, -800.0, 700.0),
    "log": (torch.log, lambda x: x.log(), -math.inf, math.inf, 1e-300, 1e6),
    "sqrt": (torch.sqrt, lambda x: x.sqrt(), 0.0, math.inf, 0.0, 1e9),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_contain_the_balls(name: str) -> None:
    """4,000 arguments of all sizes: the library errs by far less than the slack."""
    function, ball, least, most, low, high = FUNCTIONS[name]
    rng = np.random.default_rng(2)
    small = 10.0 ** rng.uniform(-12, 2, 1500) * rng.choice([-1.0, 1.0], 1500)
    near_one = 1 + 10.0 ** rng.uniform(-15, -1, 500) * rng.choice([-1.0, 1.0], 500)
    x = np.concatenate([small, near_one, rng.uniform(low, high, 2000)])
    x = np.unique(x[(x >= low) & (x <= high)])
    found = en.monotone(en.point(torch.from_numpy(x)), function, least, most)
    with ctx.workprec(1500):
        for at, lower, upper in zip(
            x.tolist(), found.lower.tolist(), found.upper.tolist(), strict=True
        ):
            value = ball(arb(at))
            assert arb(lower) <= value
            assert upper == math.inf or value <= arb(upper)


def test_sums_that_overflow_are_not_finite() -> None:
    huge = en.point(torch.full((2,), 1.7e308, dtype=torch.float64))
    assert not bool(en.add(huge, huge).upper.isfinite().any())
