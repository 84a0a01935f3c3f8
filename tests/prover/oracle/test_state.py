"""The laws of the interface that searches see, for every oracle over every kind of domain."""

from __future__ import annotations

import numpy as np
import pytest

from protoproof.prover.latent.facts import Fact, FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import activation_fact, ceiling_fact
from protoproof.prover.oracle.interval import IntervalState
from protoproof.prover.oracle.oracle import Oracle, State
from protoproof.prover.proof.evidence import encoded
from protoproof.prover.search.deletion import by_worth, delete, drop_facts
from protoproof.verdict import Status
from tests.support.domains import KINDS, placed
from tests.support.oracles import ORACLES
from tests.support.strategies import some_pairs

pytestmark = [
    pytest.mark.parametrize("oracle", ORACLES, ids=lambda oracle: oracle.name),
    pytest.mark.parametrize("kind", KINDS),
]


def question(oracle: Oracle, kind: str, seed: int) -> tuple[Instance, State, FactSet]:
    """Facts of all kinds about a random instance, and a state that assumes nothing yet."""
    instance, domain = placed(kind, seed)
    pairs = some_pairs(instance, seed, most=2).pairs
    ranking = np.argsort(instance.measurement.min(axis=0), kind="stable").tolist()
    named, over = int(ranking[0]), int(ranking[1])
    facts = FactSet(
        pairs,
        (activation_fact(instance, named),),
        (ceiling_fact(instance, over, [named]),),
    )
    return instance, oracle.prepare(instance, domain), facts


def test_a_state_assumes_what_it_was_asked_about(oracle: Oracle, kind: str) -> None:
    _, state, facts = question(oracle, kind, 0)
    assert state.oracle == oracle.name
    assert not state.facts
    state.margins(facts)
    assert state.facts == facts
    state.decide(FactSet(pairs=facts.pairs))
    assert state.facts == FactSet(pairs=facts.pairs)
    assert state.intervals.instance is state.instance


def test_one_fact_less_is_only_looked_at(oracle: Oracle, kind: str) -> None:
    _, state, facts = question(oracle, kind, 1)
    before = state.margins(facts)
    for fact in facts:
        left = state.margins_without(fact)
        assert state.facts == facts
        np.testing.assert_allclose(state.margins(), before, rtol=0, atol=1e-12)
        asked = state.margins(facts.without(fact))
        np.testing.assert_allclose(left, asked, rtol=0, atol=1e-9)
        state.margins(facts)


def test_a_fact_is_dropped_where_the_rest_suffices_and_else_kept(oracle: Oracle, kind: str) -> None:
    _, state, facts = question(oracle, kind, 1)
    for fact in facts:
        state.margins(facts)
        rest = state.margins(facts.without(fact))
        state.margins(facts)
        dropped = state.drop(fact)
        assert dropped == bool((rest > state.slack).all())
        assert state.facts == (facts.without(fact) if dropped else facts)


def test_facts_of_a_location_are_left_out_together_as_alone(oracle: Oracle, kind: str) -> None:
    _, state, facts = question(oracle, kind, 2)
    state.margins(facts)
    if not isinstance(state, IntervalState):
        return  # proofs by cases weigh one fact at a time
    for location, known in enumerate(state.known):
        wanted = [state.margins_without(f).min() for f in facts.at(location)]
        order = [known.facts.index(f.prototype) for f in facts.at(location)]
        found = state.least_without_each(location)
        np.testing.assert_allclose(found[order], wanted, rtol=1e-6, atol=1e-7)


def test_deletion_leaves_a_set_of_which_nothing_can_go(oracle: Oracle, kind: str) -> None:
    instance, state, facts = question(oracle, kind, 0)
    here = FactSet(
        facts.pairs, tuple(activation_fact(instance, j) for j in range(len(instance.activation)))
    )
    begun = state.decide(here).verdict.status is Status.PROVED
    order: list[Fact] = by_worth(state)
    assert sorted(order, key=repr) == sorted(here, key=repr)
    delete(state, order)
    kept = state.facts
    if not begun:  # then no part of it is proved either
        assert kept == here
        return
    assert state.decide(kept).verdict.status is Status.PROVED
    assert set(kept) <= set(here)
    for fact in kept:
        assert not (state.margins_without(fact) > state.slack + 1e-7).all()
    again = drop_facts(here, order, state.decide)
    assert state.decide(again).verdict.status is Status.PROVED


def test_what_is_proved_has_evidence(oracle: Oracle, kind: str) -> None:
    instance, state, facts = question(oracle, kind, 0)
    decision = state.decide(facts)
    evidence = state.evidence(facts)
    assert evidence.intervals.facts == facts
    proved = set() if evidence.forms is None else set(evidence.forms.rivals)
    assert proved.isdisjoint(evidence.trees)
    stored = encoded(evidence)
    named = {form.rival for form in stored.forms} | {tree.rival for tree in stored.cases}
    assert named == {instance.rivals[row] for row in proved | set(evidence.trees)}
    if decision.verdict.status is Status.PROVED:
        low, high = state.intervals.nearest()
        similar = instance.similarity(high), instance.similarity(low)
        alone = (
            instance.supporting @ np.nan_to_num(similar[0], neginf=-1e300)
            + instance.opposing @ np.nan_to_num(similar[1], neginf=-1e300)
            + instance.margin_offset
        )
        for row in range(len(instance.rivals)):
            assert row in proved or row in evidence.trees or alone[row] > state.slack / 2
