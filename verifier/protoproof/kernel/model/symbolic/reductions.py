"""Reductions over axes, and over windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from protoproof.errors import ModelError
from protoproof.kernel.model.symbolic import constants
from protoproof.kernel.model.symbolic.arithmetic import Arithmetic, UnknownError
from protoproof.kernel.model.symbolic.arrays import Array
from protoproof.kernel.model.symbolic.layout import axes_of
from protoproof.kernel.model.symbolic.linear import total, window_sizes, windows
from protoproof.kernel.model.symbolic.nodes import Operator
from protoproof.kernel.model.symbolic.pooling import pooled
from protoproof.kernel.model.symbolic.values import (
    Constant,
    Latent,
    Measured,
    Ranked,
    Terms,
    Value,
)

KINDS = {
    "ReduceL2": "norm", "ReduceMax": "max", "ReduceMean": "mean", "ReduceMin": "min",
    "ReduceSum": "sum", "ReduceSumSquare": "square",
}  # fmt: skip


def reduce(
    rules: Arithmetic, operator: Operator, value: Value, named: Sequence[int] | None
) -> Value:
    """One of :data:`KINDS`; ``named``: the axes, None for all (or none, if the node says so)."""
    rank = len(value.shape)
    if operator.attributes["keepdims"] not in (0, 1):
        raise operator.refuse("keepdims is not 0 or 1")
    if not named and operator.attributes.get("noop_with_empty_axes"):
        raise operator.refuse("no axes, and noop_with_empty_axes, which runtimes read differently")
    axes = axes_of(operator, list(named), rank) if named else tuple(range(rank))
    found = over(rules, KINDS[operator.kind], value, axes)
    if operator.attributes["keepdims"]:
        return kept(found, axes)
    return found


def kept(value: Value, axes: Sequence[int]) -> Value:
    """Single axes where some were left out."""
    return value.moved(lambda a: np.expand_dims(a, tuple(axes)))  # type: ignore[no-any-return]


def over(rules: Arithmetic, kind: str, value: Value, axes: Sequence[int]) -> Value:
    """A reduction over axes, which are left out.

    Raises:
        ModelError: no rule for such a value.
    """
    size = math.prod(value.shape[k] for k in axes)
    if not size:
        raise ModelError("model: a reduction of nothing")
    if isinstance(value, Ranked):
        return _ranked(rules, kind, value, axes)
    if kind == "square":
        return total(rules, rules.binary("Mul", value, value), axes)
    if kind == "norm":
        return rules.unary("Sqrt", over(rules, "square", value, axes))
    if kind == "sum":
        return total(rules, value, axes)
    if kind == "mean":
        if isinstance(value, Measured | Terms):
            return pooled(value, axes, "mean", rules.known)
        return rules.binary("Mul", total(rules, value, axes), constants.scalar(Fraction(1, size)))
    if isinstance(value, Constant):
        return constants.extreme(value, axes, kind == "max")
    if isinstance(value, Latent):
        value = rules.measurement(value)
    if isinstance(value, Measured | Terms):
        return pooled(value, axes, kind, rules.known)
    raise UnknownError(f"model: the {kind} of {value.words()}")


def _ranked(rules: Arithmetic, kind: str, value: Ranked, axes: Sequence[int]) -> Value:
    """The mean of the k largest is a pooling of its own; their maximum is the maximum."""
    inner = value.value
    if tuple(axes) != (value.axis,) or not isinstance(inner, Latent | Measured | Terms):
        raise UnknownError(f"model: the {kind} of {value.words()} over other axes")
    if isinstance(inner, Latent):
        inner = rules.measurement(inner)
    if kind in ("max", "min") and (kind == "max") == value.largest:
        return pooled(inner, axes, kind, rules.known)
    if kind not in ("mean", "sum"):
        raise UnknownError(f"model: the {kind} of {value.words()}")
    found = pooled(inner, axes, "top" if value.largest else "bottom", rules.known, value.count)
    if kind == "mean":
        return found
    return rules.binary("Mul", found, constants.scalar(value.count))


def top(rules: Arithmetic, operator: Operator, value: Value, count: int) -> Value:
    """TopK: its values, in order; one of them is the maximum."""
    (axis,) = axes_of(operator, [operator.attributes["axis"]], len(value.shape))
    largest, ordered = operator.attributes["largest"], operator.attributes["sorted"]
    if largest not in (0, 1) or ordered not in (0, 1) or not 1 <= count <= value.shape[axis]:
        raise operator.refuse(f"the {count} largest of {value.shape[axis]}")
    ranked = Ranked(value, axis, count, bool(largest))
    if count > 1:
        return ranked
    return kept(over(rules, "max" if largest else "min", ranked, (axis,)), (axis,))


def over_windows(rules: Arithmetic, operator: Operator, value: Value) -> Value:
    """MaxPool, AveragePool: windows without padding."""
    kind = "max" if operator.kind == "MaxPool" else "mean"
    kernel = operator.attributes["kernel_shape"]
    if kernel is None or operator.attributes.get("storage_order"):
        raise operator.refuse("no kernel, or another order")
    strides, dilations = window_sizes(operator, value.shape, kernel)
    if math.prod(kernel) == 1 and math.prod(strides) == 1:
        return value  # every place by itself
    if isinstance(value, Ranked):
        last = len(value.shape) - 1
        others = zip(strides[:-1], value.shape[2:-1], strict=True)
        if (
            value.axis == last
            and kernel[-1] == value.count
            and math.prod(kernel[:-1]) == 1
            and all(step == 1 or size == 1 for step, size in others)
        ):
            return kept(_ranked(rules, kind, value, (last,)), (last,))
        raise operator.refuse(f"windows of {value.words()}")
    rank = len(kernel)

    def cut(piece: Array) -> Array:
        return windows(piece, kernel, strides, dilations)

    opened: Value = value.moved(cut)
    places = range(len(value.shape), len(value.shape) + rank)
    return over(rules, kind, opened, tuple(places))


def over_all_places(rules: Arithmetic, operator: Operator, value: Value) -> Value:
    """GlobalMaxPool, GlobalAveragePool."""
    if len(value.shape) < 3:
        raise operator.refuse("no places to pool")
    axes = tuple(range(2, len(value.shape)))
    kind = "max" if operator.kind == "GlobalMaxPool" else "mean"
    return kept(over(rules, kind, value, axes), axes)


def votes(rules: Arithmetic, operator: Operator, value: Value) -> Value:
    """Softmax of pooled terms along its only axis: exponentials over their sum, which is
    positive."""
    (axis,) = axes_of(operator, [operator.attributes["axis"]], len(value.shape))
    if isinstance(value, Constant):
        return constants.shares(value, axis)
    if isinstance(value, Latent):
        raise UnknownError("model: a Softmax of the latent; the latent is its output")
    if math.prod(value.shape) != value.shape[axis]:
        raise UnknownError(f"model: many Softmaxes of {value.words()}")
    found = rules.terms(value)
    if found.over >= 0:
        raise UnknownError("model: a Softmax of votes")
    powers = rules.unary("Exp", found)
    if not isinstance(powers, Terms):
        raise UnknownError("model: a Softmax of constants")
    line = powers.term.ravel().tolist()
    return Terms(powers.term, rules.known.total(line, [1] * len(line)))
