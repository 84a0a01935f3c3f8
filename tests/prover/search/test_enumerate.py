"""All minimal explanations, contrastive sets and attribution, against exhaustive search."""

from __future__ import annotations

import itertools

import pytest

from protoproof.errors import UsageError
from protoproof.prover.counterexample.refute import Refuter
from protoproof.prover.latent.domain import Box, Free
from protoproof.prover.latent.facts import Fact, FactSet, of_facts
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.replay import Replay
from protoproof.prover.search.attribution import attribute
from protoproof.prover.search.contrastive import contrastive
from protoproof.prover.search.entailment import KINDS, decided
from protoproof.prover.search.enumerate import (
    Contrast,
    End,
    Item,
    Minimal,
    because,
    minimal_explanations,
)
from tests.support.strategies import random_instance

PROTOTYPES = 5


def tiny(seed: int) -> Instance:
    return random_instance(seed, prototypes=PROTOTYPES, channels=6, classes=2, grid=(1, 1))


def everything(instance: Instance) -> list[Fact]:
    return Refuter(instance, Free(), kinds=KINDS["pairs"]).elements()


def streamed(instance: Instance, limit: int = 99) -> list[Item]:
    return list(minimal_explanations(instance, Free(), "pairs", limit=limit))


def proved_minimal(instance: Instance) -> set[frozenset[Fact]]:
    """Sets that an oracle proves, and none of whose subsets it proves."""
    facts = everything(instance)
    found: list[frozenset[Fact]] = []
    for size in range(1, len(facts) + 1):
        for chosen in itertools.combinations(facts, size):
            known = frozenset(chosen)
            if not any(smaller <= known for smaller in found) and decided(
                instance, Free(), of_facts(chosen)
            ):
                found.append(known)
    return set(found)


def test_against_every_set() -> None:
    complete = 0
    for seed in range(8):
        instance = tiny(seed)
        items = streamed(instance)
        found = {frozenset(item.facts) for item in items if isinstance(item, Minimal)}
        expected = proved_minimal(instance)
        assert found <= expected
        end = items[-1]
        assert isinstance(end, End)
        if end.complete:
            complete += 1
            assert found == expected
            contrasts = [item for item in items if isinstance(item, Contrast)]
            for facts in found:
                # a complete enumeration shows that every fact is necessary
                assert set(because(of_facts(facts), contrasts)) == facts
    assert complete >= 3


def test_contrastive_sets_hit_every_explanation_and_none_is_superfluous() -> None:
    for seed in range(6):
        instance = tiny(seed)
        items = streamed(instance)
        explanations = [frozenset(item.facts) for item in items if isinstance(item, Minimal)]
        replay = Replay(instance, Free())
        facts = everything(instance)
        for item in items:
            if not isinstance(item, Contrast):
                continue
            released = frozenset(item.facts)
            kept = of_facts(fact for fact in facts if fact not in released)
            assert replay.survives(kept, None, item.refutation.rival, item.refutation.moves)
            assert all(released & explanation for explanation in explanations)
            for fact in released:
                assert any(explanation & released == {fact} for explanation in explanations)


def test_the_limit_is_honest() -> None:
    instance = next(
        tiny(seed)
        for seed in range(20)
        if sum(isinstance(item, Minimal) for item in streamed(tiny(seed))) >= 3
    )
    items = streamed(instance, limit=2)
    assert sum(isinstance(item, Minimal) for item in items) == 2
    end = items[-1]
    assert isinstance(end, End)
    assert not end.complete
    assert "limit" in end.reason
    found = attribute(everything(instance), items)
    assert (found.explanations, found.complete, found.irrelevant) == (2, False, None)


def test_no_time_finds_nothing_and_says_so() -> None:
    items = list(
        minimal_explanations(tiny(0), Free(), "pairs", limit=9, deadline=0.0, now=lambda: 1.0)
    )
    assert items == [End(False, 0, "out of time")]


def test_a_known_explanation_comes_first_and_early_contrasts_are_minimal() -> None:
    contrasts = 0
    for seed in range(8):
        instance = tiny(seed)
        plain = streamed(instance)
        first = next((item for item in plain if isinstance(item, Minimal)), None)
        if first is None:
            continue
        start = of_facts(everything(instance))
        items = list(
            minimal_explanations(instance, Free(), "pairs", limit=99, start=start, early=True)
        )
        assert isinstance(items[0], Minimal)
        found, known = (
            {frozenset(item.facts) for item in some if isinstance(item, Minimal)}
            for some in (items, plain)
        )
        ends = [item for some in (items, plain) for item in some if isinstance(item, End)]
        if all(end.complete for end in ends):
            assert found == known
        facts = everything(instance)
        for item in items:
            if not isinstance(item, Contrast):
                continue
            contrasts += 1
            kept = of_facts(fact for fact in facts if fact not in set(item.facts))
            replay = Replay(instance, Free())
            assert replay.survives(kept, None, item.refutation.rival, item.refutation.moves)
            assert all(frozenset(item.facts) & explanation for explanation in found)
    assert contrasts >= 5


def test_the_deadline_holds_inside_a_search() -> None:
    """The clock passes the deadline while a set is shrunk: what was found before is kept."""
    instance = random_instance(1, prototypes=80, channels=6, classes=2, grid=(1, 1))
    ticks = itertools.count()
    items = list(
        minimal_explanations(
            instance, Free(), "pairs", limit=9, deadline=20.0, now=lambda: float(next(ticks))
        )
    )
    assert items[-1] == End(False, 0, "out of time")
    assert next(ticks) < 40  # a full deletion asks more than 100 times


def test_shares_and_core_and_irrelevant_facts() -> None:
    seen_core = seen_irrelevant = False
    for seed in range(12):
        instance = tiny(seed)
        items = streamed(instance)
        facts = everything(instance)
        found = attribute(facts, items)
        sets = [frozenset(item.facts) for item in items if isinstance(item, Minimal)]
        for fact in facts:
            assert found.share(fact) == sum(fact in s for s in sets) / max(len(sets), 1)
        assert all(all(fact in s for s in sets) for fact in found.core)
        if found.complete:
            assert found.irrelevant is not None
            assert {fact for s in sets for fact in s} | set(found.irrelevant) == set(facts)
            seen_irrelevant |= bool(found.irrelevant)
        seen_core |= bool(found.core)
    assert seen_core
    assert seen_irrelevant


@pytest.mark.parametrize("domain", [Free(), Box(0.0, 1.0)], ids=["free", "box"])
def test_contrastive_latents_are_predicted_as_the_class(domain: Free | Box) -> None:
    shown = 0
    for seed in range(5):
        instance = random_instance(seed, prototypes=6, channels=8, classes=3, grid=(1, 1))
        for target in instance.rivals:
            found = contrastive(instance, domain, target)
            if found is None:
                continue
            shown += 1
            replay = Replay(instance, domain)
            assert replay.predicts(target, found.refutation.moves)
            kept = FactSet(
                pairs=tuple(
                    fact  # type: ignore[misc]
                    for fact in everything(instance)
                    if fact not in found.released
                )
            )
            assert replay.survives(kept, None, target, found.refutation.moves)
            assert any(change.effect > 0 for change in found.changes)
            assert all(a.effect >= b.effect for a, b in itertools.pairwise(found.changes))
            if found.minimal:
                for fact in found.released:
                    assert decided(instance, domain, of_facts([*kept, fact])) is not None
    assert shown >= 4


def test_a_contrast_to_the_predicted_class_is_refused() -> None:
    instance = tiny(0)
    with pytest.raises(UsageError, match="choose another"):
        contrastive(instance, Free(), instance.predicted)
