"""Workload ``cub-size``: memory and time of the exact oracle on a large synthetic head."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from protoproof.certificate.canonical import canonical_bytes
from protoproof.explanation.explainer import Explainer
from protoproof.kernel import ModelFile, check
from protoproof.network import load
from protoproof.prover.latent.domain import Free
from protoproof.prover.latent.gram import squared_distances
from protoproof.prover.latent.instance import Instance
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.search.deletion import by_worth, delete
from protoproof.prover.search.pairs import grow
from tests.benchmarks.measure import Settings, in_a_process_of_its_own, median_seconds, spread
from tests.benchmarks.synthetic import (
    Shape,
    make_head,
    make_instance,
    model_bytes,
    model_input,
)


@dataclass(frozen=True)
class Run:
    """One explanation by pairs: facts before and after deletion, and seconds per stage."""

    proved: bool
    forward: int
    facts: int
    grow_s: float
    order_s: float
    delete_s: float

    @property
    def seconds(self) -> float:
        """All stages."""
        return self.grow_s + self.order_s + self.delete_s


def prove(instance: Instance) -> Run:
    """Forward set and deletion with the exact oracle over the free domain."""
    started = time.process_time()
    state = IntervalOracle().prepare(instance, Free())
    proved = grow(state)
    forward = len(state.pairs)
    grown = time.process_time()
    order = by_worth(state) if proved else []
    ordered = time.process_time()
    delete(state, order)
    ended = time.process_time()
    return Run(proved, forward, len(state.pairs), grown - started, ordered - grown, ended - ordered)


def cub_size(settings: Settings, shape: Shape | None = None) -> dict[str, Any]:
    """The workload's results; ``shape`` for a smaller head than the real one."""
    small, shape = shape is not None, shape or Shape()
    head = make_head(shape)
    gram_s = median_seconds(lambda: squared_distances(head.prototypes), settings.repeats)
    gram = squared_distances(head.prototypes)
    runs, medians = [], []
    for seed in range(settings.synthetic):
        instance = make_instance(head, seed, gram)
        repeated = [prove(instance) for _ in range(settings.repeats)]
        runs.append(repeated[0])
        medians.append(statistics.median(run.seconds for run in repeated))
    return {
        "workload": "cub-size",
        "shape": [shape.locations, shape.channels, shape.prototypes, shape.classes],
        "proved": sum(run.proved for run in runs),
        "images": len(runs),
        "repeats": settings.repeats,
        "forward": [run.forward for run in runs],
        **spread([run.facts for run in runs]),
        "gram_s": round(gram_s, 3),
        "seconds": round(statistics.median(medians), 3),
        "seconds_max": round(max(medians), 3),
        "stages_s": {
            name: round(statistics.median(getattr(run, name) for run in runs), 3)
            for name in ("grow_s", "order_s", "delete_s")
        },
        "memory": None if small else in_a_process_of_its_own("cub-size"),
        "certified": _certified(shape, settings),
    }


def _certified(shape: Shape, settings: Settings) -> dict[str, Any]:
    """The same head as a network: the whole way to a certificate, and the checker's time."""
    head = make_head(shape)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "synthetic.onnx"
        path.write_bytes(model_bytes(head))
        explainer = Explainer(load(path))
    rows = {}
    for vocabulary in ("topk", "ceiling", "mixed", "pairs"):
        x = model_input(head, 0)
        started = time.process_time()
        # the search for witnesses takes seconds at this size, and is not what is measured here
        result = explainer.explain(x, vocabulary=vocabulary, oracle="exact", witnesses=False)
        seconds = time.process_time() - started
        if result.certificate is None:
            rows[vocabulary] = {"verdict": str(result.verdict), "seconds": round(seconds, 3)}
            continue
        content, data = canonical_bytes(result.certificate), explainer.network.data
        model = ModelFile(data)
        warm = median_seconds(lambda c=content, m=model: check(c, m), settings.repeats)  # type: ignore[misc]
        cold = median_seconds(lambda c=content, d=data: check(c, d), settings.repeats)  # type: ignore[misc]
        rows[vocabulary] = {
            "verdict": str(result.verdict),
            "facts": result.size,
            "seconds": round(seconds, 3),
            "check_s": round(warm, 3),
            "check_with_loading_s": round(cold, 3),
            "certificate_bytes": len(content),
        }
    return rows
