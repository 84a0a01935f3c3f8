"""The exit code of a campaign's report: 1 false or lost, 3 open for whatever reason, 0 all proved.

A report proves every certificate again; what the checker answers is put into its mouth here.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from protoproof.campaign import Instances, Options, recheck, run_campaign
from protoproof.cli import report as verb
from protoproof.cli.app import program
from protoproof.kernel import CheckReport, check
from protoproof.kernel.claims import words
from protoproof.report.audit import audit_page
from protoproof.report.audit.html import render_audit
from protoproof.report.audit.page import AuditPage
from tests.support.campaign import MODEL, InlineEngine, digits, network

REGION = "linf:0.005"
WORD = "the head description: nobody checked it"


@pytest.fixture(scope="module")
def data() -> Instances:
    every, chosen = digits(), [0, 150]
    return Instances("part", "0" * 64, every.x[chosen], every.y[chosen], every.classes)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory, data: Instances) -> Path:
    out = tmp_path_factory.mktemp("campaign")
    ask: dict[str, Any] = {"options": Options(vocabulary="topk", witnesses=False)}
    found = run_campaign(network(), data, out, regions=(REGION,), engine=InlineEngine, **ask)
    assert found.states["proved"] == 2
    assert all(record.state == "proved" for record in found.regions[REGION].values())
    return out


def answering(statuses: dict[str, str]) -> Callable[..., CheckReport]:
    """A checker that says so of the first certificate of each kind; of others it says the truth."""
    left = dict(statuses)

    def answer(content: bytes, *arguments: Any, **options: Any) -> CheckReport:
        found = check(content, *arguments, **options)
        status = left.pop("region" if "robust" in words(found.claims) else "explanation", None)
        if status is None:
            return found
        claims: dict[str, Any] = {} if status == "conditional" else {"claims": (), "subject": ()}
        whose = (WORD,) if status == "conditional" else ()
        return replace(found, status=status, conditions=whose, **claims)  # type: ignore[arg-type]

    return answer


CASES: list[tuple[dict[str, str], int]] = [
    ({}, 0),
    *(({kind: "conditional"}, 3) for kind in ("explanation", "region")),
    *(({kind: "incomplete"}, 3) for kind in ("explanation", "region")),
    *(({kind: "rejected"}, 1) for kind in ("explanation", "region")),
    ({"explanation": "conditional", "region": "conditional"}, 3),
    ({"explanation": "conditional", "region": "incomplete"}, 3),
    ({"explanation": "conditional", "region": "rejected"}, 1),
    ({"explanation": "rejected", "region": "incomplete"}, 1),
]


def told(page: AuditPage) -> dict[str, int]:
    return {word: getattr(page, word) for word in ("rejected", "conditional", "undecided")}


def test_a_report_that_nobody_named_keeps_the_earlier_one(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "out" / "report" / f"{directory.name}.html"
    for number in range(2):
        asked = ["report", str(directory), "--model", str(MODEL)]
        done = CliRunner().invoke(program(asked), asked)
        assert done.exit_code == 0, done.output
        assert ("kept as" in done.output) == bool(number)
        assert page.is_file()
        if not number:
            page.write_text("mine")
    assert page.with_name(page.name + ".stale").read_text() == "mine"


@pytest.mark.parametrize(("statuses", "code"), CASES)
def test_what_the_checker_says_decides(
    directory: Path,
    data: Instances,
    monkeypatch: pytest.MonkeyPatch,
    statuses: dict[str, str],
    code: int,
) -> None:
    monkeypatch.setattr(recheck, "check", answering(statuses))
    page = audit_page(directory, MODEL, data)
    names = {"incomplete": "undecided"}
    expected = dict.fromkeys(("rejected", "conditional", "undecided"), 0)
    for status in statuses.values():
        expected[names.get(status, status)] += 1
    assert (told(page), page.exit_code) == (expected, code)
    assert (page.accepted, page.unaccepted) == (4 - len(statuses), len(statuses))
    html = render_audit(page)
    assert ('class="verdict plain bad"' in html) == (code == 1)
    assert 'class="verdict plain good"' not in html
    assert ("Not to be relied on" in html) == bool(statuses)
    found = set(statuses.values())
    assert ("on somebody\u2019s word</p>" in html) == (found == {"conditional"})
    assert ("which could not decide" in html) == ("incomplete" in found and code == 3)
    if "explanation" in statuses:
        shown = "bad" if statuses["explanation"] == "rejected" else "open"
        assert f'<span class="chip {shown}">certificate ' in html


@pytest.mark.parametrize(
    ("harm", "code"),
    [("file", 1), ("content", 1), ("region file", 1), ("file and row", 3), ("region and row", 3)],
)
def test_what_is_not_there_is_lost_or_open(
    directory: Path, data: Instances, tmp_path: Path, harm: str, code: int
) -> None:
    """A certificate that the ledger tells of is lost; what nobody tells of was never proved."""
    copy = shutil.copytree(directory, tmp_path / "c")
    folder, table = ("regions", "regions") if "region" in harm else ("certificates", "results")
    path = next((copy / folder).iterdir())
    path.unlink()
    if harm == "content":
        path.write_bytes(b"{}")
    if "row" in harm:
        with sqlite3.connect(copy / "ledger.sqlite") as ledger:
            ledger.execute(f"DELETE FROM {table} WHERE key = ?", (path.name.partition(".")[0],))  # noqa: S608
    page = audit_page(copy, MODEL, data)
    assert (page.rejected, page.open, page.exit_code) == (int(code == 1), 1, code)


@pytest.mark.parametrize("statuses", [case[0] for case in CASES[:4]])
def test_the_verb_ends_so(
    directory: Path,
    data: Instances,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    statuses: dict[str, str],
) -> None:
    monkeypatch.setattr(recheck, "check", answering(statuses))
    monkeypatch.setattr(verb, "data_of", lambda given, before: data)
    out = str(tmp_path / "r.html")
    result = CliRunner().invoke(
        program(), ["report", str(directory), "--out", out, "--model", str(MODEL)]
    )
    assert result.exit_code == {str(s): code for s, code in CASES}[str(statuses)]
    assert f"{4 - len(statuses)} accepted, {len(statuses)} not" in result.output
