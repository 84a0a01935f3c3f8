"""The relational oracle against its laws, the exact oracle, and latents that meet the facts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from protoproof.prover.latent.domain import Box, Domain, Free
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import activation_fact, ceiling_fact
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.oracle.relational import RelationalOracle, RelationalState
from protoproof.prover.search.deletion import by_worth, delete
from protoproof.prover.search.pairs import grow
from protoproof.verdict import Status
from tests.support.examples import examples
from tests.support.heads import SIMILARITIES, similarity
from tests.support.strategies import (
    Sphere,
    make_instance,
    margins_at,
    random_instance,
    seeds,
    some_pairs,
)

DOMAINS = pytest.mark.parametrize("domain", [Free(), Box(0.0, 1.0)], ids=["free", "box"])
KINDS = pytest.mark.parametrize("kind", SIMILARITIES)
GRIDS = ((1, 1), (2, 2))


def instance_with(seed: int, kind: str = "log_ratio") -> Instance:
    instance = random_instance(seed, grid=GRIDS[seed % 2])
    head = replace(instance.head, chain=similarity(kind))
    return make_instance(head, instance.latent)


def all_margins(
    instance: Instance, domain: Domain, facts: FactSet, *, at_facts: bool = False
) -> np.ndarray:
    """The relational bound of every margin, also where intervals would do."""
    oracle = RelationalOracle(np.inf, at_facts)
    return oracle.decide(oracle.prepare(instance, domain), facts).margins


@given(seeds)
@KINDS
@pytest.mark.parametrize("at_facts", [False, True])
def test_no_latent_on_the_spheres_beats_the_bound(at_facts: bool, kind: str, seed: int) -> None:
    instance = instance_with(seed, kind)
    facts = some_pairs(instance, seed)
    margins = all_margins(instance, Free(), facts, at_facts=at_facts)
    rng = np.random.default_rng(seed)
    spheres = [
        Sphere(
            instance.latent[location],
            instance.head.prototypes[[fact.prototype for fact in facts.at(location)]],
        ).sample(rng, 80)
        for location in range(len(instance.latent))
    ]
    for latent in np.stack(spheres, axis=1):
        # a squared distance is good to 1e-13 here; the similarity's slope is at most 1/eps = 1e4
        assert (margins_at(instance, latent) >= margins - 1e-8).all()
    assert (margins <= instance.margins + 1e-8).all()


@examples(25, 100)
@given(seeds)
@DOMAINS
@KINDS
def test_never_looser_than_exact(kind: str, domain: Domain, seed: int) -> None:
    instance = instance_with(seed, kind)
    facts = some_pairs(instance, seed)
    oracle = IntervalOracle()
    exact = oracle.decide(oracle.prepare(instance, domain), facts).margins
    assert (all_margins(instance, domain, facts) >= exact - 1e-12).all()


def test_often_tighter_than_exact() -> None:
    gains = []
    for seed in range(40):
        instance = instance_with(seed)
        facts = some_pairs(instance, seed)
        oracle = IntervalOracle()
        exact = oracle.decide(oracle.prepare(instance, Free()), facts).margins
        gains.append((all_margins(instance, Free(), facts) - exact).max())
    assert np.mean(np.array(gains) > 1e-3) > 0.5


def deviations(instance: Instance, domain: Domain, facts: FactSet) -> tuple[float, float]:
    """How much a dropped fact raises a bound, and how much the order of the facts changes one."""
    full = all_margins(instance, domain, facts)
    raised = max(
        float((all_margins(instance, domain, facts.without(f)) - full).max()) for f in facts
    )
    state = RelationalOracle(np.inf).prepare(instance, domain)
    for location in range(len(instance.latent)):
        state.set_location(location, [fact.prototype for fact in facts.at(location)][::-1])
    return raised, float(np.abs(state.margins() - full).max())


@given(seeds)
def test_monotone_and_independent_of_order(seed: int) -> None:
    instance = instance_with(seed)
    raised, changed = deviations(instance, Free(), some_pairs(instance, seed))
    # tangents are optimised by a few steps only, hence the tolerance
    assert raised <= 1e-2
    assert changed <= 1e-9


@pytest.mark.parametrize("count", [20, pytest.param(60, marks=pytest.mark.sweep)])
def test_nearly_monotone_and_independent_of_order_over_a_box(count: int) -> None:
    """There the multipliers are optimised too, by a few steps from a start that may be poor."""
    found = []
    for seed in range(count):
        instance = instance_with(seed)
        found.append(deviations(instance, Box(0.0, 1.0), some_pairs(instance, seed)))
    raised, changed = np.array(found).T
    assert np.mean(raised > 1e-2) <= 0.05
    assert np.mean(changed > 1e-2) <= 0.05


@given(seeds)
def test_the_quick_answer_is_the_answer(seed: int) -> None:
    instance = instance_with(seed)
    state = RelationalOracle().prepare(instance, Free())
    for fact in some_pairs(instance, seed):
        state.set_location(fact.location, [*state.known[fact.location].facts, fact.prototype])
    margins = state.margins()
    if np.abs(margins).min() > 1e-6:
        assert state.suffices() == (margins > state.slack).all()


@pytest.mark.parametrize("seed", range(10))
def test_deletion_goes_on_where_the_exact_oracle_ends(seed: int) -> None:
    instance = instance_with(seed)
    exact = IntervalOracle().prepare(instance, Free())
    assert grow(exact)
    delete(exact, by_worth(exact))
    state = RelationalState(instance, Free(), exact.slack)
    for location, prototypes in enumerate(exact.chosen):
        state.set_location(location, prototypes)
    before = state.pairs
    delete(state, by_worth(exact))
    assert set(state.pairs) <= set(before)
    assert state.suffices()
    assert (state.margins() > 0).all()


@given(seeds)
def test_facts_of_all_kinds_together(seed: int) -> None:
    instance = instance_with(seed)
    named = [int(j) for j in np.argsort(instance.measurement.min(axis=0))[:3]]
    facts = FactSet(
        pairs=some_pairs(instance, seed).pairs,
        activations=tuple(activation_fact(instance, j) for j in named),
        ceilings=(ceiling_fact(instance, named[-1], named),),
    )
    decisions = [
        oracle.decide(oracle.prepare(instance, Free()), facts)
        for oracle in (IntervalOracle(), RelationalOracle())
    ]
    assert (decisions[1].margins >= decisions[0].margins - 1e-9).all()
    assert (instance.margins >= decisions[1].margins - 1e-9).all()


def test_nothing_known_is_not_proved() -> None:
    instance = instance_with(4)
    oracle = RelationalOracle()
    decision = oracle.decide(oracle.prepare(instance, Free()), FactSet())
    assert decision.verdict.status is Status.UNKNOWN


def test_a_latent_on_a_prototype() -> None:
    """q = 0 and nothing left free: the sphere is one point, the bound the margin itself."""
    instance = instance_with(2)
    latent = instance.head.prototypes[[1] * len(instance.latent)]
    here = make_instance(instance.head, latent)
    oracle = RelationalOracle(np.inf)
    state = oracle.prepare(here, Free())
    for location in range(len(latent)):
        state.set_location(location, [1])
    np.testing.assert_allclose(state.margins(), here.margins, rtol=0, atol=1e-6)
