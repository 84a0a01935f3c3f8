"""The triangle oracle, for comparison only: the published rules that take one fact at a time.

Every fact at a location bounds every other distance there by the triangle inequality, alone; the
best of these bounds counts (theory, section 3):

    max_i | |p_i - p_j| - d_li |  <=  d_lj  <=  min_i ( |p_i - p_j| + d_li ),   d = sqrt q.

Angles obey one too: with b_ij between two prototypes and a_li between latent and prototype,

    |b_ij - a_li|  <=  a_lj  <=  b_ij + a_li,

and no upper bound where the sum exceeds a half turn. In cosines c = cos a and d = cos b the bounds
of c_lj are c_li d_ij -+ sqrt(1 - c_li^2) sqrt(1 - d_ij^2), which hold for every |u| <= 1 as well:
split u and p_j along p_i and across it. So no latent need be assumed to have a direction.

Sound, monotone and independent of order, and never tighter than the interval oracle, whose interval
holds for all facts of the location together.

Sources: the triangle paradigm of abductive latent explanations, and its angular form (Soria et al.,
"Beyond L2: Generalizing Abductive Latent Explanations to Diverse Prototype-Based Architectures",
ECML PKDD 2026), implemented anew from their description.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.latent.domain import Domain, Sphere
from protoproof.prover.latent.gram import Gram
from protoproof.prover.latent.instance import Instance
from protoproof.prover.oracle.interval import IntervalOracle, IntervalState
from protoproof.prover.relaxation.intervals import Known

Vector = Float[NDArray[np.float64], " prototype"]
Rows = Float[NDArray[np.float64], "row prototype"]


class TriangleState(IntervalState):
    """Bounds of one instance's measurements by the triangle inequality."""

    oracle = "triangle"

    def known_at(self, location: int, prototypes: Sequence[int]) -> Known:
        """What would be known at a location whose facts were exactly ``prototypes``."""
        if not prototypes:
            return Known(self.near[location], self.far[location], None, ())
        named = list(prototypes)
        known = np.sqrt(self.instance.measurement[location, named])[:, None]
        sides = np.sqrt(self.instance.gram[named])
        low, high = np.abs(sides - known).max(axis=0) ** 2, (sides + known).min(axis=0) ** 2
        return self.told_alone(location, named, low, high)

    def told_alone(self, location: int, named: list[int], low: Vector, high: Vector) -> Known:
        """Bounds [P] from facts, with those of the domain and with what the facts are about."""
        low = np.maximum(low, self.near[location])
        high = np.minimum(high, self.far[location])
        low[named] = high[named] = self.instance.measurement[location, named]
        self._leave_other_banks(location, low, high)
        return Known(low, high, None, tuple(named))


@dataclass(frozen=True, eq=False)
class Rays:
    """Measurements -<g_j, u> with |u| <= ``reach``, as angles: ``norms`` [P] are those of the g."""

    gram: Gram
    norms: Vector
    reach: float

    @classmethod
    def of(cls, instance: Instance, domain: Domain) -> Rays | None:
        """Those of an instance; None where its measurements are no angles over the domain."""
        head = instance.head
        norms = np.sqrt((head.prototypes**2).sum(axis=1))
        if head.geometry == "angular":
            return cls(instance.gram, norms, 1.0)
        if head.geometry == "linear" and isinstance(domain, Sphere):
            return cls(instance.gram, norms, math.sqrt(1 + domain.slack))
        return None

    def between(self, named: list[int]) -> Rows:
        """Cosines of the angles between some prototypes and all; 0 for one without a direction."""
        squares = self.norms**2
        inner = 0.5 * (squares[named][:, None] + squares - self.gram[named])
        lengths = self.norms[named][:, None] * self.norms
        return np.clip(inner / np.where(lengths > 0, lengths, 1.0), -1.0, 1.0)

    def cosines(self, measurement: Vector) -> Vector:
        """The cosines that measurements stand for, of a latent as long as ``reach``."""
        lengths = self.reach * self.norms
        return np.clip(-measurement / np.where(lengths > 0, lengths, 1.0), -1.0, 1.0)

    def measured(self, least: Vector, most: Vector) -> tuple[Vector, Vector]:
        """Bounds of all measurements from bounds of all cosines."""
        return -self.reach * self.norms * most, -self.reach * self.norms * least


class AngleState(TriangleState):
    """Bounds of one instance's measurements by the triangle inequality of angles."""

    def __init__(self, instance: Instance, domain: Domain, slack: float, rays: Rays) -> None:
        self.rays = rays
        super().__init__(instance, domain, slack)

    def known_at(self, location: int, prototypes: Sequence[int]) -> Known:
        """What would be known at a location whose facts were exactly ``prototypes``."""
        if not prototypes:
            return Known(self.near[location], self.far[location], None, ())
        named = list(prototypes)
        cosine = self.rays.cosines(self.instance.measurement[location])[named][:, None]
        between = self.rays.between(named)
        across = np.sqrt((1.0 - cosine**2) * (1.0 - between**2))
        least = np.where(cosine + between < 0, -1.0, cosine * between - across)
        ends = self.rays.measured(least.max(axis=0), (cosine * between + across).min(axis=0))
        return self.told_alone(location, named, *ends)


def triangle_state(instance: Instance, domain: Domain, slack: float) -> TriangleState | None:
    """Bounds from the domain alone; None where measurements are neither distances nor angles, or
    are not pooled by the nearest."""
    if not instance.head.all_nearest:
        return None
    if instance.head.geometry == "euclidean":
        return TriangleState(instance, domain, slack)
    rays = Rays.of(instance, domain)
    return None if rays is None else AngleState(instance, domain, slack, rays)


@dataclass(frozen=True)
class TriangleOracle(IntervalOracle):
    """See the module's docstring; decides like the interval oracle, from looser intervals."""

    name = TriangleState.oracle

    def prepare(self, instance: Instance, domain: Domain) -> IntervalState:
        """Bounds from the domain alone; by intervals, where there is no triangle inequality."""
        found = triangle_state(instance, domain, self.slack)
        return super().prepare(instance, domain) if found is None else found
