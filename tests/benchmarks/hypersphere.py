"""The hypersphere oracle, for comparison only: the second published paradigm.

The facts of a location are spheres around their prototypes. They are intersected one after
another, and only a sphere around a running centre c is kept (theory, section 3):

    c, r = p_1, d_1
    for every further fact (p, d):
        t = (r^2 - d^2 + |p - c|^2) / (2 |p - c|^2)
        c, r^2 = c + t (p - c), r^2 - t^2 |p - c|^2

Sound: for z with |z - c| = r and |z - p| = d, expanding |z - p|^2 = |(z - c) - (p - c)|^2 gives
<z - c, p - c> = t |p - c|^2, so |z - c - t (p - c)|^2 = r^2 - t^2 |p - c|^2. Every latent that
meets the facts therefore lies on the kept sphere, and | |c - p_j| - r | <= d_lj <= |c - p_j| + r.

What is lost is that z - c is also orthogonal to p - c, so the next intersection may move along a
direction that was already settled. Hence, as published, the bound depends on the order of the facts
and is *not* monotone: one more fact can loosen it. The order is the one in which the state was
given the facts (``decide`` gives those of a location that changed by prototype). Do not minimise
with it where one pass of deletion is to be final.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.gram import Gram
from protoproof.prover.latent.instance import Instance
from protoproof.prover.oracle.interval import IntervalOracle, IntervalState
from protoproof.prover.relaxation.intervals import Known

Vector = Float[NDArray[np.float64], " prototype"]

# A running centre closer to the next prototype than this share of the longest distance between
# prototypes says nothing new and would divide by rounding errors: the sphere stays as it is.
_COINCIDES = 1e-12


class HypersphereState(IntervalState):
    """Bounds of one instance's measurements from one running sphere per location."""

    def known_at(self, location: int, prototypes: Sequence[int]) -> Known:
        """What would be known at a location that was given ``prototypes`` in this order."""
        if not prototypes:
            return Known(self.near[location], self.far[location], None, ())
        named = list(prototypes)
        measurement = self.instance.measurement[location]
        from_centre, squared_radius = intersect(self.instance.gram, measurement, named)
        distance, radius = np.sqrt(from_centre), np.sqrt(squared_radius)
        low = np.maximum((distance - radius) ** 2, self.near[location])
        high = np.minimum((distance + radius) ** 2, self.far[location])
        low[named] = high[named] = measurement[named]
        return Known(low, high, None, tuple(named))


def intersect(gram: Gram, measurement: Vector, prototypes: Sequence[int]) -> tuple[Vector, float]:
    """The running sphere after the facts, in order: |c - p_j|^2 for every j, and r^2.

    The centre is never formed: Stewart's theorem gives the squared distances from a point on the
    line through two others, |(1-t)c + t p - x|^2 = (1-t)|c-x|^2 + t|p-x|^2 - t(1-t)|c-p|^2.
    """
    base = prototypes[0]
    from_centre, squared_radius = gram[base], float(measurement[base])
    negligible = _COINCIDES * float(gram[base].max())
    for prototype in prototypes[1:]:
        apart = float(from_centre[prototype])
        if apart <= negligible:
            continue
        t = (squared_radius - float(measurement[prototype]) + apart) / (2.0 * apart)
        from_centre = (1.0 - t) * from_centre + t * gram[prototype] - t * (1.0 - t) * apart
        from_centre = np.maximum(from_centre, 0.0)
        squared_radius = max(squared_radius - t * t * apart, 0.0)
    return from_centre, squared_radius


@dataclass(frozen=True)
class HypersphereOracle(IntervalOracle):
    """See the module's docstring; decides like the exact oracle, from looser intervals."""

    name: str = "hypersphere"

    def prepare(self, instance: Instance, domain: Domain) -> HypersphereState:
        """Bounds from the domain alone."""
        return HypersphereState(instance, domain, self.slack)
