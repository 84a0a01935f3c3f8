"""Tiny canonical ONNX heads, written node by node with onnx.helper alone."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

EPSILON = 1e-4
TEMPERATURE = 0.75
CONSTANTS = {"log_ratio": ("epsilon", EPSILON), "exponential": ("temperature", TEMPERATURE)}


@dataclass(frozen=True)
class Tiny:
    """Numbers and shape of a tiny network; ``onnx()`` builds its file.

    ``operator`` outputs the latent ("" for a bare convolution). ``distance`` is "expanded" or
    "direct"; ``pool`` is "maxpool", "reduce_min" or "reduce_max", the latter two with "_keep" where
    dimensions are kept.
    """

    prototypes: NDArray[np.float32]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None = None
    grid: tuple[int, int] = (1, 1)
    similarity: str = "log_ratio"
    operator: str = "Sigmoid"
    distance: str = "expanded"
    pool: str = "maxpool"
    opset: int = 17
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def locations(self) -> int:
        return self.grid[0] * self.grid[1]

    @property
    def data(self) -> bytes:
        return onnx_bytes(self)

    @property
    def description(self) -> str:
        return json.dumps(description(self), sort_keys=True, separators=(",", ":"))

    @property
    def constant(self) -> float:
        """The float32 constant of the similarity, 1 where there is none."""
        return float(np.float32(CONSTANTS.get(self.similarity, ("", 1.0))[1]))

    def but(self, **changes: Any) -> Tiny:
        return replace(self, **changes)


def random_tiny(seed: int, **changes: Any) -> Tiny:
    """A random network: L = 1..4, D = 2..6, P = 2..6, K = 2..4 unless fixed."""
    rng = np.random.default_rng(seed)
    channels = changes.pop("channels", int(rng.integers(2, 7)))
    count = changes.pop("count", int(rng.integers(2, 7)))
    classes = changes.pop("classes", int(rng.integers(2, 5)))
    grid = changes.pop("grid", [(1, 1), (1, 2), (2, 1), (2, 2)][int(rng.integers(4))])
    owner = np.arange(count) % classes
    weight = np.where(owner == np.arange(classes)[:, None], 1.0, -0.5)
    weight = weight + rng.normal(0, 0.1, weight.shape)
    return Tiny(
        prototypes=rng.random((count, channels)).astype(np.float32),
        weight=weight.astype(np.float32),
        grid=grid,
        **changes,
    )


def description(tiny: Tiny) -> dict[str, Any]:
    """The head description, as the contract writes it."""
    similarity: dict[str, Any] = {"kind": tiny.similarity}
    if tiny.similarity in CONSTANTS:
        name, value = CONSTANTS[tiny.similarity]
        similarity[name] = value
    return {
        "schema": "protoproof.head/1",
        "family": "protopnet",
        "name": "tiny",
        "input": {"tensor": "input", "shape": [1, *tiny.grid], "range": [0.0, 1.0]},
        "latent": {
            "tensor": "latent",
            "channels": tiny.prototypes.shape[1],
            "grid": list(tiny.grid),
            "receptive_field": None,
        },
        "measurement": {
            "kind": "squared_l2",
            "tensor": "measurement",
            "prototypes": "prototypes",
        },
        "similarity": similarity,
        "pooling": {"kind": "max"},
        "activation": "activation",
        "decision": {
            "kind": "linear",
            "weight": "head.weight",
            "bias": None if tiny.bias is None else "head.bias",
            "logits": "logits",
        },
        "classes": [str(k) for k in range(len(tiny.weight))],
        "prototype_class": None,
        "training_data": None,
        "producer": "tests",
    }


def _constant(name: str, values: Any, dtype: type = np.float32) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(np.asarray(values, dtype=dtype), name)


def _distance_nodes(tiny: Tiny) -> list[onnx.NodeProto]:
    node = helper.make_node
    if tiny.distance == "direct":
        return [
            node("Unsqueeze", ["latent", "axis1"], ["latent5"]),
            node("Sub", ["latent5", "prototypes"], ["apart"]),
            node("Mul", ["apart", "apart"], ["square"]),
            node("ReduceSum", ["square", "axis2"], ["measurement"], keepdims=0),
        ]
    return [
        node("Mul", ["latent", "latent"], ["z_squared"]),
        node("ReduceSum", ["z_squared", "axis1"], ["z_norm"], keepdims=1),
        node("Conv", ["latent", "prototypes"], ["z_dot_p"], kernel_shape=[1, 1]),
        node("Mul", ["prototypes", "prototypes"], ["p_squared"]),
        node("ReduceSum", ["p_squared", "axis1"], ["p_sum"], keepdims=1),
        node("Transpose", ["p_sum"], ["p_norm"], perm=[1, 0, 2, 3]),
        node("Mul", ["z_dot_p", "two"], ["twice"]),
        node("Sub", ["z_norm", "twice"], ["difference"]),
        node("Add", ["difference", "p_norm"], ["expanded"]),
        node("Relu", ["expanded"], ["measurement"]),
    ]


def _pool_nodes(tiny: Tiny) -> list[onnx.NodeProto]:
    node = helper.make_node
    if tiny.pool == "maxpool":
        return [
            node("Neg", ["measurement"], ["negative"]),
            node("MaxPool", ["negative"], ["largest"], kernel_shape=list(tiny.grid)),
            node("Neg", ["largest"], ["least"]),
            node("Flatten", ["least"], ["nearest"], axis=1),
        ]
    # the same function, which the checker does not recognise
    axes = {"axes": [2, 3]} if tiny.opset < 18 else {}
    more = [] if tiny.opset < 18 else ["axes23"]
    return [node("ReduceMin", ["measurement", *more], ["nearest"], keepdims=0, **axes)]


def _similarity_nodes(kind: str) -> list[onnx.NodeProto]:
    node = helper.make_node
    if kind == "log_ratio":
        return [
            node("Add", ["nearest", "one"], ["above"]),
            node("Add", ["nearest", "constant"], ["below"]),
            node("Div", ["above", "below"], ["ratio"]),
            node("Log", ["ratio"], ["activation"]),
        ]
    if kind == "exponential":
        return [
            node("Div", ["nearest", "constant"], ["scaled"]),
            node("Neg", ["scaled"], ["exponent"]),
            node("Exp", ["exponent"], ["activation"]),
        ]
    if kind == "reciprocal":
        return [
            node("Add", ["nearest", "one"], ["above"]),
            node("Div", ["one", "above"], ["activation"]),
        ]
    return [node("Neg", ["nearest"], ["activation"])]


def model_proto(tiny: Tiny) -> onnx.ModelProto:
    """The model; its encoder is one random 1x1 convolution and ``tiny.operator``."""
    channels = tiny.prototypes.shape[1]
    kernel = np.random.default_rng(7).normal(0, 2, (channels, 1, 1, 1))
    last = [helper.make_node(tiny.operator or "Identity", ["features"], ["latent"])]
    gemm = ["activation", "head.weight", *([] if tiny.bias is None else ["head.bias"])]
    initializers = [
        _constant("kernel", kernel),
        _constant("prototypes", tiny.prototypes[:, :, None, None]),
        _constant("two", 2.0),
        _constant("one", 1.0),
        _constant("constant", [tiny.constant]),
        _constant("axis1", [1], np.int64),
        _constant("axis2", [2], np.int64),
        _constant("axes23", [2, 3], np.int64),
        _constant("head.weight", tiny.weight),
    ]
    if tiny.bias is not None:
        initializers.append(_constant("head.bias", tiny.bias))
    value = helper.make_tensor_value_info
    counts = {"latent": channels, "measurement": len(tiny.prototypes)}
    outputs = [
        value("logits", TensorProto.FLOAT, ["N", len(tiny.weight)]),
        value("activation", TensorProto.FLOAT, ["N", len(tiny.prototypes)]),
        *(value(name, TensorProto.FLOAT, ["N", n, *tiny.grid]) for name, n in counts.items()),
    ]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["input", "kernel"], ["features"], kernel_shape=[1, 1]),
            *last,
            *_distance_nodes(tiny),
            *_pool_nodes(tiny),
            *_similarity_nodes(tiny.similarity),
            helper.make_node("Gemm", gemm, ["logits"], transB=1),
        ],
        "tiny",
        [value("input", TensorProto.FLOAT, ["N", 1, *tiny.grid])],
        outputs,
        initializers,
    )
    opset = helper.make_opsetid("", tiny.opset)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=9)
    model.metadata_props.add(key="protoproof", value=tiny.description)
    return model


def onnx_bytes(tiny: Tiny) -> bytes:
    """The file's bytes (equal for equal arguments)."""
    return bytes(model_proto(tiny).SerializeToString(deterministic=True))


def sha256(data: bytes | str) -> str:
    return hashlib.sha256(data if isinstance(data, bytes) else data.encode()).hexdigest()
