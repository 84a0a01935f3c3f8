"""Values that facts speak about, and how they are compared: exactly, or in balls where certain.

A measurement is a fraction, or (angular) n / |z| with a root below. The root is never taken for a
comparison: x -> sgn(x) x^2 rises, so n / |z| <= e exactly where sgn(n) n^2 / |z|^2 <= sgn(e) e^2.
What similarities went into (pooled values, activations) is a ball, evaluated at rising precision; a
comparison that stays open is *not* certain, and every use here is sound for that answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from math import isqrt
from typing import NamedTuple

from flint import arb, ctx, fmpq

from protoproof.kernel.arithmetic.exact import (
    GRID,
    Ratio,
    at_most,
    ball,
    decided,
    float_below,
    grid_ceiling,
    grid_floor,
    round_down,
    round_up,
)
from protoproof.kernel.model.primitives import EXACT_BITS, Number

# float64 steps between the ends of an exact premise about an irrational value, at most
IRRATIONAL_STEPS = 16


class Exact(NamedTuple):
    """numerator / unit, or with ``root`` the number with its sign whose square has that size."""

    numerator: int
    unit: int
    root: bool = False

    @property
    def rational(self) -> bool:
        """Whether float64 enclosures of it can be as tight as any."""
        return not self.root

    def at_least(self, bound: Ratio) -> bool:
        """Whether it is no less than a fraction."""
        return at_most(self._like(bound), (self.numerator, self.unit))

    def at_most(self, bound: Ratio) -> bool:
        """Whether it is no more than a fraction."""
        return at_most((self.numerator, self.unit), self._like(bound))

    def below(self, other: Exact) -> bool:
        """Whether it is less than another of its kind."""
        return self.numerator * other.unit < other.numerator * self.unit

    def same(self, other: Value) -> bool:
        """Whether it is certainly the same number."""
        return (
            isinstance(other, Exact)
            and self.root == other.root
            and self.numerator * other.unit == other.numerator * self.unit
        )

    def number(self) -> Number:
        """As a chain takes it: exact, or a ball where it is irrational or very long."""
        if self.root:
            square = ball((abs(self.numerator), self.unit)).sqrt()
            return square if self.numerator >= 0 else -square
        if self.unit.bit_length() > EXACT_BITS:
            return ball((self.numerator, self.unit))
        return fmpq(self.numerator, self.unit)

    def floor(self) -> int:
        """A lower bound, over ``2**GRID``."""
        if self.root:
            return _root_floor(self.numerator, self.unit)
        return grid_floor((self.numerator, self.unit))

    def ceiling(self) -> int:
        """An upper bound, over ``2**GRID``."""
        if self.root:
            return -_root_floor(-self.numerator, self.unit)
        return grid_ceiling((self.numerator, self.unit))

    def down(self) -> float:
        """The largest float64 that is not above."""
        if not self.root:
            return round_down((self.numerator, self.unit))
        found = round_down((self.floor(), 1 << GRID))
        while self.at_least(math.nextafter(found, math.inf).as_integer_ratio()):
            found = math.nextafter(found, math.inf)
        return found

    def up(self) -> float:
        """The smallest float64 that is not below."""
        if not self.root:
            return round_up((self.numerator, self.unit))
        return -Exact(-self.numerator, self.unit, True).down()

    def _like(self, bound: Ratio) -> Ratio:
        return (bound[0] * abs(bound[0]), bound[1] ** 2) if self.root else bound


@dataclass(frozen=True, slots=True)
class Approximate:
    """A number that ``evaluate`` encloses in a ball at the working precision."""

    evaluate: Callable[[], arb]

    @property
    def rational(self) -> bool:
        """Whether float64 enclosures of it can be as tight as any."""
        return False

    def at_least(self, bound: Ratio) -> bool:
        """Whether it is certainly no less than a fraction."""
        return decided(lambda: self.evaluate() - ball(bound))[0] > 0 or self._is(bound)

    def at_most(self, bound: Ratio) -> bool:
        """Whether it is certainly no more than a fraction."""
        return decided(lambda: self.evaluate() - ball(bound))[0] < 0 or self._is(bound)

    def same(self, other: Value) -> bool:
        """Whether it is certainly the same number."""
        return self is other

    def number(self) -> Number:
        """As a chain takes it."""
        return self.evaluate()

    def floor(self) -> int:
        """A lower bound, over ``2**GRID``; far below everything where there is none."""
        return _grid_below(self._ball(lambda: self.evaluate()))

    def ceiling(self) -> int:
        """An upper bound, over ``2**GRID``; far above everything where there is none."""
        return -_grid_below(self._ball(lambda: -self.evaluate()))

    def down(self) -> float:
        """A float64 that is not above: the largest, but where that stays open."""
        return float_below(self._ball(self.evaluate))

    def up(self) -> float:
        """A float64 that is not below."""
        return -float_below(self._ball(lambda: -self.evaluate()))

    def _is(self, bound: Ratio) -> bool:
        """Whether the ball is exactly this number: similarities attain some of their limits."""
        with ctx.workprec(128):
            found = self.evaluate()
            return bool(found.is_exact() and found == ball(bound))

    @staticmethod
    def _ball(evaluate: Callable[[], arb]) -> arb:
        with ctx.workprec(256):
            return evaluate()


Value = Exact | Approximate


def less(left: Value, right: Value) -> bool:
    """Whether one value is certainly less than another."""
    if isinstance(left, Exact) and isinstance(right, Exact) and left.root == right.root:
        return left.below(right)
    if left.same(right):
        return False
    return decided(lambda: _ball_of(right) - _ball_of(left))[0] > 0


def ordered(items: Iterable[int], value: Callable[[int], Value]) -> list[int]:
    """The items by their value, the least first; equal where the order is not certain."""
    values = {item: value(item) for item in items}

    def compare(first: int, second: int) -> int:
        left, right = values[first], values[second]
        return -1 if less(left, right) else int(less(right, left))

    return sorted(values, key=cmp_to_key(compare))


def least(values: Sequence[Value]) -> Value:
    """The least of values of one kind; in a ball where some are."""
    exact = [value for value in values if isinstance(value, Exact)]
    if len(exact) < len(values):
        return Approximate(lambda: _least_ball(values))
    found = exact[0]
    for value in exact[1:]:
        if value.below(found):
            found = value
    return found


def _least_ball(values: Sequence[Value]) -> arb:
    found = _ball_of(values[0])
    for value in values[1:]:
        found = found.min(_ball_of(value))
    return found


def tight(value: Value, low: float, high: float) -> bool:
    """Whether [low, high], which holds a value, is an *exact* premise about it: the tightest
    float64 enclosure, or, of what may be irrational, one of a few steps."""
    if value.rational:
        return (low, high) == (value.down(), value.up())
    return steps(low, high) <= IRRATIONAL_STEPS


def tight_below(value: Value, bound: float) -> bool:
    """Whether a bound is a value, rounded down to float64 (of what may be irrational: nearly)."""
    if value.rational:
        return bound == value.down()
    return value.at_least(bound.as_integer_ratio()) and not value.at_least(
        _after(bound, IRRATIONAL_STEPS).as_integer_ratio()
    )


def steps(low: float, high: float) -> int:
    """How many float64 steps lead from one number up to another; at most one more than matters."""
    count = 0
    while low < high and count <= IRRATIONAL_STEPS:
        low, count = math.nextafter(low, math.inf), count + 1
    return count


def _after(number: float, count: int) -> float:
    for _ in range(count):
        number = math.nextafter(number, math.inf)
    return number


def _ball_of(value: Value) -> arb:
    number = value.number()
    return number if isinstance(number, arb) else arb(number)


def _root_floor(numerator: int, unit: int) -> int:
    """The root of a ratio with its sign, over ``2**GRID`` and rounded down."""
    size = abs(numerator) << (2 * GRID)
    root = isqrt(size // unit)
    if numerator >= 0:
        return root
    return -root if root * root * unit == size else -root - 1


def _grid_below(value: arb) -> int:
    if not value.is_finite():
        return -(1 << 4 * GRID)
    mantissa, exponent = value.lower().man_exp()
    power = int(exponent) + GRID
    return int(mantissa) << power if power >= 0 else int(mantissa) >> -power
