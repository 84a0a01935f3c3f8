"""Files that the checker's reader refuses: what it does not know, and what has two readings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from protoproof.errors import ModelError
from protoproof.kernel.model.graph import Graph
from protoproof.kernel.model.onnx_reader import read_onnx
from tests.support.kernel.models import model_proto
from tests.support.kernel.onnx_dump import TINY, agree, with_attribute
from tests.support.kernel.wire import LENGTH, put, tamper

Change = Callable[[onnx.ModelProto], None]


PAYLOADS: dict[str, Any] = {
    "f": 2.0, "i": 3, "s": b"x", "t": numpy_helper.from_array(np.zeros(2, np.float32)),
    "floats": [2.0], "ints": [3], "strings": [b"x"],
    "g": onnx.GraphProto(name="inner"), "graphs": [onnx.GraphProto(name="inner")],
    "tensors": [numpy_helper.from_array(np.zeros(2, np.float32))],
    "sparse_tensor": onnx.SparseTensorProto(dims=[2]),
    "sparse_tensors": [onnx.SparseTensorProto(dims=[2])],
    "tp": onnx.TypeProto(denotation="x"), "type_protos": [onnx.TypeProto(denotation="x")],
    "ref_attr_name": "outer",
}  # fmt: skip
KINDS = {
    "f": "FLOAT", "i": "INT", "s": "STRING", "t": "TENSOR", "floats": "FLOATS", "ints": "INTS",
    "strings": "STRINGS", "g": "GRAPH", "graphs": "GRAPHS", "tensors": "TENSORS",
    "sparse_tensor": "SPARSE_TENSOR", "sparse_tensors": "SPARSE_TENSORS", "tp": "TYPE_PROTO",
    "type_protos": "TYPE_PROTOS",
}  # fmt: skip
READ = ("f", "i", "s", "t", "floats", "ints", "strings")


@pytest.mark.parametrize("declared", KINDS)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_is_the_one_that_the_type_says(declared: str, payload: str) -> None:
    kind = AttributeProto.AttributeType.Value(KINDS[declared])
    attribute = AttributeProto(name="x", type=kind, **{payload: PAYLOADS[payload]})
    data = with_attribute(attribute).SerializeToString()
    if declared == payload and payload in READ:
        agree(data)
        return
    with pytest.raises(ModelError, match="attribute"):
        read_onnx(data)


@pytest.mark.parametrize(("first", "second"), [(a, b) for a in READ for b in PAYLOADS if a != b])
def test_there_is_no_second_payload(first: str, second: str) -> None:
    kind = AttributeProto.AttributeType.Value(KINDS[first])
    both = {first: PAYLOADS[first], second: PAYLOADS[second]}
    with pytest.raises(ModelError, match="attribute"):
        read_onnx(with_attribute(AttributeProto(name="x", type=kind, **both)).SerializeToString())


@pytest.mark.parametrize("first", ["f", "i", "s", "t"])
def test_there_is_a_payload(first: str) -> None:
    kind = AttributeProto.AttributeType.Value(KINDS[first])
    with pytest.raises(ModelError, match="attribute"):
        read_onnx(with_attribute(AttributeProto(name="x", type=kind)).SerializeToString())


def tensor(**fields: Any) -> Change:
    """An initializer more: two float32 numbers with some fields set otherwise."""

    def change(model: onnx.ModelProto) -> None:
        content: dict[str, Any] = {"name": "more", "dims": [2], "data_type": 1} | fields
        model.graph.initializer.append(TensorProto(**content))

    return change


def value_type(**kinds: Any) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.graph.value_info.add(name="latent").type.CopyFrom(onnx.TypeProto(**kinds))

    return change


def sparse(model: onnx.ModelProto) -> None:
    entry = model.graph.sparse_initializer.add(dims=[2])
    entry.values.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), "more"))


RAW = np.ones(2, np.float32).tobytes()
EXTERNAL = onnx.StringStringEntryProto(key="location", value="weights.bin")
REFUSED: dict[str, tuple[Change, str]] = {
    "no payload": (tensor(), "fill"),
    "raw and typed": (tensor(raw_data=RAW, float_data=[1, 1]), "fill"),
    "typed twice": (tensor(float_data=[1, 1], int64_data=[1, 1]), "fill"),
    "integers as floats": (tensor(int64_data=[1, 1]), "fill"),
    "floats as integers": (tensor(data_type=7, float_data=[1, 1]), "fill"),
    "empty raw": (tensor(raw_data=b""), "fill"),
    "one number less": (tensor(float_data=[1]), "fill"),
    "one number more": (tensor(float_data=[1, 1, 1]), "fill"),
    "one byte less": (tensor(raw_data=RAW[:-1]), "fill"),
    "one byte more": (tensor(raw_data=RAW + b"\0"), "fill"),
    "numbers without a place": (tensor(dims=[0], float_data=[1]), "fill"),
    "negative size": (tensor(dims=[-2], raw_data=RAW), "shape"),
    "two negative sizes": (tensor(dims=[-1, -2], raw_data=RAW), "shape"),
    "huge sizes": (tensor(dims=[1 << 40, 1 << 40], raw_data=RAW), "fill"),
    "too many axes": (tensor(dims=[1] * 64 + [2], raw_data=RAW), "shape"),
    "no type": (tensor(data_type=0, raw_data=RAW), "number type"),
    "unknown type": (tensor(data_type=99, raw_data=RAW), "number type"),
    "complex": (tensor(data_type=14, float_data=[1] * 4), "number type"),
    "four bits": (tensor(data_type=22, raw_data=b"\1"), "number type"),
    "text": (tensor(data_type=8, string_data=[b"a", b"b"]), "text"),
    "text beside numbers": (tensor(raw_data=RAW, string_data=[b"a"]), "text"),
    "external": (tensor(data_location=1, raw_data=RAW), "another file"),
    "external entry": (tensor(external_data=[EXTERNAL], raw_data=RAW), "another file"),
    "segment": (tensor(segment=TensorProto.Segment(begin=0), raw_data=RAW), "segments"),
    "byte too large": (tensor(data_type=2, int32_data=[1, 256]), "does not fit"),
    "byte too small": (tensor(data_type=3, int32_data=[1, -129]), "does not fit"),
    "half too large": (tensor(data_type=10, int32_data=[1, 1 << 16]), "does not fit"),
    "word too large": (tensor(data_type=12, uint64_data=[1, 1 << 32]), "does not fit"),
    "neither true nor false": (tensor(data_type=9, int32_data=[1, 2]), "neither true"),
    "neither, raw": (tensor(data_type=9, raw_data=b"\0\7"), "neither true"),
    "called function": (
        lambda model: model.functions.add(name=model.graph.node[0].op_type) and None,
        "functions",
    ),
    "called function of ONNX's other name": (
        lambda model: model.functions.add(name=model.graph.node[0].op_type, domain="ai.onnx")
        and None,
        "functions",
    ),
    "training": (lambda model: model.training_info.add() and None, "training"),
    "devices": (lambda model: model.configuration.add(name="d") and None, "devices"),
    "node on devices": (
        lambda model: model.graph.node[0].device_configurations.add() and None,
        "devices",
    ),
    "sparse weights": (sparse, "sparse"),
    "overload": (lambda model: setattr(model.graph.node[0], "overload", "x"), "several"),
    "no operator": (lambda model: model.graph.node[0].ClearField("op_type"), "no kind"),
    "attribute twice": (
        lambda model: model.graph.node[0].attribute.append(model.graph.node[0].attribute[0]),
        "written twice",
    ),
    "attribute without name": (
        lambda model: model.graph.node[0].attribute[0].ClearField("name"),
        "no name",
    ),
    "attribute without type": (
        lambda model: model.graph.node[0].attribute[0].ClearField("type"),
        "unknown type",
    ),
    "value without name": (lambda model: model.graph.input[0].ClearField("name"), "no name"),
    "negative stated size": (
        lambda model: setattr(
            model.graph.input[0].type.tensor_type.shape.dim[1], "dim_value", -1
        ),
        "negative",
    ),
    "no graph": (lambda model: model.ClearField("graph"), "not an ONNX file"),
    "no version": (lambda model: model.ClearField("ir_version"), "not an ONNX file"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.trust(43)
def test_refused(name: str) -> None:
    change, problem = REFUSED[name]
    model = model_proto(TINY)
    change(model)
    with pytest.raises(ModelError, match=problem):
        read_onnx(model.SerializeToString())


def two_types() -> bytes:
    """A type is one of several; a reader that takes the last would see another than the first."""
    model = model_proto(TINY)
    model.graph.value_info.add(name="latent").type.tensor_type.elem_type = 1
    found = model.graph.value_info[0].type.SerializeToString()
    sequence = onnx.TypeProto(sequence_type=onnx.TypeProto.Sequence()).SerializeToString()
    field = put(1, LENGTH, b"latent") + put(2, LENGTH, found + sequence)
    del model.graph.value_info[:]
    return tamper(model.SerializeToString(), [7], put(13, LENGTH, field))


def test_a_value_has_one_type() -> None:
    with pytest.raises(ModelError, match="several types"):
        read_onnx(two_types())


# Nothing that the network computes depends on these.
READ_OVER: dict[str, Change] = {
    "sequence": value_type(sequence_type=onnx.TypeProto.Sequence()),
    "map": value_type(map_type=onnx.TypeProto.Map(key_type=1)),
    "optional": value_type(optional_type=onnx.TypeProto.Optional()),
    "sparse value": value_type(sparse_tensor_type=onnx.TypeProto.SparseTensor()),
    "quantized": lambda model: (
        model.graph.quantization_annotation.add(tensor_name="latent") and None
    ),
    "function": lambda model: model.functions.add(name="f", domain="mine") and None,
    "function of another domain": lambda model: (
        model.functions.add(name=model.graph.node[0].op_type, domain="mine") and None
    ),
}


@pytest.mark.parametrize("name", READ_OVER)
def test_read_over(name: str) -> None:
    model = model_proto(TINY)
    READ_OVER[name](model)
    found, plain = read_onnx(model.SerializeToString()), read_onnx(TINY.data)
    assert found.nodes == plain.nodes
    assert found.outputs == plain.outputs
    stated = [value for value in found.annotations if value not in plain.annotations]
    assert all((value.elem_type, value.shape) == (0, None) for value in stated)


def value(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 1])


ONE_ORIGIN: dict[str, Change] = {
    "two weights": lambda model: model.graph.initializer.append(model.graph.initializer[0]),
    "two inputs": lambda model: model.graph.input.append(value("input")),
    "two outputs": lambda model: model.graph.output.append(value("logits")),
    "two annotations": lambda model: model.graph.value_info.extend([value("x"), value("x")]),
    "two producers": lambda model: model.graph.node.append(
        helper.make_node("Neg", ["features"], ["latent"])
    ),
    "two outputs of a node": lambda model: model.graph.node.append(
        helper.make_node("Split", ["features"], ["twin", "twin"])
    ),
    "weight and computed": lambda model: model.graph.node.append(
        helper.make_node("Neg", ["features"], ["two"])
    ),
    "weight, input and computed": lambda model: (
        model.graph.input.append(value("two")),
        model.graph.node.append(helper.make_node("Neg", ["features"], ["two"])),
    )[0],
    "input and computed": lambda model: model.graph.node.append(
        helper.make_node("Neg", ["features"], ["input"])
    ),
    "weight and Constant": lambda model: model.graph.node.append(
        helper.make_node("Constant", [], ["two"], value_float=3.0)
    ),
    "nameless weight": lambda model: model.graph.initializer.append(
        numpy_helper.from_array(np.ones(1, np.float32), "")
    ),
}


@pytest.mark.parametrize("name", ONE_ORIGIN)
def test_every_tensor_has_one_origin(name: str) -> None:
    model = model_proto(TINY)
    ONE_ORIGIN[name](model)
    with pytest.raises(ModelError, match="of one name"):
        Graph(model.SerializeToString())
