"""Whatever happens inside an obligation, only a run without complaint or exception passes."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from importlib import import_module

import pytest

from protoproof.kernel import CheckReport, check
from protoproof.kernel.budget import OutOfBudgetError
from protoproof.kernel.claims import words
from protoproof.kernel.obligations import RULES
from protoproof.kernel.rule import Established, IncompleteError, Question
from tests.support.kernel.builders import file, pair_core, scene

HERE = scene(1)
GOOD = file(pair_core(HERE))


def run_with(monkeypatch: pytest.MonkeyPatch, number: int, outcome: object) -> CheckReport:
    """Check the good certificate while one obligation raises or complains instead."""

    def examine(_: Question, __: Established) -> Generator[str, None, None]:
        if isinstance(outcome, tuple):
            yield outcome[0]
            raise outcome[1]
        if isinstance(outcome, BaseException):
            raise outcome
        yield str(outcome)

    rules = [replace(r, examine=examine) if r.number == number else r for r in RULES]
    # by name, protoproof.kernel.check is the function
    monkeypatch.setattr(import_module("protoproof.kernel.check"), "RULES", rules)
    return check(GOOD, HERE.data)


@pytest.mark.parametrize("number", range(1, 14))
@pytest.mark.parametrize(
    "outcome",
    [
        RuntimeError("broken"),
        AssertionError(),
        ZeroDivisionError("division"),
        "complaint",
        ("complaint", IncompleteError("open")),
        ("complaint", RuntimeError()),
    ],
    ids=repr,
)
@pytest.mark.trust(3)
def test_an_exception_or_complaint_rejects(
    monkeypatch: pytest.MonkeyPatch, number: int, outcome: object
) -> None:
    report = run_with(monkeypatch, number, outcome)
    assert report.status == "rejected"
    assert report.obligations[number - 1].passed is False
    assert report.obligations[number - 1].detail
    assert words(report.claims) == report.necessary == ()


@pytest.mark.parametrize("number", range(1, 14))
@pytest.mark.parametrize("text", ["", "open"])
def test_an_undecided_obligation_is_incomplete(
    monkeypatch: pytest.MonkeyPatch, number: int, text: str
) -> None:
    report = run_with(monkeypatch, number, IncompleteError(text))
    assert report.status == "incomplete"
    assert report.obligations[number - 1].passed is None


@pytest.mark.parametrize("number", range(1, 14))
@pytest.mark.parametrize(
    "outcome",
    [MemoryError(), MemoryError("cannot allocate"), RecursionError(), OverflowError("too many"),
     ImportError("cannot be loaded"),
     OutOfBudgetError("too large")],
    ids=repr,
)  # fmt: skip
@pytest.mark.trust(47)
def test_want_of_memory_or_steps_is_undecided(
    monkeypatch: pytest.MonkeyPatch, number: int, outcome: Exception
) -> None:
    report = run_with(monkeypatch, number, outcome)
    assert report.status == "incomplete"
    assert report.obligations[number - 1].passed is None
    assert not [o for o in report.obligations if o.passed is False]
    assert report.obligations[number - 1].detail
    assert words(report.claims) == report.necessary == ()
    # what was found to be false before stays false
    assert run_with(monkeypatch, number, ("complaint", outcome)).status == "rejected"


@pytest.mark.parametrize("number", range(1, 14))
def test_an_interrupt_is_not_swallowed(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_with(monkeypatch, number, KeyboardInterrupt())


def test_what_needs_an_unmet_obligation_is_not_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = {1: range(2, 14), 2: (), 3: range(4, 14), 4: (5, 6, 8, 9, 10, 11, 12, 13),
              5: (8, 10, 11, 12, 13), 6: (8, 10, 11, 13), 7: (8,), 8: (), 9: (), 10: (),
              11: (), 12: (), 13: ()}  # fmt: skip
    for number, dependents in needed.items():
        report = run_with(monkeypatch, number, "complaint")
        for obligation in report.obligations:
            if obligation.number in dependents:
                assert obligation.passed is None
                assert "not examined" in obligation.detail


def test_the_obligations_are_numbered_one_to_thirteen() -> None:
    assert [rule.number for rule in RULES] == list(range(1, 14))
    for rule in RULES:
        assert all(earlier < rule.number for earlier in rule.needs)
        assert (rule.examine.__doc__ or "").startswith(f"{rule.number}. ")
