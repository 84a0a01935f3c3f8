"""The build of the machine-checked kernel fails where something is assumed that must be proved."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.formal import PROGRAM, built
from tests.support.sources import ROOT

FORMAL = ROOT / "verifier" / "formal"
needs_coq = pytest.mark.skipif(
    not (shutil.which("make") and shutil.which("coqc")), reason="make and coqc are not installed"
)


def make(folder: Path, sources: str, target: str) -> subprocess.CompletedProcess[str]:
    """The build's own rules, on the files of a folder."""
    command = ["make", "-f", str(FORMAL / "Makefile"), "BUILD=out", f"SOURCES={sources}", target]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@needs_coq
@pytest.mark.parametrize(
    "text",
    [
        "Lemma x : 1 = 2.\nAdmitted.\n",
        "Axiom x : 1 = 2.\n",
        "Parameter x : 1 = 2.\n",
        "Lemma x : 1 = 2.\nProof. admit. Abort.\n",
    ],
)
def test_what_is_not_proved_is_not_compiled(text: str, tmp_path: Path) -> None:
    (tmp_path / "Some.v").write_text(text)
    result = make(tmp_path, "Some", "out/Some.vo")
    assert result.returncode != 0
    assert "coqc Some.v" not in result.stdout
    assert not (tmp_path / "out" / "Some.vo").exists()


@built
@needs_coq
def test_another_axiom_stops_the_build(tmp_path: Path) -> None:
    assert PROGRAM is not None
    (tmp_path / "out").mkdir()
    for compiled in PROGRAM.parent.glob("*.vo"):
        (tmp_path / "out" / compiled.name).symlink_to(compiled)
    shutil.copy(FORMAL / "assumptions.txt", tmp_path)
    more = "Axiom another : 1 = 2.\nPrint Assumptions another.\n"
    (tmp_path / "Assumptions.v").write_text((FORMAL / "Assumptions.v").read_text() + more)
    result = make(tmp_path, "Sizes", "out/assumptions.out")
    assert result.returncode != 0
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("> another")]
    assert line == "> another : 1 = 2"
    assert not (tmp_path / "out" / "assumptions.out").exists()
