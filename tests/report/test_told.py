"""What pages tell of files and commands: nothing of the producer's machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from protoproof.region.sets.region import as_typed
from protoproof.report.page.told import date_words, told_command, told_path


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("", ""),
        (".venv/bin/python cli.py demo --out out/x", "protoproof demo --out out/x"),
        ("/opt/py/bin/python /srv/b/cli.py demo", "protoproof demo"),
        ("protoproof explain /data/a b.onnx", "protoproof explain a b.onnx"),
        ("protoproof explain --out=/data/a.json 'x y'", "protoproof explain --out=a.json 'x y'"),
        ("protoproof certify --region linf:2/255", "protoproof certify --region linf:2/255"),
        ("what 'is this", "what 'is this"),
    ],
)
def test_commands_name_no_place(command: str, told: str) -> None:
    assert told_command(command) == told


def test_files_are_relative_or_only_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    (here / "out").mkdir(parents=True)
    monkeypatch.chdir(here)
    assert told_path(Path("net.onnx"), Path("out")) == "../net.onnx"
    assert told_path(here / "out" / "c.json", here / "out") == "c.json"
    assert told_path(tmp_path / "net.onnx", Path("out")) == "net.onnx"
    assert told_path(Path("net.onnx"), tmp_path) == "here/net.onnx"


def test_dates_are_read() -> None:
    assert date_words("2026-11-30T14:20:57+00:00") == "30 November 2026, 14:20 UTC"
    assert date_words("2026-03-01T09:05:00") == "1 March 2026, 09:05"
    assert date_words("") == ""
    assert date_words("yesterday") == "yesterday"


@pytest.mark.parametrize(
    ("number", "typed"),
    [("1/500", "0.002"), ("2/255", "2/255"), ("3", "3"), ("1/10", "0.1"), ("5/4", "1.25")],
)
def test_numbers_are_echoed_as_typed(number: str, typed: str) -> None:
    assert as_typed(number) == typed
