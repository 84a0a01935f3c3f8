"""Arithmetic on elements of the latent, up to the sums that make measurements of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from protoproof.errors import ModelError
from protoproof.kernel.model.real import Real
from protoproof.kernel.model.symbolic.arrays import (
    Array,
    Exact,
    Number,
    Shape,
    add,
    combined,
    exact,
    multiply,
    numbered,
    pay,
    quotient,
    reciprocal,
    spread,
    thin,
)
from protoproof.kernel.model.symbolic.tables import Row, Site, Tables
from protoproof.kernel.model.symbolic.values import Constant, Latent, Measured


def spanned(value: Latent) -> Latent:
    """The value with all arrays broadcast to one shape."""
    shape = np.broadcast_shapes(*[piece.shape for piece in value.pieces])
    return value.moved(lambda piece: np.broadcast_to(piece, shape))  # type: ignore[no-any-return]


def scaled(value: Latent, by: Constant) -> Latent:
    """value * by."""
    root = multiply(value.root, by.root)
    if value.power == 2:
        return spanned(replace(value, weight=multiply(value.weight, by.number), root=root))
    scale, shift = multiply(value.scale, by.number), multiply(value.shift, by.number)
    return spanned(replace(value, scale=scale, shift=shift, root=root))


def shifted(value: Latent, by: Constant, sign: int) -> Latent | None:
    """value + sign * by; None where that is no such element any more."""
    if value.power != 1 or not by.rational or not constant_root(value):
        return None
    return spanned(replace(value, shift=add(value.shift, by.number, sign)))


def constant_root(value: Latent) -> bool:
    return Constant(value.root, value.root).rational


def squared(value: Latent) -> Latent | None:
    """value**2; None where it is a square already."""
    if value.power != 1:
        return None
    weight = reciprocal(value.root)
    return spanned(replace(value, weight=weight, root=exact(1, value.shape), power=2))


def summed(value: Latent, axes: Sequence[int], tables: Tables) -> Measured:
    """The sums over some axes, which are left out of the result's shape.

    Positions along axes where the site does not change are prototypes: each has a row of its own.
    Along the others, equal coefficients are one row.

    Raises:
        ModelError: the sums are no measurements of sites.
    """
    last = range(-len(axes), 0)
    moved = value.moved(lambda piece: np.moveaxis(piece, axes, last))
    rest: Shape = moved.shape[: len(moved.shape) - len(axes)]
    flat = moved.moved(lambda piece: joined(piece, len(rest)))
    index, kept, order = _elements(flat.index)
    site = _sites(index, _norms(flat, kept), tables)
    row, program = _coefficients(flat, kept, order, thin(site).shape, tables)
    return Measured(*(np.broadcast_to(a, rest) for a in (site, row, program)))


def single(value: Latent, tables: Tables) -> Measured:
    """Every element as a measurement of its own site."""
    return summed(value.moved(lambda piece: piece[..., None]), [-1], tables)


def product(value: Latent, matrix: Constant, tables: Tables) -> Measured:
    """value [..., D] times matrix [D, P]."""
    wide = value.moved(lambda piece: piece[..., None, :])
    return summed(scaled(wide, matrix.moved(np.transpose)), [-1], tables)


def joined(piece: Array, rest: int) -> Array:
    """The axes from ``rest`` on as one; axes before them that only repeat stay short."""
    few = thin(piece)
    shape = np.broadcast_shapes(few.shape, (1,) * rest + piece.shape[rest:])
    pay("elements", int(np.prod(shape[:rest])), 1)
    few = np.broadcast_to(few, shape).reshape(*shape[:rest], int(np.prod(shape[rest:])))
    return np.broadcast_to(few, (*piece.shape[:rest], few.shape[-1]))


def _short(piece: Array) -> Array:
    """The array without repetition, except along the last axis."""
    few = thin(piece)
    return np.broadcast_to(few, (*few.shape[:-1], piece.shape[-1]))


def _elements(index: Array) -> tuple[Array, Array, Array]:
    """Sorted elements of every sum, which of its places hold any, and in which order."""
    few = _short(index)
    pay("the latent's elements", few.size)
    rows = few.reshape(-1, few.shape[-1])
    kept = np.flatnonzero((rows >= 0).any(axis=0))
    rows = rows[:, kept]
    if (rows < 0).any():
        raise ModelError("model: locations at the border lack elements of the latent")
    order = np.argsort(rows[0], kind="stable")
    rows = rows[:, order]
    if rows.shape[1] > 1 and not (np.diff(rows, axis=1) > 0).all():
        raise ModelError(
            "model: locations take the latent's elements in different orders, or one twice"
        )
    return rows.reshape(*few.shape[:-1], kept.size), kept, order


def _norms(flat: Latent, kept: Array) -> Array:
    few = _short(flat.norm)[..., kept]
    if few.shape[-1] and not (few == few[..., :1]).all():
        raise ModelError("model: elements of one location are divided by different norms")
    norm = few[..., 0] if kept.size else few.sum(axis=-1) - 1
    if flat.power == 2 and (norm >= 0).any():
        raise ModelError("model: a normalised latent is squared; the latent is the normalised one")
    return norm


def _sites(index: Array, norm: Array, tables: Tables) -> Array:
    unique, inverse = np.unique(index.reshape(-1, index.shape[-1]), axis=0, return_inverse=True)
    elements = [tuple(line) for line in unique.tolist()]
    return combined(
        lambda which, by: tables.site(Site(elements[which], by)),
        inverse.reshape(index.shape[:-1]),
        norm,
    )


def _coefficients(
    flat: Latent, kept: Array, order: Array, varies: Shape, tables: Tables
) -> tuple[Array, Array]:
    """Rows and programs: square and slope of every element, and what is added to their sum."""
    scale, shift, weight, root = (
        Exact(_short(part.numerators), part.denominator)
        for part in (flat.scale, flat.shift, flat.weight, flat.root)
    )
    empty = np.ones(flat.shape[-1], dtype=bool)
    empty[kept] = False
    scale = Exact(np.where(empty, 0, scale.numerators), scale.denominator)
    if flat.power == 1:
        square, slope, rest = None, scale, shift
    else:
        # weight (scale z + shift)^2; what rarely changes is multiplied first
        once = multiply(weight, scale)
        square = multiply(once, scale)
        slope = multiply(multiply(exact(2), once), shift)
        rest = multiply(weight, multiply(shift, shift))
    places = kept[order]
    pay("coefficients", int(np.prod(common(square, slope))) * 4)
    roots = thin(root.numerators)
    if not (roots == roots[..., :1]).all():
        if square is None or empty.any() or not np.all(thin(square.numerators).astype(bool)):
            raise ModelError("model: elements of one location are divided by different roots")
        # weight (scale z + shift)^2 is weight scale^2 (z - p)^2, whatever is multiplied with it
        row = _rows(square, slope, places, varies, tables, _factors(root))
        return row, _programs(exact(0, roots.shape[:-1]), exact(1, roots.shape[:-1]), tables)
    row = _rows(square, slope, places, varies, tables)
    added = Exact(thin_sum(rest), rest.denominator)
    return row, _programs(added, Exact(roots[..., 0], root.denominator), tables)


def _factors(root: Exact) -> Array:
    """1 / sqrt(root)."""

    def one(under: object) -> Real:
        return Real("quotient", 1, Real("root", quotient(under, root.denominator)))

    return spread(np.frompyfunc(one, 1, 1), root.numerators)


def common(square: Exact | None, slope: Exact) -> Shape:
    parts = [slope.numerators] if square is None else [square.numerators, slope.numerators]
    return np.broadcast_shapes(*[thin(part).shape for part in parts])


def thin_sum(values: Exact) -> Array:
    """Sums over the last axis."""
    return np.asarray(_short(values.numerators).sum(axis=-1), dtype=object)


def _rows(
    square: Exact | None,
    slope: Exact,
    places: Array,
    varies: Shape,
    tables: Tables,
    factors: Array | None = None,
) -> Array:
    first = _short(slope.numerators)[..., places]
    second = None if square is None else _short(square.numerators)[..., places]
    third = None if factors is None else _short(factors)[..., places]
    shape = np.broadcast_shapes(*[p.shape for p in (first, second, third) if p is not None])
    lines = np.broadcast_to(first, shape).reshape(-1, shape[-1]).tolist()
    more: list[list[Real]] = []
    if third is not None:
        more = np.broadcast_to(third, shape).reshape(-1, shape[-1]).tolist()
    other = slope.denominator if square is None else square.denominator
    denominator = math.lcm(slope.denominator, other)
    up, down = denominator // slope.denominator, denominator // other
    squares: list[tuple[Any, ...]] = [()]  # of every line, or one for all
    if second is not None:
        few = second if second.size == second.shape[-1] else np.broadcast_to(second, shape)
        curved = few.reshape(-1, shape[-1]).tolist()
        squares = [tuple([down * n for n in line]) if any(line) else () for line in curved]
    # along axes where the site changes, equal coefficients are one row
    own = [size if vary == 1 else 1 for size, vary in zip(shape[:-1], varies, strict=True)]
    position = np.broadcast_to(np.arange(int(np.prod(own))).reshape(own), shape[:-1]).ravel()
    equal: dict[Row, dict[int, int]] = {}
    ids = np.zeros(len(lines), dtype=np.int64)
    for k, (place, line) in enumerate(zip(position.tolist(), lines, strict=True)):
        slopes = tuple([up * n for n in line]) if up != 1 else tuple(line)
        own_factors = tuple(more[k]) if more else ()
        square_of = squares[k] if len(squares) > 1 else squares[0]
        entry = Row(square_of, slopes if any(slopes) else (), denominator, own_factors)
        numbered = equal.setdefault(entry, {})  # long rows are hashed once
        if place not in numbered:
            numbered[place] = tables.row(entry, len(numbered))
        ids[k] = numbered[place]
    return ids.reshape(shape[:-1])


def _programs(added: Exact, root: Exact, tables: Tables) -> Array:
    numbers: dict[Number, int] = {}
    constants, roots = numbered(added, numbers), numbered(root, numbers)
    named = list(numbers)

    # where one of them needs an instruction, all have it: programs stay alike
    adds, divides = (
        any(named[k] for k in np.unique(thin(constants))),
        bool(any(named[k] != 1 for k in np.unique(thin(roots)))),
    )

    def program(constant: int, divisor: int) -> int:
        start = tables.then(0, "add", named[constant]) if adds else 0
        return tables.then(start, "div_root", named[divisor]) if divides else start

    return combined(program, constants, roots)
