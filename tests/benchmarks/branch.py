"""Workload ``branch``: regions that one bound leaves open, before and after they are cut.

Every n-th of the 5,000 mnist5k images on the certified zoo network. ``open before`` counts regions
that intervals neither prove nor the falsifier refutes; what follows is about these alone: proved or
refuted by branch and bound, within ``seconds_each``, how many parts, how long, and how long the
checker takes to walk them again. Every proved region is then sampled 10,000 times (uniformly, at
corners, and along the slope of the margin); ``contradictions`` counts samples that are predicted
otherwise, and has to be 0.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from typing import Any

import numpy as np
import torch

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.partition import Part
from protoproof.certification.certify import Certifier
from protoproof.certification.result import Certified
from protoproof.kernel import check
from protoproof.network import Network
from protoproof.region.bounds.attack import margins
from protoproof.region.bounds.partition import BoxPart, whole
from protoproof.region.sets.region import Region
from protoproof.region.sets.syntax import parse_region
from protoproof.verdict import Status
from tests.benchmarks.measure import Settings
from tests.benchmarks.mnist import evenly, explainer

NETWORK = "mnist-certified"
REGIONS = (
    "brightness:0.2",
    "contrast:0.5",
    "brightness:0.2,0.2",
    "occlude:12,12,2,2",
    "occlude:2,2,3,3",
    "occlude:12,12,4,4",
    "linf:0.1",
)
SECONDS = 10.0
SAMPLES = 10_000
_STEPS = 20


def branch(settings: Settings, regions: tuple[str, ...] = REGIONS) -> list[dict[str, Any]]:
    """The table."""
    images = evenly(settings.branched)
    known = Certifier(explainer(NETWORK))
    rows = [_row(known, text, images) for text in regions]
    workload = f"branch and bound {NETWORK}, {SECONDS:g} s each"
    return [{"workload": workload, "rows": rows}]


def _row(known: Certifier, text: str, images: np.ndarray) -> dict[str, Any]:
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    parts, seconds, checks, wrong = [], [], [], 0
    for image in images:
        region = parse_region(text, image, image.shape, known.network.input_range)
        answer = known.certify(region, method="interval")
        before[answer.verdict.status.value] += 1
        if answer.verdict.status is Status.UNKNOWN:
            begun = time.process_time()
            answer = known.certify(region, method="branch", falsify=False, timeout=SECONDS)
            seconds.append(time.process_time() - begun)
            after[answer.verdict.status.value] += 1
            if answer.certificates:
                parts.append(_parts(answer))
                checks.append(_checked(known, answer))
        if answer.verdict.status is Status.PROVED:
            wrong += contradictions(known.network, region, answer.predicted)
    return {
        "region": text,
        "images": len(images),
        "proved": before["proved"] + after["proved"],
        "proved before": before["proved"],
        "refuted before": before["refuted"],
        "open before": before["unknown"],
        "proved by parts": after["proved"],
        "refuted by parts": after["refuted"],
        "open after": after["unknown"],
        "parts": _median(parts),
        "parts_max": max(parts, default=None),
        "seconds": _median(seconds),
        "check_s": _median(checks),
        "contradictions": wrong,
    }


def _parts(answer: Certified) -> int:
    return sum(isinstance(node, Part) for node in answer.certificates[0].core.parts)


def _checked(known: Certifier, answer: Certified) -> float:
    begun = time.process_time()
    report = check(canonical_bytes(answer.certificates[0]), known.explainer.model_file)
    if not report.accepted:
        raise AssertionError("a certificate was accepted once and is not now")
    return time.process_time() - begun


def contradictions(network: Network, region: Region, predicted: int, samples: int = SAMPLES) -> int:
    """Samples of a region that ONNX Runtime predicts otherwise."""
    rng = np.random.default_rng(0)
    drawn = [region.sample(rng, samples - samples // 4)]
    part = whole(region)
    if isinstance(part, BoxPart):
        low, high = (np.asarray(e, np.float32) for e in (part.box.lower, part.box.upper))
        start = low + rng.random((samples // 4, *low.shape), dtype=np.float32) * (high - low)
        drawn.append(_descended(network, predicted, start, low, high))
    logits = network.recognised.output
    seen = [network.session.run((logits,), {network.graph.input: x})[0] for x in drawn]
    return int((np.concatenate(seen).argmax(axis=1) != predicted).sum())


def _descended(
    network: Network, predicted: int, start: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Points that walked along the slope of the margin, inside the box."""
    x, least, most = (torch.from_numpy(np.array(part)) for part in (start, low, high))
    for _ in range(_STEPS):
        x = x.detach().requires_grad_()
        margin = margins(network.head, network.encoder(x), predicted)
        (slope,) = torch.autograd.grad(margin.sum(), x)
        x = torch.clamp(x - 0.1 * (most - least) * slope.sign(), least, most)
    return np.asarray(x.detach().numpy())


def _median(values: list[Any]) -> float | None:
    return round(statistics.median(values), 3) if values else None
