"""One case of a proof by cases: what its path says, and the bounds that follow.

Two kinds of bounds are kept apart. *Given* ones come from facts, ceilings and the path: multipliers
may charge them. The others follow from the given ones, by intervals or by rows of multipliers; they
serve chords and interval margins. (Charging what follows from the same premises gains nothing.)
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

Vector = Float[NDArray[np.float64], " prototype"]
Matrix = Float[NDArray[np.float64], "location prototype"]


@dataclass(frozen=True)
class Cut:
    """A split: by a distance, by m_j, by a channel, or by the place where m_j is attained.

    ``index`` is a prototype, or a channel; ``locations`` belong to ``place`` alone.
    """

    kind: Literal["distance", "nearest", "channel", "place"]
    index: int
    location: int = -1
    at: float = 0.0
    locations: tuple[int, ...] = ()

    def children(self, locations: int) -> int:
        """How many cases there are."""
        if self.kind != "place":
            return 2
        return len(self.locations) + (len(self.locations) < locations)


@dataclass(frozen=True)
class Row:
    """Multipliers of ``terms``, then of the domain's constraints, that bound sign * q_lj."""

    terms: tuple[int, ...]
    x: Float[NDArray[np.float64], " term"]
    domain: bool


@dataclass
class Node:
    """A case. All [L, P] but ``near`` and ``far`` [P], the bounds of m_j, and boxes of e = z - v.

    ``given_low``, ``given_high`` may be charged; ``low``, ``high`` are all that is known.
    ``among`` marks the locations that may attain m_j. ``equal[l]`` are the prototypes whose
    distance at location l is one given number, ``extra[l]`` others whose given bounds its
    multipliers look at. ``cut`` are the locations whose box was split.
    """

    path: tuple[tuple[Cut, int], ...]
    given_low: Matrix
    given_high: Matrix
    low: Matrix
    high: Matrix
    near: Vector
    far: Vector
    among: NDArray[np.bool_]
    lower: Float[NDArray[np.float64], "location channel"]
    upper: Float[NDArray[np.float64], "location channel"]
    equal: tuple[tuple[int, ...], ...]
    extra: tuple[tuple[int, ...], ...]
    cut: frozenset[int] = frozenset()
    rows: dict[tuple[int, int, int], Row] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether some bounds clearly exclude each other.

        By more than rounding: the checker has to see it too.
        """
        width = 1e-9 * (1.0 + np.abs(self.near))
        crossed = (self.low > self.high + width).any() or (self.near > self.far + width).any()
        boxes = (self.lower > self.upper).any()
        return bool(crossed or boxes or not self.among.any(axis=0).all())

    def copy(self) -> Node:
        """The same case, to be narrowed."""
        arrays = ("given_low", "given_high", "low", "high", "near", "far", "among")
        copies = {name: getattr(self, name).copy() for name in (*arrays, "lower", "upper")}
        return replace(self, rows=dict(self.rows), **copies)
