"""Index arrays that hold one number per *varying* axis: sites x rows are never written out.

A value of the evaluator has a logical shape and several component arrays of the same rank. An array
is *compact*: it has size 1 along every axis on which it does not vary. The squared distances
[1, P, H, W] of P prototypes at H * W locations are thus two arrays, sites [1, 1, H, W] and rows
[1, P, 1, 1]. Layout operators run on stride-0 views of the logical shape (numpy's own code moves
the elements), and the result is made compact again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.network.head.refusal import NotRecognisedError

Array = NDArray[Any]
Shape = tuple[int, ...]

# numbers that one component may hold; a factored head never comes near it
MOST_NUMBERS = 1 << 25


def compact(array: Array) -> Array:
    """One entry along every axis of stride 0 (what ``numpy.broadcast_to`` made)."""
    cut = tuple(
        slice(0, 1) if stride == 0 and size > 1 else slice(None)
        for size, stride in zip(array.shape, array.strides, strict=True)
    )
    return array[cut]


def condense(array: Array, kept: Shape = ()) -> Array:
    """:func:`compact`, and one entry along axes on which all stored entries are equal too.

    A prototype tensor that an exporter stored expanded over the grid varies by prototype only.

    Args:
        kept: axes on which stored entries stay, equal or not.
    """
    array = compact(array)
    for axis, size in enumerate(array.shape):
        if size > 1 and axis not in kept:
            first = array[(slice(None),) * axis + (slice(0, 1),)]
            if (array == first).all():
                array = first
    return array


def lift(array: Array, rank: int) -> Array:
    """Ones put in front of the shape, as broadcasting does."""
    return array.reshape((1,) * (rank - array.ndim) + array.shape)


def view(array: Array, shape: Shape) -> Array:
    """The logical array as a view that owns no numbers."""
    return np.broadcast_to(array, shape)


def moved(array: Array, shape: Shape, move: Callable[[Array], Array]) -> Array:
    """A layout operator that numpy does on views (Transpose, Slice, Expand ...), on a component."""
    return compact(move(view(array, shape)))


def reshaped(array: Array, shape: Shape, new: Shape) -> Array:
    """Reshape of one component.

    Raises:
        NotRecognisedError: axes are merged so that the component has to be written out, and it is
            too large for that.
    """
    if array.size == 1:
        return array.reshape((1,) * len(new))
    logical = view(array, shape).view()
    try:
        logical.shape = new  # raises where numpy would have to copy
    except AttributeError:
        if math.prod(shape) > MOST_NUMBERS:
            raise NotRecognisedError(
                f"a tensor of {math.prod(shape)} elements is too large to follow"
            ) from None
        return condense(view(array, shape).reshape(new))
    return compact(logical)


def taken(array: Array, index: Array, axis: int) -> Array:
    """``numpy.take`` along one axis, on the compact array."""
    if array.shape[axis] == 1:
        shape = (*array.shape[:axis], *(1,) * index.ndim, *array.shape[axis + 1 :])
        return array.reshape(shape)
    return np.take(array, index, axis=axis)


def joined(arrays: Sequence[Array], shapes: Sequence[Shape], axis: int) -> Array:
    """Compact components concatenated along ``axis``."""
    rest = np.broadcast_shapes(*[_without(array.shape, axis) for array in arrays])
    parts = []
    for array, shape in zip(arrays, shapes, strict=True):
        target = (*rest[:axis], shape[axis], *rest[axis:])
        parts.append(np.broadcast_to(array, target))
    first = parts[0].reshape(-1)[:1] if parts[0].size else None
    if first is not None and all((array == first).all() for array in arrays):
        return np.asarray(first).reshape((1,) * len(shapes[0]))
    return np.concatenate(parts, axis)


def _without(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], *shape[axis + 1 :])


def one(value: float, rank: int) -> NDArray[np.float64]:
    """The same number everywhere."""
    return np.full((1,) * rank, value)


def axes_of(array: Array) -> tuple[int, ...]:
    """Axes on which a compact array varies."""
    return tuple(axis for axis, size in enumerate(array.shape) if size > 1)
