"""Superfluous facts: what the others do without is proved again for each, or not accepted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from protoproof.certificate.schema import (
    Core,
    Fact,
    IntervalEvidence,
    PairFact,
    Superfluous,
)
from protoproof.kernel import check
from protoproof.kernel.claims import words
from tests.support.kernel.builders import Scene, core, few_pairs, file, float_margins, scene
from tests.support.kernel.forging import failed, forged, verdict
from tests.support.kernel.moves import with_witnesses


def evidence_of(here: Scene, facts: list[Fact]) -> IntervalEvidence:
    """What proves the margins from facts, as far as intervals do."""
    return core(here, facts, "mixed").evidence


def without(here: Scene, content: Core, index: int) -> Core:
    """The same, with the claim that the other facts do without one."""
    others = [fact for number, fact in enumerate(content.facts) if number != index]
    entry = Superfluous(fact=index, evidence=evidence_of(here, others))
    return content.model_copy(update={"superfluous": (*content.superfluous, entry)})


def generous(seed: int) -> tuple[Scene, list[list[int]]]:
    """Pair facts that suffice, and one more at every location."""
    here = scene(seed, grid=(1, 2), count=5, channels=5, classes=3)
    named = [list(chosen) for chosen in few_pairs(here)]
    for chosen in named:
        chosen += [j for j in range(5) if j not in chosen][:1]
    return here, named


CASES = {seed: generous(seed) for seed in range(6)}


def pair_facts(here: Scene, named: list[list[int]]) -> list[Fact]:
    return [here.pair(location, j) for location, chosen in enumerate(named) for j in chosen]


def spare_ones(here: Scene, named: list[list[int]]) -> dict[int, bool]:
    """By the number of the fact: whether float64 intervals prove the margins without it."""
    found = {}
    for number, fact in enumerate(pair_facts(here, named)):
        assert isinstance(fact, PairFact)
        fewer = [list(chosen) for chosen in named]
        fewer[fact.location].remove(fact.prototype)
        least = float_margins(here, fewer).min()
        if abs(least) > 1e-6:
            found[number] = bool(least > 0)
    return found


@pytest.mark.parametrize("seed", CASES)
def test_exactly_those_are_superfluous_that_the_rules_of_sufficiency_prove(seed: int) -> None:
    here, named = CASES[seed]
    content = core(here, pair_facts(here, named), "pairs")
    for index, spare in spare_ones(here, named).items():
        report = check(file(without(here, content, index)), here.data)
        assert report.accepted is spare, report.failures
        if spare:
            assert report.superfluous == (index,)
            assert f"superfluous:{index}" in words(report.claims)
        else:
            assert report.status == "incomplete"
            assert f"without fact {index}" in report.obligations[9].detail


def test_both_answers_occur() -> None:
    answers = {spare for case in CASES.values() for spare in spare_ones(*case).values()}
    assert answers == {True, False}


@pytest.mark.parametrize("case", [(seed, box) for seed in range(4) for box in (False, True)])
def test_a_necessary_fact_is_never_superfluous(case: tuple[int, bool]) -> None:
    """A latent meets the others and loses: whatever were proved, it would be false."""
    here, content = with_witnesses(*case)
    for witness in content.witnesses:
        assert not check(file(without(here, content, witness.fact)), here.data).met


HERE, NAMED = next(case for case in CASES.values() if any(spare_ones(*case).values()))
INDEX = next(index for index, spare in spare_ones(HERE, NAMED).items() if spare)
HONEST = without(HERE, core(HERE, pair_facts(HERE, NAMED), "pairs"), INDEX)
DOCUMENT = json.loads(file(HONEST))


def first(core: Any) -> Any:
    return core["superfluous"][0]


def foreign(core: Any) -> None:
    """Evidence that speaks about the very fact that is left out."""
    first(core)["evidence"] = core["evidence"]


FORGERIES: dict[str, Callable[[Any], None]] = {
    "no such fact": lambda core: first(core).update(fact=len(core["facts"])),
    "listed twice": lambda core: core["superfluous"].append(first(core)),
    "evidence about the fact itself": foreign,
}


def test_the_honest_one_is_accepted() -> None:
    assert verdict(DOCUMENT).superfluous == (INDEX,)


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_entries_are_rejected(name: str) -> None:
    report = forged(DOCUMENT, FORGERIES[name])
    assert report.status == "rejected"
    assert failed(report) == [10]


def test_another_fact_s_evidence_proves_nothing_of_this_one() -> None:
    needed = next(index for index, spare in spare_ones(HERE, NAMED).items() if not spare)
    report = forged(DOCUMENT, lambda core: first(core).update(fact=needed))
    assert not report.met


def test_numbers_are_spelled_canonically_there_too() -> None:
    def unspelled(core: Any) -> None:
        core["superfluous"][0]["evidence"]["implied"] = [
            {"prototype": 0, "via": 1, "stretch": "0x2.0p+0"}
        ]

    assert 1 in failed(forged(DOCUMENT, unspelled))
