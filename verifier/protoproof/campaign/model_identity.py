"""What a gate needs to know about a network, as plain data: no live objects, no weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from protoproof.campaign.record import HeadKey
from protoproof.network import Network
from protoproof.network.head.decision import Best, Linear, Tree
from protoproof.network.head.head import Head


class ModelFacts(BaseModel):
    """A network's identity and what its head looks like.

    Attributes:
        latent, output: the tensors between which the head lies.
        head_sha256: over all that the head is, grid and range of the latent: equal heads decide
            equal latents equally.
        prototype_sha256: per prototype, over its vector, its scales and its weights.
        contradictory: prototypes that speak against the class they belong to: another class
            has at least as large a weight on them, so that seeing them both supports their own
            class (against some rivals) and opposes it (against others). None where the
            description does not say which class a prototype belongs to, or no weights do.
        idle: prototypes that decide nothing: equal weights for all classes, no weight for any
            label, or no node of a tree.
        nearest: per prototype, the closest other one of the same bank, pooling and similarity, and
            the squared L2 distance to it (scales counted as further coordinates).
    """

    # infinite: the distance to the nearest other prototype where no other is comparable
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    name: str
    sha256: str
    names_sha256: str
    latent: tuple[str, ...]
    output: str
    geometry: str
    pooling: tuple[str, ...]
    decision: str
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

    @property
    def key(self) -> HeadKey:
        """What results are found again by."""
        return HeadKey(self.sha256, self.names_sha256, self.latent, self.output)

    @property
    def identity(self) -> dict[str, object]:
        """Which network, and as what its head is read, for the documents about a campaign."""
        names = ("name", "sha256", "latent", "output", "geometry", "pooling", "decision")
        return self.model_dump(mode="json", include=set(names))


def model_facts(network: Network) -> ModelFacts:
    """The facts of a loaded network."""
    head, about = network.head, network.about
    weight = _columns(head)
    vectors = head.prototypes
    if head.scales is not None:
        vectors = np.concatenate([vectors, head.scales], axis=1)
    data = about.training_data
    return ModelFacts(
        name=about.name,
        sha256=network.sha256,
        names_sha256=network.names_sha256,
        latent=network.recognised.latents,
        output=network.recognised.output,
        geometry=head.geometry,
        pooling=tuple(sorted(set(head.pooling_of.kinds))),
        decision=head.decision.kind,
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
                np.ascontiguousarray(vectors, "<f8"),
                np.ascontiguousarray(weight.T, "<f8"),
                strict=True,
            )
        ),
        contradictory=_contradictory(head, weight),
        idle=tuple(np.flatnonzero(_idle(head, weight)).tolist()),
        nearest=_nearest(vectors, _alike(head)),
    )


def _columns(head: Head) -> NDArray[np.float64]:
    """[rows, P]: what of the decision belongs to each prototype, class by class or node by node."""
    match head.decision:
        case Tree() as tree:
            asked = tree.feature[:, None] == np.arange(tree.features)[None, :]
            return np.asarray(asked, dtype=np.float64)
        case Best() as best:
            return np.asarray(np.where(best.group >= 0, best.then.weight[:, best.group], 0.0))
        case Linear() as linear:
            return np.asarray(linear.weight)


def _idle(head: Head, weight: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which prototypes change nothing."""
    alone = head.decision.kind in ("labels", "tree")  # elsewhere what all classes share cancels
    reference = np.zeros_like(weight[:1]) if alone else weight[:1]
    return np.asarray((weight == reference).all(axis=0))


def _alike(head: Head) -> list[tuple[object, ...]]:
    """Per prototype, all that tells it from another one with the same vector."""
    banks = [0] * len(head.prototypes) if head.prototype_bank is None else head.prototype_bank
    pooling, count = head.pooling_of, len(head.prototypes)
    constants = [
        np.broadcast_to(step.constant, count).tolist()
        for step in (*head.inner_chain.steps, *head.chain.steps)
        if step.constant is not None
    ]
    own = zip(*constants, strict=True) if constants else [()] * count
    return list(zip(banks, pooling.kinds, pooling.count, own, strict=True))


def _head_digest(network: Network) -> str:
    head, pooling = network.head, network.head.pooling_of
    words = [head.geometry, *map(str, head.grid), head.decision.kind, head.epsilon.hex()]
    words += [*pooling.kinds, *map(str, pooling.count)]
    for step in (*head.inner_chain.steps, *head.chain.steps):
        constants = () if step.constant is None else step.constant.tolist()
        words += [step.name, *(constant.hex() for constant in constants)]
    digest = hashlib.sha256(json.dumps([*words, network.latent_range]).encode("ascii"))
    arrays = [head.prototypes, *([] if head.scales is None else [head.scales])]
    banks = [a for a in (head.location_bank, head.prototype_bank) if a is not None]
    for array in (*arrays, *banks, *_decision_arrays(head)):
        digest.update(repr(array.shape).encode("ascii"))
        digest.update(np.ascontiguousarray(array, "<f8").tobytes())
    return digest.hexdigest()


def _decision_arrays(head: Head) -> list[NDArray[Any]]:
    match head.decision:
        case Tree() as tree:
            return [tree.feature, tree.left, tree.right, tree.leaf]
        case Best() as best:
            return [best.group, best.then.weight, best.then.bias]
    return [head.weight, head.bias]


def _contradictory(head: Head, weight: NDArray[np.float64]) -> tuple[int, ...] | None:
    owners = head.prototype_class
    if owners is None or head.decision.kind not in ("linear", "best"):
        return None
    index = np.arange(len(owners))
    own = weight[list(owners), index]
    others = weight.copy()
    others[list(owners), index] = -np.inf
    return tuple(np.flatnonzero(others.max(axis=0) >= own).tolist())


def _nearest(
    prototypes: NDArray[np.float64], alike: Sequence[tuple[object, ...]]
) -> tuple[tuple[int, float], ...]:
    """By differences, never |p|^2 - 2 p.q + |q|^2: equal prototypes have distance exactly 0."""
    if len(prototypes) < 2:
        return ()
    found: list[tuple[int, float]] = []
    for j, prototype in enumerate(prototypes):
        distance = np.square(prototypes - prototype).sum(axis=1)
        distance[j] = np.inf
        distance[[other != alike[j] for other in alike]] = np.inf
        closest = int(np.argmin(distance))
        found.append((closest, float(distance[closest])))
    return tuple(found)
