"""No test measures a machine: what limits time is the program, in steps that are counted."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.sources import ROOT

TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
WALLS = {"time.time", "time.monotonic", "time.perf_counter"}
ROOM = 20.0  # processor seconds; what is asked takes a hundredth, and a hang takes for ever


def limits(path: Path) -> list[tuple[int, str]]:
    """Comparisons of a test that ask for less time than something: line and text."""
    return [
        (node.lineno, ast.unparse(node))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Lt | ast.LtE)
        if any(f"{clock}()" in ast.unparse(node.left) for clock in (*WALLS, "time.process_time"))
    ]


@pytest.mark.trust(54)
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_nothing_has_to_be_done_in_a_hurry(path: Path) -> None:
    for line, text in limits(path):
        assert "process_time" in text, f"{path.name}:{line} looks at the clock on the wall"
        assert float(text.rsplit("<", 1)[1].strip(" =")) >= ROOM, f"{path.name}:{line}: {text}"


def test_a_hurry_is_found(tmp_path: Path) -> None:
    path = tmp_path / "test_it.py"
    path.write_text("import time\nassert time.monotonic() - t < 3\nassert time.time() >= 1\n")
    assert limits(path) == [(2, "time.monotonic() - t < 3")]
