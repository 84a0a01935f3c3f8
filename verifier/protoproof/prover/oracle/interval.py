"""The exact oracle: the tightest interval of every measurement on its own, then interval margins.

Facts at one location bound all other squared distances there by the exact interval of
``latent.geometry``; activation and ceiling facts bound the nearest distances by
``latent.implied``. It is monotone and independent of order because each interval is. It is *not*
complete: prototypes are bounded one at a time, so what they have in common is lost.
"""

from __future__ import annotations

from dataclasses import dataclass

from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.oracle.oracle import Decision
from protoproof.prover.relaxation.intervals import (
    SLACK,
    ExactState,
    margins_between,
)
from protoproof.verdict import PROVED, unknown


@dataclass(frozen=True)
class ExactOracle:
    """See the module's docstring. ``slack`` is the least float64 margin it calls proved."""

    slack: float = SLACK
    name: str = "exact"

    def prepare(self, instance: Instance, domain: Domain) -> ExactState:
        """Bounds from the domain alone."""
        return ExactState(instance, domain, self.slack)

    def decide(self, state: ExactState, facts: FactSet) -> Decision:
        """PROVED where every margin is above the slack under all three kinds of facts."""
        state.adopt(facts)
        margins = margins_between(state.instance, *state.nearest())
        proved = bool((margins > self.slack).all())
        return Decision(PROVED if proved else unknown("margin not proved"), margins)
