"""Workload ``minimum``: smallest explanations of mnist-1x1, and the gap where none is proved."""

from __future__ import annotations

import statistics
import time
from typing import Any

from protoproof.certificate.canonical import canonical_bytes
from protoproof.kernel import ModelFile, check
from protoproof.kernel.claims import words
from tests.benchmarks.measure import Settings, share
from tests.benchmarks.mnist import explainer, images, lowest_margins, random_images

NAME = "mnist-1x1"
# seconds per image: random ones, lowest margins
LIMITS = {"random": 10.0, "lowest margins": 60.0}


def minimum(settings: Settings) -> list[dict[str, Any]]:
    """Share of images with a proved zero gap per vocabulary, and all gaps; checked from bytes."""
    count = settings.smallest
    chosen = {"random": random_images(count), "lowest margins": lowest_margins(NAME, count)}
    return [
        {"workload": f"{NAME}, {label}, {vocabulary}"} | one(vocabulary, some, LIMITS[label])
        for label, some in chosen.items()
        for vocabulary in ("pairs", "ceiling", "mixed")
    ]


def one(vocabulary: str, chosen: list[int], limit: float) -> dict[str, Any]:
    """One vocabulary on some images; ``gaps`` are [lower bound, facts] of the others by image."""
    known = explainer(NAME)
    model = ModelFile(known.network.data)
    gaps: dict[int, list[int]] = {}
    seconds, check_seconds, smallest, accepted = [], [], 0, 0
    for image in chosen:
        started = time.perf_counter()
        result = known.explain(
            images()[image],
            vocabulary=vocabulary,
            minimal="minimum",
            timeout=limit,
            witnesses=False,
        )
        spent = time.perf_counter() - started
        seconds.append(spent)
        if result.certificate is None:
            continue
        content = canonical_bytes(result.certificate)
        started = time.perf_counter()
        report = check(content, model)
        check_seconds.append(time.perf_counter() - started)
        accepted += report.accepted
        if report.accepted and "minimum-size" in words(report.claims) and spent <= limit:
            smallest += 1
        else:
            gaps[image] = [report.lower_bound or 0, result.size]
    return {
        "images": len(chosen),
        "accepted": accepted,
        "minimum_size_proved": smallest,
        "share": share(smallest, len(chosen)),
        "seconds_limit": limit,
        "seconds_median": round(statistics.median(seconds), 3),
        "seconds_max": round(max(seconds), 2),
        "check_s_median": round(statistics.median(check_seconds), 4),
        "check_s_max": round(max(check_seconds), 3),
        "gaps": gaps,
    }
