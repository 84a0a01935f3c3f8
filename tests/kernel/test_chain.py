"""Chains of functions in balls, against mpmath: values, ranges, slopes, direction and curvature."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import pytest
from flint import arb, ctx, fmpq
from hypothesis import given
from hypothesis import strategies as st

from protoproof.errors import DescriptionError
from protoproof.kernel.model.chain import Chain, Step
from protoproof.kernel.model.primitives import End

F = Fraction
Function = Callable[[mpmath.mpf, mpmath.mpf], mpmath.mpf]
REFERENCE: dict[str, Function] = {
    "add": lambda t, c: t + c,
    "mul": lambda t, c: t * c,
    "div_root": lambda t, c: t / mpmath.sqrt(c),
    "max": max,
    "min": min,
    "sqrt": lambda t, _: mpmath.sqrt(t),
    "square": lambda t, _: t * t,
    "exp": lambda t, _: mpmath.exp(t),
    "log": lambda t, _: mpmath.log(t),
    "reciprocal": lambda t, _: 1 / t,
    "one_plus": lambda t, c: 1 + c / t,
    "sigmoid": lambda t, _: 1 / (1 + mpmath.exp(-t)),
    "tanh": lambda t, _: mpmath.tanh(t),
    "softplus": lambda t, _: mpmath.log(1 + mpmath.exp(t)),
    "power": lambda t, c: t**c,
    "abs": lambda t, _: abs(t),
    "zero_below": lambda t, c: mpmath.mpf(0) if t < c else t,
}


def chain(*steps: tuple[str, float] | str) -> Chain:
    made = [Step(s) if isinstance(s, str) else Step(s[0], (F(s[1]),)) for s in steps]
    return Chain(made)


def log_ratio(delta: float = 0.0, clamp: bool = False) -> Chain:
    eps = 1e-4
    head = ([("add", delta), ("max", 0.0)] if clamp else []) + [("add", eps)]
    return chain(*head, ("one_plus", F(1) - F(eps)), "log")  # type: ignore[arg-type]


# name -> chain, and whether it is convex on [0, infinity)
DECREASING: dict[str, tuple[Chain, bool]] = {
    "log ratio": (log_ratio(), True),
    "log ratio of a folded distance": (log_ratio(1e-6, clamp=True), True),
    "log ratio of a clamped distance": (log_ratio(-1e-6, clamp=True), False),
    "exponential": (chain(("mul", -1 / 0.75), "exp"), True),
    "negated": (chain(("mul", -1.0)), True),
    "reciprocal": (chain(("add", 1.0), "reciprocal"), True),
    "distance": (chain("sqrt", ("mul", -1.0)), True),
    "exponential of the distance": (chain("sqrt", ("mul", -1.0), "exp"), True),
    "logarithm": (chain(("add", 0.5), "log", ("mul", -2.0)), True),
    "sigmoid": (chain(("mul", -3.0), "sigmoid"), True),
    "shifted sigmoid": (chain(("mul", -3.0), ("add", 2.0), "sigmoid"), False),
    "tanh": (chain(("mul", -1.0), "tanh"), True),
    "softplus": (chain(("mul", -1.0), "softplus"), True),
    "cut off": (chain(("mul", -1.0), "exp", ("zero_below", 0.125)), False),
    "clamped from above": (chain(("min", 2.0), ("mul", -1.0)), True),
    "floored": (chain(("mul", -1.0), ("max", -4.0)), True),
    "square": (chain("square", ("mul", -1.0)), False),
    "power": (chain(("add", 1.0), ("power", -1.5)), True),
    "divided by a root": (chain(("div_root", 3.0), ("mul", -1.0), "exp"), True),
    "rounded a hair below zero": (chain(("add", -1e-6), "abs", "sqrt", ("mul", -1.0)), False),
    "logarithm of a probability": (chain(("mul", -1.0), "exp", ("add", 1e-6), "log"), False),
}
Q = st.floats(0, 1e6)
NAMES = st.sampled_from(sorted(DECREASING))


def true_value(row: Chain, t: float) -> mpmath.mpf:
    value = mpmath.mpf(t)
    for step in row.steps:
        c = step.constants[0] if step.constants else F(0)
        value = REFERENCE[step.name](value, mpmath.mpf(c.numerator) / c.denominator)
    return value


def contains(found: End, truth: mpmath.mpf) -> bool:
    if isinstance(found, float):
        return False
    sign, mantissa, exponent, _ = truth._mpf_
    point = arb((-1) ** sign * int(mantissa)) * arb(2) ** int(exponent)
    return bool(arb(found).overlaps(arb(point, (abs(point) + 1) * arb(2) ** -300)))


@given(NAMES, Q, st.sampled_from([53, 64, 128]))
def test_the_ball_contains_the_value(name: str, q: float, precision: int) -> None:
    row, _ = DECREASING[name]
    with mpmath.workprec(500):
        truth = true_value(row, q)
    with ctx.workprec(precision):
        value = row.value(0, fmpq(*q.as_integer_ratio()))
    with ctx.workprec(600):
        assert contains(value, truth)


@pytest.mark.parametrize("q", [0.0, 1e-9, 5e-7, 1e-6, 2e-6, 1e-5])
@pytest.mark.parametrize("precision", [53, 128])
def test_a_hair_around_zero_has_a_value(q: float, precision: int) -> None:
    """The root of what encloses an absolute value, which no rounding makes negative."""
    row, _ = DECREASING["rounded a hair below zero"]
    exact = fmpq(*q.as_integer_ratio())
    with mpmath.workprec(500):
        truth = true_value(row, q)
    with ctx.workprec(precision):
        for end in (row.value(0, exact), *row.range(0, exact, exact)):
            assert not isinstance(end, float)
            assert arb(end).is_finite()
        least, most = row.range(0, exact, exact)
    with ctx.workprec(600):
        assert contains(row.value(0, exact), truth)
        assert not arb(least) > float(truth) + 1e-12
        assert not arb(most) < float(truth) - 1e-12


@given(NAMES, Q, Q, Q)
def test_a_range_contains_the_values_between_its_ends(
    name: str, first: float, second: float, third: float
) -> None:
    row, _ = DECREASING[name]
    low, q, high = sorted((first, second, third))
    for top in (fmpq(*high.as_integer_ratio()), math.inf):
        least, most = row.range(0, fmpq(*low.as_integer_ratio()), top)
        value = row.value(0, fmpq(*q.as_integer_ratio()))
        assert not value < least
        assert not value > most


@given(NAMES, Q, Q)
def test_accepted_chains_never_rise(name: str, first: float, second: float) -> None:
    row, _ = DECREASING[name]
    row.require_decreasing({0: (fmpq(0), math.inf)})
    near, far = sorted((first, second))
    if name.startswith("rounded"):
        near, far = max(near, 1e-6), max(far, 1e-6)
    with ctx.workprec(128):
        gap = row.value(0, fmpq(*near.as_integer_ratio()))
        assert not gap < row.value(0, fmpq(*far.as_integer_ratio()))


@pytest.mark.parametrize("name", sorted(DECREASING))
def test_curvature_is_known_where_the_rules_give_it(name: str) -> None:
    row, convex = DECREASING[name]
    with ctx.workprec(128):
        assert row.convex(0, fmpq(0), math.inf) is convex


@given(NAMES, Q, Q, st.floats(0, 8), st.floats(0, 100))
def test_a_tangent_stays_below_where_the_chain_is_convex(
    name: str, at: float, q: float, low: float, more: float
) -> None:
    row, _ = DECREASING[name]
    start, end = fmpq(*low.as_integer_ratio()), fmpq(*(low + more).as_integer_ratio())
    with ctx.workprec(200):
        if not row.convex(0, start, end):
            return
        t = start + (end - start) * fmpq(*(at / 1e6).as_integer_ratio())
        there = start + (end - start) * fmpq(*(q / 1e6).as_integer_ratio())
        tangent = row.value(0, t) + row.slope(0, t) * arb(there - t)
        assert not tangent > row.value(0, there)


@pytest.mark.parametrize("low", [-3.0, -math.inf])
def test_curvature_of_a_sigmoid_turns_at_zero(low: float) -> None:
    row = chain(("mul", -1.0), "sigmoid")
    assert row.convex(0, fmpq(0), math.inf)
    assert not row.convex(0, low if math.isinf(low) else fmpq(-3), math.inf)


REFUSED: dict[str, tuple[Chain, str]] = {
    "rises": (chain(("mul", 2.0)), "rises"),
    "logarithm of a distance that can be 0": (chain("log"), "'log'"),
    "reciprocal of what can be 0": (chain("reciprocal"), "'reciprocal'"),
    "root of what can be negative": (chain(("add", -1e-7), "sqrt", ("mul", -1.0)), "'sqrt'"),
    "distance to a radius": (chain(("add", -5.0), "abs", ("mul", -1.0)), "'abs'"),
    "square of a difference": (chain(("add", -5.0), "square", ("mul", -1.0)), "'square'"),
    "a jump up": (chain(("mul", -1.0), ("zero_below", -1.0)), "'zero_below'"),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_chain_without_a_direction_is_refused_with_the_step_that_broke_it(name: str) -> None:
    row, reason = REFUSED[name]
    with pytest.raises(DescriptionError, match=reason):
        row.require_decreasing({0: (fmpq(0), math.inf)})


@pytest.mark.parametrize(
    ("step", "constants"),
    [("mul", (0,)), ("div_root", (-1,)), ("exp", (1,)), ("add", ()), ("sine", ()), ("power", (0,))],
)
def test_a_step_that_is_none_is_refused(step: str, constants: tuple[Any, ...]) -> None:
    with pytest.raises(DescriptionError):
        Step(step, tuple(map(F, constants)))


def test_every_prototype_has_its_own_constant() -> None:
    row = Chain([Step("mul", (F(-1), F(-2))), Step("exp")])
    assert not row.uniform
    assert row.fits(2)
    assert not row.fits(3)
    first, second = (row.value(j, fmpq(1)) for j in range(2))
    assert first.overlaps(arb(-1).exp())
    assert second.overlaps(arb(-2).exp())


def test_a_jump_belongs_to_what_is_above() -> None:
    row = chain(("zero_below", 0.5))
    at, below = fmpq(1, 2), fmpq(1, 2) - fmpq(1, 10**40)
    assert (row.number(0, at), row.number(0, below)) == (at, fmpq(0))
    both = row.value(0, arb(at, 1e-30))
    assert both.contains(arb(0))
    assert both.contains(arb(at))


def test_an_end_that_is_only_approached_is_no_pole() -> None:
    row = chain(("mul", -1.0), "exp", "log")
    assert row.range(0, fmpq(0), math.inf)[0] == -math.inf
    row.require_decreasing({0: (fmpq(0), math.inf)})


NOTHING_BELOW: dict[str, tuple[Step, ...]] = {
    "1 / max(t, 0)": (Step("max", (Fraction(0),)), Step("reciprocal")),
    "log max(-t, 0)": (Step("mul", (Fraction(-1),)), Step("max", (Fraction(0),)), Step("log")),
    "1 / min(exp t, 0)": (Step("exp"), Step("min", (Fraction(0),)), Step("reciprocal")),
    "1 / (t from 1 on, else 0)": (Step("zero_below", (Fraction(1),)), Step("reciprocal")),
}


@pytest.mark.parametrize("name", NOTHING_BELOW)
def test_a_pole_that_is_attained_is_no_limit(name: str) -> None:
    chain = Chain(NOTHING_BELOW[name])
    assert chain.not_decreasing(0, -math.inf, math.inf)
    assert all(math.isnan(float(end)) for end in chain.range(0, -math.inf, math.inf))


def test_a_pole_that_is_approached_is_one() -> None:
    chain = Chain((Step("exp"), Step("max", (Fraction(0),)), Step("reciprocal")))
    assert not chain.not_decreasing(0, -math.inf, math.inf)
