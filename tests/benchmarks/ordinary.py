"""Workload ``ordinary``: networks that were trained without regard to any region, over small balls.

Some of the 5,000 mnist5k images, evenly spread. ``interval``: the least margin, in the median, that
intervals of the encoder leave. Then what ``certify --method linear-slopes`` says after its attack,
the processor seconds of one thread that it takes, and those of checking the certificate again.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from typing import Any

import numpy as np

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certification.certify import Certifier
from protoproof.kernel import check
from protoproof.region.bounds.interval import encoder_bounds
from protoproof.region.bounds.margins import activations, margin_ends
from protoproof.region.sets.syntax import parse_region
from tests.benchmarks.measure import Settings
from tests.benchmarks.mnist import evenly, explainer

REGIONS = {
    "mnist-1x1": ("linf:0.002", "linf:0.005", "linf:0.01"),
    "mnist-7x7": ("linf:0.002", "linf:0.005"),
}
IMAGES = 3


def ordinary(
    settings: Settings, regions: dict[str, tuple[str, ...]] | None = None
) -> list[dict[str, Any]]:
    """The tables, one per network."""
    images = evenly(min(IMAGES, settings.patched))
    return [
        {
            "workload": f"ordinary training, {name}",
            "rows": [_row(Certifier(explainer(name)), text, images) for text in texts],
        }
        for name, texts in (regions or REGIONS).items()
    ]


def _row(known: Certifier, text: str, images: np.ndarray) -> dict[str, Any]:
    network, verdicts = known.network, Counter[str]()
    margins, seconds, checks = [], [], []
    for image in images:
        region = parse_region(text, image, image.shape, network.input_range)
        begun = time.process_time()
        answer = known.certify(region, method="linear-slopes", timeout=math.inf)
        seconds.append(time.process_time() - begun)
        verdicts[answer.verdict.status.value] += 1
        found = activations(network.head, encoder_bounds(network, region.cover()))
        low, _ = margin_ends(network.head, found, answer.predicted)
        margins.append(float(np.delete(low[0], answer.predicted).min()))
        for certificate in answer.certificates:
            begun = time.process_time()
            if not check(canonical_bytes(certificate), known.explainer.model_file).accepted:
                raise AssertionError("a certificate was accepted once and is not now")
            checks.append(time.process_time() - begun)
    return {
        "region": text,
        "images": len(images),
        **{kind: verdicts[kind] for kind in ("proved", "refuted", "unknown")},
        "interval": round(statistics.median(margins), 2),
        "all_s": round(statistics.median(seconds), 1),
        "check_s": round(statistics.median(checks), 1) if checks else None,
    }
