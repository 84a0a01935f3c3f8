"""Linear forms bounded over the spheres that the pair facts leave, in free space.

On the sphere of location l, ``q_lj = alpha_j - 2 r <beta_j, u>`` with |u| <= 1, so the least value
of a form is ``sum lambda_j alpha_j - 2 r |sum lambda_j beta_j|`` there: prototypes cancel. Every
choice of tangent points gives a valid bound; they are improved by putting them at the form's own
minimiser (theory, section 4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.errors import InternalError
from protoproof.prover.latent.instance import Instance
from protoproof.prover.relaxation.forms import Forms, Linearisation, Side
from protoproof.prover.relaxation.intervals import Intervals, Margins
from protoproof.prover.relaxation.pair_bounds import Hull

# The iteration is a damped fixed point; on trained networks its value moves by less than 1e-3 of
# the margin after five steps. Stopping early is sound.
_STEPS = 6
_DAMPING = 0.5


class Spheres:
    """Every location's sphere: ``q_lj = alpha_lj - <steep_lj, u>`` with |u| <= 1.

    ``alpha`` [L, P], ``steep`` [L, P, D], and ``unit`` [L, D], the instance's own u.
    """

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        locations, prototypes = instance.measurement.shape
        channels = instance.head.channels
        self.alpha = np.zeros((locations, prototypes))
        self.steep = np.zeros((locations, prototypes, channels))
        self.unit = np.zeros((locations, channels))

    def put(self, location: int, hull: Hull) -> None:
        """Make the sphere of a hull that of a location."""
        self.alpha[location], self.steep[location], self.unit[location] = hull.sphere(
            self._instance.head.prototypes, self._instance.latent[location]
        )


class _Columns:
    """The prototypes that enter some rival's margin linearly, in order of their location.

    Sums per location are then sums over consecutive rows of ``steep`` [column, D].
    """

    def __init__(self, spheres: Spheres, side: Side, used: NDArray[np.bool_]) -> None:
        chosen = np.flatnonzero(used.any(axis=0))
        self.index = chosen[np.argsort(side.location[chosen], kind="stable")]
        location = side.location[self.index]
        self.steep = spheres.steep[location, self.index]
        self.along = (self.steep * spheres.unit[location]).sum(axis=1)
        self.locations, self._cuts = np.unique(location, return_index=True)
        self.group = np.searchsorted(self.locations, location)

    def sums(
        self, coefficients: Float[NDArray[np.float64], "rival column"]
    ) -> Float[NDArray[np.float64], "rival location channel"]:
        """Per location, the sum of coefficient times 2 r beta_j."""
        if len(self.locations) == 1:
            return np.asarray(coefficients @ self.steep)[:, None]
        terms = coefficients[:, :, None] * self.steep
        return np.add.reduceat(terms, self._cuts, axis=1)


class SphereForms(Linearisation):
    """The relaxation of some margins over the facts' spheres, solved for all of them at once."""

    def __init__(self, state: Intervals, spheres: Spheres, rivals: Sequence[int]) -> None:
        super().__init__(state, rivals, spheres.alpha)
        self.alpha = spheres.alpha[self.support.location, np.arange(len(self.support.low))]
        self.tangents = _Columns(spheres, self.support, self.positive)
        self.moved = np.where(self.positive, self.weights, 0.0)[:, self.tangents.index]
        chords = _Columns(spheres, self.oppose, self.negative)
        self.locations = np.union1d(self.tangents.locations, chords.locations)
        self.moving = np.searchsorted(self.locations, self.tangents.locations)
        channels = self.instance.head.channels
        self.pull_of_chords = np.zeros((len(rivals), len(self.locations), channels))
        if len(chords.locations):
            at = np.searchsorted(self.locations, chords.locations)
            self.pull_of_chords[:, at] = chords.sums(self.falling[:, chords.index])

    def solve(self, enough: float = math.inf) -> Forms:
        """Damped fixed point: tangents at the minimiser of the form that the last tangents made.

        Stops when every bound exceeds ``enough``.
        """
        columns, index = self.tangents, self.tangents.index
        alpha, low, high = (
            part[index] for part in (self.alpha, self.support.low, self.support.high)
        )
        # <steep_j, u> at the present points; the instance itself lies on every sphere
        along = np.tile(columns.along, (len(self.rivals), 1))
        best: _Step | None = None
        for _ in range(_STEPS):
            tangent = np.clip(alpha - along, low, high)
            slope = self.similarity.derivative(tangent, index)
            rising = self.moved * slope
            at_centre = self.similarity.value(tangent, index) + slope * (alpha - tangent)
            pull = self.pull_of_chords
            if len(index):
                pull = pull.copy()
                pull[:, self.moving] += columns.sums(rising)
            length = np.sqrt((pull**2).sum(axis=2))
            bound = self.constant + (self.moved * at_centre).sum(axis=1) - length.sum(axis=1)
            step = _Step(tangent, rising, bound)
            best = step if best is None else best.better(step)
            if not len(index) or (best.bound > enough).all():
                break
            unit = pull / np.where(length > 0, length, 1.0)[:, :, None]
            towards = (columns.steep * unit[:, self.moving[columns.group]]).sum(axis=2)
            along = (1 - _DAMPING) * along + _DAMPING * towards
        if best is None:  # the loop runs at least once
            raise InternalError("no relaxation step was taken")
        return self._forms(best)

    def _forms(self, best: _Step) -> Forms:
        """The forms of one step, over all prototypes."""
        tangent, rising = np.ones_like(self.falling), np.zeros_like(self.falling)
        tangent[:, self.tangents.index] = best.tangent
        rising[:, self.tangents.index] = best.rising
        return self.forms(tangent, rising, best.bound, bounded=False)


@dataclass(frozen=True)
class _Step:
    """Tangent points of the moving columns, their coefficients, and the bounds that they prove."""

    tangent: Float[NDArray[np.float64], "rival column"]
    rising: Float[NDArray[np.float64], "rival column"]
    bound: Margins

    def better(self, other: _Step) -> _Step:
        """Per rival, the better of both."""
        wins = other.bound > self.bound
        return _Step(
            np.where(wins[:, None], other.tangent, self.tangent),
            np.where(wins[:, None], other.rising, self.rising),
            np.where(wins, other.bound, self.bound),
        )
