"""The Lagrangian bound written out in fractions, channel by channel: what rows are equal to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

Ends = Sequence[Fraction | None]


@dataclass(frozen=True)
class Form:
    """A |z|^2 + <g, z> + c."""

    square: Fraction
    slope: tuple[Fraction, ...]
    constant: Fraction

    def plus(self, factor: Fraction, other: Form) -> Form:
        return Form(
            self.square + factor * other.square,
            tuple(a + factor * b for a, b in zip(self.slope, other.slope, strict=True)),
            self.constant + factor * other.constant,
        )

    def at(self, z: Sequence[Fraction]) -> Fraction:
        total = self.constant + self.square * sum((x * x for x in z), Fraction(0))
        return total + sum((g * x for g, x in zip(self.slope, z, strict=True)), Fraction(0))


def least(form: Form, lower: Ends, upper: Ends) -> Fraction | None:
    """The least value over a box, some of whose ends may be infinite; None: there is none."""
    total = form.constant
    for g, low, high in zip(form.slope, lower, upper, strict=True):
        ends = [x for x in (low, high) if x is not None]
        if form.square > 0:
            vertex = -g / (2 * form.square)
            if (low is None or vertex >= low) and (high is None or vertex <= high):
                ends.append(vertex)
        elif low is None or high is None:
            # without curvature it falls towards an open end, or stays level, or rises
            falls = (low is None and g > 0) or (high is None and g < 0)
            if form.square < 0 or falls:
                return None
            ends = ends or [Fraction(0)]
        total += min(form.square * x * x + g * x for x in ends)
    return total


def bound(
    form: Form,
    charged: Sequence[tuple[Form, Fraction | None, Fraction | None]],
    multipliers: Sequence[Fraction],
    lower: Ends,
    upper: Ends,
) -> Fraction | None:
    """The lower bound of a form that multipliers of functions with known ends prove; None: none."""
    charges = Fraction(0)
    for (other, low, high), t in zip(charged, multipliers, strict=True):
        form = form.plus(t, other)
        end = high if t > 0 else low
        if t and end is None:
            return None
        charges += t * end if t and end is not None else 0
    found = least(form, lower, upper)
    return None if found is None else found - charges
