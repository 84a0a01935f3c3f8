"""Few activation facts and ceilings that together close every margin: a greedy cover.

Naming a prototype raises the least activation of every prototype that looks like it
(``relaxation.implied``) and fixes its own; a ceiling lowers the greatest activation of all
prototypes under it. With low and high the activations that a set N of such facts leaves possible,

    margin_k(N) = supporting_k . low(N) + opposing_k . high(N) + offset_k

and since low takes a maximum over N, and high a minimum, what a fact adds to a margin only shrinks
while N grows. So does what it adds to

    score(N) = sum_k min(margin_k(N), enough),

which is therefore submodular, and a fact's last known gain bounds its present one: only facts that
could be the best are evaluated again (M. Minoux, "Accelerated Greedy Algorithms for Maximizing
Submodular Set Functions", Optimization Techniques, 1978). A greedy cover, cut down fact by fact
from the least useful on, is what this module finds; it claims no optimality.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.prover.latent.enclosed import ranked
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.observed import activation_fact, ceiling_fact
from protoproof.prover.latent.time_limit import time_is_up
from protoproof.prover.relaxation.intervals import Intervals
from protoproof.prover.search.deletion import Subset, delete, least_useful_first

Vector = Float[NDArray[np.float64], " prototype"]
Margins = Float[NDArray[np.float64], " rival"]

# Facts that are evaluated together. A fixed number, so that equal runs agree.
_BATCH = 16
# Ceilings that are considered: all of the highest ones, then fewer and fewer.
_LEVELS = 128
# A cover may be this much larger than the best one before what it does not need is cut.
SPARE = 1
# Relative error of a sum of gains, generously: rounding gives up no search that could succeed.
_ROUNDING = 1e-9
# Numbers of named prototypes and similarities kept at once when all are looked at: 32 MiB.
_CHUNK = 1 << 22


class _Reached(NamedTuple):
    """Activations that the facts chosen so far leave possible, and the margins they prove."""

    low: Vector
    high: Vector
    margins: Margins


class Cover:
    """The facts about activations of one instance, and what each would add.

    A fact is a number: ``j`` < P names prototype j, ``P + t`` is a ceiling at the level ranked t
    (from 0, the lowest); the prototypes ranked before it are exempt from it.
    """

    def __init__(self, state: Intervals, slack: float) -> None:
        self.instance, self.slack, self.kin = state.instance, slack, state.kin
        instance = self.instance
        self.nearest = instance.pooled
        count = self.count = len(self.nearest)
        self.ranking = np.array(ranked(instance), dtype=np.intp)
        self.rank = np.empty(count, dtype=np.intp)
        self.rank[self.ranking] = np.arange(count)
        self.levels = _levels(count)
        low, high = instance.head.activation_between(state.floor, state.roof)
        low = np.where(np.isfinite(low), low, instance.activation - self._penalty(1.0))
        high = np.where(np.isfinite(high), high, instance.activation + self._penalty(-1.0))
        self.start = _Reached(low, high, self._margins(low, high))
        self._rows = self._similar(np.arange(count)) if count * count <= _CHUNK else None

    def _penalty(self, sign: float) -> Vector:
        """How far an unbounded similarity is taken to go.

        It would make margins minus infinity: a penalty that costs every margin more than all
        activations together are worth says the same in finite numbers. (The oracle decides about
        the final set; this only proposes it.)
        """
        instance = self.instance
        worth = 1.0 + np.abs(instance.margin_weights) @ np.abs(instance.activation)
        weights = sign * instance.margin_weights
        least = np.where(weights > 0, weights, np.inf).min(axis=0, initial=np.inf)
        return np.where(least < np.inf, 1e2 * worth.max(initial=1.0) / least, 0.0)

    def _margins(self, low: Vector, high: Vector) -> Margins:
        instance = self.instance
        return np.asarray(
            instance.supporting @ low + instance.opposing @ high + instance.margin_offset
        )

    def _similar(
        self, named: Int[NDArray[np.intp], " row"]
    ) -> Float[NDArray[np.float64], "row prototype"]:
        """The least similarity of every prototype once one is named, a row for each name."""
        if self.kin is None:
            alone = np.full((len(named), self.count), -np.inf)
            alone[np.arange(len(named)), named] = self.instance.activation[named]
            return alone
        reach = self.kin.reach(named, self.nearest[named])
        reach[np.arange(len(named)), named] = self.nearest[named]
        least = self.instance.similarity(reach)
        least[:, ~self.instance.head.pooling_of.nearest] = -np.inf  # of these only one's own
        least[np.arange(len(named)), named] = self.instance.activation[named]
        return least

    def lifts(
        self, named: Int[NDArray[np.intp], " row"]
    ) -> Float[NDArray[np.float64], "row prototype"]:
        """As ``_similar``, from memory where all of them fit into it."""
        return self._similar(named) if self._rows is None else self._rows[named]

    def after(self, chosen: Iterable[int]) -> _Reached:
        """What a set of facts leaves possible."""
        facts = list(chosen)
        low, high = self.start.low.copy(), self.start.high.copy()
        named = np.array([fact for fact in facts if fact < self.count], dtype=np.intp)
        if len(named):
            low = np.maximum(low, self.lifts(named).max(axis=0))
        for fact in facts:
            if fact >= self.count:
                high = np.minimum(high, self._ceilings(np.array([fact - self.count]))[0])
        high[named] = self.instance.activation[named]
        return _Reached(low, high, self._margins(low, high))

    def closes(self, chosen: Iterable[int]) -> bool:
        """Whether a set of facts proves every margin."""
        return bool((self.after(chosen).margins > self.slack).all())

    def _ceilings(
        self, levels: Int[NDArray[np.intp], " row"]
    ) -> Float[NDArray[np.float64], "row prototype"]:
        """The greatest activations that each of some ceilings permits."""
        tau = self.instance.activation[self.ranking[levels]]
        return np.where(self.rank >= levels[:, None], tau[:, None], np.inf)

    @cached_property
    def _first(self) -> Float[NDArray[np.float64], "prototype rival"]:
        """What the least activations that each name raises add to every margin, from the start."""
        rows = max(1, _CHUNK // self.count)
        parts = []
        for start in range(0, self.count, rows):
            named = np.arange(start, min(start + rows, self.count))
            raised = np.maximum(self.lifts(named), self.start.low) - self.start.low
            parts.append(raised @ self.instance.supporting.T)
        return np.concatenate(parts)

    def score(self, margins: Float[NDArray[np.float64], "... rival"]) -> NDArray[np.float64]:
        """sum_k min(margin_k, enough) of each row."""
        return np.asarray(np.minimum(margins, 2 * self.slack).sum(axis=-1))

    def gains(
        self, facts: Int[NDArray[np.intp], " fact"], reached: _Reached
    ) -> Float[NDArray[np.float64], " fact"]:
        """What each fact would add to the score."""
        instance, name = self.instance, facts < self.count
        names, levels = facts[name], facts[~name] - self.count
        margins = np.empty((len(facts), len(reached.margins)))
        if len(names):
            raised = np.maximum(self.lifts(names), reached.low) - reached.low
            high = reached.high[names]
            lowered = np.minimum(instance.activation[names], high) - high
            margins[name] = raised @ instance.supporting.T
            margins[name] += (instance.opposing[:, names] * lowered).T
        if len(levels):
            lowered = np.minimum(self._ceilings(levels), reached.high) - reached.high
            margins[~name] = lowered @ instance.opposing.T
        return np.asarray(self.score(reached.margins + margins) - self.score(reached.margins))

    def greedy(
        self, start: Sequence[int], most: int, *, ceilings: bool, limited: bool = False
    ) -> list[int] | None:
        """A cover that contains ``start`` and at most ``most`` facts, or None.

        Args:
            start: facts to begin with.
            most: the search is given up beyond this size.
            ceilings: whether further ceilings may be added.
            limited: whether it is given up, too, when the time is up.
        """
        chosen = list(start)
        reached = self.after(chosen)
        lowered = np.minimum(self.instance.activation, reached.high) - reached.high
        margins = self._first + (self.instance.opposing * lowered).T
        bound = self.score(reached.margins + margins) - self.score(reached.margins)
        pool = np.arange(self.count)
        if ceilings:
            extra = np.array(self.levels) + self.count
            pool, bound = np.append(pool, extra), np.append(bound, self.gains(extra, reached))
        open_ = ~np.isin(pool, chosen)
        while not (reached.margins > self.slack).all():
            if limited and time_is_up():
                return None
            if self._out_of_reach(bound[open_], most - len(chosen), reached):
                return None
            best = self._best(pool, bound, open_, reached)
            if best is None:
                return None
            open_[best] = False
            chosen.append(int(pool[best]))
            reached = self.after(chosen)
        return self.pruned(chosen)

    def _out_of_reach(self, bound: NDArray[np.float64], count: int, reached: _Reached) -> bool:
        """Whether no ``count`` facts, each adding at most its bound, can close every margin.

        Because the score is submodular, several facts add at most the sum of what each would.
        """
        if count <= 0:
            return True
        most = np.partition(bound, -count)[-count:] if count < len(bound) else bound
        # every margin above the slack is a score above as many slacks
        lacking = len(reached.margins) * self.slack - float(self.score(reached.margins))
        return bool(most.sum() * (1 + _ROUNDING) < lacking)

    def _best(
        self,
        pool: Int[NDArray[np.intp], " fact"],
        bound: NDArray[np.float64],
        open_: NDArray[np.bool_],
        reached: _Reached,
    ) -> int | None:
        """The place of the fact that adds most, or None where none adds anything.

        ``bound`` [pool] holds upper bounds of the gains; it is brought up to date as far as needed.
        """
        fresh = np.zeros(len(pool), dtype=bool)
        while True:
            order = np.argsort(np.where(open_, -bound, np.inf), kind="stable")
            first = int(order[0])
            if not open_[first] or not bound[first] > 0:
                return None
            if fresh[first]:
                return first
            stale = order[: 2 * _BATCH]
            stale = stale[open_[stale] & ~fresh[stale]][:_BATCH]
            bound[stale] = self.gains(pool[stale], reached)
            fresh[stale] = True

    def pruned(self, chosen: Sequence[int]) -> list[int]:
        """``chosen`` less every fact that is not needed, tried from the least useful on."""
        order = least_useful_first(
            sorted(chosen), lambda fact: self.after(_less(chosen, fact)).margins
        )
        subset = Subset(list(chosen), _less, self.closes)
        delete(subset, order)
        return sorted(subset.kept)

    def facts(self, chosen: Iterable[int]) -> FactSet:
        """The facts that the numbers stand for."""
        activations, ceilings = [], []
        for fact in chosen:
            if fact < self.count:
                activations.append(activation_fact(self.instance, fact))
            else:
                above = self.ranking[: fact - self.count].tolist()
                at = int(self.ranking[fact - self.count])
                ceilings.append(ceiling_fact(self.instance, at, above))
        return FactSet(activations=tuple(activations), ceilings=tuple(ceilings))


def _less(facts: Sequence[int], fact: int) -> list[int]:
    return [other for other in facts if other != fact]


def _levels(count: int) -> list[int]:
    """At most ``_LEVELS`` ranks, every one of the first half of them, the others spread evenly."""
    if count <= _LEVELS:
        return list(range(count))
    dense = _LEVELS // 2
    return sorted({*range(dense), *np.geomspace(dense, count - 1, dense).astype(int).tolist()})
