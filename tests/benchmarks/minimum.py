"""Workload ``minimum``: smallest explanations where one fact is not enough, and the gaps of others.

Most images need one fact, and that no explanation has none needs no search. So every share is given
twice: of all images, and of those whose explanation has two facts or more before the search.
Seconds are processor seconds of one thread, certificate and checker included.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from protoproof.certificate.canonical import canonical_bytes
from protoproof.kernel import ModelFile, check
from protoproof.kernel.claims import words
from tests.benchmarks.measure import Settings, share
from tests.benchmarks.mnist import explainer, images, lowest_margins, random_images

# network, vocabulary, images with the lowest margins (else random), seconds per image
SAMPLES = (
    ("mnist-1x1", "pairs", True, 20.0),
    ("mnist-1x1", "mixed", True, 20.0),
    ("mnist-1x1", "ceiling", True, 20.0),
    ("mnist-7x7", "mixed", False, 60.0),
)
# A busy machine gives a process a fraction of a processor: the limit on the wall is wider.
_WALL = 12.0


def minimum(settings: Settings) -> list[dict[str, Any]]:
    """Shares of images with a proved zero gap per sample, and all gaps; checked from bytes."""
    rows = []
    for name, vocabulary, lowest, limit in SAMPLES:
        count = 2 * settings.smallest if lowest else max(1, settings.smallest // 10)
        chosen = lowest_margins(name, count) if lowest else random_images(count)
        label = "lowest margins" if lowest else "random"
        rows.append(
            {"workload": f"{name}, {label}, {vocabulary}"} | one(name, vocabulary, chosen, limit)
        )
    return rows


def one(name: str, vocabulary: str, chosen: list[int], limit: float) -> dict[str, Any]:
    """One vocabulary on some images; ``gaps`` are [lower bound, facts] of the others by image."""
    known = explainer(name)
    model = ModelFile(known.network.data)
    gaps: dict[int, list[int]] = {}
    seconds: dict[int, float] = {}
    check_seconds, accepted = [], 0
    several = []
    for image in chosen:
        x = images()[image]
        if known.explain(x, vocabulary=vocabulary, witnesses=False).size > 1:
            several.append(image)
        started = time.process_time()
        result = known.explain(
            x, vocabulary=vocabulary, minimal="minimum", timeout=_WALL * limit, witnesses=False
        )
        seconds[image] = time.process_time() - started
        if result.certificate is None:
            gaps[image] = [0, 0]
            continue
        content = canonical_bytes(result.certificate)
        started = time.process_time()
        report = check(content, model)
        check_seconds.append(time.process_time() - started)
        accepted += report.accepted
        proved = report.accepted and "minimum-size" in words(report.claims)
        if not proved or seconds[image] > limit:
            gaps[image] = [report.lower_bound or 0, result.size]
    open_ = [image for image in several if image in gaps]
    return {
        "images": len(chosen),
        "accepted": accepted,
        "minimum_size_proved": len(chosen) - len(gaps),
        "share": share(len(chosen) - len(gaps), len(chosen)),
        "two_or_more": len(several),
        "two_or_more_proved": len(several) - len(open_),
        "share_two_or_more": share(len(several) - len(open_), len(several)),
        "seconds_limit": limit,
        "seconds_two_or_more": {image: round(seconds[image], 2) for image in several},
        "seconds_median": round(statistics.median(seconds.values()), 3),
        "check_s_median": round(statistics.median(check_seconds), 4),
        "check_s_max": round(max(check_seconds), 3),
        "gaps": gaps,
    }
