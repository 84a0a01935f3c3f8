"""A campaign in numbers. The same results give the same bytes: nothing here depends on time."""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from protoproof.campaign.model_identity import ModelFacts
from protoproof.campaign.record import STATES, Row
from protoproof.campaign.regions import RegionRecord
from protoproof.campaign.signal import signal
from protoproof.campaign.store import Timing
from protoproof.version import TOOL

SCHEMA = "protoproof.campaign/1"
# whose word the numbers of a summary or table are
RECORDED = "as the campaign recorded them; gate, diff and report find them out again"
FOUND_AGAIN = "found out again from the certificates, the network and the data"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def sizes_of(rows: Sequence[Row], vocabulary: str, unit: str = "size") -> list[int]:
    """Sizes of the explanations proved in one vocabulary: facts, or ``numbers`` to read."""
    found = (row.record.sizes.get(vocabulary, {}).get(unit) for row in rows)
    return [size for size in found if size is not None]


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Count, median, 95th percentile (nearest rank) and largest value."""
    if not values:
        return {"count": 0, "median": None, "p95": None, "max": None}
    return {
        "count": len(values),
        "median": statistics.median(values),
        "p95": percentile(values, 0.95),
        "max": max(values),
    }


def state_counts(rows: Sequence[Row]) -> dict[str, int]:
    """How many rows are in each state; every state is named."""
    return _counts(row.record.state for row in rows)


def _counts(states: Iterable[str]) -> dict[str, int]:
    found = Counter(states)
    return {state: found[state] for state in STATES}


def certified(rows: Sequence[Row], found: Mapping[str, RegionRecord]) -> int:
    """How many are predicted right, and provably so over the region of the results ``found``."""
    return sum(is_certified(row, found[row.key]) for row in rows)


def is_certified(row: Row, record: RegionRecord) -> bool:
    """Whether all of the region is predicted as the instance is labelled, as recorded."""
    return record.state == "proved" and record.predicted == row.label


def summary(
    about: Mapping[str, Any],
    model: ModelFacts,
    rows: Sequence[Row],
    regions: Mapping[str, Mapping[str, RegionRecord]],
    values: str = RECORDED,
) -> dict[str, Any]:
    """The document ``summary.json``; ``values`` says whose word its numbers are."""
    vocabularies = sorted({v for row in rows for v in row.record.sizes})
    proved = [row.record for row in rows if row.record.state == "proved"]
    return {
        "schema": SCHEMA,
        "tool": TOOL,
        "values": values,
        "model": {**model.identity, "head_sha256": model.head_sha256},
        "data": about["data"],
        "selection": about["selection"],
        "options": about["options"],
        "versions": about["versions"],
        "states": state_counts(rows),
        "accuracy": _accuracy(rows),
        "classes": [
            {"class": name, "states": state_counts(own), "accuracy": _accuracy(own)}
            for class_, name in enumerate(model.classes)
            if (own := [row for row in rows if row.label == class_])
        ],
        "sizes": {
            v: spread(sizes_of(rows, v)) | {"numbers": spread(sizes_of(rows, v, "numbers"))}
            for v in vocabularies
        },
        "chosen": spread([r.size for r in proved if r.size is not None])
        | {"numbers": spread([r.numbers for r in proved if r.numbers is not None])}
        | {"vocabularies": dict(sorted(Counter(str(r.vocabulary) for r in proved).items()))},
        "signal": signal(rows).to_json(),
        "witnesses": {
            "facts": sum(r.size or 0 for r in proved),
            "necessary": sum(r.necessary or 0 for r in proved),
        },
        "regions": {
            name: {
                "states": _counts(r.state for r in found.values()),
                "certified": certified(rows, found),
            }
            for name, found in regions.items()
        },
        "instances": [
            _instance(row)
            | {"regions": {name: _region(found[row.key]) for name, found in regions.items()}}
            for row in rows
        ],
    }


def timings(rows: Sequence[Row], found: Mapping[str, Timing]) -> dict[str, Any]:
    """The document ``timings.json``: what differs between equal campaigns."""
    spent = [(row, found[row.key]) for row in rows if row.key in found]
    return {
        "schema": SCHEMA.replace("campaign", "timings"),
        "seconds": spread([t.seconds for _, t in spent])
        | {"sum": round(sum(t.seconds for _, t in spent), 3)},
        "carried": sum(t.carried for _, t in spent),
        "instances": [
            {
                "index": row.index,
                "seconds": t.seconds,
                "ended": t.ended,
                "worker": t.worker,
                "megabytes": t.megabytes,
                "carried": t.carried,
            }
            for row, t in spent
        ],
    }


def to_bytes(document: Mapping[str, Any]) -> bytes:
    """A document as it is written: sorted keys, ASCII, one newline at the end."""
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return text.encode("ascii") + b"\n"


def _accuracy(rows: Sequence[Row]) -> dict[str, int]:
    return {
        "correct": sum(row.correct is True for row in rows),
        "wrong": sum(row.correct is False for row in rows),
        "unknown": sum(row.correct is None for row in rows),
    }


def _instance(row: Row) -> dict[str, Any]:
    record = row.record
    return {
        "index": row.index,
        "label": row.label,
        "instance": row.instance,
        "state": record.state,
        "reason": record.reason,
        "predicted": record.predicted,
        "margin": record.margin,
        "vocabulary": record.vocabulary,
        "size": record.size,
        "numbers": record.numbers,
        "necessary": record.necessary,
        "core": record.core,
        "level": record.level,
        "certificate": None if record.certificate is None else f"{row.key}.cert.json",
    } | ({"file": row.file} if row.file else {})


def _region(record: RegionRecord) -> dict[str, Any]:
    return {
        "state": record.state,
        "reason": record.reason,
        "instead": record.instead,
        "certificate": None if record.certificate is None else f"{record.key}.cert.json",
        "counterexample": None if record.counterexample is None else f"{record.key}.npy",
    }
