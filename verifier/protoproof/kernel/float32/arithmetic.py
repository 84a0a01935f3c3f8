"""Rounding of functions, and of sums, products and quotients of two tensors."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from protoproof.kernel.float32 import numbers
from protoproof.kernel.float32.measured import UnroundableError
from protoproof.kernel.float32.record import ETA, Record, U, times, up
from protoproof.kernel.float32.rows import normalised, powers_of_two
from protoproof.kernel.float32.tensors import Tensors
from protoproof.kernel.model.symbolic.arrays import thin
from protoproof.kernel.model.symbolic.expressions import Single
from protoproof.kernel.model.symbolic.nodes import Operator
from protoproof.kernel.model.symbolic.values import Constant, Latent, Measured, Terms, Value

FUNCTIONS = {
    "Exp": "exp", "Log": "log", "Reciprocal": "reciprocal", "Sigmoid": "sigmoid",
    "Softplus": "softplus", "Sqrt": "sqrt", "Tanh": "tanh",
}  # fmt: skip


class Arithmetic(Tensors):
    """The rules of operators element by element."""

    def _function(self, operator: Operator, found: Value) -> Record:
        name = FUNCTIONS[operator.kind]
        self.functions[name] = None
        return numbers.function(name, self.number(operator.inputs[0]))

    def _power(self, operator: Operator, found: Value) -> Record:
        source, exponent = operator.inputs
        power = self.record(exponent)
        number = float(power.low.reshape(-1)[0])
        if power.low.size != 1 or not power.exact:
            raise UnroundableError("a power that is no single stored number")
        self.functions["power"] = None
        if number == 2.0:
            return self._squared(source, found, 8)
        x = self.number(source)
        if number == 0.5:
            return numbers.rounded(numbers.function("sqrt", x), 8, ETA)
        if number == 1.0:
            return numbers.rounded(x, 8, ETA)
        return numbers.function("power", x, number)

    def _squared(self, source: str, found: Value, relative: float = 1) -> Record:
        value = self.value(source)
        if isinstance(value, Latent):
            return self.rules.squared(self.record(source), relative)
        x = self.number(source)
        square = numbers.by(x, x, found.shape)
        square = numbers.rounded(square, max(relative - 1, 0)) if relative > 1 else square
        ends = []
        for low, high in ((x.low, x.high), (x.least, x.most)):
            sizes = np.minimum(np.abs(low), np.abs(high)), np.maximum(np.abs(low), np.abs(high))
            inside = (low <= 0) & (high >= 0)
            near = np.where(inside, 0.0, sizes[0] * sizes[0] * (1 - 2.0**-50))
            ends += [near, up(times(sizes[1], sizes[1]))]
        return square.between(*ends)

    # arithmetic

    def _binary(self, operator: Operator, found: Value) -> Record:
        kind, (left, right) = operator.kind, operator.inputs
        first, second = self.value(left), self.value(right)
        if left == right and kind == "Mul":
            return self._squared(left, found)
        if isinstance(found, Latent):
            return self._of_latent(kind, left, right, found)
        curved = isinstance(found, Measured) and any(
            isinstance(v, Measured) and self.record(n).curved
            for v, n in ((first, left), (second, right))
        )
        if (
            isinstance(found, Measured)
            and isinstance(first, Measured)
            and isinstance(second, Measured)
        ):
            longer = normalised(found, self.here.tables) and not normalised(first, self.here.tables)
            if kind == "Div" and longer:
                y = self.number(right)
                return self.rules.over_length(self.record(left), first, y, second, found)
            if kind in ("Add", "Sub") and curved:
                return self.rules.added(self.record(left), first, self.record(right), second, found)
        if isinstance(found, Measured) and curved:
            return self._with_constant(kind, left, right, found)
        return self._of_numbers(kind, left, right, found)

    def _of_latent(self, kind: str, left: str, right: str, found: Latent) -> Record:
        first, second = self.value(left), self.value(right)
        if isinstance(first, Latent) and isinstance(second, Constant):
            x, value, by = self.record(left), first, self.factor(right)
        elif isinstance(second, Latent) and isinstance(first, Constant) and kind != "Div":
            x, value, by = self.record(right), second, self.factor(left)
        elif isinstance(first, Latent) and isinstance(second, Latent) and kind == "Mul":
            return self._same_squared(left, right, found)
        elif isinstance(first, Latent) and isinstance(second, Measured) and kind == "Div":
            return self._by_length(self.record(left), self.number(right), found)
        else:
            raise UnroundableError("no rule at level F for such elements of the latent")
        if kind in ("Add", "Sub"):
            return replace(self.rules.shifted(x, value, by), shape=found.shape)
        return replace(self.rules.scaled(x, by, kind == "Div"), shape=found.shape)

    def _same_squared(self, left: str, right: str, found: Latent) -> Record:
        """Two tensors of equal elements, each computed: no worse than the worse one."""
        first, second = self.record(left), self.record(right)
        names = ("r", "a2", "a1", "a0")
        worst = {n: np.maximum(getattr(first, n), getattr(second, n)) for n in names}
        return self.rules.squared(replace(first, shape=found.shape, **worst), 1)

    def _by_length(self, x: Record, y: Record, found: Latent) -> Record:
        """Elements over a length that is not 0."""
        smallest = float(np.min(np.minimum(np.abs(y.low), np.abs(y.high))))
        error = float(np.max(y.a0))
        share = float(np.max(y.r)) + (error / smallest if smallest > 0 else np.inf)
        if share >= 0.5 or x.curved or np.min(y.low) <= 0:
            raise UnroundableError("a division by a length that may be 0")
        grown = 1 / (1 - share) * (1 + 2.0**-40)
        r = up((1 + x.r) * grown * (1 + U) - 1 + 2.0**-50)
        return Record(found.shape, r, a0=up(x.a0 / smallest * grown * (1 + U) + ETA))

    def _with_constant(self, kind: str, left: str, right: str, found: Measured) -> Record:
        """An incomplete measurement and a constant."""
        name, other = (left, right) if isinstance(self.value(left), Measured) else (right, left)
        value = self.value(name)
        if not isinstance(value, Measured) or not isinstance(self.value(other), Constant):
            raise UnroundableError("no rule at level F for measurements that are not complete")
        x, by = self.record(name), self.factor(other)
        if kind in ("Add", "Sub"):
            return self.rules.added(x, value, None, by, found)
        if kind == "Div" and name != left:
            return self._of_numbers(kind, left, right, found)
        return replace(self.rules.scaled(x, by, kind == "Div"), shape=found.shape)

    def _of_numbers(self, kind: str, left: str, right: str, found: Value) -> Record:
        if kind == "Mul" and isinstance(self.value(left), Constant):
            left, right = right, left
        x, y = self.number(left), self.number(right)
        if isinstance(found, Terms):
            x, y = self.term(left), self.term(right)
            for name in (left, right):
                self._register(name)
        shape, constant = found.shape, isinstance(self.value(right), Constant)
        fresh = [self._fresh(name, r) for name, r in ((left, x), (right, y))]
        if kind in ("Add", "Sub"):
            result = numbers.plus(x, numbers.negative(y) if kind == "Sub" else y, shape)
            apart = up(times(np.asarray(U), x.size + y.size + x.error + y.error))
            return replace(result, fresh=up((fresh[0] + fresh[1]) * (1 + U) + apart))
        if kind == "Mul":
            result = numbers.by(x, y, shape, constant and y.exact and powers_of_two(y.low))
        else:
            result = self._moebius(numbers.over(x, y, shape), found, y)
        if not constant or not isinstance(found, Terms):
            # no sum of computed terms, or of no use as one
            return replace(result, fresh=np.asarray(np.inf))
        smallest = np.minimum(np.abs(y.low), np.abs(y.high))
        with np.errstate(divide="ignore"):
            size = y.size if kind == "Mul" else 1 / smallest
            share = y.r + times(y.a0, 1 / smallest)
        own = times(x.size + x.error, times(size, up(2 * share + 2 * U))) + ETA
        return replace(result, fresh=up(times(fresh[0], size) * (1 + 2 * U) * (1 + share) + own))

    def _moebius(self, x: Record, found: Value, under: Record) -> Record:
        """(t + a) / (t + b) is 1 + (a - b) / (t + b): its range is exact so."""
        if not isinstance(found, Measured | Terms):
            return x
        few = thin(found.program if isinstance(found, Measured) else found.term)
        keys, place = np.unique(few, return_inverse=True)
        constants = [self._last(found, int(k)) for k in keys.tolist()]
        if any(one is None for one in constants):
            return x
        c = np.array(constants, dtype=np.float64)[place].reshape(few.shape)
        c = np.broadcast_to(c, found.shape)
        ends = []
        for low, high in ((under.low, under.high), (under.least, under.most)):
            with np.errstate(divide="ignore", invalid="ignore"):
                parts = np.where(low > 0, c / low, np.inf), c / high
                wide = (1 + np.maximum(np.abs(parts[0]), np.abs(parts[1]))) * 2.0**-48
            bottom, top = 1 + np.minimum(*parts) - wide, 1 + np.maximum(*parts) + wide
            known = (low > 0) & np.isfinite(wide)
            # where t grows without end, what is added to 1 does not change its sign
            bottom = np.where((c > 0) & ~np.isfinite(high), np.maximum(bottom, 1.0), bottom)
            top = np.where((c < 0) & ~np.isfinite(high), np.minimum(top, 1.0), top)
            ends += [np.where(known, bottom, -np.inf), np.where(known, top, np.inf)]
        return x.between(*ends)

    def _last(self, found: Measured | Terms, key: int) -> float | None:
        """The constant of 1 + c / t, where that is the last function of elements."""
        if isinstance(found, Terms):
            one = self.here.known.all[key]
            if not isinstance(one, Single):
                return None
            key = one.program
        program = self.here.tables.programs[key]
        if not program or program[-1][0] != "one_plus" or not isinstance(program[-1][1], Fraction):
            return None
        return float(program[-1][1])

    def _votes(self, operator: Operator, found: Value) -> Record:
        """Scores over one positive number: in its units. Their order in float32 is strict where it
        is by more than the quotients are rounded by."""
        if operator.kind != "Div":
            raise UnroundableError("scores that are divided by their sum")
        left, right = operator.inputs
        x, y = self.term(left), self.term(right)
        share, _ = numbers.relative(y)
        if not np.all(y.low > 0) or np.any(share >= 0.5):
            raise UnroundableError("scores over what may be 0")
        self._register(left)
        tiny = 4 * ETA * np.max(y.high)
        own = up(times(np.asarray(4 * U), x.size + x.error) + tiny)
        fresh = up(self._fresh(left, x) + own)
        return replace(x, shape=found.shape, a0=up(x.a0 + own), fresh=fresh)
