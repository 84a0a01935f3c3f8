"""The latents that a claim is about: all of them, or those of a domain (see ``bounded``).

Every bounded domain is a box per latent unit and a few constraints per location of the form
low <= a |z|^2 + <b, z> <= high; the free domain is the box without ends, and has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from protoproof.certificate.schema import Domain, FreeDomain
from protoproof.kernel.arithmetic.exact import Ratio

# lower and upper end of every channel; None: infinite
Ends = tuple[list[int], list[int | None]]


class Constraint(NamedTuple):
    """low <= square * |z|^2 + <slope, z> <= high at one location; None for an open end.

    ``slope`` [D] are integers over the domain's ``2**shift``.
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


class LatentDomain:
    """The free domain of L locations of D channels, and what bounded ones have in common with it.

    Attributes:
        shift: box ends and slopes are integers over ``2**shift``.
        size: limbs of the longest of them.
        kind: as certificates call it; empty for one that they do not.
        bounded: whether there is a box.
        uniform: whether all locations are alike.
        joints: the linear bounds of a reach domain.
    """

    def __init__(self, locations: int, channels: int) -> None:
        self.locations, self.channels = locations, channels
        self.kind = "free"
        self.bounded, self.uniform = False, True
        self.shift, self.size = 0, 1
        self.joints: list[Joint] = []

    def ends(self, location: int) -> Ends:
        """Lower and upper end of every channel at a location. Without a box there are none."""
        raise ValueError(f"location {location} has no box")

    def constraints(self, location: int) -> list[Constraint]:
        """All constraints, as one location sees them."""
        return self.local()

    def local(self) -> list[Constraint]:
        """The constraints that concern one location at a time."""
        return []

    def outside(self, location: int, numerators: Sequence[int], denominator: int) -> str | None:
        """Where the point numerators / denominator leaves the domain at a location, or None."""
        return None

    def outside_jointly(self, points: Mapping[int, tuple[Sequence[int], int]]) -> str | None:
        """The first linear bound that a latent (all locations) breaks, or None."""
        return None


def read_domain(domain: Domain, locations: int, channels: int) -> LatentDomain:
    """The domain that a certificate states.

    Raises:
        CertificateError: see :mod:`protoproof.kernel.latent.bounded`.
    """
    if isinstance(domain, FreeDomain):
        return LatentDomain(locations, channels)
    from protoproof.kernel.latent.bounded import read_bounded

    return read_bounded(domain, locations, channels)
