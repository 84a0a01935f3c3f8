"""Generated queries with known answers: none is answered wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.queries import KINDS, tried


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
