"""From measurements to pooled values, and what decisions are made of: atoms and combinations."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from protoproof.network.head.constants import Numbers
from protoproof.network.head.features import least_values
from protoproof.network.head.layout import Shape, axes_of, one
from protoproof.network.head.measured import applied
from protoproof.network.head.refusal import NotRecognisedError
from protoproof.network.head.symbols import (
    Applied,
    Combination,
    Index,
    Measured,
    Pooled,
    Ranked,
    Real,
    only,
)
from protoproof.network.head.tables import Atom, Group, Pool, Scalar, Tables

_MOST_RECORDS = 1 << 16
_MOST_WEIGHTS = 1 << 24


class Terms(NamedTuple):
    """coefficient * atom + shift, element by element in row-major order; all [n]."""

    atom: Index
    coefficient: Real
    shift: Real


def scalars(steps: tuple[Applied, ...], shape: Shape) -> list[tuple[Scalar, ...]]:
    """The steps of every element of ``shape``, row-major."""
    columns: list[list[float | None]] = []
    for step in steps:
        if step.constant is None:
            columns.append([None] * math.prod(shape))
        else:
            columns.append([*np.broadcast_to(step.constant, shape).reshape(-1).tolist()])
    names = [step.name for step in steps]
    if not columns:
        return [()] * math.prod(shape)
    return [tuple(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def over_locations(
    tables: Tables, x: Measured, kind: str, axes: tuple[int, ...], count: int = 1
) -> Pooled:
    """Measurements pooled over ``axes`` (kept with size 1), on which sites vary.

    Raises:
        NotRecognisedError: prototypes or constants that differ from location to location.
    """
    for array in x.varying:
        if any(array.shape[axis] != 1 for axis in axes):
            raise NotRecognisedError(
                "one pooling over several prototypes, or differing constants, and the locations at "
                "once: it would have to pool each prototype by itself"
            )
    varied = [array.shape for array in x.varying]
    site_kept = tuple(1 if k in axes else n for k, n in enumerate(x.site.shape))
    outer = np.broadcast_shapes(site_kept, *varied)
    if math.prod(outer) > _MOST_RECORDS:
        raise NotRecognisedError(f"{math.prod(outer)} pooled values are too many to follow")
    size = math.prod(x.site.shape[k] for k in axes)
    if kind == "k-largest mean" and count >= size:
        kind = "mean"
    if size == 1 or (kind == "k-largest mean" and count == 1):
        kind = "max"
    count = count if kind == "k-largest mean" else 1
    rest = [k for k in range(len(x.shape)) if k not in axes]
    sets = x.site.transpose(*rest, *axes).reshape(math.prod(site_kept), -1)
    numbers = [tables.site_set(x.space, tuple(row)) for row in sets.tolist()]
    site_sets = np.broadcast_to(np.array(numbers).reshape(site_kept), outer).reshape(-1).tolist()
    rows = np.broadcast_to(x.row, outer).reshape(-1).tolist()
    norms: list[tuple[float, float, float] | None] = [None] * len(rows)
    if x.norm is not None:
        ends = (x.norm.floor, np.array(x.norm.added), x.norm.beside)
        columns = (np.broadcast_to(part, outer).reshape(-1).tolist() for part in ends)
        norms = [*zip(*columns, strict=True)]
    # where nothing is pooled, what was done before may as well be done afterwards
    before, after = ((), x.steps) if size == 1 else (x.steps, ())
    steps = scalars(before, outer)
    record = [
        tables.record(Pool(kind, count, x.space, *each))
        for each in zip(site_sets, rows, norms, steps, strict=True)
    ]
    shape = tuple(1 if k in axes else n for k, n in enumerate(x.shape))
    return Pooled(shape, np.array(record, dtype=np.int64).reshape(outer), after)


def single(tables: Tables, x: Measured) -> Pooled:
    """Measurements at one location each: pooled over that location."""
    return over_locations(tables, x, "max", ())


def as_pooled(tables: Tables, x: Measured | Pooled | Ranked) -> Pooled:
    """Pooled values, where nothing was pooled yet those of single locations."""
    if isinstance(x, Ranked):
        raise NotRecognisedError("the k largest of measurements, other than their mean")
    return x if isinstance(x, Pooled) else single(tables, x)


def reduced(
    tables: Tables, x: Measured | Pooled, kind: str, axes: tuple[int, ...]
) -> Pooled | Combination:
    """max, min, mean or sum over axes, which stay with size 1."""
    if isinstance(x, Measured):
        inside = tuple(k for k in axes if k in axes_of(x.site))
        idle = _idle(x, axes, inside)
        if kind in ("mean", "sum") and not inside:
            return total(tables, single(tables, x), axes, kind)
        pooled = over_locations(tables, x, kind, inside) if inside else single(tables, x)
        if kind == "sum" and idle > 1:
            pooled = applied(pooled, "mul", Numbers(np.array(float(idle))))
        x, axes = pooled, tuple(k for k in axes if k not in inside)
    if all(x.shape[axis] == 1 for axis in axes):
        return x
    if kind in ("mean", "sum"):
        return total(tables, x, axes, kind)
    return _grouped(tables, x, kind, axes)


def _idle(x: Measured, axes: tuple[int, ...], inside: tuple[int, ...]) -> int:
    """How often everything repeats along axes on which nothing varies."""
    arrays = x.varying
    free = [k for k in axes if k not in inside and all(a.shape[k] == 1 for a in arrays)]
    return math.prod(x.shape[k] for k in free)


def _grouped(tables: Tables, x: Pooled, kind: str, axes: tuple[int, ...]) -> Pooled:
    """The largest or least of several pooled values."""
    full = x.shape
    rest = [k for k in range(len(full)) if k not in axes]
    place = np.arange(math.prod(full)).reshape(full).transpose(*rest, *axes)
    shape = tuple(1 if k in axes else n for k, n in enumerate(full))
    steps = scalars(x.steps, full)
    records = np.broadcast_to(x.record, full).reshape(-1).tolist()
    atoms = [tables.atom(Atom(r, s)) for r, s in zip(records, steps, strict=True)]
    groups = [
        tables.record(Group(kind, tuple(sorted({atoms[k] for k in row}))))
        for row in place.reshape(math.prod(shape), -1).tolist()
    ]
    return Pooled(shape, np.array(groups, dtype=np.int64).reshape(shape), (), x.ratio)


def terms(tables: Tables, x: Pooled) -> Terms:
    """What a combination weighs, element by element.

    Functions stay with what they are applied to; only the best of a group leaves what is affine to
    the weights.
    """
    keep = len(x.steps)
    coefficient, shift = one(1.0, len(x.shape)), one(0.0, len(x.shape))
    groups = any(isinstance(tables.records[k], Group) for k in np.unique(x.record).tolist())
    while groups and keep and x.steps[keep - 1].name in ("add", "mul"):
        name, constant = x.steps[keep - 1].name, only(x.steps[keep - 1].constant, np.ndarray)
        if name == "add":
            shift = shift + coefficient * constant
        else:
            coefficient = coefficient * constant
        keep -= 1
    records = np.broadcast_to(x.record, x.shape).reshape(-1).tolist()
    chains = scalars(x.steps[:keep], x.shape)
    atom = [tables.atom(Atom(r, s)) for r, s in zip(records, chains, strict=True)]
    parts = (np.broadcast_to(part, x.shape).reshape(-1) for part in (coefficient, shift))
    return Terms(np.array(atom, dtype=np.int64), *parts)


def matrix(found: Terms, weight: Real) -> tuple[tuple[int, ...], Real, Real]:
    """weight [m, n] times the terms [n]: atoms, weight over atoms [m, A], bias [m]."""
    atoms, place = np.unique(found.atom, return_inverse=True)
    scaled = weight * found.coefficient
    if len(atoms) == len(found.atom):
        result = np.empty_like(scaled)
        result[:, place.reshape(-1)] = scaled
    else:
        result = np.zeros((len(weight), len(atoms)))
        np.add.at(result.T, place.reshape(-1), scaled.T)
    return tuple(atoms.tolist()), result, weight @ found.shift


def _gathered(
    found: Terms, place: Index, size: int, share: float
) -> tuple[tuple[int, ...], Real, Real]:
    """:func:`matrix` for weights that are ``share`` at ``place`` [n] of ``size`` rows, else 0."""
    atoms, column = np.unique(found.atom, return_inverse=True)
    weight, bias = np.zeros((size, len(atoms))), np.zeros(size)
    np.add.at(weight, (place, column.reshape(-1)), share * found.coefficient)
    np.add.at(bias, place, share * found.shift)
    return tuple(atoms.tolist()), weight, bias


def combined(tables: Tables, x: Pooled | Combination | Measured | Ranked) -> Combination:
    """Any of these as a combination, element by element."""
    if isinstance(x, Combination):
        return x
    x = as_pooled(tables, x)
    found, count = terms(tables, x), math.prod(x.shape)
    return Combination(x.shape, *_gathered(found, np.arange(count), count, 1.0), x.ratio)


def total(tables: Tables, x: Pooled | Combination, axes: tuple[int, ...], kind: str) -> Combination:
    """The sum or mean over axes, which stay with size 1."""
    shape = tuple(1 if k in axes else n for k, n in enumerate(x.shape))
    size, before = math.prod(shape), math.prod(x.shape)
    place = np.broadcast_to(np.arange(size).reshape(shape), x.shape).reshape(-1)
    share = float(size) / before if kind == "mean" else 1.0
    if isinstance(x, Pooled):
        return Combination(shape, *_gathered(terms(tables, x), place, size, share), x.ratio)
    gather = np.zeros((size, before))
    gather[place, np.arange(before)] = share
    return replace(x, shape=shape, weight=gather @ x.weight, bias=gather @ x.bias)


def product(tables: Tables, x: Pooled | Combination, weight: Real) -> Combination:
    """x [..., n] times weight [n, m].

    Raises:
        NotRecognisedError: too many rows at once.
    """
    rows = math.prod(x.shape[:-1])
    shape = (*x.shape[:-1], weight.shape[1])
    if rows != 1:
        if rows**2 * weight.size > _MOST_WEIGHTS:
            raise NotRecognisedError("a matrix product of many rows of pooled values")
        weight = np.asarray(np.kron(np.eye(rows), weight), dtype=np.float64)
    if isinstance(x, Pooled):
        return Combination(shape, *matrix(terms(tables, x), weight.T), x.ratio)
    return replace(x, shape=shape, weight=weight.T @ x.weight, bias=weight.T @ x.bias)


def add(x: Combination, y: Combination, sign: float) -> Combination:
    """x + sign * y.

    Raises:
        NotRecognisedError: votes over different denominators.
    """
    if x.ratio != y.ratio:
        raise NotRecognisedError("a sum of votes over different denominators")
    shape = np.broadcast_shapes(x.shape, y.shape)
    atoms = tuple(sorted({*x.atom, *y.atom}))
    column = {atom: k for k, atom in enumerate(atoms)}
    weight = np.zeros((math.prod(shape), len(atoms)))
    bias = np.zeros(math.prod(shape))
    for part, factor in ((x, 1.0), (y, sign)):
        place = np.broadcast_to(np.arange(len(part.bias)).reshape(part.shape), shape).reshape(-1)
        weight[:, [column[a] for a in part.atom]] += factor * part.weight[place]
        bias += factor * part.bias[place]
    return Combination(shape, atoms, weight, bias, x.ratio)


def _widened(x: Combination, shape: Shape) -> Combination:
    if x.shape == shape:
        return x
    return x.moved(shape, lambda array, _: np.broadcast_to(array, shape))


def shifted(tables: Tables, x: Combination, numbers: Numbers) -> Combination:
    """x + numbers; over a common denominator the numbers are multiplied by it."""
    shape = np.broadcast_shapes(x.shape, numbers.shape)
    wide = _widened(x, shape)
    extra = np.broadcast_to(numbers.plain, shape).reshape(-1)
    if x.ratio is None:
        return replace(wide, bias=wide.bias + extra)
    below = only(tables.ratios[x.ratio], Combination)
    scaled = Combination(
        shape,
        below.atom,
        extra[:, None] * below.weight,
        extra * below.bias,
        x.ratio,
    )
    return add(wide, scaled, 1.0)


def scaled(x: Combination, numbers: Numbers) -> Combination:
    """x * numbers, element by element."""
    shape = np.broadcast_shapes(x.shape, numbers.shape)
    wide = _widened(x, shape)
    factor = np.broadcast_to(numbers.plain, shape).reshape(-1)
    return replace(wide, weight=wide.weight * factor[:, None], bias=wide.bias * factor)


def alone(tables: Tables, x: Combination) -> Pooled:
    """A combination that weighs one atom per element, as pooled values again.

    Raises:
        NotRecognisedError: several atoms in one element, or different functions.
    """
    if x.ratio is not None or ((x.weight != 0).sum(axis=1) != 1).any():
        records = [tables.records[tables.atoms[k].record] for k in x.atom]
        squares = any(isinstance(r, Pool) and ("square", None) in r.steps for r in records)
        raise NotRecognisedError(
            "a distance by a full matrix, as sums of squares of mixed channels: it would have to "
            "be that of a latent to which the matrix was applied"
            if squares
            else "a function of several prototypes' values together: it would have to be of one "
            "prototype's value at a time"
        )
    column = (x.weight != 0).argmax(axis=1)
    factor = x.weight[np.arange(len(column)), column]
    atoms = [tables.atoms[x.atom[k]] for k in column.tolist()]
    names = {tuple(name for name, _ in atom.steps) for atom in atoms}
    if len(names) != 1:
        raise NotRecognisedError("different functions of pooled values side by side")
    steps = []
    for number, name in enumerate(names.pop()):
        values = [atom.steps[number][1] for atom in atoms]
        constant = None if values[0] is None else np.array(values).reshape(x.shape)
        steps.append(Applied(name, constant))
    record = np.array([atom.record for atom in atoms], dtype=np.int64).reshape(x.shape)
    value = Pooled(x.shape, record, tuple(steps))
    value = applied(value, "mul", Numbers(factor.reshape(x.shape)))
    return applied(value, "add", Numbers(x.bias.reshape(x.shape)))


def bare(tables: Tables, x: Combination) -> Pooled | None:
    """A combination whose elements are one atom each and nothing else, as an identity matrix makes
    it, as pooled values again; None for any other."""
    single = (x.weight == 1).sum(axis=1) == 1
    if (
        x.ratio is not None
        or not single.all()
        or x.bias.any()
        or (x.weight == 0).sum() < (x.weight.size - len(x.weight))
    ):
        return None
    chains = {tuple(name for name, _ in tables.atoms[k].steps) for k in x.atom}
    return alone(tables, x) if len(chains) == 1 else None


def softmax(tables: Tables, x: Pooled, axes: tuple[int, ...]) -> Pooled:
    """Votes: exp over their sum, a positive denominator that all elements share."""
    x = applied(x, "exp")
    return only(over_sum(tables, x, total(tables, x, axes, "sum")), Pooled)


def over_sum(tables: Tables, x: Pooled | Combination, below: Combination) -> Pooled | Combination:
    """x divided by one positive number that all elements share.

    Raises:
        NotRecognisedError: several denominators, or one that is not known to be positive.
    """
    if len(below.bias) != 1 or x.ratio is not None or below.ratio is not None:
        raise NotRecognisedError("a division by several different sums")
    least = least_values(tables, [tables.atoms[atom] for atom in below.atom])
    total_least = below.weight[0] @ np.where(below.weight[0] > 0, least, 0.0) + below.bias[0]
    if (below.weight < 0).any() or not (least >= 0).all() or total_least < 0:
        raise NotRecognisedError("a division by a sum that is not known to be positive")
    tables.ratios.append(below)
    return replace(x, ratio=len(tables.ratios) - 1)
