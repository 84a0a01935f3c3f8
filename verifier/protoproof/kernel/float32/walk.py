"""The operators between latents and scores, one after the other: what rounding makes of each.

What has no rule ends the walk with its name: then nothing is proved at level F.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from protoproof.kernel.budget import NODE, room, spend
from protoproof.kernel.float32 import numbers
from protoproof.kernel.float32.arithmetic import FUNCTIONS
from protoproof.kernel.float32.measured import UnroundableError
from protoproof.kernel.float32.products import Products
from protoproof.kernel.float32.record import ETA, ZERO, Array, Record
from protoproof.kernel.float32.reductions import POOLS
from protoproof.kernel.float32.rows import values_of
from protoproof.kernel.model.symbolic import layout
from protoproof.kernel.model.symbolic.arithmetic import BINARY
from protoproof.kernel.model.symbolic.nodes import Operator
from protoproof.kernel.model.symbolic.reductions import KINDS
from protoproof.kernel.model.symbolic.values import (
    Below,
    Constant,
    Joined,
    Measured,
    Several,
    Terms,
    Value,
)

_COMPARED = ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Not", "Equal")
EXACT = ("Identity", "Dropout")


class Walk(Products):
    """One walk, for one set of ranges."""

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
        if any(isinstance(v, Terms) and v.over >= 0 for v in given) and kind not in EXACT:
            raise UnroundableError("something is computed from scores over their sum")
        rule = self._rule(kind)
        if rule is None or (len(outputs) > 1 and kind != "TopK") or isinstance(found, Several):
            raise UnroundableError("no rule at level F")
        if isinstance(found, Terms) and found.over >= 0 and kind not in EXACT:
            self._set(outputs[0], self._votes(operator, found), found)
            return
        self._set(outputs[0], rule(operator, found), found)

    def _set(self, tensor: str, x: Record, value: Value) -> None:
        if isinstance(value, Measured):
            x = self.rules.ranged(x, value)
        if isinstance(value, Terms):
            x = self.bounded(x.pooled(), value.term)
        if isinstance(value, Constant):
            low, high = self.ends(tensor, value)
            x = x.between(low, high, low, high)
        self._records[tensor] = x

    def _rule(self, kind: str) -> Callable[[Operator, Value], Record] | None:
        if kind in BINARY:
            return self._binary
        if kind in FUNCTIONS:
            return self._function
        if kind in KINDS:
            return self._reduced
        if kind in POOLS:
            return self._pooled
        if kind in EXACT:
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
        moves = layout.LAYOUT[operator.kind](
            operator, value.shape, self.here.integers(operator, given)
        )
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
        ends = [
            join(getattr(first, n), getattr(second, n)) for n in ("low", "high", "least", "most")
        ]
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
