"""The triangle oracle, for comparison only: the first published paradigm.

Every fact at a location bounds every other distance there by the triangle inequality, alone; the
best of these bounds counts (theory, section 3):

    max_i | |p_i - p_j| - d_li |  <=  d_lj  <=  min_i ( |p_i - p_j| + d_li ),   d = sqrt q.

Sound, monotone and independent of order, and never tighter than the interval oracle, whose interval
holds for all facts of the location together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.instance import Instance
from protoproof.prover.oracle.interval import IntervalOracle, IntervalState
from protoproof.prover.relaxation.intervals import Known


class TriangleState(IntervalState):
    """Bounds of one instance's measurements by the triangle inequality."""

    oracle = "triangle"

    def known_at(self, location: int, prototypes: Sequence[int]) -> Known:
        """What would be known at a location whose facts were exactly ``prototypes``."""
        if not prototypes:
            return Known(self.near[location], self.far[location], None, ())
        named = list(prototypes)
        measurement = self.instance.measurement[location]
        known = np.sqrt(measurement[named])[:, None]
        sides = np.sqrt(self.instance.gram[named])
        low = np.maximum(np.abs(sides - known).max(axis=0) ** 2, self.near[location])
        high = np.minimum((sides + known).min(axis=0) ** 2, self.far[location])
        low[named] = high[named] = measurement[named]
        return Known(low, high, None, tuple(named))


@dataclass(frozen=True)
class TriangleOracle(IntervalOracle):
    """See the module's docstring; decides like the interval oracle, from looser intervals."""

    name = TriangleState.oracle

    def prepare(self, instance: Instance, domain: Domain) -> IntervalState:
        """Bounds from the domain alone; by intervals, where measurements are no distances."""
        if not instance.head.plain:
            return super().prepare(instance, domain)
        return TriangleState(instance, domain, self.slack)
