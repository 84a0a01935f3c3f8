"""Level F, machine-checked: what is proved of executions, and what is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from protoproof.certificate.schema import Core
from protoproof.formal import verify
from protoproof.formal.program import ask
from protoproof.formal.proof import proof
from protoproof.kernel import ModelFile, check
from protoproof.kernel.budget import Budget
from protoproof.kernel.statement import write
from tests.support.cli import protoproof
from tests.support.formal import PROGRAM, built, line_changed
from tests.support.kernel.builders import bound_of, file, scene, topk_core
from tests.support.kernel.float32 import at_f, cancelling, changed

DIRECT = scene(2, grid=(2, 2), bias=None, distance="direct")


def texts(core: Core, data: bytes = DIRECT.data) -> tuple[str, str]:
    """A statement and its proof."""
    with Budget().active():
        bound = bound_of(data)
        return write(core, bound), proof(core, bound.head)


def proved(statement: str, evidence: str, core: Core) -> tuple[bool, bool]:
    """At level R, and at level F."""
    assert PROGRAM is not None
    answer = ask(PROGRAM, statement, evidence, core)
    return answer.sufficient, answer.float32


def test_the_statement_says_how_the_head_is_executed() -> None:
    (line,) = [line for line in texts(at_f(DIRECT))[0].split("\n") if line.startswith("level ")]
    assert line.startswith("level F direct ")
    assert line.endswith(" any")
    assert " log 8 0 " in f"{line} "
    assert "\nlevel " not in texts(topk_core(DIRECT))[0]


@built
@pytest.mark.parametrize("seed", [2, 3, 8])
@pytest.mark.parametrize("similarity", ["log_ratio", "exponential", "reciprocal"])
def test_what_the_checker_proves_of_executions_the_kernel_proves(
    seed: int, similarity: str
) -> None:
    here = scene(seed, grid=(2, 2), bias=None, distance="direct", similarity=similarity)
    content = file(at_f(here))
    assert check(content, here.data).accepted
    answer = verify(content, ModelFile(here.data))
    assert answer.proved
    assert answer.float32
    assert not answer.beyond


@built
def test_at_level_r_nothing_is_said_of_executions() -> None:
    answer = verify(file(topk_core(DIRECT)), ModelFile(DIRECT.data))
    assert answer.proved
    assert not answer.float32
    assert not answer.beyond


@built
def test_a_margin_that_rounding_may_undo_is_proved_at_level_r_alone() -> None:
    """The bias of the predicted class is lowered until the margin over the reals is used up."""
    core = at_f(DIRECT)
    statement, evidence = texts(core)
    predicted = core.instance.predicted

    def lowered(by: int) -> str:
        def change(tokens: list[str]) -> None:
            tokens[1 + predicted] = str(int(tokens[1 + predicted]) - by)

        return line_changed(statement, "biases", change)

    enough, too_much = 0, 1
    while proved(lowered(too_much), evidence, core)[0]:
        enough, too_much = too_much, 2 * too_much
    while too_much - enough > 1:
        middle = (enough + too_much) // 2
        if proved(lowered(middle), evidence, core)[0]:
            enough = middle
        else:
            too_much = middle
    assert proved(statement, evidence, core) == (True, True)
    assert proved(lowered(enough), evidence, core) == (True, False)


def _larger(tokens: list[str]) -> None:
    tokens[tokens.index("log") + 1] = "100"


def _unknown(tokens: list[str]) -> None:
    tokens[tokens.index("log")] = "sin"


def _another_form(tokens: list[str]) -> None:
    tokens[2] = "product"


@built
@pytest.mark.parametrize("change", [_larger, _unknown, _another_form])
def test_executions_that_the_theorem_does_not_know_are_not_covered(
    change: Callable[[list[str]], None],
) -> None:
    core = at_f(DIRECT)
    statement, evidence = texts(core)
    assert proved(line_changed(statement, "level", change), evidence, core) == (True, False)


@built
def test_steps_that_no_statement_has_are_not_covered(tmp_path: Path) -> None:
    """(q + c) - c leaves no trace in the head over the reals."""
    data = changed(DIRECT, cancelling(0.25))
    content = file(at_f(DIRECT, data))
    assert check(content, data).accepted
    answer = verify(content, ModelFile(data))
    assert answer.proved
    assert not answer.float32
    assert answer.beyond == ("level F",)
    (tmp_path / "c.json").write_bytes(content)
    (tmp_path / "m.onnx").write_bytes(data)
    result = protoproof("check", tmp_path / "c.json", tmp_path / "m.onnx", "--kernel", "--json")
    assert result.code == 3
    kernel = json.loads(result.out)["kernel"]
    assert kernel["left"] == ["level F not covered by the kernel"]


@built
def test_the_command_says_level_f(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_bytes(file(at_f(DIRECT)))
    (tmp_path / "m.onnx").write_bytes(DIRECT.data)
    result = protoproof("check", tmp_path / "c.json", tmp_path / "m.onnx", "--kernel")
    assert result.code == 0
    assert "level F" in result.out[result.out.index("kernel") :]
