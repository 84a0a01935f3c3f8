"""House rules that no linter knows: who prints, how long a file is, what a file may mention."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.sources import ROOT, product

LONGEST = 400  # lines of one source file
LONGEST_FUNCTION = 60  # from its name to its end, docstring included

SOURCES = product()

# what the repository holds at its top; anything else there is somebody's scratch file
TOP = (
    ".ci/**/*",
    ".github/**/*",
    "docs/**/*",
    "models/**/*",
    "specs/**/*",
    "tests/**/*",
    "verifier/**/*",
    ".gitignore",
    "*.md",
    "*.py",
    "*.toml",
    "LICENSE",
    "Makefile",
    "requirements.lock",
)
BINARY = {".npz", ".onnx", ".png", ".pyc", ".safetensors"}
MACHINE_PATH = re.compile(r"(?<![\w.~/])/(?:home|work|tmp|root|Users)/[\w.-]")

FAMILY = re.compile(
    r"proto[\s_-]*(?:p[\s_-]*)?(?:net|share|pool|tree|vit|solo|ecg|seg|knn)|\b(?:mg|st)[\s_-]*proto"
    r"|\b(?:pip|tes|mcp|pw|cbc|cabr)[\s_-]*net|\biaia|\b[a-z]*lvq\b|prototypical|hyperspherical"
    r"|case[\s_-]based|deformable",
    re.IGNORECASE,
)


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


SPEAKING = {
    "print",
    "exit",
    "quit",
    "sys.exit",
    "os._exit",
    "sys.stdout",
    "sys.stderr",
    "SystemExit",
    "typer",
}


def test_only_the_command_line_prints_or_exits() -> None:
    found = [
        f"{source.module}:{node.lineno} uses {_name(node)}"
        for source in SOURCES
        if source.module not in ("cli", "models.verbs") and source.room != "protoproof.cli"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Name | ast.Attribute) and _name(node) in SPEAKING
    ]
    assert not found, "\n".join(found)


def test_files_stay_readable() -> None:
    lengths = {source.module: len(source.text.splitlines()) for source in SOURCES}
    assert not {module: lines for module, lines in lengths.items() if lines > LONGEST}


def test_functions_stay_readable() -> None:
    long = {
        f"{source.module}.{node.name}"
        for source in SOURCES
        if source.room.startswith("protoproof")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    }
    assert not long


def test_every_module_says_what_it_is_for() -> None:
    silent = [s.module for s in SOURCES if s.tree.body and not ast.get_docstring(s.tree)]
    assert not silent


def _text_files() -> list[Path]:
    found = [path for pattern in TOP for path in sorted(ROOT.glob(pattern))]
    return [path for path in found if path.is_file() and path.suffix not in BINARY]


def test_no_file_mentions_a_machine() -> None:
    found = []
    for path in _text_files():
        text = path.read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            if MACHINE_PATH.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert not found, "\n".join(found)


def test_the_product_names_no_family() -> None:
    """Heads are points of one algebra; names of families belong to the zoo and its files, and to
    what reads checkpoints of their authors."""
    found = []
    importing = ROOT / "verifier" / "protoproof" / "importing"
    for path in sorted((ROOT / "verifier").rglob("*")):
        if importing in path.parents:
            continue
        if path.is_file() and path.suffix not in BINARY and "__pycache__" not in path.parts:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            places = enumerate([path.name, *lines])
            found += [f"{path.relative_to(ROOT)}:{n}" for n, line in places if FAMILY.search(line)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", [
    "ProtoPNet", "protopnet", "Proto-P-Net", "PIP-Net", "pipnet", "ProtoTree", "proto_tree",
    "TesNet", "ProtoPool", "ST-ProtoPNet", "MGProto", "ProtoViT", "ProtoSolo", "ProtoPShare",
    "EvalProtoPNet", "Deformable ProtoPNet", "IAIA-BL", "AudioProtoPNet", "ProtoECGNet", "LVQ",
    "HierProtoPNet", "MCPNet", "prototypical networks", "hyperspherical", "CaBRNet", "PW-Net",
    "ScaleProtoSeg", "case_based",
])  # fmt: skip
def test_families_are_recognised(name: str) -> None:
    assert FAMILY.search(f"    # as in {name}, whatever")


@pytest.mark.parametrize("word", ["protoproof", "prototype", "a prototype network", "hypersphere"])
def test_what_names_no_family(word: str) -> None:
    assert not FAMILY.search(word)


def test_machine_paths_are_recognised() -> None:
    assert MACHINE_PATH.search('open("' + "/" + 'home/someone/x")')
    assert not MACHINE_PATH.search("see docs" + "/" + "home/page or ~" + "/" + "work/x")
