"""Sizes of what a graph measures: per row of coefficients, per program, per stored constant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from flint import arb, ctx

from protoproof.kernel.arithmetic.outward import float_below
from protoproof.kernel.float32.record import Array, up
from protoproof.kernel.model.real import Real
from protoproof.kernel.model.symbolic.arrays import thin
from protoproof.kernel.model.symbolic.tables import Program, Row, Tables
from protoproof.kernel.model.symbolic.values import Constant, Latent, Measured


class Sizes(NamedTuple):
    """Of a row sum a_d z_d^2 + <g, z>: the largest and the least |a_d|, all of one sign or none;
    |g|; the centre's length where all a_d are equal, else infinite."""

    largest: float
    least: float
    slope: float
    centre: float


class Line(NamedTuple):
    """t -> a t + b: bounds of a, and b with what it may err by."""

    low: float
    high: float
    shift: float
    slack: float


def sizes(row: Row) -> Sizes:
    """See :class:`Sizes`."""
    under = float(row.denominator)
    factors = [real_size(f) for f in row.factors] or [1.0]
    most, least = max(factors), min(factors) * (1 - 2.0**-40)
    largest, smallest, _, equal = _of_squares(row.square)
    numbers = np.array(row.slope, dtype=np.float64) / under
    slope = float(np.sqrt(up(np.square(numbers).sum(), numbers.size)))
    same = equal and not row.factors
    return Sizes(
        float(up(np.asarray(largest / under * most))),
        smallest / under * least * (1 - 2.0**-40),
        float(up(np.asarray(slope * most))),
        float(up(np.asarray(slope / (2 * (largest / under))))) if same else np.inf,
    )


def one_sign(row: Row) -> int:
    """1 or -1 where all squares have that sign; 0 else."""
    return _of_squares(row.square)[2]


@lru_cache(maxsize=4)  # most rows of a head have the same
def _of_squares(square: tuple[int, ...]) -> tuple[float, float, int, bool]:
    """The largest and the least size, the sign of all, and whether they are equal (and some)."""
    if not square:
        return 0.0, 0.0, 0, False
    sizes_ = [abs(float(n)) for n in square]
    sign = 1 if min(square) >= 0 else -1 if max(square) <= 0 else 0
    return max(sizes_), min(sizes_), sign, len(set(square)) == 1


def real_size(value: Real | Fraction | int) -> float:
    """At least the size of a number."""
    if isinstance(value, Real):
        with ctx.workprec(64):
            return -float_below(-abs(value.ball()))
    return abs(float(value)) * (1 + 2.0**-50)


def line(program: Program) -> Line | None:
    """A program that is affine; None where it is not."""
    low = high = 1.0
    shift = slack = 0.0
    for name, constant in program:
        if constant is None or name not in ("add", "mul", "div_root"):
            return None
        a, b = _ends(constant, name == "div_root")
        if name == "add":
            shift, slack = shift + (a + b) / 2, slack + (b - a)
            slack += 2.0**-48 * (abs(shift) + abs(a))
        else:
            corners = [low * a, low * b, high * a, high * b]
            low, high = min(corners), max(corners)
            low, high = low - abs(low) * 2.0**-50, high + abs(high) * 2.0**-50
            slack = slack * max(abs(a), abs(b)) + abs(shift) * (b - a) + abs(shift * b) * 2.0**-48
            shift *= (a + b) / 2
    return Line(low, high, shift, slack)


def _ends(value: Real | Fraction, under_root: bool) -> tuple[float, float]:
    with ctx.workprec(64):
        if isinstance(value, Real):
            ball = value.ball()
        else:
            ball = arb(int(value.numerator)) / int(value.denominator)
        if under_root:
            ball = 1 / ball.sqrt()
        return float_below(ball), -float_below(-ball)


def affine_ends(lines: Array, intervals: Array) -> list[Array]:
    """a m + b over intervals of m, rounded outwards; exact where it is 0.

    Args:
        lines: [n, 4], see :class:`Line`.
        intervals: [n, 4], the lower and upper ends of two intervals for each line.

    Returns:
        Four arrays [n], the ends of both.
    """
    factors, shift, slack = lines[:, :2].T, lines[:, 2], lines[:, 3]
    result = []
    for low, high in ((0, 1), (2, 3)):
        with np.errstate(invalid="ignore"):
            corners = [
                np.where(end == 0, 0.0, factor * end)
                for end in (intervals[:, low], intervals[:, high])
                for factor in factors
            ]
        for least, sign in ((True, -1), (False, 1)):
            with np.errstate(invalid="ignore"):
                end = np.min(corners, axis=0) if least else np.max(corners, axis=0)
                # what is no number is not known: then nothing bounds it
                end = np.where(np.isnan(end), sign * np.inf, end)
                wide = slack + (np.abs(end) + np.where(end != 0, np.abs(shift), 0.0)) * 2.0**-50
                result.append(np.where(np.isinf(end), end, end + shift + sign * wide))
    return result


def by_row(value: Measured, table: Mapping[int, float]) -> Array:
    """A number of every element's row."""
    return _lookup(value.row, table)


def by_program(value: Measured, table: Mapping[int, float]) -> Array:
    """A number of every element's program."""
    return _lookup(value.program, table)


def _lookup(index: Any, table: Mapping[int, float]) -> Array:
    few: Any = thin(index)
    keys, place = np.unique(few, return_inverse=True)
    found = np.array([table[int(k)] for k in keys.tolist()])
    return np.broadcast_to(found[place].reshape(few.shape), index.shape)


def used(index: Any) -> list[int]:
    """The numbers in an array of indices."""
    return [int(k) for k in np.unique(thin(index)).tolist()]


def normalised(value: Latent | Measured, tables: Tables) -> bool:
    """Whether all elements are of latents that are divided by their length."""
    if isinstance(value, Latent):
        return bool((thin(value.norm) >= 0).all())
    return all(tables.sites[s].norm >= 0 for s in used(value.site))


def values_of(constant: Constant) -> tuple[Array, Array]:
    """Bounds of the numbers of a constant, as float64."""
    if not constant.rational:
        from protoproof.kernel.model.symbolic.constants import reals

        few = thin(reals(constant))
        ends = [_ends(v, False) for v in few.ravel().tolist()]
        low, high = (np.array(side).reshape(few.shape) for side in zip(*ends, strict=True))
    else:
        few = thin(constant.number.numerators)
        try:
            found = few.astype(np.float64) / float(constant.number.denominator)
        except (OverflowError, TypeError):
            under = constant.number.denominator
            ends = [_ends(over(v, under), False) for v in few.ravel().tolist()]
            low, high = (np.array(side).reshape(few.shape) for side in zip(*ends, strict=True))
        else:
            wide = np.abs(found) * 2.0**-51
            # a quotient of short integers by a power of two is what it is
            exact = constant.number.denominator & (constant.number.denominator - 1) == 0
            narrow = exact and bool(
                (np.abs(found * float(constant.number.denominator)) < 2.0**53).all()
            )
            low, high = (found, found) if narrow else (found - wide, found + wide)
    shape = constant.shape
    return np.broadcast_to(low, shape), np.broadcast_to(high, shape)


def over(value: Real | Fraction | int, under: int) -> Real | Fraction:
    """A quotient, exactly."""
    return Real("quotient", value, under) if isinstance(value, Real) else Fraction(value) / under


def powers_of_two(values: Sequence[float] | Array) -> bool:
    """Whether a product by any of these numbers is exact."""
    mantissas, _ = np.frexp(np.abs(np.asarray(values, dtype=np.float64)))
    return bool(np.isin(mantissas, (0.0, 0.5)).all())
