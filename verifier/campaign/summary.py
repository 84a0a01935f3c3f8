"""A campaign in numbers. The same results give the same bytes: nothing here depends on time."""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from verifier.campaign.identity import ModelFacts
from verifier.campaign.ledger import Timing
from verifier.campaign.record import STATES, Row
from verifier.version import TOOL

SCHEMA = "protoproof.campaign/1"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def sizes_of(rows: Sequence[Row], vocabulary: str) -> list[int]:
    """Sizes of the explanations proved in one vocabulary."""
    found = (row.record.sizes.get(vocabulary, {}).get("size") for row in rows)
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
    found = Counter(row.record.state for row in rows)
    return {state: found[state] for state in STATES}


def summary(about: Mapping[str, Any], model: ModelFacts, rows: Sequence[Row]) -> dict[str, Any]:
    """The document ``summary.json``."""
    vocabularies = sorted({v for row in rows for v in row.record.sizes})
    proved = [row.record for row in rows if row.record.state == "proved"]
    return {
        "schema": SCHEMA,
        "tool": TOOL,
        "model": {
            "name": model.name,
            "sha256": model.sha256,
            "head_sha256": model.head_sha256,
            "binding": model.binding,
        },
        "data": about["data"],
        "selection": about["selection"],
        "options": about["options"],
        "states": state_counts(rows),
        "accuracy": _accuracy(rows),
        "classes": [
            {"class": name, "states": state_counts(own), "accuracy": _accuracy(own)}
            for class_, name in enumerate(model.classes)
            if (own := [row for row in rows if row.label == class_])
        ],
        "sizes": {v: spread(sizes_of(rows, v)) for v in vocabularies},
        "chosen": spread([r.size for r in proved if r.size is not None])
        | {"vocabularies": dict(sorted(Counter(str(r.vocabulary) for r in proved).items()))},
        "witnesses": {
            "facts": sum(r.size or 0 for r in proved),
            "necessary": sum(r.necessary or 0 for r in proved),
        },
        "instances": [_instance(row) for row in rows],
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
        "necessary": record.necessary,
        "core": record.core,
        "certificate": None if record.certificate is None else f"{row.key}.cert.json",
    }
