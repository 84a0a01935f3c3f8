"""The built programs read what strangers made: they are ended when that takes too much."""

from __future__ import annotations

from pathlib import Path

import pytest

from protoproof.formal import limited, program, verify
from protoproof.formal.limited import TOO_COSTLY, TooCostlyError, run
from protoproof.formal.program import VARIABLE as KERNEL
from protoproof.formal.reading import VARIABLE as READER
from protoproof.kernel import ModelFile
from protoproof.kernel.budget import OutOfBudgetError
from tests.support.formal import built
from tests.support.kernel.builders import file, pair_core, scene

ENDLESS = "while :; do :; done"
GIVEN_UP = "echo 'Fatal error: exception Out_of_memory' >&2; exit 2"


def script(folder: Path, text: str) -> Path:
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.trust(47)
@pytest.mark.parametrize("text", [ENDLESS, GIVEN_UP, "ulimit -v"])
def test_a_program_has_a_minute_and_two_gibibytes(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limited, "SECONDS", 1)
    made = script(tmp_path, text)
    if text == "ulimit -v":
        assert int(run([str(made)]).stdout) << 10 == limited.BYTES
        return
    with pytest.raises(TooCostlyError):
        run([str(made)])


@built
@pytest.mark.trust(47)
def test_a_proof_that_would_cost_too_much_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A further try, with more precision, may ask for more than is left of a check."""
    here = scene(5)
    content, model = file(pair_core(here)), ModelFile(here.data)

    def too_much(*_: object) -> str:
        raise OutOfBudgetError("too large to be checked")

    monkeypatch.setattr(program, "proof", too_much)
    answer = verify(content, model)
    assert not answer.proved
    assert answer.reason == "the kernel found no proof: too large to be checked"


@built
@pytest.mark.trust(47)
@pytest.mark.parametrize("variable", [KERNEL, READER])
def test_what_would_take_more_is_not_proved(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(script(tmp_path, GIVEN_UP)))
    here = scene(5)
    answer = verify(file(pair_core(here)), ModelFile(here.data))
    assert not answer.proved
    assert TOO_COSTLY in (answer.reason if variable == KERNEL else str(answer.reading))
