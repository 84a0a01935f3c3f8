"""Rows of the table of operators, as the graph module and as torch see them."""

from __future__ import annotations

import numpy as np
import torch
from onnx import numpy_helper

from protoproof.network.onnx.node import Call, Node
from protoproof.network.onnx.ops import lookup
from protoproof.network.onnx.stored import attribute_value
from tests.support.network.cases import Case


def call_of(case: Case, opset: int) -> Call:
    """The case as the graph module would see it."""
    model = case.model(opset)
    proto = model.graph.node[0]
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    shapes = {name: value.shape for name, value in constants.items()}
    shapes.update({name: value.shape for name, value in case.data(0).items()})
    attributes = {a.name: attribute_value(a) for a in proto.attribute}
    node = Node("case", case.op, opset, tuple(proto.input), "y", attributes)
    return Call(
        node,
        tuple(shapes.get(name) for name in node.inputs),
        tuple(constants.get(name) for name in node.inputs),
    )


def run_torch(call: Call, data: dict[str, np.ndarray], dtype: torch.dtype) -> torch.Tensor:
    row = lookup(call.node)
    values = dict(zip(call.node.inputs, call.constants, strict=True)) | data
    tensors = [
        torch.tensor(values[name], dtype=dtype) if name else None
        for name in row.data_inputs(call.node)
    ]
    return row.meaning(call, *tensors)
