"""The messages of an ONNX file that the checker reads (ONNX IR, ``onnx.proto``), field by field.

A field is read; or it is silent, because it cannot change what a network computes; or it is refused
with a word of its own. Numbers that are not listed are refused, too, whatever they will mean one
day. Tables do not contain themselves (graphs inside attributes are refused), so files are no deeper
than the tables.
"""

from __future__ import annotations

from collections.abc import Mapping

from protoproof.kernel.model.protobuf import Field, Kind, MessageType

_KINDS = {kind.value[0]: kind for kind in Kind}
_MESSAGES: dict[str, MessageType] = {}


def _message(name: str, fields: str, refused: Mapping[int, str] | None = None) -> MessageType:
    """A table. Each field has a number, a name, and a type: of protobuf, or a message above.

    Behind the type, ``*`` is a field that may occur more than once, ``-`` one that is silent.
    """
    table: dict[int, Field] = {}
    for entry in fields.split(";"):
        number, field, kind = entry.split()
        inner = _MESSAGES.get(kind.strip("*-"))
        wire = Kind.MESSAGE if inner else _KINDS[kind.strip("*-")]
        table[int(number)] = Field(field, wire, "*" in kind, inner, "-" in kind)
    _MESSAGES[name] = MessageType(name, table, refused or {})
    return _MESSAGES[name]


_message("StringStringEntryProto", "1 key string; 2 value string")
_REMARKS = "metadata_props StringStringEntryProto*-"

TENSOR = _message(
    "TensorProto",
    "1 dims int64*; 2 data_type int32; 4 float_data float*; 5 int32_data int32*; "
    "7 int64_data int64*; 8 name string; 9 raw_data bytes; 10 double_data double*; "
    "11 uint64_data uint64*; 12 doc_string string-; 13 external_data StringStringEntryProto*; "
    f"14 data_location int32; 16 {_REMARKS}",
    {
        3: "tensors in segments are not supported",
        6: "tensors of text are not supported",
    },
)
_OTHERS = {
    6: "a graph",
    10: "tensors",
    11: "graphs",
    14: "a type",
    15: "types",
    22: "a sparse tensor",
    23: "sparse tensors",
}
ATTRIBUTE = _message(
    "AttributeProto",
    "1 name string; 2 f float; 3 i int64; 4 s bytes; 5 t TensorProto; 7 floats float*; "
    "8 ints int64*; 9 strings bytes*; 13 doc_string string-; 20 type int32",
    {n: f"an attribute holds {what}, which is not supported" for n, what in _OTHERS.items()}
    | {21: "an attribute refers to one of a function, which is not supported"},
)
NODE = _message(
    "NodeProto",
    "1 input string*; 2 output string*; 3 name string-; 4 op_type string; "
    "5 attribute AttributeProto*; 6 doc_string string-; 7 domain string; 8 overload string; "
    f"9 {_REMARKS}",
    {10: "an operator is split over devices, which is not supported"},
)
_message(
    "TensorShapeProto.Dimension", "1 dim_value int64; 2 dim_param string; 3 denotation string-"
)
_message("TensorShapeProto", "1 dim TensorShapeProto.Dimension*")
_message("TypeProto.Tensor", "1 elem_type int32; 2 shape TensorShapeProto")
_message(
    "TypeProto",
    "1 tensor_type TypeProto.Tensor; 4 sequence_type bytes; 5 map_type bytes; "
    "6 denotation string-; 7 opaque_type bytes; 8 sparse_tensor_type bytes; 9 optional_type bytes",
)
_message("ValueInfoProto", f"1 name string; 2 type TypeProto; 3 doc_string string-; 4 {_REMARKS}")
_message(
    "TensorAnnotation",
    "1 tensor_name string; 2 quant_parameter_tensor_names StringStringEntryProto*",
)
GRAPH = _message(
    "GraphProto",
    "1 node NodeProto*; 2 name string-; 5 initializer TensorProto*; 10 doc_string string-; "
    "11 input ValueInfoProto*; 12 output ValueInfoProto*; 13 value_info ValueInfoProto*; "
    f"14 quantization_annotation TensorAnnotation*-; 16 {_REMARKS}",
    {15: "sparse weights are not supported"},
)
_message("OperatorSetIdProto", "1 domain string; 2 version int64")
# Of a function only what it is called: a network that calls one is refused, so none is ever run.
_message(
    "FunctionProto",
    "1 name string; 4 input string*-; 5 output string*-; 6 attribute string*-; 7 node bytes*-; "
    "8 doc_string string-; 9 opset_import OperatorSetIdProto*-; 10 domain string; "
    "11 attribute_proto bytes*-; 12 value_info ValueInfoProto*-; 13 overload string-; "
    f"14 {_REMARKS}",
)
MODEL = _message(
    "ModelProto",
    "1 ir_version int64; 2 producer_name string-; 3 producer_version string-; 4 domain string-; "
    "5 model_version int64-; 6 doc_string string-; 7 graph GraphProto; "
    "8 opset_import OperatorSetIdProto*; 14 metadata_props StringStringEntryProto*; "
    "25 functions FunctionProto*",
    {
        20: "training information is not supported",
        26: "a network that is split over devices is not supported",
    },
)
