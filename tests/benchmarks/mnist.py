"""Workloads ``mnist-1x1`` and ``mnist-7x7``: our explanations next to the published algorithm's."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate.canonical import canonical_bytes
from protoproof.data.dataset import load_data
from protoproof.explanation.explainer import Explainer
from protoproof.kernel import ModelFile, check
from protoproof.network import load
from protoproof.prover.latent.instance import Instance
from protoproof.resources import zoo_path
from tests.benchmarks import baseline
from tests.benchmarks.measure import (
    Settings,
    in_a_process_of_its_own,
    median_seconds,
    ratio,
    share,
    spread,
)
from tests.benchmarks.ways import Way, smallest, ways

SEED = 0
Row = dict[str, Any]


@cache
def images() -> NDArray[np.float32]:
    """The 1,000 test images of mnist5k, [N, 1, 28, 28]."""
    return load_data("mnist5k").x_test


def evenly(count: int) -> NDArray[np.float32]:
    """So many of all 5,000 images, evenly spread, each from the middle of its stretch."""
    data = load_data("mnist5k")
    every = np.concatenate([data.x_train, data.x_test])
    step = max(1, len(every) // count)
    return np.asarray(every[step // 2 :: step][:count])


@cache
def explainer(name: str) -> Explainer:
    """The explainer of a zoo network."""
    return Explainer(load(zoo_path(name)))


def lowest_margins(name: str, count: int) -> list[int]:
    """Images with the smallest difference between the two largest logits, smallest first."""
    logits = np.stack([o.logits for o in explainer(name).network.observe_batch(images())])
    two = np.sort(logits, axis=1)[:, -2:]
    return [int(index) for index in np.argsort(two[:, 1] - two[:, 0], kind="stable")[:count]]


def random_images(count: int) -> list[int]:
    """A seeded choice."""
    return sorted(np.random.default_rng(SEED).permutation(len(images()))[:count].tolist())


def ours(way: Way, known: Explainer, chosen: Sequence[int], repeats: int) -> tuple[Row, dict]:
    """One way on some images: the table's row, and the size per image that was proved.

    ``seconds`` is the whole way, checker included, without the search for witnesses, which is
    timed apart (``witness_s``: both together); ``checked`` counts accepted certificates.
    """
    model = ModelFile(known.network.data)
    sizes, necessary, least = {}, 0, 0
    seconds: list[float] = []
    witness_seconds: list[float] = []
    check_seconds: list[float] = []
    for image in chosen:
        x = images()[image]
        started = time.process_time()
        result = way.explain(known, x, witnesses=True)
        witness_seconds.append(time.process_time() - started)
        seconds.append(median_seconds(lambda x=x: way.explain(known, x), repeats))  # type: ignore[misc]
        if result.certificate is None:
            continue
        sizes[image] = result.size
        necessary += len(result.necessary)
        least += result.to_json().get("lower_bound") == result.size
        content = canonical_bytes(result.certificate)
        check_seconds.append(median_seconds(lambda c=content: check(c, model), repeats))  # type: ignore[misc]
    return {
        "method": way.name,
        "images": len(chosen),
        "proved": len(sizes),
        **spread(list(sizes.values())),
        "necessary_share": share(necessary, sum(sizes.values())),
        "minimum_share": share(least, len(sizes)),
        "seconds": round(statistics.median(seconds), 4),
        "seconds_max": round(max(seconds), 4),
        "witness_s": round(statistics.median(witness_seconds), 4),
        "check_s": round(statistics.median(check_seconds), 4) if check_seconds else None,
        "check_s_max": round(max(check_seconds), 4) if check_seconds else None,
        "repeats": repeats,
    }, sizes


def published(
    paradigm: str, instances: dict[int, Instance], repeats: int
) -> tuple[Row, dict[int, int]]:
    """The published algorithm by pairs: the table's row, and the size per image."""
    sizes, forward, seconds = {}, [], []
    for image, instance in instances.items():
        times = []
        for _ in range(repeats):
            started = time.process_time()
            outcome = baseline.pairs(instance, paradigm)
            times.append(time.process_time() - started)
        seconds.append(statistics.median(times))
        forward.append(outcome.forward)
        if outcome.proved:
            sizes[image] = len(outcome.pairs)
    return {
        "method": f"published pairs, {paradigm}",
        "images": len(instances),
        "proved": len(sizes),
        **spread(list(sizes.values())),
        "forward_mean": round(statistics.fmean(forward), 1),
        "seconds": round(statistics.median(seconds), 4),
        "seconds_max": round(max(seconds), 4),
        "repeats": repeats,
    }, sizes


def published_topk(instances: dict[int, Instance]) -> tuple[Row, dict[int, int]]:
    """The published top-k, its ceiling counted as one fact."""
    found = {image: baseline.topk(i.activation, i.atoms) for image, i in instances.items()}
    sizes = {image: size for image, size in found.items() if size is not None}
    return {
        "method": "published top-k",
        "images": len(instances),
        "proved": len(sizes),
        **spread(list(sizes.values())),
    }, sizes


def workload(
    label: str, name: str, chosen: list[int], settings: Settings, triangle: int, slow: int
) -> dict[str, Any]:
    """All methods on one network; ``triangle`` and ``slow`` images for the published pairs."""
    known = explainer(name)
    rows, by_way = [], {}
    for way in ways():
        row, by_way[way.name] = ours(way, known, chosen, settings.repeats)
        rows.append(row)
    best = smallest(list(by_way.values()))
    rows.append({"method": "smallest of these", "images": len(chosen), "proved": len(best)})
    rows[-1] |= spread(list(best.values()))
    by_way["smallest of these"] = best
    instances = {i: known.instance(known.network.observe(images()[i])) for i in chosen}
    others = {}
    for paradigm, count in (("triangle", triangle), ("hypersphere", slow)):
        some = dict(list(instances.items())[:count])
        # seconds per image on a fine grid: there the median is over images alone
        repeats = settings.repeats if known.network.head.locations == 1 else 1
        row, others[paradigm] = published(paradigm, some, repeats)
        rows.append(row)
    row, others["top-k"] = published_topk(instances)
    rows.append(row)
    seconds = {row["method"]: row.get("seconds") for row in rows}
    for row in rows:
        sizes = by_way.get(row["method"])
        if sizes is None:
            continue
        for other, found in others.items():
            row[f"facts_vs_{other}"] = compare(sizes, found)
        for paradigm in ("triangle", "hypersphere"):
            slower = ratio(seconds[f"published pairs, {paradigm}"], row.get("seconds"))
            row[f"faster_than_{paradigm}"] = slower
    return {"workload": label, "network": known.network.sha256, "rows": rows}


def compare(mine: dict[int, int], other: dict[int, int]) -> float | None:
    """Ratio of mean sizes, over the images that both explained."""
    both = [image for image in mine if image in other]
    if not both:
        return None
    return ratio(sum(mine[i] for i in both), sum(other[i] for i in both))


def mnist_1x1(settings: Settings) -> list[dict[str, Any]]:
    """Lowest margins of the 1,000 test images, and random ones."""
    name = "mnist-1x1"
    low, drawn = lowest_margins(name, settings.lowest), random_images(settings.random)
    results = [
        workload(f"{name}, lowest margins", name, low, settings, len(low), len(low)),
        workload(f"{name}, random", name, drawn, settings, len(drawn), len(drawn)),
    ]
    results[0]["memory"] = in_a_process_of_its_own(name)
    return results


def mnist_7x7(settings: Settings) -> list[dict[str, Any]]:
    """Random test images; the hypersphere paradigm takes many seconds for each."""
    name = "mnist-7x7"
    chosen = random_images(settings.grid)
    result = workload(name, name, chosen, settings, settings.baseline, settings.slow)
    result["memory"] = in_a_process_of_its_own(name)
    return [result]
