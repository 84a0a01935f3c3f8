"""Affine operators with stored numbers: the matrix that a node applies, and its transpose.

Two kinds: sums of products (Conv, Gemm, MatMul), and one factor and one addend per number (Add,
Sub, Mul, Div with a constant, Neg, BatchNormalization). Each only in the form written here; an
attribute that is not mentioned, a computed weight, another number of inputs: the propagation ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from protoproof.kernel.arithmetic import outward
from protoproof.kernel.arithmetic.outward import Array, Range
from protoproof.kernel.budget import room, spend
from protoproof.kernel.encoder.step import ReplayError, Step

# Arrays of the size of an operator's inputs, or of its output, that are alive at once while it is
# computed: both ends, corners of products, sums of absolute values, and what rounds them.
TEMPORARY = 12
_PER_PADDED = 32  # steps that a number of a padded image costs, whatever the window does with it


class Affine(NamedTuple):
    """y = W x + c with stored W and c, for one image.

    ``apply(W, x)`` [1, ...] is linear in both and adds up ``terms`` products per number;
    ``back(rows)`` takes [row, ...] of the shape of y to the rows times W, of the shape of x, each
    number a sum of at most ``back_terms`` products; it costs ``work`` multiply-adds per row.
    """

    weight: Array
    offset: Array
    apply: Callable[[Array, Array], Array]
    terms: int
    back: Callable[[Array], Array]
    back_terms: int
    work: int


class Scale(NamedTuple):
    """y = factor * x + offset, number by number, with ``x`` the input of that name."""

    name: str
    factor: Range
    offset: Range


def pairs(step: Step, value: object, count: int) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) != count or any(v < 0 for v in value):
        raise step.refuse(f"{value!r} are not {count} sizes")
    return tuple(int(v) for v in value)


class Window(NamedTuple):
    """A window that slides over rows and columns; pads are (top, left, bottom, right)."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]


def windows(x: Array, window: Window, fill: float) -> Array:
    """[1, C, H, W] -> [C, rows, columns, kernel rows, kernel columns]."""
    kernel, strides, dilations, (top, left, bottom, right) = window
    numbers = len(x[0]) * (x.shape[2] + top + bottom) * (x.shape[3] + left + right)
    spend("a window", _PER_PADDED * numbers)
    room("a window", 24 * numbers)
    padded = np.pad(x[0], ((0, 0), (top, bottom), (left, right)), constant_values=fill)
    span = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    if span[0] > padded.shape[1] or span[1] > padded.shape[2]:
        raise ReplayError("a window is larger than its input")
    view: Array = sliding_window_view(padded, (span[0], span[1]), axis=(1, 2))
    return view[:, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]


def geometry(
    step: Step, kernel: object, strides: object, dilations: object, pads: object, auto: object
) -> Window:
    if auto != "NOTSET":
        raise step.refuse("automatic padding is not known here")
    shape = pairs(step, kernel, 2), pairs(step, strides, 2), pairs(step, dilations, 2)
    if any(v < 1 for part in shape for v in part):
        raise step.refuse("a kernel, stride or dilation of 0")
    return Window(*shape, pairs(step, pads, 4))


def _conv(step: Step) -> Affine:
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
    shape = geometry(step, kernel, strides, dilations, pads, auto)
    if list(shape.kernel) != size or group != 1 or x.low.shape[1] != weight.shape[1]:
        raise step.refuse("weight, groups and channels do not fit, or there are several groups")
    count = len(weight)
    bias = step.constant(2) if len(names) == 3 and names[2] else np.zeros(count)
    if bias.shape != (count,):
        raise step.refuse("the bias does not fit")
    terms = math.prod(weight.shape[1:])
    rows, columns = windows(x.low, shape, 0.0).shape[1:3]
    step.charge(5 * terms * count * rows * columns)
    step.room((3 * terms + TEMPORARY * count) * rows * columns)

    def apply(w: Array, image: Array) -> Array:
        gathered = windows(image, shape, 0.0).transpose(0, 3, 4, 1, 2).reshape(terms, -1)
        return np.asarray((w.reshape(count, terms) @ gathered).reshape(1, count, rows, columns))

    def back(given: Array) -> Array:
        return _scattered(weight, given, x.low.shape[1:], shape)

    return Affine(
        weight,
        bias[None, :, None, None],
        apply,
        terms,
        back,
        count * math.prod(size),
        terms * count * rows * columns,
    )


def _scattered(weight: Array, given: Array, image: tuple[int, ...], window: Window) -> Array:
    """The transpose of a convolution: [row, K, rows, columns] -> [row, C, H, W].

    One place of the kernel after the other: all together would take as many times the memory.
    """
    top, left, bottom, right = window.pads
    channels, height, width = image
    shape = len(given), channels, height + top + bottom, width + left + right
    spend("linear bounds", _PER_PADDED * math.prod(shape))
    room("linear bounds", 24 * math.prod(shape))
    padded = np.zeros(shape)
    places = given.shape[2:]
    flat = given.reshape(len(given), len(weight), -1)
    for i, j in np.ndindex(*window.kernel):
        row, column = i * window.dilations[0], j * window.dilations[1]
        down, across = (
            slice(start, start + (count - 1) * stride + 1, stride)
            for start, count, stride in zip((row, column), places, window.strides, strict=True)
        )
        part = weight[:, :, i, j].T @ flat
        padded[:, :, down, across] += part.reshape(len(given), channels, *places)
    return padded[:, :, top : top + height, left : left + width]


def _gemm(step: Step) -> Affine:
    names = step.inputs(2, 3)
    alpha, beta, trans_a, trans_b = step.only(alpha=1.0, beta=1.0, transA=0, transB=0)
    if (alpha, beta, trans_a) != (1.0, 1.0, 0):
        raise step.refuse("only alpha = beta = 1 and no transposed data are known here")
    weight = step.constant(1) if trans_b else step.constant(1).T
    offset = step.constant(2) if len(names) == 3 and names[2] else np.zeros(len(weight))
    return _rows(step, weight, offset)


def _matmul(step: Step) -> Affine:
    step.inputs(2, 2)
    step.only()
    weight = step.constant(1).T
    return _rows(step, weight, np.zeros(len(weight)))


def _rows(step: Step, weight: Array, offset: Array) -> Affine:
    x = step.data()
    if weight.ndim != 2 or x.low.ndim != 2 or x.low.shape[1] != weight.shape[1]:
        raise step.refuse("the factors do not fit, or are no matrices")
    if offset.ndim > 2 or np.broadcast_shapes(offset.shape, (1, len(weight))) != (1, len(weight)):
        raise step.refuse("the addend does not fit")
    step.charge(5 * weight.size)
    step.room(TEMPORARY * (weight.size + len(weight)))
    return Affine(
        weight,
        offset,
        lambda w, v: v @ w.T,
        weight.shape[1],
        lambda given: given @ weight,
        len(weight),
        weight.size,
    )


AFFINE: dict[str, Callable[[Step], Affine]] = {"Conv": _conv, "Gemm": _gemm, "MatMul": _matmul}


def batch_scale(step: Step) -> tuple[Range, Range, Range]:
    """(mean, scale / sqrt(variance + epsilon), bias) per channel, in inference, broadcastable."""
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

    def wide(values: Range) -> Range:
        return Range(*(end.reshape(-1, *[1] * (x.low.ndim - 2)) for end in values))

    factor = outward.times(Range(scale, scale), outward.inverse(root))
    return wide(Range(average, average)), wide(factor), wide(Range(bias, bias))


def below_root(values: Array) -> Array:
    """Below sqrt of every number between the neighbours of a positive value."""
    return outward.below(np.sqrt(np.maximum(outward.below(values), 0.0)))


def above_root(values: Array) -> Array:
    """Above sqrt, in the same way."""
    return outward.above(np.sqrt(outward.above(values)))


def scale_of(step: Step) -> Scale | None:
    """What a node does to every number of its one computed input; None for other nodes.

    The node's own rule has already seen to its form. None also where broadcasting repeats numbers.
    """
    kind, names = step.node.op_type, list(step.node.input)
    one = Range(np.ones(()), np.ones(()))
    none = Range(np.zeros(()), np.zeros(()))
    if kind == "Neg":
        return _fitting(step, Scale(names[0], outward.minus(one), none))
    if kind == "BatchNormalization":
        mean, factor, bias = batch_scale(step)
        return _fitting(
            step,
            Scale(names[0], factor, outward.plus(bias, outward.minus(outward.times(mean, factor)))),
        )
    if kind not in ("Add", "Sub", "Mul", "Div") or len(names) != 2:
        return None
    fixed = [step.values.stored(name) for name in names]
    if sum(fixed) != 1:
        return None
    constant, name = step.data(fixed.index(True)), names[fixed.index(False)]
    first = fixed.index(False) == 0  # whether the computed input comes first
    if kind == "Add":
        found = Scale(name, one, constant)
    elif kind == "Sub":
        found = Scale(name, one, outward.minus(constant))
        if not first:
            found = Scale(name, outward.minus(one), constant)
    elif kind == "Mul":
        found = Scale(name, constant, none)
    elif first:
        found = Scale(name, outward.inverse(constant), none)
    else:
        return None
    return _fitting(step, found)


def _fitting(step: Step, scale: Scale) -> Scale | None:
    """With factor and offset of the input's own shape."""
    shape = step.values.value(scale.name).low.shape
    ends = [*scale.factor, *scale.offset]
    if any(np.broadcast_shapes(end.shape, shape) != shape for end in ends):
        return None
    low, high, least, most = (np.broadcast_to(end, shape) for end in ends)
    return Scale(scale.name, Range(low, high), Range(least, most))
