"""The two formats of torch's files: a zip archive (since 1.6), and pickles one after the other."""

from __future__ import annotations

import mmap
import os
import stat
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import InputError
from protoproof.importing.pickled.machine import MOST_BYTES, Stream, read_pickle
from protoproof.importing.pickled.tensors import MEANINGS, TYPES, Raw, Storage, persistent

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
MOST_RECORDS = 100_000


@dataclass(frozen=True)
class Saved:
    """The value that was saved, and where the numbers of its tensors are."""

    value: Any
    raw: Raw


def read_saved(path: Path) -> Saved:
    """Read a file of torch in either format. Nothing in it is run.

    Raises:
        InputError: it cannot be read, is no such file, or names what no checkpoint needs.
    """
    view = _mapped(path)
    try:
        return _zipped(path, view) if view[:2] == b"PK" else _legacy(view)
    except InputError as error:
        raise InputError(f"{path}: not read: {error}") from error


def _mapped(path: Path) -> mmap.mmap:
    """The file as memory: pages are read when they are needed, and never copied."""
    try:
        # not blocking: opening a pipe would wait for its other end
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InputError(f"{path}: is no regular file, so it is not read")
            return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read ({reason})") from error


def _zipped(path: Path, view: mmap.mmap) -> Saved:
    try:
        with zipfile.ZipFile(path) as archive:
            records = {info.filename: info for info in archive.infolist()}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"it is no zip archive that can be read ({error})") from error
    if len(records) > MOST_RECORDS:
        raise InputError(f"it has more than {MOST_RECORDS} records")
    folder = next((n[: -len("data.pkl")] for n in records if n.endswith("/data.pkl")), None)
    if folder is None:
        raise InputError("the archive holds no data.pkl, so it is none of torch's")
    order = ">" if _record(view, records.get(f"{folder}byteorder")) == b"big" else "<"
    pickle = records[f"{folder}data.pkl"]
    if pickle.file_size > MOST_BYTES:
        raise InputError(f"its pickle is longer than {MOST_BYTES} bytes")
    value = read_pickle(Stream(view, _span(view, pickle)[0]), MEANINGS, persistent)

    def raw(storage: Storage) -> NDArray[Any]:
        info = records.get(f"{folder}data/{storage.key}")
        if info is None or info.file_size != storage.bytes:
            raise InputError(f"its storage '{storage.key[:40]}' is missing, or of another size")
        return _numbers(view, _span(view, info)[0], storage, order)

    return Saved(value, raw)


def _record(view: mmap.mmap, info: zipfile.ZipInfo | None) -> bytes:
    if info is None or info.file_size > 1024:
        return b""
    start, end = _span(view, info)
    return view[start:end]


def _span(view: mmap.mmap, info: zipfile.ZipInfo) -> tuple[int, int]:
    """Where a record's bytes begin and end.

    torch stores records as they are; one that is packed could unpack to any size.
    """
    header = view[info.header_offset : info.header_offset + 30]
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
        raise InputError("a record of the archive is packed or encrypted; torch stores them plain")
    if len(header) < 30 or header[:4] != b"PK\3\4":
        raise InputError("a record of the archive has no header")
    name, extra = struct.unpack("<HH", header[26:30])
    start = info.header_offset + 30 + name + extra
    if start + info.file_size > len(view):
        raise InputError("the archive is cut off")
    return start, start + info.file_size


def _legacy(view: mmap.mmap) -> Saved:
    """Magic number, protocol, system, value, keys of the storages; then each with its length."""
    stream = Stream(view)
    heads = [read_pickle(stream, {}) for _ in range(3)] if view[:1] == b"\x80" else [None]
    if heads[0] != MAGIC or heads[1] != PROTOCOL or not isinstance(heads[2], dict):
        raise InputError("it is no file of torch: neither a zip archive nor the older format")
    order = "<" if heads[2].get("little_endian", True) else ">"
    storages: dict[str, Storage] = {}

    def known(identity: Any) -> Any:
        found = persistent(identity)
        if isinstance(found, Storage):
            found = storages.setdefault(found.key, found)
        return found

    value = read_pickle(stream, MEANINGS, known)
    keys = read_pickle(stream, {})
    starts: dict[str, int] = {}
    position = stream.position
    for key in keys if isinstance(keys, list) else ():
        storage = storages.get(key) if isinstance(key, str) else None
        count = view[position : position + 8]
        if (
            storage is None
            or len(count) < 8
            or struct.unpack(f"{order}q", count)[0] != storage.count
        ):
            raise InputError("a storage of it is missing, or of another size")
        starts[storage.key] = position + 8
        position += 8 + storage.bytes

    def raw(storage: Storage) -> NDArray[Any]:
        if storage.key not in starts:
            raise InputError("a storage of it is missing")
        return _numbers(view, starts[storage.key], storage, order)

    return Saved(value, raw)


def _numbers(view: mmap.mmap, start: int, storage: Storage, order: str) -> NDArray[Any]:
    if start + storage.bytes > len(view):
        raise InputError("the file is cut off")
    kind = np.dtype(TYPES[storage.kind]).newbyteorder("<" if order == "<" else ">")
    found = np.frombuffer(view, kind, storage.count, start)
    return found if order == "<" else found.astype(kind.newbyteorder("="))
