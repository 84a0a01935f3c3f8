"""The oracle protocol, its laws, and what every oracle shares."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.sparse import csr_array

from protoproof.backend import PROCESSOR, Engine
from protoproof.network.head.head import Head
from protoproof.prover.latent.gram import Gram

Vector = Float[NDArray[np.float64], " prototype"]


# [R, P], dense or in compressed rows
Weights = Any


# Products with a compressed matrix are faster up to about this share of entries.
_SPARSE = 0.1


@dataclass(frozen=True)
class Instance:
    """One explained latent and what the head says about it, in float64.

    ``latent`` [L, D]; ``measurement`` [L, P] squared distances; ``activation`` [P];
    ``gram`` [P, P] squared distances between prototypes (shared by all instances of a head);
    ``engine`` where searches run that are worth a device.
    """

    head: Head
    latent: Float[NDArray[np.float64], "location channel"]
    measurement: Float[NDArray[np.float64], "location prototype"]
    activation: Vector
    predicted: int
    gram: Gram
    engine: Engine = PROCESSOR

    @property
    def rivals(self) -> list[int]:
        """All classes but the predicted one."""
        return [k for k in range(len(self.head.weight)) if k != self.predicted]

    @cached_property
    def margin_weights(self) -> Float[NDArray[np.float64], "rival prototype"]:
        """w^k = W_c - W_k for every rival k, in the order of ``rivals``."""
        weight = self.head.weight
        return np.asarray(weight[self.predicted] - weight[self.rivals])

    @cached_property
    def supporting(self) -> Float[NDArray[np.float64], "rival prototype"]:
        """The margin weights of the prototypes that speak for the predicted class, else zero."""
        return np.maximum(self.margin_weights, 0.0)

    @cached_property
    def opposing(self) -> Float[NDArray[np.float64], "rival prototype"]:
        """The margin weights of the prototypes that speak for the rival, else zero."""
        return np.minimum(self.margin_weights, 0.0)

    @cached_property
    def charges(self) -> tuple[Weights, Weights]:
        """``supporting`` and ``opposing`` in the form in which products with them cost least.

        Most classes share most prototypes' weights, so margin weights are usually mostly zero.
        """
        signed = self.supporting, self.opposing
        if np.count_nonzero(self.margin_weights) > _SPARSE * self.margin_weights.size:
            return signed
        return csr_array(signed[0]), csr_array(signed[1])

    @cached_property
    def margin_offset(self) -> Float[NDArray[np.float64], " rival"]:
        """b_c - b_k for every rival k."""
        bias = self.head.bias
        return np.asarray(bias[self.predicted] - bias[self.rivals])

    @cached_property
    def margins(self) -> Float[NDArray[np.float64], " rival"]:
        """The margins at the instance itself."""
        return self.margin_weights @ self.activation + self.margin_offset

    def similarity(self, measurement: NDArray[np.float64]) -> NDArray[np.float64]:
        """Similarity of squared distances, its limit at an infinite one included."""
        return self.head.similarity.value(measurement)


def interval_margins(
    supporting: Weights,
    opposing: Weights,
    offset: Float[NDArray[np.float64], " rival"],
    low: Vector,
    high: Vector,
) -> Float[NDArray[np.float64], " rival"]:
    """Least value of every margin when each activation moves freely in [low, high].

    Sound because a linear form over a box attains its least value at the end points that the
    signs of its coefficients choose. A zero coefficient contributes nothing even at infinity; any
    other one at infinity leaves the margin without a bound. Two matrix-vector products: this is
    where a search over facts spends its time.
    """
    open_low, open_high = ~np.isfinite(low), ~np.isfinite(high)
    if not open_low.any() and not open_high.any():
        return np.asarray(supporting @ low + opposing @ high + offset)
    margins = supporting @ np.where(open_low, 0.0, low) + opposing @ np.where(open_high, 0.0, high)
    # a product with 0 and 1, because a sparse array has no any()
    unbounded = (supporting @ open_low.astype(float) > 0) | (opposing @ open_high.astype(float) < 0)
    return np.where(unbounded, -np.inf, margins + offset)
