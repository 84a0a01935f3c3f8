"""Shape rules of the operator table; they also check every operator's preconditions.

(Convolution and pooling are in ``windows``.)

Each rule maps a :class:`Call` to the shape of its output and raises UnsupportedOperatorError where
the operator is used in a way whose meaning is not written in the table. Nothing is allocated.
"""

from __future__ import annotations

import math

import numpy as np

from protoproof.network.onnx.node import Call, Shape
from protoproof.network.onnx.windows import LARGEST


def same(call: Call) -> Shape:
    """Elementwise, one data input."""
    return call.shape(0)


def broadcast(call: Call) -> Shape:
    """Elementwise, two data inputs, NumPy broadcasting."""
    left, right = call.shape(0), call.shape(1)
    rank = max(len(left), len(right))
    left = (1,) * (rank - len(left)) + left
    right = (1,) * (rank - len(right)) + right
    if any(a != b and 1 not in (a, b) for a, b in zip(left, right, strict=True)):
        raise call.refuse(f"shapes {left} and {right} do not broadcast; correct the graph")
    return tuple(max(a, b) for a, b in zip(left, right, strict=True))


def gemm(call: Call) -> Shape:
    """alpha * A B + beta * C with optional transposes."""
    left, right = call.shape(0), call.shape(1)
    if len(left) != 2 or len(right) != 2:
        raise call.refuse("both factors must be matrices; flatten before it")
    left = left[::-1] if call.integer("transA", 0) else left
    right = right[::-1] if call.integer("transB", 0) else right
    if left[1] != right[0]:
        raise call.refuse(f"inner sizes {left[1]} and {right[0]} differ; correct the graph")
    result = (left[0], right[1])
    addend = call.shapes[2] if len(call.shapes) > 2 else ()
    for size, wanted in zip(reversed(addend or ()), reversed(result), strict=False):
        if size not in (1, wanted):
            raise call.refuse("the addend does not broadcast to the product; correct it")
    if len(addend or ()) > 2:
        raise call.refuse("the addend has more than two axes; correct it")
    return result


def matmul(call: Call) -> Shape:
    """Matrix product of the last two axes; the axes before broadcast."""
    left, right = call.shape(0), call.shape(1)
    if len(left) < 2 or len(right) < 2:
        raise call.refuse("both factors need at least two axes; reshape before it")
    if left[-1] != right[-2]:
        raise call.refuse(f"inner sizes {left[-1]} and {right[-2]} differ; correct the graph")
    outer = broadcast(Call(call.node, (left[:-2], right[:-2]), (None, None)))
    return (*outer, left[-2], right[-1])


def flatten(call: Call) -> Shape:
    """Two axes: the product of those before ``axis`` and of the others."""
    data = call.shape(0)
    axis = call.integer("axis", 1)
    if not -len(data) <= axis <= len(data):
        raise call.refuse(f"axis {axis} leaves a tensor of rank {len(data)}; correct it")
    axis = axis + len(data) if axis < 0 else axis
    return (math.prod(data[:axis]), math.prod(data[axis:]))


def reshape(call: Call) -> Shape:
    """Target shape from a constant; 0 copies an axis (unless allowzero), -1 is inferred."""
    data, target = call.shape(0), call.static_integers(1)
    if target is None or len(target) > 16:
        raise call.refuse("the target shape is missing or too long; export it as a constant")
    if any(size < -1 for size in target) or target.count(-1) > 1:
        raise call.refuse(f"target shape {list(target)} is malformed; correct it")
    sizes = list(target)
    for axis, size in enumerate(target):
        if size == 0 and (call.integer("allowzero", 0) or axis >= len(data)):
            raise call.refuse("the target shape has a zero axis; correct it")
        sizes[axis] = data[axis] if size == 0 else size
    known = math.prod(size for size in sizes if size != -1)
    if -1 in sizes:
        sizes[sizes.index(-1)] = math.prod(data) // known
    if math.prod(sizes) != math.prod(data):
        raise call.refuse(f"{list(data)} does not reshape to {list(target)}; correct the graph")
    return tuple(sizes)


def permutation(call: Call) -> tuple[int, ...]:
    """The permutation of a Transpose (default: all axes reversed)."""
    rank = len(call.shape(0))
    perm = call.integers("perm")
    perm = tuple(reversed(range(rank))) if perm is None else perm
    if sorted(perm) != list(range(rank)):
        raise call.refuse(f"perm {list(perm)} is no permutation of {rank} axes; correct it")
    return perm


def transpose(call: Call) -> Shape:
    """Axes permuted."""
    data = call.shape(0)
    return tuple(data[axis] for axis in permutation(call))


def squeeze(call: Call) -> Shape:
    """Axes of size 1 removed; which ones must be said."""
    data, axes = call.shape(0), call.axes()
    if axes is None:
        raise call.refuse("axes are not given; export them")
    if any(data[axis] != 1 for axis in axes):
        raise call.refuse("an axis to remove is larger than 1; correct the graph")
    return tuple(size for axis, size in enumerate(data) if axis not in axes)


def new_axes(call: Call) -> tuple[int, ...]:
    """Positions of an Unsqueeze's new axes in the *output*."""
    axes = call.integers("axes") or call.static_integers(1)
    if not axes:
        raise call.refuse("axes are not given; export them")
    return call.normal_axes(axes, len(call.shape(0)) + len(axes))


def unsqueeze(call: Call) -> Shape:
    """Axes of size 1 inserted."""
    sizes = list(call.shape(0))
    for axis in new_axes(call):
        sizes.insert(axis, 1)
    return tuple(sizes)


def reduced_axes(call: Call) -> tuple[int, ...]:
    """Axes that a reduction removes: those given, else all (none with noop_with_empty_axes)."""
    axes = call.axes()
    if axes:
        return axes
    return () if call.integer("noop_with_empty_axes", 0) else tuple(range(len(call.shape(0))))


def reduce(call: Call) -> Shape:
    """Reduced axes become 1 (keepdims, the default) or vanish."""
    axes = reduced_axes(call)
    keep = call.integer("keepdims", 1)
    sizes = ((axis, size) for axis, size in enumerate(call.shape(0)) if keep or axis not in axes)
    return tuple(1 if axis in axes else size for axis, size in sizes)


def concat(call: Call) -> Shape:
    """Sizes add up along one axis, the others agree."""
    shapes = [call.shape(position) for position in range(len(call.shapes))]
    first = shapes[0]
    axis = call.node.attributes.get("axis")
    if not isinstance(axis, int) or not -len(first) <= axis < len(first):
        raise call.refuse("axis is missing or out of range; correct it")
    axis %= len(first)
    others = {shape[:axis] + shape[axis + 1 :] for shape in shapes if len(shape) == len(first)}
    if len(others) != 1 or any(len(shape) != len(first) for shape in shapes):
        raise call.refuse("the inputs differ outside the joined axis; correct the graph")
    return (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])


def pad_widths(call: Call) -> tuple[tuple[int, int], ...]:
    """(before, after) for every axis of a Pad."""
    rank = len(call.shape(0))
    axes: tuple[int, ...] = tuple(range(rank))
    if call.static_integers(3) is not None:
        axes = call.static_integers(3) or ()
        call.normal_axes(axes, rank)
        axes = tuple(axis % rank for axis in axes)  # in the given order, as the pads are
    pads = call.static_integers(1) or ()
    if len(pads) != 2 * len(axes) or any(not 0 <= pad <= LARGEST for pad in pads):
        raise call.refuse("pads need two numbers >= 0 per axis; correct them")
    widths = [(0, 0)] * rank
    for position, axis in enumerate(axes):
        widths[axis] = (pads[position], pads[position + len(axes)])
    return tuple(widths)


def pad(call: Call) -> Shape:
    """Constant padding."""
    if call.node.attributes.get("mode", "constant") != "constant":
        raise call.refuse("only constant padding is supported; export mode=constant")
    call.static_number(2)
    widths = zip(call.shape(0), pad_widths(call), strict=True)
    return tuple(before + size + after for size, (before, after) in widths)


def batch_normalization(call: Call) -> Shape:
    """Inference form: (x - mean) / sqrt(var + epsilon) * scale + bias, constants per channel."""
    data = call.shape(0)
    if len(data) < 2 or any(call.shape(position) != (data[1],) for position in (1, 2, 3, 4)):
        raise call.refuse("scale, bias, mean and variance need one number per channel")
    variance = call.constants[4]
    if any(constant is None for constant in call.constants[1:]) or variance is None:
        raise call.refuse("scale, bias, mean and variance must be constants; export in eval mode")
    if call.integer("training_mode", 0) or not call.number("epsilon", 1e-5) > 0:
        raise call.refuse("training mode or epsilon <= 0; export in eval mode")
    if bool((np.asarray(variance) < 0).any()):
        raise call.refuse("a variance is negative; correct the weights")
    return data


def clip(call: Call) -> Shape:
    """min(max(x, low), high)."""
    low, high = call.static_number(1), call.static_number(2)
    if low is not None and high is not None and low > high:
        raise call.refuse("min exceeds max; correct them")
    return call.shape(0)


def softmax(call: Call) -> Shape:
    """exp(x) / sum of exp(x) over one axis."""
    _one_axis(call)
    return call.shape(0)


def lp_normalization(call: Call) -> Shape:
    """x / |x| over one axis, in the Euclidean norm."""
    _one_axis(call)
    if call.integer("p", 2) != 2:
        raise call.refuse("the norm is not Euclidean (p=2); export it so")
    return call.shape(0)


def _one_axis(call: Call) -> None:
    """Refuse an axis out of range, or the batch axis: no image may depend on another."""
    rank = len(call.shape(0))
    if not rank or call.normal_axes((call.integer("axis", -1),), rank) == (0,):
        raise call.refuse("its axis is the batch axis; export it over another one")


def leaky_relu(call: Call) -> Shape:
    """x for x >= 0, alpha x below; alpha in [0, 1] keeps it increasing and convex."""
    if not 0 <= call.number("alpha", 0.01) <= 1:
        raise call.refuse("alpha leaves [0, 1]; retrain with another activation")
    return call.shape(0)
