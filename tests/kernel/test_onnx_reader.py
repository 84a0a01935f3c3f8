"""The checker's own reader against the onnx package: the same content, or a refusal."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from protoproof.errors import ModelError
from protoproof.kernel.model.onnx_reader import read_onnx
from protoproof.resources import ZOO, zoo_path
from tests.support.kernel.models import model_proto
from tests.support.kernel.onnx_dump import TINY, agree, from_onnx, from_ours, with_attribute
from tests.support.kernel.wire import FIXED32, FIXED64, LENGTH, VARINT, put, tamper, varint
from tests.support.network.builders import DISTANCES, POOLINGS, SIMILARITIES, draft
from tests.support.network.cases import CASES


@pytest.mark.parametrize(
    "name",
    ZOO,
)
def test_the_zoo(name: str) -> None:
    agree(zoo_path(name).read_bytes())


@pytest.mark.parametrize("distance", ["expanded", "direct"])
@pytest.mark.parametrize("similarity", ["log_ratio", "exponential", "negated", "reciprocal"])
def test_tiny_heads(distance: str, similarity: str) -> None:
    agree(TINY.but(distance=distance, similarity=similarity).data)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_drafts(similarity: str, pooling: str, distance: str) -> None:
    agree(draft(similarity, pooling, distance).build().SerializeToString())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
def test_every_operator_of_the_table(case: Any) -> None:
    for opset in case.opsets:
        agree(case.model(opset).SerializeToString())


TYPES = [
    TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16,
    TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64,
    TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64,
    TensorProto.BOOL,
]  # fmt: skip


def with_tensor(tensor: TensorProto) -> bytes:
    model = model_proto(TINY)
    model.graph.initializer.append(tensor)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("kind", TYPES, ids=TensorProto.DataType.Name)
@pytest.mark.parametrize("raw", [False, True])
def test_tensors_of_every_type(kind: int, raw: bool) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    values = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    if kind in (TensorProto.FLOAT, TensorProto.INT8, TensorProto.INT32, TensorProto.INT64):
        values = (values * np.array(-3).astype(dtype)).astype(dtype)
    content: Any = values.tobytes() if raw else values.ravel()
    tensor = helper.make_tensor("more", kind, values.shape, content, raw=raw)
    found = read_onnx(with_tensor(tensor)).initializers[-1]
    assert bytes(found.data) == values.tobytes()
    agree(with_tensor(tensor))


@pytest.mark.parametrize("raw", [False, True])
def test_tensors_without_numbers(raw: bool) -> None:
    agree(with_tensor(helper.make_tensor("more", 1, [0, 3], b"" if raw else [], raw=raw)))


def test_numbers_that_are_not_packed() -> None:
    """Legal protobuf, which other writers use."""
    values = np.array([1.5, -2.0], dtype="<f4").tobytes()
    tensor = b"".join(put(4, FIXED32, values[i : i + 4]) for i in (0, 4))
    tensor += put(1, LENGTH, varint(2)) + put(2, VARINT, varint(1)) + put(8, LENGTH, b"more")
    data = tamper(TINY.data, [7], put(5, LENGTH, tensor))
    assert bytes(read_onnx(data).initializers[-1].data) == values
    agree(data)


ATTRIBUTES: dict[str, Any] = {
    "f": 1.5, "i": -(1 << 62), "s": "text", "floats": [1.5, -0.0], "ints": [1, -2],
    "strings": ["a"],
    "t": numpy_helper.from_array(np.arange(3, dtype=np.float32), "inner"), "zero": 0, "none": 0.0,
    "subnormal": 1e-42,
}  # fmt: skip


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attributes(name: str) -> None:
    agree(with_attribute(helper.make_attribute(name, ATTRIBUTES[name])).SerializeToString())


@pytest.mark.parametrize("kind", [AttributeProto.INTS, AttributeProto.FLOATS])
def test_empty_lists(kind: Any) -> None:
    empty = AttributeProto(name="empty", type=kind)
    assert read_onnx(with_attribute(empty).SerializeToString()).nodes[0].attribute[-1].value == ()


# one message of every kind, by the field numbers that lead to it
MESSAGES = {
    "model": [],
    "opset": [8],
    "metadata": [14],
    "graph": [7],
    "node": [7, 1],
    "attribute": [7, 1, 5],
    "initializer": [7, 5],
    "value": [7, 11],
    "type": [7, 11, 2],
    "tensor type": [7, 11, 2, 1],
    "shape": [7, 11, 2, 1, 2],
    "dimension": [7, 11, 2, 1, 2, 1],
}


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x08\x01"], ids=["none", "one", "two"])
@pytest.mark.trust(43)
def test_a_field_more_is_refused_or_read_by_both(message: str, payload: bytes) -> None:
    """Every field number, known or not, with every wire type, behind a message of every kind."""
    refused = 0
    for number in range(40):
        for wire, content in (
            (VARINT, payload or b"\0"),
            (LENGTH, payload),
            (FIXED32, b"\0\0\x80\x3f"),
            (FIXED64, b"\0" * 8),
        ):
            data = tamper(TINY.data, MESSAGES[message], put(number, wire, content))
            try:
                ours = read_onnx(data)
            except ModelError:
                refused += 1
            else:
                assert from_ours(ours) == from_onnx(onnx.load_model_from_string(data))
    assert refused > 100


def test_size_and_name_of_an_axis() -> None:
    model = model_proto(TINY)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    data = tamper(model.SerializeToString(), MESSAGES["dimension"], put(2, LENGTH, b"N"))
    with pytest.raises(ModelError, match="both a number and a name"):
        read_onnx(data)


SMALL = TINY.but(similarity="negated").data
Edit = tuple[str, int, int]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["set", "flip", "insert", "delete", "repeat", "cut"]),
        st.integers(0, len(SMALL) - 1),
        st.integers(0, 255),
    ),
    min_size=1,
    max_size=3,
)


def edited(data: bytes, edits: list[Edit]) -> bytes:
    for kind, place, number in edits:
        at = place % max(1, len(data))
        if kind == "set":
            data = data[:at] + bytes([number]) + data[at + 1 :]
        elif kind == "flip" and data:
            data = data[:at] + bytes([data[at] ^ (1 << number % 8)]) + data[at + 1 :]
        elif kind == "insert":
            data = data[:at] + bytes([number]) + data[at:]
        elif kind == "delete":
            data = data[:at] + data[at + 1 :]
        elif kind == "repeat":
            data = data[: at + number] + data[at:]
        else:
            data = data[: len(data) - number % 4]
    return data


@settings(max_examples=1500)
@given(EDITS)
def test_changed_bytes_are_refused_or_read_by_both(edits: list[Edit]) -> None:
    data = edited(SMALL, edits)
    try:
        ours = read_onnx(data)
    except ModelError as error:
        assert "\n" not in str(error)  # noqa: PT017  # refused, in one line
        return
    assert from_ours(ours) == from_onnx(onnx.load_model_from_string(data))
