"""The campaign's memory: one SQLite file, and the certificates beside it.

A row is committed only after its certificate lies complete under its final name, so whatever
stops the process, a row that claims a certificate has one. Rows are addressed by the key of what
they depend on; plans come and go, results stay.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from protoproof.campaign.model_identity import ModelFacts
from protoproof.campaign.record import STATES, Record, Row
from protoproof.campaign.regions import RegionRecord, region_key
from protoproof.errors import InputError, OutputError, ProtoProofError
from protoproof.files import make_directory, write_atomic

LEDGER = "ledger.sqlite"
CERTIFICATES = "certificates"
REGIONS = "regions"  # certificates and counterexamples of regions
_FORMAT = "protoproof.ledger/2"

_TABLES = f"""
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE models (sha256 TEXT PRIMARY KEY, facts TEXT NOT NULL) STRICT;
CREATE TABLE results (key TEXT PRIMARY KEY, state TEXT NOT NULL, reason TEXT NOT NULL,
  predicted INTEGER, margin REAL, top INTEGER, vocabulary TEXT, oracle TEXT, size INTEGER,
  possible INTEGER, necessary INTEGER, sizes TEXT NOT NULL, prototypes TEXT NOT NULL,
  signature TEXT, certificate TEXT, core TEXT, "limit" REAL) STRICT;
CREATE TABLE timings (key TEXT PRIMARY KEY, seconds REAL NOT NULL, ended TEXT NOT NULL,
  worker INTEGER NOT NULL, megabytes REAL, carried INTEGER NOT NULL) STRICT;
CREATE TABLE plan (position INTEGER PRIMARY KEY, idx INTEGER NOT NULL, label INTEGER NOT NULL,
  instance TEXT NOT NULL, key TEXT NOT NULL) STRICT;
CREATE TABLE regions (key TEXT PRIMARY KEY, state TEXT NOT NULL, reason TEXT NOT NULL,
  predicted INTEGER, method TEXT, certificate TEXT, counterexample TEXT, instead INTEGER,
  "limit" REAL) STRICT;
INSERT INTO about VALUES ('format', '{_FORMAT}');
"""  # noqa: S608  # a constant
_FIELDS = tuple(field.name for field in dataclasses.fields(Record))
_REGION_FIELDS = tuple(field.name for field in dataclasses.fields(RegionRecord))
_JSON = ("sizes", "prototypes")


@dataclass(frozen=True)
class Timing:
    """What an outcome cost: seconds, when it ended (UTC), which worker, its peak memory."""

    seconds: float
    ended: str
    worker: int
    megabytes: float | None = None
    carried: bool = False


@dataclass(frozen=True)
class Planned:
    """One instance of the plan."""

    index: int
    label: int
    instance: str
    key: str


# Why a planned instance has no result although it once had one.
ALTERED = "its certificate is missing or was altered since; run the campaign again"


class Ledger:
    """A campaign's directory; open it with :meth:`create` or :meth:`read`."""

    def __init__(self, directory: Path, connection: sqlite3.Connection) -> None:
        self.directory = directory
        self._sql = connection

    @staticmethod
    @contextmanager
    def create(directory: Path) -> Iterator[Ledger]:
        """Open for writing; directory and file are made where they are missing.

        Raises:
            OutputError: they cannot be made or written.
            InputError: the file is something else, or of another version.
        """
        make_directory(directory / CERTIFICATES)
        make_directory(directory / REGIONS)
        with _clear_errors(directory), _closing(directory / LEDGER, "rwc") as connection:
            _prepare(connection, directory)
            yield Ledger(directory, connection)

    @staticmethod
    @contextmanager
    def read(directory: Path) -> Iterator[Ledger]:
        """Open for reading.

        Raises:
            InputError: the directory holds no campaign.
        """
        if not (directory / LEDGER).is_file():
            raise InputError(
                f"{directory}: holds no {LEDGER}; give the directory that campaign --out made"
            )
        # a run that was killed in the middle of a commit left a journal, which the next reader
        # rolls back; that is a write
        mode = "rw" if os.access(directory, os.W_OK) else "ro"
        with _clear_errors(directory), _closing(directory / LEDGER, mode) as connection:
            _require_format(connection, directory)
            yield Ledger(directory, connection)

    def plan(self, about: dict[str, Any], model: ModelFacts, planned: Sequence[Planned]) -> None:
        """Replace the plan. Results of earlier plans stay, and are found again by their keys."""
        with self._sql:
            self._sql.execute(
                "INSERT OR REPLACE INTO models VALUES (?, ?)",
                (model.sha256, model.model_dump_json()),
            )
            self._sql.execute(
                "INSERT OR REPLACE INTO about VALUES ('plan', ?)",
                (json.dumps(about | {"model": model.sha256}, sort_keys=True),),
            )
            self._sql.execute("DELETE FROM plan")
            self._sql.executemany(
                "INSERT INTO plan VALUES (?, ?, ?, ?, ?)",
                [(n, p.index, p.label, p.instance, p.key) for n, p in enumerate(planned)],
            )

    def store(self, key: str, record: Record, timing: Timing, certificate: bytes | None) -> None:
        """Remember an outcome: first the certificate's file, then the row.

        Raises:
            OutputError: disk full or read-only.
        """
        if certificate is not None:
            write_atomic(self.certificate_path(key), certificate)
        values = dataclasses.asdict(record)
        for name in _JSON:
            values[name] = json.dumps(values[name], sort_keys=True)
        self._insert("results", [key, *(values[name] for name in _FIELDS)], key, timing)

    def store_region(
        self,
        record: RegionRecord,
        timing: Timing,
        certificate: bytes | None = None,
        counterexample: bytes | None = None,
    ) -> None:
        """Remember what came of one region around an instance: first the files, then the row.

        Raises:
            OutputError: disk full or read-only.
        """
        for content, path in zip(
            (certificate, counterexample), self.region_paths(record.key), strict=True
        ):
            if content is not None:
                write_atomic(path, content)
        self._insert("regions", dataclasses.astuple(record), record.key, timing)

    def _insert(self, table: str, values: Sequence[Any], key: str, timing: Timing) -> None:
        with self._sql:
            self._sql.execute(
                f"INSERT OR REPLACE INTO {table} VALUES (?{', ?' * (len(values) - 1)})",  # noqa: S608
                tuple(values),
            )
            self._sql.execute(
                "INSERT OR REPLACE INTO timings VALUES (?, ?, ?, ?, ?, ?)",
                (key, *dataclasses.astuple(timing)),
            )

    def region(self, key: str) -> RegionRecord | None:
        """The result under a region's key, if its files are still as they were."""
        row = self._stored("regions", _REGION_FIELDS, key)
        if row is None:
            return None
        record = RegionRecord(*row)
        self._require_state(record.state)
        digests = (record.certificate, record.counterexample)
        for path, digest in zip(self.region_paths(key), digests, strict=True):
            if digest is not None and _unchanged(path, digest) is None:
                return None
        return record

    def regions(self) -> dict[str, dict[str, RegionRecord]]:
        """Per region of the plan, what came of it, by the key of the instance's explanation."""
        model = self.model()
        planned = self._sql.execute("SELECT instance, key FROM plan ORDER BY position").fetchall()
        found: dict[str, dict[str, RegionRecord]] = {}
        for name, text in self.about()["regions"].items():
            results = found[name] = {}
            for instance, key in planned:
                own = region_key(model.sha256, model.description_sha256, instance, text)
                results[key] = self.region(own) or RegionRecord(
                    own, "not_run", self._why_absent("regions", own)
                )
        return found

    def region_paths(self, key: str) -> tuple[Path, Path]:
        """Where a region's certificate lies, and its counterexample."""
        folder = self.directory / REGIONS
        return folder / f"{key}.cert.json", folder / f"{key}.npy"

    def _stored(
        self, table: Literal["results", "regions"], fields: Sequence[str], key: str
    ) -> tuple[Any, ...] | None:
        names = ", ".join(f'"{name}"' for name in fields)
        row: tuple[Any, ...] | None = self._sql.execute(
            f"SELECT {names} FROM {table} WHERE key = ?",  # noqa: S608  # names of our own
            (key,),
        ).fetchone()
        return row

    def _require_state(self, state: str) -> None:
        if state not in STATES:
            raise InputError(f"{self.directory}: a row has the unknown state {state!r}")

    def result(self, key: str) -> Record | None:
        """The outcome under a key, if there is one and its certificate is still as it was."""
        row = self._stored("results", _FIELDS, key)
        if row is None:
            return None
        values = dict(zip(_FIELDS, row, strict=True))
        self._require_state(values["state"])
        for name in _JSON:
            values[name] = json.loads(values[name])
        record = Record(**values | {"prototypes": tuple(values["prototypes"])})
        if record.certificate is not None and self.certificate(key, record) is None:
            return None
        return record

    def certificate_path(self, key: str) -> Path:
        """Where the certificate of a result lies."""
        return self.directory / CERTIFICATES / f"{key}.cert.json"

    def certificate(self, key: str, record: Record) -> bytes | None:
        """The certificate's bytes, or None where they are missing or not those that were stored."""
        if record.certificate is None:
            return None
        return _unchanged(self.certificate_path(key), record.certificate)

    def about(self) -> dict[str, Any]:
        """What the plan says: data, model, options, selection.

        Raises:
            InputError: nothing was planned yet.
        """
        row = self._sql.execute("SELECT value FROM about WHERE name = 'plan'").fetchone()
        if row is None:
            raise InputError(f"{self.directory}: the campaign has no plan; run it again")
        about: dict[str, Any] = json.loads(row[0])
        return about

    def model(self) -> ModelFacts:
        """The network of the plan."""
        row = self._sql.execute(
            "SELECT facts FROM models WHERE sha256 = ?", (self.about()["model"],)
        ).fetchone()
        return ModelFacts.model_validate_json(row[0])

    def rows(self) -> tuple[Row, ...]:
        """The plan with its outcomes; what has none is ``not_run``."""
        planned = self._sql.execute("SELECT idx, label, instance, key FROM plan ORDER BY position")
        return tuple(
            Row(
                index,
                label,
                instance,
                key,
                self.result(key) or Record("not_run", self._why_absent("results", key)),
            )
            for index, label, instance, key in planned.fetchall()
        )

    def _why_absent(self, table: Literal["results", "regions"], key: str) -> str:
        """Why a key has no result: it was never found, or its files are not as stored."""
        return "not run yet" if self._stored(table, ("key",), key) is None else ALTERED

    def timings(self) -> dict[str, Timing]:
        """What the outcomes of the plan cost, by key."""
        found = self._sql.execute(
            "SELECT key, seconds, ended, worker, megabytes, carried FROM timings "
            "WHERE key IN (SELECT key FROM plan)"
        )
        return {
            key: Timing(seconds, ended, worker, megabytes, bool(carried))
            for key, seconds, ended, worker, megabytes, carried in found
        }


def _unchanged(path: Path, digest: str) -> bytes | None:
    """The file's content, or None where it is missing or another one."""
    if not path.is_file():
        return None
    data = path.read_bytes()
    return data if hashlib.sha256(data).hexdigest() == digest else None


@contextmanager
def _closing(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    address = f"{path.resolve().as_uri()}?mode={mode}"
    connection = sqlite3.connect(address, uri=True, timeout=30)
    try:
        yield connection
    finally:
        connection.close()


def _prepare(connection: sqlite3.Connection, directory: Path) -> None:
    # a rollback journal, not WAL: a finished campaign is one file that read-only media can hold
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA synchronous = FULL")
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if not tables:
        connection.executescript(f"BEGIN;{_TABLES}COMMIT;")
    _require_format(connection, directory)


def _require_format(connection: sqlite3.Connection, directory: Path) -> None:
    try:
        row = connection.execute("SELECT value FROM about WHERE name = 'format'").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        row = None
    if row != (_FORMAT,):
        raise InputError(
            f"{directory / LEDGER}: not a ledger of this version ({_FORMAT}); choose another "
            "directory"
        )


@contextmanager
def _clear_errors(directory: Path) -> Iterator[None]:
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
