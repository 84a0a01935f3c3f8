"""What the relational bounds share: where a prototype is bounded, chords, and linear forms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.network.head.similarity import Similarity
from protoproof.prover.relaxation.intervals import ExactState, Margins

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
        state: ExactState,
        location: Int[NDArray[np.intp], " prototype"],
        *,
        bare: bool = False,
    ) -> None:
        index = np.arange(len(location))
        self.location = location
        self.low, self.high = state.low[location, index], state.high[location, index]
        facts = np.array([bare or place.hull is not None for place in state.places])
        self.known = facts[location] & np.isfinite(self.high) & (self.high > self.low)


def chord(state: ExactState, side: Side, sigma: Similarity) -> tuple[Vector, Vector]:
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
