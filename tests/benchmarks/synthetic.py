"""A CUB-sized head and latents for it, from a seed.

P=2000 prototypes of D=128 channels, ten per class of K=200; a 7 x 7 grid. Prototypes are
0.5 + 0.25 * (rank-24 Gaussian, unit variance) + 0.05 * noise, clipped to [0, 1]; class weights are
+1 / -0.5. Ten locations of a latent lie near the ten prototypes of its class, the others near the
middle between two random prototypes, all clipped to [0, 1] (the sigmoid's range).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from protoproof.network.head.head import Head
from protoproof.prover.latent.instance import Instance
from tests.support import heads, strategies
from tests.support.kernel.models import Tiny, description, model_proto
from tests.support.strategies import float32

RANK = 24
# How far, per channel, a location lies from the prototype of its class that it resembles, and from
# the middle between two prototypes. Real matches are not perfect; this leaves margins of 1 to 20.
NEAR, APART = 0.15, 0.05


@dataclass(frozen=True)
class Shape:
    """Sizes of a synthetic head; the defaults are those of a network on CUB-200-2011."""

    prototypes: int = 2000
    channels: int = 128
    classes: int = 200
    grid: tuple[int, int] = (7, 7)

    @property
    def locations(self) -> int:
        """L = H * W."""
        return self.grid[0] * self.grid[1]


def make_head(shape: Shape, seed: int = 0) -> Head:
    """The head; equal seeds give equal heads."""
    rng = np.random.default_rng(seed)
    count, channels = shape.prototypes, shape.channels
    low_rank = rng.normal(size=(count, RANK)) @ rng.normal(size=(RANK, channels)) / np.sqrt(RANK)
    noise = rng.normal(size=(count, channels))
    owner = np.arange(count) * shape.classes // count
    return heads.prototype_head(
        prototypes=float32(np.clip(0.5 + 0.25 * low_rank + 0.05 * noise, 0, 1)),
        chain=heads.similarity("log_ratio"),
        weight=np.where(owner == np.arange(shape.classes)[:, None], 1.0, -0.5),
        bias=np.zeros(shape.classes),
        prototype_class=tuple(int(k) for k in owner),
        grid=shape.grid,
    )


def make_latent(head: Head, seed: int) -> NDArray[np.float32]:
    """A latent [L, D] of a random class."""
    rng = np.random.default_rng(1000 + seed)
    owner = np.asarray(head.prototype_class)
    own = np.flatnonzero(owner == rng.integers(len(head.bias)))
    own = own[: head.locations]
    first, second = rng.integers(len(head.prototypes), size=(2, head.locations))
    latent = 0.5 * (head.prototypes[first] + head.prototypes[second])
    latent += APART * rng.normal(size=latent.shape)
    places = rng.permutation(head.locations)[: len(own)]
    latent[places] = head.prototypes[own] + NEAR * rng.normal(size=(len(own), head.channels))
    return np.clip(latent, 0, 1).astype(np.float32)


def make_instance(head: Head, seed: int, gram: NDArray[np.float64] | None = None) -> Instance:
    """The instance of ``make_latent``; ``gram`` saves computing the same one again."""
    return strategies.make_instance(head, make_latent(head, seed).astype(np.float64), gram)


def model_bytes(head: Head, distance: str = "expanded") -> bytes:
    """An ONNX model of the head whose encoder passes its input through a ReLU.

    Its input is the latent itself, [D, H, W] in [0, 1]; ``distance``: how it is computed, also
    ``direct``.
    """
    tiny = Tiny(
        prototypes=head.prototypes.astype(np.float32),
        weight=head.weight.astype(np.float32),
        grid=head.grid,
        operator="Relu",
        distance=distance,
    )
    model = model_proto(tiny)
    shape = [head.channels, *head.grid]
    del model.graph.node[0]
    model.graph.node[0].input[0] = "input"
    model.graph.initializer.remove(next(i for i in model.graph.initializer if i.name == "kernel"))
    del model.graph.input[:]
    model.graph.input.append(
        helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", *shape])
    )
    facts = description(tiny)
    facts["input"]["shape"] = shape
    facts["name"] = "synthetic"
    del model.metadata_props[:]
    model.metadata_props.add(key="protoproof", value=json.dumps(facts))
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def model_input(head: Head, seed: int) -> NDArray[np.float32]:
    """The latent as an input of that model, [D, H, W]."""
    latent = make_latent(head, seed)
    return np.ascontiguousarray(latent.T.reshape(head.channels, *head.grid))
