"""Layout operators, executed on arrays.

Each function returns one *move* per output: what to do to every array of a value. Numbers that say
where elements go (shapes, axes, indices) are constants of the graph.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np

from protoproof.kernel.budget import room, spend
from protoproof.kernel.model.symbolic.arrays import Array, Shape
from protoproof.kernel.model.symbolic.nodes import Operator

Move = Callable[[Array], Array]
# The integers of an input, by position; None where it is left out.
Integers = Callable[[int], "Array | None"]

_LARGEST = 1 << 26
_TO_THE_END = ((1 << 31) - 1, (1 << 63) - 1)  # ends that stand for no end


def axis_of(operator: Operator, axis: int, rank: int) -> int:
    """A counted axis, from 0.

    Raises:
        ModelError: there is none.
    """
    if not -rank <= axis < rank:
        raise operator.refuse(f"axis {axis} of {rank}")
    return axis % rank


def axes_of(operator: Operator, axes: list[int], rank: int) -> tuple[int, ...]:
    """Counted axes, ascending, each once."""
    found = sorted(axis_of(operator, axis, rank) for axis in axes)
    if len(set(found)) != len(found):
        raise operator.refuse("an axis is named twice")
    return tuple(found)


def _checked(operator: Operator, shape: Shape) -> Shape:
    if any(n < 0 for n in shape) or math.prod(shape) > _LARGEST:
        raise operator.refuse(f"shape {list(shape)}")
    room("the layout of a tensor", 8 * math.prod(shape))
    spend("the layout of a tensor", math.prod(shape))
    return shape


def _listed(operator: Operator, values: Array | None) -> list[int]:
    if values is None or values.ndim > 1:
        raise operator.refuse("a list of integers is missing")
    return [int(n) for n in values.reshape(-1)]


def reshape(operator: Operator, shape: Shape, integers: Integers) -> list[Move]:
    wanted = _listed(operator, integers(1))
    if not operator.attributes["allowzero"]:
        if any(not n and k >= len(shape) for k, n in enumerate(wanted)):
            raise operator.refuse("a size is copied from an axis that there is not")
        wanted = [n or shape[k] for k, n in enumerate(wanted)]
    if wanted.count(-1) > 1 or min(wanted, default=0) < -1:
        raise operator.refuse(f"shape {wanted}")
    known = math.prod(n for n in wanted if n != -1)
    if -1 in wanted and known:
        wanted = [math.prod(shape) // known if n == -1 else n for n in wanted]
    if math.prod(wanted) != math.prod(shape):
        raise operator.refuse(f"{list(shape)} cannot be given the shape {wanted}")
    _checked(operator, shape)
    return [lambda a: a.reshape(wanted)]


def flatten(operator: Operator, shape: Shape, integers: Integers) -> list[Move]:
    axis = operator.attributes["axis"]
    if not -len(shape) <= axis <= len(shape):
        raise operator.refuse(f"axis {axis} of {len(shape)}")
    axis += len(shape) * (axis < 0)
    wanted = math.prod(shape[:axis]), math.prod(shape[axis:])
    _checked(operator, shape)
    return [lambda a: a.reshape(wanted)]


def transpose(operator: Operator, shape: Shape, integers: Integers) -> list[Move]:
    order = operator.attributes["perm"]
    order = tuple(reversed(range(len(shape)))) if order is None else order
    if sorted(order) != list(range(len(shape))):
        raise operator.refuse(f"the order {order} of {len(shape)} axes")
    return [lambda a: a.transpose(order)]


def squeeze(operator: Operator, shape: Shape, integers: Integers) -> list[Move]:
    named = integers(1)
    if named is None:
        axes = tuple(k for k, n in enumerate(shape) if n == 1)
    else:
        axes = axes_of(operator, _listed(operator, named), len(shape))
    if any(shape[k] != 1 for k in axes):
        raise operator.refuse(f"axes {axes} of {list(shape)} are not single")
    return [lambda a: a.squeeze(axes)]


def unsqueeze(operator: Operator, shape: Shape, integers: Integers) -> list[Move]:
    named = _listed(operator, integers(1))
    axes = axes_of(operator, named, len(shape) + len(named))
    return [lambda a: np.expand_dims(a, axes)]


def expand(operator: Operator, shape: Shape, integers: Integers) -> list[Move]:
    wanted = tuple(_listed(operator, integers(1)))
    try:
        whole = np.broadcast_shapes(shape, wanted)
    except ValueError as error:
        raise operator.refuse(f"{list(shape)} does not expand to {list(wanted)}") from error
    if math.prod(whole) > _LARGEST:
        raise operator.refuse(f"shape {list(whole)}")
    return [lambda a: np.broadcast_to(a, whole)]


def tile(operator: Operator, shape: Shape, integers: Integers) -> list[Move]:
    times = _listed(operator, integers(1))
    if len(times) != len(shape) or min(times, default=1) < 0:
        raise operator.refuse(f"{times} times {list(shape)}")
    _checked(operator, tuple(n * t for n, t in zip(shape, times, strict=True)))
    return [lambda a: np.tile(a, times)]


def slices(operator: Operator, shape: Shape, integers: Integers) -> list[Move]:
    starts, ends = _listed(operator, integers(1)), _listed(operator, integers(2))
    named, strides = integers(3), integers(4)
    axes = list(range(len(starts))) if named is None else _listed(operator, named)
    steps = [1] * len(starts) if strides is None else _listed(operator, strides)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise operator.refuse("starts, ends, axes and steps do not fit together")
    chosen = [slice(None)] * len(shape)
    for axis in axes:
        axis_of(operator, axis, len(shape))
    if len({axis % len(shape) for axis in axes}) != len(axes):
        raise operator.refuse("an axis is named twice")
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step < 0 and end in _TO_THE_END:
            raise operator.refuse(f"backwards to {end}, which runtimes take for the front")
        size = shape[axis]
        # ONNX clamps a negative end to -1 for steps below 0: nothing is left out at the front
        first = start + size * (start < 0)
        last = end + size * (end < 0)
        if step > 0:
            found = slice(min(max(first, 0), size), min(max(last, 0), size), step)
        else:
            last = min(max(last, -1), size - 1)
            found = slice(min(max(first, 0), size - 1), None if last < 0 else last, step)
        chosen[axis] = found
    return [lambda a: a[tuple(chosen)]]


def split(operator: Operator, shape: Shape, integers: Integers) -> list[Move]:
    axis = axis_of(operator, operator.attributes["axis"], len(shape))
    given, count = integers(1), operator.attributes["num_outputs"]
    if given is not None and count is None:
        sizes = _listed(operator, given)
    elif given is None and (count is None or count == len(operator.outputs)):
        each = -(-shape[axis] // len(operator.outputs))
        sizes = [each] * (len(operator.outputs) - 1)
        sizes.append(shape[axis] - sum(sizes))
        if count is None and sizes[-1] != each:
            raise operator.refuse("the axis does not split evenly")
    else:
        raise operator.refuse("sizes and number of outputs do not fit together")
    if len(sizes) != len(operator.outputs):
        raise operator.refuse(f"sizes {sizes} of {shape[axis]}")
    return _parts(operator, shape, axis, sizes)


def _parts(operator: Operator, shape: Shape, axis: int, sizes: list[int]) -> list[Move]:
    if sum(sizes) != shape[axis] or min(sizes) < 0:
        raise operator.refuse(f"sizes {sizes} of {shape[axis]}")
    ends = np.cumsum([0, *sizes]).tolist()
    front = (slice(None),) * axis

    def move(start: int, end: int) -> Move:
        return lambda a: a[(*front, slice(start, end))]

    return [move(a, b) for a, b in itertools.pairwise(ends)]


def sequence(operator: Operator, shape: Shape, integers: Integers) -> list[Move]:
    """SplitToSequence: parts of one size each (the last may be smaller), or of given sizes.

    ``keepdims`` counts only where sizes are left out, which is one each; a runtime may see that
    otherwise.
    """
    axis = axis_of(operator, operator.attributes["axis"], len(shape))
    given, size = integers(1), shape[axis]
    if given is not None and not operator.attributes["keepdims"]:
        raise operator.refuse("parts of given sizes without their axis")
    if given is not None and given.ndim:
        return _parts(operator, shape, axis, _listed(operator, given))
    each = 1 if given is None else int(given)
    if each < 1 or size < 1:
        raise operator.refuse(f"parts of size {each} of {size}")
    spend("the layout of a tensor", 64 * -(-size // each))
    sizes = [min(each, size - start) for start in range(0, size, each)]
    moves = _parts(operator, shape, axis, sizes)
    if operator.attributes["keepdims"]:
        return moves

    def squeezed(move: Move) -> Move:
        return lambda a: move(a).squeeze(axis)

    return [squeezed(move) for move in moves]


def _indices(operator: Operator, values: Array | None, size: int) -> Array:
    if values is None:
        raise operator.refuse("indices are missing")
    where = values.astype(np.int64)
    if ((where < -size) | (where >= size)).any():
        raise operator.refuse(f"an index is outside {size}")
    return np.where(where < 0, where + size, where)


def gather(operator: Operator, shape: Shape, integers: Integers) -> list[Move]:
    axis = axis_of(operator, operator.attributes["axis"], len(shape))
    where = _indices(operator, integers(1), shape[axis])
    _checked(operator, (*shape[:axis], *where.shape, *shape[axis + 1 :]))
    return [lambda a: np.take(a, where, axis=axis)]


def gather_elements(operator: Operator, shape: Shape, integers: Integers) -> list[Move]:
    axis = axis_of(operator, operator.attributes["axis"], len(shape))
    where = _indices(operator, integers(1), shape[axis])
    if where.ndim != len(shape):
        raise operator.refuse("indices of another rank")
    if any(n > m for k, (n, m) in enumerate(zip(where.shape, shape, strict=True)) if k != axis):
        raise operator.refuse("more indices than elements")
    _checked(operator, where.shape)
    part = tuple(slice(None) if k == axis else slice(0, n) for k, n in enumerate(where.shape))
    return [lambda a: np.take_along_axis(a[part], where, axis=axis)]


def gather_nd(operator: Operator, shape: Shape, integers: Integers) -> list[Move]:
    where = integers(1)
    if where is None or not where.ndim or operator.attributes["batch_dims"]:
        raise operator.refuse("indices are missing, or batched")
    depth = where.shape[-1]
    if not 1 <= depth <= len(shape):
        raise operator.refuse(f"indices of length {depth} for {len(shape)} axes")
    places = tuple(_indices(operator, where[..., k], shape[k]) for k in range(depth))
    _checked(operator, (*where.shape[:-1], *shape[depth:]))
    return [lambda a: a[places]]


LAYOUT: dict[str, Callable[[Operator, Shape, Integers], list[Move]]] = {
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "Reshape": reshape,
    "Slice": slices,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": tile,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}


def scattered(operator: Operator, shape: Shape, where: Array, updates: Shape) -> tuple[Array, ...]:
    """For ScatterElements and ScatterND: the place of every update, one index array per axis.

    Raises:
        ModelError: indices outside, or one place updated twice.
    """
    if operator.attributes["reduction"] != "none":
        raise operator.refuse("a scatter that adds up")
    if operator.kind == "ScatterElements":
        axis = axis_of(operator, operator.attributes["axis"], len(shape))
        if where.shape != updates or where.ndim != len(shape):
            raise operator.refuse("indices and updates do not fit together")
        grid: list[Array] = list(np.indices(where.shape))
        if any(n > m for k, (n, m) in enumerate(zip(updates, shape, strict=True)) if k != axis):
            raise operator.refuse("more updates than elements")
        grid[axis] = _indices(operator, where, shape[axis])
    else:
        depth = where.shape[-1] if where.ndim else 0
        if not 1 <= depth <= len(shape) or updates != (*where.shape[:-1], *shape[depth:]):
            raise operator.refuse("indices and updates do not fit together")
        rest = np.indices(updates)[where.ndim - 1 :]
        places = [_indices(operator, where[..., k], shape[k]) for k in range(depth)]
        extra = (None,) * len(rest)
        grid = [np.broadcast_to(p[(..., *extra)], updates) for p in places] + list(rest)
    flat = np.ravel_multi_index([g.ravel() for g in grid], shape) if shape else np.zeros(1)
    if np.unique(flat).size != flat.size:
        raise operator.refuse("one place is written twice")
    return tuple(grid)
