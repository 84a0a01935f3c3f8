"""Directed rounding in float64, from operations that round to nearest.

``math.nextafter`` after every operation would widen even exact results; the error-free
transformation TwoSum (Knuth, TAOCP 2, section 4.2.2) says whether a sum was rounded, and in which
direction.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def float_below(value: Fraction) -> float:
    """The largest float64 that is not above a rational of moderate size."""
    nearest = value.numerator / value.denominator  # correctly rounded by Python
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)


def float_above(value: Fraction) -> float:
    """The smallest float64 that is not below a rational of moderate size."""
    return -float_below(-value)


def add_down(a: Array, b: Array | float) -> Array:
    """Lower bounds of a + b; equal where float64 holds the sum.

    Exact for finite operands whose sum does not overflow; an overflow gives minus infinity.
    """
    total, error = _two_sum(a, b)
    exact = error >= 0  # False for NaN, which an overflow leaves
    return np.where(exact, total, np.nextafter(total, -np.inf))


def add_up(a: Array, b: Array | float) -> Array:
    """Upper bounds of a + b; equal where float64 holds the sum."""
    return -add_down(-a, -np.asarray(b))


def _two_sum(a: Array, b: Array | float) -> tuple[Array, Array]:
    with np.errstate(invalid="ignore", over="ignore"):
        total = np.asarray(a + b)
        part = total - a
        error = (a - (total - part)) + (b - part)
    return total, np.asarray(error)
