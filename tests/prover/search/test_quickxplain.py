"""QuickXplain: minimal sets, few questions where few facts are kept."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protoproof.prover.search.quickxplain import quickxplain


@given(st.lists(st.sets(st.integers(0, 11), min_size=1, max_size=4), min_size=1, max_size=6))
def test_nothing_of_the_result_can_go(clauses: list[set[int]]) -> None:
    """A monotone oracle: a set suffices when it meets every clause."""

    def suffices(facts: Sequence[int]) -> bool:
        return all(clause & set(facts) for clause in clauses)

    found = quickxplain(range(12), suffices)
    assert suffices(found)
    assert found == sorted(found)
    for fact in found:
        assert not suffices([other for other in found if other != fact])


def test_preferred_facts_are_kept_and_nothing_needs_nothing() -> None:
    assert quickxplain("abcd", lambda facts: bool(facts)) == ["a"]
    assert quickxplain("abcd", lambda facts: True) == []
    assert quickxplain("a", lambda facts: "a" in facts) == ["a"]
    assert quickxplain("", lambda facts: True) == []


@pytest.mark.parametrize("needed", [(700,), (3, 900), (5, 300, 301, 999)])
def test_few_questions_where_few_are_kept(needed: tuple[int, ...]) -> None:
    asked = 0

    def suffices(facts: Sequence[int]) -> bool:
        nonlocal asked
        asked += 1
        return set(needed) <= set(facts)

    assert quickxplain(range(1000), suffices) == list(needed)
    assert asked < 100  # one by one: 1,000
