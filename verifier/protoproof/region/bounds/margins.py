"""What a box of latents says about measurements, activations and margins, one prototype at a time.

float64, widened by more than rounding; a prover's numbers. The checker computes its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.network.head.head import Head
from protoproof.region.bounds.interval import LatentBox

Ends = Float[NDArray[np.float64], "box prototype"]
Margins = Float[NDArray[np.float64], "box class_"]

# relative; sums of D squares and of P products err by about (D + P) 2**-53
_SPARE = 1e-11
_BLOCK = 1 << 20  # numbers in one block of differences


@dataclass(frozen=True, eq=False)
class Activations:
    """``low <= a_j <= high`` for every prototype."""

    low: Ends
    high: Ends


def activations(head: Head, box: LatentBox) -> Activations:
    """Bounds of all activations over each box of latents.

    Per channel (z - p)^2 is least at the point of the interval next to p and largest at one of its
    ends; channels vary independently in a box, so the sums of these are exact over it. The nearest
    measurement is the least over locations, of lower and of upper bounds alike, and the similarity
    decreases.
    """
    low, high = measurement_ends(head, box)
    top, bottom = (head.chain.value(ends.min(axis=1)) for ends in (low, high))
    return Activations(bottom - _SPARE * (1 + np.abs(bottom)), top + _SPARE * (1 + np.abs(top)))


def measurement_ends(head: Head, box: LatentBox) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds of every q_lj, [box, location, prototype]."""
    count, locations, channels = box.lower.shape
    low = np.empty((count, locations, len(head.prototypes)))
    high = np.empty_like(low)
    step = max(1, _BLOCK // max(1, count * locations * channels))
    for start in range(0, len(head.prototypes), step):
        points = head.prototypes[start : start + step]
        below = box.lower[:, :, None, :] - points
        above = box.upper[:, :, None, :] - points
        gap = np.maximum(below, 0.0) + np.maximum(-above, 0.0)
        reach = np.maximum(np.abs(below), np.abs(above))
        low[:, :, start : start + step] = np.einsum("blpd,blpd->blp", gap, gap)
        high[:, :, start : start + step] = np.einsum("blpd,blpd->blp", reach, reach)
    return low * (1 - _SPARE), high * (1 + _SPARE)


def margin_ends(head: Head, found: Activations, predicted: int) -> tuple[Margins, Margins]:
    """Lower and upper bounds of all margins; zero at the predicted class itself.

    A linear form over a box has its extremes at corners that the signs of its weights choose.
    """
    weight = head.weight[predicted] - head.weight
    offset = head.bias[predicted] - head.bias
    positive, negative = np.maximum(weight, 0.0).T, np.minimum(weight, 0.0).T
    low = found.low @ positive + found.high @ negative + offset
    high = found.high @ positive + found.low @ negative + offset
    spare = _SPARE * (1 + np.maximum(np.abs(found.low), np.abs(found.high)) @ np.abs(weight).T)
    spare[:, predicted] = 0.0
    return low - spare, high + spare


@dataclass(frozen=True)
class TopK:
    """Prototypes by activation over a region: ``certain`` are always among the k most activated,
    ``possible`` are all that ever can be. ``observed`` are the k at the input itself.
    """

    k: int
    observed: tuple[int, ...]
    certain: tuple[int, ...]
    possible: tuple[int, ...]

    @property
    def may_join(self) -> tuple[int, ...]:
        """Possible, but not in the top k at the input."""
        return tuple(j for j in self.possible if j not in self.observed)

    @property
    def may_leave(self) -> tuple[int, ...]:
        """In the top k at the input, but not certainly everywhere."""
        return tuple(j for j in self.observed if j not in self.certain)


def top_k(
    low: NDArray[np.float64], high: NDArray[np.float64], at: NDArray[np.float64], k: int
) -> TopK:
    """Which prototypes can be, and which must be, among the k most activated.

    Args:
        low, high: bounds of activations over a region, [P].
        at: activations at the input, [P].
        k: 1 to P.

    j is certainly in the top k where fewer than k others can reach it (high_i >= low_j), and
    possibly where fewer than k others are certainly above it (low_i > high_j). Ties count against
    certainty and for possibility, whatever their order.
    """
    k = min(max(k, 1), len(low))
    rivals = (high[None, :] >= low[:, None]).sum(axis=1) - 1
    above = (low[None, :] > high[:, None]).sum(axis=1)
    order = np.argsort(-at, kind="stable")[:k]
    return TopK(
        k,
        tuple(sorted(order.tolist())),
        tuple(np.flatnonzero(rivals < k).tolist()),
        tuple(np.flatnonzero(above < k).tolist()),
    )
