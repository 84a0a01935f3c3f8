"""VNN-LIB 1.0: a box of inputs and a condition on outputs, read from SMT-LIB text.

The grammar read here is the one that the verification competitions use: ``declare-const`` of
``X_i`` and ``Y_j`` as Real, and ``assert`` of bounds ``(<= X_i number)``, of comparisons of outputs
with outputs or numbers, and of ``and`` / ``or`` of these over outputs. Everything else (other
functions, products, disjunctions over inputs) is refused by name.

A file describes *unsafe* behaviour: it is satisfied by an input of the box whose outputs meet the
condition. The property holds when no such input exists.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from protoproof.arithmetic.rounding import float_above, float_below
from protoproof.errors import InputError
from protoproof.network.onnx.file import read_regular_file
from protoproof.network.onnx.node import printable
from protoproof.region.sets.region import InputBox

MOST_BYTES = 1 << 25
MOST_DISJUNCTS = 1 << 12
MOST_COMPARISONS = 1 << 21  # in all disjuncts together
MOST_COPIES = 1 << 30  # of comparisons, until all are put together
MOST_STEPS = 1 << 23  # comparisons times outputs, where contradictions are looked for
_TOKEN = re.compile(r"\(|\)|[^\s()]+")
_NUMBER = re.compile(r"[-+]?\d{1,40}(\.\d{0,60})?([eE][-+]?\d{1,2})?")
_VARIABLE = re.compile(r"([XY])_(\d{1,9})")

Expression = str | list["Expression"]


@dataclass(frozen=True)
class Comparison:
    """``Y_smaller <= Y_larger + offset``; None stands for 0."""

    smaller: int | None
    larger: int | None
    offset: Fraction


@dataclass(frozen=True, eq=False)
class VnnLib:
    """A file's content. ``box`` is flat [inputs], rounded outwards; ``stated`` its exact ends.

    ``unsafe``: a disjunction of conjunctions of comparisons.
    """

    box: InputBox
    stated: tuple[tuple[Fraction, Fraction], ...]
    outputs: int
    unsafe: tuple[tuple[Comparison, ...], ...]

    def robust_class(self) -> int | None:
        """c where ``unsafe`` says "some other class is at least as large as Y_c", else None.

        Two forms of that are read: a disjunct ``Y_c <= Y_k`` per other class k, and one that says
        more, "Y_k is at least as large as Y_c and these others". They are equivalent: where some
        class reaches Y_c, the largest of the other classes meets the whole disjunct of its own.
        """
        largest: dict[int | None, set[int | None]] = {}
        common: set[int | None] | None = None
        for disjunct in self.unsafe:
            tops = {comparison.larger for comparison in disjunct}
            if len(tops) != 1 or any(comparison.offset for comparison in disjunct):
                return None
            below = {comparison.smaller for comparison in disjunct}
            largest.setdefault(tops.pop(), set()).update(below)
            common = below if common is None else common & below
        rivals = set(largest)
        classes = {c for c in common or () if c is not None and c not in rivals}
        named = set().union(*largest.values()) | rivals
        if len(classes) != 1 or None in named:
            return None
        best = classes.pop()
        return best if rivals == set(range(self.outputs)) - {best} else None


def read_vnnlib(path: Path) -> VnnLib:
    """Read a file.

    Raises:
        InputError: not readable, outside the grammar, or contradictory; the message names the file
            and the construct.
    """
    name = printable(path, 400)
    data = read_regular_file(path, MOST_BYTES, InputError)
    try:
        return parse_vnnlib(data.decode("ascii"))
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not ASCII text; VNN-LIB files are") from error
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def parse_vnnlib(text: str) -> VnnLib:
    """See :func:`read_vnnlib`."""
    reader = _Reader()
    for command in expressions(text):
        reader.command(command)
    return reader.result()


class _Reader:
    """Commands one by one; what has been declared and asserted so far."""

    def __init__(self) -> None:
        self.count = {"X": 0, "Y": 0}
        self.lower: dict[int, Fraction] = {}
        self.upper: dict[int, Fraction] = {}
        self.unsafe: list[tuple[Comparison, ...]] = [()]
        self.copied = 0

    def command(self, command: Expression) -> None:
        match command:
            case ["declare-const", str(name), "Real"]:
                kind, index = self._variable(name, declared=False)
                if index != self.count[kind]:
                    raise InputError(f"{name} is declared out of order; number from 0 upwards")
                self.count[kind] += 1
            case ["declare-const", name, kind]:
                raise InputError(f"{_show(name)} is declared {_show(kind)}; only Real is supported")
            case ["assert", condition]:
                self._assert(condition)
            case ["vnnlib-version", version]:
                raise InputError(
                    f"is written in VNN-LIB {_show(version)}; only 1.0 is read here (declare-const "
                    "of X_i and Y_j): protoproof vnnlib decides queries in 2.0"
                )
            case _:
                raise InputError(f"command {_show(command)} is not supported")

    def _assert(self, condition: Expression) -> None:
        if self._is_input(condition):
            self._bound(condition)
            return
        self.unsafe = self._joined(self.unsafe, self._condition(condition), "the output condition")

    def _is_input(self, condition: Expression) -> bool:
        names = set(_words(condition))
        inputs = {name for name in names if name.startswith("X_")}
        if inputs and any(name.startswith("Y_") for name in names):
            raise InputError(f"{_show(condition)} mixes inputs and outputs, which is not supported")
        return bool(inputs)

    def _bound(self, condition: Expression) -> None:
        match condition:
            case ["and", *parts]:
                for part in parts:
                    self._bound(part)
            case ["<=" | ">=" as sign, str(left), right] if left.startswith("X_"):
                self._limit(left, sign == "<=", as_number(right))
            case ["<=" | ">=" as sign, left, str(right)] if right.startswith("X_"):
                self._limit(right, sign == ">=", as_number(left))
            case _:
                raise InputError(
                    f"{_show(condition)} is no bound of one input; only boxes are read"
                )

    def _limit(self, name: str, above: bool, value: Fraction) -> None:
        _, index = self._variable(name)
        ends, tighter = (self.upper, min) if above else (self.lower, max)
        ends[index] = tighter(ends[index], value) if index in ends else value

    def _condition(self, condition: Expression) -> list[tuple[Comparison, ...]]:
        """Disjunctive normal form."""
        match condition:
            case ["or", *parts] if parts:
                return [found for part in parts for found in self._condition(part)]
            case ["and", *parts] if parts:
                result: list[tuple[Comparison, ...]] = [()]
                for part in parts:
                    result = self._joined(result, self._condition(part), "an and/or")
                return result
            case ["<=", left, right]:
                return [(self._comparison(left, right),)]
            case [">=", left, right]:
                return [(self._comparison(right, left),)]
            case _:
                raise InputError(f"{_show(condition)} is not supported; use and, or, <=, >=")

    def _joined(
        self, left: list[tuple[Comparison, ...]], right: list[tuple[Comparison, ...]], what: str
    ) -> list[tuple[Comparison, ...]]:
        """Both at once. What that costs is known, and refused, before anything is made."""
        if len(left) * len(right) > MOST_DISJUNCTS:
            raise InputError(f"{what} has more than {MOST_DISJUNCTS} disjuncts")
        count = sum(map(len, left)) * len(right) + sum(map(len, right)) * len(left)
        self.copied += count
        if count > MOST_COMPARISONS or self.copied > MOST_COPIES:
            raise InputError(f"{what} has too many comparisons in its disjuncts")
        return [one + other for one in left for other in right]

    def _comparison(self, smaller: Expression, larger: Expression) -> Comparison:
        left, below = self._term(smaller)
        right, above = self._term(larger)
        if left is None and right is None:
            raise InputError("a comparison of two numbers; compare outputs")
        return Comparison(left, right, above - below)

    def _term(self, term: Expression) -> tuple[int | None, Fraction]:
        if isinstance(term, str) and term.startswith("Y_"):
            return self._variable(term)[1], Fraction(0)
        return None, as_number(term)

    def _variable(self, name: str, declared: bool = True) -> tuple[str, int]:
        kind, index = variable(name)
        if declared and index >= self.count[kind]:
            raise InputError(f"{name} is used but not declared before")
        return kind, index

    def result(self) -> VnnLib:
        """The whole file.

        Raises:
            InputError: nothing declared, an input without bounds, or a contradiction.
        """
        if not self.count["X"] or not self.count["Y"]:
            raise InputError("no inputs X_i or no outputs Y_i are declared")
        for index in range(self.count["X"]):
            for word, ends in (("lower", self.lower), ("upper", self.upper)):
                if index not in ends:
                    raise InputError(f"X_{index} has no {word} bound; assert one")
            if self.lower[index] > self.upper[index]:
                raise InputError(f"contradiction: X_{index} has a lower bound above its upper one")
        if self.unsafe == [()]:
            raise InputError("no condition on the outputs is asserted")
        left = MOST_STEPS
        for disjunct in self.unsafe:
            left -= _refuse_contradiction(disjunct, left)
        order = range(self.count["X"])
        lower = np.array([float_below(self.lower[i]) for i in order])
        upper = np.array([float_above(self.upper[i]) for i in order])
        stated = tuple((self.lower[i], self.upper[i]) for i in order)
        return VnnLib(InputBox(lower, upper), stated, self.count["Y"], tuple(self.unsafe))


def variable(name: str) -> tuple[str, int]:
    """X or Y, and its number.

    Raises:
        InputError: it is neither X_i nor Y_i.
    """
    found = _VARIABLE.fullmatch(name)
    if found is None:
        raise InputError(f"variable {printable(name, 40)} is not X_i or Y_i")
    return found[1], int(found[2])


def as_number(term: Expression) -> Fraction:
    """A decimal, exactly.

    Raises:
        InputError: it is none, or an absurdly long one.
    """
    match term:
        case ["-", str(digits)] if _NUMBER.fullmatch(digits):
            return -Fraction(digits)
        case str(digits) if _NUMBER.fullmatch(digits):
            return Fraction(digits)
    raise InputError(f"{_show(term)} is no decimal number of moderate length")


def _refuse_contradiction(disjunct: tuple[Comparison, ...], most: int) -> int:
    """A cycle of negative length among difference constraints can never hold (Bellman-Ford).

    Returns:
        How many steps that took.

    Raises:
        InputError: there is one; or more than ``most`` steps may be needed.
    """
    nodes = {end for c in disjunct for end in (c.smaller, c.larger)} | {None}
    if len(nodes) * len(disjunct) > most:
        raise InputError("too many comparisons of too many outputs")
    distance = dict.fromkeys(nodes, Fraction(0))
    for count, _ in enumerate(nodes, 1):
        changed = False
        for c in disjunct:
            if distance[c.larger] + c.offset < distance[c.smaller]:
                distance[c.smaller], changed = distance[c.larger] + c.offset, True
        if not changed:
            return count * len(disjunct)
    raise InputError("contradiction: a conjunction of output conditions can never hold")


def expressions(text: str) -> Iterator[Expression]:
    """Top-level s-expressions; comments run from ; to the end of the line."""
    stack: list[list[Expression]] = []
    for line in text.splitlines():
        for token in _TOKEN.findall(line.partition(";")[0]):
            if token == "(":  # noqa: S105
                if len(stack) > 16:
                    raise InputError("expressions are nested deeper than 16")
                stack.append([])
            elif not stack:
                raise InputError(f"{printable(token, 40)} stands outside any command")
            elif token == ")":  # noqa: S105
                done = stack.pop()
                if stack:
                    stack[-1].append(done)
                else:
                    yield done
            else:
                stack[-1].append(token)
    if stack:
        raise InputError("a parenthesis is never closed")


def _words(expression: Expression) -> Iterator[str]:
    if isinstance(expression, str):
        yield expression
    else:
        for part in expression:
            yield from _words(part)


def _show(expression: Expression) -> str:
    words = " ".join(_words(expression))
    return f"'{printable(words, 60)}'"
