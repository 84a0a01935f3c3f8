"""Which tests carry which numbers of the trust list: read from the sources, without running any."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.support.sources import ROOT

PAGE = ROOT / "docs" / "trust.md"
COUNT = 55


def listed() -> dict[int, str]:
    """The properties, as the page says them."""
    lines = re.findall(r"^(\d+)\. (.+)$", PAGE.read_text(encoding="utf-8"), re.M)
    return {int(number): text for number, text in lines}


def carried() -> dict[int, list[str]]:
    """Per number, the tests that carry it."""
    found: dict[int, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for test, number in _marks(path):
            found.setdefault(number, []).append(f"{path.relative_to(ROOT)}::{test}")
    return found


def _marks(path: Path) -> list[tuple[str, int]]:
    return [
        (function.name, argument.value)
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef) and function.name.startswith("test_")
        for mark in function.decorator_list
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.trust"
        for argument in mark.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, int)
    ]
