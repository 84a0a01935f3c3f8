"""Similarities of every kind: values, ranges and directions, against interval arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx, fmpq
from mpmath import iv, mp, mpf

from protoproof.errors import DescriptionError
from protoproof.kernel.model.chain import (
    MAX_STEPS,
    Chain,
    Step,
    _composed,
    _image,
    _least,
    _most,
    _Range,
)
from protoproof.kernel.model.primitives import (
    EXACT_BITS,
    HAIR,
    PRIMITIVES,
    ZERO,
    End,
    Shape,
    as_ball,
)
from protoproof.kernel.model.real import Real
from tests.support.kernel.algebra import COUNT, Program, made
from tests.support.kernel.second_heads import image

ONE_OF_EACH = {
    made(name, 0).kind.chain: name
    for name in ("distances", "folded norms", "roots of distances", "own temperatures", "angles",
                 "own scales of angles", "angles, cut off", "means of distances",
                 "products of positive numbers", "sigmoids of products")
}  # fmt: skip
NEAR = 1e-12


def chain_of(name: str) -> tuple[Chain, Program]:
    here = made(name, 1)
    if here.kind.pooling != "nearest":
        return here.head.inner, here.inner
    return here.head.chain, here.program


def number(end: End) -> float:
    return end if isinstance(end, float) else float(as_ball(end).mid())


def exactly(end: float) -> End:
    return end if math.isinf(end) else fmpq(*end.as_integer_ratio())


@pytest.mark.trust(22)
@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_values_and_ranges_are_those_of_the_steps(kind: str) -> None:
    chain, program = chain_of(ONE_OF_EACH[kind])
    assert chain.uniform == all(len(set(c)) <= 1 for _, c in program)
    rng = np.random.default_rng(2)
    positive = made(ONE_OF_EACH[kind], 1).kind.geometry == "euclidean"
    with mp.workprec(200), ctx.workprec(160):
        iv.prec = 200
        for _ in range(12):
            low, high = sorted(float(x) for x in rng.normal(0.3, 0.6, 2))
            if positive:
                low, high = abs(low), abs(low) + abs(high)
            if rng.random() < 0.3:
                high = math.inf
            if rng.random() < 0.2:
                low = 0.0 if positive else -math.inf
            for j in range(COUNT):
                found = [number(e) for e in chain.range(j, exactly(low), exactly(high))]
                wanted = [float(mpf(e.a)) for e in image(program, j, low, high)]
                assert found == pytest.approx(wanted, abs=NEAR)
                point = low if math.isfinite(low) else 0.5
                assert float(chain.value(j, exactly(point)).mid()) == pytest.approx(
                    float(mpf(image(program, j, point, point)[0].a)), abs=NEAR
                )
                _slope(chain, program, j, point)


def _slope(chain: Chain, program: Program, j: int, t: float) -> None:
    """The derivative is the quotient of small differences, where there is no kink."""
    step = mpf(2) ** -40
    ends = [image(program, j, mpf(t) + s, mpf(t) + s)[0] for s in (0, step)]
    wanted = float(mpf(((ends[1] - ends[0]) / step).a))
    found = chain.slope(j, exactly(t))
    if found.is_finite() and float(found.rad()) < NEAR:
        assert float(found.mid()) == pytest.approx(wanted, abs=1e-6)


def test_a_chain_of_equal_constants_is_one_for_all() -> None:
    steps = [Step("add", (Fraction(1),)), Step("mul", (Fraction(-2), Fraction(-2)))]
    assert Chain(steps).uniform
    assert not Chain([*steps, Step("add", (Fraction(1), Fraction(2)))]).uniform
    assert Chain(steps).fits(2)
    assert not Chain(steps).fits(3)


def test_one_constant_that_a_step_does_not_take_is_enough() -> None:
    with pytest.raises(DescriptionError):
        Step("div_root", (Fraction(1), Fraction(-1)))


def test_a_logarithm_after_something_else_is_a_logarithm() -> None:
    add, log = Step("add", (Fraction(1),)), Step("log")
    assert abs(Chain([add, log]).value(0, fmpq(1)) - arb(2).log()) < 1e-12
    one_plus = Step("one_plus", (Fraction(3),))
    assert abs(Chain([one_plus, log]).value(0, fmpq(1)) - arb(4).log()) < 1e-12
    assert abs(Chain([add, one_plus, log]).value(0, fmpq(2)) - arb(2).log()) < 1e-12
    twice = Chain([one_plus, Step("mul", (Fraction(2),))])
    assert twice.number(0, fmpq(1)) == 8


@pytest.mark.parametrize(
    ("steps", "falls", "never_falls"),
    [
        ([Step("mul", (Fraction(-1),))], True, False),
        ([Step("mul", (Fraction(2),))], False, True),
        ([Step("mul", (Fraction(-1),)), Step("exp")], True, False),
        ([Step("mul", (Fraction(-1),)), Step("mul", (Fraction(-1),))], False, True),
    ],
)
def test_directions(steps: list[Step], falls: bool, never_falls: bool) -> None:
    chain = Chain(steps)
    ends = fmpq(0), fmpq(5)
    found = chain.not_decreasing(0, *ends), chain.never_falls(0, *ends)
    assert (not found[0], found[1]) == (falls, never_falls)


def steps(*names: str | tuple[str, Any]) -> Chain:
    """Each with one constant, or none."""
    return Chain([Step(n) if isinstance(n, str) else Step(n[0], (Fraction(n[1]),)) for n in names])


INF, NAN = math.inf, math.nan
SOME: list[End] = [-INF, fmpq(-1), fmpq(2), arb(0, 1), arb(5, 1), INF, NAN]


def test_the_largest_and_the_least_of_ends() -> None:
    for ends in product(SOME, repeat=3):
        lows, highs = [lower(e) for e in ends], [-lower(-e) for e in ends]
        most, least = _most(*ends), _least(*ends)
        if any(map(math.isnan, highs)):
            assert math.isnan(float(most))
            assert math.isnan(float(least))
            continue
        for found, sides in ((most, (max(lows), max(highs))), (least, (min(lows), min(highs)))):
            assert (lower(found), -lower(-found)) == pytest.approx(sides, abs=1e-8)
            assert isinstance(found, fmpq) or not all(isinstance(e, fmpq) for e in ends)


CONSTANTS = {
    "add": (-2, 1), "mul": (-2, 3), "div_root": (4,), "max": (-1, 1), "min": (-1, 1),
    "one_plus": (-2, 3), "log_one_plus": (Fraction(-1, 2), Fraction(1, 2), 3),
    "power": (-1, Fraction(1, 2), 2), "zero_below": (0, 1),
}  # fmt: skip
NUMBERS = (-INF, -3, -1, 0, Fraction(1, 4), 1, 2, INF)
# from 0 on also without it
RANGES = [(a, b, opened) for a in NUMBERS[:-1] for b in NUMBERS[1:] for opened in (False, True)
          if a <= b and not (opened and (a != 0 or b == 0))]  # fmt: skip


def exact(value: Any) -> fmpq:
    return fmpq(Fraction(value).numerator, Fraction(value).denominator)


def end(value: Any) -> End:
    return value if isinstance(value, float) else exact(value)


def lower(value: End) -> float:
    return value if isinstance(value, float) else float(as_ball(value).lower())


@pytest.mark.trust(22)
@pytest.mark.parametrize(
    ("name", "c"), [(name, c) for name in PRIMITIVES for c in CONSTANTS.get(name, (0,))]
)
def test_images_of_ranges(name: str, c: Any) -> None:
    """Their ends are the extreme values; open is a lower end that no number of the range takes."""
    primitive, constant = PRIMITIVES[name], exact(c)
    poles = {
        "abs": 0,
        "log": -INF,
        "reciprocal": INF,
        "log_one_plus": INF,
        "one_plus": c * INF if c else NAN,
    }
    for low, high, opened in RANGES:
        found = _image(name, _Range(end(low), end(high), opened), constant)
        points = [t for t in (*(Fraction(n, 4) for n in range(-20, 21)), Fraction(c))
                  if low <= t <= high and not (opened and t == low)]  # fmt: skip
        values = [as_ball(primitive.value(exact(t), constant)) for t in points]
        if name == "abs" and low >= 0:
            values = [as_ball(exact(t)) for t in points]  # no number of the range is below 0
        known = all(v.is_finite() for v in values) and not (name == "log_one_plus" and low + c < 0)
        if not known or (name == "power" and (low < 0 or (low == 0 and c < 0))):
            assert math.isnan(float(found.low))
            continue
        limits = zip((low, high), primitive.limits(constant), strict=True)
        beyond = [number(e) for t, e in limits if isinstance(t, float)]
        if opened:
            beyond.append(poles.get(name, number(primitive.value(ZERO, constant))))
        lows = [float(v.lower()) for v in values] + beyond
        highs = [float(v.upper()) for v in values] + beyond
        assert lower(found.low) == pytest.approx(min(lows), abs=1e-8)
        assert -lower(-found.high) == pytest.approx(max(highs), abs=1e-8)
        if not isinstance(found.low, float):
            assert found.open == all(v > lower(found.low) + 1e-8 for v in lows[: len(values)])


def test_a_hair_below_zero_an_absolute_value_is_enclosed() -> None:
    for low, high, most in ((-HAIR, HAIR / 2, HAIR), (-HAIR / 2, -HAIR / 4, HAIR), (-HAIR, 2, 2)):
        found = _image("abs", _Range(low, fmpq(high)), ZERO)
        assert found.low == 0
        assert float(as_ball(found.high).upper()) == pytest.approx(float(as_ball(most).mid()))
    assert _image("abs", _Range(-HAIR, INF), ZERO) == _Range(ZERO, INF)
    here = _Range(arb(1, 0.5), fmpq(3), True)
    assert _image("abs", here, ZERO) is here


def test_a_ball_around_zero_is_no_zero_that_is_approached() -> None:
    assert math.isnan(float(_image("log", _Range(arb(0, 1), fmpq(3), True), ZERO).low))
    assert _image("log", _Range(arb(0), fmpq(1), True), ZERO).low == -INF


SHAPES = [Shape(d, a, b) for d in (1, -1, None) for a in (False, True) for b in (False, True)]


@pytest.mark.parametrize("outer", SHAPES)
def test_shapes_compose_as_boyd_and_vandenberghe_say(outer: Shape) -> None:
    for inner in SHAPES:
        line = inner.convex and inner.concave
        bends = {1: (inner.convex, inner.concave), -1: (inner.concave, inner.convex)}
        same, other = bends.get(outer.direction or 0, (False, False))
        wanted = outer.convex and (same or line), outer.concave and (other or line)
        assert _composed(outer, inner) == (outer.direction, *wanted)


def test_curvature_of_few_steps() -> None:
    ends = fmpq(0), fmpq(5)
    assert Chain().convex(0, *ends)
    assert steps("square").convex(0, *ends)
    assert not steps("sqrt").convex(0, *ends)
    assert not steps(("mul", -1), "square", ("mul", -1)).convex(0, *ends)
    assert steps(("add", 1), ("one_plus", 2), "log").convex(0, *ends)  # one function
    assert steps(("one_plus", 2), "log").convex(0, fmpq(1), fmpq(5))
    assert not steps(("one_plus", 2), ("mul", 1), "log").convex(0, fmpq(1), fmpq(5))


def test_long_numbers_go_on_as_balls() -> None:
    """Of either sign, and above or below the line."""
    longest = fmpq(1 << (EXACT_BITS - 1))
    for t in (longest, -longest, 1 / longest):
        assert isinstance(steps(("mul", 1)).number(0, t), fmpq)
        assert isinstance(steps(("mul", 1)).number(0, t * 2 if abs(t) > 1 else t / 2), arb)


def test_only_so_many_steps() -> None:
    steps(*["exp"] * MAX_STEPS)
    with pytest.raises(DescriptionError, match="more than 64"):
        steps(*["exp"] * (MAX_STEPS + 1))


def test_constants_that_are_no_fractions() -> None:
    root = Real("exp", Fraction(1, 2))
    for precision in (64, 300):
        with ctx.workprec(precision):
            found = Chain([Step("add", (root, Fraction(1)))])
            assert abs(found.value(0, fmpq(0)) - (arb(1) / 2).exp()) < arb(2) ** (8 - precision)
            assert found.number(1, fmpq(2)) == 3
    assert not Chain([Step("add", (root, Fraction(1)))]).uniform
    with ctx.workprec(64):
        found = Chain([Step("div_root", (root,))])
        assert abs(found.value(0, fmpq(1)) - (-arb(1) / 4).exp()) < 1e-15


FALLING = {0: (fmpq(0), fmpq(1)), 1: (fmpq(0), fmpq(1))}


@pytest.mark.parametrize(
    ("steps_", "other"),
    [(("square", ("mul", -1)), (-3, 1)), ((("add", -4), "square"), (0, 9))],
)
def test_every_range_of_every_prototype_is_looked_at(
    steps_: tuple[Any, ...], other: tuple[int, int]
) -> None:
    """Also one of which an end was seen before, or both with another constant."""
    chain = steps(*steps_)
    chain.require_decreasing(FALLING)
    with pytest.raises(DescriptionError, match="of prototype 1 "):
        chain.require_decreasing({0: FALLING[0], 1: (fmpq(other[0]), fmpq(other[1]))})
    own = Chain([Step("mul", (Fraction(-1), Fraction(1)))])
    with pytest.raises(DescriptionError, match="of prototype 1 "):
        own.require_decreasing(FALLING)
    steps(("mul", -1)).require_decreasing(FALLING)
    assert not own.never_falls(0, fmpq(0), fmpq(1))
    assert own.never_falls(1, fmpq(0), fmpq(1))


def test_why_a_direction_is_not_known() -> None:
    for name in ("log", "reciprocal"):
        assert "no finite value at 0" in steps(name).not_decreasing(0, fmpq(0), INF)
        assert "no direction there" in steps(name).not_decreasing(0, fmpq(-1), INF)
        assert not steps(name).never_falls(0, fmpq(0), INF)
    assert "no direction there" in steps("sqrt").not_decreasing(0, fmpq(-1), INF)
    assert not steps("sqrt").never_falls(0, fmpq(-1), INF)
    turned = steps(("mul", -1), "square", ("mul", -1))
    assert turned.never_falls(0, fmpq(-2), fmpq(-1))
    assert not turned.never_falls(0, fmpq(-2), fmpq(1))
    assert "no direction there" in steps("abs").not_decreasing(0, fmpq(-5), fmpq(0))
    assert "chain of its steps rises" in steps("exp").not_decreasing(0, fmpq(0), INF)
    exponentials = steps("exp", "log")  # towards 0, which is not reached
    assert exponentials.never_falls(0, -INF, fmpq(0))
    shifted = steps("exp", ("one_plus", Fraction(-1, 2)), "log")
    assert "no direction there" in shifted.not_decreasing(0, -INF, fmpq(0))
