"""Writing files so that nothing half-written is left behind; reading those nobody vouches for."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from protoproof.errors import InputError, OutputError


def read_regular(path: Path, most: int) -> bytes | None:
    """A file's content; None where there is nothing of this name.

    Nothing else is ever read: a link may lead out of a directory, a pipe or device never ends.

    Raises:
        InputError: a link or no regular file, larger than ``most`` bytes, or unreadable.
    """
    try:
        # not blocking: opening a pipe would wait for its other end
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise InputError(f"{path}: is a link or no regular file, so it is not read") from error
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InputError(f"{path}: is a link or no regular file, so it is not read")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            size = os.fstat(descriptor).st_size  # reading allocates what is asked for
            content = stream.read(size + 1) if size <= most else None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    finally:
        os.close(descriptor)
    if content is None or len(content) > most:
        raise InputError(f"{path}: is larger than {most} bytes, so it is not read")
    return content


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


def set_aside(path: Path) -> None:
    """Rename a regular file to ``NAME.stale``, in place of an older one; nothing else is touched.

    Raises:
        OutputError: it cannot be renamed.
    """
    try:
        if stat.S_ISREG(os.lstat(path).st_mode):
            os.replace(path, path.with_name(f"{path.name}.stale"))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise OutputError(
            f"{path}: a result of an earlier run, and cannot be renamed "
            f"({error.strerror or error}); choose a writable --out"
        ) from error


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


def require_apart(said: str, written: Iterable[Path], read: Iterable[Path | None]) -> None:
    """Refuse to write over what is read. ``said``: the option, and what it was given.

    Raises:
        OutputError: a file that is read lies where one is written.
    """
    kept = {path.resolve() for path in read if path is not None}
    for path in written:
        if path.resolve() in kept:
            raise OutputError(f"{said}: would write over {path}; choose another name")


def require_new(said: str, *paths: Path, remedy: str = "choose another name") -> None:
    """Refuse to write over anything at all. ``said``: the option, and what it was given.

    Raises:
        OutputError: something is there, or a directory cannot be written to.
    """
    for path in paths:
        if os.path.lexists(path):
            what = "" if said.endswith(str(path)) else f"{path} "
            raise OutputError(f"{said}: {what}exists already; {remedy}")
        require_writable(path.parent)


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
