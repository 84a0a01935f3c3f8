"""Pooling: values, and bounds that hold and are attained."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from protoproof.errors import InternalError
from protoproof.network.head.pooling import KINDS, Kind, Pooling

Ends = NDArray[np.float64]
kinds, seeds = st.sampled_from(KINDS), st.integers(0, 2**32 - 1)


def falling(low: Ends, high: Ends, columns: np.ndarray) -> tuple[Ends, Ends]:
    """The images of what nearest less mean has in common."""
    assert len(low) == len(high) == len(columns)
    return np.exp(-high), np.exp(-low)


def by_definition(kind: Kind, column: np.ndarray, k: int) -> float:
    return {
        "nearest": column.min(),
        "mean": column.mean(),
        "sum": column.sum(),
        "k-largest mean": np.sort(column)[::-1][:k].mean(),
        "focal": column.max() - column.mean(),
        "nearest less mean": np.exp(-column.min()) - np.exp(-column.mean()),
    }[kind]


@given(kinds, seeds, st.integers(1, 5), st.integers(1, 5))
def test_values(kind: Kind, seed: int, locations: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    table, mask = rng.normal(size=(locations, 3)), rng.random((locations, 3)) < 0.7
    mask[0] = True
    pooling = Pooling.all(kind, 3, k)
    for use in (None, mask):
        got = pooling.pooled(table, use, falling)
        for j in range(3):
            column = table[:, j] if use is None else table[use[:, j], j]
            assert got[j] == pytest.approx(by_definition(kind, column, k), abs=1e-12)


@given(kinds, seeds, st.integers(1, 4))
def test_bounds_hold_and_are_attained(kind: Kind, seed: int, locations: int) -> None:
    rng = np.random.default_rng(seed)
    low = rng.normal(size=(locations, 1))
    high = low + rng.random((locations, 1))
    pooling = Pooling.all(kind, 1, 2)
    least, most = (end[0] for end in pooling.bounds(low, high, None, falling))
    for _ in range(50):
        share = rng.random(low.shape) if rng.random() < 0.5 else rng.integers(0, 2, low.shape)
        value = pooling.pooled(low + share * (high - low), None, falling)[0]
        assert least - 1e-12 <= value <= most + 1e-12
    corners = [low, high, np.minimum(high, low.max())]
    for one in range(locations):
        corner = low.copy()
        corner[one] = high[one]
        corners.append(corner)
    if kind == "nearest less mean":
        return  # its ends hold, and need not be attained
    values = [pooling.pooled(corner, None, falling)[0] for corner in corners]
    assert min(values) == pytest.approx(least, abs=1e-12)
    assert max(values) == pytest.approx(most, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_open_ends_leave_no_false_bounds(kind: Kind) -> None:
    low, high = np.array([[-np.inf], [0.0]]), np.array([[1.0], [np.inf]])
    least, most = Pooling.all(kind, 1, 1).bounds(low, high, None, falling)
    assert not np.isnan([least, most]).any()
    expected = {
        "nearest": (-np.inf, 1.0),
        "mean": (-np.inf, np.inf),
        "sum": (-np.inf, np.inf),
        "k-largest mean": (0.0, np.inf),
        "focal": (0.0, np.inf),
        "nearest less mean": (0.0, np.inf),
    }
    assert (least[0], most[0]) == expected[kind]


def test_every_prototype_has_its_own_kind() -> None:
    table = np.array([[1.0, 2.0, 3.0], [3.0, 6.0, 7.0]])
    got = Pooling(("nearest", "mean", "focal")).pooled(table, None, falling)
    assert got.tolist() == [1.0, 4.0, 2.0]


@pytest.mark.parametrize(
    ("kinds_", "count"), [(("nearest", "best"), ()), (("mean",), (0,)), (("mean",), (1, 2))]
)
def test_what_makes_no_sense(kinds_: tuple[Kind, ...], count: tuple[int, ...]) -> None:
    with pytest.raises(InternalError):
        Pooling(kinds_, count)
