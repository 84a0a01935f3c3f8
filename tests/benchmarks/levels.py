"""Workloads ``levels-NAME``: how many explanations are proved for any float32 execution.

Of held-out inputs of one zoo network, or (``levels-synthetic``) of a head of 2,000 prototypes and
200 classes: as ``explain`` finds them, level F where the facts prove it as they are.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.heldout import heldout
from protoproof.certificate.canonical import canonical_bytes
from protoproof.explanation.explainer import Explainer
from protoproof.kernel import ModelFile, check
from protoproof.network import load
from protoproof.resources import zoo_path
from tests.benchmarks.measure import Settings
from tests.benchmarks.synthetic import Shape, make_head, model_bytes, model_input

Inputs = Iterable[NDArray[np.float32]]


def levels(name: str, settings: Settings) -> list[dict[str, Any]]:
    """``auto`` and ``topk`` of one zoo network."""
    known = Explainer(load(zoo_path(name)))
    count = settings.heldout
    return _workload(name, known, lambda: heldout(name, count).x, ("auto", "topk"))


def synthetic(settings: Settings) -> list[dict[str, Any]]:
    """``topk`` and ``pairs`` of a large head."""
    head = make_head(Shape())
    with TemporaryDirectory() as folder:
        path = Path(folder) / "synthetic.onnx"
        path.write_bytes(model_bytes(head))
        known = Explainer(load(path))
    count = 2 * settings.synthetic
    return _workload(
        "synthetic", known, lambda: (model_input(head, k) for k in range(count)), ("topk", "pairs")
    )


def _workload(
    name: str, known: Explainer, inputs: Callable[[], Inputs], words: Sequence[str]
) -> list[dict[str, Any]]:
    rows = [{"method": f"{name} {word}", **_row(known, inputs(), word)} for word in words]
    return [{"workload": "levels", "rows": rows}]


def _row(known: Explainer, inputs: Inputs, vocabulary: str) -> dict[str, Any]:
    model = ModelFile(known.network.data, known.network.files)
    images = proved = at_f = 0
    seconds, missed = [], []
    for number, x in enumerate(inputs):
        images += 1
        found = known.explain(x, vocabulary=vocabulary, witnesses=False)
        if found.certificate is None:
            continue
        content = canonical_bytes(found.certificate)
        started = time.process_time()
        accepted = check(content, model).accepted
        seconds.append(time.process_time() - started)
        proved += accepted
        at_f += accepted and found.level == "F"
        if found.level != "F":
            missed.append(f"{number}: {found.level_reason}")
    return {
        "images": images,
        "proved": proved,
        "level_f": at_f,
        "level_f_share": round(at_f / proved, 4) if proved else None,
        "check_s": round(statistics.median(seconds), 3) if seconds else None,
        "missed": missed[:5],
    }
