"""What exporters make of a head that somebody wrote plainly: recognised, and by the checker too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from protoproof.explanation.certifiable import checkers_objection
from protoproof.network import load
from tests.support.network.builders import CHANNELS, CLASSES, PROTOTYPES, Draft, draft, node

Change = Callable[[Draft], None]


def _rows_of_prototypes(parts: Draft) -> None:
    """Stored [P, D], brought to [P, D, 1, 1] in the graph."""
    parts.weights["rows"] = parts.weights.pop("prototypes").reshape(PROTOTYPES, CHANNELS)
    parts.weights["four_axes"] = np.array([PROTOTYPES, CHANNELS, 1, 1], dtype=np.int64)
    parts.nodes.insert(4, node("Reshape", ["rows", "four_axes"], "prototypes"))


def _lengths(parts: Draft) -> None:
    """``torch.norm(z - p, dim=...) ** 2``."""
    parts.weights["square_of"] = np.array(2, dtype=np.float32)
    parts.nodes.remove(parts.node("square"))
    parts.replace(
        "measurement",
        node("ReduceL2", ["apart"], "length", axes=[2], keepdims=0),
        node("Pow", ["length", "square_of"], "measurement"),
    )


def _similarity_first(parts: Draft) -> None:
    """The similarity as a map, its maximum afterwards."""
    for name in ("closeness", "closest", "nearest_map", "nearest"):
        parts.nodes.remove(parts.node(name))
    for name in ("numerator", "denominator"):
        parts.node(name).input[0] = "measurement"
    parts.rename("activation", "similar")
    parts.nodes[-1:-1] = [
        node("MaxPool", ["similar"], "most", kernel_shape=[2, 2]),
        node("Flatten", ["most"], "activation"),
    ]
    parts.nodes[-1].input[0] = "activation"


def _bias_of(shape: tuple[int, ...], add: bool) -> Change:
    def change(parts: Draft) -> None:
        parts.weights["bias"] = np.array([0.25, -0.25], dtype=np.float32).reshape(shape)
        if not add:
            parts.node("logits").input.append("bias")
            return
        parts.weights["turned"] = np.ascontiguousarray(parts.weights.pop("head.weight").T)
        product = node("MatMul", ["activation", "turned"], "product")
        parts.replace("logits", product, node("Add", ["product", "bias"], "logits"))

    return change


def _choice_beside(op: str) -> Change:
    """The class itself, or the first two, as further outputs."""

    def change(parts: Draft) -> None:
        if op == "ArgMax":
            choice = node("ArgMax", ["logits"], "choice", axis=1, keepdims=0)
            shape: list[int | str] = ["N"]
        else:
            parts.weights["k"] = np.array([2], dtype=np.int64)
            choice = helper.make_node("TopK", ["logits", "k"], ["best", "choice"], name="top")
            shape = ["N", CLASSES]
        parts.nodes.append(choice)
        given = helper.make_tensor_value_info("choice", 7, shape)
        parts.extra.append(lambda model: model.graph.output.append(given))

    return change


SPELLINGS: dict[str, Change] = {
    "prototypes as rows": _rows_of_prototypes,
    "a norm, squared": _lengths,
    "similarity first": _similarity_first,
    "a bias of the layer, [1, K]": _bias_of((1, CLASSES), add=False),
    "a product and a bias, [K]": _bias_of((CLASSES,), add=True),
    "a product and a bias, [1, K]": _bias_of((1, CLASSES), add=True),
    "the class beside the scores": _choice_beside("ArgMax"),
    "the first classes beside the scores": _choice_beside("TopK"),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_plainly_written_heads(tmp_path: Path, name: str) -> None:
    parts = draft(distance="direct")
    parts.description = None
    parts.outputs = {"logits": (CLASSES,)}
    SPELLINGS[name](parts)
    network = load(parts.save(tmp_path))
    plain = load(draft(distance="direct").save(tmp_path, "plain.onnx"))
    assert network.recognised.latents == ("latent",)
    assert network.recognised.output == "logits"
    np.testing.assert_array_equal(network.head.prototypes, plain.head.prototypes)
    assert network.head.bias.tolist() == ([0.25, -0.25] if "bias" in name else [0, 0])
    assert checkers_objection(network) == ""
    x = np.random.default_rng(0).random((1, 6, 6), dtype=np.float32)
    seen = network.observe(x)
    scores = network.head.logits(
        network.head.activation(network.head.measurement(seen.latent.astype(np.float64)))
    )
    np.testing.assert_allclose(scores, seen.logits, rtol=1e-4, atol=1e-4)


def _averaged(parts: Draft) -> None:
    """The grid's mean is the one location."""
    mean = node("GlobalAveragePool", ["grid"], "latent")
    parts.replace("latent", node("Sigmoid", ["c2"], "grid"), mean)


def _dense(parts: Draft) -> None:
    """A dense layer's result, shaped as a grid of one location."""
    parts.weights["dense"] = np.random.default_rng(2).normal(0, 0.3, (20, 3)).astype(np.float32)
    parts.weights["as_grid"] = np.array([-1, CHANNELS, 1, 1], dtype=np.int64)
    parts.nodes.remove(parts.node("c2"))
    parts.replace(
        "latent",
        node("Flatten", ["r1"], "flat"),
        node("Gemm", ["flat", "dense"], "sum"),
        node("Sigmoid", ["sum"], "row"),
        node("Reshape", ["row", "as_grid"], "latent"),
    )


@pytest.mark.parametrize("change", [_averaged, _dense])
def test_a_latent_of_one_location(tmp_path: Path, change: Change) -> None:
    parts = draft(distance="direct")
    parts.description = None
    parts.outputs = {"logits": (CLASSES,)}
    parts.node("closest").attribute[0].ints[:] = [1, 1]
    change(parts)
    network = load(parts.save(tmp_path))
    assert (network.head.geometry, network.head.locations) == ("euclidean", 1)
    assert network.head.channels == CHANNELS
    assert checkers_objection(network) == ""
    network.check_head(network.observe(np.zeros((1, 6, 6), np.float32)))
