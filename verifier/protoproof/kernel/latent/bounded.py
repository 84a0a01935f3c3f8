"""Bounded domains in exact numbers: their box, their constraints, and who lies in them.

Sphere, ball and simplex contain, with a slack for float32 rounding, what a normalisation or a
softmax over channels outputs: |z|^2 = 1, at most 1, and z >= 0, sum z = 1. Their boxes follow: no
channel of a ball exceeds the norm, sqrt(1 + slack) <= 1 + slack; none of the simplex exceeds the
sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate.schema import (
    BallDomain,
    BoxDomain,
    ReachDomain,
    SimplexDomain,
    SphereDomain,
)
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import Ratio, at_most, decode_floats, hex_ratio
from protoproof.kernel.budget import OPERATION, hold, integer, limbs, spend, stored
from protoproof.kernel.latent.domain import Constraint, Ends, Joint, LatentDomain

Array = NDArray[np.float64]
Stated = BoxDomain | SphereDomain | BallDomain | SimplexDomain | ReachDomain


class BoundedDomain(LatentDomain):
    """A box per location, with constraints; ``slack``: of sphere, ball and simplex."""

    def __init__(self, kind: str, locations: int, channels: int, slack: Ratio = (0, 1)) -> None:
        super().__init__(locations, channels)
        self.kind, self.slack = kind, slack
        self.bounded = True
        self._ends: list[Ends] = []
        self._seen: dict[int, list[Constraint]] = {}

    @classmethod
    def alike(
        cls, kind: str, shape: tuple[int, int], lower: Ratio, upper: Ratio | None, slack: Ratio
    ) -> BoundedDomain:
        """The same ends everywhere; all denominators are powers of two.

        Raises:
            CertificateError: the box is empty.
        """
        if upper is not None and not at_most(lower, upper):
            raise CertificateError("domain: the box is empty")
        result = cls(kind, *shape, slack)
        shift = max(lower[1], 1 if upper is None else upper[1]).bit_length() - 1
        low = (lower[0] << shift) // lower[1]
        high = None if upper is None else (upper[0] << shift) // upper[1]
        hold("the domain", 16 * result.channels + 8 * result.locations)
        result.shift = shift
        result.size = limbs(max(abs(low), abs(high or 0)).bit_length())
        one = [low] * result.channels, [high] * result.channels
        result._ends = [one] * result.locations
        return result

    @classmethod
    def around(
        cls, lower: Array, upper: Array, forms: Sequence[tuple[Array, Ratio]] = ()
    ) -> BoundedDomain:
        """The box [lower, upper] (each [L, D]), where every form (its coefficients [L, D]) is at
        least its bound.

        Raises:
            CertificateError: an interval is empty.
        """
        if (lower > upper).any():
            raise CertificateError("domain: an interval of the reach box is empty")
        result = cls("reach", *lower.shape)
        result.uniform = False
        together = np.concatenate([t.ravel() for t in (lower, upper, *(form for form, _ in forms))])
        result.size = float64_width(together)
        spend("the stated box and bounds", together.size * (16 * OPERATION + 64 * result.size))
        hold("the stated box and bounds", 2 * stored(together.size, result.size))
        numbers, result.shift = float64_integers(together)
        channels, count = result.channels, lower.size
        rows = [
            [numbers[at : at + channels] for at in range(start, start + count, channels)]
            for start in range(0, len(numbers), count)
        ]
        result._ends = [(low, list(high)) for low, high in zip(rows[0], rows[1], strict=True)]
        result.joints = [
            Joint(slopes, bound, list(map(_most, slopes, rows[0], rows[1])))
            for slopes, (_, bound) in zip(rows[2:], forms, strict=True)
        ]
        return result

    def ends(self, location: int) -> Ends:
        """Lower and upper end of every channel at a location (None: infinite)."""
        return self._ends[location]

    def constraints(self, location: int) -> list[Constraint]:
        """The domain's constraints as one location sees them.

        A linear bound <c, z> >= d over all locations is, for one of them, <c_l, z_l> >= d - m,
        with m the most that <c, z> can be over the boxes of all the others.
        """
        if location not in self._seen:
            each = self.locations * integer(2 * self.size)
            cost = OPERATION * self.channels + 4 * len(self.joints) * each
            spend("the domain's constraints", cost)
            alone = (self._alone(joint, location) for joint in self.joints)
            self._seen[location] = [*self.local(), *alone]
        return self._seen[location]

    def local(self) -> list[Constraint]:
        """The constraints that concern one location at a time."""
        numerator, unit = self.slack
        around = (unit - numerator, unit), (unit + numerator, unit)
        if self.kind in ("sphere", "ball"):
            least = around[0] if self.kind == "sphere" else (0, 1)
            return [Constraint(1, [0] * self.channels, least, around[1])]
        if self.kind == "simplex":
            return [Constraint(0, [1 << self.shift] * self.channels, *around)]
        return []

    def _alone(self, joint: Joint, location: int) -> Constraint:
        most = sum(joint.most) - joint.most[location]
        numerator, unit = joint.bound
        square = 1 << (2 * self.shift)
        low = numerator * square - most * unit, unit * square
        return Constraint(0, joint.slopes[location], low, None)

    def outside(self, location: int, numerators: Sequence[int], denominator: int) -> str | None:
        """Where the point numerators / denominator leaves the domain at a location, or None."""
        lower, upper = self._ends[location]
        for channel, numerator in enumerate(numerators):
            value, end = numerator << self.shift, upper[channel]
            if value < lower[channel] * denominator:
                return f"location {location}, channel {channel}"
            if end is not None and value > end * denominator:
                return f"location {location}, channel {channel}"
        square = sum(n * n for n in numerators)
        for constraint in self.local():
            linear = sum(s * n for s, n in zip(constraint.slope, numerators, strict=True))
            value = (constraint.square * square << self.shift) + linear * denominator
            if not _within(constraint, (value, denominator * denominator << self.shift)):
                return f"location {location} ({self.kind})"
        return None

    def outside_jointly(self, points: Mapping[int, tuple[Sequence[int], int]]) -> str | None:
        """The first linear bound that a latent (all locations) breaks, or None."""
        for index, joint in enumerate(self.joints):
            sums: dict[int, int] = {}  # by unit: most locations share one
            for location, (numerators, denominator) in points.items():
                slopes = joint.slopes[location]
                part = sum(s * n for s, n in zip(slopes, numerators, strict=True))
                unit = denominator << self.shift
                sums[unit] = sums.get(unit, 0) + part
            total = (0, 1)
            for unit, part in sums.items():
                total = total[0] * unit + part * total[1], total[1] * unit
            if not at_most(joint.bound, total):
                return f"linear bound {index}"
        return None


def read_bounded(domain: Stated, locations: int, channels: int) -> BoundedDomain:
    """The bounded domain that a certificate states.

    Raises:
        CertificateError: numbers that are malformed, not finite, or of a wrong count; an empty
            interval; a slack outside [0, 1).
    """
    shape = locations, channels
    if isinstance(domain, BoxDomain):
        upper = None if domain.upper is None else hex_ratio(domain.upper)
        return BoundedDomain.alike("box", shape, hex_ratio(domain.lower), upper, (0, 1))
    if isinstance(domain, ReachDomain):
        count = locations * channels
        texts = [domain.lower, domain.upper, *(bound.coefficients for bound in domain.bounds)]
        low, high, *forms = (decode_floats(text, count, np.float64) for text in texts)
        bounds = [hex_ratio(bound.bound) for bound in domain.bounds]
        stated = [(f.reshape(shape), d) for f, d in zip(forms, bounds, strict=True)]
        return BoundedDomain.around(low.reshape(shape), high.reshape(shape), stated)
    slack = hex_ratio(domain.slack)
    if not (at_most((0, 1), slack) and slack[0] < slack[1]):
        raise CertificateError("domain: the slack is not in [0, 1)")
    most = slack[0] + slack[1], slack[1]
    least = (0, 1) if isinstance(domain, SimplexDomain) else (-most[0], most[1])
    return BoundedDomain.alike(domain.kind, shape, least, most, slack)


def _most(slope: Sequence[int], lower: Sequence[int], upper: Sequence[int]) -> int:
    """The largest <slope, z> over a finite box."""
    return sum(max(c * low, c * high) for c, low, high in zip(slope, lower, upper, strict=True))


def _within(constraint: Constraint, value: Ratio) -> bool:
    low, high = constraint.low, constraint.high
    above = low is None or at_most(low, value)
    return above and (high is None or at_most(value, high))


def float64_width(values: Array) -> int:
    """64-bit words that no number of :func:`float64_integers` exceeds, from the exponents alone."""
    _, exponents = np.frexp(values[values != 0])
    least, most = int(exponents.min(initial=53)), int(exponents.max(initial=0))
    return limbs(max(most, 0) + max(53 - least, 0))


def float64_integers(values: Array) -> tuple[list[int], int]:
    """Integers and a ``shift >= 0`` with ``values[i] == integers[i] / 2**shift``, exactly."""
    ratios = [value.as_integer_ratio() for value in values.tolist()]
    shift = max((unit.bit_length() - 1 for _, unit in ratios), default=0)
    return [numerator << (shift - unit.bit_length() + 1) for numerator, unit in ratios], shift
