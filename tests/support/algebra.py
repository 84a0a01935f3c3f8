"""The one list of heads of every kind: geometry, similarity, pooling, decision, banks, domain.

``case(name, seed)`` is a small random instance of one of them, with a domain its latent lies in.
Every law that holds for all heads runs over :data:`NAMES`; a new kind is one more row here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protoproof.network.head.chain import Chain
from protoproof.network.head.decision import (
    ROUTINGS,
    Best,
    Decision,
    Labels,
    Linear,
    Routing,
    Tree,
)
from protoproof.network.head.head import Geometry, Head
from protoproof.network.head.pooling import Kind, Pooling
from protoproof.prover.latent.domain import Box, Domain, Free, Simplex, Sphere, rounding_slack
from protoproof.prover.latent.gram import squared_distances
from protoproof.prover.latent.instance import Instance
from tests.support.heads import step

Matrix = NDArray[np.float64]

PROTOTYPES, CHANNELS, CLASSES = 6, 5, 3


@dataclass(frozen=True)
class Kinds:
    """One row of the list: what a head is made of."""

    geometry: Geometry = "euclidean"
    chain: str = "log_ratio"
    pooling: Kind = "nearest"
    decision: str = "linear"
    domain: str = "free"
    grid: tuple[int, int] = (1, 2)
    banks: bool = False


def _each(rng: np.random.Generator, low: float, high: float) -> tuple[float, ...]:
    """A float32 constant for each prototype."""
    return tuple(np.float32(low + (high - low) * rng.random(PROTOTYPES)).astype(float).tolist())


def chain(name: str, rng: np.random.Generator) -> Chain:
    """A similarity by name; ``each_`` has constants of its own for every prototype."""
    rows: dict[str, Callable[[], tuple[object, ...]]] = {
        "log_ratio": lambda: (step("add", 0.01), step("one_plus", 0.99), step("log")),
        "exponential": lambda: (step("mul", -1.5), step("exp")),
        "negated": lambda: (step("mul", -1.0),),
        "root": lambda: (step("sqrt"), step("mul", -1.0), step("exp")),
        "clamped": lambda: (step("mul", -1.0), step("add", 0.5), step("max", 0.0)),
        "jump": lambda: (step("mul", -1.0), step("add", 0.75), step("zero_below", 0.1)),
        "bell": lambda: (step("mul", -4.0), step("add", 0.5), step("sigmoid")),
        "each_exponential": lambda: (step("mul", *(-c for c in _each(rng, 0.5, 2))), step("exp")),
        "each_folded": lambda: (
            step("add", *_each(rng, -0.01, 0.01)),
            step("max", 0.0),
            step("add", 1.0),
            step("reciprocal"),
            step("mul", *_each(rng, 0.5, 2.0)),
        ),
        "each_scaled": lambda: (step("mul", *(-c for c in _each(rng, 0.5, 2.0))),),
    }
    return Chain(rows[name]())  # type: ignore[arg-type]


def decision(name: str, rng: np.random.Generator) -> Decision:
    """A decision over all prototypes, by name."""
    owner = np.arange(PROTOTYPES) % CLASSES
    weight = np.where(owner[None] == np.arange(CLASSES)[:, None], 1.0, -0.5)
    weight = np.float32(weight + rng.normal(0, 0.1, weight.shape)).astype(float)
    bias = np.float32(0.1 * rng.normal(size=CLASSES)).astype(float)
    if name == "linear":
        return Linear(weight, bias)
    if name == "labels":
        return Labels(weight, bias, np.float32(0.2 * rng.random(CLASSES)).astype(float))
    if name == "best":
        group = np.arange(PROTOTYPES) // 2
        return Best(group, Linear(np.eye(CLASSES), np.zeros(CLASSES)))
    leaf = np.float32(rng.dirichlet(np.full(CLASSES, 0.3), size=PROTOTYPES + 1)).astype(float)
    left, right = [1, 3, 5, -1, -3, -5], [2, 4, -7, -2, -4, -6]
    routing: Routing = name if name in ROUTINGS else "distributed"  # type: ignore[assignment]
    feature = rng.permutation(PROTOTYPES)
    return Tree(feature, np.array(left), np.array(right), leaf, PROTOTYPES, routing)


ROWS: dict[str, Kinds] = {
    "euclidean": Kinds(),
    "euclidean exponential": Kinds(chain="exponential", domain="box"),
    "euclidean root": Kinds(chain="root"),
    "euclidean jump": Kinds(chain="jump", domain="box"),
    "euclidean bell": Kinds(chain="bell"),
    "euclidean each": Kinds(chain="each_folded"),
    "euclidean gaussian": Kinds(chain="each_exponential", domain="box"),
    "euclidean labels": Kinds(decision="labels"),
    "euclidean best": Kinds(decision="best", chain="negated"),
    "euclidean tree": Kinds(decision="tree", chain="exponential"),
    "euclidean greedy": Kinds(decision="greedy", chain="exponential"),
    "euclidean largest leaf": Kinds(decision="sample-max", chain="exponential"),
    "euclidean mean": Kinds(pooling="mean", grid=(2, 2)),
    "euclidean focal": Kinds(pooling="focal", grid=(2, 2)),
    "euclidean banks": Kinds(banks=True, grid=(1, 4)),
    "diagonal": Kinds("diagonal", "exponential"),
    "diagonal box": Kinds("diagonal", "each_exponential", domain="box"),
    "angular": Kinds("angular", "negated"),
    "angular each": Kinds("angular", "each_scaled"),
    "angular clamped": Kinds("angular", "clamped"),
    "angular labels": Kinds("angular", "negated", decision="labels"),
    "angular best": Kinds("angular", "negated", decision="best"),
    "angular sphere": Kinds("angular", "negated", domain="sphere"),
    "angular banks": Kinds("angular", "negated", banks=True, grid=(1, 4)),
    "angular mean": Kinds("angular", "negated", pooling="mean", grid=(2, 2)),
    "linear box": Kinds("linear", "negated", domain="box"),
    "linear sphere": Kinds("linear", "negated", domain="sphere"),
    "linear simplex": Kinds("linear", "negated", domain="simplex"),
    "linear sum": Kinds("linear", "negated", pooling="sum", domain="box"),
    "linear tree": Kinds("linear", "bell", decision="tree", domain="box"),
    "linear greedy": Kinds("linear", "bell", decision="greedy", domain="box"),
    "angular largest leaf": Kinds("angular", "bell", decision="sample-max"),
    "channel": Kinds("linear", "negated", domain="simplex", grid=(2, 2)),
    "channel largest": Kinds(
        "linear", "negated", pooling="k-largest mean", domain="simplex", grid=(2, 2)
    ),
    "channel focal": Kinds("linear", "negated", pooling="focal", domain="simplex", grid=(2, 2)),
}
NAMES = tuple(ROWS)


@dataclass(frozen=True)
class Case:
    """One instance of a head of the list."""

    instance: Instance
    domain: Domain

    @property
    def head(self) -> Head:
        """Its head."""
        return self.instance.head


def case(name: str, seed: int) -> Case:
    """A random instance of a row, near its prototypes, so that facts say something."""
    row, rng = ROWS[name], np.random.default_rng(seed)
    channels = PROTOTYPES if name.startswith("channel") else CHANNELS
    points = np.float32(rng.random((PROTOTYPES, channels)) - 0.25 * (row.geometry != "euclidean"))
    if name.startswith("channel"):
        points = np.eye(PROTOTYPES, dtype=np.float32)
    scales = None
    if row.geometry == "diagonal":
        scales = np.float32(0.25 + rng.random(points.shape)).astype(float)
    similarity = chain(row.chain, rng)
    pooled = row.pooling != "nearest"
    locations = row.grid[0] * row.grid[1]
    head = Head(
        geometry=row.geometry,
        prototypes=points.astype(float),
        chain=Chain(()) if pooled else similarity,
        decision=decision(row.decision, rng),
        grid=row.grid,
        scales=scales,
        inner=similarity if pooled else None,
        pooling=Pooling.all(row.pooling, PROTOTYPES, 2),
        location_bank=np.arange(locations) % 2 if row.banks else None,
        prototype_bank=np.arange(PROTOTYPES) % 2 if row.banks else None,
    )
    near = points[rng.integers(PROTOTYPES, size=locations)] + 0.2 * rng.normal(
        size=(locations, channels)
    )
    latent, domain = placed(row.domain, near)
    return Case(instance_of(head, latent), domain)


def placed(domain: str, latent: Matrix) -> tuple[Matrix, Domain]:
    """Float32 latents moved into a domain of one kind, and the domain."""
    slack = rounding_slack(latent.shape[1])
    if domain == "free":
        return np.float32(latent).astype(float), Free()
    if domain == "sphere":
        latent = latent / np.linalg.norm(latent, axis=1, keepdims=True)
        return np.float32(latent).astype(float), Sphere(slack)
    latent = np.clip(latent, 0.0, 1.0)
    if domain == "box":
        return np.float32(latent).astype(float), Box(0.0, 1.0)
    latent = (latent + 0.01) / (latent + 0.01).sum(axis=1, keepdims=True)
    return np.float32(latent).astype(float), Simplex(slack)


def instance_of(head: Head, latent: Matrix) -> Instance:
    """The instance of a latent, predicted as the head predicts it in float64."""
    measurement = head.measurement(latent)
    activation = head.activation(measurement)
    predicted = int(np.argmax(head.logits(activation)))
    gram = squared_distances(head.prototypes)
    return Instance(head, latent, measurement, activation, predicted, gram)


def sample(made: Case, seed: int, count: int) -> list[Matrix]:
    """Latents of the domain: near the instance's own, and anywhere."""
    rng = np.random.default_rng(seed)
    latent, found = made.instance.latent, []
    for number in range(count):
        width = 10.0 ** rng.uniform(-3, 0.5)
        point = latent + width * rng.normal(size=latent.shape)
        if number % 3 == 0:  # some locations stay
            point = np.where(rng.random((len(latent), 1)) < 0.5, latent, point)
        kind = made.domain.name
        if kind == "sphere":
            point = point / np.linalg.norm(point, axis=1, keepdims=True)
        elif kind == "box":
            point = np.clip(point, 0.0, 1.0)
        elif kind == "simplex":
            point = np.maximum(point, 0.0) + 1e-9
            point = point / point.sum(axis=1, keepdims=True)
        found.append(point)
    return found
