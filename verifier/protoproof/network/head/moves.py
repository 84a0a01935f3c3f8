"""Layout operators: executed on index arrays, whatever they describe."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from onnx import TensorProto

from protoproof.network.head.arithmetic import unknown
from protoproof.network.head.constants import Numbers
from protoproof.network.head.layout import Array, Shape, moved, reshaped, taken
from protoproof.network.head.refusal import NotRecognisedError, NumberTypeError
from protoproof.network.head.symbols import (
    Combination,
    Entries,
    Joined,
    Measured,
    Move,
    Pooled,
    Ranked,
    Several,
    Share,
    Tree,
    Value,
)
from protoproof.network.head.tables import Tables
from protoproof.network.head.view import Op

Inputs = Sequence[Value | None]
_FLOAT_TYPES = {1: "float32", 11: "float64"}


def integers(value: Value | None, what: str) -> tuple[int, ...]:
    """A constant vector of integers.

    Raises:
        NotRecognisedError: it is computed from the latent, or missing.
    """
    if not isinstance(value, Numbers):
        raise NotRecognisedError(f"{what} that depends on the input")
    return tuple(int(v) for v in np.asarray(value.high).reshape(-1))


def axes_of_node(node: Op, inputs: Inputs, rank: int, place: int = 1) -> tuple[int, ...] | None:
    """Axes from the attribute or an input, from 0 on and in order; None where left out."""
    axes = node.integers("axes")
    if axes is None:
        if len(inputs) <= place or inputs[place] is None:
            return None
        axes = integers(inputs[place], "axes")
    if any(not -rank <= axis < rank for axis in axes):
        raise NotRecognisedError(f"axes {list(axes)} of a tensor of rank {rank}")
    return tuple(sorted({axis % rank for axis in axes}))


def rearranged(value: Value, shape: Shape, move: Move) -> Value:
    """A layout operator on any value.

    Raises:
        NotRecognisedError: a value that can only be used as it is.
    """
    if isinstance(value, Numbers):
        return value.map(lambda array: np.broadcast_to(move(array, value.shape), shape))
    if isinstance(value, Entries | Measured | Pooled | Combination):
        return value.moved(shape, move)
    if isinstance(value, Tree | Share) and math.prod(value.shape) == math.prod(shape):
        place = np.arange(math.prod(shape)).reshape(value.shape)
        order = np.broadcast_to(move(place, value.shape), shape).reshape(-1)
        if (np.diff(order) == 1).all():
            return replace(value, shape=shape)
    raise unknown("a change of layout", value)


def reshape(value: Value, shape: Shape) -> Value:
    """The same elements in another shape."""
    if value.shape == shape:
        return value
    if isinstance(value, Joined) and _keeps_axis(value, shape):
        axis = len(shape) - 1
        parts = tuple(reshape(p, (*shape[:-1], p.shape[value.axis])) for p in value.parts)
        return Joined(shape, parts, axis)
    return rearranged(value, shape, lambda array, old: reshaped(array, old, shape))


def _keeps_axis(value: Joined, shape: Shape) -> bool:
    """Whether only axes in front of a joined last axis change."""
    after = math.prod(value.shape[value.axis + 1 :])
    return after == 1 and bool(shape) and shape[-1] == value.shape[value.axis]


def _reshape(_: Tables, node: Op, inputs: Inputs) -> Value:
    value = needed(inputs, 0)
    wanted = list(integers(inputs[1], "a shape"))
    if not node.integer("allowzero", 0):
        wanted = [value.shape[k] if n == 0 else n for k, n in enumerate(wanted)]
    size = math.prod(value.shape)
    if -1 in wanted:
        known = math.prod(n for n in wanted if n != -1)
        wanted[wanted.index(-1)] = size // max(known, 1)
    if math.prod(wanted) != size or min(wanted, default=1) < 0:
        raise NotRecognisedError(f"a Reshape of {list(value.shape)} to {wanted}")
    return reshape(value, tuple(wanted))


def needed(inputs: Inputs, place: int) -> Value:
    """A required input."""
    value = inputs[place] if place < len(inputs) else None
    if value is None:
        raise NotRecognisedError(f"input {place} is left out")
    return value


def _flatten(_: Tables, node: Op, inputs: Inputs) -> Value:
    value = needed(inputs, 0)
    axis = node.integer("axis", 1) % (len(value.shape) + 1)
    return reshape(value, (math.prod(value.shape[:axis]), math.prod(value.shape[axis:])))


def _squeeze(_: Tables, node: Op, inputs: Inputs) -> Value:
    value = needed(inputs, 0)
    axes = axes_of_node(node, inputs, len(value.shape))
    if axes is None:
        axes = tuple(k for k, n in enumerate(value.shape) if n == 1)
    if any(value.shape[axis] != 1 for axis in axes):
        raise NotRecognisedError("a Squeeze of an axis of more than one element")
    return reshape(value, tuple(n for k, n in enumerate(value.shape) if k not in axes))


def _unsqueeze(_: Tables, node: Op, inputs: Inputs) -> Value:
    value = needed(inputs, 0)
    raw = node.integers("axes") or integers(inputs[1], "axes")
    rank = len(value.shape) + len(raw)
    axes = {axis % rank for axis in raw}
    rest = iter(value.shape)
    return reshape(value, tuple(1 if k in axes else next(rest) for k in range(rank)))


def _transpose(_: Tables, node: Op, inputs: Inputs) -> Value:
    value = needed(inputs, 0)
    order = node.integers("perm") or tuple(reversed(range(len(value.shape))))
    return transpose(value, order)


def transpose(value: Value, order: tuple[int, ...]) -> Value:
    """Axes in another order."""
    shape = tuple(value.shape[k] for k in order)
    if isinstance(value, Joined):
        parts = tuple(transpose(part, order) for part in value.parts)
        return Joined(shape, parts, order.index(value.axis))
    return rearranged(value, shape, simple_move(lambda array: array.transpose(order)))


def simple_move(move: Callable[[Array], Array]) -> Move:
    """A layout operator that numpy does on views."""
    return lambda array, shape: moved(array, shape, move)


def _expand(_: Tables, node: Op, inputs: Inputs) -> Value:
    value = needed(inputs, 0)
    return expand(value, integers(inputs[1], "a shape"))


def expand(value: Value, wanted: Shape) -> Value:
    """Broadcast to a shape."""
    shape = np.broadcast_shapes(value.shape, wanted)
    return rearranged(value, shape, simple_move(lambda array: np.broadcast_to(array, shape)))


def _slice(_: Tables, node: Op, inputs: Inputs) -> Value:
    value = needed(inputs, 0)
    starts, ends = integers(inputs[1], "a slice"), integers(inputs[2], "a slice")
    axes: Sequence[int] = range(len(starts))
    if len(inputs) > 3 and inputs[3] is not None:
        axes = integers(inputs[3], "axes")
    steps: Sequence[int] = [1] * len(starts)
    if len(inputs) > 4 and inputs[4] is not None:
        steps = integers(inputs[4], "a slice")
    cut = [slice(None)] * len(value.shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        stop: int | None = end
        if step < 0 and end < -value.shape[axis]:
            stop = None
        cut[axis] = slice(start, stop, step)
    return sliced(value, tuple(cut))


def sliced(value: Value, cut: tuple[slice, ...]) -> Value:
    """A part of a tensor."""
    shape = tuple(len(range(*c.indices(n))) for c, n in zip(cut, value.shape, strict=True))
    if 0 in shape:
        raise NotRecognisedError("an empty Slice")
    return rearranged(value, shape, simple_move(lambda array: array[cut]))


def _split(_: Tables, node: Op, inputs: Inputs) -> list[Value]:
    value = needed(inputs, 0)
    axis = node.integer("axis", 0) % len(value.shape)
    sizes: Sequence[int]
    if len(inputs) > 1 and inputs[1] is not None:
        sizes = integers(inputs[1], "a split")
    else:
        parts = len(node.outputs)
        step = -(-value.shape[axis] // parts)
        sizes = [min(step, value.shape[axis] - k * step) for k in range(parts)]
    return parts_of(value, axis, sizes)


def parts_of(value: Value, axis: int, sizes: Sequence[int]) -> list[Value]:
    """Consecutive parts along an axis."""
    result, start = [], 0
    for size in sizes:
        cut = [slice(None)] * len(value.shape)
        cut[axis] = slice(start, start + size)
        result.append(sliced(value, tuple(cut)))
        start += size
    if start != value.shape[axis]:
        raise NotRecognisedError("a Split that leaves something over")
    return result


def _sequence(_: Tables, node: Op, inputs: Inputs) -> Value:
    """SplitToSequence: parts of given sizes, or of one size each (the last may be smaller)."""
    value = needed(inputs, 0)
    axis, given = node.integer("axis", 0), inputs[1] if len(inputs) > 1 else None
    if not -len(value.shape) <= axis < len(value.shape):
        raise NotRecognisedError(f"axis {axis} of a tensor of rank {len(value.shape)}")
    axis %= len(value.shape)
    size = value.shape[axis]
    sizes = [1] if given is None else list(integers(given, "a split"))
    if given is None or not given.shape:
        step = sizes[0]
        if step < 1:
            raise NotRecognisedError("a split into parts without elements")
        sizes = [min(step, size - start) for start in range(0, size, step)]
    parts = parts_of(value, axis, sizes)
    if not node.integer("keepdims", 1):
        if given is not None:  # ignored by the standard, and not by every runtime
            raise NotRecognisedError("parts of given sizes without their axis")
        shape = value.shape[:axis] + value.shape[axis + 1 :]
        parts = [reshape(part, shape) for part in parts]
    return Several(tuple(parts))


def _taken_out(_: Tables, node: Op, inputs: Inputs) -> Value:
    sequence = needed(inputs, 0)
    chosen = integers(needed(inputs, 1), "the number of a tensor in a sequence")
    if not isinstance(sequence, Several) or len(chosen) != 1:
        raise unknown("SequenceAt", sequence)
    (place,), count = chosen, len(sequence.parts)
    if not -count <= place < count:
        raise NotRecognisedError(f"tensor {place} of a sequence of {count}")
    return sequence.parts[place]


def _gather(_: Tables, node: Op, inputs: Inputs) -> Value:
    value, index = needed(inputs, 0), needed(inputs, 1)
    if not isinstance(index, Numbers):
        raise NotRecognisedError("a Gather whose indices depend on the input")
    axis = node.integer("axis", 0) % len(value.shape)
    chosen = np.asarray(index.high, dtype=np.int64) % value.shape[axis]
    if isinstance(value, Ranked) and axis == value.axis and chosen.size == 1 and value.count == 1:
        raise unknown("Gather", value, index)
    shape = (*value.shape[:axis], *chosen.shape, *value.shape[axis + 1 :])
    return rearranged(value, shape, lambda array, _: taken(array, chosen, axis))


def _gather_nd(_: Tables, node: Op, inputs: Inputs) -> Value:
    value, index = needed(inputs, 0), needed(inputs, 1)
    if not isinstance(index, Numbers) or node.integer("batch_dims", 0):
        raise NotRecognisedError("a GatherND whose indices depend on the input, or in batches")
    chosen = np.asarray(index.high, dtype=np.int64)
    where = tuple(np.moveaxis(chosen, -1, 0))
    shape = (*chosen.shape[:-1], *value.shape[chosen.shape[-1] :])

    def move(array: Array, old: Shape) -> Array:
        return np.asarray(np.broadcast_to(array, old)[where])

    return rearranged(value, shape, move)


def _same(_: Tables, node: Op, inputs: Inputs) -> Value:
    if node.op == "Dropout" and len(inputs) > 2 and inputs[2] is not None:
        training = inputs[2]
        if not isinstance(training, Numbers) or np.any(training.high):
            raise NotRecognisedError("a Dropout in training mode; export in eval mode")
    return needed(inputs, 0)


def _cast(_: Tables, node: Op, inputs: Inputs) -> Value:
    value = needed(inputs, 0)
    to = node.integer("to", 1)
    if isinstance(value, Numbers):
        if to in _FLOAT_TYPES:
            return Numbers(value.plain, value.low, value.root)
        kinds = {7: np.int64, 6: np.int32, 9: np.bool_}
        if to in kinds:
            return Numbers(value.plain.astype(kinds[to]))
    elif to in _FLOAT_TYPES:
        return value
    known = TensorProto.DataType.values()
    kind = TensorProto.DataType.Name(to).lower() if to in known else f"number type {to}"
    raise NumberTypeError(f"a Cast to {kind}; float32 is needed")


def _cast_like(tables: Tables, node: Op, inputs: Inputs) -> Value:
    """What depends on the latent is float32, whatever it is."""
    like = needed(inputs, 1)
    kind = like.high.dtype if isinstance(like, Numbers) else np.dtype(np.float32)
    to = {"f": 1, "i": 7, "b": 9}.get(kind.kind, 0)
    return _cast(tables, replace(node, attributes={"to": to}), inputs[:1])


RULES = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Expand": _expand,
    "Slice": _slice,
    "Split": _split,
    "Gather": _gather,
    "GatherND": _gather_nd,
    "Identity": _same,
    "Dropout": _same,
    "Cast": _cast,
    "CastLike": _cast_like,
    "SplitToSequence": _sequence,
    "SequenceAt": _taken_out,
}
