"""The boxes of one case of a proof by cases: those of the domain, cut by splits of channels.

Where |z_l - p_j|^2 <= h, every channel of z_l is within sqrt(h) of that of p_j; so a location has a
box even in free space as soon as one distance there has an upper bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import isqrt
from typing import Protocol

from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import GRID
from protoproof.kernel.latent.bounds import Interval
from protoproof.kernel.latent.domain import Constraint, Ends, LatentDomain
from protoproof.kernel.model.head import Head

# channel, child (0: at most, 1: at least), threshold
Half = tuple[int, int, float]


class Measured(Protocol):
    """Proven bounds of every m_lj."""

    def at(self, location: int, prototype: int) -> Interval:
        """Bounds of m_lj, over ``2**GRID``."""


class EmptyBoxError(Exception):
    """A box with crossed ends: there is no latent in this case."""


class CaseDomain(LatentDomain):
    """A domain whose locations in ``halves`` have narrower boxes.

    The domain's own constraints at a location stay as they are. Domains with linear bounds over
    all locations are not split.

    Raises:
        CertificateError: linear bounds, or a channel that nothing bounds on some side.
        EmptyBoxError: an interval whose ends are crossed.
    """

    def __init__(
        self,
        head: Head,
        base: LatentDomain,
        bounds: Measured,
        halves: Mapping[int, Sequence[Half]],
    ) -> None:
        super().__init__(base.locations, base.channels)
        if base.joints:
            raise CertificateError("channels are not split under linear bounds")
        self.kind = ""
        self.bounded, self.uniform = True, False
        boxes = {
            location: _cut(_box(head, base, bounds, location), parts)
            for location, parts in halves.items()
        }
        units = [end.denominator for ends in boxes.values() for side in ends for end in side]
        self.shift = max([base.shift, *(unit.bit_length() - 1 for unit in units)])
        self._base, self._up = base, self.shift - base.shift
        self.size = base.size + (self._up + GRID) // 64 + 1
        self._boxes: dict[int, Ends] = {}
        for location, (low, high) in boxes.items():
            lower, upper = ([int(end * (1 << self.shift)) for end in s] for s in (low, high))
            self._boxes[location] = lower, list(upper)

    def ends(self, location: int) -> Ends:
        """Lower and upper end of every channel at a location (None: infinite).

        Raises:
            CertificateError: the location has no box.
        """
        if location in self._boxes:
            return self._boxes[location]
        if not self._base.bounded:
            raise CertificateError(f"location {location} has no box")
        lower, upper = self._base.ends(location)
        return (
            [n << self._up for n in lower],
            [None if n is None else n << self._up for n in upper],
        )

    def local(self) -> list[Constraint]:
        """The constraints of the domain that is split."""
        return [
            constraint._replace(slope=[n << self._up for n in constraint.slope])
            for constraint in self._base.local()
        ]


def _box(
    head: Head, base: LatentDomain, bounds: Measured, location: int
) -> tuple[list[Fraction], list[Fraction]]:
    """The box before any split: the domain's, and the ones around prototypes."""
    lower: list[Fraction | None] = [None] * head.channels
    upper: list[Fraction | None] = [None] * head.channels
    if base.bounded:
        unit = 1 << base.shift
        low, high = base.ends(location)
        lower = [Fraction(n, unit) for n in low]
        upper = [None if n is None else Fraction(n, unit) for n in high]
    near_ones = head.prototype_count if head.geometry == "euclidean" else 0
    for prototype in range(near_ones):
        if not head.measures(location, prototype):
            continue
        far = bounds.at(location, prototype)[1]
        if far is None:
            continue
        half = Fraction(isqrt(max(far, 0) << GRID) + 1, 1 << GRID)
        for channel, n in enumerate(head.prototype(prototype)):
            centre = Fraction(n, 1 << head.shift)
            near, end = lower[channel], upper[channel]
            lower[channel] = centre - half if near is None else max(near, centre - half)
            upper[channel] = centre + half if end is None else min(end, centre + half)
    known_lower = [end for end in lower if end is not None]
    known_upper = [end for end in upper if end is not None]
    if min(len(known_lower), len(known_upper)) < head.channels:
        raise CertificateError(f"a channel is split at location {location}, which has no box")
    return known_lower, known_upper


def _cut(
    box: tuple[list[Fraction], list[Fraction]], halves: Sequence[Half]
) -> tuple[list[Fraction], list[Fraction]]:
    lower, upper = box
    for channel, child, at in halves:
        if child == 0:
            upper[channel] = min(upper[channel], Fraction(at))
        else:
            lower[channel] = max(lower[channel], Fraction(at))
    if any(low > high for low, high in zip(lower, upper, strict=True)):
        raise EmptyBoxError
    return lower, upper
