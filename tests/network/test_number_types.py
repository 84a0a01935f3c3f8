"""Other numbers than float32: executed in the encoder, and named where the head has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from protoproof.explanation.certifiable import checkers_objection
from protoproof.network.inspect import inspect_file
from tests.support.network.builders import Draft, draft, node

STEP = {"s": np.array(0.05, np.float32), "zero": np.array(0, np.uint8)}


def plain(**keywords: str) -> Draft:
    parts = draft(**keywords)  # type: ignore[arg-type]
    parts.description = None
    parts.outputs = {"logits": (2,)}
    return parts


def behind(parts: Draft, name: str, *nodes: onnx.NodeProto) -> None:
    """Nodes between ``name`` and its readers, from ``name.raw`` back to ``name``."""
    made = parts.node(name)
    made.output[0], made.name = f"{name}.raw", f"{name}.raw.node"
    at = parts.nodes.index(made) + 1
    parts.nodes[at:at] = nodes


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "double"])
def test_a_whole_network_of_them(tmp_path: Path, kind: str) -> None:
    number = TensorProto.DataType.Value(kind.upper())

    def change(model: onnx.ModelProto) -> None:
        for tensor in model.graph.initializer:
            if tensor.data_type == TensorProto.FLOAT:
                values = numpy_helper.to_array(tensor)
                made = helper.make_tensor(tensor.name, number, values.shape, values.reshape(-1))
                tensor.CopyFrom(made)
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.elem_type = number

    parts = plain()
    parts.extra.append(change)
    first = inspect_file(parts.save(tmp_path)).refusals[0]
    assert first == f"input 'input' is {kind}; only float32 (or uint8) is taken; export it so"


def _convolution(parts: Draft) -> None:
    parts.weights |= STEP | {
        "w8": np.ones((3, 5, 1, 1), np.int8), "none": np.array(0, np.int8),
    }  # fmt: skip
    whole = ["q1", "s", "zero", "w8", "s", "none", "s", "zero"]
    parts.replace(
        "c2",
        node("QuantizeLinear", ["r1", "s", "zero"], "q1"),
        node("QLinearConv", whole, "q2"),
        node("DequantizeLinear", ["q2", "s", "zero"], "c2"),
    )


def _dynamic(parts: Draft) -> None:
    made = helper.make_node("DynamicQuantizeLinear", ["r0"], ["q", "qs", "qz"], name="dynamic")
    parts.replace(
        "r1",
        node("Relu", ["c1"], "r0"),
        made,
        node("DequantizeLinear", ["q", "qs", "qz"], "r1"),
    )


def _rounded(name: str) -> Callable[[Draft], None]:
    def change(parts: Draft) -> None:
        parts.weights |= STEP
        behind(
            parts,
            name,
            node("QuantizeLinear", [f"{name}.raw", "s", "zero"], "q1"),
            node("DequantizeLinear", ["q1", "s", "zero"], name),
        )

    return change


@pytest.mark.parametrize("change", [_convolution, _dynamic, _rounded("latent")])
def test_quantised_encoders_are_executed(tmp_path: Path, change: Callable[[Draft], None]) -> None:
    """The head reads float32 numbers, however they were made."""
    parts = plain()
    change(parts)
    path = parts.save(tmp_path, "unstated.onnx")
    (line,) = inspect_file(path, checker=checkers_objection).refusals
    assert "the shape of 'latent' follows neither from the operators behind it nor" in line
    parts.outputs["latent"] = (3, 2, 2)
    found = inspect_file(parts.save(tmp_path), checker=checkers_objection)
    assert (found.refusals, found.certifiable, found.compared) == ((), True, True)


@pytest.mark.parametrize("name", ["nearest", "ratio", "activation"])
def test_a_head_that_rounds_is_refused_by_name(tmp_path: Path, name: str) -> None:
    parts = plain()
    _rounded(name)(parts)
    (line,) = inspect_file(parts.save(tmp_path), checker=checkers_objection).refusals
    assert "with 'latent' as the latent, node 'q1.node' (QuantizeLinear)" in line


def test_a_head_in_half_precision_is_refused_by_name(tmp_path: Path) -> None:
    parts = plain(distance="direct")
    for key in ("prototypes", "one", "epsilon", "head.weight"):
        parts.weights[key] = parts.weights[key].astype(np.float16)
    behind(parts, "latent", node("Cast", ["latent.raw"], "latent", to=10))
    behind(parts, "logits", node("Cast", ["logits.raw"], "logits", to=1))
    (line,) = inspect_file(parts.save(tmp_path), checker=checkers_objection).refusals
    assert "with 'latent.raw' as the latent, node 'latent.node' (Cast): a Cast to float16" in line
