"""Changes to tiny models, and the check of an honest certificate about a changed model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
from onnx import numpy_helper

from protoproof.kernel import CheckReport, check
from tests.support.kernel.builders import file, scene, topk_core
from tests.support.kernel.models import sha256

HERE = scene(2, grid=(2, 2), bias=None)
Change = Callable[[onnx.ModelProto], None]


def node(model: onnx.ModelProto, output: str) -> onnx.NodeProto:
    return next(n for n in model.graph.node if output in n.output)


def constant(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(t for t in model.graph.initializer if t.name == name)


def put(model: onnx.ModelProto, name: str, values: Any) -> None:
    constant(model, name).CopyFrom(numpy_helper.from_array(values, name))


def report_for(proto: onnx.ModelProto, **model: Any) -> CheckReport:
    """Check an honest certificate of HERE that is about ``proto``."""
    data = proto.SerializeToString()
    content = topk_core(HERE)
    identity = content.model.model_copy(update={"sha256": sha256(data), **model})
    certificate = file(content.model_copy(update={"model": identity}))
    return check(certificate, data)


def unstated_grid(model: onnx.ModelProto) -> None:
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")


def swap(output: str) -> Change:
    """Reverse the inputs of the node behind a tensor."""

    def change(model: onnx.ModelProto) -> None:
        n = node(model, output)
        n.input[:] = list(n.input)[::-1]

    return change
