"""What lies beside a ledger: SQLite opens it of its own accord, and does what it says."""

from __future__ import annotations

import os
import sqlite3
import struct
from pathlib import Path

import pytest

from protoproof.campaign import read_campaign
from protoproof.campaign.store import Ledger
from protoproof.errors import InputError

MAGIC = bytes.fromhex("d9d505f920a163d7")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    with Ledger.create(tmp_path):
        pass
    return tmp_path


def journal(ledger: Path, victim: Path) -> bytes:
    """A rollback journal without pages that names a further file, as of several databases.

    See https://sqlite.org/fileformat2.html: magic, records, nonce, pages, sector, page size; then
    the record of the further file: a page number, its name, length and sum, the magic again.
    """
    content = ledger.read_bytes()
    page, name = int.from_bytes(content[16:18], "big"), str(victim).encode()
    header = struct.pack(">8s5I", MAGIC, 0, 0, len(content) // page, 512, page).ljust(512, b"\0")
    further = struct.pack(">I", (1 << 30) // page + 1) + name
    return header + further + struct.pack(">2I8s", len(name), sum(name), MAGIC)


def refused(directory: Path, words: str) -> None:
    """One line, from whoever reads and whoever would write."""
    for opened in (Ledger.read, Ledger.create):
        with pytest.raises(InputError, match=words) as found, opened(directory):
            pass
        assert "\n" not in str(found.value)
    with pytest.raises(InputError, match=words):
        read_campaign(directory)


def test_a_journal_removes_no_file_elsewhere(directory: Path, tmp_path: Path) -> None:
    ledger, victim = directory / "ledger.sqlite", tmp_path / "victim.txt"
    victim.write_text("somebody's file")
    beside = directory / "ledger.sqlite-journal"
    beside.write_bytes(journal(ledger, victim))
    refused(directory, "names a further file")
    assert victim.exists()
    # SQLite alone obeys: otherwise this test would show nothing
    connection = sqlite3.connect(ledger)
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    connection.close()
    assert not victim.exists()


@pytest.mark.parametrize("kind", ["file", "link", "dangling", "pipe", "folder"])
@pytest.mark.parametrize("end", ["-journal", "-wal", "-shm"])
def test_nothing_else_lies_there(directory: Path, kind: str, end: str) -> None:
    path = directory / f"ledger.sqlite{end}"
    match kind:
        case "file":
            path.write_bytes(b"anything")
        case "link":
            (directory / "other").write_bytes(b"")
            path.symlink_to(directory / "other")
        case "dangling":
            path.symlink_to(directory / "nowhere")
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
    if (kind, end) == ("file", "-journal"):  # a run that was killed leaves one; this says nothing
        with Ledger.read(directory):
            pass
    else:
        refused(directory, "no regular file" if end == "-journal" else "no campaign writes")
    assert not (directory / "nowhere").exists()


def test_a_write_ahead_ledger_is_refused(directory: Path) -> None:
    ledger = directory / "ledger.sqlite"
    connection = sqlite3.connect(ledger)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    assert ledger.read_bytes()[18:20] == b"\2\2"
    refused(directory, "not a readable ledger")
    assert sorted(path.name for path in directory.glob("ledger.sqlite*")) == ["ledger.sqlite"]


def test_a_journal_of_a_killed_run_is_rolled_back(directory: Path, tmp_path: Path) -> None:
    """Copied in the middle of a commit, as a kill would leave it."""
    ledger, killed = directory / "ledger.sqlite", tmp_path / "killed"
    killed.mkdir()
    insert = "INSERT INTO about VALUES (?, ?)"
    connection = sqlite3.connect(ledger)
    connection.execute("PRAGMA cache_size = 1")  # pages reach the file before the commit
    for number in range(200):
        connection.execute(insert, (f"n{number}", "x" * 3000))
    for name in ("ledger.sqlite", "ledger.sqlite-journal"):
        (killed / name).write_bytes((directory / name).read_bytes())
    connection.rollback()
    connection.close()
    for folder in ("certificates", "regions", "sizes"):
        (killed / folder).mkdir()
    assert (killed / "ledger.sqlite").stat().st_size > ledger.stat().st_size
    with Ledger.read(killed):
        pass
    assert not (killed / "ledger.sqlite-journal").exists()
    assert (killed / "ledger.sqlite").read_bytes() == ledger.read_bytes()
