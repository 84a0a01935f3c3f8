"""Rows of coefficients as one of the geometries, exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from operator import mul, neg, or_

from protoproof.errors import ModelError
from protoproof.kernel.budget import OPERATION, hold, integer, spend, stored
from protoproof.kernel.model.head import Geometry
from protoproof.kernel.model.real import Real
from protoproof.kernel.model.symbolic.locations import Locations
from protoproof.kernel.model.symbolic.tables import Feature, Program, Row, Tables

# A longer odd factor of a denominator comes from many different divisors.
_ODD_BITS = 64
# Places behind the point of scales that are enclosed.
_SCALE_BITS = 320
# The same of norms, in units of their denominators.
_NORM_BITS = 64


@dataclass(frozen=True)
class Canonical:
    """A measurement m whose program is what the row measures.

    Attributes:
        geometry: of m; see ``Head``.
        point: p, integers over ``denominator``.
        scales: w of the diagonal geometry, integers over ``scale_denominator``.
        program: from m to the row's value.
        slack: what the scales are at most less than w, which was rounded down.
    """

    geometry: Geometry
    point: tuple[int, ...]
    denominator: int
    scales: tuple[int, ...]
    scale_denominator: int
    program: Program
    slack: Fraction = Fraction(0)

    def negative(self) -> Canonical:
        """Of a linear form: with -p, so that m is its negative."""
        name, constant = self.program[0]
        if name != "mul" or constant is None:
            raise ModelError("model: a linear form without a factor")
        program = ((name, -constant), *self.program[1:])
        return replace(self, point=tuple(-n for n in self.point), program=program)

    @property
    def norm_above(self) -> Fraction:
        """What |p| does not exceed, and hardly is less."""
        square = sum(map(mul, self.point, self.point)) << (2 * _NORM_BITS)
        return Fraction(math.isqrt(square) + 1, self.denominator << _NORM_BITS)


def geometry_of(tables: Tables, features: Sequence[Feature]) -> Geometry:
    """The one geometry of all features.

    Raises:
        ModelError: they have several.
    """
    rows = [tables.rows[f.row] for f in features]
    spend("the geometry", OPERATION * sum(1 + len(row.square) for row in rows))
    if any(tables.sites[s].norm >= 0 for s in tables.groups[features[0].group]):
        return "angular"
    curved = [row for row in rows if row.square]
    if not curved:
        return "linear"
    if len(curved) < len(rows):
        raise ModelError("model: some prototypes are measured by distances, others by products")
    if all(min(row.square) == max(row.square) and not row.factors for row in curved):
        return "euclidean"
    return "diagonal"


def canonical(row: Row, geometry: Geometry) -> Canonical:
    """A row as a measurement of a geometry.

    Raises:
        ModelError: it is none.
    """
    spend("the prototypes", 4 * (len(row.slope) + len(row.square)) * integer(4))
    if geometry in ("linear", "angular"):
        point, denominator, factor = _dyadic(row.slope, row.denominator)
        return Canonical(geometry, point, denominator, (), 1, (("mul", -factor),))
    if geometry == "euclidean":
        return _euclidean(row)
    return _diagonal(row)


def _dyadic(numbers: Sequence[int], denominator: int) -> tuple[tuple[int, ...], int, Fraction]:
    """numbers / denominator as (integers / a power of two) * factor.

    Raises:
        ModelError: they are quotients of stored numbers by various others.
    """
    if not _is_dyadic(numbers, denominator):
        raise ModelError(
            "model: a prototype's numbers are quotients of stored numbers, which are not dyadic"
        )
    power = denominator & -denominator
    return tuple(numbers), power, Fraction(power, denominator)


def _is_dyadic(numbers: Sequence[int], denominator: int) -> bool:
    """Whether numbers / denominator are integers over a power of two, but for a short factor."""
    odd = denominator // (denominator & -denominator)
    return all(isinstance(n, int) for n in numbers) and odd.bit_length() <= _ODD_BITS


def _euclidean(row: Row) -> Canonical:
    """a |z|^2 + <g, z> = a |z - p|^2 - a |p|^2 with p = -g / 2a."""
    factor = Fraction(row.square[0], row.denominator)
    slope = row.slope or (0,) * len(row.square)
    under = -2 * row.square[0]
    total = sum(map(mul, slope, slope))
    if type(total) is type(under) is int and not abs(under) & (abs(under) - 1):
        # integers (for one fraction makes the sum a fraction) over one power of two, as in nearly
        # every stored head, whose numbers are many
        point, denominator = slope if under > 0 else tuple(map(neg, slope)), abs(under)
    else:
        point, denominator = _quotients(slope, [under] * len(slope))
        total = sum(map(mul, point, point))
    norm = Fraction(total, denominator**2)
    program = (("mul", factor), ("add", -factor * norm))
    return Canonical("euclidean", point, denominator, (), 1, program)


def _quotients(numbers: Sequence[int], under: Sequence[int]) -> tuple[tuple[int, ...], int]:
    """numbers[d] / under[d], as integers over one power of two.

    Raises:
        ModelError: one is no such number.
    """
    kinds = {*map(type, numbers), *map(type, under)}
    if not kinds <= {int, Fraction}:
        raise ModelError("model: a prototype's numbers are irrational, so they have no exact form")
    if Fraction in kinds:
        return _written([Fraction(n) / u for n, u in zip(numbers, under, strict=True)])
    common = max(abs(u) & -abs(u) for u in under if isinstance(u, int)) if under else 1
    point, more = _written([Fraction(n, u) * common for n, u in zip(numbers, under, strict=True)])
    return point, common * more


def _written(found: Sequence[Fraction]) -> tuple[tuple[int, ...], int]:
    """Fractions as integers over one power of two.

    Raises:
        ModelError: one is no such number.
    """
    up = math.lcm(*[f.denominator for f in found])
    if up & (up - 1):
        raise ModelError("model: a prototype is no dyadic number, so it cannot be written exactly")
    return tuple(int(f * up) for f in found), up


def _diagonal(row: Row) -> Canonical:
    """sum of a z^2 + <g, z> = +- (sum of w (z - p)^2) + constant, with w = +- a >= 0."""
    sign = 1 if max(row.square) > 0 else -1
    square = [sign * n for n in row.square]
    slope = [sign * n for n in row.slope] or [0] * len(square)
    if min(square) < 0 or any(g and not a for a, g in zip(square, slope, strict=True)):
        raise ModelError(
            "model: a quadratic measurement that is no distance: its squares have both signs, or a "
            "channel has no square"
        )
    point, denominator = _quotients(slope, [-2 * a or -2 for a in square])
    if row.factors or not _is_dyadic(square, row.denominator):
        return _enclosed(row, sign, square, (point, denominator))
    scales, power, factor = _dyadic(square, row.denominator)
    total = sum(w * n * n for w, n in zip(scales, point, strict=True))
    constant = Fraction(total, power * denominator**2)
    program = (("mul", sign * factor), ("add", -sign * factor * constant))
    return Canonical("diagonal", point, denominator, scales, power, program)


def _enclosed(
    row: Row, sign: int, square: Sequence[int], at: tuple[tuple[int, ...], int]
) -> Canonical:
    """The same with scales that are quotients, or irrational: rounded down."""
    point, denominator = at
    hold("the scales", stored(len(square), _SCALE_BITS // 64))
    spend("the scales", OPERATION * 64 * len(square))
    exact = [Fraction(a) / row.denominator for a in square]
    scales = [(w.numerator << _SCALE_BITS) // w.denominator for w in exact]
    program: Program = (("mul", Fraction(sign)),)
    if row.factors:
        values = (f * w for f, w in zip(row.factors, exact, strict=True))
        scales = [max(v.floor(_SCALE_BITS), 0) for v in values if isinstance(v, Real)]
    else:
        constant = sum((w * n * n for w, n in zip(exact, point, strict=True)), Fraction(0))
        program += (("add", -sign * constant / denominator**2),)
    unit = 1 << _SCALE_BITS
    return Canonical(
        "diagonal", point, denominator, tuple(scales), unit, program, Fraction(2, unit)
    )


def numbers(
    rows: Sequence[Canonical], where: Locations
) -> tuple[tuple[list[int], int], tuple[list[int], int] | None]:
    """Prototypes [P * D] over a power of two, and the scales of a diagonal geometry."""
    spread = []
    for row, coordinate in zip(rows, where.coordinate, strict=True):
        point = row.point or (0,) * (where.channels if coordinate < 0 else 1)
        if coordinate >= 0:
            point = tuple(point[0] if d == coordinate else 0 for d in range(where.channels))
        spread.append(point)
    prototypes = _common(spread, [row.denominator for row in rows])
    if rows[0].geometry != "diagonal":
        return prototypes, None
    return prototypes, _common([r.scales for r in rows], [r.scale_denominator for r in rows])


def _common(rows: Sequence[tuple[int, ...]], under: Sequence[int]) -> tuple[list[int], int]:
    count = sum(len(row) for row in rows)
    spend("the prototypes", count * integer(4))
    hold("the prototypes", stored(count, 2))
    shift = max(d.bit_length() - 1 for d in under)
    # as few places behind the point as the numbers have: the lowest bit of all of them together,
    # for two's complement has the lowest bit of a negative number in its place
    ups = [shift - (d.bit_length() - 1) for d in under]
    lowest = [reduce(or_, row, 0) << up for row, up in zip(rows, ups, strict=True)]
    every = reduce(or_, lowest, 1 << shift)
    spare = (every & -every).bit_length() - 1
    flat: list[int] = []
    for row, up in zip(rows, ups, strict=True):
        if up == spare:
            flat += row
        elif up > spare:
            flat += [n << (up - spare) for n in row]
        else:
            flat += [n >> (spare - up) for n in row]
    return flat, shift - spare
