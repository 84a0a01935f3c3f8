"""The vocabulary top-k means the k most activated prototypes and their ceiling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from protoproof.kernel import check
from tests.support.kernel.builders import file, topk_core
from tests.support.kernel.forging import HERE, MODEL, TOPK, edit, failed, forged

TOPK_FORGERIES: dict[str, Callable[[Any], None]] = {
    "exempt more than named": lambda core: core["facts"].pop(),
    "exempt less than named": edit("facts", 0, "exempt", value=lambda exempt: exempt[1:]),
    "exempt unsorted": edit("facts", 0, "exempt", value=lambda exempt: exempt[::-1]),
    "exempt out of range": edit("facts", 0, "exempt", value=lambda exempt: [*exempt, 5]),
    "two ceilings": edit("facts", value=lambda facts: [facts[0], *facts]),
    "no ceiling": edit("facts", value=lambda facts: facts[1:]),
    "ceiling only": edit("facts", value=lambda facts: [{**facts[0], "exempt": []}]),
}


@pytest.mark.parametrize("name", TOPK_FORGERIES)
def test_topk_means_the_k_most_activated(name: str) -> None:
    assert 6 in failed(forged(TOPK, TOPK_FORGERIES[name]))


def test_topk_may_not_skip_a_prototype() -> None:
    ranking = sorted(range(5), key=lambda j: HERE.best[j])
    named = [ranking[0], ranking[2], ranking[3]]
    facts = [HERE.ceiling(named[-1], named), *(HERE.activation(j) for j in named)]
    content = topk_core(HERE).model_copy(update={"facts": tuple(facts)})
    assert 6 in failed(check(file(content), MODEL))  # false too: the second exceeds the ceiling


def test_a_wrong_ceiling_value_is_not_topk() -> None:
    ranking = sorted(range(5), key=lambda j: HERE.best[j])
    named = ranking[:3]
    facts = [HERE.ceiling(ranking[1], named), *(HERE.activation(j) for j in named)]
    content = topk_core(HERE).model_copy(update={"facts": tuple(facts)})
    report = check(file(content), MODEL)
    assert "not the activation of the last" in report.obligations[5].detail


def test_a_widened_ceiling_is_never_tighter_than_the_last_named_one() -> None:
    """Else an explanation by two facts could be refused as too small by another that is proved."""
    ranking = sorted(range(5), key=lambda j: HERE.best[j])
    for above, wanted in ((2, False), (1, True)):
        facts = [HERE.ceiling(ranking[above], ranking[:2])]
        facts += [HERE.activation(j) for j in sorted(ranking[:2])]
        content = topk_core(HERE).model_copy(update={"facts": tuple(facts), "premises": "interval"})
        assert (6 in failed(check(file(content), MODEL))) is not wanted
