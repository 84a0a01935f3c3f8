"""What pair facts at one location say about every other squared distance there."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

Vector = Float[NDArray[np.float64], " prototype"]


# Up to this many bytes, all distances between prototypes are computed once and kept.
_WHOLE = 1 << 28


class GramRows:
    """Squared distances between prototypes, row by row as they are asked for.

    Reads like the symmetric matrix [P, P] that :func:`squared_distances` gives, but needs memory
    for the prototypes and the rows in use: an explanation touches those of its facts. The last
    ``kept`` rows are kept.
    """

    def __init__(
        self, points: Float[NDArray[np.float64], "prototype channel"], kept: int | None = None
    ) -> None:
        self._centred = points - points.mean(axis=0)
        self._norms = (self._centred**2).sum(axis=1)
        self._rows: dict[int, Vector] = {}
        self._kept = kept or max(64, _WHOLE // (8 * len(points)))

    def __len__(self) -> int:
        return len(self._norms)

    def row(self, index: int) -> Vector:
        """The squared distances of all prototypes to one; read only."""
        found = self._rows.pop(index, None)
        if found is None:
            inner = self._centred @ self._centred[index]
            found = np.maximum(self._norms + self._norms[index] - 2.0 * inner, 0.0)
            found[index] = 0.0
            found.setflags(write=False)
            while len(self._rows) >= self._kept:
                del self._rows[next(iter(self._rows))]  # the one that was asked for longest ago
        self._rows[index] = found
        return found

    def __getitem__(self, key: Any) -> Any:
        """``[i]``, ``[rows]``, ``[i, columns]`` or ``[np.ix_(rows, columns)]``."""
        if not isinstance(key, tuple):
            return self.row(int(key)) if np.ndim(key) == 0 else np.stack([*map(self.row, key)])
        first, second = key
        if np.ndim(first) == 0:
            return self.row(int(first))[second]
        # symmetric, so the side with fewer prototypes names the rows
        rows, columns = np.ravel(first), np.ravel(second)
        if len(columns) <= len(rows):
            return np.column_stack([self.row(int(j))[rows] for j in columns])
        return np.stack([self.row(int(i))[columns] for i in rows])


Gram = Float[NDArray[np.float64], "prototype prototype"] | GramRows


def distances_between(points: Float[NDArray[np.float64], "prototype channel"]) -> Gram:
    """All squared distances between prototypes: at once where that is small, else on demand."""
    if 8 * len(points) ** 2 <= _WHOLE:
        return squared_distances(points)
    return GramRows(points)


def squared_distances(
    points: Float[NDArray[np.float64], "prototype channel"],
) -> Float[NDArray[np.float64], "prototype prototype"]:
    """All squared distances between prototypes, ``[P, P]``, symmetric with a zero diagonal."""
    centred = points - points.mean(axis=0)
    norms = (centred**2).sum(axis=1)
    result = np.maximum(norms[:, None] + norms[None, :] - 2.0 * centred @ centred.T, 0.0)
    result = 0.5 * (result + result.T)
    np.fill_diagonal(result, 0.0)
    return np.asarray(result)
