"""Patches of training images that look like given latents: observed, never proved.

A *patch* is what one location of the latent grid sees of one image. Images are run through the
network one after another and forgotten, so that memory does not grow with the data.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.errors import InternalError
from protoproof.network import Network

# Images that are looked at, spread evenly over the data.
MOST = 2000


@dataclass(frozen=True)
class Training:
    """Images to search.

    Attributes:
        name: what the user called the data.
        labels: per image, the name of its class.
        read: an image by its index, [C, H, W] in the network's raw range.
    """

    name: str
    labels: Sequence[str]
    read: Callable[[int], NDArray[np.float32]]

    @property
    def indices(self) -> list[int]:
        """At most ``MOST`` images, spread evenly."""
        count = len(self.labels)
        return [int(i) for i in np.unique(np.linspace(0, count - 1, min(count, MOST)).astype(int))]

    @property
    def searched(self) -> str:
        """What is searched, in words."""
        looked, count = len(self.indices), len(self.labels)
        if looked == count:
            return f"all {count:,} training images of {self.name}"
        return f"{looked:,} of the {count:,} training images of {self.name}, spread evenly"


@dataclass(frozen=True)
class Near:
    """A patch: the squared L2 distance of its latent, the index of its image, its location."""

    distance: float
    image: int
    location: int


def nearest_patches(
    network: Network,
    training: Training,
    latent: Float[NDArray[np.float64], "location channel"],
    places: Sequence[int],
    count: int,
) -> list[list[Near]]:
    """Per place of a latent, the patches whose latent is nearest to it there, the nearest first.

    At most one patch per image, seen by a location of the place's own bank. Ties go to the smaller
    index.

    Args:
        latent: what to look for.
        places: locations of it.
        count: patches per place.

    Raises:
        InputError: the images do not fit the network.
    """
    aims, bank = latent[list(places)], network.head.location_bank
    if bank is None:
        raise InternalError("the head has no banks yet")
    elsewhere = bank[list(places)][:, None] != bank[None, :]
    best: list[list[tuple[float, int, int]]] = [[] for _ in places]
    for index in training.indices:
        seen = network.observe(training.read(index)).latent.astype(np.float64)
        apart = ((seen[None] - aims[:, None]) ** 2).sum(axis=2)
        apart[elsewhere] = np.inf
        for aim, row in enumerate(apart):
            place = int(row.argmin())
            best[aim] = heapq.nsmallest(count, [*best[aim], (float(row[place]), index, place)])
    return [[Near(*found) for found in some] for some in best]
