"""The SQLite file of a campaign: its tables, and opening one that somebody else may have made."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from protoproof.campaign.places import LEDGER
from protoproof.errors import InputError, OutputError, ProtoProofError

_FORMAT = "protoproof.ledger/6"
_LONGEST = 1 << 26  # bytes of one value
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")  # https://sqlite.org/fileformat2.html

TABLES = f"""
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE models (sha256 TEXT PRIMARY KEY, facts TEXT NOT NULL) STRICT;
CREATE TABLE results (key TEXT PRIMARY KEY, state TEXT NOT NULL, reason TEXT NOT NULL,
  predicted INTEGER, margin REAL, top INTEGER, vocabulary TEXT, oracle TEXT, size INTEGER,
  possible INTEGER, necessary INTEGER, sizes TEXT NOT NULL, prototypes TEXT NOT NULL,
  signature TEXT, certificate TEXT, core TEXT, "limit" REAL, level TEXT,
  numbers INTEGER) STRICT;
CREATE TABLE timings (key TEXT PRIMARY KEY, seconds REAL NOT NULL, ended TEXT NOT NULL,
  worker INTEGER NOT NULL, megabytes REAL, carried INTEGER NOT NULL) STRICT;
CREATE TABLE plan (position INTEGER PRIMARY KEY, idx INTEGER NOT NULL, label INTEGER NOT NULL,
  instance TEXT NOT NULL, key TEXT NOT NULL) STRICT;
CREATE TABLE regions (key TEXT PRIMARY KEY, state TEXT NOT NULL, reason TEXT NOT NULL,
  predicted INTEGER, method TEXT, certificate TEXT, counterexample TEXT, instead INTEGER,
  "limit" REAL) STRICT;
INSERT INTO about VALUES ('format', '{_FORMAT}');
"""  # noqa: S608  # a constant


def refuse_special(directory: Path) -> None:
    """Refuse what SQLite would do more with than open one file of ours.

    It would follow a link, and wait for the other end of a pipe. Beside the ledger it looks for a
    journal of its own accord: one that a killed run left is rolled back into the ledger, which is
    nobody's proof; but one that ends with the name of a further file has SQLite read and remove
    that file, wherever it lies. Write-ahead logs come with an index in shared memory; a campaign
    writes neither.

    Raises:
        InputError: any of these.
    """
    path = directory / LEDGER
    journal = path.with_name(f"{LEDGER}-journal")
    for one in (path, journal):
        if os.path.lexists(one) and not stat.S_ISREG(os.lstat(one).st_mode):
            raise InputError(f"{one}: is a link or no regular file; choose another directory")
    for end in ("-wal", "-shm"):
        if os.path.lexists(path.with_name(LEDGER + end)):
            raise InputError(
                f"{path}{end}: no campaign writes such a file; choose another directory"
            )
    if _bytes(path, 18, 2) not in (b"", b"\1\1"):  # how it is written and read: with a journal
        raise InputError(f"{path}: not a readable ledger; choose another directory")
    if _bytes(journal, -8, 8) == _JOURNAL_MAGIC:
        raise InputError(f"{journal}: names a further file; choose another directory")


def _bytes(path: Path, start: int, count: int) -> bytes:
    """Some bytes of a file, from its end if ``start`` is negative; none where it has too few."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            if size < max(start + count, -start):
                return b""
            stream.seek(start, os.SEEK_SET if start >= 0 else os.SEEK_END)
            return stream.read(count)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


@contextmanager
def opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """A connection that is closed in the end; ``mode`` as in SQLite's addresses."""
    address = f"{path.resolve().as_uri()}?mode={mode}"
    connection = sqlite3.connect(address, uri=True, timeout=30)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
    connection.execute("PRAGMA trusted_schema = OFF")
    try:
        yield connection
    finally:
        connection.close()


def prepare(connection: sqlite3.Connection, directory: Path) -> None:
    """Make the tables where there are none yet.

    Raises:
        InputError: there are others.
    """
    # a rollback journal, not WAL: a finished campaign is one file that read-only media can hold
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA synchronous = FULL")
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if not tables:
        connection.executescript(f"BEGIN;{TABLES}COMMIT;")
    require_format(connection, directory)


def require_format(connection: sqlite3.Connection, directory: Path) -> None:
    """Exactly the tables of this version, word by word: no trigger, no view, no looser column.

    Raises:
        InputError: anything else.
    """
    found = _schema(connection)
    if found == _own_schema():
        row = connection.execute("SELECT value FROM about WHERE name = 'format'").fetchone()
    if found != _own_schema() or row != (_FORMAT,):
        raise InputError(
            f"{directory / LEDGER}: not a ledger of this version ({_FORMAT}); choose another "
            "directory"
        )


def _schema(connection: sqlite3.Connection) -> set[tuple[str, str, str | None]]:
    query = "SELECT type, name, sql FROM sqlite_master LIMIT 100"
    return {(kind, name, sql) for kind, name, sql in connection.execute(query)}


@cache
def _own_schema() -> set[tuple[str, str, str | None]]:
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(TABLES)
        return _schema(connection)
    finally:
        connection.close()


@contextmanager
def clear_errors(directory: Path) -> Iterator[None]:
    """What SQLite reports, in one line that says what to do."""
    path = directory / LEDGER
    try:
        yield
    except ProtoProofError:
        raise
    except sqlite3.OperationalError as error:
        raise OutputError(
            f"cannot write {path}: {error}; free space, or choose a writable directory"
        ) from error
    except sqlite3.DatabaseError as error:
        raise InputError(f"{path}: not a readable ledger ({error})") from error
