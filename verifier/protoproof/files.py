"""Writing files so that nothing half-written is ever left behind."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from protoproof.errors import OutputError


def write_atomic(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``; see :func:`write_together`."""
    write_together({path: data})


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write several files: temporary names in the same directories, flush, then rename all.

    Every file is complete under its temporary name before the first is renamed, so a failure
    leaves none of them, and an existing file stays intact unless the new one is complete.

    Raises:
        OutputError: a directory is missing or read-only, the disk is full, or a path is taken by
            something that is not a regular file (a directory, a link, a device).
    """
    ready: list[tuple[Path, Path]] = []
    try:
        for path, data in contents.items():
            _refuse_special(path)
            ready.append((_write_temporary(path, data), path))
        for temporary, path in ready:
            _replace(temporary, path)
    finally:
        for temporary, _ in ready:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def _refuse_special(path: Path) -> None:
    """A rename would replace a device or a link by a file: nobody means that."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise _cannot_write(path, error) from error
    if not stat.S_ISREG(mode):
        raise OutputError(f"cannot write {path}: it exists and is no regular file; choose another")


def _write_temporary(path: Path, data: bytes) -> Path:
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp is private to the user; give the file what a plain open() would have given
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        return Path(temporary)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        raise _cannot_write(path, error) from error


def _replace(temporary: Path, path: Path) -> None:
    try:
        os.replace(temporary, path)
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write {path}: {error.strerror or error}; choose a writable --out")


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


def require_writable(directory: Path) -> None:
    """Find out, without creating anything, that a directory can be made and written to.

    Raises:
        OutputError: it cannot.
    """
    existing = directory
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise OutputError(f"cannot write to {directory}: {existing} is no directory")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write to {directory}: no permission; choose a writable --out")
