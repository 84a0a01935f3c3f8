"""Short evidence for lower bounds: as few facts and as few bits per row as a target allows.

The optimal row of ``lagrangian.py`` uses every fact of its location. Where a bound need not be
optimal, one fact often suffices (the triangle bound), or the first few facts of the hull; rows are
grouped by the facts that they use. Multipliers are rounded to the fewest bits that still reach the
target: any multipliers are sound, rounded ones included.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.prover.latent.gram import Gram
from protoproof.prover.relaxation.multipliers import lower_rows
from protoproof.prover.relaxation.pair_bounds import Hull

Vector = Float[NDArray[np.float64], " prototype"]

# Bits of the multipliers after the point, tried in this order; the last is taken as it is. See
# lagrangian.py for why rounding costs second order.
SHIFTS = (16, 24, 32, 48)
# A bound reaches its target where it clears it by this share, or is this close to the optimum.
_CLEAR, _CLOSE = 1e-9, 1e-12


@dataclass(frozen=True)
class Group:
    """Rows over the same facts: ``theta[i] / 2**shift`` bounds q_j for j = ``prototypes[i]``."""

    facts: tuple[int, ...]
    shift: int
    prototypes: tuple[int, ...]
    theta: tuple[tuple[int, ...], ...]


def lower_groups(
    hull: Hull, gram: Gram, measurement: Vector, prototypes: Sequence[int], target: Vector
) -> Iterator[Group]:
    """Rows that bound q_j from below for every one of ``prototypes``, grouped by their facts.

    ``target[j]`` is the value that the bound has to reach (squared L2). Where the facts do not
    give that much, the row is the optimal one.
    """
    wanted = np.asarray(prototypes, dtype=int)
    if not len(wanted):
        return
    spanning = np.array(hull.spanning)
    goal = target[wanted] * (1 + _CLEAR)
    single = (np.sqrt(gram[np.ix_(wanted, spanning)]) - np.sqrt(measurement[spanning])) ** 2
    enough = single.max(axis=1) >= goal
    fact = single.argmax(axis=1)
    # a hull of one fact has nothing better to offer, so its rows join the others of that fact
    enough |= len(spanning) == 1
    for column in np.unique(fact[enough]).tolist():
        alone = Hull.of(gram, measurement, [int(spanning[column])])
        yield from _groups(alone, gram, measurement, wanted[enough & (fact == column)], target)
    if enough.all():
        return
    size = np.where(enough, 0, _sizes(hull, gram, measurement, wanted, goal))
    for count in np.unique(size[~enough]).tolist():
        first = Hull.of(gram, measurement, hull.spanning[:count])
        yield from _groups(first, gram, measurement, wanted[size == count], target)


def _sizes(
    hull: Hull,
    gram: Gram,
    measurement: Vector,
    wanted: Int[NDArray[np.intp], " row"],
    goal: Float[NDArray[np.float64], " row"],
) -> Int[NDArray[np.intp], " row"]:
    """How many of the hull's first facts give each bound; all of them where none do."""
    along, centre = hull.coordinates[wanted], hull.centre
    off = np.maximum(gram[hull.base, wanted][:, None] - np.cumsum(along**2, axis=1), 0.0)
    radius = np.maximum(measurement[hull.base] - np.cumsum(centre**2), 0.0)
    low = np.cumsum((along - centre) ** 2, axis=1) + (np.sqrt(off) - np.sqrt(radius)) ** 2
    reached = low >= goal[:, None]
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 2, len(hull.spanning))


def _groups(
    hull: Hull,
    gram: Gram,
    measurement: Vector,
    wanted: Int[NDArray[np.intp], " row"],
    target: Vector,
) -> Iterator[Group]:
    """Rows over all facts of a hull, grouped by the bits that they need."""
    facts = np.array(hull.spanning)
    rows = lower_rows(hull, gram, measurement, wanted.tolist(), target)
    best = _bounds(rows.theta, facts, gram, measurement, wanted)
    goal = np.minimum(target[wanted], best - _CLOSE * np.abs(best))
    left = np.ones(len(wanted), dtype=bool)
    for shift in SHIFTS:
        whole = np.rint(rows.theta * 2.0**shift)
        bound = _bounds(whole / 2.0**shift, facts, gram, measurement, wanted)
        chosen = left & ((bound >= goal) | (shift == SHIFTS[-1]))
        left &= ~chosen
        if chosen.any():
            # rint gives integers, and int() of a float64 is exact
            theta = tuple(tuple(map(int, row)) for row in whole[chosen].tolist())
            yield Group(hull.spanning, shift, tuple(wanted[chosen].tolist()), theta)


def _bounds(
    theta: Float[NDArray[np.float64], "row fact"],
    facts: Int[NDArray[np.intp], " fact"],
    gram: Gram,
    measurement: Vector,
    wanted: Int[NDArray[np.intp], " row"],
) -> Float[NDArray[np.float64], " row"]:
    """What rows prove, in float64; minus infinity where A <= 0.

    |p_j|^2 + sum theta_i |p_i|^2 - |p|^2 / A is the weighted variance of the points, which needs
    only their distances: (theta . D_j + theta . D theta / 2) / A.
    """
    leading = 1.0 + theta.sum(axis=1)
    spread = (theta * (gram[np.ix_(wanted, facts)] + 0.5 * theta @ gram[np.ix_(facts, facts)])).sum(
        axis=1
    )
    value = spread / np.where(leading > 0, leading, 1.0) - theta @ measurement[facts]
    return np.where(leading > 0, value, -np.inf)
