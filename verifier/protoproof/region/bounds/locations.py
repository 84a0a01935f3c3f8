"""Where the locations of a head lie in the flat latent that an encoder makes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from protoproof.errors import BoundsError


def by_location(
    latent: Tensor, sites: NDArray[np.int64]
) -> Float[NDArray[np.float64], "box location channel"]:
    """One row per location: ``sites`` [L, D] says where its channels lie in a flat latent."""
    return np.ascontiguousarray(latent.flatten(1).numpy()[:, sites])


def in_the_latent(
    coefficients: Float[NDArray[np.float64], "row location channel"],
    sites: NDArray[np.int64],
    size: int,
) -> Float[NDArray[np.float64], "row unit"]:
    """Linear forms of locations as forms of the flat latent of so many numbers.

    Raises:
        BoundsError: locations overlap; the checker replays no forms of such.
    """
    if np.unique(sites).size != sites.size:
        raise BoundsError("no linear bounds of locations that overlap")
    rows: NDArray[np.float64] = np.zeros((len(coefficients), size))
    rows[:, sites.ravel()] = coefficients.reshape(len(coefficients), -1)
    return rows
