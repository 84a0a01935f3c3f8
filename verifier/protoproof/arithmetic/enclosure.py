"""Tightest float64 enclosures of squared distances between float32 points.

Soundness: the product of two float32 numbers is exact in float64 (48 of 53 bits, and no float32
product leaves the float64 exponent range), and ``math.fsum`` returns the correctly rounded sum of
exact terms. The sign of the exact residual then says on which side of the true value it lies.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

# Two float64 evaluations of one squared distance differ by far less than this share of it.
_NEAR = 1e-9


def enclose_squared_distance(
    point: Float[NDArray[np.float64], " channel"],
    prototype: Float[NDArray[np.float64], " channel"],
) -> tuple[float, float]:
    """Largest float64 below and smallest above the exact ``|point - prototype|^2``.

    Both arguments must hold float32 values (stored as float64).
    """
    terms: list[float] = np.concatenate(
        [point * point, -2.0 * point * prototype, prototype * prototype]
    ).tolist()
    value = math.fsum(terms)
    residual = math.fsum([*terms, -value])
    lower = math.nextafter(value, -math.inf) if residual < 0 else value
    upper = math.nextafter(value, math.inf) if residual > 0 else value
    return max(lower, 0.0), max(upper, 0.0)


def enclose_nearest(
    latent: Float[NDArray[np.float64], "location channel"],
    prototype: Float[NDArray[np.float64], " channel"],
    measurement: Float[NDArray[np.float64], " location"],
) -> tuple[float, float]:
    """Tightest enclosure of the smallest squared distance over all locations.

    ``measurement`` are float64 approximations that only select which locations can attain it.
    Rounding is monotone, so the enclosure of a minimum is the minimum of the enclosures.
    """
    near = np.flatnonzero(measurement <= measurement.min() * (1 + _NEAR) + _NEAR**2)
    pairs = [enclose_squared_distance(latent[location], prototype) for location in near]
    return min(low for low, _ in pairs), min(high for _, high in pairs)
