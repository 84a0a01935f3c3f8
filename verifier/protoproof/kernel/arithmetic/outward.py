"""Float64 arrays with rigorous error bounds: what the walk over an encoder computes with.

*Theorem* (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1). Let s be a
sum of n products a_i b_i, computed in float64 in any order, with or without fused multiply-add.
Then |s_computed - s| <= gamma_n sum |a_i| |b_i| with gamma_n = n u / (1 - n u), u = 2**-53, as long
as nothing overflows; a result that underflows errs by at most 2**-1022 more, even where subnormal
numbers are flushed to zero.

*Use.* The sum of absolute products is itself computed, as M; by the same theorem it is at most
M / (1 - gamma_n) + n 2**-1022. With u replaced by 2 u, that is 2**-52, the factor and every later
operation on the bound are paid for, for n < 2**40:

    |s_computed - s| <= (n + 16) 2**-52 M + 2**-900.

Overflow gives infinities or NaN, which the caller refuses. A single operation that rounds to
nearest lies between the neighbours of its result, so ``nextafter`` bounds it, and 2**-900 covers
an underflow. The arithmetic of processor and NumPy is trusted to be IEEE 754; matrix products
must be sums of products (no Strassen-like algorithm), as in every BLAS that NumPy is built with.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray

Array = NDArray[np.float64]

UNIT = 2.0**-52
FLOOR = 2.0**-900


class Range(NamedTuple):
    """Every number lies between the two ends; arrays of one shape."""

    low: Array
    high: Array

    @property
    def size(self) -> Array:
        """Largest absolute values."""
        return np.maximum(np.abs(self.low), np.abs(self.high))


def below(values: Array) -> Array:
    """Bounds of exact results from below, given results that were rounded once."""
    return np.nextafter(values, -np.inf) - FLOOR


def above(values: Array) -> Array:
    """The same from above."""
    return np.nextafter(values, np.inf) + FLOOR


def affine(
    x: Range, weight: Array, offset: Array, apply: Callable[[Array, Array], Array], terms: int
) -> Range:
    """W x + c for exact W, c, where every output is a sum of ``terms`` products.

    ``apply(W, x)`` is linear in both. The smallest value takes the lower end of x where a weight
    is positive and the upper end where it is negative, in two sums of ``terms`` products.
    """
    up, down = np.maximum(weight, 0.0), np.minimum(weight, 0.0)
    low = apply(up, x.low) + apply(down, x.high) + offset
    high = apply(up, x.high) + apply(down, x.low) + offset
    total = apply(np.abs(weight), x.size) + np.abs(offset)
    error = (2 * terms + 16) * UNIT * total + FLOOR
    return Range(below(low - error), above(high + error))


def plus(a: Range, b: Range) -> Range:
    """Sums."""
    return Range(below(a.low + b.low), above(a.high + b.high))


def minus(a: Range) -> Range:
    """Negation, exactly."""
    return Range(-a.high, -a.low)


def times(a: Range, factor: Range) -> Range:
    """Elementwise products; the extremes of a product of intervals are at corners."""
    corners = [s * t for s in a for t in factor]
    return Range(below(np.minimum.reduce(corners)), above(np.maximum.reduce(corners)))


def inverse(a: Range) -> Range:
    """1 / a for ranges without 0.

    Raises:
        ZeroDivisionError: a range holds 0.
    """
    if not ((a.low > 0) | (a.high < 0)).all():
        raise ZeroDivisionError("a divisor may be 0")
    return Range(below(1.0 / a.high), above(1.0 / a.low))


def mean(x: Range, sums: Callable[[Array], Array], terms: int) -> Range:
    """Means of ``terms`` numbers each, as ``sums`` adds them up."""
    low, high, size = (sums(part) / terms for part in (x.low, x.high, x.size))
    error = (terms + 16) * UNIT * size + FLOOR
    return Range(below(low - error), above(high + error))


def increasing(x: Range, function: Callable[[arb], arb]) -> Range:
    """An increasing function of each number, by balls at both ends."""
    with ctx.workprec(64):
        return Range(
            _each(x.low, lambda v: float_below(function(arb(v)))),
            _each(x.high, lambda v: -float_below(-function(arb(v)))),
        )


def _each(values: Array, function: Callable[[float], float]) -> Array:
    return np.array([function(v) for v in values.ravel().tolist()]).reshape(values.shape)


def float_below(value: arb) -> float:
    """A float64 below every number of a ball."""
    if not value.is_finite():
        return -math.inf
    mantissa, exponent = value.lower().man_exp()
    # at most 53 bits are kept, rounded down, so that ldexp is exact unless it underflows
    spare = max(0, int(mantissa).bit_length() - 53)
    try:
        return math.ldexp(int(mantissa) >> spare, int(exponent) + spare) - FLOOR
    except OverflowError:
        return -math.inf
