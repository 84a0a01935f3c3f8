"""Sizes and times of explanations on the zoo: ``make bench``. Measures, asserts nothing.

For every network the images of the test set with the lowest margins, every vocabulary. Times are
medians of ``REPEATS`` runs in one process, and explaining includes the checker's run; results go to
``out/bench`` as JSON and Markdown.
"""

from __future__ import annotations

import json
import platform
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from models.data import load_data
from models.zoo import NAMES, zoo_path
from verifier.certificate.canonical import canonical_bytes
from verifier.checker import ModelFile, check
from verifier.files import make_directory, write_atomic
from verifier.network import load
from verifier.pipeline import VOCABULARIES, Explainer

IMAGES, REPEATS = 25, 5
OUT = Path("out/bench")
COLUMNS = ("network", "vocabulary", "proved", "facts", "facts_max", "explain_ms", "check_ms")


def lowest_margins(explainer: Explainer, images: np.ndarray) -> list[int]:
    """Indices of the images with the smallest difference between the two largest logits."""
    logits = np.stack([o.logits for o in explainer.network.observe_batch(images)])
    two = np.sort(logits, axis=1)[:, -2:]
    return [int(index) for index in np.argsort(two[:, 1] - two[:, 0], kind="stable")[:IMAGES]]


def median_ms(action: Callable[[], object]) -> float:
    """Median wall time in milliseconds."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e3


def measure(name: str, vocabulary: str, explainer: Explainer, images: np.ndarray) -> dict[str, Any]:
    """One row of the table; ``facts`` is a mean over the proved images."""
    model = ModelFile(explainer.network.data)
    sizes, explain_ms, check_ms = [], [], []
    for image in images:
        result = explainer.explain(image, vocabulary=vocabulary)
        if result.certificate is None:
            continue
        content = canonical_bytes(result.certificate)
        sizes.append(result.size)
        explain_ms.append(
            median_ms(lambda x=image: explainer.explain(x, vocabulary=vocabulary))  # type: ignore[misc]
        )
        check_ms.append(median_ms(lambda c=content: check(c, model)))  # type: ignore[misc]
    return {
        "network": name,
        "vocabulary": vocabulary,
        "proved": f"{len(sizes)}/{len(images)}",
        "facts": round(statistics.fmean(sizes), 2) if sizes else None,
        "facts_max": max(sizes, default=None),
        "explain_ms": round(statistics.fmean(explain_ms), 1) if sizes else None,
        "check_ms": round(statistics.fmean(check_ms), 1) if sizes else None,
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a table."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    lines += ["| " + " | ".join(str(row[column]) for column in COLUMNS) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure everything and write it down."""
    make_directory(OUT)
    images = load_data("mnist5k").x_test
    rows = []
    for name in NAMES:
        explainer = Explainer(load(zoo_path(name)))
        chosen = images[lowest_margins(explainer, images)]
        rows += [measure(name, vocabulary, explainer, chosen) for vocabulary in VOCABULARIES]
        print(markdown(rows[-len(VOCABULARIES) :]), flush=True)
    document = {
        "images": IMAGES,
        "repeats": REPEATS,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "rows": rows,
    }
    write_atomic(OUT / "results.json", (json.dumps(document, indent=2) + "\n").encode())
    write_atomic(OUT / "results.md", markdown(rows).encode())


if __name__ == "__main__":
    main()
