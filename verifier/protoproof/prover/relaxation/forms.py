"""What all relaxations of a margin share: tangents, chords, and the linear forms that they make.

As CROWN does for activations, a similarity is replaced by a line below it or above it, whichever
its weight asks for: a tangent from below (it is convex), a chord from above.

Reference: H. Zhang, T.-W. Weng, P.-Y. Chen, C.-J. Hsieh, L. Daniel, "Efficient Neural Network
Robustness Certification with General Activation Functions", NeurIPS 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.prover.relaxation.intervals import Intervals, Margins

Rows = Float[NDArray[np.float64], "rival prototype"]
Vector = Float[NDArray[np.float64], " prototype"]


@dataclass(frozen=True)
class Forms:
    """The linear forms of some rivals' margins, with the bound that they prove.

    For rival i and prototype j with ``linear[i, j]``: the measurement at ``location[i, j]`` enters
    linearly (a tangent at ``tangent[i, j]`` where the weight is positive, a chord where it is
    negative); all other prototypes enter by their interval. ``slope`` is the coefficient of the
    measurement. ``bound`` [R] is the least value of each margin, over the domain where
    ``bounded`` [R] says so, else over the facts' spheres.
    """

    rivals: tuple[int, ...]
    location: Int[NDArray[np.intp], "rival prototype"]
    linear: NDArray[np.bool_]
    tangent: Rows
    slope: Rows
    bound: Margins
    bounded: NDArray[np.bool_]

    def better(self, other: Forms) -> Forms:
        """Per rival, the better of both."""
        wins = other.bound > self.bound
        rows = wins[:, None]
        return Forms(
            self.rivals,
            np.where(rows, other.location, self.location),
            np.where(rows, other.linear, self.linear),
            np.where(rows, other.tangent, self.tangent),
            np.where(rows, other.slope, self.slope),
            np.where(wins, other.bound, self.bound),
            np.where(wins, other.bounded, self.bounded),
        )


class Side:
    """One location per prototype, and its measurement there.

    ``known`` marks prototypes whose measurement there has a finite, open interval, at a location
    with facts (or, if ``bare``, at any); the others stay constants.
    """

    def __init__(
        self,
        state: Intervals,
        location: Int[NDArray[np.intp], " prototype"],
        *,
        bare: bool = False,
    ) -> None:
        index = np.arange(len(location))
        self.location = location
        self.low, self.high = state.low[location, index], state.high[location, index]
        facts = np.array([bare or known.hull is not None for known in state.known])
        self.known = facts[location] & np.isfinite(self.high) & (self.high > self.low)
        chain = state.instance.head.chain
        if not chain.convex.all():  # tangents and chords only where they are bounds
            self.known &= chain.convex_between(self.low, self.high, index)


def chord(
    sigma: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    low: Vector,
    high: Vector,
    known: NDArray[np.bool_],
    elsewhere: Vector,
) -> tuple[Vector, Vector]:
    """Slope and value at ``low`` of a linear majorant of every activation.

    With t the largest similarity any *other* location can have, the activation is at most
    max(t, sigma(q)), which is convex in q and hence below its chord over [low, high]. What is not
    ``known`` gets a constant.

    Args:
        sigma: convex and decreasing.
        low, high: ends of the squared distance at the location of the chord.
        known: which of the intervals are finite and open.
        elsewhere: the least squared distance at any other location; infinite for none.
    """
    least = sigma(elsewhere)
    high = np.where(known, high, low)
    at_low, at_high = (np.maximum(sigma(end), least) for end in (low, high))
    width = np.where(known, high - low, 1.0)
    return np.where(known, (at_high - at_low) / width, 0.0), at_low


def elsewhere(
    low: Float[NDArray[np.float64], "location prototype"],
    location: Int[NDArray[np.intp], " prototype"],
) -> Vector:
    """Per prototype, the least of its lower bounds at all locations but one."""
    others = low.copy()
    others[location, np.arange(len(location))] = np.inf
    return np.asarray(others.min(axis=0))


class Linearisation:
    """The margins over some rivals, made linear in the measurements; all relaxations start here.

    Supporting prototypes enter by tangents, at the location that the state chooses
    (``support_at``); opposing ones by chords, where they could match best. Prototypes without a
    finite, open interval there are constants.

    ``centre`` [L, P] are the measurements at which the chords' constant parts are taken.
    """

    def __init__(
        self,
        state: Intervals,
        rivals: Sequence[int],
        centre: Float[NDArray[np.float64], "location prototype"],
        *,
        bare: bool = False,
    ) -> None:
        instance = self.instance = state.instance
        self.rivals = tuple(int(k) for k in rivals)
        self.similarity = instance.head.chain
        weights = self.weights = instance.margin_weights[list(rivals)]
        low, high = state.nearest()
        self.support = Side(state, state.support_at(), bare=bare)
        oppose = self.oppose = Side(state, np.argmin(state.low, axis=0), bare=bare)
        self.positive = (weights > 0) & self.support.known
        self.negative = (weights < 0) & oppose.known
        self.linear = self.positive | self.negative
        self.location = np.where(self.positive, self.support.location, oppose.location)
        slope, value = chord(
            self.similarity.value,
            oppose.low,
            oppose.high,
            oppose.known,
            elsewhere(state.low, oppose.location),
        )
        self.falling = np.where(self.negative, weights * slope, 0.0)
        ends = self.similarity.value(np.where(weights > 0, high, low))
        fixed = ~self.linear & (weights != 0)
        with np.errstate(invalid="ignore"):
            constant = np.where(fixed, weights * ends, 0.0)
        opposed = centre[oppose.location, np.arange(len(low))]
        at_centre = value + slope * (opposed - oppose.low)
        constant = constant + np.where(self.negative, weights * at_centre, 0.0)
        self.constant = constant.sum(axis=1) + instance.margin_offset[list(rivals)]

    def forms(self, tangent: Rows, rising: Rows, bound: Margins, *, bounded: bool) -> Forms:
        """The forms with these tangents and their coefficients, and the bounds they prove."""
        return Forms(
            self.rivals,
            self.location,
            self.linear,
            np.where(self.positive, tangent, 1.0),
            rising + self.falling,
            bound,
            np.full(len(self.rivals), bounded),
        )
