"""Certificates at level F, and graphs that compute the same another way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper, numpy_helper

from protoproof.certificate.schema import Core
from protoproof.kernel import ModelFile
from protoproof.kernel.budget import Budget
from protoproof.kernel.float32.budget import rounding
from tests.support.kernel.builders import Scene, topk_core


def at_f(here: Scene, data: bytes | None = None) -> Core:
    """An honest certificate, with the execution that the checker derives."""
    content = topk_core(here)
    model = ModelFile(here.data if data is None else data)
    with Budget().active():
        found = rounding(model.bound(content.model.latent, content.model.output))
    identity = content.model.model_copy(update={"sha256": model.sha256})
    update = {"level": "F", "execution": found.execution, "model": identity}
    return content.model_copy(update=update)


def changed(here: Scene, change: Callable[[onnx.ModelProto], None]) -> bytes:
    """The model file of a scene, changed."""
    model = onnx.load_from_string(here.data)
    change(model)
    return model.SerializeToString()


def cancelling(size: float) -> Callable[[onnx.ModelProto], None]:
    """(q + c) - c in place of the nearest distances: the same over the reals."""

    def change(model: onnx.ModelProto) -> None:
        nodes = list(model.graph.node)
        place = next(k for k, n in enumerate(nodes) if n.op_type == "Div")
        sources = {name for n in nodes[place - 2 : place] for name in n.input}
        made = {name for n in nodes for name in n.output}
        (nearest,) = sources & made
        number = numpy_helper.from_array(np.float32(size).reshape(()), "large")
        model.graph.initializer.append(number)
        more = [
            helper.make_node("Add", [nearest, "large"], ["raised"]),
            helper.make_node("Sub", ["raised", "large"], ["lowered"]),
        ]
        for node in nodes[place - 2 : place]:
            node.input[:] = ["lowered" if name == nearest else name for name in node.input]
        del model.graph.node[:]
        model.graph.node.extend([*nodes[: place - 2], *more, *nodes[place - 2 :]])

    return change
