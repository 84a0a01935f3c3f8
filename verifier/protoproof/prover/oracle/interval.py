"""The interval oracle: the tightest interval of every measurement alone, then interval margins.

Facts at one location bound all other squared distances there by the interval of
``relaxation.pair_bounds``; activation and ceiling facts bound the nearest distances by
``relaxation.implied``. It is monotone and independent of order because each interval is. It is
*not* complete: prototypes are bounded one at a time, so what they have in common is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import Fact, FactSet, PairFact
from protoproof.prover.latent.instance import Instance
from protoproof.prover.oracle.oracle import Decision, Evidence, Oracle
from protoproof.prover.relaxation.intervals import Intervals, Margins, margins_between
from protoproof.verdict import PROVED, unknown


class IntervalState(Intervals):
    """The bounds of one instance and what they prove; see :class:`.oracle.State`."""

    oracle = "exact"

    @property
    def intervals(self) -> Intervals:
        """Itself."""
        return self

    def decide(self, facts: FactSet, slack: float | None = None) -> Decision:
        """PROVED where every margin is above the slack."""
        margins = self.margins(facts)
        proved = bool((margins > (self.slack if slack is None else slack)).all())
        return Decision(PROVED if proved else unknown("margin not proved"), margins)

    def margins(self, facts: FactSet | None = None) -> Margins:
        """Lower bounds of all margins, under other facts from now on if any are given."""
        if facts is not None:
            self.adopt(facts)
        return self.bounded_margins()

    def margins_with(self, location: int, prototypes: Sequence[int]) -> Margins:
        """Lower bounds of all margins if one location had other facts; nothing changes."""
        before = self.put(location, self.known_at(location, prototypes))
        try:
            return self.margins()
        finally:
            self.put(location, before)

    def margins_without(self, fact: Fact) -> Margins:
        """Lower bounds of all margins were one fact not assumed; nothing changes."""
        if isinstance(fact, PairFact):
            return self.margins_with(fact.location, self._others(fact))
        before = self.implied
        try:
            self.imply(self.facts.without(fact))
            return self.margins()
        finally:
            self.implied = before

    def least_without_each(self, location: int) -> Float[NDArray[np.float64], " fact"]:
        """The least margin were each of the pair facts at a location not assumed."""
        facts, instance = self.known[location].facts, self.instance
        if not facts or not (instance.head.all_nearest and instance.atoms.linear):
            return self._least_one_by_one(location)
        low, high = self.ends_without_each(location)
        others = self.elsewhere(location)
        low = np.maximum(np.minimum(low, others[0]), self.implied.low)
        high = np.minimum(np.minimum(high, others[1]), self.implied.high)
        least = margins_between(instance, low, high, self.implied.top).min(axis=1)
        return np.asarray(np.where(np.isnan(least), -np.inf, least))

    def _least_one_by_one(self, location: int) -> Float[NDArray[np.float64], " fact"]:
        facts = self.known[location].facts
        rest = [[j for j in facts if j != gone] for gone in facts]
        return np.array([self.margins_with(location, some).min() for some in rest])

    def suffices(self) -> bool:
        """Whether the present facts prove every margin; as cheaply as that can be told."""
        return self.proves(self.margins())

    def drop(self, fact: Fact) -> bool:
        """Assume a fact no longer if the rest proves every margin; whether it does."""
        if isinstance(fact, PairFact):
            return self.reduce(fact.location, self._others(fact))
        facts = self.facts
        self.adopt(facts.without(fact))
        if self.suffices():
            return True
        self.adopt(facts)
        return False

    def reduce(self, location: int, prototypes: Sequence[int]) -> bool:
        """Make ``prototypes`` the facts of a location if that suffices; whether it did."""
        before = self.put(location, self.known_at(location, prototypes))
        if self.suffices():
            return True
        self.put(location, before)
        return False

    def evidence(self, facts: FactSet) -> Evidence:
        """Intervals alone."""
        self.adopt(facts)
        return Evidence(self)

    def _others(self, fact: PairFact) -> list[int]:
        return [j for j in self.known[fact.location].facts if j != fact.prototype]


@dataclass(frozen=True)
class IntervalOracle(Oracle):
    """See the module's docstring."""

    name = IntervalState.oracle

    def prepare(self, instance: Instance, domain: Domain) -> IntervalState:
        """Bounds from the domain alone."""
        return IntervalState(instance, domain, self.slack)
