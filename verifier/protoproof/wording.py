"""How counts are said."""

from __future__ import annotations


def plural(count: int, noun: str, many: str = "") -> str:
    """``1 fact``, ``2 facts``; ``many`` where an s is not enough."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"
