"""Rounding of sums: over channels, over locations, over prototypes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from protoproof.kernel.float32 import numbers
from protoproof.kernel.float32.arithmetic import Arithmetic
from protoproof.kernel.float32.measured import UnroundableError
from protoproof.kernel.float32.record import Array, Record
from protoproof.kernel.model.symbolic import constants, layout
from protoproof.kernel.model.symbolic.arrays import thin
from protoproof.kernel.model.symbolic.linear import total, window_sizes, windows
from protoproof.kernel.model.symbolic.nodes import Operator
from protoproof.kernel.model.symbolic.reductions import KINDS
from protoproof.kernel.model.symbolic.values import (
    Constant,
    Latent,
    Measured,
    Ranked,
    Terms,
    Value,
)

POOLS = {
    "MaxPool": "max", "AveragePool": "mean", "GlobalMaxPool": "max", "GlobalAveragePool": "mean",
}  # fmt: skip


class Reductions(Arithmetic):
    """The rules of reductions and poolings."""

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

    def _over(
        self, kind: str, source: str, value: Value, found: Value, axes: tuple[int, ...]
    ) -> Record:
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

    def _of_elements(
        self, kind: str, source: str, value: Latent, found: Value, count: int
    ) -> Record:
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
        squares = self.rules.summed(
            self.rules.squared(x, 1), square, summed, None, value.shape[axis[0]]
        )
        return self._by_length(x, self._root(squares, summed), found)

    def _pooled(self, operator: Operator, found: Value) -> Record:
        source = operator.inputs[0]
        value = self.value(source)
        kind = POOLS[operator.kind]
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
        names = {
            "r": np.max,
            "a0": np.max,
            "low": np.min,
            "high": np.max,
            "least": np.min,
            "most": np.max,
        }
        if count == 1:  # the largest, or the least, itself
            one = np.max if operator.attributes["largest"] else np.min
            names.update(low=one, high=one, least=one, most=one)
        pieces = {}
        for name, reduce in names.items():
            line = np.expand_dims(reduce(x.spread(name), axis=axis), axis)
            pieces[name] = np.repeat(line, count, axis=axis)
        return Record(found.shape, **pieces)
