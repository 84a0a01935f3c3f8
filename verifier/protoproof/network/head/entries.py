"""Algebra of single latent elements, and the sums of them that are measurements."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from protoproof.network.head import constants
from protoproof.network.head.constants import Numbers
from protoproof.network.head.layout import Array, Shape, condense, lift, one
from protoproof.network.head.measured import norm_of
from protoproof.network.head.refusal import NotRecognisedError
from protoproof.network.head.symbols import Applied, Entries, Index, Lengths, Measured, Real
from protoproof.network.head.tables import Rows, Tables


def latent(shape: Shape, first: int) -> Entries:
    """A cut: its elements numbered from ``first`` on."""
    rank = len(shape)
    element = np.arange(first, first + math.prod(shape)).reshape(shape)
    zero = one(0.0, rank)
    return Entries(shape, element, zero, one(1.0, rank), zero, zero)


def _aligned(x: Entries, numbers: Numbers) -> tuple[Shape, Entries, Real, Real]:
    """Both at the rank of their common shape; the numbers as a pair, compact.

    Along axes where the latent element stays the same, positions are prototypes: they stay several
    even where all of them are equal.
    """
    shape = np.broadcast_shapes(x.shape, numbers.shape)
    rank = len(shape)
    wide = x.moved(shape, lambda array, _: lift(array, rank))
    prototypes = tuple(axis for axis, size in enumerate(wide.element.shape) if size == 1)
    high = condense(lift(numbers.plain, rank), prototypes)
    low = condense(lift(numbers.rest, rank), prototypes) if numbers.exact else one(0.0, rank)
    return shape, wide, high, low


def add_numbers(x: Entries, numbers: Numbers) -> Entries:
    """x + numbers."""
    shape, x, high, low = _aligned(divided(x), numbers)
    if x.lengths is not None and (high.any() or low.any()):
        raise NotRecognisedError("a normalised latent with something added")
    c, c_low = constants.add(x.c, x.c_low, high, low)
    return Entries(shape, x.element, x.a, x.g, c, c_low, x.lengths)


def multiply_numbers(x: Entries, numbers: Numbers) -> Entries:
    """x * numbers; a square root below them stays one."""
    if numbers.root is not None:
        found = multiply_numbers(x, Numbers(numbers.high, numbers.low))
        below = lift(condense(numbers.root), len(found.shape))
        return replace(found, root=below if found.root is None else below * found.root)
    shape, x, high, low = _aligned(x, numbers)
    c, c_low = constants.multiply(x.c, x.c_low, high, low)
    a = x.a * high if x.a.any() else x.a
    if not c.any() and not c_low.any():
        c, c_low = one(0.0, len(shape)), one(0.0, len(shape))
    return Entries(shape, x.element, a, x.g * high, c, c_low, x.lengths, x.root)


def divided(x: Entries, twice: bool = False) -> Entries:
    """The same without a root below: it is put into the coefficients, which may round.

    ``twice``: of a square, whose root was not squared with it.
    """
    if x.root is None:
        return x
    factor = 1.0 / (x.root if twice else np.sqrt(x.root))
    return multiply_numbers(replace(x, root=None), Numbers(factor))


def square(x: Entries) -> Entries:
    """x * x of an x that holds no square yet.

    Raises:
        NotRecognisedError: a fourth power.
    """
    if not x.linear or x.lengths is not None:
        raise NotRecognisedError("a square of a square, or of a normalised latent")
    c, c_low = constants.multiply(x.c, x.c_low, x.c, x.c_low)
    a, g = x.g * x.g, 2.0 * x.g * x.c
    return divided(Entries(x.shape, x.element, a, g, c, c_low, root=x.root), twice=True)


def add(x: Entries, y: Entries, sign: float) -> Entries:
    """x + sign * y, element by element.

    Raises:
        NotRecognisedError: they are of different latent elements.
    """
    shape = np.broadcast_shapes(x.shape, y.shape)
    x, y = (divided(v).moved(shape, lambda array, _: lift(array, len(shape))) for v in (x, y))
    if not same(x.element, y.element, shape) or x.lengths is not None or y.lengths is not None:
        raise NotRecognisedError("a sum of different latent elements")
    c, c_low = constants.add(x.c, x.c_low, sign * y.c, sign * y.c_low)
    element = x.element if x.element.size >= y.element.size else y.element
    return Entries(shape, element, x.a + sign * y.a, x.g + sign * y.g, c, c_low)


def equal(x: Entries, y: Entries) -> bool:
    """Whether two values are the same, element by element."""
    if x.shape != y.shape:
        return False
    parts = ("element", "a", "g", "c", "c_low")
    if any(part is not None for v in (x, y) for part in (v.lengths, v.root)):
        return x is y
    return x is y or all(same(getattr(x, name), getattr(y, name), x.shape) for name in parts)


def same(x: Index | Real, y: Index | Real, shape: Shape) -> bool:
    """Whether two compact arrays are the same over ``shape``; nothing larger is written out."""
    del shape
    return x.shape == y.shape and bool((x == y).all())


def summed(tables: Tables, x: Entries, axes: tuple[int, ...]) -> Measured:
    """The sum over ``axes``, which stay with size 1: one site per location, one row per prototype.

    Raises:
        NotRecognisedError: a latent element is counted more than once, or sites differ in order.
    """
    for axis in axes:
        if x.element.shape[axis] != x.shape[axis]:
            raise NotRecognisedError("a sum that counts a latent element more than once")
    steps: tuple[Applied, ...] = ()
    if x.root is not None and all(x.root.shape[axis] == 1 for axis in axes):
        steps, x = (Applied("div_root", x.root),), replace(x, root=None)
    x = divided(x)
    size = math.prod(x.shape[axis] for axis in axes)
    tables.sums += 1
    space = tables.space(size)
    site, order = space.add_sites(_rows_of(x.element, axes, x.element.shape))
    outer = np.broadcast_shapes(*(_kept(part, axes) for part in (x.a, x.g, x.c, x.c_low)))
    full = tuple(x.shape[k] if k in axes else n for k, n in enumerate(outer))
    a, g = (_rows_of(part, axes, full)[:, order] for part in (x.a, x.g))
    c, c_low = (np.broadcast_to(part, full) for part in (x.c, x.c_low))
    c, c_low = constants.total(c, c_low, axes)
    row = space.add_rows(Rows(a, g, c.reshape(-1), c_low.reshape(-1), np.ones(len(a))))
    shape = tuple(1 if k in axes else n for k, n in enumerate(x.shape))
    place = site.reshape(_kept(x.element, axes))
    norm = None
    if x.lengths is not None:
        rank = len(x.shape)
        norm = x.lengths.norm.moved(x.shape, lambda array, _: lift(array, rank))
        if x.lengths.space is not space or not np.array_equal(condense(x.lengths.site), place):
            raise NotRecognisedError("a sum over other elements than those whose norm divides them")
    return Measured(shape, space, place, row.reshape(outer), norm, steps)


def _kept(array: Array, axes: tuple[int, ...]) -> Shape:
    return tuple(1 if axis in axes else size for axis, size in enumerate(array.shape))


def _rows_of(array: Array, axes: tuple[int, ...], shape: Shape) -> Array:
    """[everything else, axes]."""
    rest = [axis for axis in range(len(shape)) if axis not in axes]
    moved = np.broadcast_to(array, shape).transpose(*rest, *axes)
    size = math.prod(shape[axis] for axis in axes)
    return np.array(moved.reshape(-1, size))


def channels(tables: Tables, x: Entries, locations: tuple[int, ...]) -> Measured:
    """Single elements as measurements: a site is what shares a place on the axes ``locations``.

    The row of an element is its own axis (times its scale): "prototype j is channel j".

    Raises:
        NotRecognisedError: elements that repeat along an axis, or coefficients per location.
    """
    x = divided(x)
    rest = tuple(axis for axis in range(len(x.shape)) if axis not in locations)
    if x.element.shape != x.shape:
        raise NotRecognisedError("latent elements that repeat along an axis")
    if x.lengths is not None:
        raise NotRecognisedError("channels of a latent that is normalised on the way")
    size = math.prod(x.shape[axis] for axis in rest)
    space = tables.space(size)
    site, order = space.add_sites(_rows_of(x.element, rest, x.shape))
    coefficients = []
    for part in (x.a, x.g, x.c, x.c_low):
        if any(part.shape[axis] != 1 for axis in locations):
            raise NotRecognisedError("coefficients that differ from location to location")
        coefficients.append(np.broadcast_to(part, _kept(x.element, locations)).reshape(-1))
    a, g, c, c_low = coefficients
    unit = np.eye(size)[:, order]
    row = space.add_rows(
        Rows(unit * a[:, None], unit * g[:, None], np.array(c), np.array(c_low), np.ones(size))
    )
    site_shape, row_shape = _kept(x.element, rest), _kept(x.element, locations)
    return Measured(x.shape, space, site.reshape(site_shape), row.reshape(row_shape))


def product(tables: Tables, x: Entries, weight: Numbers, axes: tuple[int, ...]) -> Measured:
    """The sum over ``axes`` of x * weight (already lifted to one rank).

    A division by a square root, or another irrational factor, that is one per row stays a step of
    the chain.

    Raises:
        NotRecognisedError: see :func:`summed`.
    """
    if weight.scale is not None and weight.root is None:
        scale = lift(condense(weight.scale), len(x.shape))
        if all(scale.shape[axis] == 1 for axis in axes):
            found = summed(tables, multiply_numbers(x, Numbers(weight.high, weight.low)), axes)
            return replace(found, steps=(Applied("mul", scale),))
    return summed(tables, multiply_numbers(x, weight), axes)


def windows(x: Entries, kernel: Shape, strides: Shape) -> Entries:
    """[N, C, *grid] -> [N, 1, C, *out, *kernel]: the windows of a convolution without padding.

    Raises:
        NotRecognisedError: coefficients that differ from location to location.
    """
    space = len(kernel)
    out = tuple((n - k) // s + 1 for n, k, s in zip(x.shape[2:], kernel, strides, strict=True))

    def slide(array: Array, _: Shape) -> Array:
        if all(size == 1 for size in array.shape[2:]):
            return array.reshape(*array.shape[:1], 1, array.shape[1], *(1,) * (2 * space))
        full = np.broadcast_to(array, (*array.shape[:2], *x.shape[2:]))
        slid = sliding_window_view(full, kernel, axis=tuple(range(2, 2 + space)))
        step = (slice(None), slice(None), *(slice(None, None, s) for s in strides))
        slid = slid[step]
        return slid.reshape(slid.shape[0], 1, *slid.shape[1:])

    return x.moved((x.shape[0], 1, x.shape[1], *out, *kernel), slide)


def normalised(x: Entries, y: Measured) -> Entries:
    """x / y, a multiple of a norm: elements divided by the norm of their site.

    Raises:
        NotRecognisedError: y is no norm, or x is not the latent times numbers.
    """
    found, steps = norm_of(y)
    if found.floor.size > 1 or found.beside.size > 1:
        raise NotRecognisedError("a latent that is divided by several norms at once")
    norm = found.moved(y.shape, lambda array, _: array.reshape(()))
    x = divided(x)
    if not x.linear or x.c.any() or x.c_low.any() or x.lengths is not None:
        raise NotRecognisedError("a division of something else than the latent by a norm")
    shape = np.broadcast_shapes(x.shape, y.shape)
    rank = len(shape)
    x = x.moved(shape, lambda array, _: lift(array, rank))
    x = replace(x, lengths=Lengths(y.space, lift(y.site, rank), norm))
    for step in steps:
        values = np.asarray(step.constant, dtype=np.float64)
        factor = 1.0 / np.sqrt(values) if step.name == "div_root" else values
        x = multiply_numbers(x, Numbers(factor))
    return x
