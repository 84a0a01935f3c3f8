"""Numbers that a file stores: tensors, attributes, and the values of Constant nodes.

What is read here has passed the screen, or is refused with the reason by :func:`tensor_problem` and
:func:`constant`.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from onnx import AttributeProto, NodeProto, TensorProto, helper

from protoproof.errors import ModelError, UnsupportedOperatorError
from protoproof.network.onnx.external import NO_FILES, Files, is_external, numbers
from protoproof.network.onnx.limits import Limits
from protoproof.network.onnx.node import Attribute, Constant, Node, printable

# which field holds the numbers of a type where they are not raw bytes; 16-bit floats as their bits
_FIELDS: dict[int, str] = {
    TensorProto.FLOAT: "float_data",
    TensorProto.DOUBLE: "double_data",
    TensorProto.INT64: "int64_data",
    TensorProto.UINT32: "uint64_data",
    TensorProto.UINT64: "uint64_data",
    TensorProto.INT32: "int32_data",
    TensorProto.INT16: "int32_data",
    TensorProto.INT8: "int32_data",
    TensorProto.UINT16: "int32_data",
    TensorProto.UINT8: "int32_data",
    TensorProto.BOOL: "int32_data",
    TensorProto.FLOAT16: "int32_data",
    TensorProto.BFLOAT16: "int32_data",
}
_BITS = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
_TYPED_DATA = (*sorted(set(_FIELDS.values())), "string_data")
# how a Constant node may hold its value besides a tensor: type, field, type of numbers
_CONSTANTS: dict[str, tuple[int, str, type[np.generic]]] = {
    "value_float": (AttributeProto.FLOAT, "f", np.float32),
    "value_floats": (AttributeProto.FLOATS, "floats", np.float32),
    "value_int": (AttributeProto.INT, "i", np.int64),
    "value_ints": (AttributeProto.INTS, "ints", np.int64),
}


@cache
def _dtype(data_type: int) -> np.dtype[Any]:
    return np.dtype(helper.tensor_dtype_to_np_dtype(data_type)).newbyteorder("<")


def stored_size(tensor: TensorProto) -> int:
    """Bytes that a tensor's dims need (0 for types and dims that are refused)."""
    if tensor.data_type not in _FIELDS or min(tensor.dims, default=0) < 0:
        return 0
    return int(math.prod(tensor.dims) * _dtype(tensor.data_type).itemsize)


def tensor_problem(tensor: TensorProto, limits: Limits, files: Files) -> str:
    """Why a stored tensor is refused, or "". Values are looked at last."""
    if tensor.data_type not in _FIELDS:
        known = tensor.data_type in TensorProto.DataType.values()
        kind = TensorProto.DataType.Name(tensor.data_type) if known else str(tensor.data_type)
        return f"number type {kind} is not supported; export float32 (int64 for shapes)"
    if tensor.HasField("segment"):
        return "segmented tensors are not supported; export the model again"
    if len(tensor.dims) > 16 or any(size < 0 for size in tensor.dims):
        return "a dimension is below 0, or there are more than 16; export the model again"
    if math.prod(tensor.dims) > limits.elements:
        return f"more than {limits.elements} numbers; use a smaller model"
    problem = _misfit(tensor, files)
    if problem:
        return problem
    try:
        values = tensor_values(tensor, files)
    except OverflowError:
        return "a number does not fit its type; export the model again"
    if tensor.data_type == TensorProto.BOOL and values.view(np.uint8).max(initial=0) > 1:
        return "a truth value is neither 0 nor 1; export the model again"
    if values.dtype.kind not in "iub" and np.isnan(values).any():
        return "a weight is NaN; train or export the model again"
    return ""


def infinite(tensor: TensorProto, files: Files) -> str:
    """Why a tensor that is no mask is refused, or ""."""
    values = tensor_values(tensor, files)
    if values.dtype.kind in "iub" or np.isfinite(values).all():
        return ""
    return "a weight is infinite; train or export the model again"


def _misfit(tensor: TensorProto, files: Files) -> str:
    """Whether the numbers are stored once, where their type has them, as many as the dims need."""
    count, field = math.prod(tensor.dims), _FIELDS[tensor.data_type]
    stored = [name for name in _TYPED_DATA if len(getattr(tensor, name))]
    raw = tensor.HasField("raw_data")
    if is_external(tensor):
        if stored or raw:
            return "its data are in the file and in another one; export the model again"
        try:
            numbers(tensor, _dtype(tensor.data_type).itemsize, files)
        except ModelError as error:
            return str(error)
        return ""
    fits = stored == [field] and len(getattr(tensor, field)) == count
    if raw:
        fits = not stored and len(tensor.raw_data) == stored_size(tensor)
    elif not count:
        fits = not stored
    return "" if fits else f"its data does not fit dims {list(tensor.dims)}; export the model again"


def tensor_values(tensor: TensorProto, files: Files = NO_FILES) -> Constant:
    """The numbers of a screened tensor, as a read-only array of its dims."""
    dtype = _dtype(tensor.data_type)
    if is_external(tensor):
        values = np.frombuffer(numbers(tensor, dtype.itemsize, files), dtype=dtype)
    elif tensor.HasField("raw_data"):
        values = np.frombuffer(tensor.raw_data, dtype=dtype)
    elif tensor.data_type in _BITS:
        bits = np.array(getattr(tensor, _FIELDS[tensor.data_type]), dtype="<u2")
        values = bits.view(dtype)
    else:
        values = np.array(getattr(tensor, _FIELDS[tensor.data_type]), dtype=dtype)
    values = values.reshape(tuple(tensor.dims))
    values.setflags(write=False)
    return values


def attribute_value(attribute: AttributeProto) -> Attribute | None:
    """An attribute as a plain value; None for a kind that is not supported."""
    kind = attribute.type
    if kind == AttributeProto.INT:
        return int(attribute.i)
    if kind == AttributeProto.FLOAT:
        return float(attribute.f)
    if kind == AttributeProto.STRING:
        return attribute.s.decode("utf-8", "replace")
    if kind == AttributeProto.INTS:
        return tuple(int(value) for value in attribute.ints)
    if kind == AttributeProto.FLOATS:
        return tuple(float(value) for value in attribute.floats)
    if kind == AttributeProto.STRINGS:
        return tuple(value.decode("utf-8", "replace") for value in attribute.strings)
    return tensor_values(attribute.t) if kind == AttributeProto.TENSOR else None


def constant(proto: NodeProto, opset: int) -> Constant:
    """The value of a Constant node.

    Raises:
        UnsupportedOperatorError: it is not one value of numbers.
    """
    attributes = {attribute.name: attribute for attribute in proto.attribute}
    node = Node(printable(proto.name), "Constant", opset, (), printable(proto.output[0]))
    if len(attributes) == 1 and not proto.input and len(proto.output) == 1:
        name, attribute = next(iter(attributes.items()))
        if name == "value" and attribute.type == AttributeProto.TENSOR:
            return tensor_values(attribute.t)
        typed = _CONSTANTS.get(name)
        if typed is not None and attribute.type == typed[0]:
            values = np.array(getattr(attribute, typed[1]), dtype=typed[2])
            values.setflags(write=False)
            if not np.isnan(values).any():
                return values
    raise UnsupportedOperatorError(f"{node.where}: only a value of numbers is supported")
