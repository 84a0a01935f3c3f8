"""What a gate needs to know about a network, as plain data: no live objects, no weights."""

from __future__ import annotations

import hashlib
import json

import numpy as np
from pydantic import BaseModel, ConfigDict

from protoproof.network import Network


class ModelFacts(BaseModel):
    """A network's identity and what its head looks like.

    Attributes:
        head_sha256: over prototypes, weights, bias, similarity, grid and range of the latent:
            equal heads decide equal latents equally.
        prototype_sha256: per prototype, over its vector and its weights.
        contradictory: prototypes that speak against the class they belong to: another class
            has at least as large a weight on them, so that seeing them both supports their own
            class (against some rivals) and opposes it (against others). None where the
            description does not say which class a prototype belongs to.
        idle: prototypes with equal weights for all classes; they decide nothing.
        nearest: per prototype, the closest other one and the squared L2 distance to it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sha256: str
    description_sha256: str
    binding: str
    reason: str
    family: str
    producer: str
    training_data: str
    input_shape: tuple[int, ...]
    input_range: tuple[float, float]
    classes: tuple[str, ...]
    prototypes: int
    channels: int
    grid: tuple[int, int]
    similarity: str
    latent_range: str
    prototype_class: tuple[int, ...] | None
    head_sha256: str
    prototype_sha256: tuple[str, ...]
    contradictory: tuple[int, ...] | None
    idle: tuple[int, ...]
    nearest: tuple[tuple[int, float], ...]


def model_facts(network: Network) -> ModelFacts:
    """The facts of a loaded network."""
    head, about = network.head, network.about
    weight = np.asarray(head.weight)
    data = about.training_data
    return ModelFacts(
        name=about.name,
        sha256=network.sha256,
        description_sha256=network.description_sha256,
        binding=network.binding,
        reason=network.reason,
        family=about.family,
        producer=about.producer,
        training_data="" if data is None else f"{data.name}, sha256 {data.sha256}",
        input_shape=network.input_shape,
        input_range=network.input_range,
        classes=network.class_names,
        prototypes=len(head.prototypes),
        channels=head.channels,
        grid=head.grid,
        similarity=head.chain.words(),
        latent_range=network.latent_range,
        prototype_class=head.prototype_class,
        head_sha256=_head_digest(network),
        prototype_sha256=tuple(
            hashlib.sha256(vector.tobytes() + column.tobytes()).hexdigest()
            for vector, column in zip(
                np.ascontiguousarray(head.prototypes, "<f8"),
                np.ascontiguousarray(weight.T, "<f8"),
                strict=True,
            )
        ),
        contradictory=_contradictory(weight, head.prototype_class),
        idle=tuple(np.flatnonzero((weight == weight[:1]).all(axis=0)).tolist()),
        nearest=_nearest(np.asarray(head.prototypes)),
    )


def _head_digest(network: Network) -> str:
    head = network.head
    words = [head.geometry, *map(str, head.grid)]
    for step in head.chain.steps:
        constants = () if step.constant is None else step.constant.tolist()
        words += [step.name, *(constant.hex() for constant in constants)]
    digest = hashlib.sha256(json.dumps([*words, network.latent_range]).encode("ascii"))
    for array in (head.prototypes, head.weight, head.bias):
        digest.update(repr(array.shape).encode("ascii"))
        digest.update(np.ascontiguousarray(array, "<f8").tobytes())
    return digest.hexdigest()


def _contradictory(weight: np.ndarray, owners: tuple[int, ...] | None) -> tuple[int, ...] | None:
    if owners is None:
        return None
    index = np.arange(len(owners))
    own = weight[list(owners), index]
    others = weight.copy()
    others[list(owners), index] = -np.inf
    return tuple(np.flatnonzero(others.max(axis=0) >= own).tolist())


def _nearest(prototypes: np.ndarray) -> tuple[tuple[int, float], ...]:
    """By differences, never |p|^2 - 2 p.q + |q|^2: equal prototypes have distance exactly 0."""
    if len(prototypes) < 2:
        return ()
    found: list[tuple[int, float]] = []
    for j, prototype in enumerate(prototypes):
        distance = np.square(prototypes - prototype).sum(axis=1)
        distance[j] = np.inf
        closest = int(np.argmin(distance))
        found.append((closest, float(distance[closest])))
    return tuple(found)
