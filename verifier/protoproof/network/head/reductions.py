"""Reductions and pools: sums over channels, pooling over locations, the best of several."""

from __future__ import annotations

import math

import numpy as np

from protoproof.network.head import arithmetic, constants, entries, measured, pooled
from protoproof.network.head.arithmetic import function, unknown
from protoproof.network.head.constants import Numbers
from protoproof.network.head.layout import Shape
from protoproof.network.head.moves import Inputs, axes_of_node, integers, needed, reshape
from protoproof.network.head.refusal import NotRecognisedError
from protoproof.network.head.symbols import (
    Combination,
    Entries,
    Measured,
    Pooled,
    Ranked,
    Value,
)
from protoproof.network.head.tables import Tables
from protoproof.network.head.view import Op

_KINDS = {"Max": "max", "Min": "min", "Mean": "mean", "Sum": "sum"}


def _reduce(tables: Tables, node: Op, inputs: Inputs) -> Value:
    value = needed(inputs, 0)
    rank = len(value.shape)
    axes = axes_of_node(node, inputs, rank)
    if not axes:
        if node.integer("noop_with_empty_axes", 0):
            return value
        axes = tuple(range(rank))
    kept = reduced(tables, value, node.op.removeprefix("Reduce"), axes)
    if node.integer("keepdims", 1):
        return kept
    return reshape(kept, tuple(n for k, n in enumerate(value.shape) if k not in axes))


def reduced(tables: Tables, value: Value, kind: str, axes: tuple[int, ...]) -> Value:
    """A reduction that keeps its axes with size 1.

    Raises:
        NotRecognisedError: no rule for it.
    """
    if isinstance(value, Numbers):
        return _of_numbers(value, kind, axes)
    if kind == "SumSquare":
        return reduced(tables, function(tables, value, "square"), "Sum", axes)
    if kind == "L2":
        return function(tables, reduced(tables, value, "SumSquare", axes), "sqrt")
    if kind == "LogSumExp":
        powers = function(tables, value, "exp")
        return function(tables, reduced(tables, powers, "Sum", axes), "log")
    if kind == "L1" and isinstance(value, Pooled | Combination):
        raise NotRecognisedError(
            f"a sum of absolute values of {value.word}: for votes over their sum it would have to "
            "be a ReduceSum, of values from 0 on"
        )
    if kind not in _KINDS:
        raise unknown(f"Reduce{kind}", value)
    if isinstance(value, Entries):
        return _of_entries(tables, value, kind, axes)
    if isinstance(value, Ranked):
        return _of_ranked(tables, value, kind, axes)
    if isinstance(value, Combination):
        if kind in ("Sum", "Mean"):
            return pooled.total(tables, value, axes, _KINDS[kind])
        if all(value.shape[axis] == 1 for axis in axes):
            return value
        value = pooled.alone(tables, value)
    if isinstance(value, Measured | Pooled):
        return pooled.reduced(tables, value, _KINDS[kind], axes)
    raise unknown(f"Reduce{kind}", value)


def _of_numbers(value: Numbers, kind: str, axes: tuple[int, ...]) -> Numbers:
    if kind == "SumSquare" and value.exact:
        rest = np.broadcast_to(value.rest, value.shape)
        value, kind = Numbers(*constants.multiply(value.plain, rest, value.plain, rest)), "Sum"
    if kind == "L2" and value.exact:
        squares = _of_numbers(value, "SumSquare", axes)
        return root_of(squares)
    if kind == "Sum" and value.exact:
        rest = np.broadcast_to(value.rest, value.shape)
        return Numbers(*constants.total(value.plain, rest, axes))
    plain = value.plain
    functions = {
        "Sum": np.sum,
        "Mean": np.mean,
        "Max": np.max,
        "Min": np.min,
        "Prod": np.prod,
    }
    if kind == "SumSquare":
        return Numbers(np.sum(plain * plain, axis=axes, keepdims=True))
    if kind == "L2":
        return Numbers(np.sqrt(np.sum(plain * plain, axis=axes, keepdims=True)))
    if kind not in functions:
        raise unknown(f"Reduce{kind}", value)
    return Numbers(np.asarray(functions[kind](plain, axis=axes, keepdims=True)))  # type: ignore[operator]


def root_of(value: Numbers) -> Numbers:
    """sqrt(n), remembered as n / sqrt(n) where all n are positive."""
    if value.exact and (value.plain > 0).all():
        return Numbers(value.plain, None, value.plain)
    return Numbers(np.sqrt(value.plain))


def _of_entries(tables: Tables, value: Entries, kind: str, axes: tuple[int, ...]) -> Value:
    """A sum over channels is a measurement; anything else pools channels over locations."""
    if kind == "Sum":
        return entries.summed(tables, value, axes)
    return pooled.reduced(tables, entries.channels(tables, value, axes), _KINDS[kind], axes)


def _of_ranked(tables: Tables, value: Ranked, kind: str, axes: tuple[int, ...]) -> Value:
    """The mean (or sum, or largest) of the k largest; of the k smallest (or the smallest) through
    their negatives."""
    if axes != (value.axis,) and any(value.shape[k] != 1 for k in axes if k != value.axis):
        raise unknown(f"Reduce{kind}", value)
    if kind not in ("Min" if value.negated else "Max", "Mean", "Sum"):
        raise unknown(f"Reduce{kind}", value)
    base = value.base
    if kind in ("Max", "Min"):
        result: Value = pooled.reduced(tables, base, "max", (value.axis,))
    elif base.site.shape[value.axis] == 1:
        raise NotRecognisedError("the k largest of several prototypes at one location")
    else:
        result = pooled.over_locations(tables, base, "k-largest mean", (value.axis,), value.count)
    factor = (-1.0 if value.negated else 1.0) * (value.count if kind == "Sum" else 1)
    return result if factor == 1 else arithmetic.multiply(tables, result, Numbers(np.array(factor)))


def _global(tables: Tables, node: Op, inputs: Inputs) -> Value:
    value = needed(inputs, 0)
    kind = "Max" if "Max" in node.op else "Mean"
    return reduced(tables, value, kind, tuple(range(2, len(value.shape))))


def _pool(tables: Tables, node: Op, inputs: Inputs) -> Value:
    """A pool whose window is the whole grid: the reduction over it, whatever the strides."""
    value = needed(inputs, 0)
    kernel = node.integers("kernel_shape") or ()
    grid = value.shape[2:]
    if any(node.integers("pads") or ()) or node.text("auto_pad", "NOTSET") not in (
        "NOTSET",
        "VALID",
    ):
        raise NotRecognisedError("a pool with padding")
    if set(node.integers("dilations") or (1,)) != {1} or len(node.outputs) != 1:
        raise NotRecognisedError("a pool with dilations or indices")
    if set(kernel) == {1} and set(node.integers("strides") or (1,)) == {1}:
        return value
    if tuple(kernel) != grid:
        raise NotRecognisedError(f"a pool over {list(kernel)} of a grid of {list(grid)}")
    kind = "Max" if node.op == "MaxPool" else "Mean"
    return reduced(tables, value, kind, tuple(range(2, len(value.shape))))


def _top(tables: Tables, node: Op, inputs: Inputs) -> list[Value]:
    value = needed(inputs, 0)
    (count,) = integers(inputs[1], "a number of largest values")
    axis = node.integer("axis", -1) % len(value.shape)
    largest = bool(node.integer("largest", 1))
    if isinstance(value, Entries):
        value = entries.channels(tables, value, (axis,))
    if not isinstance(value, Measured | Pooled):
        raise unknown("TopK", value)
    if count == 1 or value.shape[axis] == 1:
        best = pooled.reduced(tables, value, "max" if largest else "min", (axis,))
        return [best, best]
    if not isinstance(value, Measured):
        raise NotRecognisedError(
            f"the {count} {'largest' if largest else 'smallest'} of values that are pooled already"
        )
    shape: Shape = (*value.shape[:axis], count, *value.shape[axis + 1 :])
    base = value if largest else measured.multiply_numbers(value, Numbers(np.array(-1.0)))
    ranked = Ranked(shape, base, axis, count, not largest)
    return [ranked, ranked]


def _softmax(tables: Tables, node: Op, inputs: Inputs) -> Value:
    """A softmax over votes, which only their common denominator makes more than exp."""
    value = needed(inputs, 0)
    axis = node.integer("axis", -1) % len(value.shape)
    if isinstance(value, Combination):
        value = pooled.alone(tables, value)
    if isinstance(value, Measured):
        value = pooled.single(tables, value)
    if not isinstance(value, Pooled) or math.prod(value.shape) != value.shape[axis]:
        raise unknown("Softmax", value)
    return pooled.softmax(tables, value, (axis,))


def _arg(tables: Tables, node: Op, inputs: Inputs) -> Value:
    raise NotRecognisedError("an ArgMax before the end of the graph")


RULES = {
    **{
        f"Reduce{kind}": _reduce
        for kind in ("Max", "Min", "Mean", "Sum", "SumSquare", "L2", "LogSumExp", "Prod", "L1")
    },
    "GlobalMaxPool": _global,
    "GlobalAveragePool": _global,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "TopK": _top,
    "Softmax": _softmax,
    "ArgMax": _arg,
}
