"""Workload ``growth``: how searches grow with prototypes P, locations L and classes K.

For every vocabulary, processor seconds of the search for one sufficient set (bounds included,
certificate and check not), the median over a few synthetic latents; sizes of the sets; and the
slope of a line through the logarithms of both, which is the exponent. One of P, L and K changes,
the others stay as in :data:`BASE`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from protoproof.prover.latent.domain import Free
from protoproof.prover.latent.instance import Instance
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.search.names import VOCABULARIES, Vocabulary
from protoproof.prover.search.search import candidates
from tests.benchmarks.measure import Settings, median_seconds
from tests.benchmarks.synthetic import Shape, make_head, make_instance

BASE = Shape(prototypes=1000, channels=32, classes=50)
# by what changes, the shapes
SHAPES: dict[str, dict[int, Shape]] = {
    "prototypes": {n: replace(BASE, prototypes=n) for n in (500, 1000, 2000, 4000)},
    "locations": {
        side**2: replace(BASE, prototypes=400, classes=40, grid=(side, side))
        for side in (7, 14, 28)
    },
    "classes": {n: replace(BASE, classes=n) for n in (25, 50, 100, 200)},
}
LARGEST: dict[str, tuple[Vocabulary, Shape]] = {
    "mixed, 5,000 prototypes, 500 classes": ("mixed", Shape(5000, 128, 500)),
    "pairs, 784 locations": ("pairs", SHAPES["locations"][784]),
}


def growth(settings: Settings) -> list[dict[str, Any]]:
    """Searches, the largest of them, and single decisions."""
    fewest = settings.repeats == 1
    searches = {
        by: {word: _searches(shapes, word, fewest) for word in VOCABULARIES}
        for by, shapes in SHAPES.items()
    }
    largest = {name: _searched(shape, word, (0,)) for name, (word, shape) in LARGEST.items()}
    return [
        {"workload": "growth of searches", **searches, "largest": largest},
        _decisions(settings),
    ]


def _searches(shapes: Mapping[int, Shape], word: Vocabulary, fewest: bool) -> dict[str, Any]:
    seeds = (0,) if fewest else (0, 1, 2)
    found = {n: _searched(shape, word, seeds) for n, shape in shapes.items()}
    return {
        "seconds": {n: one["seconds"] for n, one in found.items()},
        "facts": {n: one["facts"] for n, one in found.items()},
        "exponent": exponent({n: one["seconds"] for n, one in found.items()}),
    }


def _searched(shape: Shape, word: Vocabulary, seeds: tuple[int, ...]) -> dict[str, Any]:
    """Median seconds and facts of searches for a first set; None where nothing was found."""
    head, gram = make_head(shape), None
    seconds, facts = [], []
    for seed in seeds:
        instance = make_instance(head, seed, gram)
        gram = instance.gram  # one for all latents of a head
        instance.margins  # noqa: B018 - what belongs to the prediction, not to a search
        started = time.process_time()
        found = next(candidates(instance, Free(), word, "auto"), None)
        seconds.append(time.process_time() - started)
        if found is not None:
            facts.append(len(found.facts))
    return {
        "seconds": round(statistics.median(seconds), 3),
        "facts": statistics.median(facts) if facts else None,
    }


def exponent(seconds: Mapping[int, float]) -> float:
    """The slope of log seconds over log n, by least squares."""
    n, s = np.log(list(seconds)), np.log(np.maximum(list(seconds.values()), 1e-6))
    return round(float(np.polyfit(n, s, 1)[0]), 2)


def _decisions(settings: Settings) -> dict[str, Any]:
    """Seconds of one decision for a fixed number of facts, by locations and by prototypes."""

    def decision(shape: Shape) -> float:
        instance: Instance = make_instance(make_head(shape), 0)
        state = IntervalOracle().prepare(instance, Free())
        for location in range(shape.locations):
            state.set_location(location, [0])
        return median_seconds(lambda: state.margins_with(0, range(8)), 5 * settings.repeats)

    sides = (4, 8, 16)
    counts = (500, 1000, 2000, 4000)
    return {
        "workload": "growth of decisions",
        "locations": {n * n: decision(Shape(400, 32, 40, (n, n))) for n in sides},
        "prototypes": {n: decision(Shape(n, 32, 40, (7, 7))) for n in counts},
    }
