"""Documents do not outlive what they speak about."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from protoproof.version import VERSION
from tests.support.sources import ROOT

DOCUMENTS = sorted(ROOT.glob("*.md"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_documents_name_exist(document: Path) -> None:
    named = re.findall(r"`([\w./-]+\.(?:py|toml|lock|md))`", document.read_text(encoding="utf-8"))
    assert not [name for name in named if not (ROOT / name).exists()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_that_documents_name_exist(document: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = set(
        re.findall(r"\bmake ([\w-]+)(?=[`\s]*(?:#|`|$))", document.read_text("utf-8"), re.M)
    )
    assert named <= targets


def test_one_version() -> None:
    assert PROJECT["version"] == VERSION
    assert f"## [{VERSION}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_dependency_is_pinned_and_nothing_is_located() -> None:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", pin) for pin in pins), "names and versions only"
    locked = {pin.split("==")[0] for pin in pins}
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *extras["demo"], *extras["report"], *extras["dev"]]
    names = {re.split(r"[\[<>=! ;]", requirement)[0].lower() for requirement in wanted}
    assert names <= locked
    assert "torch==2.13.0" in pins
    assert "auto-lirpa" not in locked


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
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert not present - packaged


# folders of a checkout that are packages of data in a wheel; `setup.py` says the same
CARRIED = {"policies": "specs/policies", "schema": "specs/schema", "zoo": "models/zoo"}


def _folder(package: str, homes: dict[str, Path]) -> Path:
    known = homes.get(package)
    return known or homes[""].joinpath(*package.replace("*", "").split("."))
