"""The spherical cap oracle, for comparison only: the hypersphere's paradigm for angles.

With |u| = 1 a fact <p_i, u> = cos a_i is a circle on the sphere. Circles are intersected one after
another, and only one circle <c, u> = cos r around a running centre c, |c| = 1, is kept:

    c, cos r = p_1, cos a_1
    for every further fact: w = the combination of c and p_i with <c, w> = cos r, <p_i, w> = cos a_i
                            c, cos r = w / |w|, |w|

and cos(min(D + r, pi)) <= <p_j, u> <= cos(max(D - r, 0)) with D the angle between c and p_j. Sound:
<c, u> is a linear form of u, and w is the projection of u on the span of c and p_i, so that
<w, u> = |w|^2. A latent u with |u| < 1 meets the bounds too: they are those of
cos r cos D -+ sin r sin D, widened at the poles.

What is lost is what the circle before said beyond its place along w: the bound depends on the order
of the facts and is not monotone, as the hypersphere's.

Source: the spherical cap intersection of Soria et al., "Beyond L2", ECML PKDD 2026, implemented
anew from its description.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.errors import InternalError
from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.instance import Instance
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.oracle.triangle import Rays, TriangleState
from protoproof.prover.relaxation.intervals import Known

Vector = Float[NDArray[np.float64], " prototype"]
Direction = Float[NDArray[np.float64], " channel"]

# Directions closer than this (1 - cos^2) say nothing new and would divide by rounding errors.
_COINCIDES = 1e-10


class CapState(TriangleState):
    """Bounds of one instance's measurements from one running circle per location."""

    def __init__(self, instance: Instance, domain: Domain, slack: float, rays: Rays) -> None:
        self.rays = rays
        lengths = rays.norms[:, None]
        self.directions = instance.head.prototypes / np.where(lengths > 0, lengths, 1.0)
        super().__init__(instance, domain, slack)

    def known_at(self, location: int, prototypes: Sequence[int]) -> Known:
        """What would be known at a location that was given ``prototypes`` in this order."""
        if not prototypes:
            return Known(self.near[location], self.far[location], None, ())
        named = list(prototypes)
        cosines = self.rays.cosines(self.instance.measurement[location])
        centre, cosine = intersect(self.directions[named], cosines[named])
        apart, radius = np.arccos(np.clip(self.directions @ centre, -1, 1)), np.arccos(cosine)
        least = np.cos(np.minimum(apart + radius, np.pi))
        most = np.cos(np.maximum(apart - radius, 0.0))
        return self.told_alone(location, named, *self.rays.measured(least, most))


def intersect(
    directions: Float[NDArray[np.float64], "fact channel"],
    cosines: Float[NDArray[np.float64], " fact"],
) -> tuple[Direction, float]:
    """The running circle after the facts, in order: its centre, and the cosine of its radius."""
    centre, cosine = directions[0], float(cosines[0])
    for direction, value in zip(directions[1:], cosines[1:].tolist(), strict=True):
        between = float(centre @ direction)
        square = 1.0 - between * between
        if square <= _COINCIDES:
            continue
        # the coefficients of w along centre and direction
        along = (cosine - value * between) / square, (value - cosine * between) / square
        reached = along[0] * centre + along[1] * direction
        length = float(np.sqrt(reached @ reached))
        if length * length <= _COINCIDES:
            continue
        centre, cosine = reached / length, min(length, 1.0)
    return centre, cosine


@dataclass(frozen=True)
class CapOracle(IntervalOracle):
    """See the module's docstring; decides like the interval oracle, from looser intervals."""

    name: str = "cap"

    def prepare(self, instance: Instance, domain: Domain) -> CapState:
        """Bounds from the domain alone.

        Raises:
            InternalError: the measurements are no angles.
        """
        rays = Rays.of(instance, domain)
        if rays is None:
            raise InternalError("caps need angles")
        return CapState(instance, domain, self.slack, rays)
