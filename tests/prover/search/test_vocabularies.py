"""Every vocabulary gives a sufficient set that cannot shrink, compared with exhaustive search."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given

from protoproof.prover.latent.domain import Box, Domain, Free
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import activation_fact, ceiling_fact, pair_fact
from protoproof.prover.oracle.interval import IntervalOracle, IntervalState
from protoproof.prover.search.ceiling import ceiling
from protoproof.prover.search.deletion import by_worth, delete
from protoproof.prover.search.mixed import mixed, where_seen
from protoproof.prover.search.pairs import grow
from protoproof.prover.search.topk import topk
from protoproof.verdict import Status
from tests.support.examples import examples
from tests.support.strategies import random_instance, seeds

DOMAINS = pytest.mark.parametrize("domain", [Free(), Box(0.0, 1.0)], ids=["free", "box"])
# The final decision sees float64 enclosures of the facts, a shade wider than the values that the
# minimisers worked with, hence half the slack.
JUDGE = IntervalOracle(slack=5e-10)


def prepared(instance: Instance, domain: Domain) -> IntervalState:
    return IntervalOracle().prepare(instance, domain)


def proved(instance: Instance, domain: Domain, facts: FactSet) -> bool:
    decision = JUDGE.decide(JUDGE.prepare(instance, domain), facts)
    return decision.verdict.status is Status.PROVED


def clear(instance: Instance) -> bool:
    return bool((instance.margins > 1e-6).all())


@given(seeds)
@DOMAINS
def test_topk_is_the_least_k(domain: Domain, seed: int) -> None:
    instance = random_instance(seed)
    assume(clear(instance))
    facts = topk(prepared(instance, domain))
    assert facts is not None
    assert proved(instance, domain, facts)
    k = len(facts.activations)
    if k > 1:
        ranking = np.argsort(instance.measurement.min(axis=0), kind="stable")
        named = [int(j) for j in ranking[: k - 1]]
        fewer = FactSet(
            activations=tuple(activation_fact(instance, j) for j in named),
            ceilings=(ceiling_fact(instance, named[-1], named),),
        )
        decision = IntervalOracle(1e-8).decide(prepared(instance, domain), fewer)
        assert decision.verdict.status is not Status.PROVED


@given(seeds)
@DOMAINS
def test_ceiling_is_the_smallest_over_all_ceilings_and_names(domain: Domain, seed: int) -> None:
    instance = random_instance(seed, prototypes=6)
    assume(clear(instance))
    facts = ceiling(prepared(instance, domain))
    assert facts is not None
    assert len(facts.ceilings) == 1
    assert proved(instance, domain, facts)
    ranking = [int(j) for j in np.argsort(instance.measurement.min(axis=0), kind="stable")]
    strict = IntervalOracle(slack=1e-7)
    state = strict.prepare(instance, domain)
    for count in range(len(facts.activations)):
        for above in range(6):
            fact = ceiling_fact(instance, ranking[above], ranking[:above])
            for named in combinations(range(6), count):
                fewer = FactSet(
                    activations=tuple(activation_fact(instance, j) for j in named), ceilings=(fact,)
                )
                assert strict.decide(state, fewer).verdict.status is not Status.PROVED


@examples(25, 100)
@given(seeds)
@DOMAINS
def test_pairs_are_sufficient_and_none_can_go(domain: Domain, seed: int) -> None:
    instance = random_instance(seed)
    assume(clear(instance))
    state = prepared(instance, domain)
    assert grow(state)
    delete(state, by_worth(state))
    facts = FactSet(pairs=tuple(pair_fact(instance, location, j) for location, j in state.pairs))
    assert proved(instance, domain, facts)
    strict = IntervalOracle(slack=1e-7)
    fresh = strict.prepare(instance, domain)
    for fact in facts:
        assert strict.decide(fresh, facts.without(fact)).verdict.status is not Status.PROVED


def test_free_domain_needs_a_fact_at_every_location() -> None:
    """Over a free domain a location without facts can match any rival's prototype perfectly."""
    instance = next(i for i in map(random_instance, range(100)) if clear(i))
    state = prepared(instance, Free())
    assert grow(state)
    delete(state, by_worth(state))
    assert all(state.chosen)


@pytest.mark.parametrize("seed", range(3))
def test_naming_where_it_is_seen_never_costs_a_fact(seed: int) -> None:
    """What is named at its location still suffices, and names no more."""
    instance = random_instance(seed, prototypes=12, grid=(2, 3))
    state = IntervalOracle().prepare(instance, Free())
    facts = mixed(state)
    assert facts is not None
    there = where_seen(state, facts)
    assert state.decide(there).verdict.status is Status.PROVED
    assert len(there) == len(facts)
    assert {f.prototype for f in there.activations} <= {f.prototype for f in facts.activations}
