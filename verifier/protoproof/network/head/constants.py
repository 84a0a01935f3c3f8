"""Numbers of a graph, kept as exactly as the structure of a head needs them.

A folded |p|^2 differs from the exact one by float32 rounding, a computed one not at all: to tell
them apart, sums of products are carried as pairs of float64 (about 106 bits; Dekker 1971, Knuth's
two-sum), and a division by a square root is remembered as such (``root``) instead of being rounded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protoproof.network.head.layout import Array, Shape

Real = NDArray[np.float64]
_SPLIT = 134217729.0  # 2**27 + 1


@dataclass(frozen=True, eq=False)
class Numbers:
    """(``high`` + ``low``) ``scale`` / sqrt(``root``); all but ``high`` may be left out.

    ``scale`` holds factors that are no dyadic numbers, so that prototypes stay what is stored.
    ``rounded``: a function of numbers that float64 does not hold, such as a sum of roots.

    ``high`` is float64 (floats of the graph) or integer or bool (indices, shapes, conditions).
    """

    high: Array
    low: Real | None = None
    root: Real | None = None
    scale: Real | None = None
    rounded: bool = False

    @property
    def shape(self) -> Shape:
        """The logical shape."""
        return tuple(self.high.shape)

    @property
    def plain(self) -> Real:
        """The nearest float64 numbers."""
        value = np.asarray(self.high, dtype=np.float64)
        value = value if self.root is None else value / np.sqrt(self.root)
        return value if self.scale is None else value * self.scale

    @property
    def rest(self) -> Real:
        """What ``high`` lacks (zeros where nothing)."""
        return np.zeros((1,) * self.high.ndim) if self.low is None else self.low

    @property
    def exact(self) -> bool:
        """Whether no square root and no other irrational number is involved."""
        return self.root is None and self.scale is None and not self.rounded

    def map(self, move: Callable[[Array], Array]) -> Numbers:
        """The same layout operator on every component."""
        low, root, scale = (
            None if part is None else move(np.broadcast_to(part, self.shape))
            for part in (self.low, self.root, self.scale)
        )
        return Numbers(move(self.high), low, root, scale, self.rounded)


def two_sum(a: Real, b: Real) -> tuple[Real, Real]:
    """a + b as a rounded sum and its error."""
    total = a + b
    back = total - a
    return total, (a - (total - back)) + (b - back)


def two_product(a: Real, b: Real) -> tuple[Real, Real]:
    """a * b as a rounded product and its error (no overflow in the split: |a|, |b| < 2**970)."""
    product = a * b
    a_high, a_low = _split(a)
    b_high, b_low = _split(b)
    error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    return product, error


def _split(a: Real) -> tuple[Real, Real]:
    scaled = _SPLIT * a
    high = scaled - (scaled - a)
    return high, a - high


def add(a: Real, a_low: Real, b: Real, b_low: Real) -> tuple[Real, Real]:
    """The sum of two pairs."""
    total, error = two_sum(a, b)
    return two_sum(total, error + (a_low + b_low))


def multiply(a: Real, a_low: Real, b: Real, b_low: Real) -> tuple[Real, Real]:
    """The product of two pairs."""
    product, error = two_product(a, b)
    return two_sum(product, error + (a * b_low + a_low * b))


def total(high: Real, low: Real, axes: tuple[int, ...]) -> tuple[Real, Real]:
    """The sum over ``axes``, which are kept with size 1."""
    for axis in axes:
        high, low = _halved(high, np.broadcast_to(low, high.shape), axis)
    return high, low


def _halved(high: Real, low: Real, axis: int) -> tuple[Real, Real]:
    """Pairwise summation: log2(n) vectorised steps."""
    while high.shape[axis] > 1:
        size = high.shape[axis]
        front = [slice(None)] * high.ndim
        back = [slice(None)] * high.ndim
        rest = [slice(None)] * high.ndim
        front[axis], back[axis] = slice(0, size // 2), slice(size // 2, 2 * (size // 2))
        rest[axis] = slice(2 * (size // 2), size)
        f, b, r = tuple(front), tuple(back), tuple(rest)
        new_high, new_low = add(high[f], low[f], high[b], low[b])
        high = np.concatenate([new_high, high[r]], axis)
        low = np.concatenate([new_low, low[r]], axis)
    return high, low
