"""What the checker's values mean at one latent, in floats: by their definitions alone."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.kernel.model.real import Real
from protoproof.kernel.model.symbolic.arrays import Exact
from protoproof.kernel.model.symbolic.evaluator import Evaluation
from protoproof.kernel.model.symbolic.expressions import (
    Best,
    Exponential,
    Irrational,
    Product,
    Single,
    Sum,
)
from protoproof.kernel.model.symbolic.values import (
    Below,
    Constant,
    Joined,
    Latent,
    Measured,
    Ranked,
    Terms,
    Value,
)
from tests.support.kernel.read import STEPS, number

Array = NDArray[Any]


class Meaning:
    """The numbers of values of one evaluation, at a latent (flat)."""

    def __init__(self, here: Evaluation, latent: Array) -> None:
        self.tables, self.known = here.tables, here.known
        self.z = latent.astype(float).ravel()

    def of(self, value: Value) -> Array:
        """The tensor; NaN where it is not defined."""
        match value:
            case Constant():
                return _floats(value.number) / np.sqrt(_floats(value.root))
            case Latent():
                parts = (value.scale, value.shift, value.weight, value.root)
                scale, shift, weight, root = map(_floats, parts)
                z = _each(self._element, value.index, value.norm)
                found = scale * z + shift
                return weight / np.sqrt(root) * (found**2 if value.power == 2 else found)
            case Measured():
                return _each(self._measured, value.site, value.row, value.program)
            case Terms():
                under = self._term(value.over) if value.over >= 0 else 1.0
                return _each(self._term, value.term) / under
            case Ranked():
                found = np.sort(self.of(value.value), axis=value.axis)
                if np.isnan(found).any():
                    return np.full(value.shape, math.nan)
                found = np.flip(found, value.axis) if value.largest else found
                return np.take(found, range(value.count), axis=value.axis)
            case Below():
                found = self.of(value.value) < self.of(value.limit)
                return (~found if value.negated else found).astype(float)
            case Joined():
                return np.concatenate([self.of(part) for part in value.parts], value.axis)
        raise TypeError(type(value).__name__)

    def _element(self, index: int, norm: int) -> float:
        z = self.z[index] if index >= 0 else 0.0
        return z if norm < 0 else _over(z, self._norm(norm))

    def _norm(self, norm: int) -> float:
        found = self.tables.norms[norm]
        elements = self.z[list(self.tables.sites[found.site].elements)]
        floor, added, beside = map(float, found.length)
        return math.sqrt(max(sum(elements**2) + added, floor)) + math.sqrt(beside)

    def _measured(self, site: int, row: int, program: int) -> float:
        place, line = self.tables.sites[site], self.tables.rows[row]
        z = self.z[list(place.elements)]
        if place.norm >= 0:
            z = np.array([_over(v, self._norm(place.norm)) for v in z])
        square, slope = (
            np.array([float(number(_fraction(n, line.denominator))) for n in part] or [0.0])
            for part in (line.square, line.slope)
        )
        return self._through(program, float((square * z * z + slope * z).sum()))

    def _through(self, program: int, t: float) -> float:
        for name, constant in self.tables.programs[program]:
            try:
                found = STEPS[name](t, 0.0 if constant is None else float(number(constant)))
                t = float(found)
            except (ArithmeticError, ValueError, TypeError):  # also complex numbers
                return math.nan
        return t

    def _term(self, index: int) -> float:
        match self.known.all[index]:
            case Single(feature, program):
                return self._through(program, self._pooled(feature))
            case Sum(terms, weights, constant, denominator):
                total = sum(w * self._term(t) for w, t in zip(weights, terms, strict=True))
                return (total + constant) / denominator
            case Best(members):
                found = [self._term(t) for t in members]
                return math.nan if any(map(math.isnan, found)) else max(found)
            case Product(left, right):
                return self._term(left) * self._term(right)
            case Exponential(of):
                return float(STEPS["exp"](self._term(of), 0))
            case Irrational(value):
                return float(number(value))
            case tree:
                share = self._term(tree.routing)  # type: ignore[union-attr]
                left, right = self._term(tree.left), self._term(tree.right)  # type: ignore[union-attr]
                return (1 - share) * left + share * right

    def _pooled(self, feature: int) -> float:
        found = self.tables.features[feature]
        values = sorted(self._measured(s, found.row, found.inner)
                        for s in self.tables.groups[found.group])  # fmt: skip
        if any(map(math.isnan, values)):
            return math.nan
        mean, count = sum(values) / len(values), found.largest or 1
        return {
            "max": values[-1], "min": values[0], "mean": mean, "sum": sum(values),
            "top": sum(values[-count:]) / count, "bottom": sum(values[:count]) / count,
            "focal": values[-1] - mean,
        }[found.kind]  # fmt: skip


def _over(top: float, bottom: float) -> float:
    return top / bottom if bottom else math.nan


def _fraction(number: Any, denominator: int) -> Fraction | Real:
    return number / denominator if isinstance(number, Real) else Fraction(number) / denominator


def _floats(values: Exact) -> Array:
    return _each(lambda n: float(number(_fraction(n, values.denominator))), values.numerators)


def _each(function: Any, *arrays: Array) -> Array:
    return np.asarray(np.frompyfunc(function, len(arrays), 1)(*arrays), dtype=float)
