"""Content of a model as nested tuples, from the onnx package and from the checker's reader.

Both sides write the same: what carries no meaning is left out, numbers are bytes. The onnx side
fails on any field that it does not know to be one or the other.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, numpy_helper

from protoproof.kernel.model.onnx_reader import (
    AttributeType,
    OnnxAttribute,
    OnnxModel,
    OnnxTensor,
    OnnxValue,
    read_onnx,
)
from tests.support.kernel.models import model_proto, random_tiny

SILENT = {"doc_string", "metadata_props", "denotation"}
MEANING: dict[str, tuple[set[str], set[str]]] = {  # per message: what is read, what is silent
    "ModelProto": (
        {"ir_version", "opset_import", "graph", "metadata_props"},
        {"producer_name", "producer_version", "domain", "model_version", "doc_string", "functions"},
    ),
    "GraphProto": (
        {"node", "initializer", "input", "output", "value_info"},
        SILENT | {"name", "quantization_annotation"},
    ),
    "NodeProto": (
        {"input", "output", "op_type", "domain", "attribute", "overload"},
        SILENT | {"name"},
    ),
    "AttributeProto": ({"name", "type", "f", "i", "s", "t", "floats", "ints", "strings"}, SILENT),
    "TensorProto": (
        {"dims", "data_type", "float_data", "int32_data", "int64_data", "double_data",
         "uint64_data", "raw_data", "name", "data_location"},
        SILENT,
    ),
    "ValueInfoProto": ({"name", "type"}, SILENT),
    "TypeProto": (
        {"tensor_type", "sequence_type", "map_type", "optional_type", "sparse_tensor_type"},
        SILENT,
    ),
    "Tensor": ({"elem_type", "shape"}, SILENT),
    "TensorShapeProto": ({"dim"}, SILENT),
    "Dimension": ({"dim_value", "dim_param"}, SILENT),
}  # fmt: skip


def number(value: float) -> bytes:
    return struct.pack("<f", value)


def only(message: Any) -> None:
    """The message has no field whose meaning is not compared."""
    read, silent = MEANING[type(message).__name__]
    assert {field.name for field, _ in message.ListFields()} <= read | silent


def onnx_tensor(tensor: onnx.TensorProto) -> tuple[Any, ...]:
    only(tensor)
    assert tensor.data_location == onnx.TensorProto.DEFAULT
    data = numpy_helper.to_array(tensor)
    return tensor.name, tuple(tensor.dims), tensor.data_type, np.ascontiguousarray(data).tobytes()


def onnx_value(value: onnx.ValueInfoProto) -> tuple[Any, ...]:
    for message in (value, value.type, value.type.tensor_type, value.type.tensor_type.shape):
        only(message)
    tensor = value.type.tensor_type
    shape = None
    if tensor.HasField("shape"):
        for dim in tensor.shape.dim:
            only(dim)
        shape = tuple(
            dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim
        )
    return value.name, tensor.elem_type, shape


def onnx_attribute(attribute: AttributeProto) -> tuple[Any, ...]:
    only(attribute)
    kinds: dict[int, Any] = {
        AttributeProto.FLOAT: lambda a: number(a.f),
        AttributeProto.INT: lambda a: a.i,
        AttributeProto.STRING: lambda a: a.s,
        AttributeProto.TENSOR: lambda a: onnx_tensor(a.t),
        AttributeProto.FLOATS: lambda a: tuple(map(number, a.floats)),
        AttributeProto.INTS: lambda a: tuple(a.ints),
        AttributeProto.STRINGS: lambda a: tuple(a.strings),
    }
    payloads = {field.name for field, _ in attribute.ListFields()} - SILENT - {"name", "type"}
    assert len(payloads) <= 1
    return attribute.name, attribute.type, kinds[attribute.type](attribute)


def from_onnx(model: onnx.ModelProto) -> tuple[Any, ...]:
    """What the onnx package reads."""
    graph = model.graph
    for message in (model, graph, *graph.node):
        only(message)
    assert not any(node.overload for node in graph.node)
    return (
        model.ir_version,
        tuple((entry.domain, entry.version) for entry in model.opset_import),
        tuple((entry.key, entry.value) for entry in model.metadata_props),
        tuple(
            (
                node.op_type,
                node.domain,
                tuple(node.input),
                tuple(node.output),
                tuple(map(onnx_attribute, node.attribute)),
            )
            for node in graph.node
        ),
        tuple(map(onnx_tensor, graph.initializer)),
        tuple(tuple(map(onnx_value, part)) for part in (graph.input, graph.output)),
        tuple(map(onnx_value, graph.value_info)),
    )


def our_tensor(tensor: OnnxTensor) -> tuple[Any, ...]:
    return tensor.name, tensor.dims, tensor.data_type, bytes(tensor.data)


def our_value(value: OnnxValue) -> tuple[Any, ...]:
    return value.name, value.elem_type, value.shape


def our_attribute(attribute: OnnxAttribute) -> tuple[Any, ...]:
    value: Any = attribute.value
    kind = attribute.type
    if kind == AttributeType.FLOAT:
        value = number(value)
    elif kind == AttributeType.FLOATS:
        value = tuple(map(number, value))
    elif kind == AttributeType.STRING:
        value = value.encode()
    elif kind == AttributeType.STRINGS:
        value = tuple(text.encode() for text in value)
    elif kind == AttributeType.TENSOR:
        value = our_tensor(value)
    return attribute.name, int(kind), value


def from_ours(model: OnnxModel) -> tuple[Any, ...]:
    """What the checker reads."""
    return (
        model.ir_version,
        model.opsets,
        model.metadata,
        tuple(
            (n.op_type, n.domain, n.input, n.output, tuple(map(our_attribute, n.attribute)))
            for n in model.nodes
        ),
        tuple(map(our_tensor, model.initializers)),
        tuple(tuple(map(our_value, part)) for part in (model.inputs, model.outputs)),
        tuple(map(our_value, model.annotations)),
    )


TINY = random_tiny(3, grid=(2, 2), bias=np.array([0.5, -1, 0.25], dtype=np.float32), classes=3)


def agree(data: bytes) -> None:
    """Both readers find the same."""
    assert from_ours(read_onnx(data)) == from_onnx(onnx.load_model_from_string(data))


def with_attribute(attribute: AttributeProto) -> onnx.ModelProto:
    model = model_proto(TINY)
    model.graph.node[0].attribute.append(attribute)
    return model
