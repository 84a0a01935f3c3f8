"""Programs as chains: which way they go, and one list of steps for all features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from flint import ctx, fmpq

from protoproof.errors import DescriptionError, ModelError
from protoproof.kernel.budget import OPERATION, spend
from protoproof.kernel.model.chain import Chain, Step
from protoproof.kernel.model.primitives import End
from protoproof.kernel.model.symbolic.expressions import RISING
from protoproof.kernel.model.symbolic.tables import Instruction, Program

_PRECISION = 128
_NEUTRAL: dict[str, Fraction] = {"add": Fraction(0), "mul": Fraction(1)}
WHOLE: tuple[End, End] = (-math.inf, math.inf)
HALF: tuple[End, End] = (fmpq(0), math.inf)


def direction(program: Program, ends: tuple[End, End]) -> int:
    """1 where a program certainly never falls on a range, -1 where it never rises, else 0."""
    sign = 1
    for name, constant in program:
        if name == "mul" and constant is not None:
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


def step(instruction: Instruction) -> Step:
    name, constant = instruction
    return Step(name, () if constant is None else (constant,))


def chain(programs: Sequence[Program]) -> Chain:
    """One chain for all features, with their constants.

    Raises:
        ModelError: their functions are not the same ones.
    """
    spend("similarities", OPERATION * sum(len(p) for p in programs) * 4)
    merged = [_merged(program) for program in programs]
    names = _names(merged)
    columns: list[list[Fraction | None]] = [[] for _ in names]
    for program in merged:
        position = 0
        for column, name in zip(columns, names, strict=True):
            if position < len(program) and program[position][0] == name:
                column.append(program[position][1])
                position += 1
            elif name in _NEUTRAL:
                column.append(_NEUTRAL[name])
            else:
                raise _different(names, program)
        if position < len(program):
            raise _different(names, program)
    steps = []
    for name, column in zip(names, columns, strict=True):
        known = [c for c in column if c is not None]
        if name in _NEUTRAL and set(known) == {_NEUTRAL[name]}:
            continue
        steps.append(Step(name, tuple(known[:1] if len(set(known)) == 1 else known)))
    return Chain(steps)


def _different(names: Sequence[str], program: Program) -> ModelError:
    mine = ", ".join(name for name, _ in program)
    return ModelError(
        f"model: prototypes have similarities of different kinds: {', '.join(names)}, and {mine}"
    )


def _names(programs: Sequence[Program]) -> list[str]:
    """The functions of the longest program; the others may lack neutral ones."""
    longest = max(programs, key=len)
    return [name for name, _ in longest]


def _merged(program: Program) -> Program:
    """Additions and multiplications beside each other as one."""
    result: list[Instruction] = []
    for name, constant in program:
        if result and result[-1][0] == name and constant is not None and name in _NEUTRAL:
            before = result[-1][1] or Fraction(0)
            result[-1] = name, before + constant if name == "add" else before * constant
        else:
            result.append((name, constant))
    return tuple(result)
