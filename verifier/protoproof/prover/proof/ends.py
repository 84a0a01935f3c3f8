"""The ends of intervals that a proof by intervals follows; see ``inflation``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.latent.facts import ActivationFact, CeilingFact, FactSet
from protoproof.prover.relaxation.intervals import Intervals, margins_between

Vector = Float[NDArray[np.float64], " prototype"]

# The end of an interval that nothing bounds: certificates hold finite numbers only.
UNBOUNDED = 2.0**500
# Halvings of a bisection over shares: what is given away is a billionth.
_STEPS = 30


@dataclass(frozen=True)
class _End:
    """One end of one fact: towards greater distances (``up``) or smaller ones."""

    subject: int  # a prototype, or -1 - n for ceiling number n
    up: bool
    observed: float
    limit: float


class SimilarityEnds:
    """The ends of activation facts and ceilings, on the scale of their similarity.

    Shares are then shares of evidence: under interval reasoning a margin is linear in the
    similarities at the ends. Sound because the ends are decided by the same interval margins that
    the certificate is made of, with the state's slack to spare. Pair facts stay as they are.
    """

    steps = (_STEPS, _STEPS, _STEPS)

    def __init__(self, state: Intervals, facts: FactSet) -> None:
        self.state, self.facts = state, facts
        self.instance = state.instance
        self.low, self.high = state.seen()
        weights = self.instance.margin_weights
        self.fixed: dict[tuple[int, bool], float] = {}
        self.ends: list[_End] = []
        for number, step in enumerate(facts.ceilings):
            self._add(_End(-1 - number, False, step.bound, 0.0), True)
        for fact in facts:
            if isinstance(fact, ActivationFact):
                j = fact.prototype
                roof = float(self.high[j])
                roof = max(roof, fact.upper) if np.isfinite(roof) else UNBOUNDED
                floor = min(float(self.low[j]), fact.lower)
                # also what it says about other prototypes depends on this end
                self._add(_End(j, True, fact.upper, roof), True)
                self._add(_End(j, False, fact.lower, floor), bool((weights[:, j] < 0).any()))
        # a ceiling's number speaks for all prototypes: only of a uniform head, where all are alike
        self.whose = np.array([max(end.subject, 0) for end in self.ends], dtype=np.intp)
        self.start = self._similar([end.observed for end in self.ends])
        limits = [min(end.limit, 1e6 * (1.0 + end.observed)) for end in self.ends]
        least = np.broadcast_to(self.instance.head.chain.infimum, len(weights[0]))
        self.far = self._similar(
            [
                e.limit if np.isfinite(least[max(e.subject, 0)]) else limit
                for e, limit in zip(self.ends, limits, strict=True)
            ]
        )

    def _add(self, end: _End, matters: bool) -> None:
        """An end that no margin depends on goes to its limit at once."""
        if matters:
            self.ends.append(end)
        else:
            self.fixed[end.subject, end.up] = end.limit

    def _similar(self, measurements: list[float]) -> Vector:
        return self.instance.similarity(np.array(measurements, dtype=np.float64), self.whose)

    def least(self, position: Vector, index: int) -> float:
        """Ways start where an end is."""
        return 0.0

    def moved(self, position: Vector, index: int, share: float) -> float:
        """The place of one end between where it is and its limit."""
        here, there = position[index], self.far[index]
        return float(there if share == 1.0 else here * (1 - share) + share * there)

    def proves(self, position: Vector) -> bool:
        """Whether every margin is proved with the facts that ``facts_at`` gives."""
        low, high, top = self._intervals(self.measurements(position))
        return self.state.proves(margins_between(self.instance, low, high, top))

    def measurements(self, position: Vector) -> dict[tuple[int, bool], float]:
        """The squared distance of every end, at least as tight as its position says."""
        measured = dict(self.fixed)
        found = self._distances(position)
        for end, value in zip(self.ends, found.tolist(), strict=True):
            measured[end.subject, end.up] = value
        return measured

    def _distances(self, position: Vector) -> Vector:
        """Inverse of the similarity between observed and limit, rounded towards the observed."""
        inner = np.array([end.observed for end in self.ends])
        outer = np.array([end.limit for end in self.ends])
        up = np.array([end.up for end in self.ends], dtype=bool)
        guess = self.instance.head.chain.inverse(position, self.whose)
        guess = np.where(up, guess * (1 - 1e-14), guess * (1 + 1e-14))
        least, most = np.minimum(inner, outer), np.maximum(inner, outer)
        guess = np.where(position == self.far, outer, np.where(np.isnan(guess), inner, guess))
        return np.clip(guess, least, most)

    def _intervals(self, measured: dict[tuple[int, bool], float]) -> tuple[Vector, Vector, Vector]:
        told = self.state.told(self._facts(measured))
        return np.maximum(self.low, told.low), np.minimum(self.high, told.high), told.top

    def facts_at(self, position: Vector) -> FactSet:
        """The facts with their ends at a position."""
        return self._facts(self.measurements(position))

    def _facts(self, measured: dict[tuple[int, bool], float]) -> FactSet:
        return FactSet(
            self.facts.pairs,
            tuple(
                ActivationFact(
                    f.prototype, measured[f.prototype, False], measured[f.prototype, True]
                )
                for f in self.facts.activations
            ),
            tuple(
                CeilingFact(measured[-1 - number, False], step.exempt)
                for number, step in enumerate(self.facts.ceilings)
            ),
        )
