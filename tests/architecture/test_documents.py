"""Documents do not outlive what they speak about."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from protoproof.version import VERSION
from tests.support.sources import ROOT, product

DOCUMENTS = sorted([p for t in ("*.md", "docs/**/*.md", "specs/**/*.md") for p in ROOT.glob(t)])
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_documents_name_exist(document: Path) -> None:
    named = re.findall(r"`([\w./-]+\.(?:py|toml|lock|md))`", document.read_text(encoding="utf-8"))
    homes = (ROOT, ROOT / "verifier" / "protoproof")
    assert not [name for name in named if not any((home / name).exists() for home in homes)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_that_documents_name_exist(document: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = set(
        re.findall(r"\bmake ([\w-]+)(?=[`\s]*(?:#|`|$))", document.read_text("utf-8"), re.M)
    )
    assert named <= targets


def test_one_version() -> None:
    assert PROJECT["dynamic"] == ["version"]
    assert PYPROJECT["tool"]["setuptools"]["dynamic"]["version"] == {
        "attr": "protoproof.version.VERSION"
    }
    assert f"## [{VERSION}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_dependency_is_pinned_and_nothing_is_located() -> None:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", pin) for pin in pins), "names and versions only"
    locked = {pin.split("==")[0] for pin in pins}
    wanted = [*PROJECT["dependencies"], *_of_extra("dev")]
    names = {re.split(r"[\[<>=! ;]", requirement)[0].lower() for requirement in wanted}
    assert names <= locked
    assert "torch==2.13.0" in pins
    assert "auto-lirpa" not in locked


def _of_extra(extra: str) -> list[str]:
    """The requirements of an extra, with those of the extras that it names."""
    found = []
    for requirement in PROJECT["optional-dependencies"][extra]:
        if requirement.startswith("protoproof["):
            inner = requirement.removeprefix("protoproof[").rstrip("]")
            found += [each for word in inner.split(",") for each in _of_extra(word)]
        else:
            found.append(requirement)
    return found


def test_what_is_imported_is_what_is_required() -> None:
    requirements = [*PROJECT["dependencies"]]
    for extra in PROJECT["optional-dependencies"]:
        requirements += _of_extra(extra)
    names = {re.split(r"[\[<>=! ;]", requirement)[0].lower() for requirement in requirements}
    assert not names & {"matplotlib", "scikit-learn"}, "imported nowhere"
    imported = {
        found.target.partition(".")[0]
        for source in product()
        if source.room.startswith("protoproof")
        for found in source.imports()
    }
    known = {*sys.stdlib_module_names, "protoproof", "<computed>", "pytest"}
    missing = {DISTRIBUTION.get(name, name) for name in imported - known} - names
    assert missing == UNLISTED


# how distributions are called whose modules have another name
DISTRIBUTION = {
    "PIL": "pillow",
    "array_api_compat": "array-api-compat",
    "flint": "python-flint",
    "yaml": "pyyaml",
    "z3": "z3-solver",
}
# comes with jinja2; cannot be listed (see `pyproject.toml`)
UNLISTED = {"markupsafe", "auto_LiRPA"}


def test_every_data_file_is_packaged() -> None:
    homes = {"": ROOT / "verifier"} | {f"protoproof.{k}": ROOT / v for k, v in CARRIED.items()}
    packaged = {
        path
        for package, patterns in PYPROJECT["tool"]["setuptools"]["package-data"].items()
        for pattern in patterns
        for path in _folder(package, homes).glob(f"**/{pattern}" if package == "*" else pattern)
    }
    present = {
        path
        for top in homes.values()
        for path in top.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and FORMAL not in path.parents
    }
    # the machine-checked kernel is built in a checkout
    present = {path for path in present if ROOT / "verifier" / "formal" not in path.parents}
    assert not present - packaged


# sources of a program of its own, which is built from a checkout
FORMAL = ROOT / "verifier" / "formal"
# folders of a checkout that are packages of data in a wheel; `setup.py` says the same
CARRIED = {"policies": "specs/policies", "schema": "specs/schema", "zoo": "models/zoo"}


def _folder(package: str, homes: dict[str, Path]) -> Path:
    known = homes.get(package)
    return known or homes[""].joinpath(*package.replace("*", "").split("."))
