"""What domains share: ranges of squared distances, and whether a latent lies inside, in float64."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.errors import UsageError

Ends = Float[NDArray[np.float64], "*location prototype"]
Latent = Float[NDArray[np.float64], "location channel"]
Prototypes = Float[NDArray[np.float64], "prototype channel"]


def check_slack(slack: float, name: str) -> None:
    if not 0 <= slack < 1:
        raise UsageError(f"{name} domain: slack {slack} is not in [0, 1)")


def require_box(name: str, latent: Latent, lower: Latent, upper: Latent) -> None:
    """Raise unless a latent lies in a box, both [L, D].

    Raises:
        UsageError: the first unit that does not.
    """
    outside = np.argwhere(~((latent >= lower) & (latent <= upper)))
    if len(outside):
        location, channel = outside[0]
        raise UsageError(
            f"{name} domain: the latent of this input, {latent[location, channel]:g} at location "
            f"{location}, channel {channel}, is outside [{lower[location, channel]:g}, "
            f"{upper[location, channel]:g}]; the domain is not about this input"
        )


def require_near_one(
    name: str, word: str, values: Float[NDArray[np.float64], " location"], slack: float
) -> None:
    for location in np.flatnonzero(~(np.abs(values - 1.0) <= slack)).tolist():
        raise UsageError(
            f"{name} domain: the {word} of the latent at location {location} is "
            f"{values[location]:g}, not 1; use --domain free"
        )


def around(
    value: NDArray[np.float64], low: float, high: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What is left below and above a value inside [low, high]."""
    return np.minimum(low - value, 0.0), np.maximum(high - value, 0.0)


def box_range(
    prototypes: Prototypes, lower: NDArray[np.float64], upper: NDArray[np.float64]
) -> tuple[Ends, Ends]:
    """Squared distances of prototypes to one box and to its farthest corner, [P]."""
    outside = np.maximum(np.maximum(lower - prototypes, prototypes - upper), 0.0)
    corner = np.maximum(np.abs(prototypes - lower), np.abs(upper - prototypes))
    return (outside**2).sum(axis=1), (corner**2).sum(axis=1)


def distance_to_simplex(prototypes: Prototypes, total: float) -> Ends:
    """Squared distance of every prototype to { z >= 0, sum z = total }.

    The projection is max(p - t, 0); with the channels sorted, t is the mean excess of the largest
    ones that stay positive.
    """
    ranked = -np.sort(-prototypes, axis=1)
    excess = (np.cumsum(ranked, axis=1) - total) / np.arange(1, ranked.shape[1] + 1)
    count = (ranked > excess).sum(axis=1)
    shift = excess[np.arange(len(ranked)), count - 1][:, None]
    moved = np.where(prototypes > shift, shift, prototypes)
    return np.asarray((moved**2).sum(axis=1))
