"""Inflation of a certificate's facts with the multipliers of its proof held fixed.

A certificate of equalities is about one latent; a person can use intervals. With fixed multipliers
a proof stays a proof for any intervals, only its bounds get looser, so the ends may move outwards
until some margin is used up:

    reach[end] = how far the end could move alone
    share      = the largest s in [0, 1] such that all ends at s * reach keep every margin proved
    then, in order: every end moves on as far as the margins that are left allow

The first pass is fair, the second makes the result maximal for these multipliers: no end can move
any further by itself. Positions are measured on the scale q / (1 + q) of squared distances, on
which even an end that nothing bounds has a finite way to go.

Here pair facts, activation facts and ceilings are moved together. Sets without pair facts need no
multipliers: ``minimise.inflate`` widens them on the scale of their similarities.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from protoproof.certificate import schema
from protoproof.prover.latent.facts import ActivationFact, CeilingFact, FactSet, PairFact
from protoproof.prover.proof.evaluate import Evidence
from protoproof.prover.relaxation.intervals import ExactState
from protoproof.prover.search.inflation import UNBOUNDED

# Halvings of the bisections: for the fair share, and for where an end finally stops.
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


def widest(state: ExactState, facts: FactSet, core: schema.Core) -> FactSet:
    """``facts`` with the widest intervals found that the evidence of ``core`` still proves.

    Args:
        state: gives the instance, the domain's bounds and the least margin that counts as proved.
        facts: those that ``core`` states, as recorded.
        core: a certificate whose multipliers are kept.

    A set that float64 does not confirm is returned unchanged.
    """
    search = _Search(state, facts, core)
    if not search.proves():
        return facts
    return search.run()


class _Search:
    """The position of every end, and whether the margins are proved there."""

    def __init__(self, state: ExactState, facts: FactSet, core: schema.Core) -> None:
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
        self.places = [end.observed for end in self.ends]

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

    def run(self) -> FactSet:
        """The three passes."""
        reach = [self._reach(index, 0.0, _COARSE) for index in range(len(self.ends))]
        self._put_all([0.0] * len(reach))
        share = _largest(lambda s: self._holds([s * r for r in reach]), 0.0, _FINE)
        position = [share * r for r in reach]
        self._put_all(position)
        for index, start in enumerate(position):
            self._put(index, self._reach(index, start, _FINE))
        return self._widest()

    def proves(self) -> bool:
        """Whether every margin is proved where the ends are now."""
        return self.state.proves(self.evidence.margins())

    def _reach(self, index: int, start: float, steps: int) -> float:
        """The largest share found that one end can take alone; it is left at ``start``."""

        def holds(share: float) -> bool:
            self._put(index, share)
            return self.proves()

        found = _largest(holds, start, steps)
        self._put(index, start)
        return found

    def _holds(self, position: list[float]) -> bool:
        self._put_all(position)
        return self.proves()

    def _put_all(self, position: list[float]) -> None:
        for index, share in enumerate(position):
            if self.places[index] != self.ends[index].at(share):
                self._put(index, share)

    def _put(self, index: int, share: float) -> None:
        end = self.ends[index]
        self.places[index] = end.at(share)
        if end.kind == "ceiling":
            self.evidence.set_ceiling(index, self.places[index])
            return
        first = index if end.up else index - 1  # the upper end of a fact comes first
        lower, upper = self.places[first + 1], self.places[first]
        if end.kind == "pair":
            self.evidence.set_pair(end.location, end.prototype, lower, upper)
        else:
            self.evidence.set_activation(end.prototype, lower, upper)

    def _widest(self) -> FactSet:
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


def _largest(holds: Callable[[float], bool], start: float, steps: int) -> float:
    """The largest share found by bisection on [start, 1]; ``start`` is known to hold."""
    if holds(1.0):
        return 1.0
    low, high = start, 1.0
    for _ in range(steps):
        middle = (low + high) / 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low
