"""The ends of intervals in heads of every kind; see ``inflation``.

Activation facts and ceilings move in their own units; pair facts stay as they are. An end goes from
where it was observed towards where the domain ends, or without end. Positions are shares of the way
on the scale x / (1 + |x|), on which even an endless way is finite. Sound because every position is
decided by the same intervals that the certificate is made of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.latent.facts import ActivationFact, CeilingFact, FactSet
from protoproof.prover.proof.ends import UNBOUNDED
from protoproof.prover.relaxation.intervals import Intervals, margins_between

Position = Float[NDArray[np.float64], " end"]

# Halvings of the bisections: for what an end can do alone, together, and where it finally stops.
_STEPS = (16, 30, 40)


@dataclass(frozen=True)
class _End:
    """One end, from where it was ``observed`` towards its ``limit``."""

    observed: float
    limit: float

    def at(self, share: float) -> float:
        """The number at a share of the way, never on the inner side of what was observed."""
        if share <= 0.0:
            return self.observed
        if share >= 1.0:
            return self.limit
        here, there = _scaled(self.observed), _scaled(self.limit)
        place = here + share * (there - here)
        value = place / (1.0 - abs(place)) if abs(place) < 1.0 else self.limit
        low, high = sorted((self.observed, self.limit))
        return min(max(value, low), high)


def _scaled(value: float) -> float:
    return value / (1.0 + abs(value))


class LevelEnds:
    """See the module's docstring. Two ends for every activation fact, then one for each ceiling."""

    steps = _STEPS

    def __init__(self, state: Intervals, facts: FactSet) -> None:
        self.state, self.facts = state, facts
        head = state.instance.head
        self.low, self.high = state.seen()
        self.ends: list[_End] = []
        for fact in facts.activations:
            floor, roof = float(self.low[fact.prototype]), float(self.high[fact.prototype])
            self.ends.append(_End(fact.lower, max(min(floor, fact.lower), -UNBOUNDED)))
            self.ends.append(_End(fact.upper, min(max(roof, fact.upper), UNBOUNDED)))
        _, most = head.activation_between(self.low, self.high)
        for ceiling in facts.ceilings:
            under = np.ones(len(most), dtype=bool)
            under[list(ceiling.exempt)] = False
            levels = self.low if head.uniform else -most
            least = float(levels[under].min(initial=ceiling.bound))
            self.ends.append(_End(ceiling.bound, max(least, -UNBOUNDED)))
        self.start = np.zeros(len(self.ends))

    def least(self, position: Position, index: int) -> float:
        """The share that an end has gone already."""
        return float(position[index])

    def moved(self, position: Position, index: int, share: float) -> float:
        """The share itself."""
        return share

    def proves(self, position: Position) -> bool:
        """Whether every margin is proved with the facts that ``facts_at`` gives."""
        told = self.state.told(self.facts_at(position))
        low, high = np.maximum(self.low, told.low), np.minimum(self.high, told.high)
        return self.state.proves(margins_between(self.state.instance, low, high, told.top))

    def facts_at(self, position: Position) -> FactSet:
        """The facts with their ends at a position."""
        numbers = [end.at(share) for end, share in zip(self.ends, position.tolist(), strict=True)]
        names = len(self.facts.activations)
        activations = (
            ActivationFact(fact.prototype, *numbers[2 * index : 2 * index + 2])
            for index, fact in enumerate(self.facts.activations)
        )
        ceilings = (
            CeilingFact(bound, fact.exempt)
            for bound, fact in zip(numbers[2 * names :], self.facts.ceilings, strict=True)
        )
        return FactSet(self.facts.pairs, tuple(activations), tuple(ceilings))
