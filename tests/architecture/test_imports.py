"""Who may import whom: the contracts of ``pyproject.toml``, and rules that they cannot say."""

from __future__ import annotations

import sys
import tomllib

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

from tests.support.sources import ROOT, SOURCE_ROOT, product

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
    "importlinter"
]["contracts"]

# What the trusted part may load besides the standard library.
PACKAGES = {
    "protoproof.kernel": {"flint", "numpy"},
    "protoproof.certificate": {"pydantic"},
}

# Packages that stay behind one file each, so that a change of theirs is a change in one place.
IN_ONE_FILE = ("auto_LiRPA", "cryptography", "jinja2", "pyarrow", "ray", "z3")

SOURCES = product()


def test_the_contracts_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(SOURCE_ROOT))
    # it would set up logging for itself, which silences every logger that is there already
    monkeypatch.setattr("logging.config.dictConfig", lambda _: None)
    assert lint_imports(no_cache=True) == EXIT_STATUS_SUCCESS


def test_every_room_is_a_layer() -> None:
    layers = {
        name.strip(" ()")
        for contract in CONTRACTS
        if contract["id"] == "rooms"
        for layer in contract["layers"]
        for name in layer.split("|")
    }
    found = {source.room for source in SOURCES} - {"protoproof", "models", "cli"}
    assert layers == {room.removeprefix("protoproof.") for room in found}


def test_networks_are_made_outside_the_package() -> None:
    wrong = [
        f"{source.module}:{found.line} imports {found.target}"
        for source in SOURCES
        if source.room.startswith("protoproof")
        for found in source.imports()
        if found.target.split(".")[0] in ("models", "cli", "tests", "verifier")
    ]
    assert not wrong, "\n".join(wrong)


def test_no_import_is_hidden() -> None:
    # `import protoproof` resolves its public names lazily, from a table of constants
    computed = {
        source.module
        for source in SOURCES
        if any(found.target == "<computed>" for found in source.imports())
    }
    assert computed <= {"protoproof"}


@pytest.mark.parametrize("room", PACKAGES)
def test_the_trusted_part_uses_few_packages(room: str) -> None:
    allowed = {*PACKAGES[room], *sys.stdlib_module_names, "protoproof"}
    wrong = [
        f"{source.module}:{found.line} imports {found.target}"
        for source in SOURCES
        if source.room == room
        for found in source.imports()
        if found.target.split(".")[0] not in allowed
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", IN_ONE_FILE)
def test_heavy_packages_stay_behind_one_file(package: str) -> None:
    users = {
        source.module
        for source in SOURCES
        if any(found.target.split(".")[0] == package for found in source.imports())
    }
    assert len(users) <= 1, f"{package} is imported in {sorted(users)}"
