"""The operators that the propagation knows, each only in the form written here.

An attribute that is not mentioned, a computed weight, another number of inputs: the propagation
ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from protoproof.kernel.arithmetic import exact, outward
from protoproof.kernel.arithmetic.outward import Array, Range
from protoproof.kernel.encoder.affine import (
    AFFINE,
    TEMPORARY,
    Window,
    batch_scale,
    geometry,
    windows,
)
from protoproof.kernel.encoder.step import Step

_PER_BALL = 1 << 16  # what an activation costs that needs balls, in multiply-adds


def _affine(step: Step) -> Range:
    w = AFFINE[step.node.op_type](step)
    return outward.affine(step.data(), w.weight, w.offset, w.apply, w.terms)


def _broadcast(step: Step) -> tuple[Range, Range]:
    step.inputs(2, 2)
    step.only()
    left, right = step.data(0), step.data(1)
    try:
        shape = np.broadcast_shapes(left.low.shape, right.low.shape)
    except ValueError as error:
        raise step.refuse("shapes do not broadcast") from error
    step.room(TEMPORARY * math.prod(shape))
    step.charge(16 * math.prod(shape))
    return left, right


def _add(step: Step) -> Range:
    return outward.plus(*_broadcast(step))


def _sub(step: Step) -> Range:
    left, right = _broadcast(step)
    return outward.plus(left, outward.minus(right))


def _mul(step: Step) -> Range:
    return outward.times(*_broadcast(step))


def _div(step: Step) -> Range:
    left, right = _broadcast(step)
    try:
        return outward.times(left, outward.inverse(right))
    except ZeroDivisionError as error:
        raise step.refuse("the divisor may be 0") from error


def _batch_normalization(step: Step) -> Range:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias, per channel, in inference."""
    mean, factor, bias = batch_scale(step)
    away = outward.plus(step.data(), outward.minus(mean))
    return outward.plus(outward.times(away, factor), bias)


def _both_ends(step: Step, function: Callable[[Array], Array]) -> Range:
    """What is increasing and exact."""
    x = step.data()
    return Range(function(x.low), function(x.high))


def _relu(step: Step) -> Range:
    step.inputs(1, 1)
    step.only()
    return _both_ends(step, lambda v: np.maximum(v, 0.0))


def _leaky_relu(step: Step) -> Range:
    step.inputs(1, 1)
    (alpha,) = step.only(alpha=0.01)
    if not isinstance(alpha, float) or not 0 <= alpha <= 1:
        raise step.refuse("a slope outside [0, 1]")
    slope = float(np.float32(alpha))
    x = step.data()
    low = np.where(x.low < 0, outward.below(slope * x.low), x.low)
    return Range(low, np.where(x.high < 0, outward.above(slope * x.high), x.high))


def _clip(step: Step) -> Range:
    names = step.inputs(1, 3)
    step.only()
    limits = [-math.inf, math.inf]
    for position in range(1, len(names)):
        if names[position]:
            limit = step.constant(position)
            if limit.size != 1:
                raise step.refuse("a limit is no scalar")
            limits[position - 1] = float(limit.reshape(-1)[0])
    low, high = limits
    if low > high:
        raise step.refuse("min exceeds max")
    return _both_ends(step, lambda v: np.minimum(np.maximum(v, low), high))


def _charge_balls(step: Step) -> None:
    count = step.data().low.size
    step.charge(_PER_BALL * count)
    step.room(16 * count)  # lists of Python's floats


def _sigmoid(step: Step) -> Range:
    step.inputs(1, 1)
    step.only()
    _charge_balls(step)
    found = outward.increasing(step.data(), exact.sigmoid)
    return Range(np.maximum(found.low, 0.0), np.minimum(found.high, 1.0))


def _tanh(step: Step) -> Range:
    step.inputs(1, 1)
    step.only()
    _charge_balls(step)
    found = outward.increasing(step.data(), lambda v: v.tanh())
    return Range(np.maximum(found.low, -1.0), np.minimum(found.high, 1.0))


def _pool_shape(step: Step, own: str, *, matters: bool) -> Window:
    """The window; ``own``: an attribute of this pool alone, that has to be 0 where it matters."""
    step.inputs(1, 1)
    kernel, strides, dilations, pads, auto, ceil, other = step.only(
        kernel_shape=None, strides=[1, 1], dilations=[1, 1], pads=[0, 0, 0, 0], auto_pad="NOTSET",
        ceil_mode=0, **{own: 0},
    )  # fmt: skip
    if ceil or (matters and other) or step.data().low.ndim != 4 or step.data().low.shape[0] != 1:
        raise step.refuse("only plain windows over rows and columns are known here")
    shape = geometry(step, kernel, strides, dilations, pads, auto)
    _, channels, rows, columns = step.data().low.shape
    top, left, bottom, right = shape.pads
    places = (rows + top + bottom) * (columns + left + right) // math.prod(shape.strides)
    step.charge(2 * channels * (places + 1) * math.prod(shape.kernel))
    step.room(TEMPORARY * channels * (places + 1))
    return shape


def _max_pool(step: Step) -> Range:
    shape = _pool_shape(step, "storage_order", matters=True)
    if any(2 * pad > kernel for pad, kernel in zip(shape.pads, shape.kernel * 2, strict=True)):
        raise step.refuse("pads beyond half the window")
    return _both_ends(step, lambda v: windows(v, shape, -np.inf).max(axis=(3, 4))[None])


def _average_pool(step: Step) -> Range:
    shape = _pool_shape(step, "count_include_pad", matters=False)  # of no padding
    if any(shape.pads):
        raise step.refuse("padding is not known here")
    return outward.mean(
        step.data(),
        lambda v: windows(v, shape, 0.0).sum(axis=(3, 4))[None],
        math.prod(shape.kernel),
    )


def _global_average_pool(step: Step) -> Range:
    step.inputs(1, 1)
    step.only()
    x = step.data()
    if x.low.ndim != 4:
        raise step.refuse("its input has not four axes")
    terms = math.prod(x.low.shape[2:])
    return outward.mean(x, lambda v: v.sum(axis=(2, 3), keepdims=True), terms)


def _flatten(step: Step) -> Range:
    step.inputs(1, 1)
    (axis,) = step.only(axis=1)
    if axis != 1:
        raise step.refuse("only axis 1 is known here")
    return _both_ends(step, lambda v: v.reshape(len(v), -1))


def _reshape(step: Step) -> Range:
    """0 copies an axis, -1 is what is left; one image stays one image."""
    names = step.inputs(2, 2)
    (allow,) = step.only(allowzero=0)
    target = list(step.values.graph.integers(names[1]))
    before = step.data().low.shape
    if allow or target.count(-1) > 1 or any(size < -1 for size in target):
        raise step.refuse(f"target {target} is not known here")
    if any(size == 0 and axis >= len(before) for axis, size in enumerate(target)):
        raise step.refuse(f"target {target} copies an axis that is not there")
    sizes = [before[axis] if size == 0 else size for axis, size in enumerate(target)]
    known = math.prod(size for size in sizes if size > 0)
    if -1 in sizes and known:
        sizes[sizes.index(-1)] = math.prod(before) // known
    if math.prod(sizes) != math.prod(before) or sizes[:1] != [1]:
        raise step.refuse(f"{list(before)} does not reshape to {target}")
    return _both_ends(step, lambda v: v.reshape(sizes))


def _transpose(step: Step) -> Range:
    step.inputs(1, 1)
    rank = step.data().low.ndim
    (perm,) = step.only(perm=list(range(rank))[::-1])
    if not isinstance(perm, list) or sorted(perm) != list(range(rank)) or perm[0] != 0:
        raise step.refuse("only permutations that keep the first axis are known here")
    return _both_ends(step, lambda v: v.transpose(perm))


def _identity(step: Step) -> Range:
    step.inputs(1, 1)
    return step.data()


def _dropout(step: Step) -> Range:
    step.inputs(1, 2)  # the third input would ask for training
    step.only(seed=0)
    return step.data()


def _neg(step: Step) -> Range:
    step.inputs(1, 1)
    step.only()
    return outward.minus(step.data())


RULES: dict[str, Callable[[Step], Range]] = {
    "Add": _add,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_normalization,
    "Clip": _clip,
    "Conv": _affine,
    "Div": _div,
    "Dropout": _dropout,
    "Flatten": _flatten,
    "Gemm": _affine,
    "GlobalAveragePool": _global_average_pool,
    "Identity": _identity,
    "LeakyRelu": _leaky_relu,
    "MatMul": _affine,
    "MaxPool": _max_pool,
    "Mul": _mul,
    "Neg": _neg,
    "Relu": _relu,
    "Reshape": _reshape,
    "Sigmoid": _sigmoid,
    "Sub": _sub,
    "Tanh": _tanh,
    "Transpose": _transpose,
}

# what only moves numbers, each to one place
MOVES = frozenset({"Dropout", "Flatten", "Identity", "Reshape", "Transpose"})
