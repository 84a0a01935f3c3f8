"""The choice of instances is what was asked for, the same again, and refused where it cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protoproof.campaign import Instances, Selection, parse_indices
from protoproof.errors import InputError, UsageError
from protoproof.network.pixels import PixelRule
from tests.support.campaign import digits


def tiny(labels: list[int]) -> Instances:
    x = np.zeros((len(labels), 1, 2, 2), dtype=np.float32)
    return Instances("tiny", "0" * 64, x, np.array(labels, dtype=np.int64), ("a", "b"))


@given(st.integers(1, 20), st.integers(0, 5))
def test_per_class_draws_that_many_of_each(count: int, seed: int) -> None:
    data = digits()
    chosen = Selection(per_class=count, seed=seed).choose(data)
    assert chosen == Selection(per_class=count, seed=seed).choose(data)
    assert list(chosen) == sorted(set(chosen))
    assert np.bincount(data.y[list(chosen)]).tolist() == [count] * 10


def test_another_seed_draws_others() -> None:
    assert Selection(5, 0).choose(digits()) != Selection(5, 1).choose(digits())


def test_one_class_does_not_move_with_another() -> None:
    longer, shorter = tiny([0] * 9 + [1] * 9), tiny([0] * 9 + [1] * 5)
    first = [i for i in Selection(3).choose(longer) if i < 9]
    assert first == [i for i in Selection(3).choose(shorter) if i < 9]


def test_all_and_listed() -> None:
    assert Selection().choose(tiny([0, 1, 1])) == (0, 1, 2)
    assert Selection(indices=(2, 0, 2)).choose(tiny([0, 1, 1])) == (0, 2)


@pytest.mark.parametrize(
    ("selection", "word"),
    [(Selection(per_class=3), "class 0"), (Selection(indices=(3,)), "no instance 3")],
)
def test_what_is_not_there_is_refused(selection: Selection, word: str) -> None:
    with pytest.raises(InputError, match=word):
        selection.choose(tiny([0, 1, 1]))


def test_contradictions_are_refused() -> None:
    with pytest.raises(UsageError, match="exclude"):
        Selection(per_class=1, indices=(0,))
    with pytest.raises(UsageError, match="empty"):
        Selection(indices=())
    with pytest.raises(InputError, match="no instances"):
        tiny([])


def test_classes_have_to_fit() -> None:
    tiny([0, 1]).fit(("a", "b"))
    assert tiny([0, 1]).fit(("class 0", "class 1")).y.tolist() == [0, 1]  # nobody named them
    with pytest.raises(InputError, match=r"otherwise than the network's: number 0 is a, .* cat"):
        tiny([0, 1]).fit(("cat", "dog"), stated=True)
    with pytest.raises(InputError, match="2 classes"):
        tiny([0, 1]).fit(("a", "b", "c"))
    by_name = tiny([0, 1, 1]).fit(("b", "a"))
    assert (by_name.y.tolist(), by_name.classes) == ([1, 0, 0], ("b", "a"))


def named(*classes: str) -> Instances:
    x = np.zeros((len(classes), 1, 2, 2), dtype=np.float32)
    return Instances("tiny", "0" * 64, x, np.arange(len(classes)), classes)


@pytest.mark.trust(52)
def test_folders_called_by_numbers() -> None:
    """1, 10, 2 in the order of their letters: what the network's third class is, nobody says."""
    with pytest.raises(InputError, match="in the order of their letters"):
        named("1", "10", "2").fit(("class 0", "class 1", "class 2"))
    assert named("1", "10", "2").fit(("1", "2", "10")).y.tolist() == [0, 2, 1]
    with pytest.raises(InputError, match="called by their numbers"):
        named("0", "1", "2").fit(("1", "0", "2"))  # a number, or the network's name?
    named("1", "10", "2").fit(("1", "10", "2"))
    named("01", "02", "10").fit(("class 0", "class 1", "class 2"))
    named("0", "1", "2").fit(("zero", "one", "two"))
    named("b", "10", "2").fit(("class 0", "class 1", "class 2"))


def test_inputs_in_the_networks_layout() -> None:
    data = tiny([0, 1])
    data.x[1, 0, 0, 1] = 0.5
    assert data.input(1, PixelRule((1, 2, 2), (-1.0, 1.0)))[0, 0, 1] == 0.0
    assert data.input(1, PixelRule((1, 2, 2), (-1.0, 1.0))).shape == (1, 2, 2)
    wide = Instances("w", "0" * 64, np.ones((1, 1, 5, 4), np.float32), np.zeros(1, int), ("a",))
    assert wide.input(0, PixelRule((5, 4, 1), (0.0, 2.0))).shape == (5, 4, 1)
    assert wide.input(0, PixelRule((7, 7, 1), (0.0, 2.0))).shape == (
        1,
        5,
        4,
    )  # for the network to refuse


def test_indices_in_words() -> None:
    assert parse_indices("0,5,10-12") == (0, 5, 10, 11, 12)


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "3-2", "1,,2", "0-99999999", "1e3", "٣"])
def test_nonsense_indices_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--indices"):
        parse_indices(text)
