"""Models that the checker refuses to read, whatever the certificate says about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from protoproof.errors import ModelError, ProtoProofError
from tests.support.kernel.builders import bound_of
from tests.support.kernel.graphs import HERE, Change, constant, node, put, report_for
from tests.support.kernel.models import model_proto


def external(model: onnx.ModelProto) -> None:
    tensor = constant(model, "prototypes")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/dev/zero")
    tensor.ClearField("raw_data")


def external_and_raw(model: onnx.ModelProto) -> None:
    constant(model, "prototypes").external_data.add(key="location", value="weights.bin")


def short_raw(model: onnx.ModelProto) -> None:
    constant(model, "prototypes").raw_data = constant(model, "prototypes").raw_data[:-4]


def stored_twice(model: onnx.ModelProto) -> None:
    constant(model, "prototypes").float_data.extend([0.0] * HERE.tiny.prototypes.size)


def absurd_shape(model: onnx.ModelProto) -> None:
    constant(model, "head.weight").dims[:] = [1 << 40, 1 << 40]


def local_function(model: onnx.ModelProto) -> None:
    opset = [helper.make_opsetid("", 17)]
    body = [helper.make_node("Neg", ["a"], ["b"])]
    model.functions.append(helper.make_function("", "Log", ["a"], ["b"], body, opset))


def second_producer(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Neg", ["features"], ["latent"]))


def second_initializer(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(constant(model, "prototypes"))


def shadowed_initializer(model: onnx.ModelProto) -> None:
    model.graph.node.insert(0, helper.make_node("Neg", ["input"], ["prototypes"]))


def typed_short(model: onnx.ModelProto) -> None:
    tensor = constant(model, "prototypes")
    tensor.ClearField("raw_data")
    tensor.float_data.extend([0.5] * (HERE.tiny.prototypes.size + 1))


def axes_twice(model: onnx.ModelProto) -> None:
    """Raw bytes that say nothing readable, and beside them what the head needs."""
    tensor = constant(model, "axis1")
    tensor.raw_data = b"\1"
    tensor.int64_data.append(1)


def segment(model: onnx.ModelProto) -> None:
    constant(model, "prototypes").segment.begin = 0


def attribute_twice(model: onnx.ModelProto) -> None:
    node(model, "logits").attribute.append(helper.make_attribute("transB", 1))


REFUSED: dict[str, Change] = {
    "attribute twice": attribute_twice,
    "external data": external,
    "external data beside raw": external_and_raw,
    "NaN": lambda model: put(
        model, "prototypes", np.full((*HERE.tiny.prototypes.shape, 1, 1), np.nan, np.float32)
    ),
    "infinite weight": lambda model: put(
        model, "head.weight", np.full(HERE.tiny.weight.shape, np.inf, np.float32)
    ),
    "double": lambda model: put(model, "head.weight", HERE.tiny.weight.astype(np.float64)),
    "bytes missing": short_raw,
    "stored twice": stored_twice,
    "absurd shape": absurd_shape,
    "weight transposed": lambda model: put(model, "head.weight", HERE.tiny.weight.T.copy()),
    "no weight": lambda model: model.graph.initializer.remove(constant(model, "head.weight")),
    "local function": local_function,
    "second producer": second_producer,
    "second initializer": second_initializer,
    "shadowed initializer": shadowed_initializer,
    "old opset": lambda model: setattr(model.opset_import[0], "version", 12),
    "unknown opset": lambda model: setattr(model.opset_import[0], "version", 99),
    "two opsets": lambda model: model.opset_import.append(helper.make_opsetid("ai.onnx", 13)),
    "typed numbers missing": typed_short,
    "segment": segment,
}
REASONS = {
    "attribute twice": "written twice",
    "external data": "another file",
    "external data beside raw": "another file",
    "NaN": "NaN",
    "infinite weight": "NaN or infinity",
    "double": "float32 numbers and float64 ones in one operator",
    "bytes missing": "fill its shape",
    "stored twice": "fill its shape",
    "absurd shape": "has shape",
    "weight transposed": "times a matrix of shape",
    "no weight": "past the latent",
    "local function": "functions",
    "second producer": "two tensors",
    "second initializer": "two tensors",
    "shadowed initializer": "two tensors",
    "old opset": "opset",
    "unknown opset": "opset",
    "two opsets": "opset",
    "typed numbers missing": "fill its shape",
    "segment": "not supported",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_two_readers_could_read_differently_is_refused(name: str) -> None:
    model = model_proto(HERE.tiny)
    REFUSED[name](model)
    report = report_for(model)
    assert report.status == "rejected"
    assert report.obligations[1].passed is True
    assert report.obligations[2].passed is False
    assert REASONS[name] in report.obligations[2].detail


def test_axes_that_are_stored_twice_are_not_read() -> None:
    model = model_proto(HERE.tiny)
    axes_twice(model)
    assert report_for(model).status == "rejected"


def test_two_files_in_one_are_refused() -> None:
    with pytest.raises(ModelError):
        bound_of(HERE.data + HERE.data)


def test_models_that_cannot_be_read_are_one_line() -> None:
    for junk in (b"", b"\x08", b"PK\x03\x04", HERE.data[:200]):
        with pytest.raises(ProtoProofError) as caught:
            bound_of(junk)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [lambda props: props.clear(), lambda props: props.extend(props)])
def test_what_a_file_says_about_its_head_is_never_read(change: Callable[[Any], None]) -> None:
    model = model_proto(HERE.tiny)
    entries = [(entry.key, entry.value) for entry in model.metadata_props]
    change(entries)
    del model.metadata_props[:]
    for key, value in entries:
        model.metadata_props.add(key=key, value=value)
    assert report_for(model).accepted
