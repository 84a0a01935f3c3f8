"""Arithmetic of constants: rational numbers, and rational numbers divided by square roots."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from protoproof.errors import ModelError
from protoproof.kernel.model.onnx_reader import OnnxTensor
from protoproof.kernel.model.real import Real
from protoproof.kernel.model.symbolic.arrays import (
    Array,
    Exact,
    Number,
    add,
    dyadic,
    exact,
    multiply,
    pay,
    reciprocal,
    spread,
    thin,
)
from protoproof.kernel.model.symbolic.arrays import (
    quotient as quotient_of,
)
from protoproof.kernel.model.symbolic.values import Constant, constant

_TYPES = {
    1: "<f4", 6: "<i4", 7: "<i8", 9: "u1", 10: "<f2", 11: "<f8",
}  # fmt: skip
# to which a value may be cast: to half precision everything is rounded, and shorter whole numbers
# wrap round
FLOATS = (1, 11)
_WRAP = 1 << 31
_LONGEST = 1 << 63
_EXPONENTS = (-87, 88)  # whose exponentials are float32 numbers
INTEGERS = (6, 7)


def stored(tensor: OnnxTensor) -> Constant:
    """A stored tensor, bit for bit.

    Raises:
        ModelError: its numbers are NaN or infinite, or of a type that heads do not have.
    """
    if tensor.data_type not in _TYPES:
        raise ModelError(f"model: constant {tensor.name!r} has number type {tensor.data_type}")
    values = np.frombuffer(tensor.data, dtype=_TYPES[tensor.data_type])
    whole = tensor.data_type in (*INTEGERS, 9)
    return constant(dyadic(values.reshape(tensor.dims)), whole)


def scalar(number: float | Fraction) -> Constant:
    return constant(exact(Fraction(number)))


def require_integers(value: Constant) -> Constant:
    """Whole numbers that no runtime's integers wrap round, in this operator or the next.

    Raises:
        ModelError: there are others.
    """
    few = thin(integers(value))
    if (few >= _WRAP).any() or (few <= -_WRAP).any():
        raise ModelError("model: whole numbers that may wrap round")
    return value


def integers(value: Constant) -> Array:
    """The numbers of a constant of integers.

    Raises:
        ModelError: they are none.
    """
    number = value.number
    few = thin(number.numerators)
    if not value.rational or few.size > 1 << 24:
        raise ModelError("model: sizes or indices are no integers")
    pay("constants", few.size)
    under = number.denominator
    if any(
        isinstance(n, Real) or n % under or not -_LONGEST <= n // under < _LONGEST
        for n in few.ravel().tolist()
    ):
        raise ModelError("model: sizes or indices are no integers")
    whole = np.asarray(few // under, dtype=np.int64)
    return np.broadcast_to(whole, number.numerators.shape)


def plus(left: Constant, right: Constant, sign: int) -> Constant:
    if not (left.rational and right.rational):
        other = right if sign == 1 else negative(right)
        return of_reals(spread(np.add, reals(left), reals(other)))
    return constant(add(left.number, right.number, sign), left.whole and right.whole)


def reals(value: Constant) -> Array:
    """Every number as one object: a fraction, or an irrational one."""

    def one(number: Any, under: Any) -> Number:
        bottom = quotient_of(under, value.root.denominator)
        top = quotient_of(number, value.number.denominator)
        return top if bottom == 1 else Real("quotient", top, Real("root", bottom))

    return spread(np.frompyfunc(one, 2, 1), value.number.numerators, value.root.numerators)


def of_reals(values: Array) -> Constant:
    """The constant: positive ones as 1 / sqrt(1 / x^2), so that they can be factors."""
    few = thin(values).ravel().tolist()
    if all(isinstance(v, Fraction) for v in few):
        return constant(Exact(values, 1))
    if all(v > 0 for v in few):
        under = np.frompyfunc(lambda v: 1 / (v * v), 1, 1)
        return Constant(exact(1, values.shape), Exact(spread(under, values), 1))
    return constant(Exact(values, 1))


def each(kind: str, value: Constant) -> Constant:
    """Exp, Log, Sigmoid or Softplus of every number.

    Raises:
        ModelError: another function, a logarithm of what is not positive, or an exponential that is
            no number to a runtime.
    """

    def one(v: Number) -> Number:
        if kind != "Log" and not _EXPONENTS[0] < v < _EXPONENTS[1]:
            raise ModelError(f"model: {kind} of a constant is beyond float32 numbers")
        if kind == "Exp":
            return Real("exp", v)
        if kind == "Log" and v > 0:
            return Real("log", v)
        power = Real("exp", v)
        if kind == "Sigmoid":
            return Real("quotient", power, power + 1)
        if kind == "Softplus":
            return Real("log", power + 1)
        raise ModelError(f"model: {kind} of a constant has no value that the checker knows")

    pay("irrational constants", thin(value.number.numerators).size, 1 << 21)
    return of_reals(spread(np.frompyfunc(one, 1, 1), reals(value)))


def shares(value: Constant, axis: int) -> Constant:
    """Softmax of constants."""
    powers = reals(each("Exp", value))
    total = np.asarray(powers.sum(axis=axis, keepdims=True), dtype=object)
    return of_reals(spread(np.frompyfunc(lambda v, t: v / t, 2, 1), powers, total))


def times(left: Constant, right: Constant) -> Constant:
    if left.whole and right.whole:
        return constant(multiply(left.number, right.number), whole=True)
    return _simple(multiply(left.number, right.number), multiply(left.root, right.root))


def quotient(left: Constant, right: Constant) -> Constant:
    """left / right; of integers, without what is behind the point."""
    if not (left.whole and right.whole):
        return times(left, inverse(right))
    a, b = integers(left), integers(right)
    if not b.all():
        raise ModelError("model: an integer is divided by zero")
    size = np.abs(a) // np.abs(b)
    return constant(dyadic(np.sign(a) * np.sign(b) * size), whole=True)


def inverse(value: Constant) -> Constant:
    """1 / value: sqrt(root) / number = (root / number) / sqrt(root); 1 / sqrt(n) for sqrt(n)."""
    if not np.any(thin(add(value.number, value.root, -1).numerators).astype(bool)):
        if not np.all(value.root.numerators.astype(bool)):
            raise ModelError("model: a constant of the head is divided by zero")
        return Constant(exact(1, value.shape), value.root)
    if any(isinstance(n, Real) for n in thin(value.root.numerators).ravel().tolist()):
        bottom = value.root.denominator
        under = spread(np.frompyfunc(lambda n: bottom / n, 1, 1), value.root.numerators)
        return Constant(reciprocal(value.number), Exact(under, 1))
    return _simple(multiply(value.root, reciprocal(value.number)), value.root)


def negative(value: Constant) -> Constant:
    number = value.number
    turned = Exact(spread(np.negative, number.numerators), number.denominator)
    return Constant(turned, value.root, value.whole)


def root(value: Constant) -> Constant:
    """sqrt(value) = value / sqrt(value)."""
    if not value.rational or (value.number.numerators < 0).any():
        raise ModelError("model: a constant under a root is negative, or a root itself")
    number = value.number
    nothing = spread(lambda n: np.where(n == 0, number.denominator, n), number.numerators)
    return _simple(number, Exact(nothing, number.denominator))


def _simple(number: Exact, under: Exact) -> Constant:
    """number / sqrt(under), without the root where it is rational: p/q under it is pq / q^2."""
    count = under.numerators.size if not _single(under.numerators) else 1
    pay("roots", count)
    if not _single(under.numerators):
        return Constant(*_broadcast(number, under))
    value = under.value((0,) * under.numerators.ndim)
    if isinstance(value, Real):
        return Constant(*_broadcast(number, under))
    top, bottom = _perfect(value.numerator), _perfect(value.denominator)
    if top is None or bottom is None:
        return Constant(*_broadcast(number, under))
    return constant(multiply(number, exact(Fraction(bottom, top), under.numerators.shape)))


def _single(values: Array) -> bool:
    return values.size > 0 and all(
        not step or size == 1 for step, size in zip(values.strides, values.shape, strict=True)
    )


def _perfect(number: int) -> int | None:
    from math import isqrt

    found = isqrt(number)
    return found if found * found == number else None


def _broadcast(number: Exact, under: Exact) -> tuple[Exact, Exact]:
    shape = np.broadcast_shapes(number.numerators.shape, under.numerators.shape)
    return (
        Exact(np.broadcast_to(number.numerators, shape), number.denominator),
        Exact(np.broadcast_to(under.numerators, shape), under.denominator),
    )


def summed(value: Constant, axes: Sequence[int]) -> Constant:
    """Sums over axes, which are left out."""
    if not value.rational:
        found = np.asarray(reals(value).sum(axis=tuple(axes)), dtype=object)
        return of_reals(found)
    number = value.number
    pay("constants", number.numerators.size)
    total = np.asarray(number.numerators.sum(axis=tuple(axes)), dtype=object)
    return constant(Exact(total, number.denominator), value.whole)


def extreme(value: Constant, axes: Sequence[int], largest: bool) -> Constant:
    """Largest or least over axes, which are left out."""
    if not value.rational:
        raise ModelError("model: roots in a constant are compared")
    numbers = value.number.numerators
    pay("constants", numbers.size)
    reduce: Callable[..., Array] = np.max if largest else np.min
    found = np.asarray(reduce(numbers, axis=tuple(axes)), dtype=object)
    return constant(Exact(found, value.number.denominator), value.whole)


def limited(value: Constant, limit: Constant, upper: bool) -> Constant:
    """min(value, limit) where ``upper``, else max(value, limit).

    Roots are compared by their squares, which decides as long as both numbers are at least 0.
    """
    if value.rational and limit.rational:
        difference = add(value.number, limit.number, -1).numerators
        kept = spread(lambda d: (d <= 0) if upper else (d >= 0), difference)
        return constant(_chosen(kept, value.number, limit.number), value.whole)
    if any(isinstance(n, Real) for v in (value, limit) for p in v.pieces for n in p.ravel()):
        raise ModelError("model: irrational constants are compared")
    if (value.number.numerators < 0).any() or (limit.number.numerators < 0).any():
        raise ModelError("model: roots in a constant are compared with negative numbers")
    left = multiply(multiply(value.number, value.number), limit.root)
    right = multiply(multiply(limit.number, limit.number), value.root)
    difference = add(left, right, -1).numerators
    kept = spread(lambda d: (d <= 0) if upper else (d >= 0), difference)
    return Constant(
        _chosen(kept, value.number, limit.number), _chosen(kept, value.root, limit.root)
    )


def equal(left: Constant, right: Constant) -> Constant:
    """1 where two constants are equal, else 0."""
    if not (left.rational and right.rational):
        raise ModelError("model: roots in a constant are compared")
    difference = add(left.number, right.number, -1).numerators
    if any(isinstance(d, Real) for d in thin(difference).ravel().tolist()):
        raise ModelError("model: irrational constants are compared")
    same = spread(lambda d: np.where(d == 0, 1, 0).astype(object), difference)
    return constant(Exact(same, 1), whole=True)


def chosen(test: Constant, first: Constant, second: Constant) -> Constant:
    """first where the test is not 0, else second."""
    where = test.number.numerators
    return Constant(
        _chosen(where, first.number, second.number),
        _chosen(where, first.root, second.root),
        first.whole and second.whole,
    )


def _chosen(kept: Array, first: Exact, second: Exact) -> Exact:
    up, down = second.denominator, first.denominator
    return Exact(
        spread(
            lambda k, a, b: np.where(k.astype(bool), _times(a, up), _times(b, down)),
            kept, first.numerators, second.numerators,
        ),
        up * down,
    )  # fmt: skip


def _times(numbers: Any, factor: int) -> Array:
    """Python's integers, also of arrays without axes, which NumPy makes numbers."""
    return np.asarray(numbers * factor, dtype=object)


def joined(parts: Sequence[Constant], axis: int) -> Constant:
    """Constants beside each other."""
    return Constant(
        beside([p.number for p in parts], axis),
        beside([p.root for p in parts], axis),
        all(p.whole for p in parts),
    )


def beside(parts: Sequence[Exact], axis: int) -> Exact:
    """Exact numbers beside each other, over one denominator."""
    import math

    common = math.lcm(*[p.denominator for p in parts])
    scaled = [spread(lambda a, up=common // p.denominator: a * up, p.numerators) for p in parts]
    pay("constants", sum(p.size for p in scaled), 1)
    return Exact(np.concatenate(scaled, axis=axis), common)


def matrix_product(left: Constant, right: Constant) -> Constant:
    if not (left.rational and right.rational):
        raise ModelError("model: a matrix product of roots in a constant")
    a, b = left.number, right.number
    pay("constants", a.numerators.size * b.numerators.shape[-1])
    return constant(Exact(a.numerators @ b.numerators, a.denominator * b.denominator))


def as_float(value: Constant, half: bool = False) -> Constant:
    """The constant as a 32-bit float (``half``: a 16-bit one), which must not round it."""
    number = value.number
    if not value.rational:
        raise ModelError("model: a root in a constant is rounded")
    listed = set(number.numerators.ravel().tolist())
    if any(isinstance(n, Real) for n in listed):
        raise ModelError("model: an irrational constant is rounded")
    kind = np.float16 if half else np.float32
    for n in listed:
        with np.errstate(over="ignore"):
            there = float(kind(n / number.denominator))
        if not math.isfinite(there) or Fraction(there) != Fraction(n, number.denominator):
            raise ModelError("model: a constant is rounded by a Cast")
    return value
