"""Workload ``defaults``: what one explanation costs with all defaults, in forward passes, and next
to published rules.

``explain_ms`` is everything but loading the network: forward pass, searches of
all vocabularies, witnesses, certificate and the checker's verdict. ``search_ms`` is what a rule
without proofs does: the search of the vocabulary that won, from measurements on. Published rules
are given the same measurements. The first explanation of a process, which pays for what a network
shares, stands apart.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from protoproof.prover.latent.domain import Free
from protoproof.prover.latent.instance import Instance
from protoproof.prover.search.search import candidates
from tests.benchmarks import baseline
from tests.benchmarks.measure import Settings, ratio
from tests.benchmarks.mnist import explainer, images, random_images


def defaults(settings: Settings) -> list[dict[str, Any]]:
    """A row for one location and for a grid; of the grid fewer images go to the slow rule."""
    return [
        {
            "workload": "all defaults",
            "rows": [
                _row("mnist-1x1", settings.grid, settings.grid),
                _row("mnist-7x7", settings.grid, settings.slow),
            ],
        }
    ]


def _row(name: str, count: int, slow: int) -> dict[str, Any]:
    known = explainer(name)
    chosen = [images()[image] for image in random_images(count)]
    first = _milliseconds(lambda: known.explain(chosen[0]))
    observations = [known.network.observe(x) for x in chosen]
    forward = _median(chosen, known.network.observe)
    whole = _median(chosen, known.explain)
    instances = [known.instance(observation) for observation in observations]
    won = [known.explain(x).vocabulary for x in chosen]

    def search(pair: tuple[Instance, Any]) -> None:
        next(candidates(pair[0], Free(), pair[1], "auto"), None)

    searched = _median(list(zip(instances, won, strict=True)), search)
    triangle = _median(instances, lambda one: baseline.pairs(one, "triangle"))
    sphere = _median(instances[:slow], lambda one: baseline.pairs(one, "hypersphere"))
    return {
        "method": name,
        "images": count,
        "slow": slow,
        "first_ms": first,
        "forward_ms": forward,
        "explain_ms": whole,
        "search_ms": searched,
        "triangle_ms": triangle,
        "hypersphere_ms": sphere,
        "forward_passes": ratio(whole, forward),
        "search_forward_passes": ratio(searched, forward),
        "faster_than_triangle": ratio(triangle, whole),
        "faster_than_hypersphere": ratio(sphere, whole),
    }


def _median(items: list[Any], action: Callable[[Any], object]) -> float:
    return round(statistics.median(_milliseconds(lambda x=x: action(x)) for x in items), 3)  # type: ignore[misc]


def _milliseconds(action: Callable[[], object]) -> float:
    started = time.process_time()
    action()
    return round(1e3 * (time.process_time() - started), 3)
