"""From a latent that float64 found to the moves of a witness: float32, and no more than needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.prover.counterexample.ascent import Descent
from protoproof.prover.counterexample.feasible_set import Spheres
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.replay import Move

Latent = Float[NDArray[np.float64], "location channel"]
Similar = Float[NDArray[np.float64], "location prototype"]
Vector = Float[NDArray[np.float64], " prototype"]

# A float64 margin must be below minus this to be worth an exact replay.
CLEAR = 1e-7
# A location that moves by less than this (in every channel) is left where it is.
_STILL = 1e-6


@dataclass(frozen=True)
class Deviation:
    """A latent that differs from the instance's at some ``locations``, with their ``spheres``."""

    instance: Instance
    latent: Latent
    locations: list[int]
    spheres: Spheres

    @property
    def directions(self) -> Float[NDArray[np.float32], "location channel"]:
        """From the instance to the latent, at the locations that move."""
        apart = self.latent[self.locations] - self.instance.latent[self.locations]
        return np.asarray(apart, dtype=np.float32)

    def rebuilt(self) -> Float[NDArray[np.float64], "location channel"]:
        """Where the float32 directions lead: the reflection that the exact replay computes."""
        away = self.spheres.across(self.directions.astype(np.float64))
        here = self.instance.latent[self.locations]
        square = (away**2).sum(axis=1)
        step = -2.0 * (away * (here - self.spheres.centre)).sum(axis=1)
        step = step / np.where(square > 0, square, 1.0)
        step = np.where(np.isinf(self.spheres.radius), 1.0, step)
        return np.asarray(here + step[:, None] * away)


def moved_locations(instance: Instance, latent: Latent) -> list[int]:
    """The locations at which a latent differs from the instance's."""
    apart: list[int] = np.flatnonzero(
        np.abs(latent - instance.latent).max(axis=1) > _STILL
    ).tolist()
    return apart


def moves_that_matter(
    descent: Descent,
    deviation: Deviation,
    kept: Sequence[tuple[int, ...]],
    weights: Vector,
    offset: float,
) -> list[Move]:
    """As few moves as keep the margin negative, the most effective ones; none where it is not.

    Every mixture of moved and unmoved locations meets the same facts, because facts about a
    location concern it alone, and limits hold for every location.
    """
    instance, locations = deviation.instance, np.array(deviation.locations, dtype=int)
    if not len(locations):
        return []
    # prototypes without weight change no margin; of a large head most have none
    columns = np.flatnonzero(weights)
    weights = weights[columns]
    moved = instance.similarity(descent.squared_distances(deviation.rebuilt(), columns), columns)
    unmoved = instance.similarity(instance.measurement[:, columns], columns)
    stays = np.setdiff1d(np.arange(len(unmoved)), locations)
    floor = unmoved[stays].max(axis=0, initial=-np.inf)
    order = _by_use(moved, unmoved[locations], floor, weights)
    ahead = np.maximum.accumulate(np.vstack([floor, moved[order]]), axis=0)
    back = np.maximum.accumulate(unmoved[locations][order][::-1], axis=0)[::-1]
    margins = np.maximum(ahead, np.vstack([back, floor])) @ weights + offset
    enough = np.flatnonzero(margins < -CLEAR)
    if not len(enough):
        return []
    chosen = np.sort(order[: enough[0]]).tolist()
    directions = deviation.directions
    return [Move(int(locations[i]), kept[locations[i]], directions[i]) for i in chosen]


def _by_use(
    moved: Similar, unmoved: Similar, floor: Vector, weights: Vector
) -> Int[NDArray[np.intp], " move"]:
    """Moves ordered by the margin that is lost when one alone is undone, the costliest first."""
    if len(moved) == 1:
        return np.zeros(1, dtype=np.intp)
    ranked = np.partition(moved, len(moved) - 2, axis=0)
    rest = np.where(moved == ranked[-1], ranked[-2], ranked[-1])
    undone = np.maximum(np.maximum(rest, unmoved), floor) @ weights
    return np.argsort(-undone, kind="stable")
