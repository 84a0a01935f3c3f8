"""What the prover calls proved for heads of every kind, the checker's rules prove as well."""

from __future__ import annotations

import pytest

from protoproof.prover.proof.encode import core_of
from protoproof.prover.proof.inflation import inflate
from protoproof.prover.search.names import WORDS
from protoproof.prover.search.search import candidates
from tests.support.algebra import NAMES, case
from tests.support.examples import one_and_more
from tests.support.twins import complaints, identity, proved, twin

SEEDS = range(2)


@one_and_more(SEEDS)
@pytest.mark.parametrize("vocabulary", WORDS)
@pytest.mark.parametrize("name", NAMES)
def test_the_checker_s_rules_prove_what_the_prover_calls_proved(
    name: str, vocabulary: str, seed: int
) -> None:
    made = case(name, seed)
    found = next(iter(candidates(made.instance, made.domain, vocabulary, "interval")), None)
    if found is None:
        return
    core = core_of(identity(made.head), "0" * 64, made.domain, vocabulary, found.facts, found.state)
    head = twin(made.head)
    assert list(complaints(head, core, made.instance)) == []
    assert [margin.sign for margin in proved(head, core)] == [1] * len(core.rivals)


@pytest.mark.parametrize("vocabulary", WORDS)
@pytest.mark.parametrize("name", NAMES)
def test_widened_facts_are_proved_as_well(name: str, vocabulary: str) -> None:
    made = case(name, 1)
    found = next(iter(candidates(made.instance, made.domain, vocabulary, "interval")), None)  # type: ignore[arg-type]
    if found is None:
        return
    intervals = found.state.intervals
    intervals.adopt(found.facts)
    facts = inflate(intervals, found.facts)
    for wide, narrow in zip(facts.activations, found.facts.activations, strict=True):
        assert wide.lower <= narrow.lower
        assert narrow.upper <= wide.upper
    for wide, narrow in zip(facts.ceilings, found.facts.ceilings, strict=True):
        assert wide.bound <= narrow.bound
    model = identity(made.head)
    core = core_of(model, "0" * 64, made.domain, vocabulary, facts, found.state)
    core = core.model_copy(update={"premises": "interval"})
    head = twin(made.head)
    assert list(complaints(head, core, made.instance)) == []
    assert [margin.sign for margin in proved(head, core)] == [1] * len(core.rivals)
