"""Inflated facts contain the observed ones, still suffice, and cannot be widened any more."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import assume, example, given

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import Envelope
from protoproof.data.dataset import load_data
from protoproof.explanation.explainer import Explainer
from protoproof.kernel import check
from protoproof.network import load
from protoproof.prover.latent.domain import Box, Domain, Free
from protoproof.prover.latent.facts import ActivationFact, CeilingFact, FactSet
from protoproof.prover.latent.observed import pair_fact
from protoproof.prover.oracle.interval import IntervalOracle, IntervalState
from protoproof.prover.proof.encode import certificate_core
from protoproof.prover.proof.ends import UNBOUNDED
from protoproof.prover.proof.inflation import inflate
from protoproof.prover.search.ceiling import ceiling
from protoproof.prover.search.search import candidates
from protoproof.prover.search.topk import topk
from protoproof.resources import zoo_path
from protoproof.verdict import Status
from tests.support.examples import examples
from tests.support.heads import SIMILARITIES
from tests.support.kernel import builders
from tests.support.strategies import random_instance, seeds
from tests.support.witnesses import instance_of, stored_facts

DOMAINS = pytest.mark.parametrize("domain", [Free(), Box(0.0, 1.0)], ids=["free", "box"])
PROPOSERS = pytest.mark.parametrize("propose", [topk, ceiling], ids=["topk", "ceiling"])


def proved(state: IntervalState, facts: FactSet) -> bool:
    return IntervalOracle(state.slack).decide(state, facts).verdict.status is Status.PROVED


def wider(facts: FactSet, share: float, limits: tuple[np.ndarray, np.ndarray]) -> list[FactSet]:
    """Every set with one end moved outwards, where there is room."""
    result = []
    for number, fact in enumerate(facts.activations):
        low, high = limits[0][fact.prototype], min(limits[1][fact.prototype], UNBOUNDED)
        changed = []
        if fact.lower > low:
            changed.append(
                ActivationFact(fact.prototype, max(low, fact.lower * (1 - share)), fact.upper)
            )
        if fact.upper < high:
            changed.append(
                ActivationFact(fact.prototype, fact.lower, min(high, fact.upper * (1 + share)))
            )
        for new in changed:
            others = facts.activations[:number] + facts.activations[number + 1 :]
            result.append(FactSet(facts.pairs, (*others, new), facts.ceilings))
    for step in facts.ceilings:
        if step.bound > 0:
            lower = CeilingFact(step.bound * (1 - share), step.exempt)
            others_ = tuple(other for other in facts.ceilings if other != step)
            result.append(FactSet(facts.pairs, facts.activations, (*others_, lower)))
    return result


@examples(10, 25)
@given(seeds)
@PROPOSERS
@DOMAINS
def test_as_wide_as_the_proof_allows(domain: Domain, propose: object, seed: int) -> None:
    instance = random_instance(seed)
    assume(bool((instance.margins > 1e-4).all()))
    state = IntervalOracle(1e-6).prepare(instance, domain)
    facts = propose(state, state.slack)  # type: ignore[operator]
    assume(facts is not None)
    inflated = inflate(state, facts)
    assert inflated == inflate(state, facts)
    for before, after in zip(facts.activations, inflated.activations, strict=True):
        assert after.prototype == before.prototype
        assert after.lower <= before.lower
        assert after.upper >= before.upper
    for low, high in zip(inflated.ceilings, facts.ceilings, strict=True):
        assert low.bound <= high.bound
    assert proved(state, inflated)
    for more in wider(inflated, 1e-3, state.seen()):
        assert not proved(state, more)


def test_what_no_margin_needs_goes_to_its_limit() -> None:
    """A prototype that only supports may come as near as it likes."""
    one_sided = 0
    for seed in range(20):
        instance = random_instance(seed, classes=2)
        if not (instance.margins > 1e-4).all():
            continue
        state = IntervalOracle(1e-6).prepare(instance, Free())
        facts = topk(state, state.slack)
        assert facts is not None
        for fact in inflate(state, facts).activations:
            weights = instance.margin_weights[:, fact.prototype]
            if (weights >= 0).all():
                assert fact.lower == 0.0
                one_sided += 1
    assert one_sided


def test_what_is_not_proved_stays_as_it_is() -> None:
    instance = random_instance(0)
    state = IntervalOracle().prepare(instance, Free())
    facts = FactSet(pairs=(pair_fact(instance, 0, 0),))
    assert inflate(state, facts) == facts


@examples(8, 20)
@given(seeds)
@example(34360)  # an activation fact that says less than a ceiling about another prototype
@pytest.mark.parametrize("similarity", SIMILARITIES)
@PROPOSERS
@DOMAINS
def test_the_checker_accepts_tiny_ones(
    domain: Domain, propose: object, similarity: str, seed: int
) -> None:
    here = builders.scene(seed, similarity=similarity)
    state = IntervalOracle(1e-6).prepare(instance_of(here), domain)
    facts = propose(state, state.slack)  # type: ignore[operator]
    assume(facts is not None)
    core = builders.core(
        here,
        stored_facts(inflate(state, facts)),
        "ceiling",
        box=isinstance(domain, Box),
        premises="interval",
    )
    report = check(builders.file(core), here.data)
    assert report.accepted, [o.detail for o in report.obligations if not o.passed]


@cache
def explainer(name: str) -> Explainer:
    return Explainer(load(zoo_path(name)))


@pytest.mark.parametrize("name", ["mnist-1x1", "mnist-7x7"])
@pytest.mark.parametrize("vocabulary", ["topk", "ceiling"])
def test_the_checker_accepts_those_of_trained_networks(name: str, vocabulary: str) -> None:
    known = explainer(name)
    for index in range(3):
        observation = known.network.observe(load_data("mnist5k").x_test[index])
        instance = known.instance(observation)
        found = next(candidates(instance, Free(), vocabulary, "exact"))  # type: ignore[arg-type]
        facts = inflate(found.state, found.facts)
        core = certificate_core(
            known.network, observation, Free(), vocabulary, facts, found.state
        ).model_copy(update={"premises": "interval"})
        report = check(canonical_bytes(Envelope(core=core)), known.model_file)
        assert report.accepted, [o.detail for o in report.obligations if not o.passed]
