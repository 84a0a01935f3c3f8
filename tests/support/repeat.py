"""Certificates of smallest and of all minimal explanations, made by some processes: their hashes.

    python -m tests.support.repeat WORKERS TASKS

does the first so many tasks and prints one line per task, in the order of the tasks, whichever
process did which.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import sys
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import Envelope
from protoproof.data.dataset import load_data
from protoproof.explanation.alternatives import alternatives
from protoproof.explanation.explainer import Explainer
from protoproof.network import load
from protoproof.resources import zoo_path
from tests.support.kernel.builders import scene

Task = tuple[Literal["tiny", "mnist-1x1"], int, str, Literal["minimum", "all"]]

TASKS: tuple[Task, ...] = (
    ("tiny", 0, "pairs", "minimum"),
    ("tiny", 0, "ceiling", "minimum"),
    ("tiny", 0, "pairs", "all"),
    ("tiny", 1, "mixed", "all"),
    ("mnist-1x1", 5, "pairs", "minimum"),
    ("mnist-1x1", 0, "ceiling", "minimum"),
    ("mnist-1x1", 0, "pairs", "all"),
)
QUICK = 5  # so many of them take no time


@cache
def explainer(name: str) -> Explainer:
    """Once per process."""
    if name == "tiny":
        import tempfile
        from pathlib import Path

        here = scene(3, similarity="reciprocal", grid=(1, 1), count=6, channels=4, classes=3)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tiny.onnx"
            path.write_bytes(here.data)
            return Explainer(load(path))
    return Explainer(load(zoo_path(name)))


def subject(name: str, index: int) -> NDArray[np.float32]:
    """The input that a task is about."""
    if name == "tiny":
        shape = explainer(name).network.input_shape
        return np.random.default_rng(index).random(shape).astype(np.float32)
    return np.asarray(load_data("mnist5k").x_test[index])


def line(task: Task) -> str:
    """The task, what it found, and a hash over all of its certificates."""
    name, index, vocabulary, minimal = task
    known = explainer(name)
    result = known.explain(
        subject(name, index),
        vocabulary=vocabulary,
        minimal="minimum" if minimal == "minimum" else "subset",
        witnesses=minimal == "minimum",
    )
    made: list[Envelope] = [] if result.certificate is None else [result.certificate]
    found = f"size {result.size} of at least {result.lower_bound}"
    if minimal == "all" and made:
        others = alternatives(known, result, 2)
        made += [listed.certificate for listed in others.explanations]
        found = f"{len(others.explanations)} explanations, {len(others.contrasts)} contrasts"
    digest = hashlib.sha256(b"\n".join(map(canonical_bytes, made))).hexdigest()
    return f"{name} {index} {vocabulary} {minimal}: {found}, {len(made)} certificates {digest}"


def main(workers: int, tasks: int) -> None:
    """The first tasks, by so many processes."""
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        sys.stdout.write("\n".join(pool.map(line, TASKS[:tasks], chunksize=1)) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
