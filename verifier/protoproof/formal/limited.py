"""A built program on files that anybody may have made: for how long, and with how much memory."""

from __future__ import annotations

import resource
import signal
import subprocess
from collections.abc import Sequence

SECONDS, BYTES = 60, 1 << 31  # of the processor, and of memory, for one run
TOO_COSTLY = "it would take more than a minute or 2 GiB"

_BY_THE_CLOCK = 600
_ENDED = (
    -signal.SIGXCPU,
    -signal.SIGKILL,
    -signal.SIGSEGV,
)  # a stack that may not grow is the last


class TooCostlyError(Exception):
    """The program was ended, or gave up: nothing is known."""


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """What a program says within the limits.

    Raises:
        OSError, subprocess.TimeoutExpired: it did not answer.
        TooCostlyError: it asked for more.
    """
    result = subprocess.run(  # noqa: S603  # the user's own program, by its path
        list(command),
        capture_output=True,
        text=True,
        check=False,
        timeout=_BY_THE_CLOCK,
        preexec_fn=_narrow,  # some system calls
    )
    gave_up = ("Out_of_memory", "Out of memory", "Stack_overflow", "Stack overflow")
    if result.returncode in _ENDED or any(word in result.stderr for word in gave_up):
        raise TooCostlyError(TOO_COSTLY)
    return result


def _narrow() -> None:
    for what, most in ((resource.RLIMIT_CPU, SECONDS), (resource.RLIMIT_AS, BYTES)):
        _, hard = resource.getrlimit(what)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (least, hard))
