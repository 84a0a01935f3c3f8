"""Vocabulary *pairs*: a sufficient set of (location, prototype) facts, grown by gain.

    E = the nearest prototype of every location
    while some margin is not proved:
        k = the rival with the least proved margin
        for the locations at which prototypes cost margin_k most:
            try every fact there (lookahead)
        add the one after which the margins that are not proved lack least altogether
        (where locations are many, one at each of several)
    return E

The fact that helps most is often not the one about the prototype that costs most: a fact bounds
all distances of its location. Where no trial gains anything, the costliest interval is closed by
its own fact, so that the set always grows until nothing is left to add. The set is then minimised
by deletion and exchange.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.latent.time_limit import require_time
from protoproof.prover.oracle.interval import IntervalState
from protoproof.prover.relaxation.intervals import Margins
from protoproof.prover.search.lookahead import facts_to_try, margins_with_each

Vector = Float[NDArray[np.float64], " prototype"]

# Locations tried per step (one where prototypes are many), rivals that a trial looks at (those that
# lack most), and intervals that are looked at for locations to try.
_LOCATIONS, _RIVALS, _INTERVALS = 4, 16, 64
_FEW = 1000
# For so many locations, one fact is added at a time.
_EACH = 64


def grow(state: IntervalState) -> bool:
    """Add pair facts to ``state`` until every margin is proved; False when nothing is left to add.

    Raises:
        OutOfTimeError: there was no time to prove all.

    Starts from one fact per location: over a free domain a location without any fact could match
    every prototype perfectly, so no smaller start can succeed there.
    """
    instance = state.instance
    if not instance.head.all_nearest:
        return False  # what is pooled over all locations is not known from few of them
    for location, row in enumerate(instance.measurement):
        state.set_location(location, [int(np.argmin(row))])
    once = max(1, len(instance.measurement) // _EACH)
    while True:
        require_time()
        margins = state.margins()
        if state.proves(margins):
            return True
        wanted = list(islice(_wanted(state, int(np.argmin(margins))), _INTERVALS * once))
        if not wanted:
            return False
        best = _most_gainful(state, margins, wanted, once) if instance.head.plain else []
        for location, prototype in best or wanted[:1]:
            state.set_location(location, [*state.known[location].facts, prototype])


def fewest(state: IntervalState) -> int:
    """As many pair facts as any set has that bounds of single locations prove.

    Over a free domain a location without a fact could match every prototype perfectly. Where a
    rival would win if all that speak for it were, nothing but cases can do without a fact there.
    """
    instance = state.instance
    if not instance.head.plain or not instance.head.all_nearest or state.bounded is not None:
        return 0
    best = np.maximum(instance.similarity(state.near), instance.activation)
    margins = instance.supporting @ instance.activation + instance.margin_offset
    at_best = margins[:, None] + instance.opposing @ best.T
    return int((~(at_best > state.slack)).any(axis=0).sum())


def _most_gainful(
    state: IntervalState, margins: Margins, wanted: list[tuple[int, int]], count: int
) -> list[tuple[int, int]]:
    """At most ``count`` new facts, each at another one of the most wanted locations: those that
    leave the least lacking there, of those that gain."""
    rows = np.flatnonzero(~(margins > state.slack))
    rows = rows[np.argsort(margins[rows], kind="stable")][:_RIVALS]
    before = float(np.maximum(state.slack - margins[rows], 0.0).sum())
    found: list[tuple[float, tuple[int, int]]] = []
    share = min(count, 3)
    most = (_LOCATIONS if len(state.floor) <= _FEW and count == 1 else 1) + count - 1
    for location in list(dict.fromkeys(location for location, _ in wanted))[:most]:
        facts = state.known[location].facts
        asked = [prototype for where, prototype in wanted if where == location]
        tried = [j for j in facts_to_try(state, location, asked, share) if j not in facts]
        if not tried:
            continue
        trials = margins_with_each(state, location, facts, tried, rows)
        lacking = np.maximum(state.slack - trials, 0.0).sum(axis=1)
        index = int(np.argmin(lacking))
        if lacking[index] < before:
            found.append((float(lacking[index]), (location, tried[index])))
    return [fact for _, fact in sorted(found, key=lambda one: one[0])[:count]]


def _wanted(state: IntervalState, rival: int) -> Iterator[tuple[int, int]]:
    """The (location, prototype) whose facts close the intervals that cost a rival's margin, the
    costliest first."""
    instance = state.instance
    weights = instance.margin_weights[rival]
    least, most = instance.head.activation_between(*state.nearest())
    with np.errstate(invalid="ignore"):
        loss = np.where(
            weights > 0,
            weights * (instance.activation - least),
            -weights * (most - instance.activation),
        )
    loss = np.where(weights == 0, 0.0, loss)
    if not instance.atoms.linear:  # the weights are those near the instance, and no more
        loss = np.maximum(loss, 1e-3 * (most - least))
    for prototype in np.argsort(-loss, kind="stable").tolist():
        if not loss[prototype] > 0:
            return
        # an upper bound is improved where the instance attains its minimum; a lower bound where
        # the present minimum of the lower bounds lies
        columns = [instance.measurement if weights[prototype] > 0 else state.low]
        if not instance.head.plain:
            columns = [instance.measurement, state.low]
        for column in columns:
            location = int(np.argmin(column[:, prototype]))
            if prototype not in state.known[location].facts:
                yield location, prototype
