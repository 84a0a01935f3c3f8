"""Heads, written once and plainly: squared distances as sums of squares, nothing folded.

Every function adds operators to a graph and gives their result. Which of them make up a family is
said in ``layouts/``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import InputError
from protoproof.importing.writer import Value, Writer

SMALLEST_NORM = 1e-12  # below it a vector is divided by this instead of its length


def prototypes(writer: Writer, name: str) -> NDArray[Any]:
    """Stored prototypes [P, D, 1, 1].

    Raises:
        InputError: they cover more than one location each.
    """
    found = writer.checkpoint.array(name)
    if found.ndim == 2:
        found = found[:, :, None, None]
    if found.ndim != 4 or found.shape[2:] != (1, 1):
        raise InputError(
            f"{writer.checkpoint.path}: prototypes of shape {tuple(found.shape)} cover several "
            "locations, which is not imported; export the network with torch.onnx instead"
        )
    return found


def squared_distances(
    writer: Writer, z: Value, name: str, weights: NDArray[Any] | None = None
) -> Value:
    """|z_l - p_j|^2 [P, H, W] as the sum of squared differences, which does not cancel.

    ``weights`` [P, D]: of each square, where they differ.
    """
    p = prototypes(writer, name)
    _fit(writer, z, p.shape[1], name)
    writer.constant(name, p)
    writer.constant("axis.prototype", [1])
    writer.constant("axis.channel", [2])
    wide = writer.add("Unsqueeze", [z.name, "axis.prototype"], (1, *z.shape))
    apart = writer.add("Sub", [wide.name, name], (len(p), *z.shape))
    squared = writer.join("Mul", apart, apart)
    if weights is not None:
        writer.constant(f"{name}.weights", weights[:, :, None, None])
        squared = writer.add("Mul", [squared.name, f"{name}.weights"], squared.shape)
    grid = (len(p), *z.shape[1:])
    return writer.add("ReduceSum", [squared.name, "axis.channel"], grid, keepdims=0)


def projections(writer: Writer, z: Value, name: str) -> Value:
    """z_l . p_j / |p_j| [P, H, W]: cosines where z is of unit length."""
    p = prototypes(writer, name)
    _fit(writer, z, p.shape[1], name)
    kernels = unit(writer, Value(writer.constant(name, p), p.shape[1:]))
    shape = (len(p), *z.shape[1:])
    return writer.add("Conv", [z.name, kernels.name], shape, kernel_shape=[1, 1])


def unit(writer: Writer, x: Value) -> Value:
    """Vectors along the channels, divided by their lengths."""
    writer.constant("axis.vector", [1])
    writer.constant("norm.smallest", SMALLEST_NORM)
    length = writer.add("ReduceL2", [x.name, "axis.vector"], (1, *x.shape[1:]), keepdims=1)
    length = writer.add("Clip", [length.name, "norm.smallest"], length.shape)
    return writer.add("Div", [x.name, length.name], x.shape)


def pooled(writer: Writer, kind: str, x: Value) -> Value:
    """ReduceMin, ReduceMax or ReduceMean over the locations [P]."""
    writer.constant("axes.location", [2, 3])
    return writer.add(kind, [x.name, "axes.location"], x.shape[:1], keepdims=0)


def largest(writer: Writer, x: Value) -> Value:
    """The largest of all locations [P]."""
    return pooled(writer, "ReduceMax", x)


def smallest(writer: Writer, x: Value) -> Value:
    """The smallest of all locations [P]."""
    return pooled(writer, "ReduceMin", x)


def mean(writer: Writer, x: Value) -> Value:
    """The mean of all locations [P]."""
    return pooled(writer, "ReduceMean", x)


def log_ratio(writer: Writer, d: Value, epsilon: float) -> Value:
    """log((d + 1) / (d + epsilon))."""
    writer.constant("one", 1.0)
    writer.constant("epsilon", epsilon)
    above = writer.add("Add", [d.name, "one"], d.shape)
    below = writer.add("Add", [d.name, "epsilon"], d.shape)
    return writer.apply("Log", writer.join("Div", above, below))


def reciprocal(writer: Writer, d: Value) -> Value:
    """1 / (d + 1)."""
    writer.constant("one", 1.0)
    above = writer.add("Add", [d.name, "one"], d.shape)
    return writer.add("Div", ["one", above.name], d.shape)


def votes(
    writer: Writer, a: Value, name: str, weight: NDArray[Any], bias: str | None = None
) -> Value:
    """W a (+ b) [K]; ``bias`` names a tensor of the checkpoint."""
    _fit(writer, a, weight.shape[1], name)
    inputs = [a.name, writer.constant(name, weight)]
    if bias is not None and writer.checkpoint.has(bias):
        inputs.append(writer.weight(bias))
    return writer.add("Gemm", inputs, (len(weight),), transB=1)


def owners(weight: NDArray[Any]) -> tuple[int, ...]:
    """For readers: the class that each prototype votes for most."""
    return tuple(int(k) for k in np.argmax(weight, axis=0))


def _fit(writer: Writer, x: Value, channels: int, name: str) -> None:
    if x.shape[0] != channels:
        raise InputError(
            f"{writer.checkpoint.path}: '{name}' expects {channels} channels and gets {x.shape[0]}"
        )


# a soft tree: a leaf is its distribution over the classes, a branch (prototype, left, right)
Tree: TypeAlias = "NDArray[Any] | tuple[int, Tree, Tree]"


def soft_tree(writer: Writer, similarity: Value, tree: Tree) -> Value:
    """The leaves, mixed on the way up: (1 - s) left + s right [K]."""
    count = similarity.shape[0]
    writer.constant("one", 1.0)
    names = [f"right.{j}" for j in range(count)]
    node_inputs = [similarity.name]
    if count > 1:
        writer.split(node_inputs[0], names)
    else:
        names = node_inputs
    return _mixed(writer, tree, names, [0])


def _mixed(writer: Writer, tree: Tree, right: Sequence[str], leaves: list[int]) -> Value:
    if not isinstance(tree, tuple):
        leaves[0] += 1
        return Value(writer.constant(f"leaf.{leaves[0]}", tree[None]), tree.shape)
    prototype, *below = tree
    left_value, right_value = (_mixed(writer, part, right, leaves) for part in below)
    goes = right[prototype]
    stays = writer.add("Sub", ["one", goes], (1,))
    a = writer.add("Mul", [stays.name, left_value.name], left_value.shape)
    b = writer.add("Mul", [goes, right_value.name], right_value.shape)
    return writer.join("Add", a, b)
