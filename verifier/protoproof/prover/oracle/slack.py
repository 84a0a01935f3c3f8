"""How far lower bounds of distances may be loosened before a margin is lost.

A proof usually has margin to spare. Spending a little of it on weaker bounds buys shorter
evidence: bounds that one fact proves, multipliers of fewer bits. This is a proposal like everything
in this room: the checker computes the margins again from what the evidence proves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.relaxation.intervals import Intervals

Vector = Float[NDArray[np.float64], " prototype"]

# The share of every margin that is spent. What is left stays the proved margin, so this is little:
# it pays for rounding multipliers to few bits; more of it would hardly save facts.
SHARE = 2.0**-6
# How far above, relatively: more than float64 is wrong by, so that the bound is good.
_ABOVE = 1e-9


def loosened(state: Intervals, fixed: Sequence[int] = ()) -> Vector:
    """Lower bounds of the nearest distances that still prove every margin, as low as is simple.

    Every opposing prototype of a rival may gain the same similarity, the rival's spare margin
    divided by its opposing weights; a prototype that opposes for several rivals gains the least.
    Never above the state's own bounds, never below the domain's.

    Args:
        state: proves every margin but those of ``fixed`` by intervals.
        fixed: rivals (positions in ``instance.rivals``) whose bounds must stay as they are.
    """
    instance = state.instance
    low, _ = state.nearest()
    spare = SHARE * np.maximum(state.bounded_margins() - state.slack, 0.0)
    spare[list(fixed)] = 0.0
    weight = -instance.opposing
    total = weight.sum(axis=1)
    each = np.where(total > 0, spare / np.where(total > 0, total, 1.0), np.inf)
    allowance = np.where(weight > 0, each[:, None], np.inf).min(axis=0, initial=np.inf)
    ceiling = instance.similarity(low) + allowance
    # least q with similarity(q) <= ceiling: a shade above where they are equal
    least = np.nan_to_num(instance.head.chain.inverse(ceiling), nan=np.inf, posinf=np.inf)
    above = np.minimum(least, low)
    with np.errstate(over="ignore", invalid="ignore"):
        above = np.fmin(above + _ABOVE * np.abs(above), low)
    above = np.maximum(above, np.minimum(state.floor, low))
    above = np.where(instance.similarity(above) <= ceiling, above, low)
    return np.where(instance.similarity(state.floor) <= ceiling, state.floor, above)
