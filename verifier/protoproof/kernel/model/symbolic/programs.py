"""Programs as chains: which way they go, and one list of steps for all features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from flint import ctx, fmpq

from protoproof.errors import DescriptionError, ModelError
from protoproof.kernel.budget import OPERATION, spend
from protoproof.kernel.model.chain import Chain, Step
from protoproof.kernel.model.primitives import ZERO, End, above, at_least
from protoproof.kernel.model.real import Real
from protoproof.kernel.model.symbolic.expressions import RISING
from protoproof.kernel.model.symbolic.tables import Instruction, Program

_PRECISION = 128
_NEUTRAL: dict[str, Fraction] = {"add": Fraction(0), "mul": Fraction(1), "div_root": Fraction(1)}
_AFFINE = ("add", "mul")
WHOLE: tuple[End, End] = (-math.inf, math.inf)
HALF: tuple[End, End] = (fmpq(0), math.inf)


def direction(program: Program, ends: tuple[End, End]) -> int:
    """1 where a program certainly never falls on a range, -1 where it never rises, else 0."""
    sign = 1
    for name, constant in program:
        if name == "mul" and isinstance(constant, Fraction):
            sign = sign if constant > 0 else -sign
        elif name not in RISING and not (name == "zero_below" and (constant or 0) >= 0):
            return _derived(program, ends)
    return sign


def _derived(program: Program, ends: tuple[End, End]) -> int:
    spend("the direction of a similarity", OPERATION * 64 * (1 + len(program)))
    try:
        for sign, last in ((-1, ()), (1, (("mul", Fraction(-1)),))):
            chain = Chain([step(one) for one in (*program, *last)])
            with ctx.workprec(_PRECISION):
                if not chain.not_decreasing(0, *ends):
                    return sign
    except DescriptionError as error:
        raise ModelError(f"model: {error}") from error
    return 0


def bounds(program: Program, ends: tuple[End, End]) -> tuple[End, End]:
    """The range of a program over a range."""
    spend("the range of a similarity", OPERATION * 64 * (1 + len(program)))
    try:
        with ctx.workprec(_PRECISION):
            return Chain([step(one) for one in program]).range(0, *ends)
    except DescriptionError as error:
        raise ModelError(f"model: {error}") from error


def positive(program: Program, ends: tuple[End, End]) -> bool:
    """Whether a program is certainly positive on a range; limits at infinity are not attained."""
    if not program:
        return above(ends[0], ZERO)
    (name, constant), before = program[-1], program[:-1]
    if name in ("exp", "sigmoid", "softplus"):
        return True
    if name in ("reciprocal", "sqrt", "power", "div_root") or (
        name == "mul" and (constant or 0) > 0
    ):
        return positive(before, ends)
    if name == "add" and constant is not None and constant > 0:
        return at_least(bounds(before, ends)[0], ZERO) or above(bounds(program, ends)[0], ZERO)
    return above(bounds(program, ends)[0], ZERO)


def step(instruction: Instruction) -> Step:
    name, constant = instruction
    return Step(name, () if constant is None else (constant,))


def chain(programs: Sequence[Program], floors: Sequence[Fraction | None]) -> Chain:
    """One chain for all features, with their constants.

    Args:
        floors: what each feature's argument is never less than, if anything; a maximum with no more
            than that does nothing.

    Raises:
        ModelError: their functions are not the same ones.
    """
    spend("similarities", OPERATION * sum(len(p) for p in programs) * 4)
    merged = [_merged(program, floor) for program, floor in zip(programs, floors, strict=True)]
    longest = max(merged, key=len)
    names = [name for name, _ in longest]
    columns: list[list[Fraction | Real | None]] = [[] for _ in names]
    for program, floor in zip(merged, floors, strict=True):
        for column, constant in zip(columns, _aligned(program, longest, floor), strict=True):
            column.append(constant)
    steps = []
    for name, column in zip(names, columns, strict=True):
        known = [c for c in column if c is not None]
        if name in _NEUTRAL and set(known) == {_NEUTRAL[name]}:
            continue
        steps.append(Step(name, tuple(known[:1] if len(set(known)) == 1 else known)))
    return Chain(steps)


def tidied(program: Program, floor: Fraction | None) -> Program:
    """The same function without what does nothing; see :func:`chain`."""
    found = _merged(program, floor)
    return tuple(one for one in found if one[0] not in _NEUTRAL or one[1] != _NEUTRAL[one[0]])


def _aligned(
    program: Program, names: Program, floor: Fraction | None
) -> list[Fraction | Real | None]:
    """The program's constants for the functions of another one; it may lack what does nothing.

    Raises:
        ModelError: it has other functions.
    """
    found = _matched(program, names, floor)
    if found is None:
        raise ModelError(
            "model: prototypes have similarities of different kinds: "
            f"{', '.join(n for n, _ in names)}, and {', '.join(n for n, _ in program)}"
        )
    return found


def _matched(
    program: Program, names: Program, floor: Fraction | None
) -> list[Fraction | Real | None] | None:
    """From the end on: functions that do something are taken as late as they come."""
    found: list[Fraction | Real | None] = []
    left = len(program)
    for name, constant in reversed(names):
        if left and program[left - 1][0] == name:
            left -= 1
            found.append(program[left][1])
        elif name in _NEUTRAL:
            found.append(_NEUTRAL[name])
        elif name == "max" and not left and _at_most(constant, floor):
            found.append(constant)
        else:
            return None
    return found[::-1] if not left else None


def _at_most(constant: Fraction | Real | None, floor: Fraction | None) -> bool:
    return constant is not None and floor is not None and constant <= floor


def _merged(program: Program, floor: Fraction | None) -> Program:
    """Additions and multiplications beside each other as one; without a maximum with what the
    argument is never less than."""
    result: list[Instruction] = []
    for name, constant in program:
        # a function without a constant does something: a logarithm may be less than its argument
        idle = all(n in _NEUTRAL and c == _NEUTRAL[n] for n, c in result)
        if name == "max" and idle and _at_most(constant, floor):
            continue
        result.append((name, constant))
        _tidied(result)
    return tuple(result)


def _tidied(result: list[Instruction]) -> None:
    """The affine functions at the end as at most one factor and one addend, in this order."""
    slope, shift = Fraction(1), Fraction(0)
    count = 0
    while count < len(result) and result[-1 - count][0] in _AFFINE:
        if isinstance(result[-1 - count][1], Real):
            break
        count += 1
    for name, constant in result[len(result) - count :]:
        if not isinstance(constant, Fraction):
            raise TypeError("a neutral function without its number")
        if name == "add":
            shift += constant
        else:
            slope, shift = slope * constant, shift * constant
    names = {name for name, _ in result[len(result) - count :]}
    del result[len(result) - count :]
    result += [("mul", slope)] * ("mul" in names) + [("add", shift)] * ("add" in names)
