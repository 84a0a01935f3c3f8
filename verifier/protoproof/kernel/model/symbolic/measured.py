"""Functions of measurements, and sums of several at the same site."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from protoproof.errors import ModelError
from protoproof.kernel.budget import OPERATION, spend
from protoproof.kernel.model.real import Real
from protoproof.kernel.model.symbolic.arrays import (
    Array,
    Exact,
    Number,
    alike,
    combined,
    numbered,
    spread,
    thin,
)
from protoproof.kernel.model.symbolic.constants import reals
from protoproof.kernel.model.symbolic.tables import Instruction, Norm, Program, Row, Site, Tables
from protoproof.kernel.model.symbolic.values import Constant, Measured
from protoproof.kernel.model.symbolic.values import constant as roots

Pair = tuple[int, int]


def spanned(value: Measured, *others: Array) -> Measured:
    """The value broadcast to the shape that it has together with other arrays."""
    shape = np.broadcast_shapes(*[p.shape for p in (*value.pieces, *others)])
    return value.moved(lambda piece: np.broadcast_to(piece, shape))  # type: ignore[no-any-return]


def then(value: Measured, tables: Tables, name: str, constant: Constant | None = None) -> Measured:
    """One more function, with constants per element.

    Raises:
        ModelError: constants that are no rational numbers.
    """
    if constant is None:
        program = combined(lambda p: tables.then(p, name), value.program)
        return spanned(Measured(value.site, value.row, program))
    if not constant.rational and name == "add":
        constant = roots(Exact(reals(constant), 1))
    if not constant.rational:
        if name != "mul":
            raise ModelError(f"model: a root enters a measurement by {name}")
        value = then(value, tables, "div_root", roots(constant.root))
    numbers: dict[Number, int] = {}
    which = numbered(constant.number, numbers)
    named = list(numbers)
    if name == "mul" and not all(named):
        raise ModelError("model: a measurement is multiplied by zero")
    program = combined(lambda p, c: tables.then(p, name, named[c]), value.program, which)
    return spanned(Measured(value.site, value.row, program), which)


def paired(function: Callable[..., Pair], *arrays: Array) -> tuple[Array, Array]:
    """Two indices for each combination of indices."""
    found: list[Pair] = []

    def enter(*indices: int) -> int:
        found.append(function(*indices))
        return len(found) - 1

    which = combined(enter, *arrays)
    table = np.array(found, dtype=np.int64).reshape(-1, 2)
    first = spread(lambda k: table[k, 0], which)
    return first, spread(lambda k: table[k, 1], which)


def same_measurement(left: Measured, right: Measured) -> bool:
    """Whether two values are functions of the same measurements."""
    try:
        np.broadcast_shapes(left.shape, right.shape)
    except ValueError:
        return False
    return alike(left.site, right.site) and alike(left.row, right.row)


def plus(left: Measured, right: Measured, sign: int, tables: Tables) -> Measured | None:
    """left + sign * right at the same sites, where both are affine; else None."""
    if not alike(left.site, right.site):
        return None
    programs = np.unique(np.concatenate([thin(v.program).ravel() for v in (left, right)]))
    if any(tables.affine(int(p)) is None for p in programs):
        return None

    equal: dict[Row, int] = {}

    def total(row: int, program: int, other: int, others: int) -> Pair:
        first, second = tables.affine(program), tables.affine(others)
        if first is None or second is None:
            raise ModelError("model: a sum of measurements that are not affine")
        (a, c), (b, d) = first, second
        new = _sum(tables.rows[row], a, tables.rows[other], sign * b)
        spend("rows", OPERATION * (len(new.slope) + len(new.square)))
        number = equal[new] = equal.get(new, -1) + 1
        return tables.row(new, number), tables.program((("add", c + sign * d),))

    rows, program = paired(total, left.row, left.program, right.row, right.program)
    return spanned(Measured(left.site, rows, program), right.site)


def _sum(left: Row, a: Fraction, right: Row, b: Fraction) -> Row:
    """a * left + b * right."""
    denominator = math.lcm(left.denominator * a.denominator, right.denominator * b.denominator)
    up = a.numerator * (denominator // (left.denominator * a.denominator))
    down = b.numerator * (denominator // (right.denominator * b.denominator))

    def mixed(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
        if not second:
            return tuple(up * n for n in first)
        if not first:
            return tuple(down * n for n in second)
        return tuple(up * n + down * m for n, m in zip(first, second, strict=True))

    square, slope = mixed(left.square, right.square), mixed(left.slope, right.slope)
    return Row(square if any(square) else (), slope if any(slope) else (), denominator)


def ratio(left: Measured, right: Measured, tables: Tables) -> Measured | None:
    """(t + a) / (t + b) = 1 + (a - b) / (t + b), for one t; else None."""
    if not same_measurement(left, right):
        return None
    broken = False

    def program(over: int, under: int) -> int:
        nonlocal broken
        found = moebius(tables.programs[over], tables.programs[under])
        broken |= found is None
        return tables.program(found) if found is not None else 0

    programs = combined(program, left.program, right.program)
    return None if broken else spanned(Measured(left.site, left.row, programs))


def moebius(over: Program, under: Program) -> Program | None:
    """The program of over / under, where they end in different additions after the same."""
    (first, a), (second, b) = _addition(over), _addition(under)
    if first != second or a == b:
        return None
    return (*under, ("one_plus", a - b))


def _addition(program: Program) -> tuple[Program, Fraction]:
    """A program without its last additions, and what they add."""
    total = Fraction(0)
    while program and program[-1][0] == "add" and isinstance(program[-1][1], Fraction):
        total += program[-1][1]
        program = program[:-1]
    return program, total


def norm_of(value: Measured, tables: Tables, zero: bool = False) -> tuple[Array, Measured] | None:
    """Norms max(sqrt(|z_S|^2 + added), floor), and a measurement whose program is what multiplies
    them; else None. Any multiple by c > 0 is such a one, also max(c |z_S|, e)."""
    found: dict[int, tuple[Fraction, Fraction, int]] = {}
    for program in np.unique(thin(value.program)).tolist():
        parts = _norm_program(tables.programs[program])
        if parts is None:
            return None
        found[program] = parts[0], parts[1], tables.program(parts[2])
    for row in np.unique(thin(value.row)).tolist():
        entry = tables.rows[row]
        if entry.slope or not entry.square or set(entry.square) != {entry.denominator}:
            return None
    for site in np.unique(thin(value.site)).tolist():
        if tables.sites[site].norm >= 0:
            return None
    norm = combined(
        lambda s, p: tables.norm(Norm(s, found[p][0], found[p][1], zero)), value.site, value.program
    )
    factor = combined(lambda p: found[p][2], value.program)
    return norm, spanned(Measured(value.site, value.row, factor))


def _norm_program(program: Program) -> tuple[Fraction, Fraction, Program] | None:
    """The floor, what is added, and the factors of c max(sqrt(t + added), floor)."""
    added = Fraction(0)
    while program and program[0][0] == "add" and isinstance(program[0][1], Fraction):
        added += program[0][1]
        program = program[1:]
    if added < 0:
        return None
    if not program or program[0][0] != "sqrt":
        return None
    factor, floor = Fraction(1), Fraction(0)
    rest: list[Instruction] = []
    for name, constant in program[1:]:
        if constant is None or not (constant > 0 or (name == "max" and not constant)):
            return None
        alone = not any(done == "div_root" or isinstance(c, Real) for done, c in rest)
        if name == "max" and alone and isinstance(constant, Fraction):
            floor = max(floor, constant / factor)
        elif name == "mul":
            factor *= constant if isinstance(constant, Fraction) else 1
            rest.append((name, constant))
        elif name == "div_root":
            rest.append((name, constant))
        else:
            return None
    return floor, added, tuple(rest)


def inverse_factors(program: Program) -> Program:
    """1 / (the factors that :func:`norm_of` found): sqrt(n) / c = n / (c sqrt(n))."""
    result: list[Instruction] = []
    for name, constant in program:
        if constant is None:
            raise ModelError("model: a norm has a factor without a number")
        if name == "div_root":
            result += [("mul", constant), ("div_root", constant)]
        else:
            result.append(("mul", 1 / constant))
    return tuple(result)


def divided_by_norm(left: Measured, right: Measured, tables: Tables) -> Measured | None:
    """<g, z> / (c max(|z|, floor)), where the norm is of the same sites; else None."""
    found = norm_of(right, tables)
    if found is None or not alike(left.site, right.site):
        return None
    norm, factor = found
    for row in np.unique(thin(left.row)).tolist():
        if tables.rows[row].square:
            return None
    for program in np.unique(thin(left.program)).tolist():
        for name, constant in tables.programs[program]:
            if name not in ("mul", "div_root") and (name != "add" or constant):
                return None
    site = combined(lambda s, n: tables.site(Site(tables.sites[s].elements, n)), left.site, norm)
    program = combined(
        lambda p, f: tables.program((*tables.programs[p], *inverse_factors(tables.programs[f]))),
        left.program,
        factor.program,
    )
    return spanned(Measured(site, left.row, program), factor.site)
