"""Encoders with operators that can only be executed, as exporters and people write them.

Each is a piece for :func:`tests.support.network.builders.draft`: nodes between its tensors ``c1``
and ``r1`` ([N, 5, 2, 2] both), and the numbers that they need.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from tests.support.network.builders import Draft, draft

Numbers = dict[str, NDArray[Any]]
Piece = tuple[list[onnx.NodeProto], Numbers, int]

_RNG = np.random.default_rng(11)


def _real(*shape: int) -> NDArray[np.float32]:
    return _RNG.normal(0, 0.5, shape).astype(np.float32)


def _op(op: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    """Names apart by blanks; "-" is one left out."""
    given = ["" if name == "-" else name for name in inputs.split()]
    made = outputs.split()
    return helper.make_node(op, given, made, name=f"{op}.{made[0]}", **attributes)


def _unary(op: str, opset: int = 20, **attributes: Any) -> Piece:
    return [_op(op, "c1", "r1", **attributes)], {}, opset


def _layer_norm() -> Piece:
    nodes = [
        _op("Transpose", "c1", "t1", perm=[0, 2, 3, 1]),
        _op("LayerNormalization", "t1 ln.w ln.b", "t2", axis=-1, epsilon=1e-6),
        _op("Transpose", "t2", "r1", perm=[0, 3, 1, 2]),
    ]
    return nodes, {"ln.w": _real(5), "ln.b": _real(5)}, 17


def _erf_gelu() -> Piece:
    nodes = [
        _op("Div", "c1 root2", "g1"),
        _op("Erf", "g1", "g2"),
        _op("Add", "g2 one", "g3"),
        _op("Mul", "c1 g3", "g4"),
        _op("Mul", "g4 half", "r1"),
    ]
    return nodes, {"root2": np.float32(2**0.5), "half": np.float32(0.5)}, 17  # type: ignore[dict-item]


def _silu() -> Piece:
    return [_op("Sigmoid", "c1", "s1"), _op("Mul", "c1 s1", "r1")], {}, 17


def _group_norm() -> Piece:
    """As the default exporter writes it: instance normalisation of reshaped groups."""
    nodes = [
        _op("Reshape", "c1 groups", "n1"),
        _op("InstanceNormalization", "n1 gn.one gn.zero", "n2", epsilon=1e-5),
        _op("Shape", "c1", "n3"),
        _op("Reshape", "n2 n3", "n4"),
        _op("Mul", "n4 gn.w", "n5"),
        _op("Add", "n5 gn.b", "r1"),
    ]
    stored: Numbers = {
        "groups": np.array([0, 1, -1]),
        "gn.one": np.ones(1, np.float32),
        "gn.zero": np.zeros(1, np.float32),
        "gn.w": _real(5, 1, 1),
        "gn.b": _real(5, 1, 1),
    }
    return nodes, stored, 18


def _attention() -> Piece:
    """Tokens, one head, scores over their own softmax."""
    nodes = [
        _op("Reshape", "c1 tokens", "a1"),
        _op("Transpose", "a1", "a2", perm=[0, 2, 1]),
        _op("MatMul", "a2 wq", "q"),
        _op("MatMul", "a2 wk", "k"),
        _op("MatMul", "a2 wv", "v"),
        _op("Transpose", "k", "kt", perm=[0, 2, 1]),
        _op("MatMul", "q kt", "scores"),
        _op("Where", "mask scores low", "masked"),
        _op("Softmax", "masked", "share", axis=-1),
        _op("MatMul", "share v", "mixed"),
        _op("Einsum", "mixed wo", "a3", equation="nld,df->nfl"),
        _op("Shape", "c1", "a4"),
        _op("Reshape", "a3 a4", "a5"),
        _op("Add", "c1 a5", "r1"),
    ]
    mask = np.tril(np.ones((4, 4), bool))
    stored: Numbers = {name: _real(5, 5) for name in ("wq", "wk", "wv", "wo")}
    stored |= {"tokens": np.array([0, 5, -1]), "mask": mask, "low": np.array(-np.inf, np.float32)}
    return nodes, stored, 17


def _resize(**attributes: Any) -> Piece:
    nodes = [
        _op("Resize", "c1 - scales", "up", **attributes),
        _op("MaxPool", "up", "r1", kernel_shape=[2, 2], strides=[2, 2]),
    ]
    return nodes, {"scales": np.array([1, 1, 2, 2], np.float32)}, 17


def _sizes() -> Piece:
    """A size that the graph computes, the way the old exporter does for expand and interpolate."""
    nodes = [
        _op("Shape", "c1", "z1"),
        _op("Gather", "z1 first", "z2", axis=0),
        _op("ConstantOfShape", "rank", "z3", value=helper.make_tensor("v", 7, [1], [1])),
        _op("Equal", "wanted minus", "z4"),
        _op("Where", "z4 z3 wanted", "z5"),
        _op("Expand", "shift z5", "z6"),
        _op("Add", "c1 z6", "z7"),
        _op("Unsqueeze", "z2 axis0", "z8"),
        _op("Concat", "z8 rest", "z9", axis=0),
        _op("Reshape", "z7 z9", "r1"),
    ]
    stored: Numbers = {
        "first": np.array(0),
        "rank": np.array([4]),
        "minus": np.array([-1]),
        "wanted": np.array([-1, 5, -1, -1]),
        "shift": _real(5, 1, 1),
        "axis0": np.array([0]),
        "rest": np.array([5, 2, 2]),
    }
    return nodes, stored, 17


def _split() -> Piece:
    nodes = [_op("Split", "c1 parts", "p q", axis=1), _op("Concat", "q p", "r1", axis=1)]
    return nodes, {"parts": np.array([2, 3])}, 17


def _top() -> Piece:
    nodes = [
        _op("TopK", "c1 two_numbers", "- places", axis=3, largest=1),
        _op("Cast", "places", "f", to=1),
        _op("Add", "c1 f", "r1"),
    ]
    return nodes, {"two_numbers": np.array([2])}, 17


def _half() -> Piece:
    nodes = [
        _op("Cast", "c1", "h1", to=10),
        _op("Mul", "h1 h.scale", "h2"),
        _op("Relu", "h2", "h3"),
        _op("Cast", "h3", "r1", to=1),
    ]
    return nodes, {"h.scale": np.array(1.5, np.float16)}, 17


def _quantised() -> Piece:
    nodes = [
        _op("QuantizeLinear", "c1 q.scale q.zero", "q1"),
        _op("DequantizeLinear", "q1 q.scale q.zero", "r1"),
    ]
    return nodes, {"q.scale": np.array(0.05, np.float32), "q.zero": np.array(0, np.int8)}, 17


def _runtimes_own() -> Piece:
    return [_op("Gelu", "c1", "r1", domain="com.microsoft")], {}, 17


def _ceiling() -> Piece:
    nodes = [
        _op("Resize", "c1 - scales", "three"),
        _op("MaxPool", "three", "r1", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    ]
    return nodes, {"scales": np.array([1, 1, 1.5, 1.5], np.float32)}, 17


def _automatic_pads() -> Piece:
    nodes = [_op("Conv", "c1 auto.w", "r1", auto_pad="SAME_UPPER", kernel_shape=[3, 3])]
    return nodes, {"auto.w": _real(5, 5, 3, 3)}, 17


EXECUTED: dict[str, Callable[[], Piece]] = {
    "LayerNormalization": _layer_norm,
    "Gelu": lambda: _unary("Gelu"),
    "Erf": _erf_gelu,
    "silu": lambda: _unary("HardSwish"),
    "Mish": lambda: _unary("Mish"),
    "Elu": lambda: _unary("Elu", alpha=0.5),
    "Softsign": lambda: _unary("Softsign"),
    "Reciprocal": lambda: _unary("Reciprocal"),
    "InstanceNormalization": _group_norm,
    "attention": _attention,
    "Resize nearest": lambda: _resize(mode="nearest"),
    "Resize linear": lambda: _resize(mode="linear", coordinate_transformation_mode="half_pixel"),
    "computed sizes": _sizes,
    "Split": _split,
    "TopK": _top,
    "half precision": _half,
    "quantised": _quantised,
    "the runtime's own": _runtimes_own,
    "ceil_mode": _ceiling,
    "auto_pad": _automatic_pads,
}


def executed(name: str) -> Draft:
    """A network whose encoder has such a piece; its head is the usual one."""
    nodes, stored, opset = EXECUTED[name]()
    parts = draft(opset=opset)
    parts.replace("r1", *nodes)
    parts.weights |= {key: np.asarray(value) for key, value in stored.items()}
    if any(made.domain for made in nodes):
        parts.extra.append(
            lambda model: model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        )
    return parts
