"""``vnnlib`` on the command line, as chapter 5 of the standard has it."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from protoproof.query.standard import CAPABILITIES
from protoproof.version import VERSION
from tests.support.cli import protoproof as run
from tests.support.queries import HEAD, OTHER, SAME, inputs, tiny

pytest.importorskip("vnnlib")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("command")
    (folder / "net.onnx").write_bytes(tiny(0).model())
    (folder / "unsat.vnnlib").write_text(HEAD.format(t="real") + inputs() + OTHER)
    (folder / "sat.vnnlib").write_text(HEAD.format(t="real") + inputs() + SAME)
    return folder


def test_verify_and_the_short_form(place: Path) -> None:
    model, folder = place / "net.onnx", place / "assignment"
    done = run("vnnlib", "verify", place / "unsat.vnnlib", "--network", f"N={model}")
    assert (done.code, done.out, done.err) == (0, "unsat\n", "")
    short = run("vnnlib", model, place / "sat.vnnlib", "--serialise-assignments", folder)
    assert (short.code, short.out) == (0, "sat\n")
    shapes = {path.stem: list(onnx.load_tensor(path).dims) for path in sorted(folder.glob("*.pb"))}
    assert shapes == {"X": [1, 2, 1, 2], "Z": [1, 2, 1, 2], "M": [1, 4, 1, 2], "Y": [1, 3]}


@pytest.mark.parametrize(
    ("networks", "problem"),
    [
        ((), "no model file for the network N"),
        (("N={}", "M={}"), "--network M: the query declares no such network"),
        (("N={}", "N={}"), "is given twice"),
        (("N",), "write NAME=FILE"),
    ],
)
def test_model_files_are_those_of_the_query(
    place: Path, networks: tuple[str, ...], problem: str
) -> None:
    given = [w for n in networks for w in ("--network", n.format(place / "net.onnx"))]
    done = run("vnnlib", "verify", place / "unsat.vnnlib", *given)
    assert (done.code, done.out) == (2, "")
    assert problem in done.err


def test_what_is_supported() -> None:
    assert run("vnnlib", "--name").out == "ProtoProof\n"
    assert run("vnnlib", "--version").out == f"{VERSION}\n"
    done = run("vnnlib", "supports", "--hidden-node-theories")
    assert (done.code, done.out) == (0, "NH\nH\n")
    assert run("vnnlib", "supports", "--nonsense").code == 2
    assert len(CAPABILITIES) == 11
    assert all(answer() for answer in CAPABILITIES.values())
