"""The campaign's memory: one SQLite file, and the certificates beside it.

A row is committed only after its certificate lies complete under its final name, so whatever
stops the process, a row that claims a certificate has one. Rows are addressed by the key of what
they depend on; plans come and go, results stay.

The memory serves resuming. What it says is nobody's proof: :mod:`protoproof.campaign.recheck` finds
out again whatever a gate or a report tells. Here it is only made sure that a file from somewhere
else costs no more than one clear line.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from protoproof.campaign.database import (
    clear_errors,
    opened,
    prepare,
    refuse_special,
    require_format,
)
from protoproof.campaign.model_identity import ModelFacts
from protoproof.campaign.places import (
    FOLDERS,
    LEDGER,
    certificate_path,
    region_paths,
    size_path,
    unchanged,
)
from protoproof.campaign.record import Options, Record, Row
from protoproof.campaign.regions import RegionRecord, region_key
from protoproof.errors import InputError
from protoproof.files import make_directory, write_atomic

_MOST_ROWS = 1 << 22  # of a plan

_FIELDS = tuple(field.name for field in dataclasses.fields(Record))
_REGION_FIELDS = tuple(field.name for field in dataclasses.fields(RegionRecord))
_JSON = ("sizes", "prototypes")
_KEY = re.compile(r"[0-9a-f]{64}")
_T = TypeVar("_T")
_RECORD, _REGION = TypeAdapter(Record), TypeAdapter(RegionRecord)


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Where(_Closed):
    model: str
    data: str
    preprocess: str = ""


class _Data(_Closed):
    name: str
    sha256: str


class _Selection(_Closed):
    kind: Literal["all", "per_class", "listed"]
    per_class: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0)] | None = None


class _About(_Closed):
    """What a plan says of itself."""

    where: _Where
    data: _Data
    selection: _Selection
    options: Options
    versions: dict[str, str]
    regions: dict[str, str]
    domain: str
    model: str


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
        for folder in FOLDERS:
            if (directory / folder).is_symlink():  # it would lead out of the directory
                raise InputError(f"{directory / folder}: is a link; choose another directory")
            make_directory(directory / folder)
        refuse_special(directory)
        with clear_errors(directory), opened(directory / LEDGER, "rwc") as connection:
            prepare(connection, directory)
            yield Ledger(directory, connection)

    @staticmethod
    @contextmanager
    def read(directory: Path) -> Iterator[Ledger]:
        """Open for reading.

        Raises:
            InputError: the directory holds no campaign.
        """
        if not (directory / LEDGER).exists():
            raise InputError(
                f"{directory}: holds no {LEDGER}; give the directory that campaign --out made"
            )
        refuse_special(directory)
        # a run that was killed in the middle of a commit left a journal, which the next reader
        # rolls back; that is a write (what else a journal can ask for was refused)
        mode = "rw" if os.access(directory, os.W_OK) else "ro"
        with clear_errors(directory), opened(directory / LEDGER, mode) as connection:
            require_format(connection, directory)
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

    def store(
        self,
        key: str,
        record: Record,
        timing: Timing,
        certificate: bytes | None,
        others: Mapping[str, bytes] | None = None,
    ) -> None:
        """Remember an outcome: first the certificates' files, then the row.

        Raises:
            OutputError: disk full or read-only.
        """
        for vocabulary, content in (others or {}).items():
            write_atomic(self.size_path(key, vocabulary), content)
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
        values = dict(zip(_REGION_FIELDS, row, strict=True))
        record = self._parsed(lambda: _REGION.validate_python(values))
        digests = (record.certificate, record.counterexample)
        for path, digest in zip(self.region_paths(key), digests, strict=True):
            if digest is not None and unchanged(path, digest) is None:
                return None
        return record

    def regions(self) -> dict[str, dict[str, RegionRecord]]:
        """Per region of the plan, what came of it, by the key of the instance's explanation."""
        model = self.model()
        planned = [(instance, key) for *_, instance, key in self._planned()]
        found: dict[str, dict[str, RegionRecord]] = {}
        for name, text in self.about()["regions"].items():
            results = found[name] = {}
            for instance, key in planned:
                own = region_key(model.key, instance, text)
                results[key] = self.region(own) or RegionRecord(
                    own, "not_run", self._why_absent("regions", own)
                )
        return found

    def region_paths(self, key: str) -> tuple[Path, Path]:
        """Where a region's certificate lies, and its counterexample."""
        return region_paths(self.directory, key)

    def _stored(
        self, table: Literal["results", "regions"], fields: Sequence[str], key: str
    ) -> tuple[Any, ...] | None:
        names = ", ".join(f'"{name}"' for name in fields)
        row: tuple[Any, ...] | None = self._sql.execute(
            f"SELECT {names} FROM {table} WHERE key = ?",  # noqa: S608  # names of our own
            (key,),
        ).fetchone()
        return row

    def _parsed(self, parse: Callable[[], _T]) -> _T:
        """What a value says, if it is one that a campaign writes."""
        try:
            return parse()
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError(
                f"{self.directory / LEDGER}: holds what no campaign writes "
                f"({type(error).__name__}); run the campaign again in another directory"
            ) from error

    def result(self, key: str) -> Record | None:
        """The outcome under a key, if there is one and its certificates are still as they were."""
        row = self._stored("results", _FIELDS, key)
        if row is None:
            return None
        values = dict(zip(_FIELDS, row, strict=True))
        record = self._parsed(
            lambda: _RECORD.validate_python(
                values | {name: json.loads(values[name]) for name in _JSON}
            )
        )
        if record.state == "proved" and record.certificate is None:
            return None
        if record.certificate is not None and self.certificate(key, record) is None:
            return None
        return record if self.others(key, record) is not None else None

    def certificate_path(self, key: str) -> Path:
        """Where the certificate of a result lies."""
        return certificate_path(self.directory, key)

    def size_path(self, key: str, vocabulary: str) -> Path:
        """Where the certificate of a result in another vocabulary lies."""
        return size_path(self.directory, key, vocabulary)

    def certificate(self, key: str, record: Record) -> bytes | None:
        """The certificate's bytes, or None where they are missing or not those that were stored."""
        if record.certificate is None:
            return None
        return unchanged(self.certificate_path(key), record.certificate)

    def others(self, key: str, record: Record) -> dict[str, bytes] | None:
        """The certificates in vocabularies that were not chosen; None where one is not as stored.

        A size without a certificate is as good as lost.
        """
        found = {}
        for vocabulary, entry in record.sizes.items():
            if entry.get("size") is None or vocabulary == record.vocabulary:
                continue
            path = self.size_path(key, vocabulary)
            content = unchanged(path, str(entry.get("certificate")))
            if content is None:
                return None
            found[vocabulary] = content
        return found

    def about(self) -> dict[str, Any]:
        """What the plan says: data, model, options, selection.

        Raises:
            InputError: nothing was planned yet.
        """
        row = self._sql.execute("SELECT value FROM about WHERE name = 'plan'").fetchone()
        if row is None:
            raise InputError(f"{self.directory}: the campaign has no plan; run it again")
        about = self._parsed(lambda: _About.model_validate_json(row[0]))
        chosen = about.selection.model_dump(exclude_none=True)
        return about.model_dump() | {"selection": chosen}

    def model(self) -> ModelFacts:
        """The network of the plan."""
        row = self._sql.execute(
            "SELECT facts FROM models WHERE sha256 = ?", (self.about()["model"],)
        ).fetchone()
        if row is None:
            raise InputError(f"{self.directory}: does not say what its network is; run it again")
        return self._parsed(lambda: ModelFacts.model_validate_json(row[0]))

    def rows(self) -> tuple[Row, ...]:
        """The plan with its outcomes; what has none is ``not_run``."""
        return tuple(
            Row(
                index,
                label,
                instance,
                key,
                self.result(key) or Record("not_run", self._why_absent("results", key)),
            )
            for index, label, instance, key in self._planned()
        )

    def _planned(self) -> list[tuple[int, int, str, str]]:
        """The plan in order, if there can be such a one."""
        classes = len(self.model().classes)
        found = self._sql.execute(
            "SELECT idx, label, instance, key FROM plan ORDER BY position LIMIT ?",
            (_MOST_ROWS + 1,),
        ).fetchall()
        if len(found) > _MOST_ROWS:
            raise InputError(f"{self.directory}: plans more than {_MOST_ROWS} instances")
        for index, label, instance, key in found:
            known = _KEY.fullmatch(instance) and _KEY.fullmatch(key)
            if not known or index < 0 or not 0 <= label < classes:
                raise InputError(f"{self.directory}: plans what no campaign plans; run it again")
        return found

    def _why_absent(self, table: Literal["results", "regions"], key: str) -> str:
        """Why a key has no result: it was never found, or its files are not as stored."""
        return "not run yet" if self._stored(table, ("key",), key) is None else ALTERED

    def altered(self) -> int:
        """How many results of the plan are told of, and lack their files as they were stored."""
        rows = [row.record.reason for row in self.rows()]
        around = [record.reason for found in self.regions().values() for record in found.values()]
        return [*rows, *around].count(ALTERED)

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
