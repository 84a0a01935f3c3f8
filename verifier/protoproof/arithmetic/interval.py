"""Interval arithmetic on tensors in float64, rounded outwards.

Everything rests on the standard model of IEEE 754 arithmetic with rounding to nearest: one
operation errs by a factor 1 + d, |d| <= u = 2**-53, or by less than the smallest normal number
where the result underflows (even where subnormal numbers are flushed to zero). For a sum of n
products, in any order and with or without fused multiply-add,

    |computed - exact| <= gamma_n * sum |a_i| |b_i|,   gamma_n = n u / (1 - n u)

(Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1). Algorithms that are
not sums of products (Winograd, FFT) are not covered, so convolutions are written as matrix
products here. Constants below take 2 u for u, which pays for the rounding of the bounds themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

UNIT = 2.0**-52  # twice the unit roundoff
TINY = 2.0**-960  # far above what underflows in a sum can add up to, far below what matters
# 16 units in the last place: vector libraries promise at most 4 for exp, tanh and log
SLACK = 2.0**-48


def gamma(terms: int) -> float:
    """A bound of gamma_n for sums of ``terms`` products, with room for a few more operations."""
    return (terms + 8) * UNIT * (1 + 1e-6)


@dataclass(frozen=True, eq=False)
class Interval:
    """``lower <= x <= upper`` for every number of a tensor, float64; equal shapes."""

    lower: Tensor
    upper: Tensor

    @property
    def magnitude(self) -> Tensor:
        """The largest absolute value of each number."""
        return torch.maximum(self.lower.abs(), self.upper.abs())

    @property
    def exact(self) -> bool:
        """Whether every number is known exactly."""
        return self.lower is self.upper or bool(torch.equal(self.lower, self.upper))

    def map(self, function: Callable[[Tensor], Tensor]) -> Interval:
        """The image under an increasing function that float64 computes exactly."""
        if self.lower is self.upper:
            value = function(self.lower)
            return Interval(value, value)
        return Interval(function(self.lower), function(self.upper))

    def centred(self) -> tuple[Tensor, Tensor]:
        """Some middle, and a radius (rounded up) that reaches both ends from it."""
        if self.lower is self.upper:
            return self.lower, torch.zeros_like(self.lower)
        middle = (self.lower + self.upper) / 2
        apart = torch.maximum(self.upper - middle, middle - self.lower)
        return middle, torch.where(apart > 0, up(apart), apart)


def point(value: Tensor) -> Interval:
    """A tensor that is known exactly."""
    return Interval(value, value)


def up(value: Tensor) -> Tensor:
    """The next float64 above."""
    return torch.nextafter(value, torch.full_like(value, torch.inf))


def down(value: Tensor) -> Tensor:
    """The next float64 below."""
    return torch.nextafter(value, torch.full_like(value, -torch.inf))


def widened(lower: Tensor, upper: Tensor, error: Tensor) -> Interval:
    """Ends moved apart by an error bound."""
    return Interval(down(lower - error), up(upper + error))


def add(a: Interval, b: Interval) -> Interval:
    """Sums; exact where float64 holds them."""
    return Interval(-_sum_up(-a.lower, -b.lower), _sum_up(a.upper, b.upper))


def _sum_up(a: Tensor, b: Tensor) -> Tensor:
    """Sums rounded up, by TwoSum (Knuth, TAOCP 2, section 4.2.2)."""
    total = a + b
    part = total - a
    error = (a - (total - part)) + (b - part)
    return torch.where(error <= 0, total, up(total))


def negate(a: Interval) -> Interval:
    """Exact."""
    return Interval(-a.upper, -a.lower)


def multiply(a: Interval, b: Interval) -> Interval:
    """Elementwise products: a product of intervals has its extremes at corners."""
    corners = [x * y for x in (a.lower, a.upper) for y in (b.lower, b.upper)]
    least, most = torch.stack(corners).amin(0), torch.stack(corners).amax(0)
    return _rounded(least, most)


def square(a: Interval) -> Interval:
    """x * x, which knows that both factors are the same."""
    ends = a.lower * a.lower, a.upper * a.upper
    straddles = (a.lower < 0) & (a.upper > 0)
    least = torch.where(straddles, torch.zeros_like(ends[0]), torch.minimum(*ends))
    return _rounded(least, torch.maximum(*ends), floor=0.0)


def divide(a: Interval, b: Interval) -> Interval | None:
    """Elementwise quotients; None where a divisor may be 0."""
    if not bool(((b.lower > 0) | (b.upper < 0)).all()):
        return None
    corners = [x / y for x in (a.lower, a.upper) for y in (b.lower, b.upper)]
    return _rounded(torch.stack(corners).amin(0), torch.stack(corners).amax(0))


def _rounded(least: Tensor, most: Tensor, floor: float = -torch.inf) -> Interval:
    """One rounded operation: the neighbours hold the exact result, also after an underflow."""
    lower = torch.clamp(down(least) - TINY, min=floor)
    return Interval(lower, up(most) + TINY)


def bilinear(
    a: Interval, b: Interval, product: Callable[[Tensor, Tensor], Tensor], terms: int
) -> Interval:
    """Sums of ``terms`` products each of a number of ``a`` and one of ``b``.

    With a = ma +- ra and b = mb +- rb every product is within |ma| rb + ra (|mb| + rb) of ma mb,
    and the computed sum of the ma mb within gamma_n sum |ma| |mb| of the exact one. The bound of
    both is a sum of non-negative products, so its own relative error is at most gamma_n.
    """
    ma, ra = a.centred()
    mb, rb = b.centred()
    spare = gamma(terms)
    middle = product(ma, mb)
    spread = product(ra + spare * ma.abs(), mb.abs() + rb)
    if not b.exact:
        spread = spread + product(ma.abs(), rb)
    spread = spread * (1 + 4 * spare) + TINY
    return widened(middle, middle, spread)


def average(a: Interval, mean: Callable[[Tensor], Tensor], terms: int) -> Interval:
    """A linear function with non-negative coefficients of ``terms`` numbers each."""
    error = mean(a.magnitude) * gamma(terms) * (1 + 4 * gamma(terms)) + TINY
    return widened(mean(a.lower), mean(a.upper), error)


def monotone(
    a: Interval, function: Callable[[Tensor], Tensor], least: float, most: float
) -> Interval:
    """An increasing function with values in [least, most], computed within :data:`SLACK`."""
    low, high = function(a.lower), function(a.upper)
    lower = torch.clamp(low - low.abs() * SLACK - TINY, min=least)
    return Interval(lower, torch.clamp(high + high.abs() * SLACK + TINY, max=most))
