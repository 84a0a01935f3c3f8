"""The product's source files and what each one imports, read from syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE_ROOT = ROOT / "verifier"


@dataclass(frozen=True)
class Import:
    """One imported module (full dotted name) and the line that asks for it."""

    target: str
    line: int


@dataclass(frozen=True)
class Source:
    """One file of the product; ``module`` is its dotted name, packages without ``__init__``."""

    path: Path
    module: str

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, str(self.path))

    @property
    def room(self) -> str:
        """``protoproof.network`` for all that is in it; ``models``; a top module's name."""
        parts = self.module.split(".")
        return ".".join(parts[:2]) if parts[0] == "protoproof" else parts[0]

    def imports(self) -> Iterator[Import]:
        """Every import, wherever it stands: nested, type checking only, or by name at run time."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(alias.name, node.lineno)
            elif isinstance(node, ast.ImportFrom):
                base = self._absolute(node)
                for alias in node.names:
                    inner = f"{base}.{alias.name}"
                    yield Import(inner if is_module(inner) else base, node.lineno)
            elif isinstance(node, ast.Call) and _imports_by_name(node.func):
                argument = node.args[0] if node.args else None
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield Import(argument.value, node.lineno)
                else:
                    yield Import("<computed>", node.lineno)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.module.split(".")
        if self.path.name != "__init__.py":
            package = package[:-1]
        package = package[: len(package) - node.level + 1]
        return ".".join([*package, *([node.module] if node.module else [])])


def _imports_by_name(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in {"import_module", "__import__"}


def is_module(name: str) -> bool:
    """Whether the dotted name is a file or package of the product."""
    return any(
        path.is_dir() or path.with_suffix(".py").is_file()
        for path in (root.joinpath(*name.split(".")) for root in (SOURCE_ROOT, ROOT))
    )


def product() -> list[Source]:
    """Every Python file of ``verifier/`` and ``models/``, and the shim ``cli.py``."""
    paths = [*SOURCE_ROOT.glob("**/*.py"), *ROOT.glob("models/**/*.py"), ROOT / "cli.py"]
    return [Source(path, _module(path)) for path in sorted(paths)]


def _module(path: Path) -> str:
    root = SOURCE_ROOT if path.is_relative_to(SOURCE_ROOT) else ROOT
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
