"""What may make a latent: changes of :func:`tests.support.network.builders.draft`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx

from tests.support.network.builders import Draft, node

Change = Callable[[Draft], None]


def real(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 0.4, shape).astype(np.float32)


def _normalised(parts: Draft) -> None:
    for name, values in (("scale", 1.5), ("shift", 0.1), ("mean", 0.2), ("var", 0.8)):
        parts.weights[name] = np.full(3, values, dtype=np.float32)
    norm = node("BatchNormalization", ["c2", "scale", "shift", "mean", "var"], "bn")
    parts.replace("latent", norm, node("Relu", ["bn"], "latent"))


def _clipped(parts: Draft) -> None:
    parts.weights |= {"low": np.float32(0), "high": np.float32(1)}  # type: ignore[dict-item]
    parts.replace("latent", node("Clip", ["c2", "low", "high"], "latent"))


def _added(parts: Draft) -> None:
    parts.weights["w3"] = real(3, 5, 1, 1)
    parts.replace(
        "latent",
        node("Conv", ["r1", "w3"], "c3"),
        node("Add", ["c2", "c3"], "sum"),
        node("Relu", ["sum"], "latent"),
    )


def _silu(parts: Draft) -> None:
    parts.replace("latent", node("Sigmoid", ["c2"], "gate"), node("Mul", ["c2", "gate"], "latent"))


def _halves(parts: Draft, *nodes: onnx.NodeProto) -> None:
    """Two convolutions of 1 and 2 channels, ``a`` and ``b``, put together by ``nodes``."""
    parts.weights |= {"wa": real(1, 5, 1, 1), "wb": real(2, 5, 1, 1)}
    parts.nodes.remove(parts.node("c2"))
    made = (node("Conv", ["r1", "wa"], "a"), node("Conv", ["r1", "wb"], "b"))
    parts.replace("latent", *made, *nodes)


def _concat_of_convolutions(parts: Draft) -> None:
    _halves(parts, node("Concat", ["a", "b"], "latent", axis=1))


def _concat_of_an_activation_and_a_convolution(parts: Draft) -> None:
    _halves(parts, node("Relu", ["a"], "ra"), node("Concat", ["ra", "b"], "latent", axis=1))


def _concat_with_what_it_is_made_of(parts: Draft) -> None:
    """As in a dense block: some of the channels before the last layer, and that layer's."""
    parts.weights |= {"wb": real(2, 5, 1, 1), "from": np.array([0]), "to": np.array([1])}
    parts.nodes.remove(parts.node("c2"))
    parts.replace(
        "latent",
        node("Slice", ["r1", "from", "to", "axis_1"], "kept"),
        node("Conv", ["r1", "wb"], "b"),
        node("Concat", ["kept", "b"], "latent", axis=1),
    )


LATENTS: dict[str, Change] = {
    "batch normalisation and relu": _normalised,
    "clip": _clipped,
    "relu of a sum": _added,
    "silu": _silu,
    "two convolutions together": _concat_of_convolutions,
    "an activation and a convolution together": _concat_of_an_activation_and_a_convolution,
    "a layer and its input together": _concat_with_what_it_is_made_of,
}
