"""Programs as chains: which way they go, and one list of steps for all features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from flint import ctx, fmpq

from protoproof.errors import DescriptionError, ModelError
from protoproof.kernel.arithmetic.exact import Ratio
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


# what was derived before in one reading, by the program without what does nothing, and its range
Derived = dict[tuple[Program, tuple[End, End]], int]


def direction(program: Program, ends: tuple[End, End], known: Derived | None = None) -> int:
    """1 where a program certainly never falls on a range, -1 where it never rises, else 0."""
    sign = 1
    for name, constant in program:
        if name == "mul" and isinstance(constant, Fraction):
            sign = sign if constant > 0 else -sign
        elif name not in RISING and not (name == "zero_below" and (constant or 0) >= 0):
            if known is None:
                return _derived(program, ends)
            key = _merged(program, None), ends
            if key not in known:
                known[key] = _derived(*key)
            return known[key]
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
    known: dict[tuple[Program, Fraction | None], int] = {}  # most are equal
    which = [
        known.setdefault((_merged(program, floor), floor), len(known))
        for program, floor in zip(programs, floors, strict=True)
    ]
    longest = max((program for program, _ in known), key=len)
    rows = [_aligned(program, longest, floor) for program, floor in known]
    steps = []
    for place, (name, _) in enumerate(longest):
        distinct = {constant for row in rows if (constant := row[place]) is not None}
        if name in _NEUTRAL and distinct == {_NEUTRAL[name]}:
            continue
        if len(distinct) < 2:
            steps.append(Step(name, tuple(distinct)))
            continue
        column = (rows[k][place] for k in which)
        steps.append(Step(name, tuple(constant for constant in column if constant is not None)))
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
    """Additions and multiplications beside each other as one factor and one addend, in this order;
    without a maximum with what the argument is never less than."""
    result: list[Instruction] = []
    slope: Ratio | None = None  # not reduced: fractions would look for what they share each time
    shift: Ratio | None = None
    idle = True  # a function without a constant does something: a logarithm may be less
    for name, constant in program:
        if name in _AFFINE and not isinstance(constant, Real):
            if constant is None:
                raise TypeError("a neutral function without its number")
            top, under = constant.as_integer_ratio()
            if name == "add":
                a, b = shift or (0, 1)
                shift = a * under + top * b, b * under
                continue
            a, b = slope or (1, 1)
            slope = a * top, b * under
            shift = None if shift is None else (shift[0] * top, shift[1] * under)
            continue
        idle = idle and not (shift and shift[0]) and (slope is None or slope[0] == slope[1])
        if name == "max" and idle and _at_most(constant, floor):
            continue
        result += _affine(slope, shift)
        slope = shift = None
        result.append((name, constant))
        idle = idle and name in _NEUTRAL and constant == _NEUTRAL[name]
    return (*result, *_affine(slope, shift))


def _affine(slope: Ratio | None, shift: Ratio | None) -> list[Instruction]:
    """t -> slope t + shift; without what there is none of."""
    factor: list[Instruction] = [] if slope is None else [("mul", Fraction(*slope))]
    return factor if shift is None else [*factor, ("add", Fraction(*shift))]
