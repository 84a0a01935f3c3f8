"""Exchange: two facts of a location for one, where deletion alone cannot go on.

A set from which no fact can be dropped need not be small: another fact may do the work of two.

    repeat while the set shrinks:
        for every location with several facts: replace two of them by one that suffices as well
        for every location: replace one fact by the one that leaves the largest least margin
        delete what has become redundant

The second step changes no size; it makes room for the next round. Trials (lookahead) propose, the
state decides: a replacement counts only where every margin stays proved. At a location with many
facts, only the ones of least worth are tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from protoproof.prover.latent.time_limit import time_is_up
from protoproof.prover.oracle.interval import IntervalState
from protoproof.prover.search.deletion import by_worth, delete, least_useful_first
from protoproof.prover.search.lookahead import facts_to_try, margins_with_each

# Rounds, facts of a location that are tried for replacement, rivals that a trial looks at.
_ROUNDS, _FACTS, _RIVALS = 4, 4, 8


def exchange(state: IntervalState) -> None:
    """Make the pair facts of ``state``, which suffice, fewer where one can stand for two."""
    for _ in range(_ROUNDS):
        before = len(state.pairs)
        _two_for_one(state)
        _one_for_one(state)
        delete(state, by_worth(state))
        if len(state.pairs) == before:
            return


def _two_for_one(state: IntervalState) -> None:
    """Replace two facts by one, location by location, the ones with most facts first."""
    locations = sorted(
        range(len(state.known)), key=lambda location: (-len(state.known[location].facts), location)
    )
    for location in locations:
        while len(state.known[location].facts) > 1 and not time_is_up():
            if not _replace(state, location, 2, -np.inf):
                break


def _one_for_one(state: IntervalState) -> None:
    """Replace single facts where that raises the least margin."""
    for location in range(len(state.known)):
        if state.known[location].facts and not time_is_up():
            _replace(state, location, 1, float(state.margins().min()))


def _replace(state: IntervalState, location: int, count: int, least: float) -> bool:
    """Put one fact in the place of ``count`` of a location, if its least margin exceeds ``least``.

    The replacement with the largest least margin is put to the state.
    """
    facts = state.known[location].facts
    margins = state.margins()
    rows = np.argsort(margins, kind="stable")[:_RIVALS]
    best: list[int] | None = None
    for gone in combinations(_spare(state, location), count):
        kept = [j for j in facts if j not in gone]
        tried = [j for j in facts_to_try(state, location) if j not in facts]
        if not tried:
            return False
        trials = _least(state, location, kept, tried, rows)
        index = int(np.argmax(trials))
        if trials[index] > max(least, state.slack):
            best, least = [*kept, tried[index]], float(trials[index])
    return best is not None and state.reduce(location, best)


def _spare(state: IntervalState, location: int) -> list[int]:
    """Facts of a location that are tried for replacement, those of least worth first."""
    facts = state.known[location].facts
    if len(facts) <= _FACTS:
        return list(facts)

    def left(prototype: int) -> NDArray[np.float64]:
        return state.margins_with(location, [j for j in facts if j != prototype])

    return least_useful_first(sorted(facts), left)[:_FACTS]


def _least(
    state: IntervalState,
    location: int,
    kept: Sequence[int],
    tried: Sequence[int],
    rows: Int[NDArray[np.intp], " rival"],
) -> NDArray[np.float64]:
    return np.asarray(margins_with_each(state, location, kept, tried, rows).min(axis=1))
