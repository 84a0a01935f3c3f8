"""The documents: what they tell to type is typed, what they link to is there, the site is built."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from models.verbs import add_training
from protoproof.cli.app import VERBS, program
from tests.support.cli import protoproof
from tests.support.console import Command, commands
from tests.support.sources import ROOT

DOCUMENTS = sorted(
    path
    for place in ("*.md", "docs/*.md", "specs/*.md", "examples/*.md", "verifier/formal/*.md")
    for path in ROOT.glob(place)
)
PAGES = sorted(page.name for page in (ROOT / "docs").glob("*.md"))
TYPED = [name for name in PAGES if any(commands(ROOT / "docs" / name))]
# what `vnnlib supports` is asked, in the words of the standard
STANDARD = {"--hidden-node-theories"}
# a page's commands build on one another; these pages' are the slowest
LONG = ("gate.md", "vnnlib.md")
QUICK = [name for name in TYPED if name not in LONG]
SLOW = [pytest.param(name, marks=pytest.mark.sweep) for name in LONG]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that looks like the root of a checkout, in which files may be written."""
    for name in ("models", "specs", "examples", "verifier"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def test_pages_have_sessions() -> None:
    assert {"index.md", "read-a-certificate.md", "gate.md", "your-network.md"} <= set(TYPED)


@pytest.mark.parametrize("name", [*QUICK, *SLOW])
def test_what_a_page_tells_to_type_does_what_it_says(name: str, checkout: Path) -> None:
    for command in commands(ROOT / "docs" / name):
        where = f"docs/{name}:{command.line}: {command.text}"
        code, printed = _typed(command, checkout)
        assert code == command.exit, f"{where}\n{printed}"
        assert command.prints(printed), f"{where}\n{printed}"


def _typed(command: Command, checkout: Path) -> tuple[int, str]:
    """The exit code and output of one line; the tool itself in this process, which is quicker."""
    words = shlex.split(command.text)
    if words[0] == "protoproof":
        result = protoproof(*words[1:], cwd=checkout)
        return result.code, result.out + result.err
    done = subprocess.run(  # noqa: S602  # a line of our own documents
        command.text, shell=True, capture_output=True, text=True, check=False, cwd=checkout
    )
    return done.returncode, done.stdout + done.stderr


def _asked(document: Path) -> Iterator[tuple[str, str]]:
    """Verbs and options of every command line that a document shows, in a block or in a line."""
    text = document.read_text(encoding="utf-8")
    lines = re.findall(r"(?:protoproof|cli\.py) +([a-z][a-z-]+)([^`\n]*)", text)
    inside = re.findall(r"`([a-z][a-z-]+) ([^`]*--[^`]*)`", text)
    for verb, rest in [*lines, *(each for each in inside if each[0] in VERBS)]:
        said = rest.split(" # ")[0]
        yield verb, ""
        yield from ((verb, option) for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", said))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_verbs_and_options_that_a_document_shows_exist(
    document: Path, options: Mapping[str, set[str]]
) -> None:
    unknown = {
        (verb, option)
        for verb, option in _asked(document)
        if verb in options and option and option not in options[verb] | STANDARD
    }
    assert not unknown


def test_options_are_found_in_blocks_and_in_lines() -> None:
    found = set(_asked(ROOT / "README.md"))
    assert {("gate", "--baseline"), ("certify", "--region"), ("explain", "--domain")} <= found
    assert len(found) > 60


@pytest.fixture(scope="module")
def options() -> Mapping[str, set[str]]:
    """What every verb takes, a checkout's verbs too."""
    command: Any = get_command(program((), add_training))
    return {
        name: {"--help"}
        | {option for p in verb.params for option in (*p.opts, *p.secondary_opts)}
        | {
            option
            for inner in getattr(verb, "commands", {}).values()
            for p in inner.params
            for option in p.opts
        }
        for name, verb in command.commands.items()
    }


def test_a_wrong_output_is_noticed() -> None:
    command = Command(1, "protoproof", 0, "...\nclaim    sufficient\n...")
    assert command.prints("x\nclaim sufficient\ny")
    assert not command.prints("x\nclaim necessary\ny")
    assert not Command(1, "protoproof", 0, "accepted").prints("not accepted")


def test_the_readme_s_python_runs(checkout: Path) -> None:
    """With a smaller network, and without the region: those are what takes long."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text.split("```python\nimport numpy", 1)[1].split("```", 1)[0]
    known: dict[str, object] = {}
    lines = block.split("region =", 1)[0].replace("mnist-7x7", "mnist-1x1")
    exec("import numpy" + lines, known)  # noqa: S102  # our own lines
    assert (checkout / "digit.cert.json").is_file()
    assert getattr(known["report"], "accepted") is True  # noqa: B009  # of a type known there only
    files = [word for word in text.split() if word.endswith((".png", ".npy", ".npz"))]
    assert "models/zoo/digit.png" in files
    assert not [name for name in files if "/" not in name and name.startswith("digit.")]


def test_installing_is_announced() -> None:
    """It takes minutes, in which nothing would be seen."""
    told = subprocess.run(
        ["make", "--dry-run", "--always-make", "demo"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert told.index("a few minutes") < told.index("pip install")


def test_the_notebook_runs(checkout: Path) -> None:
    notebook = json.loads((ROOT / "examples" / "explain.ipynb").read_text(encoding="utf-8"))
    known: dict[str, object] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), known)  # noqa: S102  # our own cells
            assert not cell["outputs"]
    assert (checkout / "out" / "three.cert.json").is_file()


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not built.returncode, built.stderr
    for name in PAGES:
        page = (tmp_path / name).with_suffix(".html").read_text(encoding="utf-8")
        sources = [part.split('"')[0] for part in page.split('src="')[1:]]
        assert not [source for source in sources if "//" in source]
