"""Few numbers to read: facts about activations that are chosen by what they carry, not by count.

A name carries two numbers (the prototype and its value), a ceiling one and those of its exempt
prototypes (``protoproof.length``). Facts that close every margin are chosen greedily by what they
add to the score per number; then

    repeat while the numbers get fewer:
        drop what is not needed, those that carry most first
        raise every ceiling as far as the margins allow: fewer are exempt then
        for every fact, those that carry most first: choose anew what may stand in its place

A set that is small already is only made shorter at its size (:func:`raised`): of equally many facts
those that are easier to read. Neither claims that there is nothing shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from protoproof.length import numbers
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.time_limit import time_is_up
from protoproof.prover.search.activations import Activations
from protoproof.prover.search.deletion import Subset, delete

# Facts that are evaluated together, and rounds of choosing anew.
_TOGETHER, _ROUNDS = 64, 4
# Ranks of the ceilings with which a search begins, besides the one that begins with nothing.
_STARTS = (0, 1, 2, 4, 8)


Length = Callable[[FactSet], tuple[int, int]]


def length_of(locations: int, *, reading: bool) -> Length:
    """By what sets of facts are compared: facts and then numbers, or the other way round."""

    def length(facts: FactSet) -> tuple[int, int]:
        found = len(facts), numbers(facts, locations)
        return found[::-1] if reading else found

    return length


def carried(
    cover: Activations, facts: Sequence[int] | NDArray[np.intp]
) -> Int[NDArray[np.intp], " fact"]:
    """The numbers that each fact carries."""
    some = np.asarray(facts, dtype=np.intp)
    return np.where(some < cover.count, 2, 1 + some - cover.count)


def less(facts: Sequence[int], fact: int) -> list[int]:
    """All but one."""
    return [other for other in facts if other != fact]


def raised(cover: Activations, chosen: Sequence[int], *, ceilings: bool) -> list[int]:
    """As many facts as ``chosen``, which close every margin, with fewer numbers where possible.

    In the place of every ceiling, those with the most exemptions first: the name that adds most
    without it, where that does; else the highest ceiling that does.

    Args:
        cover: of the instance.
        chosen: the facts.
        ceilings: whether one may go; else it is only raised.
    """
    kept = list(chosen)
    for fact in sorted((fact for fact in kept if fact > cover.count), reverse=True):
        if time_is_up():
            break
        rest = less(kept, fact)
        reached = cover.after(rest)
        names = np.setdiff1d(np.arange(cover.count), rest)
        if ceilings and len(names) and fact > cover.count + 1:
            name = int(names[np.argmax(cover.gains(names, reached))])
            if cover.closes([*rest, name]):
                kept = [*rest, name]
                continue
        levels = [level for level in cover.levels if level < fact - cover.count]
        low, high = 0, len(levels)  # the highest that does has the least rank
        while low < high:
            middle = (low + high) // 2
            margins = cover.and_one(reached, cover.count + levels[middle]).margins
            if (margins > cover.slack).all():
                high = middle
            else:
                low = middle + 1
        if low < len(levels) and cover.count + levels[low] not in rest:
            kept = [*rest, cover.count + levels[low]]
    return sorted(kept) if cover.closes(kept) else list(chosen)


def shortest(cover: Activations, known: Sequence[int]) -> list[int]:
    """Facts that close every margin with few numbers: never more than ``known``, which do."""
    best = _improved(cover, list(known), fixed=())
    for start in [[], *([cover.count + level] for level in _STARTS if level in cover.levels)]:
        if time_is_up():
            break
        least = float(carried(cover, best).sum())
        found = _greedy(cover, start, least, ceilings=True)
        if found is not None:
            best = _improved(cover, found, fixed=())
    return best


def shortest_under_one(cover: Activations, known: Sequence[int]) -> list[int]:
    """The same of names under one ceiling, which stays even where the names alone would do."""
    roofs = [fact for fact in known if fact >= cover.count]
    best = _improved(cover, list(known), fixed=roofs)
    for level in cover.levels:
        least = float(carried(cover, best).sum())
        roof = [cover.count + level]
        if time_is_up() or carried(cover, roof).sum() >= least:
            break
        found = _greedy(cover, roof, least, ceilings=False)
        if found is not None:
            best = _improved(cover, found, fixed=roof)
    return best


def _improved(cover: Activations, chosen: list[int], fixed: Sequence[int]) -> list[int]:
    """See the module's docstring; ``fixed`` stay as they are."""
    best = _dropped(cover, chosen, fixed)
    for _ in range(_ROUNDS):
        before = int(carried(cover, best).sum())
        if not fixed:
            best = raised(cover, best, ceilings=True)
        for fact in sorted(best, key=lambda fact: -int(carried(cover, [fact])[0])):
            if time_is_up():
                return best
            if fact in fixed or fact not in best:
                continue
            rest = less(best, fact)
            least = float(carried(cover, best).sum())
            found = _greedy(cover, rest, least, ceilings=not fixed, without=fact)
            if found is not None:
                found = _dropped(cover, found, fixed)
                if carried(cover, found).sum() < least:
                    best = found
        if carried(cover, best).sum() >= before:
            break
    return best


def _dropped(cover: Activations, chosen: list[int], fixed: Sequence[int]) -> list[int]:
    """``chosen`` less every fact that is not needed, tried from the one that carries most on."""
    order = [fact for fact in chosen if fact not in fixed]
    order.sort(key=lambda fact: (-int(carried(cover, [fact])[0]), fact))
    subset = Subset(list(chosen), less, cover.closes)
    delete(subset, order)
    return sorted(subset.kept)


def _greedy(
    cover: Activations,
    start: Sequence[int],
    most: float,
    *,
    ceilings: bool,
    without: int | None = None,
) -> list[int] | None:
    """Facts with fewer than ``most`` numbers that contain ``start`` and close every margin."""
    chosen = list(start)
    reached = cover.after(chosen)
    pool = np.arange(cover.count)
    if ceilings:
        pool = np.append(pool, np.array(cover.levels) + cover.count)
    price = carried(cover, pool)
    bound = cover.bounds(reached, ceilings=ceilings) / price
    open_ = ~np.isin(pool, [*chosen, *([] if without is None else [without])])
    spent = int(carried(cover, chosen).sum())
    rivals = cover.rivals
    while not (reached.margins > cover.slack).all():
        open_ &= price < most - spent
        rivals = cover.open_rivals(reached, rivals)
        fresh = np.zeros(len(pool), dtype=bool)
        top = 0.0
        while len(stale := np.flatnonzero(open_ & ~fresh & (bound > top))):
            stale = stale[np.argsort(-bound[stale], kind="stable")[:_TOGETHER]]
            bound[stale] = cover.gains(pool[stale], reached, rivals) / price[stale]
            fresh[stale] = True
            top = max(top, float(bound[stale].max()))
        value = np.where(open_ & fresh, bound, 0.0)
        best = int(np.argmax(value))
        if not value[best] > 0:
            return None
        open_[best] = False
        chosen.append(int(pool[best]))
        spent += int(price[best])
        reached = cover.and_one(reached, chosen[-1])
    return chosen if spent < most else None
