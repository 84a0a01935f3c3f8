"""Copies of a model in memory that show more, or hold less, than the file: never what is hashed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import ModelProto

from protoproof.errors import ModelError
from protoproof.extras import installed
from protoproof.network.head.view import View
from protoproof.network.onnx.file import OnnxFile
from protoproof.network.onnx.node import printable
from protoproof.network.onnx.runtime import Session


def input_of(model: ModelProto, name: str) -> tuple[int, ...]:
    """The shape of one input, without the batch axis.

    Raises:
        ModelError: a batch that is fixed to more than one, or another axis that is not fixed.
    """
    value = next(value for value in model.graph.input if value.name == name)
    dims = value.type.tensor_type.shape.dim
    if not dims or (dims[0].HasField("dim_value") and dims[0].dim_value != 1):
        raise ModelError(
            f"the input '{printable(name)}' has no batch axis of one or any number of images in "
            "front; export it with a batch of 1"
        )
    if any(not dim.HasField("dim_value") for dim in dims[1:]):
        raise ModelError(f"the input '{printable(name)}' has axes that are not fixed; fix them")
    return tuple(int(dim.dim_value) for dim in dims[1:])


def with_outputs(file: OnnxFile, names: Sequence[str]) -> bytes:
    """The model with these tensors among its outputs; the file's own bytes where they are."""
    have = {value.name for value in file.model.graph.output}
    missing = [name for name in dict.fromkeys(names) if name not in have]
    if not missing:
        return file.data
    model = ModelProto()
    model.CopyFrom(file.model)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in missing)
    return bytes(model.SerializeToString())


def shapes_by_running(
    file: OnnxFile, view: View, shape: tuple[int, ...]
) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors that the input changes, for one input; {} without ONNX Runtime."""
    if not installed("onnxruntime"):
        return {}
    names = tuple(
        name
        for node in view.nodes
        for name in node.outputs
        if name in view.dependent and node.op != "SplitToSequence"
    )
    session = Session(with_outputs(file, names), file.files)
    feed = {view.input: np.full((1, *shape), 0.5, dtype=np.float32)}
    return {**session.shapes(names, feed), view.input: (1, *shape)}


def part_of(model: ModelProto, view: View, names: Sequence[str]) -> ModelProto:
    """The model up to these tensors, which become its outputs."""
    kept = {node.number for name in names for node in view.needed(name)}
    result = ModelProto()
    result.CopyFrom(model)
    nodes = [
        node
        for number, node in enumerate(model.graph.node)
        if number in kept or node.op_type == "Constant"
    ]
    used = {name for node in nodes for name in node.input}
    del result.graph.node[:]
    del result.graph.output[:]
    del result.graph.value_info[:]
    del result.graph.initializer[:]
    result.graph.node.extend(nodes)
    result.graph.initializer.extend(t for t in model.graph.initializer if t.name in used)
    result.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return result
