"""The greedy cover: submodular, lazy without consequence, and nothing in it is superfluous."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from protoproof.prover.latent.domain import Box, Domain, Free
from protoproof.prover.oracle.interval import IntervalOracle, IntervalState
from protoproof.prover.search import activations as module
from protoproof.prover.search.ceiling import ceiling
from protoproof.prover.search.greedy_cover import Cover
from protoproof.prover.search.in_step import InStep
from protoproof.prover.search.mixed import mixed
from protoproof.prover.search.search import candidates
from protoproof.prover.search.topk import topk
from protoproof.verdict import Status
from tests.support.kernel.builders import scene
from tests.support.strategies import random_instance
from tests.support.witnesses import instance_of

seeds = st.integers(0, 10**6)
DOMAINS = pytest.mark.parametrize("domain", [Free(), Box(0.0, 1.0)], ids=["free", "box"])


def state_of(seed: int, domain: Domain, slack: float = 1e-8) -> IntervalState:
    instance = random_instance(seed)
    assume(bool((instance.margins > 1e-5).all()))
    return IntervalOracle(slack).prepare(instance, domain)


@given(seeds)
@DOMAINS
def test_what_a_fact_adds_shrinks_as_the_set_grows(domain: Domain, seed: int) -> None:
    state = state_of(seed, domain)
    cover = Cover(state, 1e-2)
    rng = np.random.default_rng(seed)
    facts = rng.permutation(2 * cover.count).tolist()
    small, large, rest = facts[:2], facts[:5], facts[5:]
    before = cover.gains(np.array(rest), cover.after(small))
    after = cover.gains(np.array(rest), cover.after(large))
    assert (after <= before + 1e-9 * (1 + np.abs(before))).all()
    for fact, gain in zip(rest, before, strict=True):
        grown, here = cover.after([*small, fact]).margins, cover.after(small).margins
        assert gain == pytest.approx(float(cover.score(grown) - cover.score(here)), abs=1e-6)


@given(seeds, st.integers(0, 6))
@DOMAINS
def test_facts_left_out_together_are_as_left_out_alone(
    domain: Domain, seed: int, count: int
) -> None:
    cover = Cover(state_of(seed, domain), 1e-2)
    facts = np.random.default_rng(seed).permutation(2 * cover.count)[:count].tolist()
    found = cover.without_each(facts)
    assert found.shape == (count, len(cover.instance.margin_offset))
    for fact, margins in zip(facts, found, strict=True):
        wanted = cover.after([other for other in facts if other != fact]).margins
        assert np.allclose(margins, wanted, rtol=1e-9, atol=1e-9)


@given(seeds)
def test_lazy_evaluation_changes_nothing(seed: int) -> None:
    cover = Cover(state_of(seed, Free()), 1e-8)
    chosen = [cover.count + 2]
    lazy = cover.greedy(chosen, 99, ceilings=True)
    pool = range(2 * cover.count)
    while not cover.closes(chosen):
        reached = cover.after(chosen)
        rest = [f for f in pool if f not in chosen]
        chosen.append(rest[int(np.argmax(cover.gains(np.array(rest), reached)))])
    assert lazy == cover.pruned(chosen)


@given(seeds, st.integers(2, 12), st.booleans())
def test_only_hopeless_searches_are_given_up(seed: int, most: int, ceilings: bool) -> None:
    cover = Cover(state_of(seed, Free()), 1e-8)
    starts = [[cover.count + level] for level in cover.levels]
    found = [cover.greedy(start, most, ceilings=ceilings) for start in starts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cover, "_out_of_reach", lambda self, bound, count, reached: count <= 0)
        assert found == [cover.greedy(start, most, ceilings=ceilings) for start in starts]


@given(seeds)
def test_rows_on_demand_are_the_same_rows(seed: int) -> None:
    state = state_of(seed, Free())
    whole = Cover(state, 1e-8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", -1)  # no room at all
        parts = Cover(state, 1e-8)
        assert parts.rows is None
        for start in (8, 11):
            assert whole.greedy([start], 99, ceilings=True) == parts.greedy(
                [start], 99, ceilings=True
            )


@settings(max_examples=30)
@given(seeds, st.booleans(), st.one_of(st.none(), st.integers(2, 9)))
def test_searches_in_step_find_what_each_finds_alone(
    seed: int, ceilings: bool, limit: int | None
) -> None:
    cover = Cover(state_of(seed, Free()), 1e-8)
    assert InStep.suits(cover, len(cover.levels))
    together = cover.smallest(cover.levels, ceilings=ceilings, limit=limit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InStep, "suits", lambda cover, count: False)
        alone = cover.smallest(cover.levels, ceilings=ceilings, limit=limit)
    assert (together is None) is (alone is None)
    if together is not None and alone is not None:
        assert cover.closes(together)
        assert len(together) == len(alone)


@settings(max_examples=30)
@given(seeds, st.integers(0, 4))
def test_every_round_in_step_adds_what_adds_most(seed: int, rounds: int) -> None:
    cover = Cover(state_of(seed, Free()), 1e-8)
    searches = InStep(cover, cover.levels, ceilings=True)
    pool = np.arange(2 * cover.count)
    for _ in range(rounds):
        searches.closed()
        before = searches.facts.tolist()
        searches.advance(99)
        after = {tuple(facts[:-1]): facts[-1] for facts in searches.facts.tolist()}
        for facts in before:
            gains = cover.gains(pool, cover.after(facts))
            gains[facts] = 0.0
            if tuple(facts) in after:
                most = float(gains.max())
                # both are differences of larger numbers
                assert gains[after[tuple(facts)]] == pytest.approx(most, rel=1e-6, abs=1e-8)


def test_few_levels_are_kept_of_many() -> None:
    levels = module._levels(5000)
    assert len(levels) <= module._LEVELS
    assert levels[:3] == [0, 1, 2]
    assert levels[-1] == 4999
    assert module._levels(7) == list(range(7))


@settings(max_examples=40)
@given(seeds)
@DOMAINS
def test_mixed_is_sufficient_and_never_larger(domain: Domain, seed: int) -> None:
    state = state_of(seed, domain)
    facts = mixed(state, state.slack)
    assert facts is not None
    decide = IntervalOracle(0.0).decide
    assert decide(state, facts).verdict.status is Status.PROVED
    for fact in facts:
        assert IntervalOracle(1e-7).decide(state, facts.without(fact)).verdict.status is not (
            Status.PROVED
        )
    one, other = topk(state, state.slack), ceiling(state, state.slack)
    assert one is not None
    assert other is not None
    assert len(other) <= len(one)


def test_an_unbounded_similarity_needs_names() -> None:
    """With -q as similarity a prototype that nothing bounds can cost anything."""
    instance = instance_of(scene(3, similarity="negated"))
    state = IntervalOracle(1e-8).prepare(instance, Free())
    facts = mixed(state, state.slack)
    assert facts is not None
    assert IntervalOracle(0.0).decide(state, facts).verdict.status is Status.PROVED


def test_no_cover_where_the_prediction_itself_is_not_clear() -> None:
    instance = random_instance(1)
    state = IntervalOracle(1e-8).prepare(instance, Free())
    slack = float(instance.margins.min()) + 1.0
    assert topk(state, slack) is None
    assert ceiling(state, slack) is None
    assert mixed(state, slack) is None


@settings(max_examples=15)
@given(seeds)
def test_at_one_location_mixed_names_no_more_than_pairs_do(seed: int) -> None:
    instance = random_instance(seed, prototypes=9, channels=4, grid=(1, 1))
    sizes = [
        len(next(candidates(instance, Free(), word, "auto")).facts) for word in ("mixed", "pairs")
    ]
    assert sizes[0] <= sizes[1]


@settings(max_examples=20)
@given(seeds, st.booleans())
def test_no_cover_has_fewer_facts_than_a_search_needs_at_least(seed: int, ceilings: bool) -> None:
    """Every subset of the facts is tried: none that closes is smaller than the bound says."""
    cover = Cover(state_of(seed, Free()), 1e-8)
    level = cover.levels[seed % len(cover.levels)]
    start = [cover.count + level]
    least = cover.least(*reversed(cover.begun(start, ceilings=ceilings)))
    pool = range(2 * cover.count if ceilings else cover.count)
    for size in range(min(least, 3)):
        for more in combinations(pool, size):
            assert not cover.closes([*start, *more])
    limited = cover.smallest(cover.levels, ceilings=ceilings, limit=3)
    free = cover.smallest(cover.levels, ceilings=ceilings)
    assert free is not None
    assert limited is None or len(limited) < 3
    assert (limited is not None) or len(free) >= 3


@given(seeds)
def test_one_name_that_suffices_is_found(seed: int) -> None:
    cover = Cover(state_of(seed, Free()), 1e-8)
    assert sorted(cover.alone().tolist()) == [j for j in range(cover.count) if cover.closes([j])]
    activation = cover.instance.activation[cover.alone()]
    assert (np.diff(activation) <= 0).all()
