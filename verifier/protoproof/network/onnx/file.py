"""Read a model file once: hash, parser and ONNX Runtime share the same bytes.

Beside the named file only the data files are opened that it names (see ``external``), and nothing
is read from what is not a regular file. A model may be given by a symbolic link to a regular file:
what counts is the bytes, which are read once through one descriptor.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

import onnx

from protoproof.errors import ModelError, ProtoProofError
from protoproof.network.onnx.external import Files, identity, read_files
from protoproof.network.onnx.limits import DEFAULT_LIMITS, Limits
from protoproof.network.onnx.node import printable
from protoproof.network.onnx.wire import check_wire

_CHECKPOINTS = (
    (b"PK\x03\x04", "a zip archive (a PyTorch checkpoint or .npz?)"),
    (b"\x80\x02", "a pickle"),
    (b"\x80\x03", "a pickle"),
    (b"\x80\x04", "a pickle"),
    (b"\x80\x05", "a pickle"),
)
_MAGIC = (
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x89PNG", "a PNG image"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"version https://git-lfs", "a Git LFS pointer (fetch the real file)"),
)


@dataclass(frozen=True)
class OnnxFile:
    """A model in memory. ``model`` was parsed from exactly ``data``.

    ``files``: the data files that it names, by name. ``sha256``: of all of it together (see
    ``external``).
    """

    path: Path
    data: bytes
    sha256: str
    model: onnx.ModelProto
    files: Files = field(default_factory=dict, repr=False)


def read_regular_file(path: Path, limit: int, error: type[ProtoProofError]) -> bytes:
    """All bytes of a regular file of at most ``limit`` bytes.

    A FIFO, socket, device or directory is refused without opening it for good: the type is checked
    before and, on the descriptor, after opening (non-blocking, so that nothing can hang).

    Raises:
        ``error``: missing, unreadable, not a regular file, or too large.
    """
    name = printable(path, 400)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise error(f"{name}: not a regular file; give the path of a file")
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise error(f"{name}: not a regular file; give the path of a file")
            # as much as there is: reading allocates what is asked for
            data = file.read(min(limit, os.fstat(file.fileno()).st_size) + 1)
    except (OSError, ValueError) as cause:  # ValueError: a NUL in the path
        number = cause.errno if isinstance(cause, OSError) else None
        known = {errno.ENOENT: "no such file", errno.EACCES: "not readable"}
        problem = known.get(number or 0, "cannot be read")
        raise error(f"{name}: {problem}; check the path") from cause
    if len(data) > limit:
        raise error(f"{name}: larger than {limit} bytes; use a smaller file")
    return data


def parse(data: bytes, limits: Limits = DEFAULT_LIMITS) -> onnx.ModelProto:
    """The protobuf message in ``data``, refusing what parsers silently merge or skip.

    Raises:
        ModelError: empty, another file type, truncated, or malformed on the wire.
    """
    if not data:
        raise ModelError("the file is empty; give an ONNX file")
    for magic, kind in _CHECKPOINTS:
        if data.startswith(magic):
            raise ModelError(
                f"this is {kind}, not an ONNX file; export the model to ONNX, or try protoproof "
                "import, which reads checkpoints of public projects"
            )
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            raise ModelError(f"this is {kind}, not an ONNX file; export the model to ONNX")
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in data[:64]):
        raise ModelError("this is a text file, not an ONNX file; export the model to ONNX")
    check_wire(data, limits.fields)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's exceptions carry no type information
        raise ModelError("not a readable ONNX file; export the model again") from error
    return model


def read_model(path: str | Path, limits: Limits = DEFAULT_LIMITS) -> OnnxFile:
    """Read and parse a model file, and read its data files.

    Raises:
        ModelError: see :func:`read_regular_file`, :func:`parse` and :func:`read_files`; the
            message names the file.
    """
    path = Path(path)
    data = read_regular_file(path, limits.file_bytes, ModelError)
    try:
        model = parse(data, limits)
        files = read_files(model, path.parent, limits.file_bytes - len(data))
    except ModelError as error:
        raise ModelError(f"{printable(path, 400)}: {error}") from error
    return OnnxFile(path, data, identity(data, files), model, files)
