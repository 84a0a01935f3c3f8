"""Whether a latent lies in a domain, in rationals: for witnesses, which have to be exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from protoproof.prover.latent.domain import Ball, Domain, Simplex, Sphere
from protoproof.prover.latent.reach import Reach


class Membership:
    """One domain for L locations of D channels; points are integers over a scale."""

    def __init__(self, domain: Domain, locations: int, channels: int) -> None:
        self._domain = domain
        box = domain.box(locations, channels)
        self._box = None if box is None else (box[0].tolist(), box[1].tolist())

    def inside(self, location: int, point: Sequence[int], scale: int) -> bool:
        """Whether one location respects everything that concerns it alone."""
        if self._box is None:
            return True
        lower, upper = self._box[0][location], self._box[1][location]
        if not all(
            _at_most(low, n, scale) and _at_least(high, n, scale)
            for low, high, n in zip(lower, upper, point, strict=True)
        ):
            return False
        match self._domain:
            case Ball(slack):
                return Fraction(sum(n * n for n in point), scale * scale) <= 1 + Fraction(slack)
            case Sphere(slack):
                return _near_one(sum(n * n for n in point), scale * scale, slack)
            case Simplex(slack):
                return _near_one(sum(point), scale, slack)
        return True

    def jointly(
        self,
        latent: Sequence[Sequence[int]],
        unit: int,
        moved: Mapping[int, tuple[Sequence[int], int]],
    ) -> bool:
        """Whether a latent, moved at some locations, respects all linear bounds."""
        if not isinstance(self._domain, Reach):
            return True
        for rows, bound in zip(
            self._domain.coefficients.tolist(), self._domain.bounds.tolist(), strict=True
        ):
            total = Fraction(0)
            for location, row in enumerate(rows):
                point, scale = moved.get(location, (latent[location], unit))
                for coefficient, n in zip(row, point, strict=True):
                    total += Fraction(coefficient) * Fraction(n, scale)
            if total < Fraction(bound):
                return False
        return True


def _at_most(low: float, numerator: int, scale: int) -> bool:
    n, unit = low.as_integer_ratio()
    return n * scale <= numerator * unit


def _at_least(high: float, numerator: int, scale: int) -> bool:
    if high == float("inf"):
        return True
    n, unit = high.as_integer_ratio()
    return numerator * unit <= n * scale


def _near_one(value: int, unit: int, slack: float) -> bool:
    return abs(Fraction(value, unit) - 1) <= Fraction(slack)
