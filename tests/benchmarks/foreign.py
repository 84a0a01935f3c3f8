"""Workload ``foreign``: every kind of head of the list, and of the zoo, all the way to the checker.

One row per kind: whether each exporter's file is recognised as what it is, the facts of every
vocabulary, the smallest of them next to the published top-k rule, witnesses, what a checker of its
own accepts, and the times.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate.canonical import canonical_bytes
from protoproof.errors import ProtoProofError
from protoproof.explanation.explainer import Explainer
from protoproof.explanation.result import Explanation
from protoproof.kernel import ModelFile, check
from protoproof.resources import NAMES
from tests.benchmarks import baseline
from tests.benchmarks.measure import Settings, share, spread
from tests.benchmarks.mnist import explainer, images
from tests.support.foreign.export import EXPORTERS, export_family
from tests.support.foreign.families import RECOGNISED
from tests.support.foreign.family import Family
from tests.support.foreign.found import form_of, loaded
from tests.support.foreign.running import inputs

Images = Sequence[NDArray[np.float32]]


@dataclass
class Tally:
    """What was seen of one network."""

    sizes: dict[str, list[int]] = field(default_factory=dict)
    smallest: list[int] = field(default_factory=list)
    published: list[int] = field(default_factory=list)
    facts: int = 0
    necessary: int = 0
    accepted: int = 0
    seconds: list[float] = field(default_factory=list)
    check_seconds: list[float] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """The columns that do not depend on where the network comes from."""
        mean = {word: statistics.fmean(sizes) for word, sizes in self.sizes.items() if sizes}
        published = round(statistics.fmean(self.published), 2) if self.published else None
        return {
            "images": len(self.seconds),
            "proved": self.accepted,
            "vocabularies": ", ".join(f"{word} {size:.1f}" for word, size in mean.items()),
            **spread(self.smallest),
            "published_mean": published,
            "necessary_share": share(self.necessary, self.facts),
            "seconds": round(statistics.median(self.seconds), 4),
            "check_s": _median(self.check_seconds),
        }


def foreign(settings: Settings) -> list[dict[str, Any]]:
    """Rows of the list, then of the zoo; times are processor seconds with one thread."""
    rows = [*_list(settings), *_zoo(settings)]
    return [{"workload": "foreign", "rows": rows}]


def _list(settings: Settings) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        for family in RECOGNISED:
            known = {exporter: recognised(family, exporter, Path(folder)) for exporter in EXPORTERS}
            path = next((path for path in known.values() if isinstance(path, Path)), None)
            if path is not None:
                seen = _tally(path, family, settings.foreign)
                words = {e: "yes" if isinstance(p, Path) else p for e, p in known.items()}
                yield {"method": family.name, **words, **seen.row()}


def recognised(family: Family, exporter: str, folder: Path) -> Path | str:
    """The exported file where it is recognised as what it is, else ``no``, or ``-``: no file."""
    if exporter in family.unexported:
        return "-"
    path = export_family(family, folder, exporter)
    try:
        network, _, _ = loaded(path, family.output)
    except ProtoProofError:
        return "no"
    return path if form_of(network) == family.expected else "no"


def _tally(path: Path, family: Family, count: int) -> Tally:
    network, _, _ = loaded(path, family.output)
    known = Explainer(network)
    return tally(known, ModelFile.read(path), [x[0] for x in inputs(family.shape, count)])


def _zoo(settings: Settings) -> Iterator[dict[str, Any]]:
    for name in NAMES:
        known = explainer(name)
        stride = max(1, len(images()) // settings.foreign)
        chosen = images()[::stride][: settings.foreign]
        seen = tally(known, ModelFile(known.network.data), list(chosen))
        yield {"method": f"zoo: {name}", **dict.fromkeys(EXPORTERS, "-"), **seen.row()}


def tally(known: Explainer, model: ModelFile, chosen: Images) -> Tally:
    """Explain every input in all vocabularies, with witnesses, and check each certificate again."""
    seen = Tally()
    for x in chosen:
        started = time.process_time()
        result = known.explain(x)
        seen.seconds.append(time.process_time() - started)
        for attempt in result.attempts:
            if attempt.size is not None:
                seen.sizes.setdefault(attempt.vocabulary, []).append(attempt.size)
        instance = known.instance(result.observation)
        # the published rule knows linear decisions only, and takes no similarity for negative:
        # where one can be, what it finds is no explanation
        fits = instance.atoms.linear and (instance.head.chain.infimum >= 0).all()
        least = baseline.topk(instance) if fits else None
        seen.published += [] if least is None else [least]
        if result.certificate is not None:
            _checked(seen, result, model)
    return seen


def _checked(seen: Tally, result: Explanation, model: ModelFile) -> None:
    started = time.process_time()
    report = check(canonical_bytes(result.certificate), model)  # type: ignore[arg-type]
    seen.check_seconds.append(time.process_time() - started)
    if report.accepted:
        seen.accepted += 1
        seen.smallest.append(result.size)
        seen.facts += result.size
        seen.necessary += len(report.necessary)


def _median(times: Sequence[float]) -> float | None:
    return round(statistics.median(times), 4) if times else None
