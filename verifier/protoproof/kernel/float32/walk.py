"""The operators between latents and scores, one after the other: what rounding makes of each.

What has no rule ends the walk with its name: then nothing is proved at level F.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from protoproof.kernel.budget import NODE, room, spend
from protoproof.kernel.float32 import numbers
from protoproof.kernel.float32.measured import Factor, Measuring, UnroundableError
from protoproof.kernel.float32.record import ETA, ZERO, Array, Record, U, sums, times, up
from protoproof.kernel.float32.rows import normalised, powers_of_two, values_of
from protoproof.kernel.model.symbolic import constants, layout
from protoproof.kernel.model.symbolic.arithmetic import BINARY
from protoproof.kernel.model.symbolic.arrays import thin
from protoproof.kernel.model.symbolic.evaluator import Evaluation
from protoproof.kernel.model.symbolic.expressions import Single, Sum
from protoproof.kernel.model.symbolic.linear import total, window_sizes, windows
from protoproof.kernel.model.symbolic.nodes import Operator
from protoproof.kernel.model.symbolic.reductions import KINDS
from protoproof.kernel.model.symbolic.values import (
    Below,
    Constant,
    Joined,
    Latent,
    Measured,
    Ranked,
    Several,
    Terms,
    Value,
)

_FUNCTIONS = {
    "Exp": "exp", "Log": "log", "Reciprocal": "reciprocal", "Sigmoid": "sigmoid",
    "Softplus": "softplus", "Sqrt": "sqrt", "Tanh": "tanh",
}  # fmt: skip
_COMPARED = ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Not", "Equal")
_POOLS = {
    "MaxPool": "max", "AveragePool": "mean", "GlobalMaxPool": "max", "GlobalAveragePool": "mean",
}  # fmt: skip
_EXACT = ("Identity", "Dropout")


@dataclass
class Atom:
    """A computed number that sums are made of.

    Attributes:
        error: how far it is from what it is; ``r`` and ``a``: the same as r |x| + a.
        low, high: between what the computed number lies; ``least``, ``most``: the exact one.
        tensor: in which it was computed; None for several.
    """

    error: float
    r: float
    a: float
    low: float
    least: float
    high: float
    most: float
    tensor: str | None

    def beside(self, other: Atom) -> None:
        """The same number, computed in another tensor too."""
        for name in ("error", "r", "a", "high", "most"):
            setattr(self, name, max(getattr(self, name), getattr(other, name)))
        for name in ("low", "least"):
            setattr(self, name, min(getattr(self, name), getattr(other, name)))
        if self.tensor != other.tensor:
            self.tensor = None


class Walk:
    """One walk, for one set of ranges.

    Attributes:
        functions: those that a runtime approximates, in the order in which they occur.
        curved: whether a measurement's error grows with the latent's length.
        atoms: the terms of sums, by expression.
    """

    def __init__(self, here: Evaluation, rules: Measuring) -> None:
        self.here, self.rules = here, rules
        self.functions: dict[str, None] = {}
        self.curved = False
        self.atoms: dict[int, Atom] = {}
        self._records: dict[str, Record] = {}
        self._parts: dict[str, tuple[str, ...]] = {}

    def run(self, operators: Sequence[Operator]) -> None:
        """All of them, in their order.

        Raises:
            UnroundableError: one of them has no rule.
        """
        for operator in operators:
            spend("the rounding of an operator", NODE)
            try:
                self._step(operator)
            except UnroundableError as error:
                raise UnroundableError(f"{operator.words()}: {error}") from error
            except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                raise UnroundableError(f"{operator.words()}: no rule for its operands") from error

    def value(self, tensor: str) -> Value:
        """What a tensor is over the reals."""
        return self.here.values[tensor]

    def record(self, tensor: str) -> Record:
        """What is known about a tensor."""
        found = self._records.get(tensor)
        if found is None:
            value = self.value(tensor)
            if isinstance(value, Latent):
                found = Record(value.shape)
            elif isinstance(value, Constant):
                low, high = values_of(value)
                found = Record(value.shape, low=low, high=high, least=low, most=high)
            else:
                raise UnroundableError(f"nothing is known about {tensor!r}")
            self._records[tensor] = found
        return found

    def number(self, tensor: str) -> Record:
        """A record of what does not grow with the latent's length any more."""
        x, value = self.record(tensor), self.value(tensor)
        if isinstance(value, Latent):
            single = self.here.rules.measurement(value)
            if x.curved:
                raise UnroundableError("elements of the latent that were computed with")
            return self.rules.ranged(replace(x, low=-np.inf, high=np.inf), single)
        if isinstance(value, Measured):
            self.curved |= x.curved
            return self.rules.settled(x, value)
        return x

    def factor(self, tensor: str) -> Factor:
        """A constant as a factor."""
        x = self.record(tensor)
        size = np.maximum(np.abs(x.low), np.abs(x.high))
        least = np.where((x.low <= 0) & (x.high >= 0), 0.0, np.minimum(np.abs(x.low), np.abs(x.high)))
        exact = x.exact and powers_of_two(x.low) and powers_of_two(x.high)
        return Factor(
            float(size.max()), float(least.min()), float(np.max(x.r)), float(np.max(x.a0)), exact
        )

    def _step(self, operator: Operator) -> None:
        kind, inputs = operator.kind, operator.inputs
        outputs = [name for name in operator.outputs if name]
        found = self.value(outputs[0])
        given = [self.value(name) for name in inputs if name]
        if isinstance(found, Below) or (kind in _COMPARED and isinstance(found, Constant)):
            return
        if isinstance(found, Constant) and (found.whole or kind == "ConstantOfShape"):
            return  # sizes and indices
        if kind in layout.LAYOUT:
            self._laid_out(operator, outputs)
            return
        rule = self._rule(kind)
        if rule is None or (len(outputs) > 1 and kind != "TopK") or isinstance(found, Several):
            raise UnroundableError("no rule at level F")
        if not any(isinstance(v, Terms) and v.over >= 0 for v in given) and (
            isinstance(found, Terms) and found.over >= 0
        ):
            self._set(outputs[0], self._votes(operator, found), found)
            return
        self._set(outputs[0], rule(operator, found), found)

    def _set(self, tensor: str, x: Record, value: Value) -> None:
        if isinstance(value, Measured):
            x = self.rules.ranged(x, value)
        if isinstance(value, Terms):
            x = x.pooled()
        if isinstance(value, Constant):
            low, high = values_of(value)
            x = x.between(low, high, low, high)
        self._records[tensor] = x

    def _rule(self, kind: str) -> Callable[[Operator, Value], Record] | None:
        if kind in BINARY:
            return self._binary
        if kind in _FUNCTIONS:
            return self._function
        if kind in KINDS:
            return self._reduced
        if kind in _POOLS:
            return self._pooled
        if kind in _EXACT:
            return lambda operator, _: self.record(operator.inputs[0])
        rules: dict[str, Callable[[Operator, Value], Record]] = {
            "Abs": lambda o, _: numbers.absolute(self.number(o.inputs[0])),
            "Cast": self._cast, "CastLike": self._cast, "Clip": self._clip,
            "Concat": self._concat, "Conv": self._conv, "Einsum": self._einsum,
            "Gemm": self._gemm, "LpNormalization": self._normalised, "MatMul": self._matmul,
            "Max": self._extreme, "Min": self._extreme, "Neg": self._negative,
            "Pow": self._power, "TopK": self._top, "Where": self._where,
            "Relu": lambda o, _: numbers.limited(self.number(o.inputs[0]), ZERO, None),
        }  # fmt: skip
        return rules.get(kind)

    # layout, and what is exact

    def _laid_out(self, operator: Operator, outputs: Sequence[str]) -> None:
        source, value = operator.inputs[0], self.value(operator.inputs[0])
        if isinstance(value, Joined):
            self._parts[outputs[0]] = self._parts[source]
            return
        given = [self.here.values[name] if name else None for name in operator.inputs]
        moves = layout.LAYOUT[operator.kind](operator, value.shape, self.here.integers(operator, given))
        x = self.record(source)
        for name, move in zip(operator.outputs, moves, strict=False):
            if name:
                moved = x.moved(move)
                room("the rounding of a tensor", 80 * math.prod(moved.shape) if x.low.ndim else 0)
                self._records[name] = moved

    def _cast(self, operator: Operator, found: Value) -> Record:
        x = self.record(operator.inputs[0])
        if operator.kind == "Cast" and operator.attributes["to"] == 11:
            return x
        return x if x.exact and not isinstance(found, Terms) else numbers.rounded(x, 1, ETA)

    def _negative(self, operator: Operator, found: Value) -> Record:
        return numbers.negative(self.record(operator.inputs[0]))

    def _clip(self, operator: Operator, found: Value) -> Record:
        limits: list[Array | None] = [None, None]
        for k, name in enumerate(operator.inputs[1:3]):
            if name:
                limit = self.record(name)
                if not limit.exact:
                    raise UnroundableError("a limit that is computed")
                limits[k] = limit.low.reshape(())
        return numbers.limited(self.number(operator.inputs[0]), limits[0], limits[1])

    def _extreme(self, operator: Operator, found: Value) -> Record:
        upper = operator.kind == "Min"
        first, second = (self.number(name) for name in operator.inputs)
        join = np.minimum if upper else np.maximum
        ends = [join(getattr(first, n), getattr(second, n)) for n in ("low", "high", "least", "most")]
        return Record(
            found.shape, np.maximum(first.r, second.r), a0=np.maximum(first.a0, second.a0),
        ).between(*ends)  # fmt: skip

    def _where(self, operator: Operator, found: Value) -> Record:
        test, first, second = (self.value(name) for name in operator.inputs)
        if not isinstance(test, Below):
            raise UnroundableError("a choice by what is no comparison")
        high = operator.inputs[1 if test.negated else 2]
        low, limit = (second if test.negated else first), values_of(test.limit)[1]
        if not isinstance(low, Constant) or np.any(low.number.numerators):
            raise UnroundableError("another number than 0 below a limit")
        return numbers.jumped(self.number(high), limit)

    # functions

    def _function(self, operator: Operator, found: Value) -> Record:
        name = _FUNCTIONS[operator.kind]
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
        if isinstance(found, Measured) and isinstance(first, Measured) and isinstance(second, Measured):
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
        x, y = self.number(left), self.number(right)
        if isinstance(found, Terms):
            x, y = x.pooled(), y.pooled()
            for name in (left, right):
                self._register(name)
        shape = found.shape
        fresh = [self._fresh(name, r) for name, r in ((left, x), (right, y))]
        if kind in ("Add", "Sub"):
            result = numbers.plus(x, numbers.negative(y) if kind == "Sub" else y, shape)
            apart = up(times(np.asarray(U), x.size + y.size + x.error + y.error))
            return replace(result, fresh=up((fresh[0] + fresh[1]) * (1 + U) + apart))
        constant = [isinstance(self.value(n), Constant) for n in (left, right)]
        if kind == "Mul":
            shifted = [c and r.exact and powers_of_two(r.low) for c, r in zip(constant, (x, y), strict=True)]
            if shifted[0]:
                x, y, fresh = y, x, fresh[::-1]
            result = numbers.by(x, y, shape, any(shifted))
        else:
            result = numbers.over(x, y, shape)
        result = self._moebius(result, found, y if kind == "Div" else None)
        if not any(constant) or not isinstance(found, Terms):
            return replace(result, fresh=np.asarray(np.inf))
        # a number times a sum of computed terms
        if kind == "Mul" and not constant[1] and constant[0]:
            x, y, fresh = y, x, fresh[::-1]
        size = y.size if kind == "Mul" else 1 / np.minimum(np.abs(y.low), np.abs(y.high))
        if constant[0] and kind == "Div":
            return replace(result, fresh=np.asarray(np.inf))
        share = y.r + times(y.a0, 1 / np.maximum(np.minimum(np.abs(y.low), np.abs(y.high)), 1e-300))
        own = times(x.size + x.error, times(size, up(2 * share + 2 * U))) + ETA
        return replace(result, fresh=up(times(fresh[0], size) * (1 + 2 * U) + own))

    def _moebius(self, x: Record, found: Value, under: Record | None) -> Record:
        """(t + a) / (t + b) is 1 + (a - b) / (t + b): its range is exact so."""
        if under is None or not isinstance(found, Measured | Terms):
            return x
        programs = self.here.tables.programs
        if isinstance(found, Measured):
            which, index = thin(found.program), lambda k: programs[k]
        else:
            which = thin(found.term)

            def index(k: int) -> tuple:  # type: ignore[type-arg]
                one = self.here.known.all[k]
                return programs[one.program] if isinstance(one, Single) else ()

        keys, place = np.unique(which, return_inverse=True)
        last = [index(int(k))[-1:] for k in keys.tolist()]
        if not all(one and one[0][0] == "one_plus" for one in last):
            return x
        c = np.array([float(one[0][1]) for one in last])[place].reshape(which.shape)
        c = np.broadcast_to(c, found.shape)
        ends = []
        for low, high in ((under.low, under.high), (under.least, under.most)):
            with np.errstate(divide="ignore", invalid="ignore"):
                sides = np.where(low > 0, 1 + c / low, np.inf), 1 + c / high
            bottom, top = np.minimum(*sides), np.maximum(*sides)
            bottom, top = (np.broadcast_to(s, found.shape) for s in (bottom, top))
            ok = np.broadcast_to(low > 0, found.shape)
            ends += [
                np.where(ok, bottom - np.abs(bottom) * 2.0**-48, -np.inf),
                np.where(ok, np.where(np.isfinite(top), top + np.abs(top) * 2.0**-48, np.inf), np.inf),
            ]
        return x.between(*ends)

    def _votes(self, operator: Operator, found: Value) -> Record:
        """Scores over one positive number: in its units. Their order in float32 is strict where it
        is by more than the quotients are rounded by."""
        if operator.kind != "Div":
            raise UnroundableError("scores that are divided by their sum")
        left, right = operator.inputs
        x, y = self.number(left).pooled(), self.number(right).pooled()
        share, _ = numbers.relative(y)
        if not np.all(y.low > 0) or np.any(share >= 0.5):
            raise UnroundableError("scores over what may be 0")
        self._register(left)
        tiny = 4 * ETA * np.max(y.high)
        own = up(times(np.asarray(4 * U), x.size + x.error) + tiny)
        fresh = up(self._fresh(left, x) + own)
        return replace(x, shape=found.shape, a0=up(x.a0 + own), fresh=fresh)

    # sums and poolings

    def _reduced(self, operator: Operator, found: Value) -> Record:
        source = operator.inputs[0]
        value = self.value(source)
        kind = KINDS[operator.kind]
        rank = len(value.shape)
        named = operator.attributes.get("axes")
        if len(operator.inputs) > 1 and operator.inputs[1]:
            named = constants.integers(self.here.values[operator.inputs[1]]).reshape(-1).tolist()  # type: ignore[arg-type]
        axes = layout.axes_of(operator, list(named), rank) if named else tuple(range(rank))
        x = self._over(kind, source, value, found, axes)
        keep = bool(operator.attributes["keepdims"])
        if keep and x.shape != found.shape:
            x = x.moved(lambda a: np.expand_dims(a, axes))
        return x

    def _over(self, kind: str, source: str, value: Value, found: Value, axes: tuple[int, ...]) -> Record:
        count = math.prod(value.shape[k] for k in axes)
        if isinstance(value, Latent) and kind in ("sum", "square", "norm", "mean"):
            return self._of_elements(kind, source, value, found, count)
        x = self.number(source)
        if isinstance(value, Ranked):
            value = value.value
        if isinstance(value, Terms):
            self._register(source)
        if kind in ("square", "norm"):
            if not isinstance(value, Constant):
                raise UnroundableError("a length of measurements")
            x = numbers.total(self._squared(source, value), axes, False)
            if kind == "square":
                return x
            self.functions["sqrt"] = None
            return numbers.function("sqrt", x)
        if kind in ("sum", "mean"):
            if isinstance(value, Terms):
                x = replace(x, fresh=self._fresh(source, x))
            return numbers.total(x, axes, kind == "mean")
        reduce = np.max if kind == "max" else np.min

        def least(name: str, with_: Callable[..., Array]) -> Array:
            return np.asarray(with_(x.spread(name), axis=axes))

        ends = [least("least", reduce), least("most", reduce)]
        shape = tuple(n for k, n in enumerate(x.shape) if k not in axes)
        return Record(shape, least("r", np.max), a0=least("a0", np.max)).between(*ends, *ends)

    def _of_elements(self, kind: str, source: str, value: Latent, found: Value, count: int) -> Record:
        """Sums over channels, and lengths."""
        if kind == "mean" or not isinstance(found, Measured):
            raise UnroundableError("a sum over channels that is no measurement")
        x = self.record(source)
        if kind == "sum":
            return self.rules.summed(x, value, found, None, count)
        square = self.here.rules.binary("Mul", value, value)
        if not isinstance(square, Latent):
            raise UnroundableError("a sum of squares of squares")
        x = self.rules.squared(x, 1)
        if kind == "square":
            return self.rules.summed(x, square, found, None, count)
        inner = Measured(found.site, found.row, self._without_root(found))
        return self._root(self.rules.summed(x, square, inner, None, count), inner)

    def _root(self, x: Record, value: Measured) -> Record:
        """Of a sum of squares."""
        self.functions["sqrt"] = None
        return numbers.function("sqrt", self.rules.settled(x, value))

    def _without_root(self, value: Measured) -> Array:
        tables = self.here.tables
        few = thin(value.program)
        names = {int(k): tables.programs[int(k)] for k in np.unique(few).tolist()}
        if any(not p or p[-1][0] != "sqrt" for p in names.values()):
            raise UnroundableError("a length of another form")
        shorter = {k: tables.program(p[:-1]) for k, p in names.items()}
        found = np.vectorize(shorter.__getitem__, otypes=[np.int64])(few)
        return np.broadcast_to(found, value.program.shape)

    def _normalised(self, operator: Operator, found: Value) -> Record:
        source = operator.inputs[0]
        value = self.value(source)
        if not isinstance(value, Latent) or not isinstance(found, Latent):
            raise UnroundableError("the normalisation of what is not the latent")
        axis = layout.axes_of(operator, [operator.attributes["axis"]], len(value.shape))
        rules = self.here.rules
        square = rules.binary("Mul", value, value)
        if not isinstance(square, Latent):
            raise UnroundableError("the normalisation of squares")
        summed = total(rules, square, axis)
        if not isinstance(summed, Measured):
            raise UnroundableError("a length that is no measurement")
        x = self.record(source)
        squares = self.rules.summed(self.rules.squared(x, 1), square, summed, None, value.shape[axis[0]])
        return self._by_length(x, self._root(squares, summed), found)

    def _pooled(self, operator: Operator, found: Value) -> Record:
        source = operator.inputs[0]
        value = self.value(source)
        kind = _POOLS[operator.kind]
        if operator.kind.startswith("Global"):
            axes = tuple(range(2, len(value.shape)))
            x = self._over(kind, source, value, found, axes)
            return x.moved(lambda a: np.expand_dims(a, axes))
        kernel = operator.attributes["kernel_shape"]
        if isinstance(value, Ranked) or kernel is None:
            raise UnroundableError("windows of ranked measurements")
        strides, dilations = window_sizes(operator, value.shape, kernel)
        x = self.number(source)
        opened = x.moved(lambda a: windows(a, kernel, strides, dilations))
        places = tuple(range(len(value.shape), len(value.shape) + len(kernel)))
        if kind == "mean":
            return numbers.total(opened, places, True)
        ends = [np.max(opened.spread(n), axis=places) for n in ("least", "most")]
        errors = [np.max(opened.spread(n), axis=places) for n in ("r", "a0")]
        return Record(found.shape, errors[0], a0=errors[1]).between(*ends, *ends)

    def _top(self, operator: Operator, found: Value) -> Record:
        value = self.value(operator.inputs[0])
        (axis,) = layout.axes_of(operator, [operator.attributes["axis"]], len(value.shape))
        x = self.number(operator.inputs[0])
        count = found.shape[axis]
        names = {"r": np.max, "a0": np.max, "low": np.min, "high": np.max, "least": np.min, "most": np.max}
        if count == 1:  # the largest, or the least, itself
            one = np.max if operator.attributes["largest"] else np.min
            names.update(low=one, high=one, least=one, most=one)
        pieces = {}
        for name, reduce in names.items():
            line = np.expand_dims(reduce(x.spread(name), axis=axis), axis)
            pieces[name] = np.repeat(line, count, axis=axis)
        return Record(found.shape, **pieces)

    # products with matrices

    def _concat(self, operator: Operator, found: Value) -> Record:
        names = operator.inputs
        if isinstance(found, Joined):
            self._parts[operator.outputs[0]] = tuple(names)
            return Record(found.shape)
        values = [self.value(name) for name in names]
        if isinstance(found, Latent):
            return self._worst(found, [self.record(n) for n in names])
        if isinstance(found, Measured):
            records = [self.record(n) for n in names]
        else:
            records = [self.number(n) for n in names]
        (axis,) = layout.axes_of(operator, [operator.attributes["axis"]], len(found.shape))
        pieces = {}
        if isinstance(found, Terms):
            for k, n in enumerate(names):
                self._register(n)
                x = records[k] if isinstance(values[k], Terms) else records[k].pooled()
                records[k] = replace(x, fresh=self._fresh(n, x))
        for name in ("r", "a2", "a1", "a0", "low", "high", "least", "most", "fresh"):
            pieces[name] = np.concatenate([x.spread(name) for x in records], axis)
        return Record(found.shape, **pieces)

    @staticmethod
    def _worst(found: Value, records: Sequence[Record]) -> Record:
        pieces = {
            name: np.asarray(max(float(np.max(getattr(x, name))) for x in records))
            for name in ("r", "a2", "a1", "a0")
        }
        return Record(found.shape, **pieces)

    def _matmul(self, operator: Operator, found: Value) -> Record:
        left, right = operator.inputs
        count = self.value(left).shape[-1]
        return self._product(found, left, right, np.matmul, count)

    def _gemm(self, operator: Operator, found: Value) -> Record:
        given = operator.attributes
        if given["alpha"] != 1.0 or given["beta"] != 1.0:
            raise UnroundableError("a Gemm with other factors than 1")

        def apply(a: Array, b: Array) -> Array:
            a, b = (a.T if given["transA"] else a), (b.T if given["transB"] else b)
            return np.matmul(a, b)

        left, right = operator.inputs[:2]
        bias = operator.inputs[2] if len(operator.inputs) > 2 else ""
        count = self.value(left).shape[0 if given["transA"] else 1]
        return self._product(found, left, right, apply, count, bias)

    def _einsum(self, operator: Operator, found: Value) -> Record:
        equation = operator.attributes["equation"].replace(" ", "")
        sides, _, result = equation.partition("->")
        left, right = operator.inputs
        letters = {
            letter: size
            for word, name in zip(sides.split(","), (left, right), strict=True)
            for letter, size in zip(word, self.value(name).shape, strict=True)
        }
        count = math.prod(size for letter, size in letters.items() if letter not in result)
        return self._product(found, left, right, lambda a, b: np.einsum(equation, a, b), count)

    def _conv(self, operator: Operator, found: Value) -> Record:
        value = self.value(operator.inputs[0])
        if not isinstance(value, Latent) or not isinstance(found, Measured):
            raise UnroundableError("a convolution of what is not the latent")
        kernel = self.value(operator.inputs[1])
        count = math.prod(kernel.shape[1:])
        bias = operator.inputs[2] if len(operator.inputs) > 2 else ""
        return self._linear(operator.inputs[0], value, operator.inputs[1], bias, found, count)

    def _product(
        self,
        found: Value,
        left: str,
        right: str,
        apply: Callable[[Array, Array], Array],
        count: int,
        bias: str = "",
    ) -> Record:
        first, second = self.value(left), self.value(right)
        turned = isinstance(first, Constant)
        source, matrix = (right, left) if turned else (left, right)
        value = second if turned else first
        if isinstance(value, Constant):
            raise UnroundableError("a product of constants")
        if isinstance(value, Joined):
            raise UnroundableError("a product with latents beside their squares")
        if isinstance(found, Measured) and isinstance(value, Latent):
            return self._linear(source, value, matrix, bias, found, count)
        if not isinstance(found, Terms) or not isinstance(value, Measured | Terms):
            raise UnroundableError("a matrix product of measurements that are not pooled")

        def both(weights: Array, values: Array) -> Array:
            return apply(weights, values) if turned else apply(values, weights)

        return self._decision(source, matrix, bias, found, both)

    def _linear(
        self, source: str, value: Latent, matrix: str, bias: str, found: Measured, count: int
    ) -> Record:
        x, by = self.record(source), self.factor(matrix)
        if not bias:
            return self.rules.summed(x, value, found, by, count)
        x = self.rules.summed(x, value, found, by, count)
        return self.rules.added(x, found, None, self.factor(bias), found)

    def _decision(
        self,
        source: str,
        matrix: str,
        bias: str,
        found: Terms,
        apply: Callable[[Array, Array], Array],
    ) -> Record:
        """Sums of computed numbers, each times a constant."""
        x, w = self.number(source).pooled(), self.record(matrix)
        self._register(source)
        offset = self.record(bias) if bias else None
        if not w.exact or (offset is not None and not offset.exact):
            raise UnroundableError("weights that are computed")
        least, most = w.spread("low"), w.spread("high")
        sizes = np.maximum(np.abs(least), np.abs(most))
        room("the rounding of a decision", 64 * (sizes.size + math.prod(found.shape)))
        spend("the rounding of a decision", 64 * sizes.size * max(1, x.shape[0] if x.shape else 1))

        def over(weights: Array, values: Array) -> Array:
            """Sums of what is not negative; infinite where a weight meets what is infinite."""
            values = np.broadcast_to(values, x.shape)
            open_ = ~np.isfinite(values)
            found = apply(weights, np.where(open_, 0.0, values))
            if open_.any():
                found = np.where(apply((weights > 0) * 1.0, open_ * 1.0) > 0, np.inf, found)
            return up(found, sizes.size)

        added = ZERO if offset is None else np.maximum(np.abs(offset.low), np.abs(offset.high))
        count = apply((sizes > 0) * 1.0, np.ones(x.shape)) + (offset is not None)
        share = count * U
        grown = np.where(share < 0.5, share / (1 - np.minimum(share, 0.5)), np.inf) * (1 + 2.0**-40)
        error = np.broadcast_to(x.error, x.shape)
        rounding = up(times(grown, over(sizes, x.size + error) + added) + count * (2 * ETA))
        a0 = up(over(sizes, error) + rounding)
        fresh = up(times(over(sizes, self._fresh(source, x)), 1 + grown) + rounding)
        ends = []
        for low, high in ((x.low, x.high), (-x.high, -x.low)):
            # the upper end: positive weights of upper ends less negative weights of lower ones
            positive, negative = np.maximum(most, 0.0), np.maximum(-least, 0.0)
            rises = [np.maximum(high, 0.0), np.maximum(-low, 0.0)]
            falls = [np.maximum(-high, 0.0), np.maximum(low, 0.0)]
            gain = over(positive, rises[0]) + over(negative, rises[1])
            loss = over(np.maximum(least, 0.0), falls[0]) + over(np.maximum(-most, 0.0), falls[1])
            with np.errstate(invalid="ignore"):
                end = gain - loss * (1 - 2.0**-40)
            ends.append(np.where(np.isnan(end), np.inf, end))
        low, high = -ends[1], ends[0]
        if offset is not None:
            low, high = low + offset.low, high + offset.high
        wide = (np.abs(low) + np.abs(high) + added) * 2.0**-48
        low, high = np.where(np.isfinite(low), low - wide, low), np.where(np.isfinite(high), high + wide, high)
        return Record(found.shape, a0=a0, fresh=fresh).between(low, high, low, high)

    # the terms of sums

    def _terms(self, tensor: str) -> Array | None:
        """The expressions of a tensor that sums are made of."""
        value = self.value(tensor)
        if isinstance(value, Constant | Ranked | Joined):
            return None
        return np.asarray(self.here.rules.terms(value).term)

    def _register(self, tensor: str) -> None:
        """Enter what sums are made of."""
        term = self._terms(tensor)
        if term is None:
            return
        x = self.number(tensor).pooled()
        known = self.here.known.all
        keys, place = np.unique(term, return_inverse=True)
        low, high = x.computed
        rows = []
        for join, start, ends in (
            (np.maximum, 0.0, x.error), (np.maximum, 0.0, x.r), (np.maximum, 0.0, x.a0),
            (np.minimum, np.inf, low), (np.minimum, np.inf, x.low),
            (np.maximum, -np.inf, high), (np.maximum, -np.inf, x.high),
        ):  # fmt: skip
            table = np.full(keys.size, start)
            join.at(table, place.ravel(), np.broadcast_to(ends, x.shape).ravel())
            rows.append(table.tolist())
        for key, *sizes in zip(keys.tolist(), *rows, strict=True):
            if isinstance(known[key], Sum):
                continue
            atom = Atom(*sizes, tensor)
            if key in self.atoms:
                self.atoms[key].beside(atom)
            else:
                self.atoms[key] = atom

    def _fresh(self, tensor: str, x: Record) -> Array:
        """How far a tensor is from the sums of computed terms that it is."""
        value = self.value(tensor)
        if not isinstance(value, Terms):
            return ZERO
        known = self.here.known.all
        keys, place = np.unique(value.term, return_inverse=True)
        single = np.array([not isinstance(known[k], Sum) for k in keys.tolist()])
        return np.where(single[place].reshape(value.shape), 0.0, x.spread("fresh"))

    def score(self, tensor: str) -> Record:
        """The record of the scores, which themselves may be the terms of which they are made."""
        self._register(tensor)
        x = self.number(tensor).pooled()
        return replace(x, fresh=self._fresh(tensor, x))
