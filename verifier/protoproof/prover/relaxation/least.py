"""The least of every column of a table whose rows change one at a time.

A tournament: every inner node holds the least of its two children, so that a new row changes as
many nodes as the tree is deep, and what all rows but one leave is found on the way up. Minima are
exact, so the results are those of looking at all rows again.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

Row = Float[NDArray[np.float64], "*row"]


class Least:
    """Of ``rows`` [L, ...], which are copied; ``rows`` are the present ones (read only)."""

    def __init__(self, rows: Float[NDArray[np.float64], "location *row"]) -> None:
        count = self._count = len(rows)
        self._nodes = np.empty((2 * count, *rows.shape[1:]))
        self._nodes[count:] = rows
        for node in range(count - 1, 0, -1):
            self._meet(node)
        self.rows = self._nodes[count:]

    def _meet(self, node: int) -> None:
        nodes = self._nodes
        np.minimum(nodes[2 * node], nodes[2 * node + 1], out=nodes[node])

    def put(self, place: int, row: Row) -> None:
        """Make ``row`` what the table has at a place."""
        node = self._count + place
        self._nodes[node] = row
        while node > 1:
            node //= 2
            self._meet(node)

    @property
    def all(self) -> Row:
        """The least over all rows; a copy."""
        return np.array(self._nodes[1])

    def without(self, place: int) -> Row:
        """The least over all rows but one; infinite where there is no other."""
        found = np.full(self._nodes.shape[1:], np.inf)
        node = self._count + place
        while node > 1:
            np.minimum(found, self._nodes[node ^ 1], out=found)
            node //= 2
        return found
