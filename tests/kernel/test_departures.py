"""Heads that the checker does not recognise: every departure is seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.support.kernel.graphs import HERE, Change, constant, node, put, report_for, swap
from tests.support.kernel.models import model_proto


def attribute(output: str, **values: Any) -> Change:
    def change(model: onnx.ModelProto) -> None:
        n = node(model, output)
        for key, value in values.items():
            for old in [a for a in n.attribute if a.name == key]:
                n.attribute.remove(old)
            n.attribute.append(helper.make_attribute(key, value))

    return change


def operator(output: str, kind: str) -> Change:
    return lambda model: setattr(node(model, output), "op_type", kind)


def stored(name: str, values: Any, dtype: Any = np.float32) -> Change:
    return lambda model: put(model, name, np.asarray(values, dtype=dtype))


def another_input(output: str, position: int, name: str) -> Change:
    return lambda model: node(model, output).input.__setitem__(position, name)


def other_prototypes_in_the_norm(model: onnx.ModelProto) -> None:
    other = numpy_helper.to_array(constant(model, "prototypes")) + np.float32(0.5)
    model.graph.initializer.append(numpy_helper.from_array(other, "others"))
    node(model, "p_squared").input[:] = ["others", "others"]


def insert_before(output: str, position: int, kind: str, **attributes: Any) -> Change:
    def change(model: onnx.ModelProto) -> None:
        n = node(model, output)
        model.graph.node.insert(
            list(model.graph.node).index(n),
            helper.make_node(kind, [n.input[position]], ["inserted"], **attributes),
        )
        n.input[position] = "inserted"

    return change


def conv_bias(model: onnx.ModelProto) -> None:
    count = len(HERE.tiny.prototypes)
    model.graph.initializer.append(
        numpy_helper.from_array(np.full(count, 0.5, np.float32), "shift")
    )
    node(model, "z_dot_p").input.append("shift")


def gemm_bias(model: onnx.ModelProto) -> None:
    classes = len(HERE.tiny.weight)
    values = np.arange(classes, dtype=np.float32)
    model.graph.initializer.append(numpy_helper.from_array(values, "extra"))
    node(model, "logits").input.append("extra")


def logits_elsewhere(model: onnx.ModelProto) -> None:
    """The described logits exist, but the network's output is another tensor."""
    model.graph.output[0].name = "published"
    model.graph.node.append(helper.make_node("Neg", ["logits"], ["published"]))


def logits_second(model: onnx.ModelProto) -> None:
    """Whoever takes the arg-max of the first output takes that of another tensor."""
    outputs = list(model.graph.output)
    del model.graph.output[:]
    model.graph.output.extend([outputs[1], outputs[0], *outputs[2:]])


def annotated_grid(model: onnx.ModelProto) -> None:
    shape = ["N", HERE.tiny.prototypes.shape[1], 1, 5]
    value = helper.make_tensor_value_info("latent", onnx.TensorProto.FLOAT, shape)
    model.graph.value_info.append(value)


def stated_grid(model: onnx.ModelProto) -> None:
    latent = next(value for value in model.graph.output if value.name == "latent")
    latent.type.tensor_type.shape.dim[3].dim_value = 5


DEPARTURES: dict[str, Change] = {
    "alpha": attribute("logits", alpha=2.0),
    "beta without bias": attribute("logits", beta=0.5),
    "transA": attribute("logits", transA=1),
    "unknown attribute": attribute("logits", magic=1),
    "attribute of another type": attribute("logits", transB=[1]),
    "attribute of another type, same value": attribute("logits", transB=1.0),
    "float written as integer": attribute("logits", alpha=1),
    "hidden bias": gemm_bias,
    "convolution with bias": conv_bias,
    "convolution with stride": attribute("z_dot_p", strides=[2, 2]),
    "convolution with padding": attribute("z_dot_p", pads=[1, 1, 1, 1]),
    "convolution in groups": attribute("z_dot_p", group=2),
    "pool over less": attribute("largest", kernel_shape=[1, 2]),
    "pool with stride": attribute("largest", strides=[2, 2]),
    "pool with padding": attribute("largest", pads=[1, 1, 0, 0]),
    "average pool": operator("largest", "AveragePool"),
    "flatten elsewhere": attribute("nearest", axis=2),
    "sum over other axes": stored("axis1", [2], np.int64),
    "sum without keepdims": attribute("z_norm", keepdims=0),
    "transposed otherwise": attribute("p_norm", perm=[0, 1, 2, 3]),
    "two": stored("two", 1.9999999),
    "two as a tensor of rank 4": stored("two", [[[[2.0]]]]),
    "one": stored("one", 1.0000001),
    "epsilon": stored("constant", 1.01e-4),
    "Sub for Add": operator("expanded", "Sub"),
    "Sub swapped": swap("difference"),
    "Div swapped": swap("ratio"),
    "no Relu": operator("measurement", "Identity"),
    "Abs for Relu": operator("measurement", "Abs"),
    "Sigmoid on top": insert_before("logits", 0, "Sigmoid"),
    "Relu in between": insert_before("z_dot_p", 0, "Relu"),
    "wrong square": another_input("z_squared", 1, "features"),
    "other latent in the product": another_input("z_dot_p", 0, "features"),
    "other prototypes in the norm": other_prototypes_in_the_norm,
    "foreign domain": lambda model: setattr(node(model, "activation"), "domain", "custom"),
    "logits are not published": logits_elsewhere,
    "logits are not the first output": logits_second,
    "annotated with another grid": annotated_grid,
    "another grid": stated_grid,
}


@pytest.mark.parametrize("name", DEPARTURES)
def test_departures_are_not_recognised(name: str) -> None:
    model = model_proto(HERE.tiny)
    DEPARTURES[name](model)
    report = report_for(model)
    assert report.status == "rejected"
    assert "no head that the checker knows" in report.obligations[2].detail


def test_a_reduction_is_not_recognised() -> None:
    """It would take a grid of any size, and what a file states about shapes may be a lie."""
    report = report_for(model_proto(HERE.tiny.but(pool="reduce_min")))
    assert report.status == "rejected"
    assert "no head that the checker knows" in report.obligations[2].detail


def test_direct_distances_need_a_producer_that_fixes_the_channels() -> None:
    """A latent of one channel would broadcast against prototypes of several."""
    model = model_proto(HERE.tiny.but(distance="direct"))
    kernel = next(tensor for tensor in model.graph.initializer if tensor.name == "kernel")
    narrow = numpy_helper.to_array(kernel)[:1]
    kernel.CopyFrom(numpy_helper.from_array(narrow, "kernel"))
    report = report_for(model)
    assert report.status == "rejected"
    assert "not fixed by its producer" in report.obligations[2].detail
