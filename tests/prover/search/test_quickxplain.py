"""QuickXplain: minimal sets, few questions where few facts are kept, agreement with the oracle."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from protoproof.prover.latent.domain import Box, Domain, Free
from protoproof.prover.oracle.interval import ExactOracle
from protoproof.prover.search.order import by_worth
from protoproof.prover.search.pairs import grow
from protoproof.prover.search.quickxplain import WORTHWHILE, quickxplain, quickxplain_pairs
from tests.support.strategies import random_instance, seeds


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
    assert len(needed) < WORTHWHILE * 1000
    assert asked < 100  # one by one: 1,000


@settings(max_examples=15)
@given(seeds)
@pytest.mark.parametrize("domain", [Free(), Box(0.0, 1.0)], ids=["free", "box"])
def test_pairs_stay_sufficient_and_none_can_go(domain: Domain, seed: int) -> None:
    instance = random_instance(seed)
    assume(bool((instance.margins > 1e-6).all()))
    state = ExactOracle().prepare(instance, domain)
    assert grow(state)
    quickxplain_pairs(state, by_worth(state)[::-1])
    assert state.suffices()
    strict = ExactOracle(slack=1e-7)
    fresh = strict.prepare(instance, domain)
    for location, prototypes in enumerate(state.chosen):
        fresh.set_location(location, prototypes)
    for location, prototype in state.pairs:
        rest = [j for j in state.places[location].facts if j != prototype]
        assert not fresh.proves(fresh.margins_with(location, rest))
