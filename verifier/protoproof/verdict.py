"""The three-valued verdict. It has no truth value, so nobody can write ``if verdict``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NoReturn


class Status(Enum):
    """Outcome of a proof attempt."""

    PROVED = "proved"
    REFUTED = "refuted"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Verdict:
    """A status, and for UNKNOWN the reason (``tie``, ``timeout``, ``uncertified``, ...).

    Raises:
        ValueError: an UNKNOWN without a reason, or a reason on a decided verdict.
    """

    status: Status
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.status is Status.UNKNOWN) != bool(self.reason):
            raise ValueError("a reason belongs to UNKNOWN, and to UNKNOWN only")

    def __bool__(self) -> NoReturn:
        raise TypeError("a verdict has three values; compare verdict.status with a Status")

    def __str__(self) -> str:
        return f"{self.status.value} ({self.reason})" if self.reason else self.status.value

    @property
    def exit_code(self) -> int:
        """0 proved, 1 refuted, 3 undecided."""
        return {Status.PROVED: 0, Status.REFUTED: 1, Status.UNKNOWN: 3}[self.status]


PROVED = Verdict(Status.PROVED)
REFUTED = Verdict(Status.REFUTED)


def unknown(reason: str) -> Verdict:
    """An UNKNOWN verdict with its reason."""
    return Verdict(Status.UNKNOWN, reason)
