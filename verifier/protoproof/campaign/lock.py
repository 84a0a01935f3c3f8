"""One writer per output directory."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from protoproof.errors import OutputError, UsageError


@contextmanager
def only_writer(directory: Path) -> Iterator[None]:
    """Hold the directory's lock; the operating system lets go of it however the process ends.

    Raises:
        UsageError: another process holds it.
        OutputError: the lock file cannot be made.
    """
    path = directory / "lock"
    try:
        stream = path.open("a")
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}; choose a writable --out"
        ) from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"--out {directory}: another campaign is writing there; wait for it, or choose "
                "another directory"
            ) from error
        yield
