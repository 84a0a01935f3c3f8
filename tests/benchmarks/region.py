"""Workload ``region``: certified accuracy of the certified zoo network, method by method.

Every n-th of the 5,000 mnist5k images (none was seen in training), L-inf 0.1. A method counts an
image if it is predicted as labelled and proved so over the whole ball by this method or a cheaper
one. ``intervals, prototypes apart`` is plain interval propagation to the margins in float64; every
later row is a certificate that the checker accepted. ``falsifier`` counts refuted images.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter, defaultdict
from fractions import Fraction
from typing import Any

import numpy as np

from protoproof.certification.certify import Certifier
from protoproof.data.dataset import load_data
from protoproof.explanation.explainer import Explainer
from protoproof.region.bounds.interval import encoder_bounds
from protoproof.region.bounds.latent_bounds import reach_of
from protoproof.region.bounds.margins import activations, margin_ends
from protoproof.region.sets.region import LinfBall
from protoproof.verdict import Status
from tests.benchmarks.measure import Settings
from tests.benchmarks.mnist import explainer

NETWORK = "mnist-certified"
RADIUS = Fraction(1, 10)
NEAR = Fraction(1, 50)  # of region-relative explanations
APART = "intervals, prototypes apart"
ORDER = (APART, "interval", "linear", "linear-slopes", "split")
STAGES = {"linear-slopes": "split"}  # ``split`` begins with the lines of a single case


def region(settings: Settings) -> list[dict[str, Any]]:
    """The table."""
    x, labels = images(settings.regions)
    known = explainer(NETWORK)
    balls = [LinfBall(image, known.network.input_range, RADIUS) for image in x]
    answers = [Certifier(known).certify(ball, timeout=math.inf) for ball in balls]
    right = [a.predicted == int(label) for a, label in zip(answers, labels, strict=True)]
    proved = {APART: 0} | dict.fromkeys(ORDER[1:], 0)
    seconds: dict[str, list[float]] = defaultdict(list)
    reasons: Counter[str] = Counter()
    for image, answer, fits in zip(x, answers, right, strict=True):
        begun = time.perf_counter()
        proved[APART] += fits and _apart(known, image)
        seconds[APART].append(time.perf_counter() - begun)
        if answer.verdict.status is Status.PROVED:
            proved[answer.method] += fits
        reasons[str(answer.verdict)] += 1
        for stage in answer.stages:
            seconds[stage.name].append(stage.seconds)
    rows, total = [], 0
    for method in ORDER:
        total += proved[method] if method != APART else 0
        count = proved[APART] if method == APART else total
        rows.append(
            {
                "method": method,
                "images": len(x),
                "proved": count,
                "certified_accuracy": round(count / len(x), 4),
                "tried": len(seconds[STAGES.get(method, method)]),
                "seconds": _median(seconds[STAGES.get(method, method)]),
            }
        )
    return [
        {
            "workload": f"region {NETWORK}, L-inf {float(RADIUS)}",
            "rows": rows,
            "clean_accuracy": round(sum(right) / len(x), 4),
            "verdicts": dict(reasons),
            "falsifier_seconds": _median(seconds["falsify"]),
        },
        _explanations(settings, known, x),
    ]


def images(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Every n-th image of the whole data set, and its label."""
    data = load_data("mnist5k")
    x = np.concatenate([data.x_train, data.x_test])
    labels = np.concatenate([data.y_train, data.y_test])
    step = max(1, len(x) // count)
    return x[::step][:count], labels[::step][:count]


def _apart(known: Explainer, image: np.ndarray) -> bool:
    """Plain intervals from the input to the margins."""
    network = known.network
    predicted = network.observe(image).predicted
    ball = LinfBall(image, network.input_range, RADIUS)
    found = activations(network.head, encoder_bounds(network, ball.cover()))
    lower, _ = margin_ends(network.head, found, predicted)
    return bool((np.delete(lower[0], predicted) > 0).all())


def _explanations(settings: Settings, known: Explainer, x: np.ndarray) -> dict[str, Any]:
    """Pair facts over all latents, and over those of a small ball."""
    free, near = [], []
    step = max(1, len(x) // settings.relative)
    for image in x[::step]:
        everywhere = known.explain(image, vocabulary="pairs", witnesses=False)
        latent = everywhere.observation.latent.astype(np.float64)
        ball = LinfBall(image, known.network.input_range, NEAR)
        inside = known.explain(
            image,
            vocabulary="pairs",
            domain=reach_of(known.network, ball, latent),
            witnesses=False,
        )
        free.append(everywhere.size if everywhere.certificate else None)
        near.append(inside.size if inside.certificate else None)
    both = [(a, b) for a, b in zip(free, near, strict=True) if a is not None and b is not None]
    return {
        "workload": f"explanations {NETWORK}, latents of L-inf {float(NEAR)}",
        "images": len(free),
        "proved_free": sum(a is not None for a in free),
        "proved_near": sum(b is not None for b in near),
        "mean_facts_free": round(statistics.fmean(a for a, _ in both), 3) if both else None,
        "mean_facts_near": round(statistics.fmean(b for _, b in both), 3) if both else None,
    }


def _median(values: list[float]) -> float | None:
    return round(statistics.median(values), 4) if values else None
