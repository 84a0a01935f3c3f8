"""How much data is read before anything is refused."""

from __future__ import annotations

MAX_BYTES = 4 << 30
"""Largest data set that is read, in bytes of its float32 form."""

_SMALL = 1 << 27
_TIMES = 100


def most_unpacked(packed: int) -> int:
    """How many bytes an archive of so many may unpack to: sparse pictures shrink much, and nothing
    that somebody measured shrinks a hundred times."""
    return min(MAX_BYTES, max(_SMALL, _TIMES * packed))
