"""How long a search may go on: said once where it begins, looked at where it loops.

What only makes a proved set smaller, or shows more of it, stops where it is when the time is up:
what it holds then is proved all the same. What cannot be proved in part raises. A limit changes
when searches end, and never what counts as a proof.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


class OutOfTimeError(Exception):
    """A search could not be ended in time; never leaves whoever set the limit."""


@dataclass
class Limit:
    """When to stop, by ``time.perf_counter``, and whether anything did."""

    deadline: float
    cut: bool = False


_LIMIT: ContextVar[Limit | None] = ContextVar("limit", default=None)


@contextmanager
def until(deadline: float) -> Iterator[Limit]:
    """Whatever runs inside, in this thread, should end at ``deadline``."""
    limit = Limit(deadline)
    token = _LIMIT.set(limit)
    try:
        yield limit
    finally:
        _LIMIT.reset(token)


def time_is_up() -> bool:
    """Whether to stop now; whoever is told so stops."""
    limit = _LIMIT.get()
    if limit is None or time.perf_counter() < limit.deadline:
        return False
    limit.cut = True
    return True


def require_time() -> None:
    """Go on only if there is time.

    Raises:
        OutOfTimeError: there is none.
    """
    if time_is_up():
        raise OutOfTimeError
