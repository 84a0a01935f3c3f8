"""What the program says on the way: lines where there is no terminal, completions, warnings."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from models.progress import Progress
from models.verbs import nothing_certified
from protoproof.cli.app import completed, program
from protoproof.cli.terminal import Log, progress_bar


def test_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([0.0, 1.0, 29.9, 31.0, 40.0, 61.5])
    log = Log(every=30.0, now=lambda: next(clock))
    for done in range(5):
        log(f"{done} of 9 results\u202e")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        "after 31 s: 2 of 9 results[U+202E]",
        "after 62 s: 4 of 9 results[U+202E]",
    ]


def test_where_nobody_watches_training_and_searches_say_how_far_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("models.progress", "protoproof.cli.terminal"):
        monkeypatch.setattr(f"{place}.watched", lambda: False)
        monkeypatch.setattr(f"{place}.Log", lambda: Log(every=0.0, now=lambda: 0.0))
    for quiet in (False, True):
        with Progress(3, quiet) as training:
            training.stage("certified")
            training.epoch(0.5)
        with progress_bar(not quiet) as move:
            assert (move is None) == quiet
            if move is not None:
                move(0.25, "2 parts proved")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        "after 0 s: certified, 1 of 3 epochs, loss 0.5000",
        "after 0 s: 25% 2 parts proved",
    ]


def test_certified_training_that_came_to_nothing_is_said() -> None:
    assert nothing_certified({"test": 0.9}, None) is None
    assert nothing_certified({"test": 0.9, "certified": 0.1}, 0.05) is None
    assert "--certified-eps 0.05" in str(nothing_certified({"test": 0.9, "certified": 0.0}, 0.05))


def test_a_shell_completes_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the one verb that is asked for, and without loading what it works with."""
    assert completed() == []
    monkeypatch.setenv("_PROTOPROOF_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "protoproof explain --time")
    assert completed() == ["explain", "--time"]
    command: Any = typer.main.get_command(program(completed()))
    assert list(command.commands) == ["explain"]
    own = {option for parameter in command.params for option in parameter.opts}
    assert "--install-completion" in own
