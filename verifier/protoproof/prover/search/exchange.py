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
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from protoproof.prover.latent.time_limit import time_is_up
from protoproof.prover.oracle.interval import IntervalState
from protoproof.prover.search.deletion import delete, spare
from protoproof.prover.search.lookahead import facts_to_try, margins_with_each

# Rounds, facts of a location that are tried for replacement, rivals that a trial looks at.
_ROUNDS, _FACTS, _RIVALS = 4, 4, 8
# Trials in all: where locations are many, those with most facts have them.
_TRIALS = 1500


@dataclass
class _Trials:
    """How many more there may be."""

    left: int

    @property
    def over(self) -> bool:
        """Whether there may be none, or no time is left for any."""
        return self.left <= 0 or time_is_up()


def exchange(state: IntervalState) -> None:
    """Make the pair facts of ``state``, which suffice, fewer where one can stand for two."""
    trials = _Trials(_TRIALS)
    for _ in range(_ROUNDS):
        before = len(state.pairs)
        _two_for_one(state, trials)
        _one_for_one(state, trials)
        delete(state, spare(state))
        if len(state.pairs) == before:
            return


def _two_for_one(state: IntervalState, trials: _Trials) -> None:
    """Replace two facts by one, location by location, the ones with most facts first."""
    locations = sorted(
        range(len(state.known)), key=lambda location: (-len(state.known[location].facts), location)
    )
    for location in locations:
        while len(state.known[location].facts) > 1 and not trials.over:
            if not _replace(state, location, 2, -np.inf, trials):
                break


def _one_for_one(state: IntervalState, trials: _Trials) -> None:
    """Replace single facts where that raises the least margin."""
    for location in range(len(state.known)):
        if state.known[location].facts and not trials.over:
            _replace(state, location, 1, float(state.margins().min()), trials)


def _replace(
    state: IntervalState, location: int, count: int, least: float, trials: _Trials
) -> bool:
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
        if not tried or trials.over:
            break
        trials.left -= 1
        left = _least(state, location, kept, tried, rows)
        index = int(np.argmax(left))
        if left[index] > max(least, state.slack):
            best, least = [*kept, tried[index]], float(left[index])
    return best is not None and state.reduce(location, best)


def _spare(state: IntervalState, location: int) -> list[int]:
    """Facts of a location that are tried for replacement, those of least worth first."""
    facts = state.known[location].facts
    if len(facts) <= _FACTS:
        return list(facts)

    least = dict(zip(facts, state.least_without_each(location).tolist(), strict=True))
    return sorted(facts, key=lambda j: (-least[j], j))[:_FACTS]


def _least(
    state: IntervalState,
    location: int,
    kept: Sequence[int],
    tried: Sequence[int],
    rows: Int[NDArray[np.intp], " rival"],
) -> NDArray[np.float64]:
    return np.asarray(margins_with_each(state, location, kept, tried, rows).min(axis=1))
