"""Torch meanings of the operator table.

Each function takes the :class:`Call` and the tensors of the operator's data inputs (static inputs
such as axes are read from the call) and works for any float dtype and device. Where a tensor has
batch axis 1 in the graph, the meaning extends to any batch (the graph was checked for that).
Torch is imported inside the functions: reading a model must not wait for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protoproof.network.onnx import shapes, windows
from protoproof.network.onnx.node import Call, Shape

if TYPE_CHECKING:
    from torch import Tensor


def conv(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Cross-correlation, as both ONNX and torch call it convolution."""
    from torch.nn import functional

    w = windows.window(call, call.shape(1)[2:])
    padding = (w.pads[0], w.pads[1])
    if not w.symmetric:
        x, padding = functional.pad(x, (w.pads[1], w.pads[3], w.pads[0], w.pads[2])), (0, 0)
    group = call.integer("group", 1)
    return functional.conv2d(x, weight, bias, w.strides, padding, w.dilations, group)


def gemm(call: Call, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """alpha * A B + beta * C; the plain case as one linear layer."""
    from torch.nn import functional

    a = a.T if call.integer("transA", 0) else a
    alpha, beta = call.number("alpha", 1.0), call.number("beta", 1.0)
    plain = c is None or (c.ndim == 1 and c.shape[0] != 1)
    if alpha == beta == 1 and plain:
        return functional.linear(a, b if call.integer("transB", 0) else b.T, c)
    product = alpha * (a @ (b.T if call.integer("transB", 0) else b))
    return product if c is None else product + beta * c


def max_pool(call: Call, x: Tensor) -> Tensor:
    """Padding counts as minus infinity."""
    from torch.nn import functional

    w = windows.window(call, None)
    return functional.max_pool2d(x, w.kernel, w.strides, w.pads[:2], w.dilations)


def average_pool(call: Call, x: Tensor) -> Tensor:
    """Padding counts as zeros, or not at all (count_include_pad=0, the default)."""
    from torch.nn import functional

    w = windows.window(call, None)
    count = bool(call.integer("count_include_pad", 0))
    return functional.avg_pool2d(x, w.kernel, w.strides, w.pads[:2], False, count)


def flatten(call: Call, x: Tensor) -> Tensor:
    """Two axes, row-major."""
    return _reshaped(x, call.shape(0), shapes.flatten(call))


def reshape(call: Call, x: Tensor) -> Tensor:
    """Any shape, row-major."""
    return _reshaped(x, call.shape(0), shapes.reshape(call))


def squeeze(call: Call, x: Tensor) -> Tensor:
    """Axes of size 1 removed."""
    return _reshaped(x, call.shape(0), shapes.squeeze(call))


def unsqueeze(call: Call, x: Tensor) -> Tensor:
    """Axes of size 1 inserted."""
    return _reshaped(x, call.shape(0), shapes.unsqueeze(call))


def _reshaped(x: Tensor, before: Shape, after: Shape) -> Tensor:
    if before[:1] == after[:1] == (1,):  # the batch axis stays in front
        return x.flatten(1) if len(after) == 2 else x.reshape(x.shape[0], *after[1:])
    return x.reshape(after)


def transpose(call: Call, x: Tensor) -> Tensor:
    """Axes permuted."""
    return x.permute(shapes.permutation(call))


def reduce_sum(call: Call, x: Tensor) -> Tensor:
    """Sum over axes."""
    axes = shapes.reduced_axes(call)
    return x.sum(axes, keepdim=_keep(call)) if axes else x


def reduce_mean(call: Call, x: Tensor) -> Tensor:
    """Mean over axes."""
    axes = shapes.reduced_axes(call)
    return x.mean(axes, keepdim=_keep(call)) if axes else x


def reduce_max(call: Call, x: Tensor) -> Tensor:
    """Largest over axes."""
    axes = shapes.reduced_axes(call)
    return x.amax(axes, keepdim=_keep(call)) if axes else x


def reduce_min(call: Call, x: Tensor) -> Tensor:
    """Smallest over axes."""
    axes = shapes.reduced_axes(call)
    return x.amin(axes, keepdim=_keep(call)) if axes else x


def _keep(call: Call) -> bool:
    return bool(call.integer("keepdims", 1))


def global_average_pool(_: Call, x: Tensor) -> Tensor:
    """Mean over rows and columns."""
    return x.mean((2, 3), keepdim=True)


def global_max_pool(_: Call, x: Tensor) -> Tensor:
    """Largest over rows and columns."""
    return x.amax((2, 3), keepdim=True)


def concat(call: Call, *tensors: Tensor) -> Tensor:
    """Joined along one axis."""
    import torch

    return torch.cat(tensors, dim=call.integer("axis", 0))


def pad(call: Call, x: Tensor) -> Tensor:
    """Constant padding; torch counts axes from the last."""
    from torch.nn import functional

    widths = [width for pair in reversed(shapes.pad_widths(call)) for width in pair]
    return functional.pad(x, widths, value=call.static_number(2) or 0.0)


def clip(call: Call, x: Tensor) -> Tensor:
    """min(max(x, low), high); without limits the identity."""
    low, high = call.static_number(1), call.static_number(2)
    return x if low is None and high is None else x.clamp(low, high)


def softmax(call: Call, x: Tensor) -> Tensor:
    """exp(x) / sum of exp(x) over one axis."""
    return x.softmax(call.integer("axis", -1))


def lp_normalization(call: Call, x: Tensor) -> Tensor:
    """x / |x| over one axis; ONNX Runtime leaves zero vectors zero."""
    norm = (x * x).sum(call.integer("axis", -1), keepdim=True).sqrt()
    return x / norm.where(norm > 0, norm.new_ones(()))


def leaky_relu(call: Call, x: Tensor) -> Tensor:
    """x for x >= 0, alpha x below."""
    from torch.nn import functional

    return functional.leaky_relu(x, call.number("alpha", 0.01))


def batch_normalization(
    call: Call, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    """Inference form."""
    from torch.nn import functional

    epsilon = call.number("epsilon", 1e-5)
    return functional.batch_norm(x, mean, variance, scale, bias, False, 0.0, epsilon)
