"""An ONNX file as plain frozen data, in which every field of every message has its place.

Every field of every message has its place here, or is listed as silent in ``onnx_tables``, or ends
the reading: what this checker does not know it does not skip. Two readers of a file that is read
here can differ in nothing but names of nodes and remarks.

The payload of an attribute is the one that its type says, and there is no other; the numbers of a
tensor are stored once, and fill its shape exactly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from protoproof.errors import ModelError
from protoproof.kernel.model.onnx_tables import MODEL
from protoproof.kernel.model.outside import Outside
from protoproof.kernel.model.protobuf import Reader, Record, float32

FLOAT, INT64 = 1, 7  # numbers of TensorProto.DataType
_BOOL = 9
_LARGEST_RANK = 64

# Where the typed numbers of a tensor are, and how its raw bytes hold them, by data type. 16-bit
# floats are stored as their bits.
_STORED: dict[int, tuple[str, str]] = {
    FLOAT: ("float_data", "<f4"),
    2: ("int32_data", "u1"),
    3: ("int32_data", "i1"),
    4: ("int32_data", "<u2"),
    5: ("int32_data", "<i2"),
    6: ("int32_data", "<i4"),
    INT64: ("int64_data", "<i8"),
    _BOOL: ("int32_data", "u1"),
    10: ("int32_data", "<u2"),
    11: ("double_data", "<f8"),
    12: ("uint64_data", "<u4"),
    13: ("uint64_data", "<u8"),
    16: ("int32_data", "<u2"),
}
_DATA = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "raw_data")


class AttributeType(IntEnum):
    """The types of attributes that are read, with ONNX's numbers."""

    FLOAT = 1
    INT = 2
    STRING = 3
    TENSOR = 4
    FLOATS = 6
    INTS = 7
    STRINGS = 8


_PAYLOAD = {
    AttributeType.FLOAT: "f",
    AttributeType.INT: "i",
    AttributeType.STRING: "s",
    AttributeType.TENSOR: "t",
    AttributeType.FLOATS: "floats",
    AttributeType.INTS: "ints",
    AttributeType.STRINGS: "strings",
}
_LISTS = (AttributeType.FLOATS, AttributeType.INTS, AttributeType.STRINGS)


@dataclass(frozen=True)
class OnnxTensor:
    """Stored numbers; ``data`` holds them in row-major order, little-endian, as raw bytes do."""

    name: str
    dims: tuple[int, ...]
    data_type: int
    data: bytes | memoryview


AttributeValue = (
    int | float | str | OnnxTensor | tuple[int, ...] | tuple[float, ...] | tuple[str, ...]
)


@dataclass(frozen=True)
class OnnxAttribute:
    """A named value of an operator; floats are float32 numbers."""

    name: str
    type: AttributeType
    value: AttributeValue


@dataclass(frozen=True)
class OnnxNode:
    """One operator; '' stands for an input that is left out, or an output nobody asked for."""

    op_type: str
    domain: str
    input: tuple[str, ...]
    output: tuple[str, ...]
    attribute: tuple[OnnxAttribute, ...]


@dataclass(frozen=True)
class OnnxValue:
    """What a file states about a tensor; a size that is None is left open."""

    name: str
    elem_type: int
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class OnnxModel:
    """A file. ``functions`` are those that it defines (domain and name); no operator calls one.
    ``annotations`` are what it states about tensors inside the graph: nothing rests on
    them."""

    ir_version: int
    opsets: tuple[tuple[str, int], ...]
    metadata: tuple[tuple[str, str], ...]
    nodes: tuple[OnnxNode, ...]
    functions: frozenset[tuple[str, str]]
    initializers: tuple[OnnxTensor, ...]
    inputs: tuple[OnnxValue, ...]
    outputs: tuple[OnnxValue, ...]
    annotations: tuple[OnnxValue, ...]


def read_onnx(data: bytes, files: Mapping[str, bytes] | None = None) -> OnnxModel:
    """The content of an ONNX file, and of the data files in which it keeps tensors, by name.

    Raises:
        ModelError: not an ONNX file, or one with anything in it that is not accounted for above; or
            the data files are not exactly those that it names.
    """
    outside = Outside(files or {})
    root = Reader().read(memoryview(data), MODEL, "model")
    graph = root.one("graph")
    if graph is None or not root.has("ir_version"):
        raise ModelError("model: not an ONNX file; pass the file that was explained")
    functions = frozenset(
        (_domain(f.one("domain", "")), f.one("name", "")) for f in root.all("functions")
    )
    model = OnnxModel(
        ir_version=root.one("ir_version"),
        opsets=tuple((o.one("domain", ""), o.one("version", 0)) for o in root.all("opset_import")),
        metadata=tuple((e.one("key", ""), e.one("value", "")) for e in root.all("metadata_props")),
        nodes=tuple(_node(record, functions) for record in graph.all("node")),
        functions=functions,
        initializers=tuple(_tensor(record, outside) for record in graph.all("initializer")),
        inputs=tuple(_value(record) for record in graph.all("input")),
        outputs=tuple(_value(record) for record in graph.all("output")),
        annotations=tuple(_value(record) for record in graph.all("value_info")),
    )
    outside.finish()
    return model


def _domain(name: str) -> str:
    """ONNX's own operators are in a domain of two names."""
    return "" if name == "ai.onnx" else name


def _node(record: Record, functions: frozenset[tuple[str, str]]) -> OnnxNode:
    kind = record.one("op_type", "")
    if record.one("overload", "") or not kind:
        raise record.refuse("an operator has no kind, or is one of several of its name")
    if (_domain(record.one("domain", "")), kind) in functions:  # it would replace ONNX's own
        raise record.refuse(
            f"{kind!r:.200} is one of the functions of the model, none may be called"
        )
    attributes = tuple(_attribute(part) for part in record.all("attribute"))
    if len({attribute.name for attribute in attributes}) != len(attributes):
        raise record.refuse(f"an attribute of {record.one('op_type')} is written twice")
    return OnnxNode(
        op_type=record.one("op_type"),
        domain=record.one("domain", ""),
        input=tuple(record.all("input")),
        output=tuple(record.all("output")),
        attribute=attributes,
    )


def _attribute(record: Record) -> OnnxAttribute:
    """One payload, of the declared type. An empty list cannot be told from none: protobuf does not
    write it."""
    name, number = record.one("name", ""), record.one("type", 0)
    if not name or number not in _PAYLOAD:
        raise record.refuse(f"attribute {name!r} has no name, or the unknown type {number}")
    kind = AttributeType(number)
    present = [payload for payload in _PAYLOAD.values() if record.has(payload)]
    if present != [_PAYLOAD[kind]] and (present or kind not in _LISTS):
        raise record.refuse(
            f"attribute {name!r} of type {kind.name} holds {present}, not '{_PAYLOAD[kind]}' alone"
        )
    return OnnxAttribute(name, kind, _payload(record, kind))


def _payload(record: Record, kind: AttributeType) -> AttributeValue:
    field = _PAYLOAD[kind]
    if kind == AttributeType.FLOAT:
        return float32(record.one(field))
    if kind == AttributeType.INT:
        return int(record.one(field))
    if kind == AttributeType.STRING:
        return _text(record, record.one(field))
    if kind == AttributeType.TENSOR:
        return _tensor(record.one(field))
    if kind == AttributeType.FLOATS:
        return tuple(np.frombuffer(record.bytes(field), dtype="<f4").tolist())
    if kind == AttributeType.INTS:
        return tuple(record.all(field))
    return tuple(_text(record, value) for value in record.all(field))


def _text(record: Record, value: memoryview) -> str:
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError as error:
        raise record.refuse("the text of an attribute is not UTF-8") from error


def _tensor(record: Record, outside: Outside | None = None) -> OnnxTensor:
    name, dims = record.one("name", ""), tuple(record.all("dims"))
    if record.one("data_location", 0) not in (0, 1) or record.one("data_type", 0) not in _STORED:
        raise record.refuse(f"constant {name!r} has a number type or place that is not supported")
    if len(dims) > _LARGEST_RANK or min(dims, default=0) < 0:
        raise record.refuse(f"constant {name!r} has a shape that is not supported")
    typed, dtype = _STORED[record.one("data_type")]
    present = [payload for payload in _DATA if record.has(payload)]
    count = math.prod(dims)
    data: bytes | memoryview | None = b""
    if record.one("data_location", 0) == 1 or record.has("external_data"):
        if present or outside is None:
            raise record.refuse(f"constant {name!r} is stored in another file, which only "
                                "initializers may be, and then not here, too")  # fmt: skip
        data = outside.numbers(record, count * np.dtype(dtype).itemsize)
    elif present == ["raw_data"]:
        data = record.one("raw_data")
    elif present == [typed]:
        data = _typed(record, typed, dtype)
    elif present or count:  # stored twice, in a field of another type, or not at all
        data = None
    fits = data is not None and len(data) == count * np.dtype(dtype).itemsize
    if data is None or not fits:
        raise record.refuse(f"constant {name!r} has shape {dims!r:.200}: its data do not fill "
                            "its shape, or are stored twice")  # fmt: skip
    if record.one("data_type") == _BOOL and max(data, default=0) > 1:
        raise record.refuse(f"constant {name!r} holds what is neither true nor false")
    return OnnxTensor(name, dims, record.one("data_type"), data)


def _typed(record: Record, field: str, dtype: str) -> bytes:
    """The bytes that raw data would have."""
    if np.dtype(dtype).kind == "f":
        return record.bytes(field)
    try:
        return np.array(record.all(field), dtype=dtype).tobytes()
    except OverflowError as error:
        raise record.refuse(f"a number in '{field}' does not fit its type") from error


def _value(record: Record) -> OnnxValue:
    name, kind = record.one("name", ""), record.one("type")
    tensor: Any = None if kind is None else kind.one("tensor_type")
    if not name:
        raise record.refuse("a value has no name")
    if kind is not None and len(kind.found) > 1:
        raise record.refuse(f"value {name!r:.200} has several types")
    if tensor is None:
        return OnnxValue(name, 0, None)
    shape = tensor.one("shape")
    sizes = None if shape is None else tuple(_size(axis) for axis in shape.all("dim"))
    return OnnxValue(name, tensor.one("elem_type", 0), sizes)


def _size(axis: Record) -> int | None:
    value: int | None = axis.one("dim_value")
    if value is not None and (value < 0 or axis.has("dim_param")):
        raise axis.refuse("a size is negative, or both a number and a name")
    return value
