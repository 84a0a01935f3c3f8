"""Growth by gain and exchange: trials tell the truth, and sets stay sufficient and get smaller."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from protoproof.prover.latent.domain import Box, Domain, Free
from protoproof.prover.latent.instance import Instance
from protoproof.prover.oracle.interval import IntervalOracle, IntervalState
from protoproof.prover.search.deletion import by_worth, delete, spare
from protoproof.prover.search.exchange import exchange
from protoproof.prover.search.lookahead import facts_to_try, margins_with_each
from protoproof.prover.search.pairs import grow
from tests.benchmarks.synthetic import Shape, make_head
from tests.benchmarks.synthetic import make_instance as synthetic
from tests.support.examples import examples
from tests.support.strategies import random_instance, seeds

DOMAINS = pytest.mark.parametrize("domain", [Free(), Box(0.0, 1.0)], ids=["free", "box"])


def clear(instance: Instance) -> bool:
    return bool((instance.margins > 1e-6).all())


def deleted(instance: Instance, domain: Domain) -> IntervalState:
    state = IntervalOracle().prepare(instance, domain)
    assert grow(state)
    delete(state, spare(state))
    return state


@DOMAINS
def test_what_is_not_tried_could_not_be_dropped(domain: Domain) -> None:
    instance = random_instance(3, prototypes=12, channels=8, grid=(1, 3))
    states = [IntervalOracle().prepare(instance, domain) for _ in range(2)]
    for state in states:
        assert grow(state)
    delete(states[0], spare(states[0]))
    delete(states[1], by_worth(states[1]))
    assert states[0].facts == states[1].facts
    assert len(spare(states[0])) == 0


@examples(30, 100)
@given(seeds, st.integers(0, 4), st.sampled_from([(1, 1), (2, 2)]))
@DOMAINS
def test_trials_agree_with_the_state(
    domain: Domain, seed: int, count: int, grid: tuple[int, int]
) -> None:
    instance = random_instance(seed, grid=grid)
    state = IntervalOracle().prepare(instance, domain)
    rng = np.random.default_rng(seed)
    for location in range(len(instance.latent)):
        state.set_location(location, rng.permutation(8)[:2].tolist())
    kept = rng.permutation(8)[:count].tolist()
    others = [j for j in range(8) if j not in kept]
    rows = np.array([1, 0])
    found = margins_with_each(state, 0, kept, others, rows)
    for trial, candidate in zip(found, others, strict=True):
        wanted = state.margins_with(0, [*kept, candidate])[rows]
        if isinstance(domain, Box):  # the state knows what the box adds to the facts, too
            assert (trial <= wanted + 1e-6 * (1 + np.abs(wanted))).all()
        else:
            assert (trial <= wanted + 1e-6).all()  # in a box the state knows more than a trial
        if isinstance(domain, Free):
            assert np.allclose(trial, wanted, rtol=1e-6, atol=1e-6)


@examples(6, 15)
@given(seeds)
@DOMAINS
def test_exchange_keeps_what_suffices_and_never_adds(domain: Domain, seed: int) -> None:
    instance = random_instance(seed, prototypes=12, channels=8, grid=(1, 3))
    assume(clear(instance))
    state = deleted(instance, domain)
    before = len(state.pairs)
    exchange(state)
    assert state.suffices()
    assert len(state.pairs) <= before
    again = deleted(instance, domain)
    exchange(again)
    assert again.chosen == state.chosen
    for location, prototype in state.pairs:
        rest = [j for j in state.known[location].facts if j != prototype]
        assert not state.proves(state.margins_with(location, rest))


def test_exchange_finds_smaller_sets() -> None:
    saved = 0
    for seed in range(20):
        instance = random_instance(seed, prototypes=12, channels=8, grid=(1, 3))
        if clear(instance):
            state = deleted(instance, Free())
            before = len(state.pairs)
            exchange(state)
            saved += before - len(state.pairs)
    assert saved >= 2


def test_few_facts_are_tried_of_many_prototypes() -> None:
    head = make_head(Shape(prototypes=3000, channels=8, classes=30, grid=(1, 2)))
    instance = synthetic(head, 0)
    state = IntervalOracle().prepare(instance, Free())
    tried = facts_to_try(state, 1, [2999])
    assert 2999 in tried
    assert len(tried) <= 16
    assert int(np.argmin(instance.measurement[1])) in tried
    assert facts_to_try(IntervalOracle().prepare(random_instance(0), Free()), 0) == list(range(8))
