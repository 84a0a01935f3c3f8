"""Elementwise operators: of one value, of a value and a constant, of two values."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from protoproof.errors import ModelError
from protoproof.kernel.model.real import Real
from protoproof.kernel.model.symbolic import constants, latents, measured
from protoproof.kernel.model.symbolic.arrays import Exact, Number, alike, combined, numbered, thin
from protoproof.kernel.model.symbolic.expressions import Expressions, Sum
from protoproof.kernel.model.symbolic.pooling import pooled
from protoproof.kernel.model.symbolic.values import (
    Constant,
    Latent,
    Measured,
    Terms,
    Value,
    constant,
)

UNARY: dict[str, tuple[str, int | None]] = {
    "Abs": ("abs", None),
    "Exp": ("exp", None),
    "Log": ("log", None),
    "Neg": ("mul", -1),
    "Reciprocal": ("reciprocal", None),
    "Relu": ("max", 0),
    "Sigmoid": ("sigmoid", None),
    "Softplus": ("softplus", None),
    "Sqrt": ("sqrt", None),
    "Tanh": ("tanh", None),
}
BINARY = ("Add", "Sub", "Mul", "Div")
_POWERS = {Fraction(1, 2): ("sqrt",), Fraction(-1): ("reciprocal",), Fraction(2): ("square",),
           Fraction(-1, 2): ("sqrt", "reciprocal"), Fraction(1): ()}  # fmt: skip


class UnknownError(ModelError):
    """There is no rule for such operands."""


class Arithmetic:
    """The rules. ``known`` holds the expressions, and their tables."""

    def __init__(self, known: Expressions) -> None:
        self.known, self.tables = known, known.tables

    def measurement(self, value: Latent | Measured) -> Measured:
        """Elements of the latent are measurements of themselves."""
        return latents.single(value, self.tables) if isinstance(value, Latent) else value

    def terms(self, value: Value) -> Terms:
        """Measurements that nothing pools: each is a feature of one location."""
        if isinstance(value, Terms):
            return value
        if isinstance(value, Constant):
            return self._numbers(value)
        if not isinstance(value, Latent | Measured):
            raise UnknownError(f"model: {value.words()} is no measurement")
        found = self.measurement(value)
        wide = found.moved(lambda piece: piece[..., None])
        return pooled(wide, [wide.site.ndim - 1], "max", self.known)

    def _numbers(self, value: Constant) -> Terms:
        numbers: dict[Number, int] = {}
        which = numbered(Exact(constants.reals(value), 1), numbers)
        named = list(numbers)
        return Terms(combined(lambda k: self.known.number(named[k]), which))

    def unary(self, kind: str, value: Value) -> Value:
        """One of :data:`UNARY`."""
        name, number = UNARY[kind]
        by = None if number is None else constants.scalar(number)
        if isinstance(value, Constant):
            return self._of_constant(kind, value)
        if by is not None and kind == "Neg":
            return self.binary("Mul", value, by)
        return self.then(value, name, by)

    def _of_constant(self, kind: str, value: Constant) -> Constant:
        rules: dict[str, Callable[[Constant], Constant]] = {
            "Neg": constants.negative,
            "Reciprocal": constants.inverse,
            "Sqrt": constants.root,
            "Relu": lambda v: constants.limited(v, constants.scalar(0), upper=False),
            "Abs": lambda v: constants.limited(v, constants.negative(v), upper=False),
        }
        return rules[kind](value) if kind in rules else constants.each(kind, value)

    def then(self, value: Value, name: str, by: Constant | None = None) -> Value:
        """A function of one variable, with constants per element or none."""
        if isinstance(value, Latent):
            value = self.measurement(value)
        if isinstance(value, Measured):
            return measured.then(value, self.tables, name, by)
        if not isinstance(value, Terms) or value.over >= 0:
            raise UnknownError(f"model: {name} of {value.words()}")
        if by is None:
            return Terms(combined(lambda t: self.known.then(t, name), value.term))
        if not by.rational:
            raise ModelError(f"model: a root enters pooled measurements by {name}")
        numbers: dict[Number, int] = {}
        which = numbered(by.number, numbers)
        named = list(numbers)
        return Terms(combined(lambda t, c: self.known.then(t, name, named[c]), value.term, which))

    def power(self, value: Value, exponent: Constant) -> Value:
        number = exponent.number
        if exponent.shape not in ((), (1,)) or not exponent.rational:
            raise UnknownError("model: a power that is no single number")
        wanted = number.value((0,) * len(exponent.shape))
        if wanted == 2:
            return self.binary("Mul", value, value)
        if isinstance(wanted, Real):
            raise UnknownError("model: a power that is irrational")
        if isinstance(value, Constant) and wanted not in _POWERS:
            raise UnknownError(f"model: a constant to the power of {wanted}")
        if wanted not in _POWERS:
            return self.then(value, "power", constants.scalar(wanted))
        for name in _POWERS[wanted]:
            value = self.unary({"sqrt": "Sqrt", "reciprocal": "Reciprocal"}[name], value)
        return value

    def limited(self, value: Value, limit: Constant, upper: bool) -> Value:
        """min(value, limit) where ``upper``, else max(value, limit)."""
        if isinstance(value, Constant):
            return constants.limited(value, limit, upper)
        return self.then(value, "min" if upper else "max", limit)

    def binary(self, kind: str, left: Value, right: Value) -> Value:
        """Add, Sub, Mul or Div.

        Raises:
            ModelError: no rule for such operands.
        """
        if isinstance(left, Constant) and isinstance(right, Constant):
            return self._constants(kind, left, right)
        if isinstance(right, Constant):
            if kind == "Div":
                return self.binary("Mul", left, constants.inverse(right))
            if kind == "Sub":
                return self.binary("Add", left, constants.negative(right))
            return self._with_constant(kind, left, right)
        if isinstance(left, Constant):
            if kind == "Sub":
                return self.binary("Add", self.unary("Neg", right), left)
            if kind == "Div":
                right, kind = self.unary("Reciprocal", right), "Mul"
            return self.binary(kind, right, left)
        found = self._between(kind, left, right)
        if found is None:
            raise UnknownError(f"model: {kind} of {left.words()} and {right.words()}")
        return found

    def _constants(self, kind: str, left: Constant, right: Constant) -> Constant:
        if kind in ("Mul", "Div"):
            return (constants.times if kind == "Mul" else constants.quotient)(left, right)
        return constants.plus(left, right, 1 if kind == "Add" else -1)

    def _with_constant(self, kind: str, value: Value, by: Constant) -> Value:
        name = kind.lower()
        if isinstance(value, Latent):
            if kind == "Mul":
                return latents.scaled(value, by)
            moved = latents.shifted(value, by, 1)
            return self.then(value, name, by) if moved is None else moved
        if isinstance(value, Measured):
            return self.then(value, name, by)
        if not isinstance(value, Terms):
            raise UnknownError(f"model: {kind} of {value.words()} and a constant")
        if not by.rational and kind == "Mul":
            return self._times_irrational(value, by)
        if not by.rational:
            by = constant(Exact(constants.reals(by), 1))
        numbers: dict[Number, int] = {}
        which = numbered(by.number, numbers)
        named, known = list(numbers), self.known
        if any(isinstance(n, Real) for n in named) and (kind != "Add" or value.over >= 0):
            raise UnknownError(f"model: {kind} of {value.words()} and irrational numbers")
        if kind == "Add" and value.over >= 0:
            over = value.over

            def add(term: int, k: int) -> int:
                return known.plus(term, known.times(over, known.number(named[k])))

            return Terms(combined(add, value.term, which), over)
        # one weight for each term is part of the decision, and so is what follows other weights
        weighed = any(isinstance(known.all[t], Sum) for t in np.unique(thin(value.term)).tolist())
        affine = weighed or (kind == "Mul" and (len(named) > 1 or not named[0]))
        change = known.affine if affine else known.then
        return Terms(
            combined(lambda t, k: change(t, name, named[k]), value.term, which), value.over
        )

    def _times_irrational(self, value: Terms, by: Constant) -> Terms:
        """A factor of each term's own is part of its similarity; several are leaves of a tree."""
        factors = self._numbers(by).term
        term, factor = np.broadcast_arrays(thin(value.term), thin(factors))
        pairs = set(zip(term.ravel().tolist(), factor.ravel().tolist(), strict=True))
        if len(pairs) > len({t for t, _ in pairs}) or value.over >= 0:
            return Terms(combined(self.known.times, value.term, factors), value.over)
        found = self.then(value, "div_root", constant(by.root))
        return found if self._is_one(by) else self.then(found, "mul", constant(by.number))  # type: ignore[return-value]

    @staticmethod
    def _is_one(by: Constant) -> bool:
        return bool(np.all(thin(by.number.numerators) == by.number.denominator))

    def _between(self, kind: str, left: Value, right: Value) -> Value | None:
        if isinstance(left, Latent) and isinstance(right, Latent):
            return latents.squared(left) if kind == "Mul" and same_latent(left, right) else None
        if isinstance(right, Measured) and isinstance(left, Latent | Measured):
            found = self._before_pooling(kind, left, right)
            if found is not None:
                return found
        if isinstance(left, Measured) and isinstance(right, Latent) and kind == "Mul":
            return self._before_pooling(kind, right, left)
        if not all(isinstance(v, Latent | Measured | Terms) for v in (left, right)):
            return None
        return self._of_terms(kind, self.terms(left), self.terms(right))

    def _before_pooling(self, kind: str, left: Latent | Measured, right: Measured) -> Value | None:
        if kind == "Mul":
            if (
                isinstance(left, Measured)
                and measured.same_measurement(left, right)
                and alike(left.program, right.program)
            ):
                return measured.then(left, self.tables, "square")
            for one, other in ((left, right), (right, left)):
                under = self._reciprocal_of(other)
                if under is not None:
                    found = self._divided(one, under)
                    if found is not None:
                        return found
            return None
        if kind == "Div":
            return self._divided(left, right)
        if isinstance(left, Latent):
            return None
        return measured.plus(left, right, 1 if kind == "Add" else -1, self.tables)

    def _reciprocal_of(self, value: Latent | Measured) -> Measured | None:
        if not isinstance(value, Measured):
            return None
        programs = self.tables.programs
        for program in np.unique(thin(value.program)).tolist():
            if not programs[program] or programs[program][-1][0] != "reciprocal":
                return None
        shorter = combined(lambda p: self.tables.program(programs[p][:-1]), value.program)
        return Measured(value.site, value.row, shorter)

    def _divided(self, left: Latent | Measured, right: Measured) -> Value | None:
        if isinstance(left, Latent):
            return self._normalised(left, right)
        found = measured.ratio(left, right, self.tables)
        return found or measured.divided_by_norm(left, right, self.tables)

    def _normalised(self, left: Latent, right: Measured, zero: bool = False) -> Latent | None:
        """z_d / (c max(|z_S|, floor)); ``zero``: and 0 where that is 0 / 0."""
        found = measured.norm_of(right, self.tables, zero)
        plain = left.power == 1 and latents.constant_root(left)
        unmoved = not np.any(thin(left.shift.numerators).astype(bool))
        if found is None or not plain or not unmoved or (thin(left.norm) >= 0).any():
            return None
        norm, factor = found
        by = Fraction(1)
        used = np.unique(thin(factor.program)).tolist()
        if len(used) > 1:
            return None
        for name, factor_of in measured.inverse_factors(self.tables.programs[used[0]]):
            if name != "mul" or not isinstance(factor_of, Fraction):
                return None
            by *= factor_of
        shape = np.broadcast_shapes(left.shape, norm.shape)
        whole = left.moved(lambda piece: np.broadcast_to(piece, shape))
        divided = Latent(
            whole.index, whole.scale, whole.shift, whole.weight, whole.root,
            np.broadcast_to(norm, shape), 1,
        )  # fmt: skip
        return latents.scaled(divided, constants.scalar(by))

    def normalised(self, value: Latent, axis: int) -> Latent | None:
        """LpNormalization: z / |z|, the norm over one axis."""
        square = latents.squared(value)
        if square is None:
            return None
        total = latents.summed(square, [axis], self.tables)
        root = measured.then(total, self.tables, "sqrt")
        under = root.moved(lambda piece: np.expand_dims(piece, axis))
        return self._normalised(value, under, zero=True)

    def _of_terms(self, kind: str, left: Terms, right: Terms) -> Terms | None:
        known = self.known
        if kind in ("Add", "Sub") and left.over == right.over:
            sign = 1 if kind == "Add" else -1
            both = combined(lambda a, b: known.plus(a, b, sign), left.term, right.term)
            return Terms(both, left.over)
        if kind == "Mul" and left.over == right.over == -1:
            same = alike(left.term, right.term) if left.shape == right.shape else False
            if same:
                return Terms(combined(lambda t: known.then(t, "square"), left.term))
            return Terms(combined(known.times, left.term, right.term))
        if kind == "Div" and left.over == right.over == -1:
            found = combined(lambda a, b: _or_none(known.ratio(a, b)), left.term, right.term)
            if not (thin(found) < 0).any():
                return Terms(found)
            under = np.unique(thin(right.term)).tolist()
            if len(under) == 1:
                # votes over their sum: linear in the votes, up to a positive factor
                known.positive.add(under[0])
                shape = np.broadcast_shapes(left.shape, right.shape)
                return Terms(np.broadcast_to(left.term, shape), under[0])
        return None


def _or_none(found: int | None) -> int:
    return -1 if found is None else found


def same_latent(left: Latent, right: Latent) -> bool:
    """Whether two values are equal at every element."""
    if left is right:
        return True
    if left.shape != right.shape or left.power != right.power:
        return False
    for first, second in zip(left.pieces, right.pieces, strict=True):
        if not alike(first, second):
            return False
    names = ("scale", "shift", "weight", "root")
    return all(getattr(left, n).denominator == getattr(right, n).denominator for n in names)
