"""Inflation: activation facts and the ceiling, as wide as the proof allows.

A certificate of equalities is about one latent; a person can use intervals ("as long as the
similarity to prototype 7 stays above 0.81"). Under interval reasoning a margin is linear in the
similarities at the ends of the intervals, so every end may move until some margin is used up:

    reach[end] = how far (in similarity) the end could move alone; nothing costs it: the domain
    share      = the largest s in [0, 1] such that all ends at s * reach keep every margin proved
    then, in order: every end moves on as far as the margins that are left allow

The first pass is fair (everybody gets the same share of what it could have alone), the second
makes the result maximal: no end can move any more by itself. Sound because the ends are decided by
the same interval margins that the certificate is made of, with the state's slack to spare.

Pair facts are returned as they are: their intervals enter through multipliers, where widening one
loosens the bounds of all prototypes at its location.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.latent.facts import ActivationFact, CeilingFact, FactSet
from protoproof.prover.relaxation.implied import implied
from protoproof.prover.relaxation.intervals import ExactState, margins_between

Vector = Float[NDArray[np.float64], " prototype"]

# The end of an interval that nothing bounds: certificates hold finite numbers only.
UNBOUNDED = 2.0**500
# Halvings of a bisection over shares: what is given away is a billionth.
_SHARE_STEPS = 30


def inflate(state: ExactState, facts: FactSet) -> FactSet:
    """The facts with the widest intervals found that keep every margin above the state's slack.

    ``state`` describes the pair facts of ``facts`` (usually none). A set that the interval
    margins do not prove is returned unchanged.
    """
    ends = _Ends(state, facts)
    if not ends.proves(ends.start):
        return facts
    alone = ends.start.copy()
    for index in range(len(alone)):
        alone[index] = ends.widest(ends.start, index)
    position = _between(
        ends.start,
        alone,
        _largest_share(lambda share: ends.proves(_between(ends.start, alone, share))),
    )
    for index in range(len(position)):
        position[index] = ends.widest(position, index)
    return ends.facts_at(position)


@dataclass(frozen=True)
class _End:
    """One end of one fact: towards greater distances (``up``) or smaller ones."""

    subject: int  # a prototype, or -1 - n for ceiling number n
    up: bool
    observed: float
    limit: float


class _Ends:
    """All ends that can move; a position gives each end a place on its own scale.

    The scale is the similarity where that is finite, so that shares are shares of evidence.
    """

    def __init__(self, state: ExactState, facts: FactSet) -> None:
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
        self.start = self._similar([end.observed for end in self.ends])
        limits = [min(end.limit, 1e6 * (1.0 + end.observed)) for end in self.ends]
        bounded = np.isfinite(self.instance.head.similarity.infimum)
        self.far = self._similar([e.limit for e in self.ends] if bounded else limits)

    def _add(self, end: _End, matters: bool) -> None:
        """An end that no margin depends on goes to its limit at once."""
        if matters:
            self.ends.append(end)
        else:
            self.fixed[end.subject, end.up] = end.limit

    def _similar(self, measurements: list[float]) -> Vector:
        return self.instance.similarity(np.array(measurements, dtype=np.float64))

    def widest(self, position: Vector, index: int) -> float:
        """How far one end can go while all others stay where they are."""

        def placed(share: float) -> Vector:
            trial = position.copy()
            there = self.far[index]
            trial[index] = there if share == 1.0 else position[index] * (1 - share) + share * there
            return trial

        return float(placed(_largest_share(lambda share: self.proves(placed(share))))[index])

    def proves(self, position: Vector) -> bool:
        """Whether every margin is proved with the facts that ``facts_at`` gives."""
        low, high = self._intervals(self.measurements(position))
        return self.state.proves(margins_between(self.instance, low, high))

    def measurements(self, position: Vector) -> dict[tuple[int, bool], float]:
        """The squared distance of every end, at least as tight as its position says."""
        places = dict(self.fixed)
        found = self._distances(position)
        for end, place in zip(self.ends, found.tolist(), strict=True):
            places[end.subject, end.up] = place
        return places

    def _distances(self, position: Vector) -> Vector:
        """Inverse of the similarity between observed and limit, rounded towards the observed."""
        inner = np.array([end.observed for end in self.ends])
        outer = np.array([end.limit for end in self.ends])
        up = np.array([end.up for end in self.ends], dtype=bool)
        kind, constant = self.instance.head.similarity.kind, self.instance.head.similarity.constant
        guess = _INVERSE[kind](position, constant)
        guess = np.where(up, guess * (1 - 1e-14), guess * (1 + 1e-14))
        least, most = np.minimum(inner, outer), np.maximum(inner, outer)
        guess = np.where(position == self.far, outer, np.where(np.isnan(guess), inner, guess))
        return np.clip(guess, least, most)

    def _intervals(self, places: dict[tuple[int, bool], float]) -> tuple[Vector, Vector]:
        facts = self._facts(places)
        told = implied(self.instance.gram, facts.activations, facts.ceilings)
        return np.maximum(self.low, told.low), np.minimum(self.high, told.high)

    def facts_at(self, position: Vector) -> FactSet:
        """The facts with their ends at a position."""
        return self._facts(self.measurements(position))

    def _facts(self, places: dict[tuple[int, bool], float]) -> FactSet:
        return FactSet(
            self.facts.pairs,
            tuple(
                ActivationFact(f.prototype, places[f.prototype, False], places[f.prototype, True])
                for f in self.facts.activations
            ),
            tuple(
                CeilingFact(places[-1 - number, False], step.exempt)
                for number, step in enumerate(self.facts.ceilings)
            ),
        )


def _between(start: Vector, end: Vector, share: float) -> Vector:
    return end.copy() if share == 1.0 else start + share * (end - start)


def _largest_share(holds: Callable[[float], bool]) -> float:
    """The largest s in [0, 1] found by bisection with ``holds(s)``; 0 is known to hold."""
    if holds(1.0):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(_SHARE_STEPS):
        middle = (low + high) / 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low


def _inverse_log_ratio(similarity: Vector, epsilon: float) -> Vector:
    with np.errstate(divide="ignore"):
        return np.asarray((1.0 - epsilon) / np.expm1(similarity) - epsilon)


def _inverse_exponential(similarity: Vector, temperature: float) -> Vector:
    with np.errstate(divide="ignore"):
        return np.asarray(-temperature * np.log(similarity))


def _inverse_reciprocal(similarity: Vector, _: float) -> Vector:
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / similarity - 1.0)


# The squared distance at which each similarity of protoproof.network.head.similarity has a value.
_INVERSE: dict[str, Callable[[Vector, float], Vector]] = {
    "log_ratio": _inverse_log_ratio,
    "exponential": _inverse_exponential,
    "negated": lambda similarity, _: -similarity,
    "reciprocal": _inverse_reciprocal,
}
