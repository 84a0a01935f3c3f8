"""What a location of the latent sees of the input, from windows, strides and pads in the graph.

Every axis of a tensor either follows an axis of the input, so that entry i depends on the input
numbers ``start + i * stride`` to ``+ size`` alone, or may depend on all of it. What has no rule may
depend on everything, so a field can be too wide and never too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from protoproof.network.head.about import ReceptiveField
from protoproof.network.head.layout import Shape
from protoproof.network.head.normal_form import Cut
from protoproof.network.head.refusal import NotRecognisedError
from protoproof.network.head.view import Op, View
from protoproof.network.layout import layout_of

ShapeOf = Callable[[str], Shape | None]


@dataclass(frozen=True)
class Seen:
    """An axis that follows axis ``of`` of the input (0 rows, 1 columns)."""

    of: int
    size: int = 1
    stride: int = 1
    start: int = 0

    def through(self, span: int, step: int, pad: int) -> Seen:
        """Behind a window that spans so many entries."""
        return replace(
            self,
            size=self.size + (span - 1) * self.stride,
            stride=self.stride * step,
            start=self.start - pad * self.stride,
        )

    def joined(self, other: Seen) -> Seen | None:
        """What both see together; None for everything."""
        if (self.of, self.stride) != (other.of, other.stride):
            return None
        first = min(self.start, other.start)
        last = max(self.start + self.size, other.start + other.size)
        return replace(self, start=first, size=last - first)


Axes = tuple[Seen | None, ...]


def receptive_field(view: View, shape_of: ShapeOf, cut: Cut, shape: Shape) -> ReceptiveField | None:
    """What the locations of a latent see, by row and column (of a signal: one row, and samples).

    None for locations that are no grid over the input, and where every one may see all of it.

    Args:
        view: the graph.
        shape_of: the shape of a tensor for one input, None where it is not known.
        cut: the latent.
        shape: the input's, without the batch axis.
    """
    sizes = _sizes(shape)
    if sizes is None:
        return None
    axes = _Walk(view, shape_of, _first(shape)).of(cut.tensor)
    if _strays(cut, axes):
        return None
    rows, columns = (_placed(cut, axes, of, size) for of, size in enumerate(sizes))
    if rows is None or columns is None:
        return None
    both = zip((rows, columns), cut.grid, sizes, strict=True)
    if all(_whole(seen, count, size) for seen, count, size in both):
        return None
    return ReceptiveField(
        size=(rows.size, columns.size),
        stride=(rows.stride, columns.stride),
        start=(rows.start, columns.start),
    )


def _sizes(shape: Shape) -> tuple[int, int] | None:
    """Rows and columns of the input; a signal has one row."""
    layout = layout_of(shape)
    if layout is not None:
        rows, columns = shape[1:] if layout == "channels first" else shape[:2]
        return rows, columns
    return (1, shape[1]) if len(shape) == 2 else None


def _first(shape: Shape) -> Axes:
    """The axes of the input, batch first."""
    layout = layout_of(shape)
    if layout == "channels last":
        return (None, Seen(0), Seen(1), None)
    return (None, None, Seen(0), Seen(1)) if layout else (None, None, Seen(1))


def _placed(cut: Cut, axes: Axes, of: int, size: int) -> Seen | None:
    """What the grid's rows (or columns) see; an axis without them sees everything of it.

    None where rows are no evenly spaced entries of the axis, or sites reach differently far.
    """
    following = [k for k, seen in enumerate(axes) if seen is not None and seen.of == of]
    grid = cut.grid[of]
    if len(following) != 1:
        return Seen(of, size, max(size, 1), 0) if grid == 1 else None
    seen = axes[following[0]]
    places = np.unravel_index(cut.sites, cut.shape)[following[0]]
    least, most = places.min(axis=1), places.max(axis=1)
    marks = np.unique(least)
    steps = np.unique(np.diff(marks))
    if seen is None or len(marks) != grid or len(steps) > 1 or len(set(most - least)) != 1:
        return None
    step = int(steps[0]) if len(steps) else 1
    start = seen.start + int(marks[0]) * seen.stride
    reach = int((most - least)[0])
    return replace(
        seen, start=start, size=seen.size + reach * seen.stride, stride=step * seen.stride
    )


def _strays(cut: Cut, axes: Axes) -> bool:
    """Whether locations lie along an axis that follows no axis of the input, or columns first."""
    places = np.unravel_index(cut.sites[:, 0], cut.shape)
    along = [axes[k] for k, place in enumerate(places) if len(np.unique(place)) > 1]
    order = [seen.of for seen in along if seen is not None]
    return len(order) < len(along) or order != sorted(set(order))


def _whole(seen: Seen, count: int, size: int) -> bool:
    """Whether the first and the last of so many see all of an axis."""
    last = seen.start + (count - 1) * seen.stride
    return max(seen.start, last) <= 0 and min(seen.start, last) + seen.size >= size


class _Walk:
    """The axes of every tensor on the way, by the operators that make them."""

    def __init__(self, view: View, shape_of: ShapeOf, first: Axes) -> None:
        self.view, self.shape_of = view, shape_of
        self.known: dict[str, Axes] = {view.input: first}

    def of(self, name: str) -> Axes:
        """The axes of a tensor that the input can change."""
        for node in self.view.needed(name):
            read = [n for n in node.inputs if n in self.view.dependent]
            if not read:
                continue
            shape = self.shape_of(node.outputs[0])
            axes: Axes | None = None
            if shape is not None and all(self.shape_of(n) is not None for n in read):
                try:
                    axes = self._through(node, read, shape)
                except (IndexError, ValueError, NotRecognisedError):
                    axes = None
            for made in node.outputs:
                rank = len(self.shape_of(made) or shape or ())
                whole = axes is None or len(axes) != rank
                self.known[made] = (None,) * rank if whole or axes is None else axes
        return self.known[name]

    def _shape(self, name: str) -> Shape:
        return self.shape_of(name) or ()

    def _through(self, node: Op, read: Sequence[str], shape: Shape) -> Axes | None:
        """The axes of what a node makes; None: anything may depend on anything."""
        axes = self.known[read[0]]
        if node.op in _BROADCAST:
            return _together([self._stretched(n, shape) for n in read])
        if node.op == "Concat":
            axis = node.integer("axis", 0) % len(shape)
            if any(self.known[n][axis] is not None for n in read):
                return None
            return _together([self.known[n] for n in read])
        if len(set(read)) > 1 or node.inputs[0] != read[0] or node.integer("training_mode", 0):
            return None  # weights, or bounds, that the input changes
        if node.op in _SAME:
            return axes
        if node.op in _WINDOWS:
            return self._slid(node, axes, shape)
        if node.op == "Transpose":
            order = node.integers("perm") or tuple(reversed(range(len(axes))))
            return tuple(axes[k] for k in order)
        if node.op in ("Reshape", "Squeeze", "Unsqueeze", "Flatten"):
            return self._reshaped(axes, self._shape(read[0]), shape)
        if node.op in _ALONG:
            return self._along(node, axes)
        if node.op in ("Split", "Slice"):
            return self._cut(node, axes)
        if node.op == "MatMul" and self._shape(read[0])[:-1] == shape[:-1]:
            return (*axes[:-1], None)
        return None

    def _slid(self, node: Op, axes: Axes, shape: Shape) -> Axes:
        kernel = node.integers("kernel_shape") or self._shape_of_weight(node)
        count = len(kernel)
        strides = node.integers("strides") or (1,) * count
        dilations = node.integers("dilations") or (1,) * count
        pads = node.integers("pads") or (0,) * (2 * count)
        automatic = node.text("auto_pad", "NOTSET")
        made = list(axes[:2])
        for k, seen in enumerate(axes[2:]):
            span, pad = dilations[k] * (kernel[k] - 1) + 1, pads[k]
            if automatic.startswith("SAME"):
                size = self._shape(node.inputs[0])[2 + k]
                total = max((shape[2 + k] - 1) * strides[k] + span - size, 0)
                pad = total // 2 if automatic == "SAME_UPPER" else -(-total // 2)
            made.append(None if seen is None else seen.through(span, strides[k], pad))
        return (made[0], None, *made[2:])  # channels are mixed

    def _shape_of_weight(self, node: Op) -> tuple[int, ...]:
        return self.view.constant(node.inputs[1]).shape[2:]

    def _stretched(self, name: str, shape: Shape) -> Axes:
        """Axes of an operand, aligned with a result that it is broadcast to."""
        own, axes = self._shape(name), self.known[name]
        more = len(shape) - len(own)
        # one entry that stands for many does not follow the input as they do
        kept = zip(own, shape[more:], axes, strict=True)
        return (None,) * more + tuple(seen if size == n else None for size, n, seen in kept)

    def _reshaped(self, axes: Axes, before: Shape, after: Shape) -> Axes | None:
        """Axes of size 1 come and go; everything else stays, or nobody can tell."""
        kept = [(n, seen) for n, seen in zip(before, axes, strict=True) if n != 1]
        if [n for n, _ in kept] != [n for n in after if n != 1]:
            return None
        if any(seen is not None for n, seen in zip(before, axes, strict=True) if n == 1):
            return axes if before == after else None
        waiting = iter(seen for _, seen in kept)
        return tuple(None if n == 1 else next(waiting) for n in after)

    def _cut(self, node: Op, axes: Axes) -> Axes | None:
        """A part of the channels; of rows and columns only if nothing is asked of them."""
        over = [node.integer("axis", 0)]
        if node.op == "Slice":
            if len(node.inputs) < 4:
                return None
            over = [int(n) for n in self.view.constant(node.inputs[3]).plain.reshape(-1)]
        return None if any(axes[k] is not None for k in over) else axes

    def _along(self, node: Op, axes: Axes) -> Axes | None:
        """What is computed along one axis keeps the others, where it keeps their number."""
        rank = len(axes)
        listed = node.integers("axes")
        if listed is None and node.op.startswith("Reduce"):
            if len(node.inputs) < 2:
                return None
            listed = tuple(int(n) for n in self.view.constant(node.inputs[1]).plain.reshape(-1))
        first = node.integer("axis", -1) % rank
        over = {first} if listed is None else {n % rank for n in listed}
        if node.op == "LayerNormalization":
            over = set(range(first, rank))
        if any(axes[k] is not None for k in over):
            return None
        if node.op.startswith("Reduce") and not node.integer("keepdims", 1):
            return tuple(seen for k, seen in enumerate(axes) if k not in over)
        return axes


def _together(parts: Sequence[Axes]) -> Axes | None:
    """What several tensors of one shape see together."""
    made: list[Seen | None] = []
    for column in zip(*parts, strict=True):
        known = [seen for seen in column if seen is not None]
        if known and len(known) < len(column):
            return None  # one of them sees everything along this axis
        seen = known[0] if known else None
        for other in known[1:]:
            seen = None if seen is None else seen.joined(other)
            if seen is None:
                return None
        made.append(seen)
    return tuple(made)


_BROADCAST = frozenset({"Add", "Sub", "Mul", "Div", "Sum", "Max", "Min", "PRelu", "Pow", "Where"})
# entry by entry
_SAME = frozenset(
    {
        "Abs", "BatchNormalization", "Cast", "Celu", "Ceil", "Clip", "Dropout", "Elu", "Erf", "Exp",
        "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Mish", "Neg",
        "QuantizeLinear", "DequantizeLinear", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid",
        "Sign", "Softplus", "Softsign", "Sqrt", "Tanh", "ThresholdedRelu",
    }
)  # fmt: skip
_WINDOWS = frozenset({"Conv", "MaxPool", "AveragePool", "LpPool"})
_ALONG = frozenset(
    {
        "Softmax", "LogSoftmax", "LpNormalization", "LayerNormalization", "ReduceL1", "ReduceL2",
        "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "ReduceSumSquare",
    }
)  # fmt: skip
