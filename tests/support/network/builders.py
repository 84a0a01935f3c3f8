"""Small models for tests: valid ones in several spellings, and parts to break them with.

``draft()`` gives the parts of a tiny valid prototype network: 1 x 6 x 6 images, a 2 x 2 grid of 3
channels, 4 prototypes, 2 classes. Tests change parts and call ``build``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

CHANNELS, PROTOTYPES, CLASSES, GRID = 3, 4, 2, (2, 2)
EPSILON = 1e-4
SIMILARITIES: dict[str, dict[str, float]] = {
    "log_ratio": {"epsilon": EPSILON},
    "exponential": {"temperature": 0.75},
    "negated": {},
    "reciprocal": {},
}
POOLINGS = ("max_pool", "reduce_min")
DISTANCES = ("expanded", "direct", "direct_relu")


@dataclass
class Draft:
    """The parts of a model; ``description`` None leaves the metadata out."""

    nodes: list[onnx.NodeProto]
    weights: dict[str, NDArray[Any]]
    outputs: dict[str, tuple[int, ...]]
    description: dict[str, Any] | None
    opset: int = 17
    batch: str | int = "N"
    image: tuple[int, ...] = (1, 6, 6)
    extra: list[Callable[[onnx.ModelProto], None]] = field(default_factory=list)

    def node(self, output: str) -> onnx.NodeProto:
        """The node that makes a tensor."""
        return next(node for node in self.nodes if output in node.output)

    def replace(self, output: str, *nodes: onnx.NodeProto) -> None:
        """Put other nodes in the place of the one that makes ``output``."""
        index = self.nodes.index(self.node(output))
        self.nodes[index : index + 1] = nodes

    def rename(self, old: str, new: str) -> None:
        """Another name for a tensor, in nodes and weights (not in the description)."""
        for node in self.nodes:
            if node.output[0] == old:
                node.name = f"{new}.node"
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    if name == old:
                        names[index] = new
        if old in self.weights:
            self.weights[new] = self.weights.pop(old)

    def build(self) -> onnx.ModelProto:
        """The model."""
        graph = helper.make_graph(
            self.nodes,
            "tiny",
            [_value("input", (self.batch, *self.image))],
            [_value(name, (self.batch, *shape)) for name, shape in self.outputs.items()],
            [numpy_helper.from_array(value, name) for name, value in self.weights.items()],
        )
        model = helper.make_model(
            graph, ir_version=9, opset_imports=[helper.make_opsetid("", self.opset)]
        )
        if self.description is not None:
            helper.set_model_props(model, {"protoproof": json.dumps(self.description)})
        for change in self.extra:
            change(model)
        return model

    def save(self, folder: Path, name: str = "tiny.onnx") -> Path:
        """Write the model to a file."""
        path = folder / name
        path.write_bytes(self.build().SerializeToString())
        return path


def _value(name: str, shape: tuple[int | str, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def node(op: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
    """A named node."""
    return helper.make_node(op, inputs, [output], name=f"{output}.node", **attributes)


def draft(
    similarity: str = "log_ratio",
    pooling: str = "max_pool",
    distance: str = "expanded",
    bias: bool = False,
    last: str = "Sigmoid",
    grid: tuple[int, int] = GRID,
    opset: int = 17,
) -> Draft:
    """A valid model in one of the accepted spellings."""
    rng = np.random.default_rng(7)
    weights: dict[str, NDArray[Any]] = {
        "w1": rng.normal(0, 0.4, (5, 1, 3, 3)).astype(np.float32),
        "b1": rng.normal(0, 0.1, 5).astype(np.float32),
        "w2": rng.normal(0, 0.4, (CHANNELS, 5, 1, 1)).astype(np.float32),
        "prototypes": rng.random((PROTOTYPES, CHANNELS, 1, 1)).astype(np.float32),
        "head.weight": np.array([[1, 1, -0.5, -0.5], [-0.5, -0.5, 1, 1]], dtype=np.float32),
        "one": np.array(1, dtype=np.float32),
        "two": np.array([2], dtype=np.float32),
        "axis_1": np.array([1], dtype=np.int64),
        "axis_2": np.array([2], dtype=np.int64),
        "grid_axes": np.array([2, 3], dtype=np.int64),
    }
    stride = 6 // grid[0]
    nodes = [
        node("Conv", ["input", "w1", "b1"], "c1", strides=[stride, stride], pads=[1, 1, 1, 1]),
        node("Relu", ["c1"], "r1"),
        node("Conv", ["r1", "w2"], "c2"),
        node(last, ["c2"], "latent"),
        *_measure(distance),
        *_pool(pooling, grid, opset),
        *_similar(similarity, weights),
        node(
            "Gemm", ["activation", "head.weight", *(["head.bias"] if bias else [])], "logits",
            transB=1,
        ),
    ]  # fmt: skip
    if bias:
        weights["head.bias"] = np.array([0.25, -0.25], dtype=np.float32)
    outputs = {
        "logits": (CLASSES,),
        "activation": (PROTOTYPES,),
        "measurement": (PROTOTYPES, *grid),
        "latent": (CHANNELS, *grid),
    }
    return Draft(nodes, weights, outputs, describe(similarity, bias, grid), opset)


def describe(
    similarity: str = "log_ratio", bias: bool = False, grid: tuple[int, int] = GRID
) -> dict[str, Any]:
    """The description of ``draft(similarity, bias=bias, grid=grid)``."""
    return {
        "schema": "protoproof.head/1",
        "family": "protopnet",
        "name": "tiny",
        "input": {
            "tensor": "input",
            "shape": [1, 6, 6],
            "range": [0.0, 1.0],
            "normalisation": None,
        },
        "latent": {
            "tensor": "latent",
            "channels": CHANNELS,
            "grid": list(grid),
            "receptive_field": {"size": [3, 3], "stride": [3, 3], "start": [-1, -1]},
        },
        "measurement": {
            "kind": "squared_l2",
            "tensor": "measurement",
            "prototypes": "prototypes",
        },
        "similarity": {"kind": similarity, **SIMILARITIES[similarity]},
        "pooling": {"kind": "max"},
        "activation": "activation",
        "decision": {
            "kind": "linear",
            "weight": "head.weight",
            "bias": "head.bias" if bias else None,
            "logits": "logits",
        },
        "classes": ["no", "yes"],
        "prototype_class": [0, 0, 1, 1],
        "training_data": None,
        "producer": "tests",
    }


def _measure(distance: str) -> list[onnx.NodeProto]:
    if distance == "expanded":
        return [
            node("Mul", ["latent", "latent"], "z_squared"),
            node("ReduceSum", ["z_squared", "axis_1"], "z_norm", keepdims=1),
            node("Conv", ["latent", "prototypes"], "z_dot_p"),
            node("Mul", ["prototypes", "prototypes"], "p_squared"),
            node("ReduceSum", ["p_squared", "axis_1"], "p_sum", keepdims=1),
            node("Transpose", ["p_sum"], "p_norm", perm=[1, 0, 2, 3]),
            node("Mul", ["z_dot_p", "two"], "twice"),
            node("Sub", ["z_norm", "twice"], "difference"),
            node("Add", ["difference", "p_norm"], "expanded"),
            node("Relu", ["expanded"], "measurement"),
        ]
    relu = distance == "direct_relu"
    total = "distance" if relu else "measurement"
    return [
        node("Unsqueeze", ["latent", "axis_1"], "wide"),
        node("Sub", ["wide", "prototypes"], "apart"),
        node("Mul", ["apart", "apart"], "square"),
        node("ReduceSum", ["square", "axis_2"], total, keepdims=0),
        *([node("Relu", [total], "measurement")] if relu else []),
    ]


def _pool(pooling: str, grid: tuple[int, int], opset: int) -> list[onnx.NodeProto]:
    negated = node("Neg", ["measurement"], "closeness")
    flatten = node("Flatten", ["nearest_map"], "nearest", axis=1)
    back = node("Neg", ["closest"], "nearest_map")
    if pooling == "max_pool":
        largest = node("MaxPool", ["closeness"], "closest", kernel_shape=list(grid))
        return [negated, largest, back, flatten]
    # the same function
    axes = {"axes": [2, 3]} if opset < 18 else {}
    more = [] if opset < 18 else ["grid_axes"]
    return [node("ReduceMin", ["measurement", *more], "nearest", keepdims=0, **axes)]


def _similar(similarity: str, weights: dict[str, NDArray[Any]]) -> list[onnx.NodeProto]:
    if similarity == "log_ratio":
        weights["epsilon"] = np.array(EPSILON, dtype=np.float32)
        return [
            node("Add", ["nearest", "one"], "numerator"),
            node("Add", ["nearest", "epsilon"], "denominator"),
            node("Div", ["numerator", "denominator"], "ratio"),
            node("Log", ["ratio"], "activation"),
        ]
    if similarity == "exponential":
        weights["temperature"] = np.array(0.75, dtype=np.float32)
        return [
            node("Div", ["nearest", "temperature"], "scaled"),
            node("Neg", ["scaled"], "power"),
            node("Exp", ["power"], "activation"),
        ]
    if similarity == "negated":
        return [node("Neg", ["nearest"], "activation")]
    return [
        node("Add", ["nearest", "one"], "below"),
        node("Div", ["one", "below"], "activation"),
    ]
