"""Tests stand alone: what they share lives in ``tests/support``, which no test module is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.sources import ROOT

TESTS = sorted((ROOT / "tests").glob("**/*.py"))
SHARED = ("tests.support", "tests.benchmarks", "tests.trust")  # the latter two are programs


def imported(path: Path) -> set[str]:
    """Every module of ``tests`` that a file imports, wherever the import stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] == "tests"}


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT / "tests")))
def test_only_builders_are_shared(path: Path) -> None:
    assert not [name for name in imported(path) if not name.startswith(SHARED)]


def test_builders_hold_no_tests() -> None:
    builders = list((ROOT / "tests" / "support").glob("**/*.py"))
    found = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in builders
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert not found
    assert not [path for path in builders if path.name.startswith(("test_", "conftest"))]
