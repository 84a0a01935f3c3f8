"""Tensors that a model file keeps in other files (ONNX's external data, torch's default).

Only a regular file that lies in the model's own directory under a plain name is ever opened, once,
relative to that directory: no path, no link of any kind, no device. It is read whole; what was
hashed is what is parsed and what ONNX Runtime gets. A tensor's numbers are a part of such a file
whose place and size are checked before a view of it is made.

Model and data have one identity. Alone, a model is known by the sha256 of its file. Together with
data files, it is known by the sha256 of a manifest, a text with a line ``sha256  bytes  name`` for
each file: the model first, under the name ``model`` (so that it may be renamed), then the data
files by name (they cannot be renamed: the model names them).
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto, TensorProto, helper

from protoproof.errors import ModelError
from protoproof.network.onnx.node import printable

Files = Mapping[str, bytes]
NO_FILES: Files = {}

_LONGEST_NAME = 255  # bytes
_MOST_FILES = 1024
_SMALL = 1 << 12  # numbers of one tensor
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_KEYS = frozenset({"location", "offset", "length", "checksum"})


@dataclass(frozen=True)
class Place:
    """Where a tensor's numbers are; ``length`` None where the file does not say it."""

    file: str
    offset: int
    length: int | None


def is_external(tensor: TensorProto) -> bool:
    """Whether a tensor says that its numbers are in another file."""
    return bool(tensor.data_location == TensorProto.EXTERNAL or len(tensor.external_data))


def place(tensor: TensorProto) -> Place:
    """What an external tensor says about its numbers.

    The checksum that ONNX knows is a remark: the identity covers every byte.

    Raises:
        ModelError: anything in it is missing, unknown, written twice, or not in its plain form.
    """
    if tensor.data_location != TensorProto.EXTERNAL:
        raise ModelError("it names another file, but says that it is not stored there")
    entries: dict[str, str] = {}
    for entry in tensor.external_data:
        if entry.key not in _KEYS:
            raise ModelError(f"external data with the unknown key '{printable(entry.key)}'")
        if entry.key in entries:
            raise ModelError(f"external data with the key '{entry.key}' twice")
        entries[entry.key] = entry.value
    name = entries.get("location", "")
    if not plain_name(name):
        raise ModelError(
            f"its external data are in '{printable(name)}', which is not the plain name of a file "
            "beside the model; save the model again"
        )
    numbers = {key: entries[key] for key in ("offset", "length") if key in entries}
    for key, text in numbers.items():
        if not _NUMBER.fullmatch(text):
            raise ModelError(f"the {key} of its external data is '{printable(text)}', not a number")
    length = numbers.get("length")
    return Place(name, int(numbers.get("offset", "0")), None if length is None else int(length))


def plain_name(name: str) -> bool:
    """Whether a name can only mean an entry of the directory that it is looked up in."""
    size = len(name.encode("utf-8", "surrogatepass"))
    inert = name.isprintable() and not set(name) & {"/", "\\"}
    return inert and 0 < size <= _LONGEST_NAME and name not in (".", "..")


def numbers(tensor: TensorProto, itemsize: int, files: Files) -> memoryview:
    """The bytes of an external tensor, without a copy.

    Raises:
        ModelError: see :func:`place`; or its file was not read, or is too short, or the stated
            length is not the one that its dims need.
    """
    where, size = place(tensor), math.prod(tensor.dims) * itemsize
    if where.file not in files:
        raise ModelError(f"its external data '{printable(where.file)}' were not read")
    if where.length not in (None, size):
        raise ModelError(
            f"its external data have {where.length} bytes, dims {list(tensor.dims)} need {size}; "
            "save the model again"
        )
    content = files[where.file]
    if where.offset + size > len(content):
        raise ModelError(
            f"its external data end at byte {where.offset + size}, '{printable(where.file)}' has "
            f"{len(content)} bytes; fetch or save the model again"
        )
    return memoryview(content)[where.offset : where.offset + size]


def read_files(model: ModelProto, directory: Path, limit: int) -> dict[str, bytes]:
    """All files in which initializers of the model are stored, each read once, by name.

    Places that are malformed are left for the screen to name; no file is opened for them.

    Raises:
        ModelError: a file is missing, is no regular file of its own, or all are too large.
    """
    names = sorted(set(_names(model)))
    if len(names) > _MOST_FILES:
        raise ModelError(f"its weights are in more than {_MOST_FILES} files; save fewer")
    if not names:
        return {}
    try:
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise ModelError(
            "the directory of the model cannot be read; move model and data"
        ) from error
    files: dict[str, bytes] = {}
    try:
        for name in names:
            files[name] = _read(folder, name, limit)
            limit -= len(files[name])
    finally:
        os.close(folder)
    return files


def _names(model: ModelProto) -> Iterator[str]:
    for tensor in model.graph.initializer:
        if is_external(tensor):
            try:
                yield place(tensor).file
            except ModelError:
                continue


def _read(folder: int, name: str, limit: int) -> bytes:
    what = f"external data '{printable(name)}'"
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise ModelError(f"{what}: not a regular file (links are not followed); copy the file")
        with os.fdopen(os.open(name, flags, dir_fd=folder), "rb") as stream:
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise ModelError(f"{what}: not a regular file; copy the file")
            if found.st_nlink != 1:  # another file's content under this name
                raise ModelError(f"{what}: has another name elsewhere (a hard link); copy the file")
            # as much as there is: reading allocates what is asked for
            data = stream.read(min(limit, found.st_size) + 1)
    except FileNotFoundError as error:
        raise ModelError(f"{what}: no such file beside the model; put it there") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{what}: cannot be read; check its permissions") from error
    if len(data) > limit:
        raise ModelError(f"{what}: model and data are larger than allowed; use a smaller model")
    return data


def listing(files: Files) -> tuple[tuple[str, str, int], ...]:
    """(name, sha256, bytes) of every data file, by name."""
    return tuple(
        (name, hashlib.sha256(files[name]).hexdigest(), len(files[name])) for name in sorted(files)
    )


def identity(data: bytes, files: Files) -> str:
    """The sha256 by which a model file and its data files are known together."""
    alone = hashlib.sha256(data).hexdigest()
    if not files:
        return alone
    lines = [f"{digest}  {size}  {name}\n" for name, digest, size in listing(files)]
    manifest = "".join((f"{alone}  {len(data)}  model\n", *lines))
    return hashlib.sha256(manifest.encode("utf-8")).hexdigest()


def embedded(data: bytes, files: Files, most: int = _SMALL) -> bytes:
    """The same model with its external tensors of at most so many numbers stored in the model.

    ONNX Runtime needs shapes and axes at hand while it loads a model; the large tensors it takes
    from the data files' bytes.
    """
    model = ModelProto.FromString(data)
    for tensor in model.graph.initializer:
        if is_external(tensor) and math.prod(tensor.dims) <= most:
            width = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
            tensor.raw_data = bytes(numbers(tensor, width, files))
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
    return bytes(model.SerializeToString())
