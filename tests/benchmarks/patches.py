"""Workload ``patches``: how many single pixels have to stay for the class to be proved, and what it
takes to find, prove and check them.

Every n-th of the 5,000 mnist5k images. ``pixels``: that stay, of 784, while every other moves by up
to the radius; ``necessary``: those for which an input shows it. Beside it the published loop (Wu et
al., VeriX, NeurIPS 2023, Algorithm 1), re-implemented with the same bounds: pixels in order of the
sensitivity that the bounds give, each freed if the class is still proved; on the first
``COMPARED`` images only, because it bounds one box per pixel. All times are processor seconds of
one thread; ``boxes`` counts the boxes that were bounded.
"""

from __future__ import annotations

import math
import statistics
import time
from typing import Any

import numpy as np

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certification.certify import Certifier
from protoproof.certification.keeping import Keeping
from protoproof.certification.tiles import asked
from protoproof.kernel import check
from protoproof.region.sets.syntax import parse_region
from tests.benchmarks.measure import Settings
from tests.benchmarks.mnist import evenly, explainer

NETWORK = "mnist-certified"
REGIONS = ("linf:0.05", "linf:0.1", "linf:0.2")
COMPARED = 2


def patches(
    settings: Settings, regions: tuple[str, ...] = REGIONS, network: str = NETWORK
) -> list[dict[str, Any]]:
    """The table."""
    images = evenly(settings.patched)
    known = Certifier(explainer(network))
    rows = [_row(known, text, images) for text in regions]
    return [{"workload": f"pixels that have to stay, {network}", "rows": rows}]


def _row(known: Certifier, text: str, images: np.ndarray) -> dict[str, Any]:
    pixels, boxes, found, whole, checks, necessary = [], [], [], [], [], 0
    theirs: list[tuple[int, int, float]] = []
    for number, image in enumerate(images):
        region = parse_region(text, image, image.shape, known.network.input_range)
        begun = time.process_time()
        answer = known.certify(region, keep=1, timeout=math.inf)
        whole.append(time.process_time() - begun)
        tiles = answer.tiles
        if tiles is None:
            raise AssertionError(f"the input alone is not proved: {answer.verdict}")
        begun = time.process_time()
        report = check(canonical_bytes(answer.certificates[0]), known.explainer.model_file)
        checks.append(time.process_time() - begun)
        if not report.accepted:
            raise AssertionError("a certificate was accepted once and is not now")
        begun = time.process_time()
        search = Keeping(known.network, asked(region, 1), answer.predicted, math.inf)
        search.run()
        found.append(time.process_time() - begun)
        pixels.append(tiles.pixels)
        boxes.append(tiles.propagations)
        necessary += len(tiles.necessary)
        if number < COMPARED:
            theirs.append(
                loop(Keeping(known.network, asked(region, 1), answer.predicted, math.inf))
            )
    return {
        "region": text,
        "images": len(images),
        "pixels": statistics.median(pixels),
        "pixels_mean": round(statistics.fmean(pixels), 1),
        "pixels_max": max(pixels),
        "necessary": necessary,
        "boxes": statistics.median(boxes),
        "search_s": round(statistics.median(found), 2),
        "all_s": round(statistics.median(whole), 2),
        "check_s": round(statistics.median(checks), 2),
        "compared": len(theirs),
        "pixels_here": [*pixels[: len(theirs)]],
        "search_here": [round(each, 2) for each in found[: len(theirs)]],
        "loop_pixels": [each[0] for each in theirs],
        "loop_boxes": [each[1] for each in theirs],
        "loop_s": [round(each[2], 2) for each in theirs],
    }


def loop(search: Keeping) -> tuple[int, int, float]:
    """Pixels that stay by the published loop, boxes it bounds, and its processor seconds."""
    begun = time.process_time()
    free = np.zeros(search.region.count, dtype=bool)
    costs = search.sensitivity()
    for pixel in np.argsort(costs, kind="stable").tolist():
        free[pixel] = True
        free[pixel] = search.proves(free)
    return int((~free).sum()), search.propagations, time.process_time() - begun
