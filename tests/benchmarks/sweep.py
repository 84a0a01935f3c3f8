"""Workload ``sweep``: image after image of every zoo network, and whether all was accepted."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any

from threadpoolctl import threadpool_limits

from protoproof.certificate.canonical import canonical_bytes
from protoproof.kernel import ModelFile, check
from tests.benchmarks.measure import Settings, spread
from tests.benchmarks.mnist import explainer, images
from tests.benchmarks.ways import Way, ways


def sweep(name: str, settings: Settings) -> list[dict[str, Any]]:
    """Images spread evenly over mnist5k's test set, which is sorted by class, in every way.

    Every way is a process of its own, ``settings.jobs`` of them at a time; each row is printed to
    the error stream when it is done. Times are processor seconds with one thread.
    """
    rows = sorted(_rows(name, settings), key=lambda row: row[0])
    return [{"workload": "sweep", "rows": [row for _, row in rows]}]


def _rows(name: str, settings: Settings) -> Iterator[tuple[int, dict[str, Any]]]:
    with ProcessPoolExecutor(settings.jobs, get_context("spawn"), max_tasks_per_child=1) as pool:
        waiting = {
            pool.submit(one, name, way, settings.sweep): index for index, way in enumerate(ways())
        }
        for done in as_completed(waiting):
            print(json.dumps(done.result()), file=sys.stderr, flush=True)
            yield waiting[done], done.result()


def one(name: str, way: Way, count: int) -> dict[str, Any]:
    """One network and one way; ``open`` lists the images without an accepted certificate.

    Every certificate is checked again from its bytes, as a stranger would.
    """
    threadpool_limits(1)
    known = explainer(name)
    model = ModelFile(known.network.data)
    sizes, seconds, check_seconds = [], [], []
    rejected: dict[int, str] = {}
    stride = max(1, len(images()) // count)
    for image in range(0, len(images()), stride)[:count]:
        x = images()[image]
        started = time.process_time()
        result = way.explain(known, x)
        seconds.append(time.process_time() - started)
        if result.certificate is None:
            rejected[image] = str(result.verdict)
            continue
        content = canonical_bytes(result.certificate)
        started = time.process_time()
        report = check(content, model)
        check_seconds.append(time.process_time() - started)
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
