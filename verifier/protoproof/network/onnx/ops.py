"""THE operator table: one row per ONNX operator that may occur in a model.

A row holds what later stages derive their rules from: the torch meaning, the shape rule (which
checks all preconditions), and traits. ``versions`` are the ONNX schema versions whose text was
read for the row: an opset that revises an operator is refused until the row says otherwise.

Constant has no row: the graph stores its value like an initializer. To add an operator, write its
row (shape rule, meaning, traits) and a row in the shared test table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING

from onnx import defs

from protoproof.errors import UnsupportedOperatorError
from protoproof.network.onnx import shapes, windows
from protoproof.network.onnx import torch_ops as meaning
from protoproof.network.onnx.node import Call, Node, Shape, printable

if TYPE_CHECKING:
    from torch import Tensor


class Trait(Enum):
    """What a bound rule may rely on, for the data inputs and constant parameters."""

    AFFINE = "affine in all its data inputs together"
    BILINEAR = "affine in each data input while the others are fixed"
    ELEMENTWISE = "every output number depends on one number per data input"
    INCREASING = "no output falls when an input number grows"
    DECREASING = "no output grows when an input number grows"
    MOVE = "every output number is an input number or a constant"


@dataclass(frozen=True)
class Operator:
    """One row. ``arity``: least and most inputs. ``static``: positions that must be constants.

    ``meaning`` takes the call and the tensors of the other (data) inputs, in order.
    ``work`` estimates multiply-adds from the call and its output shape.
    """

    name: str
    arity: tuple[int, int]
    versions: frozenset[int]
    traits: frozenset[Trait]
    shape: Callable[[Call], Shape]
    meaning: Callable[..., Tensor]
    attributes: Mapping[str, str] = field(default_factory=dict)
    static: frozenset[int] = frozenset()
    work: Callable[[Call, Shape], int] = lambda call, shape: max(
        math.prod(call.shape(0)), math.prod(shape)
    )

    def data_inputs(self, node: Node) -> tuple[str, ...]:
        """Names of the inputs that the meaning takes as tensors ("" where omitted)."""
        return tuple(name for i, name in enumerate(node.inputs) if i not in self.static)


_MOVE = frozenset({Trait.AFFINE, Trait.INCREASING, Trait.MOVE})
_AVERAGE = frozenset({Trait.AFFINE, Trait.INCREASING})
_LARGEST = frozenset({Trait.INCREASING})
_BILINEAR = frozenset({Trait.BILINEAR})
_MOVED = (13, 21, 23, 24, 25)  # revisions that only add number types
_WINDOW = {
    "kernel_shape": "INTS",
    "strides": "INTS",
    "dilations": "INTS",
    "pads": "INTS",
    "auto_pad": "STRING",
}
_POOL = {**_WINDOW, "ceil_mode": "INT"}
_GEMM = {"alpha": "FLOAT", "beta": "FLOAT", "transA": "INT", "transB": "INT"}
_BATCH = {"epsilon": "FLOAT", "momentum": "FLOAT", "training_mode": "INT"}


def _v(*versions: int) -> frozenset[int]:
    return frozenset(versions)


def _unary(name: str, versions: frozenset[int], meaning: Callable[..., Tensor]) -> Operator:
    """An increasing function of one number, without attributes."""
    traits = frozenset({Trait.ELEMENTWISE, Trait.INCREASING})
    return Operator(name, (1, 1), versions, traits, shapes.same, meaning)


def _binary(name: str, meaning: Callable[..., Tensor], *traits: Trait) -> Operator:
    """A function of two numbers, with broadcasting."""
    every = frozenset({Trait.ELEMENTWISE, *traits})
    return Operator(name, (2, 2), _v(13, 14), every, shapes.broadcast, meaning)


def _move(
    name: str, shape: Callable[[Call], Shape], meaning: Callable[..., Tensor], **attributes: str
) -> Operator:
    """Numbers change places only."""
    return Operator(name, (1, 1), _v(*_MOVED), _MOVE, shape, meaning, attributes)


def _axes(
    name: str, least: int, rule: Callable[[Call], Shape], run: Callable[..., Tensor]
) -> Operator:
    """Squeeze and Unsqueeze: axes are the second input."""
    return Operator(name, (least, 2), _v(*_MOVED), _MOVE, rule, run, static=_v(1))


def _reduction(
    name: str, versions: frozenset[int], traits: frozenset[Trait], meaning: Callable[..., Tensor]
) -> Operator:
    """Axes are an attribute or, in later opsets, the second input."""
    attributes = {"axes": "INTS", "keepdims": "INT", "noop_with_empty_axes": "INT"}
    return Operator(
        name, (1, 2), versions, traits, shapes.reduce, meaning, attributes, static=_v(1)
    )


def _window_work(call: Call, shape: Shape) -> int:
    return math.prod(shape) * math.prod(windows.window(call, None).kernel)


def _conv_work(call: Call, shape: Shape) -> int:
    return math.prod(shape) * math.prod(call.shape(1)[1:])


def _product_work(call: Call, shape: Shape) -> int:
    inner = call.shape(0)[0 if call.integer("transA", 0) else -1]
    return math.prod(shape) * inner


_ROWS = (
    Operator(
        "Conv",
        (2, 3),
        _v(11, 22),
        _BILINEAR,
        windows.conv,
        meaning.conv,
        {**_WINDOW, "group": "INT"},
        work=_conv_work,
    ),
    Operator(
        "Gemm", (2, 3), _v(13), _BILINEAR, shapes.gemm, meaning.gemm, _GEMM, work=_product_work
    ),
    Operator(
        "MatMul",
        (2, 2),
        _v(13),
        _BILINEAR,
        shapes.matmul,
        lambda call, a, b: a @ b,
        work=_product_work,
    ),
    _binary("Add", lambda call, a, b: a + b, Trait.AFFINE, Trait.INCREASING),
    _binary("Sub", lambda call, a, b: a - b, Trait.AFFINE),
    _binary("Mul", lambda call, a, b: a * b, Trait.BILINEAR),
    _binary("Div", lambda call, a, b: a / b),
    Operator(
        "Neg",
        (1, 1),
        _v(13),
        frozenset({Trait.ELEMENTWISE, Trait.AFFINE, Trait.DECREASING}),
        shapes.same,
        lambda call, x: -x,
    ),
    _unary("Relu", _v(13, 14), lambda call, x: x.relu()),
    _unary("Sigmoid", _v(13), lambda call, x: x.sigmoid()),
    _unary("Tanh", _v(13), lambda call, x: x.tanh()),
    _unary("Log", _v(13), lambda call, x: x.log()),
    _unary("Exp", _v(13), lambda call, x: x.exp()),
    _unary("Sqrt", _v(13), lambda call, x: x.sqrt()),
    Operator(
        "LeakyRelu",
        (1, 1),
        _v(6, 16),
        frozenset({Trait.ELEMENTWISE, Trait.INCREASING}),
        shapes.leaky_relu,
        meaning.leaky_relu,
        {"alpha": "FLOAT"},
    ),
    Operator(
        "Softmax", (1, 1), _v(13), frozenset(), shapes.softmax, meaning.softmax, {"axis": "INT"}
    ),
    Operator(
        "LpNormalization",
        (1, 1),
        _v(1, 22),
        frozenset(),
        shapes.lp_normalization,
        meaning.lp_normalization,
        {"axis": "INT", "p": "INT"},
    ),
    Operator(
        "Clip",
        (1, 3),
        _v(13),
        frozenset({Trait.ELEMENTWISE, Trait.INCREASING}),
        shapes.clip,
        meaning.clip,
        static=_v(1, 2),
    ),
    Operator(
        "MaxPool",
        (1, 1),
        _v(12, 22),
        _LARGEST,
        windows.max_pool,
        meaning.max_pool,
        {**_POOL, "storage_order": "INT"},
        work=_window_work,
    ),
    Operator(
        "AveragePool",
        (1, 1),
        _v(11, 19, 22),
        _AVERAGE,
        windows.average_pool,
        meaning.average_pool,
        {**_POOL, "count_include_pad": "INT"},
        work=_window_work,
    ),
    Operator(
        "GlobalAveragePool",
        (1, 1),
        _v(1, 22),
        _AVERAGE,
        windows.global_pool,
        meaning.global_average_pool,
    ),
    Operator(
        "GlobalMaxPool", (1, 1), _v(1, 22), _LARGEST, windows.global_pool, meaning.global_max_pool
    ),
    _move("Flatten", shapes.flatten, meaning.flatten, axis="INT"),
    _move("Transpose", shapes.transpose, meaning.transpose, perm="INTS"),
    _axes("Squeeze", 1, shapes.squeeze, meaning.squeeze),
    _axes("Unsqueeze", 2, shapes.unsqueeze, meaning.unsqueeze),
    Operator(
        "Reshape",
        (2, 2),
        _v(*_MOVED, 14, 19),
        _MOVE,
        shapes.reshape,
        meaning.reshape,
        {"allowzero": "INT"},
        static=_v(1),
    ),
    _reduction("ReduceSum", _v(13), _AVERAGE, meaning.reduce_sum),
    _reduction("ReduceMean", _v(13, 18), _AVERAGE, meaning.reduce_mean),
    _reduction("ReduceMax", _v(13, 18, 20), _LARGEST, meaning.reduce_max),
    _reduction("ReduceMin", _v(13, 18, 20), _LARGEST, meaning.reduce_min),
    Operator("Concat", (1, 64), _v(13), _MOVE, shapes.concat, meaning.concat, {"axis": "INT"}),
    Operator(
        "Pad",
        (2, 4),
        _v(*_MOVED, 18, 19),
        _MOVE,
        shapes.pad,
        meaning.pad,
        {"mode": "STRING"},
        static=_v(1, 2, 3),
    ),
    Operator(
        "BatchNormalization",
        (5, 5),
        _v(14, 15),
        frozenset({Trait.AFFINE}),
        shapes.batch_normalization,
        meaning.batch_normalization,
        _BATCH,
    ),
    Operator(
        "Identity",
        (1, 1),
        _v(*_MOVED, 14, 16, 19),
        _MOVE,
        shapes.same,
        lambda call, x: x,
    ),
    # without its training_mode input (refused by the arity) Dropout is the identity
    Operator(
        "Dropout",
        (1, 2),
        _v(13, 22),
        _MOVE,
        shapes.same,
        lambda call, x: x,
        {"seed": "INT"},
        static=_v(1),
    ),
)

_TYPES: dict[str, Callable[[object], bool]] = {
    "INT": lambda value: isinstance(value, int),
    "FLOAT": lambda value: isinstance(value, float) and math.isfinite(value),
    "STRING": lambda value: isinstance(value, str),
    "INTS": lambda value: isinstance(value, tuple) and all(isinstance(v, int) for v in value),
}
OPERATORS: dict[str, Operator] = {row.name: row for row in _ROWS}


@cache
def _schema_version(op: str, opset: int) -> int | None:
    try:
        return int(defs.get_schema(op, opset, "").since_version)
    except defs.SchemaError:
        return None


def lookup(node: Node) -> Operator:
    """The row of a node, after checking arity and attributes against it.

    Raises:
        UnsupportedOperatorError: no row, an operator revised by this opset, a wrong number of
            inputs, an attribute the row does not know, or a use that the graph found to be outside
            the row (``refusal``). The message names node, op and opset.
    """
    if node.refusal:
        raise UnsupportedOperatorError(node.refusal)
    row = None if node.domain else OPERATORS.get(node.op)
    if row is None:
        raise _unsupported(node, "there is no rule to bound it; it can only be executed")
    if node.more:
        raise _unsupported(node, "only its first output is supported; export it without others")
    if _schema_version(node.op, node.opset) not in row.versions:
        raise _unsupported(node, "this opset revised the operator; export with opset 17")
    if not row.arity[0] <= len(node.inputs) <= row.arity[1]:
        least, most = row.arity
        raise _unsupported(
            node, f"has {len(node.inputs)} inputs, {least} to {most} are supported; export it so"
        )
    unknown = sorted(set(node.attributes) - set(row.attributes))
    if unknown:
        name = printable(unknown[0])
        raise _unsupported(node, f"attribute '{name}' is not supported; export without it")
    for name, value in node.attributes.items():
        if not _TYPES[row.attributes[name]](value):
            raise _unsupported(node, f"attribute '{printable(name)}' has the wrong type")
    return row


def _unsupported(node: Node, problem: str) -> UnsupportedOperatorError:
    return UnsupportedOperatorError(f"{node.where}: {problem}")
