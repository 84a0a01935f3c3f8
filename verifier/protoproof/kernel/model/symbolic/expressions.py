"""Expressions over pooled measurements: sums, largest ones, products, soft trees."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import compress
from typing import NamedTuple

import numpy as np

from protoproof.errors import ModelError
from protoproof.kernel.budget import OPERATION, hold, spend
from protoproof.kernel.model.real import Real
from protoproof.kernel.model.symbolic.arrays import Array, require_short
from protoproof.kernel.model.symbolic.measured import moebius
from protoproof.kernel.model.symbolic.tables import Feature, Tables

# Functions that never fall wherever they are defined: the largest argument gives the largest value.
RISING = {"add", "max", "min", "exp", "log", "sqrt", "sigmoid", "tanh", "softplus", "div_root"}


class Single(NamedTuple):
    """A program applied to one pooled measurement."""

    feature: int
    program: int


class Sum(NamedTuple):
    """(sum of weights[i] * terms[i] + constant) / denominator; no term is a sum."""

    terms: tuple[int, ...]
    weights: tuple[int, ...]
    constant: int
    denominator: int


class Best(NamedTuple):
    """The largest of several."""

    members: tuple[int, ...]


class Product(NamedTuple):
    left: int
    right: int


class Tree(NamedTuple):
    """(1 - routing) * left + routing * right; the routing is a function of one term."""

    routing: int
    left: int
    right: int


class Exponential(NamedTuple):
    """exp of an expression that is no single term."""

    of: int


class Irrational(NamedTuple):
    """A number."""

    value: Real


Expression = Single | Sum | Best | Product | Tree | Exponential | Irrational


class Expressions:
    """All expressions of a head; equal ones have one index.

    ``idle``: per sum, the terms that entered it with a weight of zero. ``positive``: what is
    divided by; the reading is one of a head only if all of that is shown to be positive.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.all: list[Expression] = []
        self.idle: dict[int, set[int]] = {}
        self.positive: set[int] = set()
        self._index: dict[tuple[type, Expression], int] = {}

    def enter(self, expression: Expression) -> int:
        """The index of an expression."""
        key = type(expression), expression  # tuples of two kinds may be equal
        found = self._index.get(key)
        if found is None:
            size = len(expression.terms) if isinstance(expression, Sum) else 2
            hold("the terms of a head", 256 + 64 * size)
            found = self._index[key] = len(self.all)
            self.all.append(expression)
        return found

    def number(self, value: Fraction | Real) -> int:
        if isinstance(value, Real):
            return self.enter(Irrational(value))
        return self.enter(Sum((), (), value.numerator, value.denominator))

    def value(self, index: int) -> Fraction | None:
        """The fraction that an expression is; None where it is none."""
        found = self.all[index]
        if isinstance(found, Sum) and not found.terms:
            return Fraction(found.constant, found.denominator)
        return None

    def as_sum(self, index: int) -> Sum:
        found = self.all[index]
        return found if isinstance(found, Sum) else Sum((index,), (1,), 0, 1)

    def total(
        self,
        parts: Sequence[int],
        weights: Sequence[int],
        denominator: int = 1,
        constant: int = 0,
    ) -> int:
        """(sum of weights[i] * parts[i] + constant) / denominator."""
        spend("sums of terms", OPERATION * (1 + len(parts)))
        if not set(map(type, weights)) <= {int}:
            up = math.lcm(*[w.denominator for w in weights])
            weights, denominator = [int(w * up) for w in weights], denominator * up
            constant *= up
        distinct = set(parts)
        if len(distinct) == len(parts) and Sum not in {type(self.all[p]) for p in distinct}:
            return self._sum(dict(zip(parts, weights, strict=True)), constant, denominator, set())
        sums = [(self.as_sum(p), w) for p, w in zip(parts, weights, strict=True)]
        idle = {term for p in parts for term in self.idle.get(p, ())}
        common = math.lcm(1, *[s.denominator for s, _ in sums])
        collected: dict[int, int] = {}
        constant *= common
        for part, weight in sums:
            up = weight * (common // part.denominator)
            constant += up * part.constant
            spend("sums of terms", OPERATION * len(part.terms))
            if not collected:
                collected = {t: up * own for t, own in zip(part.terms, part.weights, strict=True)}
                continue
            for term, own in zip(part.terms, part.weights, strict=True):
                collected[term] = collected.get(term, 0) + up * own
        return self._sum(collected, constant, denominator * common, idle)

    def totals(self, parts: Sequence[int], columns: Array, denominator: int) -> list[int]:
        """(sum of weights[i] * parts[i]) / denominator, for every column of weights [X, K]."""
        distinct = set(parts)
        alone = len(distinct) == len(parts) and Sum not in {type(self.all[p]) for p in distinct}
        if not alone or not set(map(type, columns.ravel().tolist())) <= {int}:
            return [self.total(parts, column, denominator) for column in columns.T.tolist()]
        order = np.argsort(np.asarray(parts, dtype=np.int64))
        terms = tuple([parts[k] for k in order.tolist()])
        found = []
        for weights in columns[order].T.tolist():
            spend("sums of terms", OPERATION * (1 + len(parts)))
            found.append(self._entered(terms, weights, 0, denominator, set()))
        return found

    def _sum(
        self, collected: dict[int, int], constant: int, denominator: int, idle: set[int]
    ) -> int:
        terms = tuple(sorted(collected))
        weights = [collected[term] for term in terms]
        return self._entered(terms, weights, constant, denominator, idle)

    def _entered(
        self,
        terms: tuple[int, ...],
        weights: list[int],
        constant: int,
        denominator: int,
        idle: set[int],
    ) -> int:
        """The sum of ascending terms; those with a weight of zero are idle."""
        if not all(weights):
            idle.update([term for term, weight in zip(terms, weights, strict=True) if not weight])
            terms = tuple(compress(terms, weights))
            weights = [weight for weight in weights if weight]
        require_short((denominator, constant, *weights))
        divisor = math.gcd(denominator, constant, *weights)
        if divisor > 1:
            weights = [weight // divisor for weight in weights]
        denominator, constant = denominator // divisor, constant // divisor
        if len(terms) == 1 and weights[0] == denominator and not constant:
            found = terms[0]
        else:
            found = self.enter(Sum(terms, tuple(weights), constant, denominator))
        if idle:
            self.idle.setdefault(found, set()).update(idle)
        return found

    def plain_sum(self, index: int) -> Sum:
        """A sum over terms whose programs do not end in a multiplication or addition: 1 - s and s
        are about one term."""
        found = self.all[index]
        if isinstance(found, Sum):
            total: dict[int, Fraction] = {}
            constant = Fraction(found.constant, found.denominator)
            for term, weight in zip(found.terms, found.weights, strict=True):
                part = self._ending(term)
                factor = Fraction(weight, found.denominator)
                constant += factor * part[2]
                total[part[0]] = total.get(part[0], Fraction(0)) + factor * part[1]
        else:
            base, slope, constant = self._ending(index)
            total = {base: slope}
        denominator = math.lcm(constant.denominator, *[w.denominator for w in total.values()])
        items = sorted((t, w) for t, w in total.items() if w)
        weights = tuple(int(w * denominator) for _, w in items)
        return Sum(tuple(t for t, _ in items), weights, int(constant * denominator), denominator)

    def _ending(self, index: int) -> tuple[int, Fraction, Fraction]:
        """(base, a, b) with index = a * base + b, for the affine end of a term's program."""
        found, slope, shift = self.all[index], Fraction(1), Fraction(0)
        if not isinstance(found, Single):
            return index, slope, shift
        program = self.tables.programs[found.program]
        while program and program[-1][0] in ("add", "mul"):
            name, constant = program[-1]
            if isinstance(constant, Real):
                break
            if name == "add":
                shift += slope * (constant or 0)
            else:
                slope *= constant or 0
            program = program[:-1]
        return self.enter(Single(found.feature, self.tables.program(program))), slope, shift

    def scaled(self, index: int, factor: Fraction) -> int:
        return self.total([index], [factor.numerator], factor.denominator)

    def plus(self, left: int, right: int, sign: int = 1) -> int:
        """left + sign * right."""
        tree = self._tree(left, right) if sign == 1 else None
        return self.total([left, right], [1, sign]) if tree is None else tree

    def times(self, left: int, right: int) -> int:
        """left * right."""
        if all(isinstance(self.all[k], Irrational) for k in (left, right)):
            raise ModelError("model: a product of irrational numbers that is no constant")
        for one, other in ((left, right), (right, left)):
            number = self.value(one)
            if number is not None:
                return self.scaled(other, number)
        return self.enter(Product(min(left, right), max(left, right)))

    def _tree(self, left: int, right: int) -> int | None:
        """(1 - s) a + s b, for a function s of one term; a or b may be a number."""
        for one, other in ((left, right), (right, left)):
            product = self.all[one]
            if not isinstance(product, Product):
                continue
            for f, rest in ((product.left, product.right), (product.right, product.left)):
                part = self._complement(f, other)
                if part is not None and isinstance(self.all[f], Single):
                    return self.enter(Tree(f, part, rest))
        return None

    def _complement(self, factor: int, index: int) -> int | None:
        """x with index = (1 - factor) * x; None where there is none."""
        found, line = self.all[index], self.line(factor)
        if line is None:
            return None
        term, slope, shift = line
        if isinstance(found, Product):
            for f, rest in ((found.left, found.right), (found.right, found.left)):
                if self.line(f) == (term, -slope, 1 - shift):
                    return rest
            return None
        other = self.line(index)
        if other is None or other[0] != term:
            return None
        number = -other[1] / slope
        return self.number(number) if other[2] == number * (1 - shift) else None

    def line(self, index: int) -> tuple[int, Fraction, Fraction] | None:
        """(t, a, b) with index = a t + b for one term t; None where it is no such line."""
        found = self.plain_sum(index)
        if len(found.terms) != 1:
            return None
        under = found.denominator
        return found.terms[0], Fraction(found.weights[0], under), Fraction(found.constant, under)

    def branches(self, index: int, routing: int) -> tuple[int, int] | None:
        """(a, b) with index = (1 - routing) a + routing b; None where there are none."""
        found, line = self.all[index], self.line(routing)
        if isinstance(found, Tree):
            if found.routing == routing:
                return found.left, found.right
            if line is None or self.line(found.routing) != (line[0], -line[1], 1 - line[2]):
                return None
            return found.right, found.left
        if isinstance(found, Product) and line is not None:
            for f, rest in ((found.left, found.right), (found.right, found.left)):
                if self.line(f) == line:
                    return self.number(Fraction(0)), rest
                if self.line(f) == (line[0], -line[1], 1 - line[2]):
                    return rest, self.number(Fraction(0))
        number = self.value(index)
        if number is not None:
            return index, index
        other = self.line(index)
        if other is None or line is None or other[0] != line[0]:
            return None
        rise = other[1] / line[1]
        start = other[2] - rise * line[2]
        return self.number(start), self.number(start + rise)

    def then(self, index: int, name: str, constant: Fraction | Real | None = None) -> int:
        """A function of an expression.

        Raises:
            ModelError: a function of several terms together.
        """
        if name not in ("mul", "add"):
            index = self._alone(index)
        found = self.all[index]
        if isinstance(found, Single):
            program = self.tables.then(found.program, name, constant)
            return self.enter(Single(found.feature, program))
        if name in ("mul", "add") and constant is not None:
            return self.affine(index, name, constant)
        if isinstance(found, Best) and name in RISING:
            return self.best([self.then(m, name, constant) for m in found.members])
        if name == "exp":
            return self.enter(Exponential(index))
        raise ModelError(f"model: {name} of several pooled measurements together is no similarity")

    def affine(self, index: int, name: str, constant: Fraction | Real) -> int:
        """An expression times a number ("mul"), or plus one ("add"), as a sum.

        Raises:
            ModelError: the number is irrational.
        """
        if isinstance(constant, Real):
            raise ModelError(
                f"model: {name} of several pooled measurements and an irrational number"
            )
        if name == "mul":
            return self.scaled(index, constant)
        under = constant.denominator
        return self.total([index], [under], under, constant.numerator)

    def _alone(self, index: int) -> int:
        """A sum of one term as a function of that term: a factor of each prototype's own is part of
        its similarity where another function follows, and a weight of the decision elsewhere."""
        found = self.all[index]
        if not isinstance(found, Sum) or len(found.terms) != 1:
            return index
        term = found.terms[0]
        if not isinstance(self.all[term], Single):
            return index
        if found.weights[0] != found.denominator:
            term = self.then(term, "mul", Fraction(found.weights[0], found.denominator))
        if found.constant:
            term = self.then(term, "add", Fraction(found.constant, found.denominator))
        return term

    def best(self, members: Iterable[int]) -> int:
        """The largest of several expressions."""
        flat: list[int] = []
        for member in map(self._alone, members):
            found = self.all[member]
            flat += found.members if isinstance(found, Best) else (member,)
        unique = tuple(dict.fromkeys(flat))
        return unique[0] if len(unique) == 1 else self.enter(Best(unique))

    def ratio(self, left: int, right: int) -> int | None:
        """(t + a) / (t + b) for one pooled measurement t."""
        first, second = (self.all[self._alone(k)] for k in (left, right))
        if not isinstance(first, Single) or not isinstance(second, Single):
            return None
        if first.feature != second.feature:
            return None
        programs = self.tables.programs
        found = moebius(programs[first.program], programs[second.program])
        if found is None:
            return None
        return self.enter(Single(first.feature, self.tables.program(found)))

    def pooled(self, feature: Feature) -> int:
        return self.enter(Single(self.tables.feature(feature), 0))
