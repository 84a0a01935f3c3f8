"""What is known about a tensor of a float32 execution: how far it is from the reals, and the range.

Bounds of errors are float64 numbers that are never negative. They are computed by formulas of few
operations, each rounded once, and every result is multiplied by a factor (see :func:`up`) that
pays for more roundings than any formula has. See ``docs/level-f.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from protoproof.kernel.model.symbolic.arrays import Shape

Array = NDArray[np.float64]
Move = Callable[[NDArray[np.generic]], NDArray[np.generic]]

U = 2.0**-24  # half a unit in the last place of float32
ETA = 2.0**-149  # the least float32 number above 0: no product that underflows errs by more
# A function's error: relative and absolute in units of u; the absolute one at least ETA.
FUNCTIONS: dict[str, tuple[int, int]] = {
    "exp": (4, 0),
    "log": (8, 0),
    "power": (8, 0),
    "reciprocal": (2, 0),
    "sigmoid": (0, 4),
    "softplus": (12, 0),
    "sqrt": (1, 0),
    "tanh": (12, 0),
}
SHORTEST = 2.0**-40  # of what divides an angle, where the graph keeps it from nothing

ZERO: Array = np.zeros(())
NOWHERE: Array = np.array(np.inf)


def up(values: Array, terms: int = 0) -> Array:
    """A bound of what was computed in float64 from numbers that are not negative, by no more than
    4096 operations one after the other, or a sum of so many terms more."""
    return np.asarray(values * (1 + (terms + 4096) * 2.0**-52))


def sums(terms: int) -> float:
    """(1 + u)^n - 1, or more; infinite where n u is no small number."""
    share = terms * U
    return share / (1 - share) * (1 + 2.0**-40) if share < 0.5 else np.inf


@dataclass(frozen=True)
class Record:
    """|computed - x| <= r |x| + a2 N^2 + a1 N + a0 per element x of a tensor, where N is the length
    of the latent at its location (1 where that is normalised).

    Every array has the tensor's shape, or none where it is the same for all elements. What comes
    out as no number (nothing times infinity, say) is not known, and stands here as infinite: no
    comparison with it would say so.

    Attributes:
        low, high: what x lies between, at all locations.
        least, most: the same of x at the nearest location, or of what is pooled.
        fresh: of a sum of terms, how far it is from that sum of the *computed* terms.
        floor, roof: what the computed number lies between, where that is more than the error says.
    """

    shape: Shape
    r: Array = field(default_factory=lambda: ZERO)
    a2: Array = field(default_factory=lambda: ZERO)
    a1: Array = field(default_factory=lambda: ZERO)
    a0: Array = field(default_factory=lambda: ZERO)
    low: Array = field(default_factory=lambda: -NOWHERE)
    high: Array = field(default_factory=lambda: NOWHERE)
    least: Array = field(default_factory=lambda: -NOWHERE)
    most: Array = field(default_factory=lambda: NOWHERE)
    fresh: Array = field(default_factory=lambda: ZERO)
    floor: Array = field(default_factory=lambda: -NOWHERE)
    roof: Array = field(default_factory=lambda: NOWHERE)

    def __post_init__(self) -> None:
        for name in PIECES:
            piece = np.asarray(getattr(self, name), dtype=np.float64)
            unknown = np.isnan(piece)
            if unknown.any():
                piece = np.where(unknown, -np.inf if name in _BELOW else np.inf, piece)
            if piece.ndim and piece.shape != self.shape:
                piece = np.broadcast_to(piece, self.shape)
            object.__setattr__(self, name, piece)

    def moved(self, move: Move) -> Record:
        """What a layout operator makes of it."""
        pieces = {name: _moved(getattr(self, name), move, self.shape) for name in PIECES}
        shape = np.shape(move(np.broadcast_to(ZERO, self.shape)))
        return replace(self, shape=shape, **pieces)

    def spread(self, name: str) -> Array:
        """One of the arrays, in the tensor's shape."""
        return np.broadcast_to(getattr(self, name), self.shape)

    def between(self, low: Array, high: Array, least: Array, most: Array) -> Record:
        """With other ranges, of another number."""
        return replace(
            self, low=low, high=high, least=least, most=most, floor=-NOWHERE, roof=NOWHERE
        )

    def pooled(self) -> Record:
        """With what holds at the nearest location for all that there is."""
        return replace(self, low=self.least, high=self.most)

    @property
    def curved(self) -> bool:
        """Whether the error grows with the latent's length."""
        return bool(np.any(self.a2 > 0) or np.any(self.a1 > 0))

    @property
    def exact(self) -> bool:
        """Whether nothing was rounded yet."""
        return not any(np.any(getattr(self, name) > 0) for name in ("r", "a2", "a1", "a0"))

    @property
    def size(self) -> Array:
        """The largest |x|."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    @property
    def computed(self) -> tuple[Array, Array]:
        """What the computed number lies between."""
        error = self.error
        with np.errstate(invalid="ignore"):
            low, high = self.low - error * (1 + 2.0**-40), self.high + error * (1 + 2.0**-40)
        low = np.where(np.isnan(low), -np.inf, low - np.abs(low) * 2.0**-50)
        high = np.where(np.isnan(high), np.inf, high + np.abs(high) * 2.0**-50)
        return np.maximum(low, self.floor), np.minimum(high, self.roof)

    @property
    def error(self) -> Array:
        """The largest |computed - x|; of errors that do not grow with the latent's length."""
        return up(times(self.r, self.size) + self.a0)


_BELOW = ("low", "least", "floor")
PIECES = ("r", "a2", "a1", "a0", "low", "high", "least", "most", "fresh", "floor", "roof")


def _moved(piece: Array, move: Move, shape: Shape) -> Array:
    if not piece.ndim:
        return piece
    return np.asarray(move(np.broadcast_to(piece, shape)), dtype=np.float64)


def times(left: Array, right: Array) -> Array:
    """Products in which nothing times infinity is nothing."""
    with np.errstate(invalid="ignore"):
        found = np.asarray(left * right)
    return np.where((left == 0) | (right == 0), 0.0, found)
