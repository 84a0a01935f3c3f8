"""A small network that tests of single operators change: distances at four places, two classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from protoproof.kernel import ModelFile
from protoproof.kernel.model.file import BoundHead

FLOAT = TensorProto.FLOAT
PROTOTYPES = np.arange(12, dtype=np.float32).reshape(3, 4) / 8
WEIGHT = np.array([[300, 0], [0, 7], [0, 5]], np.float32)
Change = Callable[[dict[str, np.ndarray], list[object]], None]


def network(change: Change | None = None, published: str = "y") -> ModelProto:
    """Squared distances at four places, their least, negated; ``change`` makes the weight W."""
    stored = {"p": PROTOTYPES.reshape(3, 4, 1, 1), "W": WEIGHT, "minus": np.array(-1, np.float32)}
    stored["ones"] = np.ones((3, 4, 1, 1), np.float32)
    stored["norms"] = (PROTOTYPES**2).sum(axis=1).reshape(3, 1, 1)
    stored["two"] = np.array(-2, np.float32)
    stored["places"] = np.array([2, 3])
    nodes: list[object] = [
        helper.make_node("Identity", ["x"], ["z"]),
        helper.make_node("Mul", ["z", "z"], ["zz"]),
        helper.make_node("Conv", ["zz", "ones"], ["own"]),
        helper.make_node("Conv", ["z", "p"], ["zp"]),
        helper.make_node("Mul", ["zp", "two"], ["cross"]),
        helper.make_node("Add", ["own", "cross"], ["part"]),
        helper.make_node("Add", ["part", "norms"], ["q"]),
        helper.make_node("ReduceMin", ["q", "places"], ["t"], keepdims=0),
        helper.make_node("Mul", ["t", "minus"], ["s"]),
    ]
    if change is not None:
        change(stored, nodes)
    taken = "taken" if any("taken" in node.output for node in nodes) else "s"  # type: ignore[attr-defined]
    nodes.append(helper.make_node("MatMul", [taken, "W"], ["y"]))
    if published != "y":
        nodes.append(helper.make_node("Softmax", ["y"], [published], axis=0))
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", FLOAT, [1, 4, 2, 2])],
        [helper.make_tensor_value_info(published, FLOAT, [1, 2])],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def bound(model: ModelProto) -> BoundHead:
    """The head as the checker reads it."""
    return ModelFile(model.SerializeToString()).bound(("z",), "y")
