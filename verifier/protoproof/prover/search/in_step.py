"""Greedy covers from many ceilings in step: each round gives every search the fact that adds most.

Where the similarities of all names fit into memory, the gains of many facts in all searches are a
few array operations. The facts chosen are those of each search by itself. Of names, only those are
weighed again whose gains, as last known, could be the largest (a gain only shrinks). Ceilings are
weighed by running sums: where nothing but ceilings and names bounds opposing activations from
above, the one ranked t lowers the prototypes without a name from rank t up to the rank e of the
next ceiling, all of them to tau_t, so that it adds to margin k

    sum of opposing_jk (tau_t - high_j) over those j:  a difference of sums up to e and up to t.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.prover.search.activations import CHUNK, Activations

# Relative error of a sum of gains, generously: rounding gives up no search that could succeed.
ROUNDING = 1e-9

# Names of every search that are weighed at a time.
_NAMES = 12

Table = Float[NDArray[np.float64], "start ..."]


class InStep:
    """S searches for covers of one instance, each from a ceiling of its own.

    ``size``: facts that each has so far, ``facts`` [S, size]; ``margins`` [S, R] that these prove.

    Args:
        cover: the instance's facts; see :meth:`suits`.
        levels: ranks of the ceilings to begin with.
        ceilings: whether further ones may be added.
    """

    def __init__(self, cover: Activations, levels: Sequence[int], *, ceilings: bool) -> None:
        self.cover, self.size = cover, 1
        first, every = np.array(levels, dtype=np.intp), np.array(cover.levels, dtype=np.intp)
        self._levels = every if ceilings else every[:0]
        self._pool = np.append(np.arange(cover.count), self._levels + cover.count)
        self.facts = first[:, None] + cover.count  # [S, size]
        self._open = self._pool != self.facts
        self._low: Table = np.repeat(cover.start.low[None], len(first), axis=0)
        self._high: Table = np.minimum(cover.ceilings(first), cover.start.high)
        self._unnamed = np.ones((len(first), cover.count), dtype=bool)  # [S, rank]
        # [S, rank]: from where on a ceiling is in force
        self._ends = np.arange(cover.count) == first[:, None]
        self.margins: Table = self._margins()
        # what each fact adds at most
        self._bound = self._at_first()

    @staticmethod
    def suits(cover: Activations, count: int) -> bool:
        """Whether so many searches fit into memory, and nothing else bounds what opposes."""
        instance = cover.instance
        each = cover.count * (len(cover.useful) + 2 * len(instance.margin_offset))
        high = cover.start.high[instance.opposing.any(axis=0)]
        top = float(instance.activation.max(initial=-np.inf))
        return cover.rows is not None and count * each <= CHUNK and bool((high >= top).all())

    def _margins(self) -> Table:
        cover = self.cover
        oppose = self._high @ cover.oppose
        return np.asarray(self._low @ cover.support + oppose + cover.instance.margin_offset)

    def closed(self) -> list[tuple[int, list[int]]]:
        """Searches that close every margin, which end with that: their first fact, and all."""
        closed = np.asarray((self.margins > self.cover.slack).all(axis=1))
        found = [(facts[0], facts) for facts in self.facts[closed].tolist()]
        if found:
            self._keep(~closed)
        return found

    def advance(self, most: int) -> None:
        """One more fact for every search that may close every margin with ``most`` facts.

        The others end, and those to which no fact adds anything.
        """
        left = min(most - self.size, len(self._pool))
        if left < 1:
            self._keep(np.zeros(len(self.margins), dtype=bool))
        if not len(self.margins):
            return
        gains = self._weighed()
        lacking = len(self.margins[0]) * self.cover.slack - self.cover.score(self.margins)
        # several facts add at most the sum of what each would
        reach = np.partition(self._bound, -left, axis=1)[:, -left:].sum(axis=1) * (1 + ROUNDING)
        able = (reach >= lacking) & (gains.max(axis=1) > 0)
        self._keep(able)
        self._add(np.argmax(gains[able], axis=1))
        self.size += 1

    def _at_first(self) -> Table:
        """Upper bounds of what every fact of the pool adds to the score of each search."""
        cover = self.cover
        after = cover.oppose * self._lowered_by_names()[..., None]
        after += cover.rivals.first
        names = self._score(after)
        return np.column_stack([names, np.full((len(names), len(self._levels)), np.inf)])

    def _score(self, added: Table) -> Table:
        """What is added to the scores where so much is added to the margins."""
        after = added + self.margins[:, None]
        return np.asarray(self.cover.score(after) - self.cover.score(self.margins)[:, None])

    def _lowered_by_names(self) -> Table:
        return np.asarray(np.minimum(self.cover.instance.activation, self._high) - self._high)

    def _weighed(self) -> Table:
        """What the facts of the pool add that could add most; 0 for all others.

        Brings ``_bound`` up to date as far as needed: all ceilings, then names.
        """
        count = self.cover.count
        if len(self._levels):
            self._bound[:, count:] = self._score(self._lowered_by_ceilings())
        self._bound[~self._open] = 0.0
        lowered = self._lowered_by_names()
        fresh = np.zeros(self._bound.shape, dtype=bool)
        fresh[:, count:] = True
        while True:
            top = np.where(fresh, self._bound, 0.0).max(axis=1)
            stale = self._bound[:, :count] * ~fresh[:, :count]
            stale[stale < top[:, None]] = 0.0
            rows = np.flatnonzero(stale.any(axis=1))
            if not len(rows):
                return np.where(fresh, self._bound, 0.0)
            some = min(_NAMES, count)
            names = np.argpartition(stale[rows], -some, axis=1)[:, -some:]
            self._bound[rows[:, None], names] = self._of_names(rows, names, lowered)
            fresh[rows[:, None], names] = True

    def _of_names(
        self,
        rows: Int[NDArray[np.intp], " row"],
        names: Int[NDArray[np.intp], "row name"],
        lowered: Table,
    ) -> Table:
        """What some names would add to the scores of some searches."""
        cover, low = self.cover, self._low[rows][:, None]
        raised = np.maximum(cover.lifts(names), low) - low
        added = raised.reshape(-1, raised.shape[2]) @ cover.support
        added = added.reshape(*names.shape, -1)
        added += cover.oppose[names] * lowered[rows[:, None], names][..., None]
        before = self.margins[rows]
        gained = cover.score(added + before[:, None]) - cover.score(before)[:, None]
        return np.where(self._open[rows[:, None], names], gained, 0.0)

    def _lowered_by_ceilings(self) -> Table:
        """What every ceiling would add to the margins; see the module's docstring."""
        cover, levels = self.cover, self._levels
        if cover.apart is not None:  # ceilings lower prototypes beside those that they bind, too
            high = self._high[:, None]
            return np.asarray((np.minimum(cover.ceilings(levels), high) - high) @ cover.oppose)
        weights = self._unnamed[..., None] * cover.oppose[cover.ranking]
        sums = np.zeros((2, len(weights), cover.count + 1, weights.shape[2]))
        np.cumsum(weights, axis=1, out=sums[0, :, 1:])
        high = self._high[:, cover.ranking, None]
        np.cumsum(weights * high, axis=1, out=sums[1, :, 1:])
        ranks = np.where(self._ends, np.arange(cover.count), cover.count)
        ends = np.full((len(ranks), cover.count + 1), cover.count)
        ends[:, :-1] = np.minimum.accumulate(ranks[:, ::-1], axis=1)[:, ::-1]
        ends = ends[:, levels + 1]
        rows = np.arange(len(ranks))[:, None]
        between = sums[:, rows, ends] - sums[:, rows, levels[None]]
        tau = cover.instance.activation[cover.ranking[levels]]
        return np.asarray(tau[:, None] * between[0] - between[1])

    def _add(self, best: Int[NDArray[np.intp], " start"]) -> None:
        cover, facts = self.cover, self._pool[best]
        rows = np.arange(len(best))
        self._open[rows, best] = False
        self.facts = np.column_stack([self.facts, facts])
        name = facts < cover.count
        named, where = facts[name], rows[name]
        self._low[where] = np.maximum(self._low[where], cover.lifts(named))
        self._high[where, named] = cover.instance.activation[named]
        self._unnamed[where, cover.rank[named]] = False
        levels, where = facts[~name] - cover.count, rows[~name]
        self._high[where] = np.minimum(self._high[where], cover.ceilings(levels))
        self._ends[where, levels] = True
        self.margins = self._margins()

    def _keep(self, which: NDArray[np.bool_]) -> None:
        """Go on with some of the searches."""
        for name in ("facts", "_open", "_low", "_high", "_unnamed", "_ends", "_bound"):
            setattr(self, name, getattr(self, name)[which])
        self.margins = self.margins[which]
