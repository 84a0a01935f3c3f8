"""Minima that follow the rows of a table are those of the table."""

from __future__ import annotations

import numpy as np
import pytest

from protoproof.prover.relaxation.least import Least


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13])
def test_minima_follow_every_change(count: int) -> None:
    rng = np.random.default_rng(count)
    table = rng.normal(size=(count, 2, 4))
    table[0, 0, 1] = np.inf
    least = Least(table)
    for _ in range(20):
        place = int(rng.integers(count))
        table[place] = rng.normal(size=(2, 4))
        least.put(place, table[place])
        np.testing.assert_array_equal(least.rows, table)
        np.testing.assert_array_equal(least.all, table.min(axis=0))
        for gone in range(count):
            rest = np.delete(table, gone, axis=0).min(axis=0, initial=np.inf)
            np.testing.assert_array_equal(least.without(gone), rest)


def test_what_was_read_does_not_change() -> None:
    least = Least(np.zeros((3, 2)))
    before = least.all
    least.put(0, np.array([-1.0, 1.0]))
    assert (before == 0).all()
