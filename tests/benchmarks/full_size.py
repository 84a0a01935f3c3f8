"""Workload ``full-size``: networks of the size that the field trains, from file to checked proof.

``inspect`` and ``check`` are the command line, in a process of their own: their processor seconds
and peak memory are those of the whole process, start included. ``explain`` is timed in a process
of its own, per vocabulary, without loading and without the forward pass (both are given apart).
One thread throughout. Nothing here is a claim about accuracy: the encoders are random, or, where
its package can be had, one that was trained for something else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from protoproof.explanation.explainer import Explainer
from protoproof.network import load
from tests.benchmarks import full_networks
from tests.benchmarks.full_networks import ENCODERS, PUBLISHED, SIDE, picture
from tests.benchmarks.measure import ROOT, Settings, peak_mib

# what is asked: (vocabulary, whether witnesses are searched for)
QUESTIONS = (
    ("topk", False),
    ("mixed", False),
    ("ceiling", False),
    ("pairs", False),
    ("auto", True),
)
FEW = (("topk", False), ("mixed", False), ("auto", True))
TARGETS = {"inspect_s": 3.0, "check_s": 1.0, "explain_s": 2.0, "auto_s": 5.0, "peak_mib": 1536}
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_SECONDS = 600.0  # that one explanation may take, by the clock on the wall


def full_size(settings: Settings) -> list[dict[str, Any]]:
    """A row per network; ``projected`` prototypes, and once more uniform ones."""
    with tempfile.TemporaryDirectory() as folder:
        return [{"workload": "full-size", "rows": list(_rows(Path(folder), settings))}]


def _rows(folder: Path, settings: Settings) -> Iterator[dict[str, Any]]:
    for name in (*ENCODERS, PUBLISHED):
        state = (
            full_networks.published(folder)
            if name == PUBLISHED
            else full_networks.checkpoint(ENCODERS[name])
        )
        if state is None:
            continue
        begun = time.process_time()
        more = {"backbone": "tf_efficientnet_lite0"} if name == PUBLISHED else {}
        plain = full_networks.written(state, folder / f"{name}.onnx", **more)
        seconds = round(time.process_time() - begun, 2)
        known = full_networks.projected(plain, folder / f"{name}-projected.onnx")
        first = name == next(iter(ENCODERS))
        yield {
            "method": name,
            "prototypes": "projected",
            "import_s": seconds,
            **measured(known, QUESTIONS if first else FEW, batch=first),
        }
        if first:
            yield {"method": name, "prototypes": "uniform", **measured(plain, FEW)}


def measured(
    path: Path, questions: tuple[tuple[str, bool], ...], side: int = SIDE, *, batch: bool = False
) -> dict[str, Any]:
    """Everything about one network."""
    image = path.with_suffix(".npy")
    np.save(image, picture(0, 7, side))
    inspected = _process("protoproof", "inspect", path)
    row: dict[str, Any] = {
        "megabytes": round(path.stat().st_size / 1e6, 1),
        "inspect_s": inspected[0],
        "inspect_mib": inspected[1],
        "explained": {},
    }
    for vocabulary, witnesses in questions:
        arguments = [str(path), str(image), vocabulary, str(int(witnesses))]
        found = json.loads(_output("tests.benchmarks.full_size", *arguments))
        row |= {key: found.pop(key) for key in ("load_s", "forward_s")}
        if found["certificate"]:
            checked = _process("protoproof", "check", found["certificate"], path)
            found |= {"check_s": checked[0], "check_mib": checked[1]}
        del found["certificate"]
        row["explained"][vocabulary] = found
    return row | ({"batch": batched(path, side)} if batch else {})


def batched(path: Path, side: int = SIDE, count: int = 8) -> dict[str, Any]:
    """Whether a batch gives the bits that single inputs give, and how long each takes."""
    network = load(path)
    names, into = (*network.recognised.latents, network.recognised.scores), network.view.input
    images = np.stack([picture(0, number, side) for number in range(count)])
    begun = time.process_time()
    single = [network.session.run(names, {into: image[None]}) for image in images]
    alone = time.process_time() - begun
    begun = time.process_time()
    together = network.session.run(names, {into: images})
    spent = time.process_time() - begun
    same = [
        [
            bool(np.array_equal(one[0], many[place]))
            for one, many in zip(alone_, together, strict=True)
        ]
        for place, alone_ in enumerate(single)
    ]
    return {
        "images": count,
        "latents_equal": sum(row[0] for row in same),
        "scores_equal": sum(row[-1] for row in same),
        "single_s": round(alone / count, 3),
        "batched_s": round(spent / count, 3),
    }


def _process(module: str, *arguments: object) -> tuple[float, int]:
    """Processor seconds and peak memory (MiB) of a command that has to succeed."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    found = json.loads(_output("tests.benchmarks.launched", *command))
    return found["seconds"], found["peak_mib"]


def _output(module: str, *arguments: str) -> str:
    """What a module prints that has to succeed, with one thread."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=os.environ | _ONE_THREAD,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def _explained(path: Path, image: Path, vocabulary: str, witnesses: bool) -> dict[str, Any]:
    begun = time.process_time()
    explainer = Explainer(load(path))
    loaded = time.process_time()
    x = np.load(image)
    explainer.network.observe(x)
    ran = time.process_time()
    found = explainer.explain(x, vocabulary=vocabulary, witnesses=witnesses, timeout=_SECONDS)
    ended = time.process_time()
    certificate = path.with_suffix(f".{vocabulary}.cert.json")
    if found.certificate is not None:
        found.save(certificate)
    return {
        "load_s": round(loaded - begun, 2),
        "forward_s": round(ran - loaded, 2),
        "verdict": str(found.verdict.status.value),
        "vocabulary": found.vocabulary,
        "facts": found.size,
        "level": None if found.certificate is None else found.certificate.core.level,
        "necessary": len(found.necessary),
        "unfinished": list(found.unfinished),
        "seconds": round(ended - ran - (ran - loaded), 2),
        "peak_mib": peak_mib(),
        "certificate": str(certificate) if found.certificate is not None else None,
    }


if __name__ == "__main__":
    model, input_, word, flag = sys.argv[1:]
    print(json.dumps(_explained(Path(model), Path(input_), word, flag == "1")))
