"""Reading ``.npz`` files that strangers made: sizes are checked before a byte is unpacked."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.lib import format as npy

from protoproof.data.limits import MAX_BYTES, most_unpacked
from protoproof.errors import InputError

KEYS = ("x_train", "y_train", "x_test", "y_test")
TEST = KEYS[2:]
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    OSError,
    NotImplementedError,  # a compression method that Python does not know
    RuntimeError,  # an encrypted member, or a header that nests too deep
    SyntaxError,  # a header that is no literal
    TokenError,  # or no text of Python at all
    TypeError,  # a header whose keys are no words
    OverflowError,  # or whose numbers no machine has
    MemoryError,  # a header that the parser gives up, or an array that is said to be too large
)


def read_npz(path: Path, keys: Sequence[str] = KEYS) -> dict[str, np.ndarray]:
    """The arrays of a file, of a data file four; other members are ignored and never unpacked.

    Raises InputError when the file is truncated, lacks an array, holds Python objects, or
    declares more than the size limit (a small file can declare terabytes).
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}
            missing = [key for key in keys if f"{key}.npy" not in members]
            if missing:
                raise InputError(
                    f"{path}: no array named {', '.join(missing)}: save "
                    f"{', '.join(keys[:-1])} and {keys[-1]} with numpy.savez"
                )
            wanted = [members[f"{key}.npy"] for key in keys]
            _limit(sum(info.file_size for info in wanted), path)
            headers = [_header(archive, info, path) for info in wanted]
            # Images become float32, so one stored byte may cost four.
            _limit(sum(4 * math.prod(shape) for shape, _ in headers), path)
            require_sensible(archive, path)
            return {key: _array(archive, info) for key, info in zip(keys, wanted, strict=True)}
    except UNREADABLE as error:
        raise InputError(
            f"{path}: cannot be read as a .npz file ({reason(error)}): save it again with "
            "numpy.savez"
        ) from error


def reason(error: BaseException) -> str:
    """What NumPy complains about, in one line; it may have no words for it."""
    return " ".join(str(error).split()) or type(error).__name__


def read_parts(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a data file: all four, or those of the test part where there is no other.

    Raises:
        InputError: see :func:`read_npz`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {info.filename for info in archive.infolist()}
    except UNREADABLE:
        names = set()  # which reading it says
    one = {f"{key}.npy" for key in KEYS} & names == {f"{key}.npy" for key in TEST}
    return read_npz(path, TEST if one else KEYS)


def require_sensible(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse an archive that is small and unpacks to much, before anything of it is unpacked.

    Raises:
        InputError: it does.
    """
    size = sum(info.file_size for info in archive.infolist())
    packed = sum(info.compress_size for info in archive.infolist())
    if size > most_unpacked(min(packed, path.stat().st_size)):
        raise InputError(f"{path}: a small archive that unpacks to {size} bytes")


def _limit(size: int, path: Path) -> None:
    if size > MAX_BYTES:
        raise InputError(
            f"{path}: the arrays need {size} bytes, more than the limit of {MAX_BYTES}: "
            "use fewer or smaller images"
        )


def _header(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path
) -> tuple[tuple[int, ...], np.dtype]:
    """Declared shape and type of one member; only its first bytes are unpacked."""
    with archive.open(info) as stream:
        version = npy.read_magic(stream)
        if version == (1, 0):
            shape, _, dtype = npy.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, _, dtype = npy.read_array_header_2_0(stream)
        else:
            raise ValueError(f"{info.filename} has the unknown format version {version}")
        header = stream.tell()
    if dtype.hasobject or dtype.kind not in "uifb":
        raise InputError(
            f"{path}: array {info.filename[:-4]} has type {dtype}: only numbers are read "
            "(Python objects could run code)"
        )
    if any(size < 0 for size in shape) or (
        header + math.prod(shape) * dtype.itemsize != info.file_size
    ):
        raise ValueError(f"{info.filename} declares shape {shape} but has another size")
    return shape, dtype


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(info) as stream:
        return npy.read_array(stream, allow_pickle=False)
