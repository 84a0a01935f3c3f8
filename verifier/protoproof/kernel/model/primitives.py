"""The functions of one variable that chains are made of: values, ends, slopes and shapes.

A number is exact (a fraction) as long as only rational functions were applied, and a ball after
that. An end of a range may also be infinite, as a float. Comparisons of balls hold only where they
hold for every number in them, so a shape that is not certain is no shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from flint import arb, fmpq

from protoproof.kernel.arithmetic.exact import sigmoid

Number = fmpq | arb
# a float is plus or minus infinity
End = fmpq | arb | float

ZERO, ONE = fmpq(0), fmpq(1)
# an exact number that has more bits goes on as a ball
EXACT_BITS = 1 << 14
# How far |p|^2, rounded to float32, can be below itself: an argument of abs that is as little
# below 0 is taken for a distance, and abs for the identity (see ``_abs``).
HAIR = fmpq(1, 1 << 14)


class Shape(NamedTuple):
    """What is known about a function on a range.

    ``direction``: 1 never falls, -1 never rises, None neither is certain. ``convex`` and
    ``concave`` are both true of a line.
    """

    direction: int | None
    convex: bool = False
    concave: bool = False


class Primitive(NamedTuple):
    """One function t -> f(t) with a constant c.

    Attributes:
        value: f at a number (NaN where it is not defined).
        slope: f' there, as a ball; at a kink all slopes between the two sides.
        limits: f at minus and at plus infinity.
        shape: on a range; a direction of None with ``inside`` empty: not defined on all of it.
        inside: f at the points besides its ends where a range's extremes can be, or None where f
            is not defined between all ends.
    """

    value: Callable[[Number, fmpq], Number]
    slope: Callable[[Number, fmpq], Number]
    limits: Callable[[fmpq], tuple[End, End]]
    shape: Callable[[End, End, fmpq], Shape]
    inside: Callable[[fmpq], tuple[fmpq, ...]] = lambda c: ()


UNDEFINED = Shape(None)


def as_ball(number: Number) -> arb:
    """The number at the working precision."""
    return number if isinstance(number, arb) else arb(number)


def at_least(end: End, bound: fmpq) -> bool:
    """Whether an end is certainly no less than a fraction."""
    return end == math.inf if isinstance(end, float) else bool(end >= bound)


def at_most(end: End, bound: fmpq) -> bool:
    """Whether an end is certainly no more than a fraction."""
    return end == -math.inf if isinstance(end, float) else bool(end <= bound)


def above(end: End, bound: fmpq) -> bool:
    """Whether an end is certainly more than a fraction."""
    return end == math.inf if isinstance(end, float) else bool(end > bound)


def below(end: End, bound: fmpq) -> bool:
    """Whether an end is certainly less than a fraction."""
    return end == -math.inf if isinstance(end, float) else bool(end < bound)


def reciprocal(t: Number) -> Number:
    """1 / t; NaN at 0."""
    if isinstance(t, arb):
        return 1 / t
    return ONE / t if t else arb("nan")


def _line(sign: int) -> Shape:
    return Shape(sign, convex=True, concave=True)


def _scaled(c: fmpq) -> tuple[End, End]:
    return (-math.inf, math.inf) if c > 0 else (math.inf, -math.inf)


def _root_of(c: fmpq) -> arb:
    return arb(c).sqrt()


def _step(t: Number, c: fmpq, left: fmpq, right: fmpq) -> Number:
    """The slope of a function with a kink at c, of the slopes 0 and 1 beside it."""
    return left if t < c else right if t > c else arb(0.5, 0.5)


def _larger(t: Number, c: fmpq) -> Number:
    return t.max(arb(c)) if isinstance(t, arb) else max(t, c)


def _smaller(t: Number, c: fmpq) -> Number:
    return t.min(arb(c)) if isinstance(t, arb) else min(t, c)


def _clamped(low: End, high: End, c: fmpq) -> Shape:
    """max(t, c)."""
    inactive = at_least(low, c) or at_most(high, c)
    return Shape(1, convex=True, concave=inactive)


def _capped(low: End, high: End, c: fmpq) -> Shape:
    """min(t, c)."""
    inactive = at_least(low, c) or at_most(high, c)
    return Shape(1, convex=inactive, concave=True)


def _absolute(t: Number, c: fmpq) -> Number:
    """|t|, or what encloses it: the least |t| of several locations is not that of the least t where
    one of them is a hair below 0, so below a hair all between max(t, 0) and a hair may be it. Both
    ends of the enclosure rise with t. It is never negative, which a rounded radius forgets."""
    if t >= HAIR:
        return t
    if t >= 0:
        return as_ball(t).union(as_ball(HAIR)).nonnegative_part()
    return arb(0).union(as_ball(HAIR)).union(abs(as_ball(t))).nonnegative_part()


def _square(low: End, high: End, c: fmpq) -> Shape:
    if at_least(low, ZERO):
        return Shape(1, convex=True)
    return Shape(-1 if at_most(high, ZERO) else None, convex=True)


def _abs(low: End, high: End, c: fmpq) -> Shape:
    """|t| rises where t >= 0. Where rounding took t a hair below 0, it is enclosed in [0, |t|],
    whose ends do not fall; so it passes for rising, but for no shape."""
    if at_least(low, ZERO):
        return _line(1)
    return Shape(1) if at_least(low, -HAIR) else UNDEFINED


def _jump(t: Number, c: fmpq) -> Number:
    """0 below c, t from c on; a ball that holds c holds both."""
    if t < c:
        return ZERO
    if t >= c:
        return t
    return as_ball(t).union(arb(0))


def _jump_slope(t: Number, c: fmpq) -> Number:
    return ZERO if t < c else ONE if t >= c else arb("nan")


def _jump_shape(low: End, high: End, c: fmpq) -> Shape:
    if at_least(low, c):
        return _line(1)
    return Shape(1 if c >= 0 else None)


def _reciprocal_shape(low: End, high: End, c: fmpq) -> Shape:
    if above(low, ZERO):
        return Shape(-1, convex=True)
    return Shape(-1, concave=True) if below(high, ZERO) else UNDEFINED


def _one_plus(low: End, high: End, c: fmpq) -> Shape:
    """1 + c / t, where t has one sign."""
    bent = _reciprocal_shape(low, high, c)
    if bent.direction is None or c > 0:
        return bent
    return Shape(1, convex=bent.concave, concave=bent.convex)


def _log_one_plus_value(t: Number, c: fmpq) -> Number:
    """log(1 + c/t): no cancellation for large t."""
    return (arb(c) * as_ball(reciprocal(t))).log1p()


def _log_one_plus(low: End, high: End, c: fmpq) -> Shape:
    """log(t + c) - log t has the second derivative 1/t^2 - 1/(t + c)^2 for t > 0, t + c > 0."""
    if not above(low, ZERO) or not above(low, -c):
        return UNDEFINED
    return Shape(-1, convex=True) if c >= 0 else Shape(1, concave=True)


def _softplus(t: arb) -> arb:
    return t + (-t).exp().log1p() if t > 0 else t.exp().log1p()


def _s_shaped(low: End, high: End, c: fmpq) -> Shape:
    return Shape(1, convex=at_most(high, ZERO), concave=at_least(low, ZERO))


def _tanh_slope(t: Number, c: fmpq) -> Number:
    return 1 - as_ball(t).tanh() ** 2


def _sigmoid_slope(t: Number, c: fmpq) -> Number:
    return sigmoid(as_ball(t)) * sigmoid(-as_ball(t))


def _power(t: Number, c: fmpq) -> Number:
    if c.q == 1 and 0 < c.p <= 8 and isinstance(t, fmpq):
        return t ** int(c.p)
    return as_ball(t) ** arb(c)


def _power_slope(t: Number, c: fmpq) -> Number:
    return arb(c) * as_ball(t) ** arb(c - 1)


def _power_limits(c: fmpq) -> tuple[End, End]:
    return math.nan, math.inf if c > 0 else ZERO


def _power_shape(low: End, high: End, c: fmpq) -> Shape:
    if c < 0:
        return Shape(-1, convex=True) if above(low, ZERO) else UNDEFINED
    if not at_least(low, ZERO):
        return UNDEFINED
    return Shape(1, convex=c >= 1, concave=c <= 1)


def _on_positive(low: End, high: End, c: fmpq) -> Shape:
    """The logarithm."""
    return Shape(1, concave=True) if above(low, ZERO) else UNDEFINED


def _root_shape(low: End, high: End, c: fmpq) -> Shape:
    return Shape(1, concave=True) if at_least(low, ZERO) else UNDEFINED


_RISING: Callable[[fmpq], tuple[End, End]] = lambda c: (-math.inf, math.inf)  # noqa: E731

PRIMITIVES: dict[str, Primitive] = {
    "add": Primitive(lambda t, c: t + c, lambda t, c: ONE, _RISING, lambda a, b, c: _line(1)),
    "mul": Primitive(
        lambda t, c: t * c, lambda t, c: c, _scaled, lambda a, b, c: _line(1 if c > 0 else -1)
    ),
    "div_root": Primitive(
        lambda t, c: as_ball(t) / _root_of(c),
        lambda t, c: 1 / _root_of(c),
        _RISING,
        lambda a, b, c: _line(1),
    ),
    "max": Primitive(
        _larger, lambda t, c: _step(t, c, ZERO, ONE), lambda c: (c, math.inf), _clamped
    ),
    "min": Primitive(
        _smaller, lambda t, c: _step(t, c, ONE, ZERO), lambda c: (-math.inf, c), _capped
    ),
    "sqrt": Primitive(
        lambda t, c: as_ball(t).sqrt(),
        lambda t, c: 1 / (2 * as_ball(t).sqrt()),
        lambda c: (math.nan, math.inf),
        _root_shape,
    ),
    "square": Primitive(
        lambda t, c: t * t,
        lambda t, c: 2 * t,
        lambda c: (math.inf, math.inf),
        _square,
        lambda c: (ZERO,),
    ),
    "exp": Primitive(
        lambda t, c: as_ball(t).exp(),
        lambda t, c: as_ball(t).exp(),
        lambda c: (ZERO, math.inf),
        lambda a, b, c: Shape(1, convex=True),
    ),
    "log": Primitive(
        lambda t, c: as_ball(t).log(),
        lambda t, c: 1 / as_ball(t),
        lambda c: (math.nan, math.inf),
        _on_positive,
    ),
    "reciprocal": Primitive(
        lambda t, c: reciprocal(t),
        lambda t, c: -1 / as_ball(t) ** 2,
        lambda c: (ZERO, ZERO),
        _reciprocal_shape,
    ),
    "one_plus": Primitive(
        lambda t, c: 1 + c * reciprocal(t),
        lambda t, c: -arb(c) / as_ball(t) ** 2,
        lambda c: (ONE, ONE),
        _one_plus,
    ),
    "log_one_plus": Primitive(
        _log_one_plus_value,
        lambda t, c: -arb(c) / (as_ball(t) * (as_ball(t) + arb(c))),
        lambda c: (math.nan, ZERO),
        _log_one_plus,
    ),
    "sigmoid": Primitive(
        lambda t, c: sigmoid(as_ball(t)), _sigmoid_slope, lambda c: (ZERO, ONE), _s_shaped
    ),
    "tanh": Primitive(
        lambda t, c: as_ball(t).tanh(),
        _tanh_slope,
        lambda c: (-ONE, ONE),
        lambda a, b, c: Shape(1, convex=at_most(b, ZERO), concave=at_least(a, ZERO)),
    ),
    "softplus": Primitive(
        lambda t, c: _softplus(as_ball(t)),
        lambda t, c: sigmoid(as_ball(t)),
        lambda c: (ZERO, math.inf),
        lambda a, b, c: Shape(1, convex=True),
    ),
    "power": Primitive(_power, _power_slope, _power_limits, _power_shape),
    "abs": Primitive(
        _absolute,
        lambda t, c: ONE if t > 0 else -ONE if t < 0 else arb(0, 1),
        lambda c: (math.inf, math.inf),
        _abs,
        lambda c: (ZERO,),
    ),
    "zero_below": Primitive(
        _jump,
        _jump_slope,
        lambda c: (ZERO, math.inf),
        _jump_shape,
        lambda c: (ZERO, c),
    ),
}

# f where its argument approaches 0 from above and never reaches it: those with a pole there
APPROACHED: dict[str, Callable[[fmpq], float]] = {
    "log": lambda c: -math.inf,
    "reciprocal": lambda c: math.inf,
    "one_plus": lambda c: math.inf if c > 0 else -math.inf,
    "log_one_plus": lambda c: math.inf,
}
# what the constant of a step must be; the others take none
CONSTANTS: dict[str, Callable[[fmpq], bool]] = {
    "add": lambda c: True,
    "mul": lambda c: c != 0,
    "div_root": lambda c: c > 0,
    "max": lambda c: True,
    "min": lambda c: True,
    "one_plus": lambda c: c != 0,
    "power": lambda c: c != 0,
    "zero_below": lambda c: True,
}
