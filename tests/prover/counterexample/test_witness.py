"""Every witness is accepted by the checker; facts that are not necessary never get one."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import assume, given, settings

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import Envelope
from protoproof.data.dataset import load_data
from protoproof.explanation.explainer import Explainer
from protoproof.kernel import check
from protoproof.network import load
from protoproof.prover.counterexample.feasible_set import Spheres
from protoproof.prover.counterexample.needed import Found
from protoproof.prover.counterexample.witness import find_witnesses, needed
from protoproof.prover.latent.domain import Box, Domain, Free
from protoproof.prover.latent.facts import FactSet, of_facts
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import activation_fact, ceiling_fact, pair_fact
from protoproof.prover.latent.replay import Replay
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.proof.encode import (
    certificate_core,
    stored_superfluous,
    stored_witnesses,
)
from protoproof.prover.search.ceiling import ceiling
from protoproof.prover.search.deletion import by_worth, delete
from protoproof.prover.search.pairs import grow
from protoproof.prover.search.search import Candidate, candidates
from protoproof.prover.search.topk import topk
from protoproof.resources import zoo_path
from protoproof.verdict import PROVED
from tests.support import heads
from tests.support.examples import examples
from tests.support.kernel import builders
from tests.support.strategies import make_instance, random_instance, seeds
from tests.support.witnesses import instance_of, stored_facts

DOMAINS = pytest.mark.parametrize("domain", [Free(), Box(0.0, 1.0)], ids=["free", "box"])
VOCABULARIES = pytest.mark.parametrize("vocabulary", ["pairs", "topk", "ceiling"])


def minimal(instance: Instance, domain: Domain, vocabulary: str) -> FactSet | None:
    """What the exact oracle cannot shrink, as the product proposes it."""
    state = IntervalOracle().prepare(instance, domain)
    if vocabulary != "pairs":
        return topk(state) if vocabulary == "topk" else ceiling(state)
    if not grow(state):
        return None
    delete(state, by_worth(state))
    return FactSet(pairs=tuple(pair_fact(instance, place, j) for place, j in state.pairs))


def as_tuples(found: tuple[Found, ...]) -> list[tuple[object, ...]]:
    return [
        (w.fact, w.rival, *((m.location, m.keep, m.direction.tobytes()) for m in w.moves))
        for w in found
    ]


@settings(max_examples=20)
@given(seeds)
@VOCABULARIES
@DOMAINS
@pytest.mark.trust(5)
def test_the_checker_accepts_every_witness(domain: Domain, vocabulary: str, seed: int) -> None:
    here = builders.scene(seed)
    instance = instance_of(here)
    # the builders prove pairs in free space only
    facts = minimal(instance, Free() if vocabulary == "pairs" else domain, vocabulary)
    assume(facts is not None)
    assert facts is not None
    found = find_witnesses(instance, domain, facts)
    core = builders.core(
        here,
        stored_facts(facts),
        vocabulary,
        box=isinstance(domain, Box),
        witnesses=stored_witnesses(found),
    )
    report = check(builders.file(core), here.data)
    (judged,) = [o for o in report.obligations if o.number == 10]
    assert judged.passed, judged.detail
    assert report.necessary == tuple(witness.fact for witness in found)


@settings(max_examples=10)
@given(seeds)
@VOCABULARIES
def test_the_checker_accepts_that_a_fact_too_many_is_superfluous(
    vocabulary: str, seed: int
) -> None:
    here = builders.scene(seed)
    instance = instance_of(here)
    least = minimal(instance, Free(), vocabulary)
    assume(least is not None)
    assert least is not None
    planted = pair_fact(instance, 0, 0)
    assume(planted not in set(least))
    facts = of_facts([*least, planted])
    known = needed(instance, Free(), facts)
    assert list(facts).index(planted) in known.spared
    assert not known.spared & set(known.found)
    core = builders.core(
        here,
        stored_facts(facts),
        "mixed",
        witnesses=stored_witnesses(known.witnesses),
        superfluous=stored_superfluous(instance, Free(), facts, known.spared),
    )
    report = check(builders.file(core), here.data)
    assert report.obligations[9].passed, report.obligations[9].detail
    assert {each.fact for each in core.superfluous} == known.spared


@settings(max_examples=20)
@given(seeds)
@VOCABULARIES
def test_witnesses_are_sought_without_chance(vocabulary: str, seed: int) -> None:
    instance = random_instance(seed)
    assume(bool((instance.margins > 1e-6).all()))
    facts = minimal(instance, Free(), vocabulary)
    assert facts is not None
    assert as_tuples(find_witnesses(instance, Free(), facts)) == as_tuples(
        find_witnesses(instance, Free(), facts)
    )


@examples(6, 20)
@given(seeds)
@DOMAINS
def test_a_redundant_fact_never_gets_one(domain: Domain, seed: int) -> None:
    """One fact more than suffices: without the planted one the rest is still an explanation."""
    instance = random_instance(seed)
    assume(bool((instance.margins > 1e-6).all()))
    facts = minimal(instance, domain, "pairs")
    assert facts is not None
    known = {(fact.location, fact.prototype) for fact in facts.pairs}
    spare = next((0, j) for j in range(8) if (0, j) not in known)
    planted = pair_fact(instance, *spare)
    more = FactSet(pairs=(*facts.pairs, planted))
    position = list(more).index(planted)
    assert position not in {witness.fact for witness in find_witnesses(instance, domain, more)}


def test_every_kind_of_fact_gets_one() -> None:
    """On random heads; how many is measured elsewhere, that there are any is not luck."""
    found = {"PairFact": 0, "ActivationFact": 0, "CeilingFact": 0}
    for seed in range(30):
        instance = random_instance(seed)
        if not (instance.margins > 1e-6).all():
            continue
        for vocabulary in ("pairs", "topk", "ceiling"):
            facts = minimal(instance, Free(), vocabulary)
            assert facts is not None
            for witness in find_witnesses(instance, Free(), facts):
                found[type(list(facts)[witness.fact]).__name__] += 1
    assert all(found.values()), found


@examples(8, 20)
@given(seeds)
def test_moved_latents_respect_the_box(seed: int) -> None:
    instance = random_instance(seed)
    assume(bool((instance.margins > 1e-6).all()))
    box = Box(0.0, 1.0)
    facts = minimal(instance, box, "pairs")
    assert facts is not None
    replay = Replay(instance, box)
    for witness in find_witnesses(instance, box, facts):
        assert replay.survives(facts, list(facts)[witness.fact], witness.rival, witness.moves)
        for move in witness.moves:
            if not move.keep:
                point = instance.latent[move.location] + move.direction
                assert ((point >= 0) & (point <= 1)).all()


def test_duplicate_prototypes_and_perfect_matches() -> None:
    """Two equal prototypes, and a latent that lies on one of them."""
    instance = random_instance(3, grid=(1, 1), prototypes=6)
    prototypes = instance.head.prototypes.copy()
    prototypes[3] = prototypes[0]
    head = heads.prototype_head(
        prototypes,
        instance.head.chain,
        instance.head.weight,
        instance.head.bias,
        None,
        (1, 1),
    )
    here = make_instance(head, prototypes[[1]])
    facts = FactSet(pairs=tuple(pair_fact(here, 0, j) for j in range(6) if j != 1))
    if IntervalOracle().decide(IntervalOracle().prepare(here, Free()), facts).verdict != PROVED:
        facts = FactSet(pairs=(*facts.pairs, pair_fact(here, 0, 1)))
    equal = {index for index, fact in enumerate(facts.pairs) if fact.prototype in (0, 3)}
    # either of two equal facts is implied by the other
    assert not equal & {witness.fact for witness in find_witnesses(here, Free(), facts)}
    pinned = FactSet(pairs=(pair_fact(here, 0, 0), pair_fact(here, 0, 1)))
    # at distance zero of prototype 1 there is one latent only, so the other fact says nothing
    assert 0 not in {witness.fact for witness in find_witnesses(here, Free(), pinned)}


def test_one_rival_or_none_left_by_the_ceiling() -> None:
    instance = random_instance(5, classes=2, prototypes=4)
    facts = FactSet(
        activations=tuple(activation_fact(instance, j) for j in range(4)),
        ceilings=(ceiling_fact(instance, 0, range(4)),),
    )
    # the ceiling exempts everybody: it says nothing, so it is never necessary
    assert 0 not in {witness.fact for witness in find_witnesses(instance, Free(), facts)}


@cache
def explainer() -> Explainer:
    return Explainer(load(zoo_path("mnist-1x1")))


def zoo_case(index: int, vocabulary: str) -> tuple[Instance, Candidate, object]:
    known = explainer()
    observation = known.network.observe(load_data("mnist5k").x_test[index])
    instance = known.instance(observation)
    found = next(candidates(instance, Free(), vocabulary, "auto"))  # type: ignore[arg-type]
    core = certificate_core(
        known.network, observation, Free(), vocabulary, found.facts, found.state
    )
    return instance, found, core


@pytest.mark.parametrize("vocabulary", ["pairs", "ceiling"])
def test_witnesses_of_a_trained_network(vocabulary: str) -> None:
    """On the trained network nearly every pair fact has a witness, and all are accepted."""
    facts = proved = 0
    for index in range(12):
        instance, candidate, core = zoo_case(index, vocabulary)
        found = find_witnesses(instance, Free(), candidate.facts)
        complete = core.model_copy(update={"witnesses": stored_witnesses(found)})  # type: ignore[attr-defined]
        report = check(canonical_bytes(Envelope(core=complete)), explainer().model_file)
        assert report.accepted
        assert report.necessary == tuple(witness.fact for witness in found)
        facts += len(candidate.facts)
        proved += len(found)
    assert proved >= (0.85 if vocabulary == "pairs" else 0.25) * facts


def test_no_witness_for_all_that_is_known() -> None:
    """With a fact about every prototype at one location, nothing there can be necessary twice."""
    instance = random_instance(1, grid=(1, 1), prototypes=8, channels=3)
    facts = FactSet(pairs=tuple(pair_fact(instance, 0, j) for j in range(8)))
    # four points span R^3, so each of eight facts is implied by the others
    assert find_witnesses(instance, Free(), facts) == ()
    assert not np.isnan(instance.margins).any()


@pytest.mark.parametrize("domain", [Free(), Box(0.0, 1.0)], ids=["free", "box"])
def test_aims_lie_on_the_spheres(domain: Domain) -> None:
    """Also those at prototypes that are kept: these have no nearest point on their sphere."""
    instance = random_instance(2, grid=(1, 1), prototypes=8, channels=12)
    prototypes, keep = instance.head.prototypes, [0, 3, 5]
    spheres = Spheres.around(prototypes, instance.latent, [keep], domain)
    middle = prototypes[keep].mean(axis=0, keepdims=True)
    aims = spheres.take(np.zeros(9, dtype=int)).polished(np.vstack([prototypes, middle]))
    kept = instance.head.measurement(aims)[:, keep]
    assert np.allclose(kept, instance.measurement[0, keep], rtol=1e-9, atol=0)
    # the search stays a millionth inside the box
    assert np.allclose(aims[keep], instance.latent[0], rtol=0, atol=1e-5)
