"""Writing files so that nothing half-written is ever left behind."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from verifier.errors import OutputError


def write_atomic(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``: temporary name in the same directory, flush, rename.

    An existing file stays intact unless the new one is complete.

    Raises:
        OutputError: the directory is missing or read-only, the disk is full, or ``path`` is a
            directory.
    """
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}; choose a writable --out"
        ) from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp is private to the user; give the file what a plain open() would have given
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}; choose a writable --out"
        ) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def make_directory(path: Path) -> None:
    """Create an output directory and its parents.

    Raises:
        OutputError: it cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot create directory {path}: {error.strerror or error}; choose a writable --out"
        ) from error
