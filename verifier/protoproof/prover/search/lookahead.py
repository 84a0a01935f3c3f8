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


def facts_to_try(
    state: IntervalState, location: int, wanted: Sequence[int] = (), share: int = 1
) -> list[int]:
    """Prototypes worth a fact at a location: ``wanted`` first, then by distance, as many as pay;
    of so many only a part, where ``share`` says which."""
    count = len(state.floor)
    most = max(_BOUNDS // (count * share), _FEWEST)
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
    supporting, opposing = instance.supporting[rows], instance.opposing[rows]
    # no other measurement changes these margins; of a large head few are left
    columns = np.flatnonzero((supporting - opposing).any(axis=0))
    seen = measurement[columns]
    if named:
        present = state.known[location]
        hull = present.hull if present.facts == tuple(named) else None
        hull = hull or Hull.of(instance.gram, measurement, named)
        low, high = hull.bounds_with_each(instance.gram, measurement, chosen, columns)
    else:
        apart = np.sqrt(instance.gram[np.ix_(chosen, columns)])
        own = np.sqrt(measurement[chosen])[:, None]
        low, high = (apart - own) ** 2, (apart + own) ** 2
    low = np.maximum(low, state.near[location, columns])
    high = np.minimum(high, state.far[location, columns])
    fixed = np.zeros(len(measurement), dtype=bool)
    fixed[named] = True
    known = fixed[columns] | (columns == chosen[:, None])
    low, high = np.where(known, seen, low), np.where(known, seen, high)
    others = state.elsewhere(location)
    low, high = np.minimum(low, others[0][columns]), np.minimum(high, others[1][columns])
    least, most = instance.similarity(high, columns), instance.similarity(low, columns)
    with np.errstate(invalid="ignore"):  # zero weights at an unbounded similarity
        margins = least @ supporting[:, columns].T + most @ opposing[:, columns].T
    return np.asarray(np.nan_to_num(margins, nan=-np.inf) + instance.margin_offset[rows])
