"""The messages of an ONNX file that the checker reads (ONNX IR, ``onnx.proto``), field by field.

A field is read; or it is silent, because it cannot change what a network computes; or it is refused
with a word of its own. Numbers that are not listed are refused, too, whatever they will mean one
day. Tables do not contain themselves (graphs inside attributes are refused), so files are no deeper
than the tables.
"""

from __future__ import annotations

from protoproof.kernel.model.protobuf import Field, Kind, MessageType


def _silent_text(name: str) -> Field:
    return Field(name, Kind.TEXT, silent=True)


def _numbers(name: str, kind: Kind) -> Field:
    return Field(name, kind, many=True)


_ENTRY = MessageType(
    "StringStringEntryProto", {1: Field("key", Kind.TEXT), 2: Field("value", Kind.TEXT)}
)
_REMARKS = Field("metadata_props", Kind.MESSAGE, many=True, message=_ENTRY, silent=True)
ELSEWHERE = "a tensor is stored in another file"

TENSOR = MessageType(
    "TensorProto",
    {
        1: _numbers("dims", Kind.INT64),
        2: Field("data_type", Kind.INT32),
        4: _numbers("float_data", Kind.FLOAT),
        5: _numbers("int32_data", Kind.INT32),
        7: _numbers("int64_data", Kind.INT64),
        8: Field("name", Kind.TEXT),
        9: Field("raw_data", Kind.BYTES),
        10: _numbers("double_data", Kind.DOUBLE),
        11: _numbers("uint64_data", Kind.UINT64),
        12: _silent_text("doc_string"),
        14: Field("data_location", Kind.INT32),
        16: _REMARKS,
    },
    {
        3: "tensors in segments are not supported",
        6: "tensors of text are not supported",
        13: ELSEWHERE,
    },
)
ATTRIBUTE = MessageType(
    "AttributeProto",
    {
        1: Field("name", Kind.TEXT),
        2: Field("f", Kind.FLOAT),
        3: Field("i", Kind.INT64),
        4: Field("s", Kind.BYTES),
        5: Field("t", Kind.MESSAGE, message=TENSOR),
        7: _numbers("floats", Kind.FLOAT),
        8: _numbers("ints", Kind.INT64),
        9: _numbers("strings", Kind.BYTES),
        13: _silent_text("doc_string"),
        20: Field("type", Kind.INT32),
    },
    {
        6: "an attribute holds a graph, which is not supported",
        10: "an attribute holds tensors, which is not supported",
        11: "an attribute holds graphs, which is not supported",
        14: "an attribute holds a type, which is not supported",
        15: "an attribute holds types, which is not supported",
        21: "an attribute refers to one of a function, which is not supported",
        22: "an attribute holds a sparse tensor, which is not supported",
        23: "an attribute holds sparse tensors, which is not supported",
    },
)
NODE = MessageType(
    "NodeProto",
    {
        1: Field("input", Kind.TEXT, many=True),
        2: Field("output", Kind.TEXT, many=True),
        3: _silent_text("name"),
        4: Field("op_type", Kind.TEXT),
        5: Field("attribute", Kind.MESSAGE, many=True, message=ATTRIBUTE),
        6: _silent_text("doc_string"),
        7: Field("domain", Kind.TEXT),
        8: Field("overload", Kind.TEXT),
        9: _REMARKS,
    },
    {10: "an operator is split over devices, which is not supported"},
)
DIMENSION = MessageType(
    "TensorShapeProto.Dimension",
    {
        1: Field("dim_value", Kind.INT64),
        2: Field("dim_param", Kind.TEXT),
        3: _silent_text("denotation"),
    },
)
SHAPE = MessageType(
    "TensorShapeProto", {1: Field("dim", Kind.MESSAGE, many=True, message=DIMENSION)}
)
TENSOR_TYPE = MessageType(
    "TypeProto.Tensor",
    {1: Field("elem_type", Kind.INT32), 2: Field("shape", Kind.MESSAGE, message=SHAPE)},
)
_NO_TENSOR = "a value is not a tensor, which is not supported"
TYPE = MessageType(
    "TypeProto",
    {1: Field("tensor_type", Kind.MESSAGE, message=TENSOR_TYPE), 6: _silent_text("denotation")},
    dict.fromkeys((4, 5, 7, 8, 9), _NO_TENSOR),
)
VALUE = MessageType(
    "ValueInfoProto",
    {
        1: Field("name", Kind.TEXT),
        2: Field("type", Kind.MESSAGE, message=TYPE),
        3: _silent_text("doc_string"),
        4: _REMARKS,
    },
)
GRAPH = MessageType(
    "GraphProto",
    {
        1: Field("node", Kind.MESSAGE, many=True, message=NODE),
        2: _silent_text("name"),
        5: Field("initializer", Kind.MESSAGE, many=True, message=TENSOR),
        10: _silent_text("doc_string"),
        11: Field("input", Kind.MESSAGE, many=True, message=VALUE),
        12: Field("output", Kind.MESSAGE, many=True, message=VALUE),
        13: Field("value_info", Kind.MESSAGE, many=True, message=VALUE),
        16: _REMARKS,
    },
    {
        14: "quantized tensors are not supported",
        15: "sparse weights are not supported",
    },
)
OPSET = MessageType(
    "OperatorSetIdProto", {1: Field("domain", Kind.TEXT), 2: Field("version", Kind.INT64)}
)
MODEL = MessageType(
    "ModelProto",
    {
        1: Field("ir_version", Kind.INT64),
        2: _silent_text("producer_name"),
        3: _silent_text("producer_version"),
        4: _silent_text("domain"),
        5: Field("model_version", Kind.INT64, silent=True),
        6: _silent_text("doc_string"),
        7: Field("graph", Kind.MESSAGE, message=GRAPH),
        8: Field("opset_import", Kind.MESSAGE, many=True, message=OPSET),
        14: Field("metadata_props", Kind.MESSAGE, many=True, message=_ENTRY),
    },
    {
        20: "training information is not supported",
        25: "model-local functions are not supported",
        26: "a network that is split over devices is not supported",
    },
)
