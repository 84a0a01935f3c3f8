"""Few activation facts and ceilings that together close every margin: a greedy cover.

The score of a set of facts is submodular (``search.activations``), so a fact's last known gain
bounds its present one: only facts that could be the best are evaluated again (M. Minoux,
"Accelerated Greedy Algorithms for Maximizing Submodular Set Functions", Optimization Techniques,
1978), and so many facts close no margin whose gains, as last known, do not add up. A greedy cover,
cut down fact by fact from the least useful on, is what this module finds; it claims no optimality.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from protoproof.prover.latent.time_limit import time_is_up
from protoproof.prover.search.activations import Activations, Reached, Rivals, Vector
from protoproof.prover.search.in_step import ROUNDING, InStep
from protoproof.prover.search.reading import carried, raised

# Facts that are evaluated together: as many as make about so many products, within these limits.
# It depends on the head and the facts so far alone, so that equal runs agree.
_WORK, _FEWEST, _MOST = 1 << 20, 16, 1024
# A cover may be this much larger than the best one before what it does not need is cut.
_SPARE = 1


class Cover(Activations):
    """Searches for few of the facts about activations of one instance."""

    def begun(self, start: Sequence[int], *, ceilings: bool) -> tuple[Reached, Vector]:
        """What a search starts from: what ``start`` proves, and bounds of what others add."""
        reached = self.after(start)
        return reached, self.bounds(reached, ceilings=ceilings)

    def greedy(
        self,
        start: Sequence[int],
        most: int,
        *,
        ceilings: bool,
        limited: bool = False,
        begun: tuple[Reached, Vector] | None = None,
    ) -> list[int] | None:
        """A cover that contains ``start`` and at most ``most`` facts, or None.

        Args:
            start: facts to begin with.
            most: the search is given up beyond this size.
            ceilings: whether further ceilings may be added.
            limited: whether it is given up, too, when the time is up.
            begun: what :meth:`begun` gave for this start.
        """
        chosen = list(start)
        reached, bound = begun or self.begun(start, ceilings=ceilings)
        pool = np.arange(self.count)
        if ceilings:
            pool = np.append(pool, np.array(self.levels) + self.count)
        open_ = ~np.isin(pool, chosen)
        rivals = self.rivals
        while not (reached.margins > self.slack).all():
            if limited and time_is_up():
                return None
            if self._out_of_reach(bound[open_], most - len(chosen), reached):
                return None
            rivals = self.open_rivals(reached, rivals)
            best = self._best(pool, bound, open_, reached, rivals)
            if best is None:
                return None
            open_[best] = False
            chosen.append(int(pool[best]))
            reached = self.and_one(reached, chosen[-1])
        return self.pruned(chosen)

    def _out_of_reach(self, bound: NDArray[np.float64], count: int, reached: Reached) -> bool:
        """Whether no ``count`` facts, each adding at most its bound, can close every margin."""
        return count <= 0 or count < self.least(bound, reached)

    def least(self, bound: NDArray[np.float64], reached: Reached) -> int:
        """How many facts, each adding at most its bound, it takes at least to close every margin.

        Because the score is submodular, several facts add at most the sum of what each would. More
        than there are, where all of them do not suffice.
        """
        # every margin above the slack is a score above as many slacks
        lacking = len(reached.margins) * self.slack - float(self.score(reached.margins))
        if lacking <= 0:
            return 0
        most = np.cumsum(np.sort(bound)[::-1]) * (1 + ROUNDING)
        return int(np.searchsorted(most, lacking)) + 1

    def _best(
        self,
        pool: Int[NDArray[np.intp], " fact"],
        bound: NDArray[np.float64],
        open_: NDArray[np.bool_],
        reached: Reached,
        rivals: Rivals,
    ) -> int | None:
        """The place of the fact that adds most, or None where none adds anything.

        ``bound`` [pool] holds upper bounds of the gains; it is brought up to date as far as needed:
        names first, which cost less than ceilings.
        """
        fresh = np.zeros(len(pool), dtype=bool)
        top = 0.0
        each = rivals.number * (1 + len(self.useful)), rivals.number * self.count
        while True:
            stale = np.flatnonzero(open_ & ~fresh & (bound >= top) & (bound > 0))
            if not len(stale):
                break
            names = stale[pool[stale] < self.count]
            kind, products = (names, each[0]) if len(names) else (stale, each[1])
            count = min(max(_WORK // max(1, products), _FEWEST), _MOST)
            if len(kind) > count:
                kind = kind[np.argsort(-bound[kind], kind="stable")[:count]]
            bound[kind] = self.gains(pool[kind], reached, rivals)
            fresh[kind] = True
            top = max(top, float(bound[kind].max()))
        value = np.where(open_ & fresh, bound, 0.0)
        best = int(np.argmax(value))
        return best if value[best] > 0 else None

    def pruned(self, chosen: Sequence[int], most: int | None = None) -> list[int] | None:
        """``chosen`` less every fact that is not needed, tried from the least useful on.

        Args:
            chosen: facts that close every margin.
            most: None is the answer where more facts than that would be left.
        """
        kept = sorted(chosen)
        least = self._least_without_each(kept)
        for fact in sorted(kept, key=lambda fact: -least[fact]):
            # what is needed now stays needed
            if most is not None and sum(left <= self.slack for left in least.values()) > most:
                return None
            if least[fact] > self.slack and not time_is_up():
                kept.remove(fact)
                least = self._least_without_each(kept)
        return kept if most is None or len(kept) <= most else None

    def _least_without_each(self, chosen: Sequence[int]) -> dict[int, float]:
        least = self.without_each(chosen).min(axis=1, initial=np.inf)
        return dict(zip(chosen, least.tolist(), strict=True))

    def smallest(
        self, levels: Sequence[int], *, ceilings: bool, limit: int | None = None
    ) -> list[int] | None:
        """The smallest cover that searches from several ceilings find, or None; of equally small
        ones that with the fewest numbers to read, made shorter at its size.

        Searches that cannot lead to fewer facts than are known already are given up; where the time
        is up, all but the first.

        Args:
            levels: ceilings to begin with, one each.
            ceilings: whether further ones may be added, and the first one dropped.
            limit: only covers of fewer facts count.
        """
        best = _Best(self, limit, ceilings=ceilings)
        if InStep.suits(self, len(levels)):
            return self._in_step(best, levels)
        self._one_by_one(best, levels)
        return best.facts if best.facts is None else raised(self, best.facts, ceilings=ceilings)

    def _in_step(self, best: _Best, levels: Sequence[int]) -> list[int] | None:
        """All searches at once: of a small head they are a few array operations a round.

        Each of the smallest covers is made shorter; the one with the fewest numbers then counts.
        """
        searches, found = (
            InStep(self, levels, ceilings=best.ceilings),
            dict[tuple[int, ...], None](),
        )
        while len(searches.margins):
            for first, facts in searches.closed():
                kept = best.offer(self.pruned(facts, best.size), first)
                if kept is not None:
                    found[tuple(kept)] = None
            if best.facts is not None and time_is_up():
                break
            searches.advance(best.size + _SPARE)
        shortest = _Best(self, best.size + 1, ceilings=best.ceilings)
        for cover in found if best.facts is not None else ():
            if len(cover) == best.size:
                whole = raised(self, cover, ceilings=best.ceilings)
                shortest.offer(whole, whole[-1])  # a ceiling that is raised stays one
        return shortest.facts

    def _one_by_one(self, best: _Best, levels: Sequence[int]) -> None:
        """One search after the other, those first that could lead to the fewest facts."""
        begun, least = {}, dict.fromkeys(levels, 0)
        for level, (reached, bound) in zip(levels, self.under(levels), strict=True):
            if time_is_up():
                break
            if best.ceilings:
                others = self.gains(np.array(self.levels) + self.count, reached)
                bound = np.append(bound, others)
            begun[level] = reached, bound
            least[level] = self.least(bound, reached)
        kept = 0 if best.ceilings else 1  # what covers without the ceiling covers with it, too
        for level in sorted(levels, key=lambda level: (least[level], level)):
            if least[level] + kept >= best.size or (best.facts is not None and time_is_up()):
                break
            start = self.count + level
            found = self.greedy(
                [start],
                best.size + _SPARE,
                ceilings=best.ceilings,
                limited=best.facts is not None,
                begun=begun.get(level),
            )
            best.offer(found, start)


class _Best:
    """The smallest cover so far; of equally small ones that with the fewest numbers to read.

    ``size``: its facts, or as many as none that counts has.
    """

    def __init__(self, cover: Cover, limit: int | None, *, ceilings: bool) -> None:
        self.facts: list[int] | None = None
        self.size, self._read = 2 * cover.count + 1 if limit is None else limit, 0
        self.ceilings, self._cover = ceilings, cover

    def offer(self, found: list[int] | None, start: int) -> list[int] | None:
        """Take a cover if it is smaller; gives it back whole, with the ceiling that it needs."""
        if found is None:
            return None
        if not self.ceilings and start not in found:
            found = [*found, start]  # the ceiling stays, even where names alone would do
        length = len(found), int(carried(self._cover, found).sum())
        if length < (self.size, self._read):
            self.facts, (self.size, self._read) = found, length
        return found
