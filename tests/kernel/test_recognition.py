"""Heads that the checker recognises although they are written differently."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from tests.support.kernel.builders import Scene, bound_of
from tests.support.kernel.graphs import (
    HERE,
    Change,
    constant,
    node,
    report_for,
    swap,
    unstated_grid,
)
from tests.support.kernel.models import model_proto, random_tiny

VARIANTS: dict[str, dict[str, Any]] = {
    "canonical": {},
    "direct distance": {"distance": "direct"},
    **{
        f"opset {opset}, {distance} distance": {"opset": opset, "distance": distance}
        for opset in (13, 18, 20)
        for distance in ("expanded", "direct")
    },
    "Relu": {"operator": "Relu"},
    "bias": {"bias": np.array([0.5, -1, 0.25], dtype=np.float32), "classes": 3},
    **{kind: {"similarity": kind} for kind in ("exponential", "negated", "reciprocal")},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_canonical_heads_are_recognised_and_mean_what_they_compute(name: str) -> None:
    """Runs the graph on random inputs: logits must be those of the head that was read."""
    tiny = random_tiny(3, grid=(2, 2), **VARIANTS[name])
    bound = bound_of(tiny.data)
    assert bound.latent_operator == tiny.operator
    assert [int(bound.head.prototypes[1, d]) / 2**bound.head.shift for d in range(2)] == (
        tiny.prototypes[1, :2].tolist()
    )
    onnx.checker.check_model(tiny.data)
    session = ReferenceEvaluator(onnx.load_model_from_string(tiny.data))
    x = np.random.default_rng(0).random((1, 1, 2, 2)).astype(np.float32)
    logits, latent = session.run(["logits", "latent"], {"input": x})
    here = Scene(tiny, latent[0].reshape(len(latent[0]), -1).T)
    assert np.allclose(logits[0], here.logits([float(q) for q in here.best]), atol=1e-3)


def rename(model: onnx.ModelProto) -> None:
    """Every tensor that the description does not name gets a new name."""
    kept = {"input", "latent", "measurement", "activation", "logits", "prototypes", "head.weight"}
    for n in model.graph.node:
        n.name = "x"
        for names in (n.input, n.output):
            names[:] = [name if name in kept else f"new_{name}" for name in names]
    for tensor in model.graph.initializer:
        tensor.name = tensor.name if tensor.name in kept else f"new_{tensor.name}"


def identities(model: onnx.ModelProto) -> None:
    """An Identity before every input of every node of the head."""
    nodes = list(model.graph.node)
    added = []
    for index, n in enumerate(nodes):
        for position, name in enumerate(n.input):
            passed = f"copy_{index}_{position}"
            added.append(helper.make_node("Identity", [name], [passed]))
            n.input[position] = passed
        added.append(n)
    del model.graph.node[:]
    model.graph.node.extend(added)


def typed_storage(model: onnx.ModelProto) -> None:
    for name in ("two", "one", "constant", "prototypes", "head.weight"):
        values = numpy_helper.to_array(constant(model, name))
        constant(model, name).CopyFrom(
            helper.make_tensor(name, TensorProto.FLOAT, values.shape, values.ravel().tolist())
        )
    constant(model, "axis1").CopyFrom(helper.make_tensor("axis1", TensorProto.INT64, [1], [1]))


def constant_nodes(model: onnx.ModelProto) -> None:
    for name in ("two", "axis1"):
        tensor = onnx.TensorProto()
        tensor.CopyFrom(constant(model, name))
        model.graph.initializer.remove(constant(model, name))
        model.graph.node.insert(0, helper.make_node("Constant", [], [name], value=tensor))


def explicit_defaults(model: onnx.ModelProto) -> None:
    conv = {"strides": [1, 1], "pads": [0] * 4, "dilations": [1, 1], "group": 1}
    node(model, "z_dot_p").attribute.extend(
        helper.make_attribute(key, value) for key, value in conv.items()
    )
    gemm = {"alpha": 1.0, "beta": 1.0, "transA": 0}
    node(model, "logits").attribute.extend(
        helper.make_attribute(key, value) for key, value in gemm.items()
    )


HARMLESS: dict[str, Change] = {
    "nothing": lambda model: None,
    "names": rename,
    "Add swapped": swap("expanded"),
    "Add swapped too": swap("above"),
    "Mul swapped": swap("twice"),
    "Identity nodes": identities,
    "typed storage": typed_storage,
    "Constant nodes": constant_nodes,
    "defaults written out": explicit_defaults,
    "grid not stated": unstated_grid,
    "no third input": lambda model: node(model, "logits").input.append(""),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_differences_are_recognised(name: str) -> None:
    model = model_proto(HERE.tiny)
    HARMLESS[name](model)
    report = report_for(model)
    assert report.accepted, report.failures
