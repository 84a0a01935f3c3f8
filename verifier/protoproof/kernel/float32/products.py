"""Rounding of products with stored matrices: measurements, and decisions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from protoproof.kernel.budget import room, spend
from protoproof.kernel.float32.measured import UnroundableError
from protoproof.kernel.float32.record import ETA, ZERO, Array, Record, U, times, up
from protoproof.kernel.float32.reductions import Reductions
from protoproof.kernel.model.symbolic import layout
from protoproof.kernel.model.symbolic.nodes import Operator
from protoproof.kernel.model.symbolic.values import Constant, Joined, Latent, Measured, Terms, Value


class Products(Reductions):
    """The rules of matrix products."""

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
                x = records[k] if isinstance(values[k], Terms) else self.term(n)
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
            return np.asarray(np.matmul(a, b))

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
        x, w = self.term(source), self.record(matrix)
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
            found = apply(weights, np.asarray(np.where(open_, 0.0, values)))
            if open_.any():
                found = np.where(
                    apply(np.asarray((weights > 0) * 1.0), np.asarray(open_ * 1.0)) > 0,
                    np.inf,
                    found,
                )
            return up(found, sizes.size)

        added = ZERO if offset is None else np.maximum(np.abs(offset.low), np.abs(offset.high))
        count = apply(np.asarray((sizes > 0) * 1.0), np.ones(x.shape)) + (offset is not None)
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
                end = gain - loss * (1 - 2.0**-28)  # which was rounded up
            ends.append(np.where(np.isnan(end), np.inf, end))
        low, high = -ends[1], ends[0]
        if offset is not None:
            low, high = low + offset.low, high + offset.high
        wide = (np.abs(low) + np.abs(high) + added) * 2.0**-48
        low, high = (
            np.where(np.isfinite(low), low - wide, low),
            np.where(np.isfinite(high), high + wide, high),
        )
        return Record(found.shape, a0=a0, fresh=fresh).between(low, high, low, high)
