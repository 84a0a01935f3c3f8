"""Every number of the trust list has a test that carries it, and every mark is one of a number."""

from __future__ import annotations

from tests.trust.numbers import COUNT, carried, listed


def test_the_page_lists_every_number_once_and_in_order() -> None:
    assert list(listed()) == list(range(1, COUNT + 1))


def test_every_number_has_a_test() -> None:
    assert not sorted(set(listed()) - set(carried()))


def test_every_mark_is_of_a_number() -> None:
    assert not sorted(set(carried()) - set(listed()))
