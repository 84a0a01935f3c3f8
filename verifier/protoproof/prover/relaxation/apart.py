"""What a ceiling says about the prototypes that it exempts: they are not far from what it binds.

A ceiling keeps every location at least ``sqrt(b)`` away from each prototype k that it binds, and by
the triangle inequality at least ``sqrt(b) - |p_k - p_j|`` away from any other prototype j: what
looks like something that is not seen is not seen much either. The bound follows from one fact
alone, so more facts never loosen it. Only the nearest such k matters, whatever b is.

Of squared distances, pooled by the nearest location, under ceilings about measurements; within a
bank. Only the best seen prototypes are looked at: others are rarely exempt.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.prover.latent.facts import CeilingFact
from protoproof.prover.latent.instance import Instance

Vector = Float[NDArray[np.float64], " prototype"]

# Prototypes that are looked at: those seen best.
_MOST = 128


class Beside(NamedTuple):
    """Per prototype looked at: the nearest one that a ceiling binds, and how far it is; infinitely
    far where the ceiling binds the prototype itself, or none of its kind."""

    nearest: Int[NDArray[np.intp], " target"]
    distance: Float[NDArray[np.float64], " target"]


class Apart:
    """Distances of the prototypes seen best, ``targets``, to all; ``sides`` [target, P] are
    infinite where one says nothing about the other."""

    def __init__(self, instance: Instance) -> None:
        head, count = instance.head, len(instance.pooled)
        near = head.pooling_of.nearest
        order = np.argsort(instance.pooled, kind="stable")[:_MOST]
        self.targets = order[near[order]]
        self.sides = np.sqrt(instance.gram[self.targets])
        if head.mask is not None and head.prototype_bank is not None:
            bank = head.prototype_bank
            self.sides[bank[self.targets][:, None] != bank] = np.inf
        self.sides[:, ~np.broadcast_to(near, count)] = np.inf
        self._beside: dict[tuple[int, ...], Beside] = {}

    def beside(self, exempt: tuple[int, ...]) -> Beside:
        """For a ceiling that exempts these."""
        if exempt not in self._beside:
            out = np.isin(np.arange(self.sides.shape[1]), exempt)
            sides = np.where(out, np.inf, self.sides)
            nearest = np.argmin(sides, axis=1)
            distance = sides[np.arange(len(sides)), nearest]
            distance[~out[self.targets]] = np.inf
            self._beside[exempt] = Beside(nearest, distance)
        return self._beside[exempt]

    def raised(
        self, low: Vector, ceiling: CeilingFact, off: Int[NDArray[np.intp], " prototype"]
    ) -> None:
        """Raise lower bounds of the least measurements to what a ceiling says about prototypes that
        it exempts, in place; and note in ``off`` by which one it binds."""
        found = self.beside(ceiling.exempt)
        kept = kept_off(np.array(ceiling.bound), found.distance)
        better = kept > low[self.targets]
        low[self.targets[better]] = kept[better]
        off[self.targets[better]] = found.nearest[better]


def kept_off(
    bound: Float[NDArray[np.float64], "*shape"], distance: Float[NDArray[np.float64], "*shape"]
) -> NDArray[np.float64]:
    """Lower bounds of squared distances to points that are so far from one to which the squared
    distance is at least ``bound``."""
    return np.asarray(np.maximum(np.sqrt(np.maximum(bound, 0.0)) - distance, 0.0) ** 2)


def apart_of(instance: Instance) -> Apart | None:
    """What ceilings say about prototypes that they exempt in an instance's head; None: nothing."""
    head = instance.head
    if head.geometry != "euclidean" or not head.uniform or not head.pooling_of.nearest.any():
        return None
    return Apart(instance)


def stretch_below(apart: float, least: float) -> float:
    """The multiplier that proves such a bound in a certificate, before it is cut to what is one.

    (1 + s) h + (1 + 1/s) g is largest over -1 < s < 0, and equal to (sqrt h - sqrt g)^2, at
    -sqrt(g / h).
    """
    return -float(np.sqrt(apart / least)) if least > 0 else -1.0
