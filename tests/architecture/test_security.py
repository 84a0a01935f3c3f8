"""What ``SECURITY.md`` says has to be believed is what there is."""

from __future__ import annotations

import re

import pytest

from protoproof.attestation import dsse
from protoproof.certificate import strict_json
from protoproof.version import VERSION
from tests.support.code_lines import code_lines
from tests.support.sources import ROOT, SOURCE_ROOT

TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
STATED = {
    name: int(lines) for name, lines in re.findall(r"^\| `([\w/]+)/`[^|]*\| (\d+) \|", TEXT, re.M)
}
PACKAGE = SOURCE_ROOT / "protoproof"


def test_every_folder_of_the_trusted_part_is_listed() -> None:
    folders = {
        str(path.parent.relative_to(PACKAGE))
        for room in ("kernel", "certificate")
        for path in (PACKAGE / room).rglob("*.py")
    }
    assert set(STATED) == folders


@pytest.mark.parametrize("folder", sorted(STATED))
def test_lines_are_counted(folder: str) -> None:
    """Within a twentieth, or twenty lines."""
    counted = sum(code_lines(path.read_text("utf-8")) for path in (PACKAGE / folder).glob("*.py"))
    assert abs(STATED[folder] - counted) <= max(20, counted // 20), counted


def test_versions_and_limits() -> None:
    assert f"| {VERSION.rpartition('.')[0]} " in TEXT
    words = " ".join(TEXT.split())
    assert f"has {strict_json.MAX_BYTES >> 20} MiB at most" in words
    assert f"an attestation {dsse.MOST >> 20}" in words
    assert f"nests {strict_json.MAX_DEPTH} levels at most" in words
    # the same limits that tests of what is loaded hold
    reading = (ROOT / "tests" / "kernel" / "test_reading.py").read_text("utf-8")
    for what, lines in (("reader", "850"), ("recogniser", "4,450"), ("argument", "3,600")):
        assert f"{what} {lines}" in words
        assert re.search(rf"assert {what} <= {lines.replace(',', '')}\b", reading)
