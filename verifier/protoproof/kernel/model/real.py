"""Irrational constants that a graph computes from stored numbers: formulas, evaluated in balls."""

from __future__ import annotations

from fractions import Fraction
from typing import Union

from flint import arb, ctx

from protoproof.errors import ModelError
from protoproof.kernel.arithmetic.exact import PRECISIONS, certain_sign

_LONGEST = 1 << 8
_LARGEST = 1 << 12  # bits of what is rounded to an integer
Rational = int | Fraction
Constant = Union["Real", Fraction]


class Real:
    """``kind`` of ``parts``: sum, product, quotient, root, exp or log. Equal where written alike.

    Comparisons are True only where they are certain.
    """

    __slots__ = ("_key", "_known", "_size")
    _size: int

    def __init__(self, kind: str, *parts: Real | Rational) -> None:
        self._key = kind, tuple(p if isinstance(p, Real) else Fraction(p) for p in parts)
        self._known: dict[int, arb] = {}
        # formulas are compared and hashed part by part, however often they share one
        self._size = 1 + sum(part._size for part in parts if isinstance(part, Real))
        if self._size > _LONGEST:
            raise ModelError("model: a constant of the head is computed in too many steps")

    def ball(self) -> arb:
        """A ball around the number, at the working precision.

        Raises:
            ModelError: the formula has no value.
        """
        if ctx.prec not in self._known:
            kind, parts = self._key
            values = [_ball(part) for part in parts]
            found = {
                "sum": lambda: values[0] + values[1],
                "product": lambda: values[0] * values[1],
                "quotient": lambda: values[0] / values[1],
                "root": lambda: values[0].sqrt(),
                "exp": lambda: values[0].exp(),
                "log": lambda: values[0].log(),
            }[kind]()
            if not found.is_finite():
                raise ModelError(f"model: a constant of the head has no value: {kind}")
            self._known[ctx.prec] = found
        return self._known[ctx.prec]

    def formula(self) -> str:
        """In prefix form: the kind, then its parts; fractions as n/d."""
        kind, parts = self._key
        words = (
            part.formula() if isinstance(part, Real) else f"{part.numerator}/{part.denominator}"
            for part in parts
        )
        return " ".join((kind, *words))

    def sign(self) -> int:
        """1 or -1 where that is certain, else 0."""
        for precision in PRECISIONS:
            with ctx.workprec(precision):
                found = certain_sign(self.ball())
            if found:
                return found
        return 0

    def floor(self, shift: int) -> int:
        """An integer n with n <= this * 2**shift < n + 2."""
        with ctx.workprec(shift + 128):
            scaled = self.ball() * (arb(2) ** shift)
            ends = [scaled.lower(), scaled.upper()] if abs(scaled) < arb(2) ** _LARGEST else []
            low, high = [end.floor().unique_fmpz() for end in ends] or (None, None)
        if low is None or high is None or high - low > 1:
            raise ModelError("model: a constant of the head is too long")
        return int(low)

    def __add__(self, other: Real | Rational) -> Real:
        return self if other == 0 else Real("sum", self, other)

    def __mul__(self, other: Real | Rational) -> Real | int:
        if not isinstance(other, Real):
            return 0 if other == 0 else self if other == 1 else Real("product", self, other)
        return Real("product", self, other)

    def __truediv__(self, other: Real | Rational) -> Real:
        return self if other == 1 else Real("quotient", self, other)

    def __rtruediv__(self, other: Rational) -> Real:
        return Real("quotient", other, self)

    def __neg__(self) -> Real:
        return Real("product", self, -1)

    __radd__, __rmul__ = __add__, __mul__

    def __lt__(self, other: Real | Rational) -> bool:
        return (self + other * -1).sign() < 0

    def __gt__(self, other: Real | Rational) -> bool:
        return (self + other * -1).sign() > 0

    __le__, __ge__ = __lt__, __gt__

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Real) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


def _ball(part: Real | Fraction) -> arb:
    return part.ball() if isinstance(part, Real) else arb(part.numerator) / arb(part.denominator)
