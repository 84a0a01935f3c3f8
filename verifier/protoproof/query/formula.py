"""Conditions over elements of tensors: polynomials compared with 0, ``and``, ``or``; exact numbers.

Everything is brought into two relations, p <= 0 and p < 0: an equation is both of p and -p, an
inequation one of p and -p. A comparison is *bare* where each side is an element or a number by
itself, so that nothing is calculated: only those mean the same over float32 numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from protoproof.errors import InputError

MOST_TERMS = 1 << 20
MOST_DISJUNCTS = 1 << 12
MOST_LITERALS = 1 << 21  # in all disjuncts together


class Element(NamedTuple):
    """One number of a declared tensor; ``place`` is row-major."""

    variable: str
    place: int


Monomial = tuple[Element, ...]
Range = tuple[Fraction, Fraction]


@dataclass(frozen=True)
class Polynomial:
    """A sum of products of elements; () is the constant. No coefficient is 0."""

    terms: Mapping[Monomial, Fraction]

    def __add__(self, other: Polynomial) -> Polynomial:
        found = dict(self.terms)
        for monomial, coefficient in other.terms.items():
            total = found.get(monomial, Fraction(0)) + coefficient
            if total:
                found[monomial] = total
            else:
                found.pop(monomial, None)
        return Polynomial(found)

    def __neg__(self) -> Polynomial:
        return Polynomial({monomial: -c for monomial, c in self.terms.items()})

    def __sub__(self, other: Polynomial) -> Polynomial:
        return self + -other

    def __mul__(self, other: Polynomial) -> Polynomial:
        if len(self.terms) * len(other.terms) > MOST_TERMS:
            raise InputError(f"a product has more than {MOST_TERMS} terms; write it out shorter")
        found: dict[Monomial, Fraction] = {}
        for left, a in self.terms.items():
            for right, b in other.terms.items():
                monomial = tuple(sorted((*left, *right)))
                found[monomial] = found.get(monomial, Fraction(0)) + a * b
        return Polynomial({monomial: c for monomial, c in found.items() if c})

    @property
    def constant(self) -> Fraction:
        """The term without any element."""
        return self.terms.get((), Fraction(0))

    @property
    def variables(self) -> set[str]:
        """The tensors that it speaks about."""
        return {element.variable for monomial in self.terms for element in monomial}

    def linear(self) -> dict[Element, Fraction] | None:
        """The coefficients of its elements; None where there is a product."""
        if any(len(monomial) > 1 for monomial in self.terms):
            return None
        return {monomial[0]: c for monomial, c in self.terms.items() if monomial}

    def bounds(self, of: Mapping[Element, Range]) -> Range:
        """Where its value lies, if every element lies in its range."""
        low = high = Fraction(0)
        for monomial, coefficient in self.terms.items():
            least = most = coefficient
            for element in dict.fromkeys(monomial):
                power = monomial.count(element)
                a, b = _power(of[element], power)
                ends = (least * a, least * b, most * a, most * b)
                least, most = min(ends), max(ends)
            low, high = low + least, high + most
        return low, high


def _power(ends: Range, power: int) -> Range:
    low, high = ends
    first, last = low**power, high**power
    if power % 2:
        return first, last
    return (Fraction(0) if low <= 0 <= high else min(first, last)), max(first, last)


def sum_of(parts: Iterable[Polynomial]) -> Polynomial:
    """The sum of many, in one dictionary."""
    found: dict[Monomial, Fraction] = {}
    for part in parts:
        for monomial, coefficient in part.terms.items():
            found[monomial] = found.get(monomial, Fraction(0)) + coefficient
    if len(found) > MOST_TERMS:
        raise InputError(f"a sum has more than {MOST_TERMS} terms")
    return Polynomial({monomial: c for monomial, c in found.items() if c})


def number(value: Fraction | int) -> Polynomial:
    """A constant."""
    return Polynomial({(): Fraction(value)} if value else {})


def element(variable: str, index: int) -> Polynomial:
    """One number of a tensor."""
    return Polynomial({(Element(variable, index),): Fraction(1)})


@dataclass(frozen=True, eq=False)
class Atom:
    """``left <= 0``, or with ``strict`` ``left < 0``; for ``bare`` see the module's docstring."""

    left: Polynomial
    strict: bool = False
    bare: bool = False

    def holds(self, of: Mapping[Element, Range]) -> bool | None:
        """Whether it certainly holds, certainly does not, or neither, for elements in ranges."""
        low, high = self.left.bounds(of)
        if high < 0 or (high == 0 and not self.strict):
            return True
        return False if low > 0 or (low == 0 and self.strict) else None


@dataclass(frozen=True, eq=False)
class Both:
    """All of some conditions."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True, eq=False)
class Either:
    """One of some conditions at least."""

    parts: tuple[Formula, ...]


Formula = Atom | Both | Either
Disjunct = tuple[Atom | Either, ...]


def compared(left: Polynomial, relation: str, right: Polynomial, bare: bool) -> Formula:
    """A comparison: ``<=``, ``<``, ``>=``, ``>``, ``==`` or ``!=``."""
    difference = left - right
    match relation:
        case "<=" | "<":
            return Atom(difference, relation == "<", bare)
        case ">=" | ">":
            return Atom(-difference, relation == ">", bare)
        case "==":
            return Both((Atom(difference, False, bare), Atom(-difference, False, bare)))
        case _:
            return Either((Atom(difference, True, bare), Atom(-difference, True, bare)))


def holds(formula: Formula, of: Mapping[Element, Range]) -> bool | None:
    """Whether a condition certainly holds, certainly does not, or neither."""
    if isinstance(formula, Atom):
        return formula.holds(of)
    found = [holds(part, of) for part in formula.parts]
    decisive = isinstance(formula, Either)
    if decisive in found:
        return decisive
    return None if None in found else not decisive


def atoms(formula: Formula) -> Iterator[Atom]:
    """Every comparison."""
    if isinstance(formula, Atom):
        yield formula
    else:
        for part in formula.parts:
            yield from atoms(part)


def disjuncts(formula: Formula, whole: Mapping[int, object]) -> list[Disjunct]:
    """Disjunctive normal form; alternatives in ``whole`` (by id) are kept as they are.

    Raises:
        InputError: more than :data:`MOST_DISJUNCTS`, or more than :data:`MOST_LITERALS` in them.
    """
    if isinstance(formula, Atom) or (isinstance(formula, Either) and id(formula) in whole):
        return [(formula,)]
    parts = [disjuncts(part, whole) for part in formula.parts]
    if isinstance(formula, Either):
        found = [each for part in parts for each in part]
    else:
        # what has one alternative goes into all of the others at once
        fixed = tuple(literal for part in parts if len(part) == 1 for literal in part[0])
        found = [fixed]
        for part in parts:
            if len(part) == 1:
                continue
            if len(found) * len(part) > MOST_DISJUNCTS:
                raise InputError(f"the query has more than {MOST_DISJUNCTS} disjuncts")
            count = sum(map(len, found)) * len(part) + sum(map(len, part)) * len(found)
            if count > MOST_LITERALS:
                raise InputError(f"the query has more than {MOST_LITERALS} conditions in disjuncts")
            found = [left + right for left in found for right in part]
    if len(found) > MOST_DISJUNCTS:
        raise InputError(f"the query has more than {MOST_DISJUNCTS} disjuncts")
    return found
