"""What the page of measurements says of numbers to read, and of sizes as a signal."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.table import grid

NUMBERS = """## Numbers to read

Facts, and the numbers that a person must read in them (`docs/glossary.md`): by default, where
numbers decide between equally many facts, and with `--for-reading`, where they count first
(`python -m tests.benchmarks --only to-read`). Random images, and those with the lowest margins of
all samples that the network has not seen (5,000 of `mnist5k`); processor seconds are medians, with
certificate and check, without witnesses, of one thread on a busy machine.
"""

HARD = """On the images with the lowest margins, next to the published top-k, its ceiling counted:
"""

FEWEST = """## Fewest names and ceilings

How few facts or numbers any set of names and ceilings has at least, as long as one fact
bounds each activation (a linear program; `python -m tests.benchmarks --only fewest`):
"""

SIGNAL = """## Size as a signal

Of all wrong predictions among the samples (5,000 of `mnist5k`, 1,000 held-out ones of the next two,
202 of the emoji) and of 100 right ones: mean sizes, and the area under the curve for telling one
from the other (95% interval by Newcombe; `python -m tests.benchmarks --only signal-digits
signal-others signal-emoji`). *Sent*: of all samples, the share that a limit sends to a person which
catches at least half, or four fifths, of the wrong predictions. The margin needs no explanation; it
is here for comparison.
"""

LENGTHS = ["network, images", "proved", "facts: mean", "max", "numbers: mean", "max", "seconds"]
SHARES = ["network", "images", "facts: mean", "published", "of it", "at most 0.4 of it", "worst"]
BOUNDS = ["image", "facts", "at least", "numbers, for reading", "at least"]
AREAS = [
    "network", "wrong; right", "measured", "right: mean", "wrong: mean", "area", "interval",
    "sent for half", "for four fifths",
]  # fmt: skip


def sections(
    results: list[dict[str, Any]], bounds: list[dict[str, Any]], signals: list[dict[str, Any]]
) -> list[str]:
    """The tables of numbers, of what bounds them from below, and of sizes as a signal; none where
    nothing was measured."""
    found: list[str] = []
    if results:
        numbers, hard = (result["rows"] for result in results)
        found += [NUMBERS, grid(LENGTHS, (_words(_length(row)) for row in numbers))]
        found += [HARD, grid(SHARES, (_words(_hard(row)) for row in hard))]
    if bounds:
        found += [FEWEST, grid(BOUNDS, (_words(_bound(row)) for row in bounds))]
    if signals:
        found += [SIGNAL, grid(AREAS, (line for row in signals for line in _signal(row)))]
    return found


def _words(cells: list[Any]) -> list[str]:
    return [str(cell) for cell in cells]


def _bound(row: dict[str, Any]) -> list[Any]:
    facts = row["facts"], row["facts_at_least"]
    return [row["method"], *facts, row["numbers"], row["numbers_at_least"]]


def _length(row: dict[str, Any]) -> list[Any]:
    proved = f"{row['proved']} of {row['images']}"
    sizes = row["facts_mean"], row["facts_max"], row["numbers_mean"], row["numbers_max"]
    return [row["method"], proved, *sizes, f"{row['seconds']:.3f}"]


def _hard(row: dict[str, Any]) -> list[Any]:
    means = row["facts_mean"], row["published_mean"], row["facts_vs_top-k"]
    return [row["method"], row["images"], *means, row["share_at_most_0.4"], row["share_max"]]


def _signal(row: dict[str, Any]) -> list[list[str]]:
    counted = f"{row['wrong']}; {row['right']}"
    if row["reason"]:
        return [[row["method"], counted, row["reason"], *[""] * 6]]
    lines = []
    for unit in ("facts", "numbers", "margin"):
        told = row[unit]
        low, high = told["interval"]
        shares = [f"{point['referred']:.1%}" for point in told["sent"].values()]
        means = f"{told['right_mean']:g}", f"{told['wrong_mean']:g}"
        area = f"{told['area']:.3f}", f"{low:.3f} to {high:.3f}"
        lines.append([row["method"], counted, unit, *means, *area, *shares])
    return lines
