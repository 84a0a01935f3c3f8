"""Workloads ``kernels-NAME``: certificates of one zoo network, asked of both kernels.

Counts certificates of distinct claims: held-out inputs in every vocabulary, each read again from
its bytes. ``only_python`` and ``only_formal`` list those that one kernel accepts and the other does
not; where the machine-checked kernel says that it does not cover something, its words are counted.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.heldout import heldout
from protoproof.certificate.canonical import canonical_bytes
from protoproof.explanation.explainer import Explainer
from protoproof.formal import verify
from protoproof.kernel import ModelFile, check
from protoproof.network import load
from protoproof.resources import zoo_path
from tests.benchmarks.measure import Settings

_WITNESSED = 25  # every so many questions, with a witness of each fact
_PAIRS = 10  # every so many questions, in pairs: many times as long as any other
_CHEAP = ("topk", "ceiling", "mixed")
_PER_INPUT = 2 * len(_CHEAP)


def kernels(name: str, settings: Settings) -> list[dict[str, Any]]:
    """``settings.kernels`` certificates of one network, and what either kernel says of them."""
    known = Explainer(load(zoo_path(name)))
    model = ModelFile.read(zoo_path(name))
    seen = Seen()
    for label, options, x in _questions(name):
        if seen.made == settings.kernels:
            break
        found = known.explain(x, **options)
        if found.certificate is not None:
            seen.add(label, canonical_bytes(found.certificate), model)
    row = {"method": name, "network": known.network.sha256, **seen.row()}
    return [{"workload": "kernels", "rows": [row]}]


@dataclass
class Seen:
    """What both kernels said so far."""

    made: int = 0
    both: int = 0
    witnesses: int = 0
    apart: dict[str, list[str]] = field(
        default_factory=lambda: {"only_python": [], "only_formal": [], "neither": []}
    )
    reasons: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def add(self, label: str, content: bytes, model: ModelFile) -> None:
        """Ask both about one certificate."""
        accepted = check(content, model).accepted
        started = time.perf_counter()
        answer = verify(content, model)
        self.seconds.append(time.perf_counter() - started)
        self.made += 1
        self.witnesses += len(answer.necessary)
        self.reasons.update([answer.reason] if answer.reason else [])
        if accepted and answer.proved:
            self.both += 1
        else:
            key = {(True, False): "only_python", (False, True): "only_formal"}
            self.apart[key.get((accepted, answer.proved), "neither")].append(label)

    def row(self) -> dict[str, Any]:
        """Counts, the questions that they disagree about, seconds by the clock."""
        return {
            "certificates": self.made,
            "both": self.both,
            **self.apart,
            "witnesses": self.witnesses,
            "reasons": dict(self.reasons),
            "formal_s": round(statistics.median(self.seconds), 4) if self.seconds else None,
            "formal_s_max": round(max(self.seconds), 4) if self.seconds else None,
        }


def _questions(name: str) -> Iterator[tuple[str, dict[str, Any], NDArray[np.float32]]]:
    """Input after input, each in the next of six ways; then again, each in the one after."""
    x = heldout(name).x
    for number in range(_PER_INPUT * len(x)):
        turn, index = divmod(number, len(x))
        way = (turn + index) % _PER_INPUT
        vocabulary = "pairs" if number % _PAIRS == _PAIRS - 1 else _CHEAP[way % len(_CHEAP)]
        options = {
            "vocabulary": vocabulary,
            "widen": way >= len(_CHEAP),
            "witnesses": number % _WITNESSED == 0,
        }
        yield f"{index}: {vocabulary}{' widened' if options['widen'] else ''}", options, x[index]
