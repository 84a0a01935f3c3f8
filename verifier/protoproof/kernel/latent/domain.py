"""The domain of a certificate in exact numbers: its box, its constraints, and who lies in it.

Every bounded domain is a box per latent unit and a few constraints per location of the form
low <= a |z|^2 + <b, z> <= high. Sphere and simplex contain, with a slack for float32 rounding, what
a normalisation or a softmax over channels outputs: |z|^2 = 1 and z >= 0, sum z = 1. Their boxes
follow: no channel of the sphere exceeds the norm, sqrt(1 + slack) <= 1 + slack; none of the simplex
exceeds the sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from protoproof.certificate.schema import (
    BoxDomain,
    Domain,
    FreeDomain,
    ReachDomain,
    SimplexDomain,
    SphereDomain,
)
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import Ratio, at_most, decode_floats, hex_ratio

_Ends = tuple[list[int], list[int | None]]


class Constraint(NamedTuple):
    """low <= square * |z|^2 + <slope, z> <= high at one location; None for an open end.

    ``slope`` [D] are integers over the region's ``2**shift``.
    """

    square: int
    slope: list[int]
    low: Ratio | None
    high: Ratio | None


@dataclass(frozen=True)
class Joint:
    """A linear bound over all locations: <slopes, z> >= bound; ``slopes`` [L][D].

    ``most`` [L]: the largest <slopes_l, z_l> over each location's box, over ``2**(2 * shift)``.
    """

    slopes: list[list[int]]
    bound: Ratio
    most: list[int]


class Region:
    """One domain for L locations of D channels.

    Attributes:
        shift: box ends and slopes are integers over ``2**shift``.
        bounded: whether there is a box.
        uniform: whether all locations are alike.
        joints: the linear bounds of a reach domain.

    Raises:
        CertificateError: numbers that are malformed, not finite, or of a wrong count; an empty
            interval; a slack outside [0, 1).
    """

    def __init__(self, domain: Domain, locations: int, channels: int) -> None:
        self.domain, self.locations, self.channels = domain, locations, channels
        self.bounded = not isinstance(domain, FreeDomain)
        self.uniform = not isinstance(domain, ReachDomain)
        self.shift = 0
        self.joints: list[Joint] = []
        self._slack: Ratio = (0, 1)
        self._ends: list[_Ends] = []
        if isinstance(domain, BoxDomain):
            upper = None if domain.upper is None else hex_ratio(domain.upper)
            self._same(hex_ratio(domain.lower), upper)
        elif isinstance(domain, SphereDomain | SimplexDomain):
            self._slack = hex_ratio(domain.slack)
            if not (at_most((0, 1), self._slack) and self._slack[0] < self._slack[1]):
                raise CertificateError("domain: the slack is not in [0, 1)")
            most = self._slack[0] + self._slack[1], self._slack[1]
            least = (0, 1) if isinstance(domain, SimplexDomain) else (-most[0], most[1])
            self._same(least, most)
        elif isinstance(domain, ReachDomain):
            self._read(domain)
        self._seen: dict[int, list[Constraint]] = {}

    def _same(self, lower: Ratio, upper: Ratio | None) -> None:
        """The same ends everywhere; all denominators are powers of two."""
        if upper is not None and not at_most(lower, upper):
            raise CertificateError("domain: the box is empty")
        self.shift = max(lower[1], 1 if upper is None else upper[1]).bit_length() - 1
        low = (lower[0] << self.shift) // lower[1]
        high = None if upper is None else (upper[0] << self.shift) // upper[1]
        self._ends = [([low] * self.channels, [high] * self.channels)] * self.locations

    def _read(self, domain: ReachDomain) -> None:
        count = self.locations * self.channels
        tables = [decode_float64(text, count) for text in (domain.lower, domain.upper)]
        tables += [decode_float64(bound.coefficients, count) for bound in domain.bounds]
        if (tables[0] > tables[1]).any():
            raise CertificateError("domain: an interval of the reach box is empty")
        numbers, self.shift = float64_integers(np.concatenate(tables))
        rows = [
            [
                numbers[start + place * self.channels : start + (place + 1) * self.channels]
                for place in range(self.locations)
            ]
            for start in range(0, len(numbers), count)
        ]
        self._ends = [(low, list(high)) for low, high in zip(rows[0], rows[1], strict=True)]
        self.joints = [
            Joint(slopes, hex_ratio(bound.bound), list(map(_most, slopes, rows[0], rows[1])))
            for slopes, bound in zip(rows[2:], domain.bounds, strict=True)
        ]

    def ends(self, location: int) -> _Ends:
        """Lower and upper end of every channel at a location (None: infinite)."""
        return self._ends[location]

    def constraints(self, location: int) -> list[Constraint]:
        """The domain's constraints as one location sees them.

        A linear bound <c, z> >= d over all locations is, for one of them, <c_l, z_l> >= d - m,
        with m the most that <c, z> can be over the boxes of all the others.
        """
        if location not in self._seen:
            self._seen[location] = [
                *self.local(),
                *(self._alone(joint, location) for joint in self.joints),
            ]
        return self._seen[location]

    def local(self) -> list[Constraint]:
        """The constraints that concern one location at a time."""
        numerator, unit = self._slack
        around = (unit - numerator, unit), (unit + numerator, unit)
        if isinstance(self.domain, SphereDomain):
            return [Constraint(1, [0] * self.channels, *around)]
        if isinstance(self.domain, SimplexDomain):
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
        if not self.bounded:
            return None
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
                return f"location {location} ({self.domain.kind})"
        return None

    def outside_jointly(self, points: Mapping[int, tuple[Sequence[int], int]]) -> str | None:
        """The first linear bound that a latent (all locations) breaks, or None."""
        for index, joint in enumerate(self.joints):
            total = (0, 1)
            for location, (numerators, denominator) in points.items():
                slopes = joint.slopes[location]
                part = sum(s * n for s, n in zip(slopes, numerators, strict=True))
                unit = denominator << self.shift
                total = total[0] * unit + part * total[1], total[1] * unit
            if not at_most(joint.bound, total):
                return f"linear bound {index}"
        return None


def _most(slope: Sequence[int], lower: Sequence[int], upper: Sequence[int]) -> int:
    """The largest <slope, z> over a finite box."""
    return sum(max(c * low, c * high) for c, low, high in zip(slope, lower, upper, strict=True))


def _within(constraint: Constraint, value: Ratio) -> bool:
    low, high = constraint.low, constraint.high
    above = low is None or at_most(low, value)
    return above and (high is None or at_most(value, high))


def decode_float64(text: str, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Finite little-endian float64 values from base64, of exactly the expected number.

    Raises:
        CertificateError: another length or alphabet, stray bits, NaN or infinity.
    """
    return decode_floats(text, count, np.float64)


def float64_integers(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[list[int], int]:
    """Integers and a ``shift >= 0`` with ``values[i] == integers[i] / 2**shift``, exactly."""
    ratios = [value.as_integer_ratio() for value in values.tolist()]
    shift = max((unit.bit_length() - 1 for _, unit in ratios), default=0)
    return [numerator << (shift - unit.bit_length() + 1) for numerator, unit in ratios], shift
