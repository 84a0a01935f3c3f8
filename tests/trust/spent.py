"""What a check takes, in a fork of this process: its status, processor seconds and memory."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

SECONDS, BYTES = 60, 2 << 30  # what any check may take


class Spent(NamedTuple):
    """How some work ended: its word, or a signal; seconds, and bytes beside what was there."""

    word: str
    seconds: float
    size: int


def spent(work: Callable[[], str], seconds: int = SECONDS, size: int = BYTES) -> Spent:
    """Do some work in a fork that may take no more than so much."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        found: dict[str, Any] = {"word": "died", "before": _resident()}
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
            limit = _used() + size + (64 << 20)
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            found["word"] = work()
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is the answer
            found["word"] = f"{type(error).__name__}: {error}"
        finally:
            os.write(writing, json.dumps(found).encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    _, status, used = os.wait4(child, 0)
    found = json.loads(text) if text else {"word": f"signal {os.WTERMSIG(status)}", "before": 0}
    more = max(0, used.ru_maxrss * 1024 - found["before"])
    return Spent(found["word"], used.ru_utime + used.ru_stime, more)


def _used() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
