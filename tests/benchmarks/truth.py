"""Workload ``truth``: every oracle against exact nonlinear arithmetic, on random tiny networks."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from protoproof.prover.oracle.smt import Solver
from tests.benchmarks.measure import Settings
from tests.support.tiny import ORACLES, judge, tiny_case

# per rival; the limit on time only guards against what the limit on steps does not count
STEPS, SECONDS = 1_000_000, 3.0


def truth(settings: Settings) -> list[dict[str, Any]]:
    """How often z3 decides, how often every oracle agrees, and every contradiction by its seed.

    ``missed`` counts sets of facts that entail the class and that an oracle could not prove.
    """
    status: Counter[str] = Counter()
    proved: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    wrong: dict[int, list[str]] = {}
    started = time.perf_counter()
    with Solver() as solver:
        for seed in range(settings.truth):
            found = judge(tiny_case(seed), solver, STEPS, SECONDS)
            status[found.truth.status] += 1
            if found.wrong:
                wrong[seed] = found.wrong
            for name, yes in found.proved.items():
                proved[name] += yes
                missed[name] += found.truth.status == "entails" and not yes
    row = {
        "method": "exact nonlinear arithmetic",
        "networks": settings.truth,
        "entailed": status["entails"],
        "refuted": status["refuted"],
        "open": status["open"],
        "contradictions": wrong,
        "proved": {oracle.name: proved[oracle.name] for oracle in ORACLES},
        "missed": {oracle.name: missed[oracle.name] for oracle in ORACLES},
        "seconds_total": round(time.perf_counter() - started, 1),
    }
    return [{"workload": "truth"} | row]
