"""Random heads, latents and facts, shared by the tests of every reasoning room."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from protoproof.network.head.head import Head
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.gram import squared_distances
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import pair_fact
from tests.support import heads

Matrix = NDArray[np.float64]


def float32(values: NDArray[np.generic]) -> Matrix:
    """Float32 values stored as float64, as everywhere in the prover."""
    return np.asarray(values, dtype=np.float32).astype(np.float64)


def make_head(
    rng: np.random.Generator, prototypes: int, channels: int, classes: int, grid: tuple[int, int]
) -> Head:
    """A ProtoPNet-like head: prototypes in the unit box, weights near +1 / -0.5."""
    owner = np.arange(prototypes) % classes
    weight = np.where(owner[None, :] == np.arange(classes)[:, None], 1.0, -0.5)
    return heads.prototype_head(
        prototypes=float32(rng.random((prototypes, channels))),
        chain=heads.similarity("log_ratio"),
        weight=float32(weight + rng.normal(0, 0.05, weight.shape)),
        bias=np.zeros(classes),
        prototype_class=tuple(int(k) for k in owner),
        grid=grid,
    )


def make_instance(head: Head, latent: Matrix, gram: Matrix | None = None) -> Instance:
    """The instance of a latent, predicted as the head predicts it in float64.

    ``gram`` saves computing the same one again.
    """
    measurement = head.measurement(latent)
    activation = head.activation(measurement)
    return Instance(
        head,
        latent,
        measurement,
        activation,
        int(np.argmax(head.logits(activation))),
        squared_distances(head.prototypes) if gram is None else gram,
    )


def random_instance(
    seed: int,
    *,
    prototypes: int = 8,
    channels: int = 6,
    classes: int = 3,
    grid: tuple[int, int] = (2, 2),
    near: float = 0.3,
) -> Instance:
    """An instance whose locations lie near random prototypes (so that facts say something)."""
    rng = np.random.default_rng(seed)
    head = make_head(rng, prototypes, channels, classes, grid)
    chosen = rng.integers(prototypes, size=grid[0] * grid[1])
    noise = near * rng.normal(size=(grid[0] * grid[1], channels))
    latent = float32(np.clip(head.prototypes[chosen] + noise, 0, 1))
    return make_instance(head, latent)


@dataclass(frozen=True)
class Sphere:
    """All points that keep their squared distances to some prototypes, seen from one point."""

    point: Matrix
    prototypes: Matrix

    def sample(self, rng: np.random.Generator, count: int) -> Matrix:
        """Points on the sphere: reflections of the point along random admissible directions."""
        directions = rng.normal(size=(count, len(self.point)))
        span = self.prototypes[1:] - self.prototypes[0]
        if len(span):
            basis = np.linalg.svd(span, full_matrices=False)
            rows = basis.Vh[1e-10 * max(basis.S.max(), 1e-300) < basis.S]
            directions -= directions @ rows.T @ rows
        norm = (directions**2).sum(axis=1, keepdims=True)
        norm = np.where(norm > 1e-20, norm, np.inf)  # no free direction: the point itself
        offset = directions @ (self.point - self.prototypes[0])
        return np.asarray(self.point - 2 * offset[:, None] * directions / norm)


seeds = st.integers(min_value=0, max_value=2**31 - 1)


def some_pairs(instance: Instance, seed: int, most: int = 3) -> FactSet:
    rng = np.random.default_rng(seed)
    locations, prototypes = instance.measurement.shape
    return FactSet(
        pairs=tuple(
            pair_fact(instance, location, int(j))
            for location in range(locations)
            for j in rng.permutation(prototypes)[: rng.integers(1, most + 1)]
        )
    )


def margins_at(instance: Instance, latent: np.ndarray) -> np.ndarray:
    activation = instance.head.activation(instance.head.measurement(latent))
    return np.asarray(instance.margin_weights @ activation + instance.margin_offset)
