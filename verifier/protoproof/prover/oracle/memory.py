"""How much memory an explanation needs, found out before it is asked for."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from protoproof.errors import UsageError
from protoproof.network.head.head import Head

# Float64 arrays of each shape that are alive at once, counted in the code that makes them: bounds,
# distances and their temporaries; margin weights, their two signs and a temporary; coordinates of
# all prototypes along one direction, for as many facts as a location can use.
_PER_LOCATION, _PER_RIVAL, _SHARED = 16, 4, 1 << 26
# Bytes of the checker's exact integers in lists: per measurement and inner product of two
# prototypes, and per weight (which it shifts to a common scale, so that two lists are alive).
_INTEGER, _WEIGHT = 48, 144
# So much every machine has that runs this at all.
_LITTLE = 1 << 28
_CONTROL = Path("/sys/fs/cgroup/memory.max")


def needed_bytes(head: Head, *, relational: bool) -> int:
    """An estimate of the peak, linear in locations x prototypes (times channels if relational)."""
    locations, count, channels = head.locations, len(head.prototypes), head.channels
    classes = head.classes
    cells = locations * count
    numbers = _PER_LOCATION * cells + _PER_RIVAL * classes * count
    numbers += 2 * min(count, channels + 1) * count + 6 * count * channels
    if relational:
        numbers += 2 * cells * channels
    exact = _INTEGER * (_PER_LOCATION * cells + count * channels) + _WEIGHT * classes * count
    return 8 * numbers + exact + _SHARED


def machine_bytes() -> int:
    """Memory that this process may still take: the least of machine, control group and ulimit."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    known = Path("/proc/meminfo")
    if known.is_file():
        lines = dict(line.split(":", 1) for line in known.read_text().splitlines())
        limits.append(int(lines["MemAvailable"].split()[0]) << 10)
    if _CONTROL.is_file() and (text := _CONTROL.read_text().strip()).isdigit():
        limits.append(int(text))
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        limits.append(soft)
    return min(limits)


def require_memory(head: Head, vocabulary: str, oracle: str, available: int | None = None) -> None:
    """Refuse, before any work, an explanation that the machine has no memory for.

    Args:
        head: the head.
        vocabulary: as for the explainer; only pair facts have relational proofs.
        oracle: likewise.
        available: bytes; the machine's by default.

    Raises:
        UsageError: the estimate exceeds what is available.
    """
    relational = oracle not in ("exact", "interval", "triangle") and vocabulary in (
        "auto",
        "pairs",
        "mixed",
    )
    needed = needed_bytes(head, relational=relational)
    if available is None:  # asking the machine takes longer than a small explanation may
        available = machine_bytes() if needed > _LITTLE else _LITTLE
    if needed <= available:
        return
    advice = "use a machine with more memory, or a network with fewer prototypes"
    if relational and needed_bytes(head, relational=False) <= available:
        advice = "use --oracle interval, which needs less"
    raise UsageError(
        f"{len(head.prototypes)} prototypes at {head.locations} locations need about "
        f"{needed / 2**30:.1f} GiB of memory, and {available / 2**30:.1f} GiB are available; "
        f"{advice}"
    )
