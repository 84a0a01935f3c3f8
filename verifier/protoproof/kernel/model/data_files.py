"""The files beside a model in which it keeps tensors (ONNX's external data), and their identity.

A model names a data file by a plain name. Only a regular file that lies under that name in the
model's own directory is opened, relative to that directory, once: no path, no link, no device.

Which files those are is found by a scan that skips whatever it does not know. Nothing rests on it:
the strict reader refuses a model that names another file than those it was given, or fewer.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from protoproof.errors import ModelError
from protoproof.kernel.model.protobuf import FIXED32, FIXED64, LENGTH, VARINT, part_of, varint

MAX_TOTAL = (1 << 31) - 1  # bytes of a model and its data files; and of all tensors in the latter

_MOST_FILES = 1024
_MOST_BYTES_OF_A_NAME = 255
_MOST_VALUES = 1 << 23  # more cannot be afforded by the strict reader
# From a model to an entry of a tensor's place: ModelProto.graph, GraphProto.initializer,
# TensorProto.external_data; an entry has a key and a value.
_PATH = (7, 5, 13)
_KEY, _VALUE = 1, 2


def is_plain(name: str) -> bool:
    """Whether a name can mean nothing but an entry of the directory that it is looked up in."""
    if name in ("", ".", "..") or "/" in name or "\\" in name or not name.isprintable():
        return False
    return len(name.encode("utf-8")) <= _MOST_BYTES_OF_A_NAME


def names_in(data: bytes) -> tuple[str, ...]:
    """The plain names that initializers of a model give as their place, sorted."""
    found = {name for name in _locations(memoryview(data)) if is_plain(name)}
    return tuple(sorted(found))


def _locations(data: memoryview) -> Iterator[str]:
    parts, left = [(data, 0)], [_MOST_VALUES]
    with suppress(ModelError, UnicodeDecodeError):  # the strict reader will say so
        while parts:
            part, depth = parts.pop()
            if depth < len(_PATH):
                inner = [value for number, value in _scan(part, left) if number == _PATH[depth]]
                parts += [(value, depth + 1) for value in inner]
                continue
            entry = dict(_scan(part, left))
            if bytes(entry.get(_KEY, b"")) == b"location":
                yield str(entry.get(_VALUE, b""), "utf-8")


def _scan(data: memoryview, left: list[int]) -> Iterator[tuple[int, memoryview]]:
    """Field numbers and bytes of the values of a message that are written with their length.

    ``left[0]`` is how many more values may be visited; it is counted down.

    Raises:
        ModelError: no message, or too many values.
    """
    position = 0
    while position < len(data):
        left[0] -= 1
        key, position = varint(data, position, "model")
        if key & 7 == LENGTH:
            part, position = part_of(data, position, "model")
            yield key >> 3, part
        elif key & 7 == VARINT:
            _, position = varint(data, position, "model")
        else:
            position += {FIXED64: 8, FIXED32: 4}.get(key & 7, len(data))
        if left[0] < 0:
            raise ModelError("model: too many values")


def read_beside(directory: Path, names: tuple[str, ...], room: int) -> dict[str, bytes]:
    """The data files of a model, by name.

    Raises:
        ModelError: a file is missing, not a regular file of its own, or all are too large.
    """
    if len(names) > _MOST_FILES:
        raise ModelError(f"the model is in more than {_MOST_FILES} files")
    files: dict[str, bytes] = {}
    if not names:
        return files
    try:
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ModelError(f"cannot read the model's directory: {error.strerror}") from error
    try:
        for name in names:
            files[name] = _whole(folder, name, room)
            room -= len(files[name])
    finally:
        os.close(folder)
    return files


def _whole(folder: int, name: str, room: int) -> bytes:
    """The content of one file; the descriptor, not the name, is what is asked about it."""
    what = f"the model's data file {name!r}"
    try:
        if not stat.S_ISREG(os.lstat(name, dir_fd=folder).st_mode):  # opening a device does things
            raise ModelError(f"{what} is a link, or no regular file")
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, dir_fd=folder), "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
                raise ModelError(f"{what} is a link, or no regular file")
            content = stream.read(min(room, status.st_size) + 1)
    except OSError as error:
        raise ModelError(f"cannot read {what}: {error.strerror}") from error
    if len(content) > room:
        raise ModelError(f"model and data files are larger than {MAX_TOTAL} bytes")
    return content


def described(files: Mapping[str, bytes]) -> tuple[tuple[str, str, int], ...]:
    """Name, sha256 and size of each data file, by name."""
    return tuple(
        (name, hashlib.sha256(content).hexdigest(), len(content))
        for name, content in sorted(files.items())
    )


def identity(data: bytes, files: Mapping[str, bytes]) -> str:
    """The sha256 that certificates name a model by.

    It is that of the model's file; where there are data files, that of a text with a line for each
    file: sha256, size and name, two spaces between them. The model, whatever it is called, comes
    first as ``model``; the data files follow by name.
    """
    own = hashlib.sha256(data).hexdigest()
    if not files:
        return own
    manifest = f"{own}  {len(data)}  model\n"
    for name, digest, size in described(files):
        manifest += f"{digest}  {size}  {name}\n"
    return hashlib.sha256(manifest.encode("utf-8")).hexdigest()
