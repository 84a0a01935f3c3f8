"""Interval walk over the operator table: bounds of every tensor of a graph over a box of inputs.

One rule per operator, mostly derived from the table's traits: what only moves numbers, or is
increasing and exact, is applied to both ends; the rest is in ``_RULES``. The arithmetic is in
``enclosure``. Independent of auto_LiRPA; the checker replays the same bounds with rules of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from protoproof.arithmetic import interval as en
from protoproof.arithmetic.interval import Interval
from protoproof.errors import BoundsError
from protoproof.network import Network
from protoproof.network.onnx.graph import Graph
from protoproof.network.onnx.node import Call
from protoproof.network.onnx.ops import OPERATORS, Trait, lookup
from protoproof.network.onnx.windows import window
from protoproof.region.bounds.locations import by_location
from protoproof.region.sets.parametric import Cloud, stack
from protoproof.region.sets.region import InputBox

Rule = Callable[[Call, Sequence[Interval | None]], Interval]

_MOST_NUMBERS = 1 << 24  # of the largest tensor that one piece of a batch may need


@dataclass(frozen=True, eq=False)
class LatentBox:
    """``lower <= z <= upper`` for every latent unit, [box, location, channel]."""

    lower: Float[NDArray[np.float64], "box location channel"]
    upper: Float[NDArray[np.float64], "box location channel"]

    def __post_init__(self) -> None:
        require_bounds(self.lower, self.upper, "latent")

    def __len__(self) -> int:
        return len(self.lower)

    def __getitem__(self, index: int | slice) -> LatentBox:
        part = slice(index, index + 1) if isinstance(index, int) else index
        return LatentBox(self.lower[part], self.upper[part])


def require_bounds(lower: NDArray[np.float64], upper: NDArray[np.float64], what: str) -> None:
    """Refuse bounds that bound nothing.

    Raises:
        BoundsError: NaN or infinity, or a lower end above the upper one.
    """
    if not (np.isfinite(lower).all() and np.isfinite(upper).all()):
        raise BoundsError(f"bounds of the {what} are NaN or infinite; use a smaller region")
    if (lower > upper).any():
        raise BoundsError(f"bounds of the {what} cross; nothing can be decided")


def encoder_bounds(network: Network, boxes: Sequence[InputBox]) -> LatentBox:
    """Bounds of the latent over each box, by intervals, in real arithmetic.

    Raises:
        BoundsError: a division by an interval that holds 0, a logarithm of one, an overflow.
    """
    graph = network.encoder_graph
    largest = max(_cost(graph.call(node), graph) for node in graph.nodes) if graph.nodes else 1
    step = max(1, _MOST_NUMBERS // largest) if graph.free_batch else 1
    parts = []
    for start in range(0, len(boxes), step):
        some = boxes[start : start + step]
        lower, upper = (
            torch.from_numpy(np.stack([getattr(box, end) for box in some]))
            for end in ("lower", "upper")
        )
        cloud = stack([box.cloud for box in some])
        found = walk(graph, Interval(lower, upper), cloud)
        ends = (
            torch.cat([getattr(found[name], end).flatten(1) for name in graph.outputs], 1)
            for end in ("lower", "upper")
        )
        parts.append([by_location(end, network.sites) for end in ends])
    lows, highs = zip(*parts, strict=True)
    return LatentBox(np.concatenate(lows), np.concatenate(highs))


def _cost(call: Call, graph: Graph) -> int:
    """Numbers that a rule holds at once for one image."""
    size = math.prod(graph.shapes[call.node.output])
    return size * math.prod(call.shape(1)[1:]) if call.node.op == "Conv" else size


@torch.no_grad()
def walk(
    graph: Graph,
    start: Interval,
    cloud: Cloud | None = None,
    before: Callable[[Call, dict[str, Interval]], None] | None = None,
) -> dict[str, Interval]:
    """Bounds of every computed tensor, when the graph's input lies in ``start`` [box, ...].

    What more ``cloud`` knows about the input serves the first layer of sums of products. ``before``
    is called with every node and may sharpen the values known so far, soundly.

    Raises:
        BoundsError: see :func:`encoder_bounds`; the message names the node.
    """
    values: dict[str, Interval] = {
        name: en.point(torch.tensor(np.asarray(value), dtype=torch.float64))
        for name, value in graph.constants.items()
        if value.dtype == np.float32
    }
    values[graph.input] = start
    clouds = {} if cloud is None else {graph.input: cloud}
    for node in graph.nodes:
        row, call = lookup(node), graph.call(node)
        if before is not None:
            before(call, values)
        inputs = [values[name] if name else None for name in row.data_inputs(node)]
        found = rule_of(node.op)(call, inputs)
        if clouds:
            found = _clouded(call, row.data_inputs(node), inputs, found, clouds)
        if not bool((found.lower <= found.upper).all() & found.magnitude.isfinite().all()):
            raise BoundsError(f"{node.where}: its interval is not finite; use a smaller region")
        values[node.output] = found
    return values


# by a constant, an affine map of every number on its own
_SCALING = frozenset({"Add", "Sub", "Mul", "Div", "Neg", "BatchNormalization"})


# numbers to other places, and no constants among them
_MOVING = frozenset(
    {"Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
)


def _clouded(
    call: Call,
    names: Sequence[str],
    inputs: list[Interval | None],
    found: Interval,
    clouds: dict[str, Cloud],
) -> Interval:
    """The output's bounds behind a sum of products over a cloud; else its cloud is recorded."""
    op, where = call.node.op, [i for i, name in enumerate(names) if name in clouds]
    fixed = all(x is None or x.exact for i, x in enumerate(inputs) if i not in where)
    if len(where) != 1 or not fixed:
        return found
    cloud, place = clouds[names[where[0]]], where[0]

    def apply(x: Interval, weight: Tensor | None = None) -> Interval:
        given = [x if i == place else value for i, value in enumerate(inputs)]
        if weight is not None:
            given = [x, en.point(weight)]
        return rule_of(op)(call, given)

    same = found.lower.shape == cloud.rest.shape
    if op in _MOVING and place == 0:
        clouds[call.node.output] = cloud.moved(lambda part: apply(en.point(part)).lower)
    elif op in _SCALING and same and not (op == "Div" and place == 1):
        clouds[call.node.output] = cloud.scaled(apply)
    elif op in ("Conv", "Gemm", "MatMul") and place == 0 and _plain(call):
        exact = cloud.affine(_given(inputs, 1).lower, apply, apply)
        lower = torch.maximum(found.lower, exact.lower)
        upper = torch.minimum(found.upper, exact.upper)
        # a part of the box that the cloud does not reach: either bound is true
        cross = lower > upper
        return Interval(
            torch.where(cross, found.lower, lower), torch.where(cross, found.upper, upper)
        )
    return found


def _plain(call: Call) -> bool:
    """Whether the output is linear in the weight as it is stored, with factor 1."""
    return call.node.op != "Gemm" or (
        call.number("alpha", 1.0) == 1 and not call.integer("transA", 0)
    )


def rule_of(op: str) -> Rule:
    """The interval rule of an operator of the table.

    Raises:
        KeyError: it has none (a test sees to it that every row has one).
    """
    if op in _RULES:
        return _RULES[op]
    traits = OPERATORS[op].traits
    if Trait.MOVE in traits or op in _EXACT:
        return _both_ends
    raise KeyError(op)


# increasing, and computed by float64 without rounding
_EXACT = frozenset({"Relu", "Clip", "MaxPool", "GlobalMaxPool", "ReduceMax", "ReduceMin"})


def _both_ends(call: Call, inputs: Sequence[Interval | None]) -> Interval:
    """Increasing and exact: the ends of the output are the images of the ends of the inputs."""
    run = OPERATORS[call.node.op].meaning
    given = [x for x in inputs if x is not None]
    return Interval(run(call, *(x.lower for x in given)), run(call, *(x.upper for x in given)))


def _given(inputs: Sequence[Interval | None], position: int) -> Interval:
    found = inputs[position]
    if found is None:
        raise BoundsError("an input that is needed is missing")
    return found


def _average(call: Call, inputs: Sequence[Interval | None]) -> Interval:
    x = _given(inputs, 0)
    run = OPERATORS[call.node.op].meaning
    if call.node.op == "AveragePool":
        terms = math.prod(window(call, None).kernel)
    else:
        terms = math.prod(call.shape(0))
    return en.average(x, lambda end: run(call, end), terms)


def _conv(call: Call, inputs: Sequence[Interval | None]) -> Interval:
    """A convolution as matrix products over gathered windows."""
    x, weight = _given(inputs, 0), _given(inputs, 1)
    shape = window(call, call.shape(1)[2:])
    group = call.integer("group", 1)
    top, left, bottom, right = shape.pads
    rows, columns = (
        (size + before + after - dilation * (kernel - 1) - 1) // stride + 1
        for size, before, after, dilation, kernel, stride in zip(
            call.shape(0)[2:],
            (top, left),
            (bottom, right),
            shape.dilations,
            shape.kernel,
            shape.strides,
            strict=True,
        )
    )

    def product(a: Tensor, b: Tensor) -> Tensor:
        a = torch.nn.functional.pad(a, (left, right, top, bottom))
        columns_ = torch.nn.functional.unfold(a, shape.kernel, shape.dilations, 0, shape.strides)
        batch, _, places = columns_.shape
        columns_ = columns_.reshape(batch, group, -1, places)
        flat = b.reshape(group, b.shape[0] // group, -1)
        return (flat @ columns_).reshape(batch, -1, rows, columns)

    found = en.bilinear(x, weight, product, math.prod(call.shape(1)[1:]))
    bias = inputs[2] if len(inputs) > 2 else None
    return found if bias is None else en.add(found, bias.map(lambda b: b[:, None, None]))


def _matmul(call: Call, inputs: Sequence[Interval | None]) -> Interval:
    a, b = _given(inputs, 0), _given(inputs, 1)
    return en.bilinear(a, b, torch.matmul, call.shape(0)[-1])


def _gemm(call: Call, inputs: Sequence[Interval | None]) -> Interval:
    a, b = _given(inputs, 0), _given(inputs, 1)
    a = a.map(lambda t: t.T) if call.integer("transA", 0) else a
    b = b.map(lambda t: t.T) if call.integer("transB", 0) else b
    found = en.bilinear(a, b, torch.matmul, a.lower.shape[1])
    found = _scaled(found, call.number("alpha", 1.0))
    c = inputs[2] if len(inputs) > 2 else None
    return found if c is None else en.add(found, _scaled(c, call.number("beta", 1.0)))


def _scaled(a: Interval, factor: float) -> Interval:
    if factor == 1:
        return a
    return en.multiply(a, en.point(torch.tensor(factor, dtype=torch.float64)))


def _mul(call: Call, inputs: Sequence[Interval | None]) -> Interval:
    if call.node.inputs[0] == call.node.inputs[1]:
        return en.square(_given(inputs, 0))
    return en.multiply(_given(inputs, 0), _given(inputs, 1))


def _div(call: Call, inputs: Sequence[Interval | None]) -> Interval:
    found = en.divide(_given(inputs, 0), _given(inputs, 1))
    if found is None:
        raise BoundsError(f"{call.node.where}: the divisor may be 0; use a smaller region")
    return found


def _leaky(call: Call, inputs: Sequence[Interval | None]) -> Interval:
    """Increasing, because the slope lies in [0, 1]; the product below 0 is rounded outwards."""
    x = _given(inputs, 0)
    run = OPERATORS["LeakyRelu"].meaning
    low, high = run(call, x.lower), run(call, x.upper)
    return Interval(
        torch.where(x.lower < 0, en.down(low) - en.TINY, low),
        torch.where(x.upper < 0, en.up(high) + en.TINY, high),
    )


def _positive(call: Call, x: Interval, strict: bool) -> Interval:
    fits = (x.lower > 0) if strict else (x.lower >= 0)
    if not bool(fits.all()):
        raise BoundsError(
            f"{call.node.where}: its argument may leave its domain; shrink the region"
        )
    return x


def _batch_normalization(call: Call, inputs: Sequence[Interval | None]) -> Interval:
    """(x - mean) * (scale / sqrt(variance + epsilon)) + bias, per channel."""
    x, scale, bias, mean, variance = (_given(inputs, i) for i in range(5))
    epsilon = torch.tensor(call.number("epsilon", 1e-5), dtype=torch.float64)
    deviation = en.monotone(en.add(variance, en.point(epsilon)), torch.sqrt, 0.0, math.inf)
    factor = en.divide(scale, deviation)
    if factor is None:
        raise BoundsError(f"{call.node.where}: variance plus epsilon may be 0; correct the weights")

    def wide(a: Interval) -> Interval:
        return a.map(lambda t: t.reshape(-1, *[1] * (x.lower.ndim - 2)))

    centred = en.add(x, en.negate(wide(mean)))
    return en.add(en.multiply(centred, wide(factor)), wide(bias))


def _softmax(call: Call, inputs: Sequence[Interval | None]) -> Interval:
    """e^x_i / (e^x_i + sum of the others): grows with x_i and falls with every other number."""
    x, axis = _given(inputs, 0), call.integer("axis", -1)
    shift = en.point(-x.upper.amax(axis, keepdim=True))

    def power(end: Tensor) -> Interval:
        return en.monotone(en.add(en.point(end), shift), torch.exp, 0.0, math.inf)

    def total(part: Interval) -> Interval:
        terms = x.lower.shape[axis]
        return en.average(part, lambda t: t.sum(axis, keepdim=True), terms)

    low, high = power(x.lower), power(x.upper)
    most = en.up(total(high).upper - high.lower).clamp(min=0.0)
    least = en.down(total(low).lower - low.upper).clamp(min=0.0)
    below, above = en.up(low.lower + most), en.down(high.upper + least)
    return Interval(
        torch.where(low.lower > 0, en.down(low.lower / below) - en.TINY, 0.0).clamp(min=0.0),
        torch.where(above > 0, en.up(high.upper / above) + en.TINY, 1.0).clamp(max=1.0),
    )


def _lp_normalization(call: Call, inputs: Sequence[Interval | None]) -> Interval:
    """x / |x|, every number over the norm's own interval; never outside [-1, 1]."""
    x, axis = _given(inputs, 0), call.integer("axis", -1)
    squares = en.average(en.square(x), lambda t: t.sum(axis, keepdim=True), x.lower.shape[axis])
    squares = Interval(squares.lower.clamp(min=0.0), squares.upper)
    norm = en.monotone(squares, torch.sqrt, 0.0, math.inf)
    known = norm.lower > 0  # else the direction may be any
    safe = Interval(torch.where(known, norm.lower, 1.0), torch.where(known, norm.upper, 1.0))
    found = en.divide(x, safe)
    if found is None:
        raise BoundsError(f"{call.node.where}: its norm may be 0; use a smaller region")
    return Interval(
        torch.where(known, found.lower, -1.0).clamp(min=-1.0),
        torch.where(known, found.upper, 1.0).clamp(max=1.0),
    )


_RULES: dict[str, Rule] = {
    "Conv": _conv,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Add": lambda call, x: en.add(_given(x, 0), _given(x, 1)),
    "Sub": lambda call, x: en.add(_given(x, 0), en.negate(_given(x, 1))),
    "Mul": _mul,
    "Div": _div,
    "Neg": lambda call, x: en.negate(_given(x, 0)),
    "LeakyRelu": _leaky,
    "Sigmoid": lambda call, x: en.monotone(_given(x, 0), torch.sigmoid, 0.0, 1.0),
    "Tanh": lambda call, x: en.monotone(_given(x, 0), torch.tanh, -1.0, 1.0),
    "Exp": lambda call, x: en.monotone(_given(x, 0), torch.exp, 0.0, math.inf),
    "Sqrt": lambda call, x: en.monotone(
        _positive(call, _given(x, 0), strict=False), torch.sqrt, 0.0, math.inf
    ),
    "Log": lambda call, x: en.monotone(
        _positive(call, _given(x, 0), strict=True), torch.log, -math.inf, math.inf
    ),
    "AveragePool": _average,
    "GlobalAveragePool": _average,
    "ReduceSum": _average,
    "ReduceMean": _average,
    "Softmax": _softmax,
    "LpNormalization": _lp_normalization,
    "BatchNormalization": _batch_normalization,
}
