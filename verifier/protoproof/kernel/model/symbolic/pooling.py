"""Pooling: the largest, least, mean, sum or k-largest mean over sites, and over pooled terms."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from protoproof.errors import ModelError
from protoproof.kernel.budget import OPERATION, room
from protoproof.kernel.model.symbolic.arrays import Array, combined, pay, thin
from protoproof.kernel.model.symbolic.expressions import Expressions, Single
from protoproof.kernel.model.symbolic.tables import Feature
from protoproof.kernel.model.symbolic.values import Measured, Terms


def pooled(
    value: Measured | Terms,
    axes: Sequence[int],
    kind: str,
    known: Expressions,
    count: int = 0,
) -> Terms:
    """The value pooled over some axes, which are left out.

    Args:
        kind: max, min, mean, sum, top or bottom (the mean of the ``count`` largest or least).

    Raises:
        ModelError: a pooling of terms that is no feature.
    """
    rest = [k for k in range(len(value.shape)) if k not in axes]
    order = [*rest, *axes]
    shape = tuple(value.shape[k] for k in rest)
    size = int(np.prod([value.shape[k] for k in axes]))
    moved = value.moved(lambda piece: np.transpose(piece, order))
    if isinstance(value, Terms) and isinstance(moved, Terms):
        lines = _lines(moved.term, len(rest), size)
        pay("pooling", 8 * lines.size, 2 * OPERATION)
        found = [_over_terms(line, kind, known, count) for line in lines.reshape(-1, size).tolist()]
        return Terms(_back(found, lines.shape[:-1], shape), value.over)
    parts = [_lines(piece, len(rest), size) for piece in moved.pieces]
    few = np.broadcast_shapes(*[part.shape[:-1] for part in parts])
    pay("pooling", int(np.prod(few)), 4 * OPERATION)
    if all(part.strides[-1] == 0 or part.shape[-1] == 1 for part in parts[1:]):
        # one prototype per line
        group, row, program = _groups(parts[0], known), parts[1][..., 0], parts[2][..., 0]
        term = combined(lambda g, r, p: _feature(g, r, p, kind, known, count), group, row, program)
        return Terms(np.broadcast_to(term, shape))
    pay("pooling", int(np.prod(few)) * size, 4 * OPERATION)
    site, row, program = (np.broadcast_to(p, (*few, size)).reshape(-1, size) for p in parts)
    found = [
        _over_sites(site[k].tolist(), row[k].tolist(), program[k].tolist(), kind, known, count)
        for k in range(len(site))
    ]
    return Terms(_back(found, few, shape))


def _groups(site: Array, known: Expressions) -> Array:
    """[...]: the group of each line of sites."""
    pay("pooling", site.size)
    lines = site.reshape(-1, site.shape[-1]).tolist()
    groups = [known.tables.group(tuple(line)) for line in lines]
    return np.array(groups, dtype=np.int64).reshape(site.shape[:-1])


def _lines(piece: Array, rest: int, size: int) -> Array:
    """[..., size]: the pooled axes as one, others only where the array changes along them."""
    few = thin(piece)
    still = all(n == 1 for n in few.shape[rest:])
    if not still:
        few = np.broadcast_to(few, (*few.shape[:rest], *piece.shape[rest:]))
        room("pooling", 8 * few.size)
        return few.reshape(*few.shape[:rest], size)
    return np.broadcast_to(few.reshape(*few.shape[:rest], 1), (*few.shape[:rest], size))


def _back(found: list[int], few: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    return np.broadcast_to(np.array(found, dtype=np.int64).reshape(few), shape)


def _over_sites(
    sites: list[int],
    row: list[int],
    program: list[int],
    kind: str,
    known: Expressions,
    count: int,
) -> int:
    group = known.tables.group
    if len(set(row)) == 1 == len(set(program)):
        return _feature(group(tuple(sites)), row[0], program[0], kind, known, count)
    # several prototypes at once: each over its own sites, then all of them together
    groups: dict[tuple[int, int], list[int]] = {}
    for s, r, p in zip(sites, row, program, strict=True):
        groups.setdefault((r, p), []).append(s)
    if kind not in ("max", "min", "mean", "sum"):
        raise ModelError(f"model: the {count} {kind} of several prototypes together")
    inner = "sum" if kind == "mean" else kind
    found = [
        _feature(group(tuple(where)), r, p, inner, known, count) for (r, p), where in groups.items()
    ]
    total = _over_terms(found, inner, known, count)
    return known.scaled(total, Fraction(1, len(sites))) if kind == "mean" else total


def _feature(group: int, row: int, program: int, kind: str, known: Expressions, count: int) -> int:
    size = known.tables.size(group)
    if kind in ("top", "bottom") and not 1 <= count <= size:
        raise ModelError(f"model: the {count} {kind} of {size} locations")
    if count == size and kind in ("top", "bottom"):
        kind, count = "mean", 0
    elif count == 1:
        kind, count = {"top": "max", "bottom": "min"}.get(kind, kind), 0
    if size == 1:  # nothing is pooled, so what was done before may as well be done afterwards
        alone = known.tables.feature(Feature("max", 0, group, row, 0))
        return known.enter(Single(alone, program))
    if kind in ("mean", "sum", "max", "min"):
        count = 0
    return known.pooled(Feature(kind, count, group, row, program))


def _over_terms(line: Sequence[int], kind: str, known: Expressions, count: int) -> int:
    if len(line) == 1 or (len(set(line)) == 1 and kind in ("max", "min")):
        return line[0]
    if kind == "top" and count == 1:
        kind = "max"
    if kind in ("mean", "sum"):
        return known.total(line, [1] * len(line), len(line) if kind == "mean" else 1)
    if kind == "max":
        return known.best(line)
    if kind == "min":
        least = known.best(known.then(term, "mul", Fraction(-1)) for term in line)
        return known.scaled(least, Fraction(-1))
    raise ModelError(f"model: the {count} {kind} of terms that are pooled already")
