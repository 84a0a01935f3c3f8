"""One certificate as theorems: coqc accepts the file, and not with another number in it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from protoproof.formal import closed
from protoproof.kernel import ModelFile
from tests.support.cli import protoproof
from tests.support.formal import PROGRAM, built
from tests.support.kernel.builders import file, pair_core, scene, topk_core
from tests.support.kernel.float32 import at_f
from tests.support.kernel.moves import with_witnesses
from tests.support.kernel.relational import fewest, relational_core
from tests.support.kernel.sizes import certificate

SWEEP = pytest.mark.sweep


def witnessed() -> tuple[bytes, ModelFile]:
    here, core = with_witnesses(4, True)
    return file(core), ModelFile(here.data)


def forms() -> tuple[bytes, ModelFile]:
    here = scene(15)
    return file(relational_core(here, fewest(here))), ModelFile(here.data)


def sized() -> tuple[bytes, ModelFile]:
    here, core, _ = certificate(2, "ceiling")
    return file(core), ModelFile(here.data)


def in_float32() -> tuple[bytes, ModelFile]:
    here = scene(2, grid=(2, 2), bias=None, distance="direct")
    return file(at_f(here)), ModelFile(here.data)


def compiled(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What coqc says of a file."""
    assert PROGRAM is not None
    (folder / "claim.v").write_text(text)
    coqc = shutil.which("coqc")
    if coqc is None:
        pytest.skip("coqc is not installed")
    command = [coqc, "-q", "-Q", str(PROGRAM.parent), "Protoproof", "claim.v"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@built
@pytest.mark.parametrize(
    "example",
    [witnessed, *(pytest.param(made, marks=SWEEP) for made in (forms, sized, in_float32))],
)
def test_coqc_accepts_the_theorems(
    example: Callable[[], tuple[bytes, ModelFile]], tmp_path: Path
) -> None:
    answer, text = closed(*example())
    assert answer.proved
    names = re.findall(r"^Theorem (\w+) :", text, re.MULTILINE)
    assert names[0] == "the_facts_suffice"
    assert ("the_facts_suffice_in_float32" in names) is answer.float32
    assert len(names) == 1 + answer.float32 + len(answer.necessary) + len(answer.also)
    result = compiled(text, tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("Axioms:") == len(names)
    assert set(re.findall(r"^([\w.]+)\b *:?", result.stdout, re.MULTILINE)) == {
        "Axioms",
        "ClassicalDedekindReals.sig_not_dec",
        "ClassicalDedekindReals.sig_forall_dec",
        "FunctionalExtensionality.functional_extensionality_dep",
        "Classical_Prop.classic",
    }


@built
def test_coqc_does_not_accept_another_number(tmp_path: Path) -> None:
    here = scene(5)
    _, text = closed(file(topk_core(here)), ModelFile(here.data))
    at = text.index("Definition the_statement")
    # the claimed class, at the end of the statement
    end = text.index("(Class ", at) + len("(Class ")
    wrong = text[:end] + str(int(not int(text[end]))) + text[end + 1 :]
    result = compiled(wrong, tmp_path)
    assert result.returncode != 0
    assert "the_facts_suffice" not in result.stdout


@built
def test_the_command_writes_the_theorems(tmp_path: Path) -> None:
    here = scene(5)
    (tmp_path / "c.json").write_bytes(file(pair_core(here)))
    (tmp_path / "m.onnx").write_bytes(here.data)
    target = tmp_path / "claim.v"
    result = protoproof("check", tmp_path / "c.json", tmp_path / "m.onnx", "--coq", target)
    assert result.code == 0
    assert "kernel   sufficient" in result.out
    assert f"kernel   written: {target}" in result.out
    assert "Theorem the_facts_suffice" in target.read_text()
