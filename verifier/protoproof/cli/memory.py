"""How ``check`` ends where there is no memory: undecided, never rejected, wherever it broke off."""

from __future__ import annotations

import contextlib
import errno
import json
import mmap
import sys
from collections.abc import Sequence
from typing import NoReturn

UNDECIDED = 3
# Address space that libraries and the first steps of a check ask for. Native libraries end the
# process, or wait for ever, where they do not get it while they are loaded.
_ROOM = 1 << 28


def is_check(arguments: Sequence[str]) -> bool:
    """Whether a command line, without the program's name, asks for ``check``."""
    return next((word for word in arguments if not word.startswith("-")), None) == "check"


def require_room() -> None:
    """Ask for the room that a check needs at least, and give it back.

    Raises:
        MemoryError: this process may not have it.
    """
    try:
        mmap.mmap(-1, _ROOM).close()
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError from error
        raise


def is_exhausted(error: BaseException) -> bool:
    """Whether an error is a lack of memory, or came of one."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
    return any(map(_lacks_memory, seen))


def _lacks_memory(error: BaseException) -> bool:
    if isinstance(error, ImportError):  # the loader's own words: a library that found no room
        return any(words in str(error) for words in ("failed to map segment", "cannot allocate"))
    return isinstance(error, MemoryError) or (
        isinstance(error, OSError) and error.errno == errno.ENOMEM
    )


def end_undecided(as_json: bool = False) -> NoReturn:
    """One line, and the exit code of what is undecided."""
    words = "out of memory; nothing is said about the certificate"
    print(f"undecided: {words}", file=sys.stderr)
    if as_json:
        print_failure(f"undecided: {words}", UNDECIDED)
    sys.exit(UNDECIDED)


def print_failure(line: str, code: int) -> None:
    """The document of ``--json`` where there is no answer: one line, also among JSON Lines."""
    with contextlib.suppress(OSError):  # standard output may be what failed
        print(json.dumps({"error": line, "exit_code": code}), flush=True)
