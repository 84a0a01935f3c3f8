"""How a measurement becomes a similarity: a chain of functions of one variable, in exact numbers.

Nothing about a chain is declared. Its range over an interval is the image under one function after
the other (sound for any chain: each image is exact, and a number goes through all of them alone).
Its direction is the product of its functions' directions on the ranges that they see. Curvature
follows from the rules of composition (Boyd and Vandenberghe, Convex Optimization, section 3.2.4):
g(f) is convex where f is convex and g is convex and never falls, or f is concave and g is convex
and never rises; likewise concave; a line keeps or turns what comes after or before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

from flint import arb, ctx, fmpq

from protoproof.errors import DescriptionError
from protoproof.kernel.budget import SIMILARITY, spend
from protoproof.kernel.model.primitives import (
    APPROACHED,
    CONSTANTS,
    EXACT_BITS,
    PRIMITIVES,
    ZERO,
    End,
    Number,
    Shape,
    as_ball,
    at_least,
    below,
)
from protoproof.kernel.model.real import Real

MAX_STEPS = 64
_STILL = ("max", "min", "zero_below")  # functions that never fall, and do not rise everywhere
_PRECISION = 128  # bits with which shapes are derived


@dataclass(frozen=True)
class Step:
    """One function, with one constant for all prototypes, one for each, or none.

    Raises:
        DescriptionError: an unknown function, or a constant that it does not take.
    """

    name: str
    constants: tuple[Fraction | Real, ...] = ()

    def __post_init__(self) -> None:
        good = CONSTANTS.get(self.name)
        if self.name not in PRIMITIVES or (good is None) != (not self.constants):
            raise DescriptionError(f"a similarity's step {self.name!r} is unknown to the checker")
        if good is not None and not all(good(_exact(c)) for c in self.constants):
            raise DescriptionError(f"the constant of {self.name} in the similarity is out of range")


@dataclass(frozen=True)
class _Range:
    """The numbers between two ends. ``open``: the lower one is approached and never reached."""

    low: End
    high: End
    open: bool = False


class Chain:
    """A chain for all prototypes.

    Attributes:
        steps: as the network has them.
        uniform: whether all prototypes have the same constants.
        cost: steps of the budget that one value takes.

    Raises:
        DescriptionError: too many steps.
    """

    def __init__(self, steps: Sequence[Step] = ()) -> None:
        self.steps = tuple(steps)
        if len(self.steps) > MAX_STEPS:
            raise DescriptionError(f"a similarity has more than {MAX_STEPS} steps")
        self.uniform = all(len(set(step.constants)) <= 1 for step in self.steps)
        self.cost = SIMILARITY * (1 + len(self.steps))
        self._names: list[str] = []
        self._constants: list[list[fmpq | Real]] = []
        for step in self.steps:
            if step.name == "log" and self._names[-1:] == ["one_plus"]:
                self._names[-1] = "log_one_plus"  # one function: its shape is better known
                continue
            self._names.append(step.name)
            self._constants.append([_kept(c) for c in step.constants] or [ZERO])

    def fits(self, prototypes: int) -> bool:
        """Whether every step has one constant, or one for each of so many prototypes."""
        return all(len(step.constants) in (0, 1, prototypes) for step in self.steps)

    def value(self, prototype: int, t: Number) -> arb:
        """A ball around the similarity at a measurement (NaN where that fails)."""
        return as_ball(self.number(prototype, t))

    def number(self, prototype: int, t: Number) -> Number:
        """The similarity at a measurement: exact as long as everything rational keeps it so."""
        for name, c in self._through(prototype):
            t = _applied(name, t, c)
        return t

    def slope(self, prototype: int, t: Number) -> arb:
        """A ball around the derivative; at a kink, around all slopes between the two sides."""
        total = arb(1)
        for name, c in self._through(prototype):
            total *= PRIMITIVES[name].slope(t, c)
            t = _applied(name, t, c)
        return total

    def range(self, prototype: int, low: End, high: End) -> tuple[End, End]:
        """Bounds of the similarity over a range of measurements; NaN where it is not defined."""
        here = _Range(low, high)
        for name, c in self._through(prototype):
            here = _image(name, here, c)
        return here.low, here.high

    def convex(self, prototype: int, low: End, high: End) -> bool:
        """Whether the similarity is certainly convex on a range of measurements."""
        return self._shape(prototype, low, high).convex

    def not_decreasing(self, prototype: int, low: End, high: End) -> str:
        """Why the similarity may rise over a range of measurements; empty where it never does."""
        rises, why = self._direction(prototype, low, high)
        return why or ("" if rises == -1 else "the chain of its steps rises")

    def never_falls(self, prototype: int, low: End, high: End) -> bool:
        """Whether the similarity certainly never falls over a range of measurements."""
        spend("the similarities' directions", self.cost)
        with ctx.workprec(_PRECISION):
            return self._direction(prototype, low, high)[0] == 1

    def _direction(self, prototype: int, low: End, high: End) -> tuple[int, str]:
        """1 or -1, where the similarity rises or falls; or 0, and why neither is certain."""
        rises = 1
        here = _Range(low, high)
        for name, c in self._through(prototype):
            direction = _shape(name, here, c).direction
            if direction is None and name in APPROACHED and _from_zero(here) and not here.open:
                return 0, (
                    f"step {name!r} has no finite value at 0, which its argument reaches: the "
                    "network adds no positive number to it"
                )
            if direction is None:
                return 0, f"step {name!r} has no direction there"
            rises *= direction
            here = _image(name, here, c)
        return rises, ""

    def _shape(self, prototype: int, low: End, high: End) -> Shape:
        here, shape = _Range(low, high), Shape(1, convex=True, concave=True)
        for name, c in self._through(prototype):
            outer = _shape(name, here, c)
            shape = _composed(outer, shape)
            here = _image(name, here, c)
        return shape

    def _through(self, prototype: int) -> Iterator[tuple[str, fmpq]]:
        for name, constants in zip(self._names, self._constants, strict=True):
            constant = constants[prototype if len(constants) > 1 else 0]
            # the primitives take a ball where they take a fraction
            yield name, cast(fmpq, constant.ball()) if isinstance(constant, Real) else constant

    def require_decreasing(self, ranges: Mapping[int, tuple[End, End]]) -> None:
        """Refuse a chain that may rise over the range of some prototype's measurement.

        Raises:
            DescriptionError: with the function that broke it.
        """
        seen: set[tuple[str, str, int]] = set()
        spend("the similarities' directions", self.cost * (1 if self.uniform else len(ranges)))
        with ctx.workprec(_PRECISION):
            for prototype, (low, high) in ranges.items():
                key = str(low), str(high), 0 if self.uniform else prototype
                if key in seen:
                    continue
                seen.add(key)
                name = self.not_decreasing(prototype, low, high)
                if name:
                    raise DescriptionError(
                        f"the similarity of prototype {prototype} does not certainly fall as its "
                        f"measurement rises: {name}"
                    )


def _kept(constant: Fraction | Real) -> fmpq | Real:
    """An irrational constant is evaluated where it is used, at the precision of that place."""
    return constant if isinstance(constant, Real) else _exact(constant)


def _exact(constant: Fraction | Real) -> fmpq:
    if isinstance(constant, Real):
        return cast(fmpq, constant.ball())
    return fmpq(constant.numerator, constant.denominator)


def _applied(name: str, t: Number, c: fmpq) -> Number:
    t = PRIMITIVES[name].value(t, c)
    if isinstance(t, fmpq) and max(abs(t.p).bit_length(), t.q.bit_length()) > EXACT_BITS:
        return arb(t)
    return t


def _shape(name: str, here: _Range, c: fmpq) -> Shape:
    if _at_pole(name, here, c):  # the argument is positive, and its shape is the same for all such
        return PRIMITIVES[name].shape(fmpq(1), math.inf, c)
    return PRIMITIVES[name].shape(here.low, here.high, c)


def _from_zero(here: _Range) -> bool:
    """Whether a range begins at 0 for certain, which a ball around 0 does not say."""
    return not isinstance(here.low, float) and bool(here.low == 0)


def _at_pole(name: str, here: _Range, c: fmpq) -> bool:
    positive = name != "log_one_plus" or c > 0
    return here.open and name in APPROACHED and _from_zero(here) and positive


def _image(name: str, here: _Range, c: fmpq) -> _Range:
    """The image of a range: its ends', in the order of the direction, and what lies inside."""
    primitive, shape = PRIMITIVES[name], _shape(name, here, c)
    minus, plus = primitive.limits(c)

    def end(t: End) -> End:
        if isinstance(t, float):
            return plus if t == math.inf else minus if t == -math.inf else math.nan
        return _applied(name, t, c)

    low = APPROACHED[name](c) if _at_pole(name, here, c) else end(here.low)
    high = end(here.high)
    opened = here.open or isinstance(here.low, float)
    if name in _STILL:  # attained, wherever the function does not rise from the lower end on
        opened = here.open and _rises_from(name, here.low, c)
    if shape.direction is None:
        inside = primitive.inside(c)
        if not inside:
            return _Range(math.nan, math.nan)
        return _Range(_least(low, high, *inside), _most(low, high, *inside))
    if name == "abs":
        # nothing where the argument is never negative; else from 0 on, and at the upper end holds
        # what no number below it exceeds: see ``_abs``
        return here if at_least(here.low, ZERO) else _Range(ZERO, high)
    if shape.direction == -1:
        return _Range(high, low, isinstance(here.high, float))
    return _Range(low, high, opened)


def _rises_from(name: str, low: End, c: fmpq) -> bool:
    return below(low, c) if name == "min" else at_least(low, c)


def _least(*ends: End) -> End:
    return -_most(*(-end for end in ends))


def _most(*ends: End) -> End:
    """The largest end; of balls, a ball around it; NaN if any is."""
    infinite = [end for end in ends if isinstance(end, float)]
    known = [end for end in ends if not isinstance(end, float)]
    if any(map(math.isnan, infinite)):
        return math.nan
    if math.inf in infinite or not known:
        return max(infinite)
    largest = known[0]
    for end in known[1:]:
        if isinstance(largest, fmpq) and isinstance(end, fmpq):
            largest = max(largest, end)
        else:
            largest = as_ball(largest).max(as_ball(end))
    return largest


def _composed(outer: Shape, inner: Shape) -> Shape:
    """The shape of g(f), for g on the range of f; the inner direction does not enter."""
    rises, falls = outer.direction == 1, outer.direction == -1
    return Shape(
        outer.direction,
        convex=(outer.convex and rises and inner.convex)
        or (outer.convex and falls and inner.concave)
        or (outer.convex and inner.convex and inner.concave),
        concave=(outer.concave and rises and inner.concave)
        or (outer.concave and falls and inner.convex)
        or (outer.concave and inner.convex and inner.concave),
    )
