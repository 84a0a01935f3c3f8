"""The functions of one variable that similarities are made of, and what is known about each.

One row per primitive: its value and slope, its inverse where it has one, and how it behaves
between two ends: rising (+1), falling (-1) or constant (0), convex (+1), concave (-1) or straight
(0). Where it does neither over all of an interval the answer is ``NONE``. Everything takes float64
arrays of numpy, value and slope those of a device too; a constant is a number, or an array that
broadcasts. Values are not outward-rounded: the prover searches with them, and proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from protoproof.backend import Array, namespace

# neither one way nor the other
NONE = 2

Ends = NDArray[np.float64]
Signs = NDArray[np.int8]
# (direction, curvature) between low and high
Shape = tuple[Signs, Signs]

# A slope is capped where a root begins: the tangent there would be vertical.
_STEEP = 1e-24
# A measurement that is a square up to a rounded constant may be this far below zero.
_HAIR = 1e-3


class Primitive(NamedTuple):
    """One row; ``needs``: whether it has a constant. ``words`` makes text of its argument's."""

    value: Callable[[Array, Any], Array]
    slope: Callable[[Array, Any], Array]
    shape: Callable[[Ends, Ends, Any], Shape]
    inverse: Callable[[Ends, Any], Ends] | None
    words: Callable[[str, str], str]
    needs: bool = False


def _signs(like: Ends, constant: Any, direction: Any, curvature: Any) -> Shape:
    shape = np.broadcast_shapes(np.shape(like), np.shape(constant))
    return (
        np.broadcast_to(np.asarray(direction, dtype=np.int8), shape),
        np.broadcast_to(np.asarray(curvature, dtype=np.int8), shape),
    )


def _always(direction: int, curvature: int) -> Callable[[Ends, Ends, Any], Shape]:
    return lambda low, high, c: _signs(low, c, direction, curvature)


def _positive(direction: int, curvature: int) -> Callable[[Ends, Ends, Any], Shape]:
    """On the half line from zero on; not defined below."""

    def shape(low: Ends, high: Ends, c: Any) -> Shape:
        defined = low >= 0
        return _signs(
            low, c, np.where(defined, direction, NONE), np.where(defined, curvature, NONE)
        )

    return shape


def _cut_shape(keeps_above: bool) -> Callable[[Ends, Ends, Any], Shape]:
    """max c (keeps what is above) or min c: straight on either side of its corner."""

    def shape(low: Ends, high: Ends, c: Any) -> Shape:
        above, below = low >= c, high <= c
        free, flat = (above, below) if keeps_above else (below, above)
        bent = 1 if keeps_above else -1
        return _signs(low, c, np.where(flat & ~free, 0, 1), np.where(free | flat, 0, bent))

    return shape


def _square_shape(low: Ends, high: Ends, c: Any) -> Shape:
    return _signs(low, c, np.where(low >= 0, 1, np.where(high <= 0, -1, NONE)), 1)


def _reciprocal_shape(low: Ends, high: Ends, c: Any) -> Shape:
    right, left = low >= 0, high <= 0
    return _signs(
        low,
        c,
        np.where(right | left, -1, NONE),
        np.where(right, 1, np.where(left, -1, NONE)),
    )


def _one_plus_shape(low: Ends, high: Ends, c: Any) -> Shape:
    direction, curvature = _reciprocal_shape(low, high, c)
    turn = np.sign(c)
    return _signs(
        low,
        c,
        np.where(direction == NONE, NONE, direction * turn),
        np.where(curvature == NONE, NONE, curvature * turn),
    )


def _log_one_plus_shape(low: Ends, high: Ends, c: Any) -> Shape:
    """log(t + d) - log t with t > 0 and t + d >= 0: its slope is 1 / (t + d) - 1 / t."""
    defined = (low >= 0) & (low + c >= 0)
    turn = np.sign(c)
    return _signs(low, c, np.where(defined, -turn, NONE), np.where(defined, turn, NONE))


def _bell_shape(low: Ends, high: Ends, c: Any) -> Shape:
    """sigmoid and tanh: convex below zero, concave above."""
    return _signs(low, c, 1, np.where(high <= 0, 1, np.where(low >= 0, -1, NONE)))


def _power_shape(low: Ends, high: Ends, e: Any) -> Shape:
    defined = low >= 0
    bent = np.where((e > 1) | (e < 0), 1, np.where((e == 0) | (e == 1), 0, -1))
    return _signs(low, e, np.where(defined, np.sign(e), NONE), np.where(defined, bent, NONE))


def _abs_shape(low: Ends, high: Ends, c: Any) -> Shape:
    return _signs(
        low,
        c,
        np.where(low >= -_HAIR, 1, np.where(high <= 0, -1, NONE)),
        np.where((low >= 0) | (high <= 0), 0, 1),
    )


def _jump_shape(low: Ends, high: Ends, c: Any) -> Shape:
    """0 where t < c, else t: rising where the jump goes up, that is for c >= 0."""
    above, below = low >= c, high < c
    return _signs(
        low,
        c,
        np.where(below, 0, np.where(above | (np.asarray(c) >= 0), 1, NONE)),
        np.where(above | below, 0, np.where(np.asarray(c) == 0, 1, NONE)),
    )


def _sigmoid(x: Array, _: Any = None) -> Array:
    xp = namespace(x)
    small = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1.0, small) / (1.0 + small)


def _softplus(x: Array, _: Any) -> Array:
    xp = namespace(x)
    return xp.where(x > 0, x, 0.0) + xp.log1p(xp.exp(-xp.abs(x)))


def _root_slope(x: Array, _: Any) -> Array:
    xp = namespace(x)
    return 0.5 / xp.sqrt(xp.where(x > _STEEP, x, _STEEP))


def _clear(x: Array, c: Any) -> Array:
    return namespace(x).where(x >= c, x, 0.0)


def _whole(mask: Array, x: Array) -> Array:
    """1 and 0 in the numbers of ``x``."""
    xp = namespace(x)
    return xp.where(mask, xp.ones_like(x), xp.zeros_like(x))


def _tanh_slope(x: Array, _: Any) -> Array:
    return 4.0 * _sigmoid(2.0 * x) * _sigmoid(-2.0 * x)  # without cancellation


PRIMITIVES: dict[str, Primitive] = {
    "add": Primitive(
        lambda x, c: x + c,
        lambda x, c: namespace(x).ones_like(x),
        _always(1, 0),
        lambda y, c: y - c,
        lambda s, c: f"({s} + {c})",
        needs=True,
    ),
    "mul": Primitive(
        lambda x, c: x * c,
        lambda x, c: namespace(x).zeros_like(x) + c,
        lambda low, high, c: _signs(low, c, np.sign(c), 0),
        lambda y, c: y / c,
        lambda s, c: f"{c} {s}",
        needs=True,
    ),
    # t / sqrt(n)
    "div_root": Primitive(
        lambda x, n: x / n**0.5,
        lambda x, n: namespace(x).zeros_like(x) + 1.0 / n**0.5,
        _always(1, 0),
        lambda y, n: y * n**0.5,
        lambda s, n: f"{s} / sqrt({n})",
        needs=True,
    ),
    "max": Primitive(
        lambda x, c: namespace(x).where(x > c, x, c),
        lambda x, c: _whole(x > c, x),
        _cut_shape(True),
        None,
        lambda s, c: f"max({s}, {c})",
        needs=True,
    ),
    "min": Primitive(
        lambda x, c: namespace(x).where(x < c, x, c),
        lambda x, c: _whole(x < c, x),
        _cut_shape(False),
        None,
        lambda s, c: f"min({s}, {c})",
        needs=True,
    ),
    "sqrt": Primitive(
        lambda x, _: namespace(x).sqrt(x),
        _root_slope,
        _positive(1, -1),
        lambda y, _: np.where(y >= 0, y * y, np.nan),
        lambda s, _: f"sqrt({s})",
    ),
    "square": Primitive(
        lambda x, _: x * x, lambda x, _: 2.0 * x, _square_shape, None, lambda s, _: f"{s}^2"
    ),
    "exp": Primitive(
        lambda x, _: namespace(x).exp(x),
        lambda x, _: namespace(x).exp(x),
        _always(1, 1),
        lambda y, _: np.log(y),
        lambda s, _: f"exp({s})",
    ),
    "log": Primitive(
        lambda x, _: namespace(x).log(x),
        lambda x, _: 1.0 / x,
        _positive(1, -1),
        lambda y, _: np.exp(y),
        lambda s, _: f"log({s})",
    ),
    "reciprocal": Primitive(
        lambda x, _: 1.0 / x,
        lambda x, _: -1.0 / x / x,
        _reciprocal_shape,
        lambda y, _: 1.0 / y,
        lambda s, _: f"1 / {s}",
    ),
    # 1 + d / t, which is (t + d) / t without cancellation
    "one_plus": Primitive(
        lambda x, d: 1.0 + d / x,
        lambda x, d: -d / x / x,
        _one_plus_shape,
        lambda y, d: d / (y - 1.0),
        lambda s, d: f"(1 + {d} / {s})",
        needs=True,
    ),
    # one_plus and then log, as one function: their product has a curvature that neither shows
    "log_one_plus": Primitive(
        lambda x, d: namespace(x).log1p(d / x),
        lambda x, d: -d / x / (x + d),
        _log_one_plus_shape,
        lambda y, d: d / np.expm1(y),
        lambda s, d: f"log(1 + {d} / {s})",
        needs=True,
    ),
    "sigmoid": Primitive(
        _sigmoid,
        lambda x, _: _sigmoid(x) * _sigmoid(-x),
        _bell_shape,
        lambda y, _: np.log(y) - np.log1p(-y),
        lambda s, _: f"sigmoid({s})",
    ),
    "tanh": Primitive(
        lambda x, _: namespace(x).tanh(x),
        _tanh_slope,
        _bell_shape,
        lambda y, _: np.arctanh(y),
        lambda s, _: f"tanh({s})",
    ),
    "softplus": Primitive(
        _softplus,
        lambda x, _: _sigmoid(x),
        _always(1, 1),
        lambda y, _: y + np.log(-np.expm1(-y)),
        lambda s, _: f"softplus({s})",
    ),
    "power": Primitive(
        lambda x, e: x**e,
        lambda x, e: e * x ** (e - 1.0),
        _power_shape,
        lambda y, e: np.where(y >= 0, y, np.nan) ** (1.0 / e),
        lambda s, e: f"{s}^{e}",
        needs=True,
    ),
    "abs": Primitive(
        lambda x, _: namespace(x).abs(x),
        lambda x, _: 2.0 * _whole(x >= 0, x) - 1.0,
        _abs_shape,
        None,
        lambda s, _: f"|{s}|",
    ),
    "zero_below": Primitive(
        _clear,
        lambda x, c: _whole(x >= c, x),
        _jump_shape,
        None,
        lambda s, c: f"({s} where at least {c}, else 0)",
        needs=True,
    ),
}
