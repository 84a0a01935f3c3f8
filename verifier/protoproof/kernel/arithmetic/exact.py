"""Exact numbers and certain comparisons.

Everything that a certificate or a model says is a dyadic rational: a float32, a float64, or an
integer over a power of two. They are kept as Python integers over a common ``2**shift`` or as
:data:`Ratio`. Only similarities (log, exp) are balls of python-flint: a ball contains the true
value, and a comparison of balls is True only when it holds for every number in them.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray

from protoproof.errors import CertificateError

_Float = TypeVar("_Float", np.float16, np.float32, np.float64)

# numerator, positive denominator; not reduced
Ratio = tuple[int, int]

# Bounds of measurements are rounded outwards to multiples of 2**-GRID, so that later comparisons
# (the least over all locations) are comparisons of integers.
GRID = 80

# Ball precisions, in bits, tried in this order until a sign is certain.
PRECISIONS = (64, 128, 256, 512)


def float32_integers(values: NDArray[np.float32]) -> tuple[list[int], int]:
    """Integers and a ``shift >= 0`` with ``values[i] == integers[i] / 2**shift``, exactly.

    Args:
        values: finite float32, flattened in row-major order.
    """
    mantissas, exponents = np.frexp(values.ravel().astype(np.float64))
    # a float32 has 24 significant bits, so mantissa * 2**24 is an integer
    integers = np.ldexp(mantissas, 24).astype(np.int64)
    places = np.where(integers == 0, 0, exponents.astype(np.int64) - 24)
    shift = max(0, -int(places.min(initial=0)))
    ups = (places + shift).tolist()
    return [n << up for n, up in zip(integers.tolist(), ups, strict=True)], shift


def float32_width(values: NDArray[np.float32]) -> int:
    """64-bit words that no number of :func:`float32_integers` exceeds, from the exponents alone."""
    _, exponents = np.frexp(values[values != 0].astype(np.float64))
    least, most = int(exponents.min(initial=24)), int(exponents.max(initial=0))
    return 1 + (max(most, 0) + max(24 - least, 0)) // 64


def decode_floats(
    text: str, count: int, kind: type[_Float]
) -> np.ndarray[tuple[int], np.dtype[_Float]]:
    """Finite little-endian floats from base64, of exactly the expected number.

    Raises:
        CertificateError: another length or alphabet, stray bits, NaN or infinity.
    """
    stored = np.dtype(kind).newbyteorder("<")
    size, name = stored.itemsize, stored.name
    if len(text) != 4 * -(-size * count // 3):
        raise CertificateError(f"base64 text does not hold {count} {name} values")
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise CertificateError("text is not base64") from error
    if len(data) != size * count or base64.b64encode(data).decode() != text:
        raise CertificateError(f"base64 text does not hold exactly {count} {name} values")
    values = np.frombuffer(data, dtype=stored).astype(kind)
    if not np.isfinite(values).all():
        raise CertificateError(f"NaN or infinity among {name} values")
    return values


def hex_ratio(text: str) -> Ratio:
    """The exact value of a hexadecimal float as ``float.hex`` writes it.

    Raises:
        CertificateError: another spelling of the number, or one that float64 cannot hold.
    """
    try:
        value = float.fromhex(text)
    except (ValueError, OverflowError) as error:
        raise CertificateError(f"number {text!r} is not a float64") from error
    if (
        not math.isfinite(value) or value.hex() != text
    ):  # also refuses digits that float64 would round away
        raise CertificateError(f"number {text!r} is not spelled as float.hex spells it")
    return value.as_integer_ratio()


def at_most(left: Ratio, right: Ratio) -> bool:
    """left <= right, exactly."""
    return left[0] * right[1] <= right[0] * left[1]


def round_down(value: Ratio) -> float:
    """The largest float64 that is not above a ratio of moderate size (below 2**1023)."""
    nearest = value[0] / value[1]  # correctly rounded by Python, so off by less than one ulp
    if at_most(nearest.as_integer_ratio(), value):
        return nearest
    return math.nextafter(nearest, -math.inf)


def round_up(value: Ratio) -> float:
    """The smallest float64 that is not below a ratio of moderate size."""
    return -round_down((-value[0], value[1]))


def grid_floor(value: Ratio) -> int:
    """The largest n with n / 2**GRID <= value: what replaces a lower bound, soundly."""
    return (value[0] << GRID) // value[1]


def grid_ceiling(value: Ratio) -> int:
    """The smallest n with n / 2**GRID >= value: what replaces an upper bound, soundly."""
    return -((-value[0] << GRID) // value[1])


def ball(value: Ratio) -> arb:
    """A ball around a ratio at the working precision (numerator and denominator enter exactly)."""
    return arb(value[0]) / arb(value[1])


def certain_sign(value: arb) -> int:
    """1 or -1 where every number of the ball has that sign; 0 where that is not certain."""
    if not value.is_finite():
        return 0
    if value > 0:
        return 1
    return -1 if value < 0 else 0


def decided(evaluate: Callable[[], arb], precisions: Sequence[int] = PRECISIONS) -> tuple[int, arb]:
    """Evaluate a ball at rising precision until its sign is certain.

    Returns:
        The sign (0: uncertain even at the last precision) and the last ball.
    """
    value, sign = arb(0), 0
    for precision in precisions:
        with ctx.workprec(precision):
            value = evaluate()
            sign = certain_sign(value)
        if sign:
            break
    return sign, value


def float_below(value: arb, shift: int = 0) -> float:
    """A float64 that is not above any number of the ball divided by ``2**shift``."""
    if not value.is_finite():
        return -math.inf
    mantissa, exponent = value.lower().man_exp()
    numerator, power = int(mantissa), int(exponent) - shift
    size = numerator.bit_length() + power
    if size > 1000:
        return math.ldexp(1.0, 999) if numerator > 0 else -math.inf
    if size < -1000:
        return 0.0 if numerator >= 0 else -math.ldexp(1.0, -1000)
    return round_down((numerator << max(power, 0), 1 << max(-power, 0)))


def sigmoid(x: arb) -> arb:
    """1 / (1 + exp(-x)), without large intermediate values."""
    return 1 / (1 + (-x).exp()) if x > 0 else x.exp() / (1 + x.exp())
