"""Concat: values of one kind as one, values of several kinds side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from protoproof.network.head import entries, pooled
from protoproof.network.head.arithmetic import multiplied
from protoproof.network.head.constants import Numbers
from protoproof.network.head.layout import Array, Shape, condense, joined
from protoproof.network.head.moves import Inputs, needed
from protoproof.network.head.refusal import NotRecognisedError
from protoproof.network.head.symbols import (
    Applied,
    Combination,
    Entries,
    Joined,
    Lengths,
    Measured,
    Norm,
    Pooled,
    Share,
    Value,
)
from protoproof.network.head.tables import Tables
from protoproof.network.head.view import Op


def concat(tables: Tables, node: Op, inputs: Inputs) -> Value:
    values = [needed(inputs, k) for k in range(len(inputs))]
    return concatenated(tables, values, node.integer("axis", 0) % len(values[0].shape))


def concatenated(tables: Tables, values: Sequence[Value], axis: int) -> Value:
    """Values side by side: of one kind as one, of several kinds as they are."""
    if len(values) == 1:
        return values[0]
    shape = list(values[0].shape)
    shape[axis] = sum(value.shape[axis] for value in values)
    wanted = tuple(shape)
    shapes = [value.shape for value in values]
    first = values[0]
    numbers = [value.plain for value in values if isinstance(value, Numbers)]
    if len(numbers) == len(values):
        return Numbers(np.concatenate(numbers, axis))
    if all(isinstance(value, Entries) for value in values):
        values = [entries.divided(value) for value in values if isinstance(value, Entries)]
        element, a, g, c, c_low = (
            _side_by_side(values, shapes, name, axis)
            for name in ("element", "a", "g", "c", "c_low")
        )
        return Entries(wanted, element, a, g, c, c_low, _lengths(values, shapes, axis))
    if isinstance(first, Measured) and all(_alike(first, value) for value in values):
        return replace(
            first,
            shape=wanted,
            site=_side_by_side(values, shapes, "site", axis),
            row=condense(_side_by_side(values, shapes, "row", axis)),
            norm=_joined_norm(values, shapes, axis),
            steps=_joined_steps(values, shapes, axis),
        )
    if isinstance(first, Pooled) and all(_alike(first, value) for value in values):
        record = _side_by_side(values, shapes, "record", axis)
        return Pooled(wanted, record, _joined_steps(values, shapes, axis), first.ratio)
    if any(isinstance(value, Share) for value in values):
        values = [multiplied(tables, v) if isinstance(v, Share) else v for v in values]
    if all(isinstance(value, Pooled | Combination) for value in values):
        return _combinations(tables, values, wanted, axis)
    return Joined(wanted, tuple(values), axis)


def _lengths(values: Sequence[Value], shapes: Sequence[Shape], axis: int) -> Lengths | None:
    """The norms of latent elements side by side.

    Raises:
        NotRecognisedError: some are divided by norms of another kind, or not divided.
    """
    found = [value.lengths for value in values if isinstance(value, Entries)]
    known = [one for one in found if one is not None]
    if not known:
        return None
    first = known[0]
    if len(known) != len(found) or any(
        one.space is not first.space or not one.norm.same(first.norm) for one in known
    ):
        raise NotRecognisedError("normalised latents beside others")
    return replace(first, site=joined([one.site for one in known], shapes, axis))


def _alike(x: Measured | Pooled, y: Value) -> bool:
    """Whether two values differ by indices and constants only."""
    if isinstance(x, Measured):
        if not isinstance(y, Measured) or x.space is not y.space:
            return False
        if (x.norm and x.norm.added) != (y.norm and y.norm.added):
            return False
    elif not isinstance(y, Pooled) or x.ratio != y.ratio:
        return False
    kinds = [[(s.name, s.constant is None) for s in v.steps] for v in (x, y)]
    return kinds[0] == kinds[1]


def _side_by_side(values: Sequence[Value], shapes: Sequence[Shape], name: str, axis: int) -> Array:
    return joined([getattr(value, name) for value in values], shapes, axis)


def _joined_norm(values: Sequence[Value], shapes: Sequence[Shape], axis: int) -> Norm | None:
    norms = [value.norm for value in values if isinstance(value, Measured) and value.norm]
    if not norms:
        return None
    floor, beside = (
        condense(joined([getattr(norm, name) for norm in norms], shapes, axis))
        for name in ("floor", "beside")
    )
    return Norm(floor, norms[0].added, beside)


def _joined_steps(
    values: Sequence[Value], shapes: Sequence[Shape], axis: int
) -> tuple[Applied, ...]:
    columns = zip(*(value.steps for value in values), strict=True)  # type: ignore[union-attr]
    result = []
    for column in columns:
        constants = [step.constant for step in column]
        constant = None if constants[0] is None else condense(joined(constants, shapes, axis))
        result.append(Applied(column[0].name, constant))
    return tuple(result)


def _combinations(tables: Tables, values: Sequence[Value], shape: Shape, axis: int) -> Combination:
    """Combinations side by side: every one padded to the whole shape, then added up."""
    result = Combination(shape, (), np.zeros((math.prod(shape), 0)), np.zeros(math.prod(shape)))
    start = 0
    for value in values:
        part = pooled.combined(tables, value)  # type: ignore[arg-type]
        place = np.full(shape, -1)
        cut = [slice(None)] * len(shape)
        cut[axis] = slice(start, start + value.shape[axis])
        place[tuple(cut)] = np.arange(len(part.bias)).reshape(value.shape)
        index = place.reshape(-1)
        weight = np.where(index[:, None] >= 0, part.weight[index], 0.0)
        bias = np.where(index >= 0, part.bias[index], 0.0)
        wide = Combination(shape, part.atom, weight, bias, part.ratio)
        result = (
            pooled.add(replace(result, ratio=wide.ratio), wide, 1.0)
            if not start
            else pooled.add(result, wide, 1.0)
        )
        start += value.shape[axis]
    return result
