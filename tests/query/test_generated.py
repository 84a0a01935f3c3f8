"""Generated queries with known answers: none is answered wrongly."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from protoproof.explanation.explainer import Explainer
from protoproof.network import load
from protoproof.query.decide import decide
from protoproof.query.language import parse_query
from tests.query.generated import KINDS, Case, cases, tiny


def answered(case: Case, explainer: Explainer) -> str:
    return decide(parse_query(case.text), explainer).word


def tried(first: int, count: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """How often which answer was given, and the cases with a wrong one."""

    @cache
    def explainer(network: int) -> Explainer:
        path = folder / f"{network}.onnx"
        path.write_bytes(tiny(network).model())
        return Explainer(load(path))

    found: Counter[str] = Counter()
    wrong: list[str] = []
    for number, case in enumerate(cases(first, count), first):
        word = answered(case, explainer(case.network))
        found[f"{case.kind}: {case.answer}, answered {word}"] += 1
        if word in ("sat", "unsat") and word != case.answer:
            wrong.append(f"{number} ({case.kind})")
    return found, wrong


@pytest.mark.trust(2, 11)
def test_no_generated_query_is_answered_wrongly(tmp_path: Path) -> None:
    found, wrong = tried(0, 2 * len(KINDS), tmp_path)
    assert not wrong
    decided = sum(n for words, n in found.items() if "unknown" not in words)
    assert decided >= 14, found


@pytest.mark.sweep
@pytest.mark.parametrize("first", range(20, 200, 20))
def test_nor_are_more(first: int, tmp_path: Path) -> None:
    assert not tried(first, 20, tmp_path)[1]
