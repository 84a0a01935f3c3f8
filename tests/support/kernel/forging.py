"""One honest certificate per vocabulary, and ways to change its JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from protoproof.kernel import CheckReport, ModelFile, check
from tests.support.kernel.builders import INPUT, file, pair_core, scene, topk_core

HERE = next(
    s
    for s in (scene(seed, grid=(1, 2), count=5, channels=5, classes=3) for seed in range(99))
    if len(pair_core(s).facts) >= 4
)
PAIRS = json.loads(file(pair_core(HERE)))
TOPK = json.loads(file(topk_core(HERE)))
MODEL = ModelFile(HERE.data)


def verdict(document: Any) -> CheckReport:
    return check(json.dumps(document).encode(), MODEL, INPUT)


def forged(original: Any, change: Callable[[Any], None]) -> CheckReport:
    document = json.loads(json.dumps(original))
    change(document["core"])
    assert document != original
    return verdict(document)


def failed(report: CheckReport) -> list[int]:
    return [o.number for o in report.obligations if o.passed is False]


def edit(*path: str | int, value: Any) -> Callable[[Any], None]:
    def change(core: Any) -> None:
        for key in path[:-1]:
            core = core[key]
        core[path[-1]] = value(core[path[-1]]) if callable(value) else value

    return change
