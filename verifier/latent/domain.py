"""The latents that are quantified over."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from verifier.errors import UsageError

Vector = Float[NDArray[np.float64], " prototype"]

# Ranges of the operators an encoder can end in; the checker reads the operator from the graph.
OUTPUT_RANGES = {"sigmoid": (0.0, 1.0), "relu": (0.0, math.inf)}


@dataclass(frozen=True)
class Free:
    """All of R^(L x D)."""

    name: str = "free"

    def measurement_range(
        self, prototypes: Float[NDArray[np.float64], "prototype channel"]
    ) -> tuple[Vector, Vector]:
        """Bounds of q_lj over the domain, one per prototype (the same at every location)."""
        count = len(prototypes)
        return np.zeros(count), np.full(count, math.inf)


@dataclass(frozen=True)
class Box:
    """``lower <= z <= upper`` for every latent unit; ``upper`` may be infinite."""

    lower: float
    upper: float
    name: str = "box"

    def measurement_range(
        self, prototypes: Float[NDArray[np.float64], "prototype channel"]
    ) -> tuple[Vector, Vector]:
        """Squared distance from each prototype to the box, and to its farthest corner."""
        outside = np.maximum(np.maximum(self.lower - prototypes, prototypes - self.upper), 0.0)
        corner = np.maximum(np.abs(prototypes - self.lower), np.abs(self.upper - prototypes))
        return (outside**2).sum(axis=1), (corner**2).sum(axis=1)


Domain = Free | Box


def domain_from_name(name: str, latent_range: str) -> Domain:
    """The domain called ``free`` or ``box``.

    Args:
        name: what the user asked for.
        latent_range: the operator that outputs the latent (``sigmoid``, ``relu`` or ``free``).

    Raises:
        UsageError: an unknown name, or a box where no operator bounds the latent.
    """
    if name == "free":
        return Free()
    if name == "box":
        if latent_range not in OUTPUT_RANGES:
            raise UsageError(
                "--domain box: the encoder does not end in a sigmoid or ReLU, so nothing bounds "
                "its latent; use --domain free"
            )
        return Box(*OUTPUT_RANGES[latent_range])
    raise UsageError(f"--domain {name}: unknown domain; use free or box")
