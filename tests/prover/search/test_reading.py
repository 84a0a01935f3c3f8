"""Sets that are short to read: the count itself, its place between equals, and before facts."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import assume, given

from models.heldout import heldout
from protoproof.explanation.explainer import Explainer
from protoproof.length import numbers, size_words
from protoproof.network import load
from protoproof.prover.latent.domain import Free
from protoproof.prover.latent.facts import ActivationFact, CeilingFact, PairFact
from protoproof.prover.latent.instance import Instance
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.search.greedy_cover import Cover
from protoproof.prover.search.names import Vocabulary
from protoproof.prover.search.reading import carried, length_of, raised, shortest
from protoproof.prover.search.search import candidates
from protoproof.resources import ZOO, zoo_path
from tests.support.examples import examples
from tests.support.strategies import random_instance, seeds

# heads that differ in what is searched: one location, a grid, cosines, a tree; all in the sweep
FEW = ("mnist-1x1", "mnist-gaussian", "mnist-cosine", "mnist-tree")
ANY = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in FEW else pytest.mark.sweep) for n in ZOO]
)


@cache
def instance_of(name: str) -> Instance:
    """One held-out sample of a zoo network."""
    known = Explainer(load(zoo_path(name)))
    return known.instance(known.network.observe(heldout(name, 1).x[0]))


def test_a_value_a_prototype_a_place_and_every_exemption_are_read() -> None:
    facts = [ActivationFact(3, 0.1, 0.1), PairFact(5, 3, 0.1, 0.2), CeilingFact(0.5, (1, 2, 9))]
    assert [numbers([fact], locations=49) for fact in facts] == [2, 3, 4]
    assert numbers(facts, locations=49) == 9
    assert numbers(facts, locations=1) == 8, "one location is no choice"
    assert size_words(1, 2) == "1 fact with 2 numbers"
    assert size_words(9, None) == "9 facts"


def covered(seed: int) -> Cover:
    instance = random_instance(seed, prototypes=9)
    assume(bool((instance.margins > 1e-6).all()))
    return Cover(IntervalOracle().prepare(instance, Free()), 1e-9)


@examples(25, 100)
@given(seeds)
def test_what_is_made_shorter_keeps_its_size_and_its_proof(seed: int) -> None:
    cover = covered(seed)
    everything = [*range(cover.count), *(cover.count + level for level in cover.levels)]
    assert cover.closes(everything)
    for ceilings in (True, False):
        chosen = cover.pruned(everything)
        short = raised(cover, chosen, ceilings=ceilings)
        assert cover.closes(short)
        assert len(short) == len(chosen)
        assert carried(cover, short).sum() <= carried(cover, chosen).sum()
        kept = sum(fact >= cover.count for fact in short)
        assert ceilings or kept == sum(fact >= cover.count for fact in chosen)


@examples(25, 100)
@given(seeds)
def test_few_numbers_prove_as_well_and_none_of_the_facts_can_go(seed: int) -> None:
    cover = covered(seed)
    everything = [*range(cover.count), *(cover.count + level for level in cover.levels)]
    known = cover.pruned(everything)
    found = shortest(cover, known)
    assert cover.closes(found)
    assert not any(cover.closes([f for f in found if f != fact]) for fact in found)
    least = int(carried(cover, found).sum())
    assert least <= carried(cover, known).sum()
    assert least == numbers(cover.facts(found), locations=1)


@ANY
@pytest.mark.parametrize("vocabulary", ["mixed", "ceiling"])
def test_reading_never_costs_numbers(name: str, vocabulary: Vocabulary) -> None:
    instance = instance_of(name)
    length = length_of(len(instance.measurement), reading=True)
    usual, short = (
        next(candidates(instance, Free(), vocabulary, "interval", reading=reading)).facts
        for reading in (False, True)
    )
    assert length(short) <= length(usual)


@ANY
def test_relational_never_needs_more_than_interval(name: str) -> None:
    instance = instance_of(name)
    if not instance.head.plain:
        pytest.skip("a head without relational bounds has the interval oracle's set")
    sizes = [
        len(next(candidates(instance, Free(), "pairs", oracle)).facts)
        for oracle in ("interval", "relational", "auto")
    ]
    assert sizes[1] <= sizes[0]
    assert sizes[2] == sizes[1]


@examples(25, 100)
@given(seeds)
def test_relational_never_needs_more_on_small_heads(seed: int) -> None:
    instance = random_instance(seed)
    assume(bool((instance.margins > 1e-6).all()))
    found = [next(candidates(instance, Free(), "pairs", o)) for o in ("interval", "relational")]
    assert len(found[1].facts) <= len(found[0].facts)
    assert np.all(found[1].state.margins(found[1].facts) > 0)
