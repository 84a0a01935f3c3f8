"""What activation facts and ceilings say about every prototype's nearest distance.

An activation fact about prototype i says that some location lies at squared distance q_i from it,
wherever that is. By the triangle inequality this location is at most sqrt(q_i) + |p_i - p_j| away
from p_j, so the nearest squared distance to *every* prototype j is at most
``(sqrt(q_i) + |p_i - p_j|)^2``: prototypes that look alike cannot be seen apart. A ceiling bounds
the nearest distances from below. Each bound follows from one fact alone, so more facts never
loosen any of them, and their order does not matter.

What one activation says about another prototype needs squared distances and one bank; of other
heads, facts speak for themselves. Ceilings bound pooled measurements where all prototypes are
treated alike, else activations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.prover.latent.facts import ActivationFact, CeilingFact
from protoproof.prover.latent.gram import Gram

Vector = Float[NDArray[np.float64], " prototype"]

# Activations whose rows of the Gram matrix are looked at together.
_CHUNK = 256


@dataclass(frozen=True)
class Implied:
    """Bounds of the pooled measurement of every prototype j.

    ``via[j]`` is the prototype whose activation fact gives ``high[j]``; -1 where none does.
    ``top[j]`` is the greatest activation that ceilings about activations permit.
    """

    low: Vector
    high: Vector
    via: Int[NDArray[np.intp], " prototype"]
    top: Vector


def nothing_implied(count: int) -> Implied:
    """What no facts at all say about ``count`` prototypes."""
    none = np.full(count, -np.inf)
    return Implied(none, -none, np.full(count, -1), np.full(count, np.inf))


def implied(
    gram: Gram,
    activations: Sequence[ActivationFact],
    ceilings: Sequence[CeilingFact],
    *,
    apart: bool = True,
    uniform: bool = True,
) -> Implied:
    """The bounds that the facts give; see the module's docstring.

    Args:
        gram: squared distances between prototypes.
        activations, ceilings: the facts.
        apart: whether ``gram`` says how far apart what the facts measure can be.
        uniform: whether ceilings are about pooled measurements, else about activations.
    """
    found = nothing_implied(len(gram))
    low, high, via, top = found.low, found.high, found.via, found.top
    if apart:
        high, via = _nearby(gram, activations, high, via)
        low = np.zeros_like(low)
    for activation in () if apart else activations:
        high[activation.prototype] = min(high[activation.prototype], activation.upper)
        via[activation.prototype] = activation.prototype
    for activation in activations:
        low[activation.prototype] = max(low[activation.prototype], activation.lower)
    for ceiling in ceilings:
        exempt = list(ceiling.exempt)
        if uniform:
            under = np.maximum(low, ceiling.bound)
            under[exempt] = low[exempt]
            low = under
        else:
            under = np.minimum(top, -ceiling.bound)
            under[exempt] = top[exempt]
            top = under
    return Implied(low, high, via, top)


def _nearby(
    gram: Gram,
    activations: Sequence[ActivationFact],
    high: Vector,
    via: Int[NDArray[np.intp], " prototype"],
) -> tuple[Vector, Int[NDArray[np.intp], " prototype"]]:
    """Upper bounds of nearest distances by the triangle inequality, and whose facts give them."""
    for start in range(0, len(activations), _CHUNK):
        part = activations[start : start + _CHUNK]
        named = np.array([fact.prototype for fact in part])
        upper = np.array([fact.upper for fact in part])
        reach = farthest(gram[named], upper)
        reach[np.arange(len(part)), named] = upper  # exactly, where a root and a square are not
        best = np.argmin(reach, axis=0)
        nearest = reach[best, np.arange(len(high))]
        via = np.where(nearest < high, named[best], via)
        high = np.minimum(high, nearest)
    return high, via


def farthest(
    apart: Float[NDArray[np.float64], "row prototype"], nearest: Float[NDArray[np.float64], " row"]
) -> Float[NDArray[np.float64], "row prototype"]:
    """Upper bounds of the squared distance to p_j of a point that is sqrt(nearest) from p_i.

    ``apart`` [row, P]: squared distances between p_i and every p_j.
    """
    return np.asarray((np.sqrt(nearest)[:, None] + np.sqrt(apart)) ** 2)
