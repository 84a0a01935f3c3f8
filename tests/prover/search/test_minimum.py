"""Smallest explanations: bounds that exhaustive search agrees with, and results cut short."""

from __future__ import annotations

import itertools
from typing import Literal

import numpy as np
import pytest

from protoproof.prover.counterexample.refute import Refuter
from protoproof.prover.latent.domain import Box, Domain, Free
from protoproof.prover.latent.facts import CeilingFact, FactSet, of_facts
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import ceilings_of
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.oracle.relational import RelationalOracle
from protoproof.prover.search.entailment import KINDS, by_cases
from protoproof.prover.search.minimum import Minimum, minimum
from protoproof.prover.search.names import Vocabulary
from protoproof.prover.search.search import Candidate, candidates
from protoproof.prover.search.survivors import alike
from protoproof.verdict import Status
from tests.support.strategies import random_instance

Word = Literal["pairs", "ceiling", "topk", "mixed"]
WORDS: tuple[Word, ...] = ("pairs", "ceiling", "topk", "mixed")


def tiny(seed: int, grid: tuple[int, int] = (1, 1)) -> Instance:
    return random_instance(seed, prototypes=4, channels=3, classes=2, grid=grid)


def started(instance: Instance, domain: Domain, vocabulary: Vocabulary) -> Candidate | None:
    return next(iter(candidates(instance, domain, vocabulary, "auto")), None)


def proved(instance: Instance, domain: Domain, facts: FactSet) -> bool:
    return any(
        o.decide(o.prepare(instance, domain), facts).verdict.status is Status.PROVED  # type: ignore[attr-defined]
        for o in (IntervalOracle(), RelationalOracle())
    ) or (domain == Free() and isinstance(by_cases(instance, domain, facts), Candidate))


def smallest_proved(instance: Instance, domain: Domain, vocabulary: Vocabulary) -> int:
    """Least size of all sets of the vocabulary that an oracle proves."""
    refuter = Refuter(instance, domain, kinds=KINDS[vocabulary])
    elements = refuter.elements()
    ceilings: list[CeilingFact | None] = [None]
    if vocabulary == "ceiling":
        ceilings = list(ceilings_of(instance))
    for size in range(1, len(elements) + 2):
        for ceiling in ceilings:
            count = size - (ceiling is not None)
            for chosen in itertools.combinations(elements, count):
                listed = [*chosen] if ceiling is None else [*chosen, ceiling]
                if proved(instance, domain, of_facts(listed)):
                    return size
    raise AssertionError


@pytest.mark.parametrize("domain", [Free(), Box(0.0, 1.0)], ids=["free", "box"])
@pytest.mark.parametrize("vocabulary", ["pairs", "ceiling"])
@pytest.mark.trust(5)
def test_bounds_against_every_set(vocabulary: Vocabulary, domain: Domain) -> None:
    decided = 0
    for seed in range(1, 6):
        instance = tiny(seed)
        start = started(instance, domain, vocabulary)
        if start is None:
            continue
        found = minimum(instance, domain, vocabulary, start)
        least = smallest_proved(instance, domain, vocabulary)
        assert found.lower <= least
        assert len(found.best.facts) <= len(start.facts)
        assert proved(instance, domain, found.best.facts)
        if found.finished:
            assert len(found.best.facts) == least
            assert not found.reason
            decided += 1
    assert decided >= 2


@pytest.mark.parametrize("seed", [0, *(pytest.param(k, marks=pytest.mark.sweep) for k in (1, 2))])
@pytest.mark.parametrize("vocabulary", WORDS)
@pytest.mark.parametrize("grid", [(1, 1), (1, 2)])
def test_every_refutation_meets_no_explanation(
    vocabulary: Vocabulary, seed: int, grid: tuple[int, int]
) -> None:
    """A clause that a proved set misses would be a contradiction."""
    instance = tiny(seed, grid)
    start = started(instance, Free(), vocabulary)
    if start is None:
        return
    found = minimum(instance, Free(), vocabulary, start)
    assert found.lower <= len(found.best.facts)
    if found.proof is None:
        return
    refuter = Refuter(instance, Free(), kinds=KINDS[vocabulary])
    for facts in (start.facts, found.best.facts):
        for refutation in found.proof.refutations:
            assert refuter.replay.broken(facts, refutation.moves)


def test_of_one_location_pairs_and_activations_are_one() -> None:
    """Every latent breaks both or none, and a set of one and a ceiling is one of the search's."""
    instance = random_instance(1, prototypes=6, channels=8, classes=3, grid=(1, 1))
    refuter = Refuter(instance, Free(), kinds=KINDS["mixed"])
    elements = refuter.elements()
    members, member_of = alike(elements)
    assert members == [*range(6), *range(12, 18)]
    assert member_of == [*range(6), *range(12)]
    found = refuter.narrow(of_facts([elements[0], elements[14]]), np.zeros(6))
    assert found is not None
    assert not found.violated & {elements[0], elements[6], elements[14]}
    broken = [elements.index(fact) for fact in found.violated if not isinstance(fact, CeilingFact)]
    assert sorted(broken) == sorted({j % 6 for j in broken} | {j % 6 + 6 for j in broken})


def test_growing_keeps_a_refutation_and_violates_less() -> None:
    for seed in range(4):
        instance = random_instance(seed, prototypes=8, channels=12, classes=3, grid=(1, 1))
        refuter = Refuter(instance, Free(), kinds=KINDS["pairs"])
        (found,) = refuter.refute([FactSet()])
        assert found is not None
        grown = refuter.grow(FactSet(), found)
        assert grown.violated < found.violated
        assert refuter.replay.survives(FactSet(), None, grown.rival, grown.moves)


def test_equal_runs_agree() -> None:
    def run() -> Minimum:
        instance = random_instance(3, prototypes=8, channels=10, classes=3, grid=(1, 1))
        start = started(instance, Free(), "pairs")
        assert start is not None
        return minimum(instance, Free(), "pairs", start)

    first, second = run(), run()
    assert (first.lower, first.best.facts, first.reason) == (
        second.lower,
        second.best.facts,
        second.reason,
    )
    assert (first.proof is None) == (second.proof is None)
    if first.proof is not None and second.proof is not None:
        assert first.proof.covers == second.proof.covers


def test_time_that_is_over_keeps_the_start() -> None:
    instance = tiny(2)
    start = started(instance, Free(), "pairs")
    assert start is not None
    found = minimum(instance, Free(), "pairs", start, deadline=0.0, now=lambda: 1.0)
    assert found.best == start
    assert (found.lower, found.proof, found.reason) == (0, None, "out of time")


def test_progress_narrows_the_gap() -> None:
    gaps: list[tuple[int, int]] = []
    instance = random_instance(3, prototypes=8, channels=10, classes=3, grid=(1, 1))
    start = started(instance, Free(), "pairs")
    assert start is not None
    found = minimum(
        instance, Free(), "pairs", start, progress=lambda low, size: gaps.append((low, size))
    )
    assert gaps == sorted(gaps, key=lambda gap: (gap[0], -gap[1]))
    assert not gaps or gaps[-1] == (found.lower, len(found.best.facts))
