"""The relational oracle: all prototypes of a location bounded together (theory, section 4).

The exact oracle bounds each distance alone and pays ``sum |lambda_j| |beta_j|``; here the linear
forms of one rival's margin are added up per location first, which pays only
``|sum lambda_j beta_j|``, far less because prototypes cancel.

For a rival with weights w:

* w_j > 0 needs a_j from below: ``a_j >= sigma(q_lj)`` for any one location l, and the convex
  sigma lies above each of its tangents;
* w_j < 0 needs a_j from above: with t a bound on the similarity at all locations but l,
  ``a_j <= t + max(0, sigma(q_lj) - t)``, and a convex function lies below its chord over
  [low_lj, high_lj].

Both are linear in q_lj, and on the sphere that the facts leave at location l,
``q_lj = alpha_j - 2 r <beta_j, u>`` with |u| <= 1, so the form's least value there is
``sum lambda_j alpha_j - 2 r |sum lambda_j beta_j|``. Every choice of locations and tangent points
gives a valid bound; the tangent points are improved by putting them at the form's own minimiser.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from verifier.errors import InternalError
from verifier.latent.domain import Domain
from verifier.network.similarity import Similarity
from verifier.oracle.exact import ExactState, Margins, Place, margins_between
from verifier.oracle.interface import Instance

Rows = Float[NDArray[np.float64], "rival prototype"]
Vector = Float[NDArray[np.float64], " prototype"]

# The iteration is a damped fixed point; on trained networks its value moves by less than 1e-3 of
# the margin after five steps. Stopping early is sound.
_STEPS = 6
_DAMPING = 0.5


@dataclass(frozen=True)
class Forms:
    """The linear forms of some rivals' margins, with the bound that they prove.

    For rival i and prototype j with ``linear[i, j]``: the measurement at ``location[i, j]`` enters
    linearly (a tangent at ``tangent[i, j]`` where the weight is positive, a chord where it is
    negative); all other prototypes enter by their interval. ``slope`` is the coefficient of the
    measurement. ``bound`` [R] is the least value of each margin.
    """

    rivals: tuple[int, ...]
    location: Int[NDArray[np.intp], "rival prototype"]
    linear: NDArray[np.bool_]
    tangent: Rows
    slope: Rows
    bound: Margins


class RelationalState(ExactState):
    """Bounds as in the exact oracle, and relational margins for the rivals that those miss.

    ``alpha`` [L, P], ``steep`` [L, P, D] and ``unit`` [L, D] hold every location's sphere:
    ``q_lj = alpha_lj - <steep_lj, u>``, with ``unit_l`` the instance's own u.
    """

    def __init__(self, instance: Instance, domain: Domain, slack: float) -> None:
        super().__init__(instance, domain, slack)
        locations, prototypes = instance.measurement.shape
        channels = instance.head.channels
        self.alpha = np.zeros((locations, prototypes))
        self.steep = np.zeros((locations, prototypes, channels))
        self.unit = np.zeros((locations, channels))

    def put(self, location: int, place: Place) -> Place:
        """As in the exact oracle, and the location's sphere."""
        if place.hull is not None:
            self.alpha[location], self.steep[location], self.unit[location] = place.hull.sphere(
                self.instance.head.prototypes, self.instance.latent[location]
            )
        return super().put(location, place)

    def margins(self) -> Margins:
        """Interval margins, improved where they do not suffice."""
        margins = margins_between(self.instance, *self.nearest())
        missed = np.flatnonzero(~(margins > self.slack))
        if len(missed):
            # the interval bound holds as well: the better of two valid bounds is valid
            margins[missed] = np.maximum(margins[missed], self.forms(missed.tolist()).bound)
        return margins

    def forms(self, rivals: Sequence[int]) -> Forms:
        """The best linear forms found for the margins over ``rivals`` (indices of margin rows)."""
        return _Relaxation(self, rivals).solve()


@dataclass(frozen=True)
class RelationalOracle:
    """See the module's docstring. ``slack`` is the least float64 margin it calls proved."""

    slack: float
    name: str = "relational"

    def prepare(self, instance: Instance, domain: Domain) -> RelationalState:
        """Bounds from the domain alone."""
        return RelationalState(instance, domain, self.slack)


class _Side:
    """One location per prototype: its sphere written as q_j = alpha_j - <steep_j, u>, |u| <= 1.

    ``known`` marks prototypes whose location has facts and leaves them a finite, open interval;
    the others stay constants. Prototypes are ordered by location, so that sums per location are
    sums over consecutive rows.
    """

    def __init__(
        self, state: RelationalState, location: Int[NDArray[np.intp], " prototype"]
    ) -> None:
        index = np.arange(len(location))
        self.location = location
        self.low, self.high = state.low[location, index], state.high[location, index]
        self.alpha, self.steep = state.alpha[location, index], state.steep[location, index]
        self.along = (self.steep * state.unit[location]).sum(axis=1)
        facts = np.array([place.hull is not None for place in state.places])
        self.known = facts[location] & np.isfinite(self.high) & (self.high > self.low)


class _Relaxation:
    """The convex relaxation of some margins, solved for all of them at once."""

    def __init__(self, state: RelationalState, rivals: Sequence[int]) -> None:
        instance = state.instance
        self.rivals = tuple(int(k) for k in rivals)
        self.similarity = instance.head.similarity
        weights = instance.margin_weights[list(rivals)]
        low, high = state.nearest()
        support = _Side(state, np.argmin(state.high, axis=0))
        oppose = _Side(state, np.argmin(state.low, axis=0))
        positive = weights > 0
        self.positive = positive & support.known
        self.negative = (weights < 0) & oppose.known
        slope, value = _chord(state, oppose, self.similarity)
        self.weights = weights
        self.support, self.oppose = support, oppose
        # what does not move: prototypes by their interval, and the chords' constant parts
        ends = self.similarity.value(np.where(positive, high, low))
        fixed = ~(self.positive | self.negative) & (weights != 0)
        with np.errstate(invalid="ignore"):
            constant = np.where(fixed, weights * ends, 0.0)
        chord_at_centre = value + slope * (oppose.alpha - oppose.low)
        constant = constant + np.where(self.negative, weights * chord_at_centre, 0.0)
        self.constant = constant.sum(axis=1) + instance.margin_offset[list(rivals)]
        self.falling = np.where(self.negative, weights * slope, 0.0)
        self.order, self.cuts, self.group = _groups(support.location, oppose.location)

    def solve(self) -> Forms:
        """Damped fixed point: tangents at the minimiser of the form that the last tangents made."""
        support, positive = self.support, self.positive
        # <steep_j, u> at the present points; the instance itself lies on every sphere
        along = np.tile(support.along, (len(self.rivals), 1))
        best: Forms | None = None
        for _ in range(_STEPS):
            tangent = np.clip(support.alpha - along, support.low, support.high)
            tangent = np.where(positive, tangent, 1.0)
            value, slope = self.similarity.value(tangent), self.similarity.derivative(tangent)
            rising = np.where(positive, self.weights * slope, 0.0)
            at_centre = value + slope * (support.alpha - tangent)
            centre = self.constant + np.where(positive, self.weights * at_centre, 0.0).sum(axis=1)
            pull = self._pull(rising)
            length = np.sqrt((pull**2).sum(axis=2))
            bound = centre - length.sum(axis=1)
            best = self._better(best, bound, tangent, rising)
            unit = pull / np.where(length > 0, length, 1.0)[:, :, None]
            towards = (support.steep[None] * unit[:, self.group]).sum(axis=2)
            along = (1 - _DAMPING) * along + _DAMPING * towards
        if best is None:  # the loop runs at least once
            raise InternalError("no relaxation step was taken")
        return best

    def _pull(self, rising: Rows) -> Float[NDArray[np.float64], "rival location channel"]:
        """sum over the prototypes of each location of coefficient times 2 r beta_j."""
        forms = np.concatenate(
            [
                rising[:, :, None] * self.support.steep,
                self.falling[:, :, None] * self.oppose.steep,
            ],
            axis=1,
        )
        return np.add.reduceat(forms[:, self.order], self.cuts, axis=1)

    def _better(self, best: Forms | None, bound: Margins, tangent: Rows, rising: Rows) -> Forms:
        """Per rival, the better of the forms so far and the present ones."""
        location = np.where(self.positive, self.support.location, self.oppose.location)
        linear = self.positive | self.negative
        new = Forms(self.rivals, location, linear, tangent, rising + self.falling, bound)
        if best is None:
            return new
        wins = bound > best.bound
        return Forms(
            self.rivals,
            location,
            linear,
            np.where(wins[:, None], tangent, best.tangent),
            np.where(wins[:, None], new.slope, best.slope),
            np.where(wins, bound, best.bound),
        )


def _chord(state: ExactState, side: _Side, sigma: Similarity) -> tuple[Vector, Vector]:
    """Slope and value at ``low`` of a linear majorant of every activation.

    With t the largest similarity any *other* location can have, the activation is at most
    max(t, sigma(q)), which is convex in q and hence below its chord over [low, high].
    """
    index = np.arange(len(side.low))
    others = state.low.copy()
    others[side.location, index] = np.inf
    least = sigma.value(others.min(axis=0))
    high = np.where(side.known, side.high, side.low)
    at_low, at_high = (np.maximum(sigma.value(end), least) for end in (side.low, high))
    width = np.where(side.known, high - side.low, 1.0)
    return np.where(side.known, (at_high - at_low) / width, 0.0), at_low


def _groups(
    support: Int[NDArray[np.intp], " prototype"], oppose: Int[NDArray[np.intp], " prototype"]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Order that sorts both sides by location; where locations start; each support's group."""
    both = np.concatenate([support, oppose])
    order = np.argsort(both, kind="stable")
    found, cuts = np.unique(both[order], return_index=True)
    return order, cuts, np.searchsorted(found, support)
