"""The cascade: cheapest oracle first, and the next one only where it leaves a margin open.

    triangle -> exact -> relational

Each link is sound, so the first that proves all margins settles the answer; where none does, the
best bound of every margin is reported. A later link is never looser than an earlier one, hence the
cascade proves exactly what its last link proves, at the price of the first link that can.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.oracle.interval import ExactOracle
from protoproof.prover.oracle.oracle import Decision
from protoproof.prover.oracle.relational import RelationalOracle, RelationalState
from protoproof.prover.oracle.triangle import TriangleOracle, TriangleState
from protoproof.prover.relaxation.intervals import SLACK, ExactState
from protoproof.verdict import PROVED, Status, unknown


@dataclass(frozen=True)
class CascadeState:
    """One state per link, and how often each was asked."""

    triangle: TriangleState
    exact: ExactState
    relational: RelationalState
    asked: dict[str, int]


@dataclass(frozen=True)
class CascadeOracle:
    """See the module's docstring. ``slack`` is the least float64 margin it calls proved."""

    slack: float = SLACK
    name: str = "cascade"

    def prepare(self, instance: Instance, domain: Domain) -> CascadeState:
        """Bounds from the domain alone, for every link."""
        return CascadeState(
            TriangleOracle(self.slack).prepare(instance, domain),
            ExactOracle(self.slack).prepare(instance, domain),
            RelationalOracle(self.slack).prepare(instance, domain),
            dict.fromkeys(("triangle", "exact", "relational"), 0),
        )

    def decide(self, state: CascadeState, facts: FactSet) -> Decision:
        """The first link's yes, or the best of all links' bounds."""
        count = len(state.exact.instance.margin_offset)
        best = Decision(unknown("margin not proved"), np.full(count, -np.inf))
        for link in ("triangle", "exact", "relational"):
            state.asked[link] += 1
            decision = self._ask(link, state, facts)
            if decision.verdict.status is Status.PROVED:
                return decision
            margins = np.maximum(best.margins, decision.margins)
            # two links may prove different margins: together they prove the set
            proved = bool((margins > self.slack).all())
            best = Decision(PROVED if proved else unknown("margin not proved"), margins)
        return best

    def _ask(self, link: str, state: CascadeState, facts: FactSet) -> Decision:
        if link == "triangle":
            return TriangleOracle(self.slack).decide(state.triangle, facts)
        if link == "exact":
            return ExactOracle(self.slack).decide(state.exact, facts)
        return RelationalOracle(self.slack).decide(state.relational, facts)
