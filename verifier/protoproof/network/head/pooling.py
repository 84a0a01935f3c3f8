"""Pooling over locations: from a table of values per location to one value per prototype.

``nearest`` takes the least measurement, the other kinds pool values s = inner(m): their mean, sum,
the mean of the k largest, or how far the largest exceeds the mean (``focal``). Bounds are those of
the pooled value when every entry of the table moves freely in an interval of its own; each is
attained (theorems beside them). ``nearest less mean`` is f(least s) - f(mean s), with a function f
that never rises; its bounds hold (see :func:`_nearest_less_mean`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import InternalError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    Table = Float[NDArray[np.float64], "location prototype"]
    Vector = Float[NDArray[np.float64], " prototype"]
    Mask = Bool[NDArray[np.bool_], "location prototype"]
    Ends = tuple[Vector, Vector]
    # bounds of f(x) for bounds of x, one for each of some prototypes
    Column = Int[NDArray[np.intp], " column"]
    Through = Callable[[Vector, Vector, Column], Ends]


Kind = Literal["nearest", "mean", "sum", "k-largest mean", "focal", "nearest less mean"]
KINDS: tuple[Kind, ...] = (
    "nearest", "mean", "sum", "k-largest mean", "focal", "nearest less mean"
)  # fmt: skip


@dataclass(frozen=True)
class Pooling:
    """The kind of every prototype's pooling; ``count`` is k where the kind is ``k-largest mean``.

    Raises:
        InternalError: an unknown kind, a k below 1, or different lengths.
    """

    kinds: tuple[Kind, ...]
    count: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        count = self.count or (1,) * len(self.kinds)
        if len(count) != len(self.kinds) or min(count, default=1) < 1:
            raise InternalError("every prototype has one kind of pooling and a count from 1 on")
        if not set(self.kinds) <= set(KINDS):
            raise InternalError(f"unknown pooling among {sorted(set(self.kinds))}")
        object.__setattr__(self, "count", count)

    @classmethod
    def all(cls, kind: Kind, prototypes: int, k: int = 1) -> Pooling:
        """The same pooling for every prototype."""
        return cls((kind,) * prototypes, (k,) * prototypes)

    @cached_property
    def all_nearest(self) -> bool:
        """Whether every prototype takes its nearest location."""
        return all(kind == "nearest" for kind in self.kinds)

    @cached_property
    def columns(self) -> dict[Kind, Int[NDArray[np.intp], " column"]]:
        """The prototypes of every kind that occurs, in order."""
        named = np.array(self.kinds)
        return {kind: np.flatnonzero(named == kind) for kind in KINDS if kind in self.kinds}

    @cached_property
    def nearest(self) -> Bool[NDArray[np.bool_], " prototype"]:
        """Which prototypes take their nearest location."""
        return np.array([kind == "nearest" for kind in self.kinds], dtype=bool)

    def pooled(self, table: Table, mask: Mask | None, common: Through) -> Vector:
        """The pooled value of every prototype.

        Args:
            table: measurements where the pooling is ``nearest``, inner values elsewhere.
            mask: which locations count for which prototype; None: all for all.
            common: from bounds of x for some prototypes, and these, to bounds of f(x), for the f of
                ``nearest less mean``.
        """
        return self.bounds(table, table, mask, common)[0]

    def bounds(
        self, low: Table, high: Table, mask: Mask | None, common: Through
    ) -> tuple[Vector, Vector]:
        """Bounds of the pooled values when every entry lies in [low, high] by itself."""
        least, most = np.empty(low.shape[1]), np.empty(low.shape[1])
        for kind, columns in self.columns.items():
            own = None if mask is None else mask[:, columns]
            ends = low[:, columns], high[:, columns]
            if kind == "focal":
                least[columns], most[columns] = _focal(*ends, own)
                continue
            if kind == "nearest less mean":
                least[columns], most[columns] = _nearest_less_mean(*ends, own, common, columns)
                continue
            for end, into in zip(ends, (least, most), strict=True):
                if kind == "nearest":
                    into[columns] = _nearest(end, own)
                elif kind == "k-largest mean":
                    into[columns] = _largest(end, own, [self.count[j] for j in columns.tolist()])
                else:
                    into[columns] = _total(end, own) / (_size(end, own) if kind == "mean" else 1)
        return least, most


def _nearest(table: Table, mask: Mask | None) -> Vector:
    return np.asarray((table if mask is None else np.where(mask, table, np.inf)).min(axis=0))


def _size(table: Table, mask: Mask | None) -> Vector:
    """The number of locations of each prototype."""
    if mask is None:
        return np.full(table.shape[1], float(len(table)))
    return np.asarray(mask.sum(axis=0, dtype=np.float64))


def _total(table: Table, mask: Mask | None) -> Vector:
    return np.asarray((table if mask is None else np.where(mask, table, 0.0)).sum(axis=0))


def _largest(table: Table, mask: Mask | None, counts: Sequence[int]) -> Vector:
    """The mean of the k largest: monotone in every entry, so its ends are those of the ends."""
    filled = table if mask is None else np.where(mask, table, -np.inf)
    ranked = -np.sort(-filled, axis=0)
    size = _size(table, mask)
    kept = np.minimum(np.array(counts, dtype=np.float64), size)
    rank = np.arange(len(table))[:, None]
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(rank < kept, ranked, 0.0).sum(axis=0) / kept)


def _nearest_less_mean(
    low: Table, high: Table, mask: Mask | None, common: Through, columns: Column
) -> tuple[Vector, Vector]:
    """f(min) - f(mean) over independent intervals, for an f that never rises.

    The minimum lies between those of all low and of all high ends, and so does the mean; so their
    difference lies between those of the ends of their images. It is never negative, as the minimum
    is at most the mean.
    """
    size = _size(low, mask)
    near = common(_nearest(low, mask), _nearest(high, mask), columns)
    mean = common(_total(low, mask) / size, _total(high, mask) / size, columns)
    with np.errstate(invalid="ignore"):
        least, most = near[0] - mean[1], near[1] - mean[0]
    # NaN where both are infinite alike: then nothing is known
    most = np.where(np.isnan(most), np.inf, np.maximum(most, 0.0))
    return np.where(np.isnan(least), 0.0, np.maximum(least, 0.0)), most


def _focal(low: Table, high: Table, mask: Mask | None) -> tuple[Vector, Vector]:
    """max - mean over independent intervals; both ends are attained.

    Least: the maximum is at least M = max low, and with the maximum at M every other entry is best
    as high as M allows; raising the maximum further raises the mean by at most as much. Most: one
    entry i at its upper end is the maximum, all others at their lower ends. It is linear in
    entry i with slope 1 - 1/L >= 0.
    """
    size = _size(low, mask)
    bottom = low if mask is None else np.where(mask, low, -np.inf)
    top = bottom.max(axis=0)
    with np.errstate(invalid="ignore"):
        least = top - _total(np.minimum(high, top), mask) / size
        reached = high - (high + _total(low, mask) - low) / size
    # without ends there is no bound, but for a single location, whose value is its own mean
    open_ = np.isinf(low) | np.isinf(high) | np.isinf(_total(low, mask))
    reached = np.where(open_, np.where(size > 1, np.inf, 0.0), reached)
    if mask is not None:
        reached = np.where(mask, reached, -np.inf)
    least = np.where(np.isfinite(top), np.maximum(least, 0.0), 0.0)
    return least, np.maximum(reached.max(axis=0), 0.0)
