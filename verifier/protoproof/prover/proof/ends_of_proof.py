"""The ends of intervals around a proof whose multipliers are held fixed; see ``inflation``.

Pair facts, activation facts and ceilings are moved together. Positions are shares of the way from
the recorded value to the limit, on the scale q / (1 + q) of squared distances, on which even an end
that nothing bounds has a finite way to go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.certificate import schema
from protoproof.prover.latent.facts import ActivationFact, CeilingFact, FactSet, PairFact
from protoproof.prover.proof.ends import UNBOUNDED
from protoproof.prover.proof.evaluate import Evidence
from protoproof.prover.relaxation.intervals import Intervals

Position = Float[NDArray[np.float64], " end"]

# Halvings of the bisections: for what an end can do alone, and for where it finally stops.
_COARSE, _FINE = 16, 40


@dataclass(frozen=True)
class _End:
    """One end of one fact, between where it was observed and where the domain ends.

    ``prototype`` of a ceiling is its number.
    """

    kind: Literal["pair", "activation", "ceiling"]
    location: int
    prototype: int
    up: bool
    observed: float
    limit: float

    def at(self, share: float) -> float:
        """The squared distance at a share of the way from ``observed`` to ``limit``."""
        if share <= 0.0:
            return self.observed
        if share >= 1.0:
            return self.limit
        here = _scaled(self.observed)
        place = here + share * (_scaled(self.limit) - here)
        value = place / (1.0 - place) if place < 1.0 else self.limit
        outward = max if self.up else min
        inward = min if self.up else max
        return inward(outward(value, self.observed), self.limit)


def _scaled(measurement: float) -> float:
    return measurement / (1.0 + measurement) if measurement < UNBOUNDED else 1.0


class ProofEnds:
    """The ends of all facts, and whether the evidence proves the margins there."""

    steps = (_COARSE, _FINE, _FINE)

    def __init__(self, state: Intervals, facts: FactSet, core: schema.Core) -> None:
        self.state, self.facts = state, facts
        self.evidence = Evidence(state.instance, state.near, state.far, facts, core.evidence)
        self.ends: list[_End] = []
        for fact in facts:
            match fact:
                case CeilingFact(bound=bound):
                    number = len(self.ends)  # ceilings come first, with one end each
                    self.ends.append(_End("ceiling", 0, number, False, bound, 0.0))
                case ActivationFact(prototype=j, lower=lower, upper=upper):
                    self._add("activation", 0, j, lower, upper, (state.floor[j], state.roof[j]))
                case PairFact(location=location, prototype=j, lower=lower, upper=upper):
                    ends = state.near[location, j], state.far[location, j]
                    self._add("pair", location, j, lower, upper, ends)
        self.start = np.zeros(len(self.ends))
        self._now = self.start.copy()
        self._places = [end.observed for end in self.ends]

    def _add(
        self,
        kind: Literal["pair", "activation"],
        location: int,
        j: int,
        lower: float,
        upper: float,
        ends: tuple[float, float],
    ) -> None:
        least, most = min(float(ends[0]), lower), max(min(float(ends[1]), UNBOUNDED), upper)
        self.ends.append(_End(kind, location, j, True, upper, most))
        self.ends.append(_End(kind, location, j, False, lower, least))

    def least(self, position: Position, index: int) -> float:
        """Positions are shares themselves."""
        return float(position[index])

    def moved(self, position: Position, index: int, share: float) -> float:
        """The share itself."""
        return share

    def proves(self, position: Position) -> bool:
        """Whether every margin is proved with these ends."""
        self._put_all(position)
        return self.state.proves(self.evidence.margins())

    def _put_all(self, position: Position) -> None:
        """Only what moved costs anything."""
        for index in np.flatnonzero(self._now != position).tolist():
            self._put(index, float(position[index]))
        self._now = position.copy()

    def _put(self, index: int, share: float) -> None:
        end = self.ends[index]
        self._places[index] = end.at(share)
        if end.kind == "ceiling":
            self.evidence.set_ceiling(index, self._places[index])
            return
        first = index if end.up else index - 1  # the upper end of a fact comes first
        lower, upper = self._places[first + 1], self._places[first]
        if end.kind == "pair":
            self.evidence.set_pair(end.location, end.prototype, lower, upper)
        else:
            self.evidence.set_activation(end.prototype, lower, upper)

    def facts_at(self, position: Position) -> FactSet:
        """The facts with their ends at a position."""
        self._put_all(position)
        evidence = self.evidence
        return FactSet(
            tuple(
                PairFact(f.location, f.prototype, *evidence.pairs[f.location, f.prototype])
                for f in self.facts.pairs
            ),
            tuple(
                ActivationFact(f.prototype, *evidence.activations[f.prototype])
                for f in self.facts.activations
            ),
            tuple(
                CeilingFact(bound, fact.exempt)
                for bound, fact in zip(evidence.ceilings, self.facts.ceilings, strict=True)
            ),
        )
