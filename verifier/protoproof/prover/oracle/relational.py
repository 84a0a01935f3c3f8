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
A supporting prototype is bounded at the location where the instance matches it best, an opposing
one where it could match best.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.errors import InternalError
from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.oracle.oracle import Decision
from protoproof.prover.relaxation.boxed_forms import BoundedRelaxation
from protoproof.prover.relaxation.forms import Forms, Side, chord
from protoproof.prover.relaxation.intervals import (
    SLACK,
    ExactState,
    Margins,
    Place,
    margins_between,
)
from protoproof.verdict import PROVED, unknown

Rows = Float[NDArray[np.float64], "rival prototype"]
Vector = Float[NDArray[np.float64], " prototype"]

# The iteration is a damped fixed point; on trained networks its value moves by less than 1e-3 of
# the margin after five steps. Stopping early is sound.
_STEPS = 6
_DAMPING = 0.5


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

    def suffices(self) -> bool:
        """Whether the present pair facts prove every margin; as cheaply as that can be told.

        Rivals are taken one at a time, the one that intervals miss by most first, because one
        failure settles the answer.
        """
        margins = margins_between(self.instance, *self.nearest())
        missed = np.flatnonzero(~(margins > self.slack))
        return all(
            self._forms([rival], self.slack).bound[0] > self.slack
            for rival in missed[np.argsort(margins[missed], kind="stable")].tolist()
        )

    def forms(self, rivals: Sequence[int]) -> Forms:
        """The best linear forms found for the margins over ``rivals`` (indices of margin rows)."""
        return self._forms(rivals, math.inf)

    def _forms(self, rivals: Sequence[int], enough: float) -> Forms:
        """In free space first, then, where that is not enough, over the domain too."""
        forms = _Relaxation(self, rivals).solve(enough)
        if self.bounded is None or (forms.bound > enough).all():
            return forms
        return forms.better(BoundedRelaxation(self, self.bounded, rivals).solve(enough))


@dataclass(frozen=True)
class RelationalOracle:
    """See the module's docstring. ``slack`` is the least float64 margin it calls proved."""

    slack: float = SLACK
    name: str = "relational"

    def prepare(self, instance: Instance, domain: Domain) -> RelationalState:
        """Bounds from the domain alone."""
        return RelationalState(instance, domain, self.slack)

    def decide(self, state: RelationalState, facts: FactSet) -> Decision:
        """PROVED where every margin is above the slack; activations enter by their interval."""
        state.adopt(facts)
        margins = state.margins()
        proved = bool((margins > self.slack).all())
        return Decision(PROVED if proved else unknown("margin not proved"), margins)


class _Columns:
    """The prototypes that enter some rival's margin linearly, in order of their location.

    Sums per location are then sums over consecutive rows of ``steep`` [column, D].
    """

    def __init__(self, state: RelationalState, side: Side, used: NDArray[np.bool_]) -> None:
        chosen = np.flatnonzero(used.any(axis=0))
        self.index = chosen[np.argsort(side.location[chosen], kind="stable")]
        location = side.location[self.index]
        self.steep = state.steep[location, self.index]
        self.along = (self.steep * state.unit[location]).sum(axis=1)
        self.places, self._cuts = np.unique(location, return_index=True)
        self.group = np.searchsorted(self.places, location)

    def sums(
        self, coefficients: Float[NDArray[np.float64], "rival column"]
    ) -> Float[NDArray[np.float64], "rival place channel"]:
        """Per location, the sum of coefficient times 2 r beta_j."""
        if len(self.places) == 1:
            return np.asarray(coefficients @ self.steep)[:, None]
        terms = coefficients[:, :, None] * self.steep
        return np.add.reduceat(terms, self._cuts, axis=1)


class _Relaxation:
    """The convex relaxation of some margins, solved for all of them at once."""

    def __init__(self, state: RelationalState, rivals: Sequence[int]) -> None:
        instance = state.instance
        self.rivals = tuple(int(k) for k in rivals)
        self.similarity = instance.head.similarity
        weights = instance.margin_weights[list(rivals)]
        low, high = state.nearest()
        # a location that does not depend on the facts: a choice that followed their bounds could
        # get worse with one more fact
        support = Side(state, np.argmin(instance.measurement, axis=0))
        oppose = Side(state, np.argmin(state.low, axis=0))
        positive = weights > 0
        self.positive = positive & support.known
        self.negative = (weights < 0) & oppose.known
        slope, value = chord(state, oppose, self.similarity)
        self.support, self.oppose = support, oppose
        index = np.arange(len(low))
        self.alpha = state.alpha[support.location, index]
        # what does not move: prototypes by their interval, and the chords' constant parts
        ends = self.similarity.value(np.where(positive, high, low))
        fixed = ~(self.positive | self.negative) & (weights != 0)
        with np.errstate(invalid="ignore"):
            constant = np.where(fixed, weights * ends, 0.0)
        centre = state.alpha[oppose.location, np.arange(len(low))]
        chord_at_centre = value + slope * (centre - oppose.low)
        constant = constant + np.where(self.negative, weights * chord_at_centre, 0.0)
        self.constant = constant.sum(axis=1) + instance.margin_offset[list(rivals)]
        self.falling = np.where(self.negative, weights * slope, 0.0)
        self.tangents = _Columns(state, support, self.positive)
        self.weights = np.where(self.positive, weights, 0.0)[:, self.tangents.index]
        chords = _Columns(state, oppose, self.negative)
        self.places = np.union1d(self.tangents.places, chords.places)
        self.moving = np.searchsorted(self.places, self.tangents.places)
        self.pull_of_chords = np.zeros((len(rivals), len(self.places), instance.head.channels))
        if len(chords.places):
            at = np.searchsorted(self.places, chords.places)
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
            slope = self.similarity.derivative(tangent)
            rising = self.weights * slope
            at_centre = self.similarity.value(tangent) + slope * (alpha - tangent)
            pull = self.pull_of_chords
            if len(index):
                pull = pull.copy()
                pull[:, self.moving] += columns.sums(rising)
            length = np.sqrt((pull**2).sum(axis=2))
            bound = self.constant + (self.weights * at_centre).sum(axis=1) - length.sum(axis=1)
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
        location = np.where(self.positive, self.support.location, self.oppose.location)
        tangent, slope = np.ones_like(self.falling), self.falling.copy()
        tangent[:, self.tangents.index] = best.tangent
        slope[:, self.tangents.index] += best.rising
        linear = self.positive | self.negative
        return Forms(
            self.rivals,
            location,
            linear,
            tangent,
            slope,
            best.bound,
            np.zeros(len(self.rivals), dtype=bool),
        )


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
