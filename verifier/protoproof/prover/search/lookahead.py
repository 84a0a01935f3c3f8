"""Trials: the margins that one more fact at a location would give, for many facts at once.

Trials propose and never decide: whatever looks best here is put to the state itself. They bound
distances by the exact interval (``relaxation.pair_bounds``), whatever oracle decides.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.prover.oracle.interval import IntervalState
from protoproof.prover.relaxation.pair_bounds import Hull

Vector = Float[NDArray[np.float64], " prototype"]
Rows = Int[NDArray[np.intp], " rival"]

# Bounds computed per trial: all prototypes are tried up to a few hundred, then the nearest ones.
_BOUNDS = 1 << 14
_FEWEST = 8


def facts_to_try(state: IntervalState, location: int, wanted: Sequence[int] = ()) -> list[int]:
    """Prototypes worth a fact at a location: ``wanted`` first, then by distance, as many as pay."""
    count = len(state.floor)
    most = max(_BOUNDS // count, _FEWEST)
    if count <= most:
        return list(range(count))
    nearest = np.argsort(state.instance.measurement[location], kind="stable")[:most].tolist()
    return sorted(dict.fromkeys([*list(wanted)[: most // 2], *nearest]))


def margins_with_each(
    state: IntervalState, location: int, kept: Sequence[int], candidates: Sequence[int], rows: Rows
) -> Float[NDArray[np.float64], "candidate rival"]:
    """Margins over some rivals if a location had the facts ``kept`` and one candidate."""
    instance, named = state.instance, list(kept)
    measurement, chosen = instance.measurement[location], np.asarray(candidates, dtype=np.intp)
    if named:
        hull = Hull.of(instance.gram, measurement, named)
        low, high = hull.bounds_with_each(instance.gram, measurement, chosen)
    else:
        apart, seen = np.sqrt(instance.gram[chosen]), np.sqrt(measurement[chosen])[:, None]
        low, high = (apart - seen) ** 2, (apart + seen) ** 2
    low, high = np.maximum(low, state.near[location]), np.minimum(high, state.far[location])
    low[:, named] = high[:, named] = measurement[named]
    index = np.arange(len(chosen))
    low[index, chosen] = high[index, chosen] = measurement[chosen]
    for others in (slice(location), slice(location + 1, None)):
        low = np.minimum(low, state.low[others].min(axis=0, initial=np.inf))
        high = np.minimum(high, state.high[others].min(axis=0, initial=np.inf))
    supporting, opposing = instance.supporting[rows], instance.opposing[rows]
    least = instance.similarity(high)
    with np.errstate(invalid="ignore"):  # zero weights at an unbounded similarity
        margins = least @ supporting.T + instance.similarity(low) @ opposing.T
    return np.asarray(np.nan_to_num(margins, nan=-np.inf) + instance.margin_offset[rows])
