"""Workloads ``to-read`` and ``signal-...``: numbers to read, and sizes of wrong predictions.

Three tables. Facts and numbers by default and ``for_reading``, on random images and on those with
the lowest margins; on the latter, next to the published top-k. And sizes of the explanations of all
wrong predictions among the samples, next to those of some right ones: what either tells, and what
the plain margin does.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.heldout import heldout
from protoproof.campaign.record import Record, Row
from protoproof.campaign.signal import Curve, Signal, signal
from protoproof.data.dataset import load_data
from protoproof.explanation.explainer import Explainer
from protoproof.explanation.result import Explanation
from tests.benchmarks import baseline
from tests.benchmarks.measure import Settings, ratio
from tests.benchmarks.mnist import SEED, explainer

# Networks that no image of mnist5k was shown to, and others with samples of their own.
DIGITS = ("mnist-7x7", "mnist-1x1", "mnist-certified")
OTHERS = ("mnist-gaussian", "mnist-cosine")
EMOJI = ("emoji-protopnet", "emoji-projection", "emoji-pipnet", "emoji-protopool")
# Of the other networks, so many held-out samples at most are looked through for wrong predictions.
_SAMPLES = 1000
_SHARES = (0.5, 0.8)  # of the wrong predictions that a person is to see

Data = tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.float64]]


def to_read(settings: Settings) -> list[dict[str, Any]]:
    """Facts and numbers; times are processor seconds of one thread, certificate and check included,
    without the search for witnesses."""
    numbers, hard = [], []
    for name in DIGITS[:2]:
        lowest, drawn = chosen(name, settings)
        numbers += lengths(name, "random", drawn) + lengths(name, "lowest margins", lowest)
        hard.append(against_topk(name, lowest))
    return [
        {"workload": "numbers to read", "rows": numbers},
        {"workload": "lowest margins, next to the published top-k", "rows": hard},
    ]


def as_a_signal(names: Sequence[str], settings: Settings) -> list[dict[str, Any]]:
    """What sizes tell of wrong predictions, network by network."""
    rows = [row_of(name, *measured(name, settings.random)) for name in names]
    return [{"workload": "size as a signal", "rows": rows}]


@cache
def samples(name: str) -> Data:
    """Inputs that a network has not seen, with labels and logits: all 5,000 of mnist5k, or up to
    1,000 of its own."""
    if name in DIGITS:
        data = load_data("mnist5k")
        x, y = np.concatenate([data.x_test, data.x_train]), np.append(data.y_test, data.y_train)
    else:
        seen = heldout(name)
        drawn = np.sort(np.random.default_rng(SEED).permutation(len(seen.x))[:_SAMPLES])
        x, y = seen.x[drawn], np.asarray(seen.y)[drawn]
    network = explainer(name).network
    parts = [x[start : start + 500] for start in range(0, len(x), 500)]
    logits = np.stack([o.logits for part in parts for o in network.observe_batch(part)])
    return x, y, logits


def chosen(name: str, settings: Settings) -> tuple[list[int], list[int]]:
    """The samples with the lowest margins, and a seeded choice."""
    logits = samples(name)[2]
    two = np.sort(logits, axis=1)[:, -2:]
    lowest = np.argsort(two[:, 1] - two[:, 0], kind="stable")[: settings.lowest]
    drawn = np.random.default_rng(SEED).permutation(len(logits))[: settings.random]
    return lowest.tolist(), sorted(drawn.tolist())


def lengths(name: str, which: str, indices: Sequence[int]) -> list[dict[str, Any]]:
    """Facts and numbers of the proved explanations, by default and for reading."""
    found = []
    for word in ("default", "for reading"):
        sizes, read, seconds = [], [], []
        for index in indices:
            started = time.process_time()
            result = explained(name, index, for_reading=word != "default")
            seconds.append(time.process_time() - started)
            if result.certificate is not None:
                sizes.append(result.size)
                read.append(result.numbers)
        found.append(
            {
                "method": f"{name}, {which}: {word}",
                "images": len(indices),
                "proved": len(sizes),
                "facts_mean": round(statistics.fmean(sizes), 2),
                "facts_max": max(sizes),
                "numbers_mean": round(statistics.fmean(read), 1),
                "numbers_max": max(read),
                "seconds": round(statistics.median(seconds), 4),
            }
        )
    return found


@cache
def explained(name: str, index: int, *, for_reading: bool = False) -> Explanation:
    """One explanation without witnesses."""
    known: Explainer = explainer(name)
    return known.explain(samples(name)[0][index], witnesses=False, for_reading=for_reading)


def against_topk(name: str, indices: Sequence[int]) -> dict[str, Any]:
    """Ours next to the published top-k, which is counted with its ceiling."""
    ours, theirs = [], []
    known = explainer(name)
    for index in indices:
        observed = known.network.observe(samples(name)[0][index])
        instance = known.instance(observed)
        size = baseline.topk(instance.activation, instance.atoms)
        result = explained(name, index)
        if size is not None and result.certificate is not None:
            ours.append(result.size)
            theirs.append(size)
    shares = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return {
        "method": name,
        "images": len(indices),
        "proved": len(ours),
        "facts_mean": round(statistics.fmean(ours), 2),
        "published_mean": round(statistics.fmean(theirs), 2),
        "facts_vs_top-k": ratio(statistics.fmean(ours), statistics.fmean(theirs)),
        "share_mean": round(statistics.fmean(shares), 3),
        "share_max": round(max(shares), 3),
        "share_at_most_0.4": round(statistics.fmean(s <= 0.4 for s in shares), 3),
    }


def measured(name: str, count: int) -> tuple[Signal, int, int]:
    """What sizes tell of all wrong predictions among the samples and of ``count`` right ones; and
    how many of either there are."""
    _, labels, logits = samples(name)
    right = logits.argmax(axis=1) == labels
    drawn = np.random.default_rng(SEED).permutation(np.flatnonzero(right))[:count]
    rows = []
    for index in [*np.flatnonzero(~right).tolist(), *drawn.tolist()]:
        found = explained(name, index)
        record = Record(
            "proved" if found.certificate is not None else "undecided",
            predicted=found.predicted,
            margin=found.margin,
            size=found.size,
            numbers=found.numbers,
        )
        rows.append(Row(index, int(labels[index]), "", str(index), record))
    return signal(rows), int(right.sum()), int((~right).sum())


def row_of(name: str, found: Signal, right: int, wrong: int) -> dict[str, Any]:
    """One network's row. ``sent``: of all samples, the share that is sent to a person by the unit's
    threshold that sends at least so many of the wrong ones; right ones count as drawn."""
    row: dict[str, Any] = {
        "method": name,
        "images": right + wrong,
        "wrong": f"{found.wrong} of {wrong}",
        "right": f"{found.right} of {right}",
        "reason": found.reason,
    }
    for curve in found.curves:
        row[curve.unit] = {
            "right_mean": round(abs(curve.right[0]), 2),
            "wrong_mean": round(abs(curve.wrong[0]), 2),
            "right_median": round(abs(curve.right[1]), 3),
            "wrong_median": round(abs(curve.wrong[1]), 3),
            "area": round(curve.area, 3),
            "interval": [round(curve.low, 3), round(curve.high, 3)],
            "sent": {f"{share:g}": sent(curve, found, right, wrong, share) for share in _SHARES},
        }
    return row


def sent(curve: Curve, found: Signal, right: int, wrong: int, share: float) -> dict[str, Any]:
    """The operating point that catches at least a share of the wrong predictions."""
    point = next(p for p in curve.points if p.caught >= share * found.wrong)
    others = (point.referred - point.caught) / found.right
    caught = point.caught / found.wrong
    return {
        "over": None if point.over is None else round(abs(point.over), 3),
        "caught": round(caught, 3),
        "referred": round((caught * wrong + others * right) / (right + wrong), 3),
    }
