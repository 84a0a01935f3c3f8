"""Workload ``sweep``: image after image of every zoo network, and whether all was accepted."""

from __future__ import annotations

import statistics
import time
from typing import Any

from models.zoo import NAMES
from tests.benchmarks.measure import Settings, spread
from tests.benchmarks.mnist import explainer, images
from tests.benchmarks.ways import Way, ways
from verifier.certificate.canonical import canonical_bytes
from verifier.checker import ModelFile, check


def sweep(settings: Settings) -> list[dict[str, Any]]:
    """Images spread evenly over mnist5k's test set, which is sorted by class."""
    rows = [one(name, way, settings.sweep) for name in NAMES for way in ways()]
    return [{"workload": "sweep", "rows": rows}]


def one(name: str, way: Way, count: int) -> dict[str, Any]:
    """One network and one way; ``open`` lists the images without an accepted certificate.

    Every certificate is checked again from its bytes, as a stranger would.
    """
    known = explainer(name)
    model = ModelFile(known.network.data)
    sizes, seconds, check_seconds = [], [], []
    rejected: dict[int, str] = {}
    stride = max(1, len(images()) // count)
    for image in range(0, len(images()), stride)[:count]:
        x = images()[image]
        started = time.perf_counter()
        result = way.explain(known, x)
        seconds.append(time.perf_counter() - started)
        if result.certificate is None:
            rejected[image] = str(result.verdict)
            continue
        content = canonical_bytes(result.certificate)
        started = time.perf_counter()
        report = check(content, model)
        check_seconds.append(time.perf_counter() - started)
        if not report.accepted:
            rejected[image] = report.status
            continue
        sizes.append(result.size)
    return {
        "method": f"{name}: {way.name}",
        "images": min(count, len(images())),
        "proved": len(sizes),
        "open": rejected,
        **spread(sizes),
        "seconds": round(statistics.median(seconds), 4),
        "seconds_max": round(max(seconds), 4),
        "check_s": round(statistics.median(check_seconds), 4) if check_seconds else None,
        "check_s_max": round(max(check_seconds), 4) if check_seconds else None,
    }
