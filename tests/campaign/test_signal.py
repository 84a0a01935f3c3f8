"""What sizes tell of wrong predictions: areas, their intervals, and when nothing is measured."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protoproof.campaign.record import Row
from protoproof.campaign.signal import FEWEST, curve, interval, signal
from protoproof.campaign.summary import to_bytes
from tests.support.gate import campaign, row

values = st.lists(st.integers(1, 6), min_size=1, max_size=12)


@given(values, values)
def test_the_area_is_the_share_of_pairs_in_order(right: list[int], wrong: list[int]) -> None:
    found = curve("facts", right, wrong)
    pairs = [(w > r) + (w == r) / 2 for w, r in itertools.product(wrong, right)]
    assert found.area == pytest.approx(np.mean(pairs))
    # by trapezoids under the points, too
    across = [(p.referred - p.caught) / len(right) for p in found.points]
    upwards = [p.caught / len(wrong) for p in found.points]
    assert np.trapezoid(upwards, across) == pytest.approx(found.area)
    assert 0 <= found.low <= found.area <= found.high <= 1


@given(values, values)
def test_a_point_says_whom_its_limit_sends(right: list[int], wrong: list[int]) -> None:
    for point in curve("facts", right, wrong).points:
        limit = -1 if point.over is None else point.over
        assert point.caught == sum(w > limit for w in wrong)
        assert point.referred == point.caught + sum(r > limit for r in right)


def test_intervals_shrink_with_what_was_seen_and_never_to_a_point() -> None:
    few, many = interval(1.0, 10, 10), interval(1.0, 1000, 1000)
    assert few[0] < many[0] < 1.0 == few[1] == many[1]
    low, high = interval(0.5, 50, 50)
    assert (0.5 - low) == pytest.approx(high - 0.5)
    # Hanley and McNeil's standard error of the area 0.5 where nothing depends on anything
    assert high - 0.5 == pytest.approx(1.96 * np.sqrt(101 / (12 * 50 * 50)), rel=0.1)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):  # two exponentials: the true area is 2 / 3
        right, wrong = rng.exponential(1.0, 60), rng.exponential(2.0, 20)
        found = curve("facts", right.tolist(), wrong.tolist())
        held += found.low <= 2 / 3 <= found.high
    assert 0.9 <= held / 200 <= 0.99


def rows(right: int, wrong: int) -> list[Row]:
    good = [row(i, size=2, numbers=5, margin=3.0) for i in range(right)]
    return good + [
        row(right + i, label=1, predicted=0, size=9, numbers=40, margin=0.5) for i in range(wrong)
    ]


def test_sizes_numbers_and_margins_are_told_of_the_same_predictions() -> None:
    found = signal(rows(8, 6))
    assert (found.right, found.wrong, found.unsized, found.reason) == (8, 6, 0, "")
    assert [c.unit for c in found.curves] == ["facts", "numbers", "margin"]
    assert {c.area for c in found.curves} == {1.0}
    assert found.curves[2].wrong == (-0.5, -0.5)
    document = campaign(rows(8, 6)).summary["signal"]
    assert json.loads(to_bytes(document))["curves"][0]["points"][-1] == {
        "over": None,
        "caught": 6,
        "referred": 14,
    }


@pytest.mark.parametrize(
    ("right", "wrong", "reason"),
    [
        (9, FEWEST - 1, "not measured: 4 wrong predictions with a proved explanation"),
        (2, 7, "not measured: 2 right predictions with a proved explanation"),
        (0, 0, "no prediction has a label"),
    ],
)
def test_too_few_are_not_measured(right: int, wrong: int, reason: str) -> None:
    found = signal(rows(right, wrong))
    assert reason in found.reason
    assert found.curves == ()


def test_what_is_not_proved_has_no_size() -> None:
    open_ = row(99, state="undecided", size=None, numbers=None)
    assert signal([*rows(8, 6), open_]).unsized == 1
