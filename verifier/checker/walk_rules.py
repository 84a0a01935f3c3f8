"""The operators that the walk knows, each only in the form written here.

An attribute that is not mentioned, a computed weight, another number of inputs: the walk ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from verifier.checker import outward
from verifier.checker.outward import Array, Range
from verifier.checker.walk_step import ReplayError, Step

MAX_NUMBERS = 1 << 26  # of one array


def _pairs(step: Step, value: object, count: int) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) != count or any(v < 0 for v in value):
        raise step.refuse(f"{value!r} are not {count} sizes")
    return tuple(int(v) for v in value)


class Window(NamedTuple):
    """A window that slides over rows and columns; pads are (top, left, bottom, right)."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]


def _windows(x: Array, window: Window, fill: float) -> Array:
    """[1, C, H, W] -> [C, rows, columns, kernel rows, kernel columns]."""
    kernel, strides, dilations, (top, left, bottom, right) = window
    if len(x[0]) * (x.shape[2] + top + bottom) * (x.shape[3] + left + right) > MAX_NUMBERS:
        raise ReplayError("too many numbers under a window to be replayed")
    padded = np.pad(x[0], ((0, 0), (top, bottom), (left, right)), constant_values=fill)
    span = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    if span[0] > padded.shape[1] or span[1] > padded.shape[2]:
        raise ReplayError("a window is larger than its input")
    view: Array = sliding_window_view(padded, (span[0], span[1]), axis=(1, 2))
    return view[:, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]


def _geometry(
    step: Step, kernel: object, strides: object, dilations: object, pads: object, auto: object
) -> Window:
    if auto not in (b"NOTSET", "NOTSET"):
        raise step.refuse("automatic padding is not known here")
    shape = _pairs(step, kernel, 2), _pairs(step, strides, 2), _pairs(step, dilations, 2)
    if any(v < 1 for part in shape for v in part):
        raise step.refuse("a kernel, stride or dilation of 0")
    return Window(*shape, _pairs(step, pads, 4))


def _conv(step: Step) -> Range:
    names = step.inputs(2, 3)
    weight = step.constant(1)
    x = step.data()
    if weight.ndim != 4 or x.low.ndim != 4 or x.low.shape[0] != 1:
        raise step.refuse("only two-dimensional convolutions of one image are known here")
    size = list(weight.shape[2:])
    group, kernel, strides, dilations, pads, auto = step.only(
        group=1, kernel_shape=size, strides=[1, 1], dilations=[1, 1], pads=[0, 0, 0, 0],
        auto_pad="NOTSET",
    )  # fmt: skip
    shape = _geometry(step, kernel, strides, dilations, pads, auto)
    if list(shape.kernel) != size or group != 1 or x.low.shape[1] != weight.shape[1]:
        raise step.refuse("weight, groups and channels do not fit, or there are several groups")
    bias = step.constant(2) if len(names) == 3 and names[2] else np.zeros(len(weight))
    if bias.shape != (len(weight),):
        raise step.refuse("the bias does not fit")
    terms = math.prod(weight.shape[1:])
    rows, columns = _windows(x.low, shape, 0.0).shape[1:3]
    step.charge(5 * terms * len(weight) * rows * columns)
    if terms * rows * columns > MAX_NUMBERS:
        raise step.refuse("too large to be replayed")

    def apply(w: Array, image: Array) -> Array:
        gathered = _windows(image, shape, 0.0).transpose(0, 3, 4, 1, 2).reshape(terms, -1)
        return np.asarray(w.reshape(len(w), terms) @ gathered)

    flat = outward.affine(x, weight, bias[:, None], apply, terms)
    return Range(*(end.reshape(1, len(weight), rows, columns) for end in flat))


def _gemm(step: Step) -> Range:
    names = step.inputs(2, 3)
    alpha, beta, trans_a, trans_b = step.only(alpha=1.0, beta=1.0, transA=0, transB=0)
    if (alpha, beta, trans_a) != (1.0, 1.0, 0):
        raise step.refuse("only alpha = beta = 1 and no transposed data are known here")
    weight = step.constant(1) if trans_b else step.constant(1).T
    offset = step.constant(2) if len(names) == 3 and names[2] else np.zeros(len(weight))
    return _rows(step, weight, offset)


def _matmul(step: Step) -> Range:
    step.inputs(2, 2)
    step.only()
    weight = step.constant(1).T
    return _rows(step, weight, np.zeros(len(weight)))


def _rows(step: Step, weight: Array, offset: Array) -> Range:
    x = step.data()
    if weight.ndim != 2 or x.low.ndim != 2 or x.low.shape[1] != weight.shape[1]:
        raise step.refuse("the factors do not fit, or are no matrices")
    if offset.ndim > 2 or np.broadcast_shapes(offset.shape, (1, len(weight))) != (1, len(weight)):
        raise step.refuse("the addend does not fit")
    step.charge(5 * weight.size)
    return outward.affine(x, weight, offset, lambda w, v: v @ w.T, weight.shape[1])


def _broadcast(step: Step) -> tuple[Range, Range]:
    step.inputs(2, 2)
    step.only()
    left, right = step.data(0), step.data(1)
    try:
        shape = np.broadcast_shapes(left.low.shape, right.low.shape)
    except ValueError as error:
        raise step.refuse("shapes do not broadcast") from error
    if math.prod(shape) > MAX_NUMBERS:
        raise step.refuse("too many numbers to be replayed")
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
    step.inputs(5, 5)
    epsilon, _, training = step.only(epsilon=1e-5, momentum=0.9, training_mode=0)
    if training or not isinstance(epsilon, float) or epsilon <= 0:
        raise step.refuse("training mode, or epsilon <= 0")
    x = step.data()
    scale, bias, average, variance = (step.constant(i) for i in (1, 2, 3, 4))
    shape = (x.low.shape[1],) if x.low.ndim > 1 else ()
    if any(c.shape != shape for c in (scale, bias, average, variance)) or (variance < 0).any():
        raise step.refuse("its constants do not fit, or a variance is negative")
    stated = np.float64(np.float32(epsilon))
    total = variance + stated
    root = Range(below_root(total), above_root(total))

    def wide(values: Array) -> Array:
        return values.reshape(-1, *[1] * (x.low.ndim - 2))

    factor = outward.times(Range(scale, scale), outward.inverse(root))
    away = outward.plus(x, Range(wide(-average), wide(-average)))
    scaled = outward.times(away, Range(wide(factor.low), wide(factor.high)))
    return outward.plus(scaled, Range(wide(bias), wide(bias)))


def below_root(values: Array) -> Array:
    """Below sqrt of every number between the neighbours of a positive value."""
    return outward.below(np.sqrt(np.maximum(outward.below(values), 0.0)))


def above_root(values: Array) -> Array:
    """Above sqrt, in the same way."""
    return outward.above(np.sqrt(outward.above(values)))


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


def _sigmoid(step: Step) -> Range:
    step.inputs(1, 1)
    step.only()
    step.charge(64 * step.data().low.size)
    found = outward.increasing(step.data(), outward.sigmoid)
    return Range(np.maximum(found.low, 0.0), np.minimum(found.high, 1.0))


def _tanh(step: Step) -> Range:
    step.inputs(1, 1)
    step.only()
    step.charge(64 * step.data().low.size)
    found = outward.increasing(step.data(), lambda v: v.tanh())
    return Range(np.maximum(found.low, -1.0), np.minimum(found.high, 1.0))


def _pool_shape(step: Step, **more: object) -> Window:
    step.inputs(1, 1)
    kernel, strides, dilations, pads, auto, ceil, *others = step.only(
        kernel_shape=None, strides=[1, 1], dilations=[1, 1], pads=[0, 0, 0, 0], auto_pad="NOTSET",
        ceil_mode=0, **more,
    )  # fmt: skip
    if ceil or any(others) or step.data().low.ndim != 4 or step.data().low.shape[0] != 1:
        raise step.refuse("only plain windows over rows and columns are known here")
    shape = _geometry(step, kernel, strides, dilations, pads, auto)
    _, channels, rows, columns = step.data().low.shape
    top, left, bottom, right = shape.pads
    places = (rows + top + bottom) * (columns + left + right) // math.prod(shape.strides)
    step.charge(2 * channels * (places + 1) * math.prod(shape.kernel))
    return shape


def _max_pool(step: Step) -> Range:
    shape = _pool_shape(step, storage_order=0)
    if any(2 * pad > kernel for pad, kernel in zip(shape.pads, shape.kernel * 2, strict=True)):
        raise step.refuse("pads beyond half the window")
    return _both_ends(step, lambda v: _windows(v, shape, -np.inf).max(axis=(3, 4))[None])


def _average_pool(step: Step) -> Range:
    shape = _pool_shape(step, count_include_pad=0)
    if any(shape.pads):
        raise step.refuse("padding is not known here")
    return outward.mean(
        step.data(),
        lambda v: _windows(v, shape, 0.0).sum(axis=(3, 4))[None],
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
    "Conv": _conv,
    "Div": _div,
    "Dropout": _dropout,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average_pool,
    "Identity": _identity,
    "LeakyRelu": _leaky_relu,
    "MatMul": _matmul,
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
