"""Many explanations, one after another: one line each, and a summary of constant size."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import FragileError, InputError
from protoproof.explanation.evidence import evidence_name
from protoproof.explanation.explainer import Explainer
from protoproof.explanation.options import ExplainOptions
from protoproof.report.files.beside import Beside
from protoproof.report.files.explanation_files import (
    Files,
    Session,
    explain_to_files,
)
from protoproof.report.page.patches import patches_of
from protoproof.verdict import Status

# name, the stem of its files, how to get it (which may fail for this one input alone), and what it
# is labelled as, where that is known
Source = tuple[str, str, Callable[[], NDArray[np.float32]], str | None]


@dataclass(frozen=True)
class Streamed:
    """One input of a stream: what became of it, or why it could not be explained."""

    name: str
    session: Session | None
    error: InputError | FragileError | None = None

    def to_json(self) -> dict[str, Any]:
        """The line of ``explain --json`` for one of many inputs: its document without the facts.

        The facts stand in the certificate.
        """
        if self.session is None:
            return {"input": self.name, "verdict": "error", "error": str(self.error)}
        document = self.session.to_json()
        del document["facts"]
        return {"input": self.name, **document}


class Summary:
    """Counts over a stream; its size depends on how many sizes differ, not on how many inputs."""

    def __init__(self, remarks: Sequence[str] = ()) -> None:
        self.remarks = tuple(remarks)  # what was done to the numbers of all inputs
        self._started = time.perf_counter()
        self.verdicts: Counter[str] = Counter()
        self.sizes: Counter[int] = Counter()
        self.numbers: Counter[int] = Counter()
        self.witnessed = 0
        self.superfluous = 0
        self.right: Counter[bool] = Counter()  # of those that came with a label
        self.exit_codes: set[int] = set()

    def add(self, item: Streamed) -> None:
        """Count one input."""
        if item.session is None:
            self.verdicts["error"] += 1
            self.exit_codes.add(
                InputError.exit_code if item.error is None else item.error.exit_code
            )
            return
        explanation = item.session.explanation
        if item.session.right is not None:
            self.right[item.session.right] += 1
        self.verdicts[explanation.verdict.status.value] += 1
        self.exit_codes.add(explanation.verdict.exit_code)
        if explanation.verdict.status is Status.PROVED:
            self.sizes[explanation.size] += 1
            self.numbers[explanation.numbers] += 1
            self.witnessed += len(explanation.necessary)
            self.superfluous += len(explanation.superfluous)

    @property
    def exit_code(self) -> int:
        """The worst of all: an input that is unusable (2), undecided (3), refuted (1), proved."""
        return next((code for code in (2, 3, 1) if code in self.exit_codes), 0)

    @property
    def witness_share(self) -> float | None:
        """Share of all facts that have a witness; None without facts."""
        facts = _total(self.sizes)
        return self.witnessed / facts if facts else None

    def to_json(self) -> dict[str, Any]:
        """The last line of ``explain --json`` for many inputs."""
        proved = sum(self.sizes.values())
        share = self.witness_share
        return {
            "inputs": sum(self.verdicts.values()),
            "verdicts": dict(sorted(self.verdicts.items())),
            "size_mean": round(_total(self.sizes) / proved, 3) if proved else None,
            "size_median": _median(self.sizes),
            "size_max": max(self.sizes, default=None),
            "numbers_mean": round(_total(self.numbers) / proved, 3) if proved else None,
            "numbers_median": _median(self.numbers),
            "numbers_max": max(self.numbers, default=None),
            "superfluous": self.superfluous,
            "witness_share": None if share is None else round(share, 4),
            "labelled": self.right.total(),
            "right": self.right[True],
            "input_remarks": list(self.remarks),
            "seconds": round(time.perf_counter() - self._started, 3),
            "exit_code": self.exit_code,
        }


def explain_stream(
    explainer: Explainer,
    sources: Iterable[Source],
    files: Files,
    options: ExplainOptions | None = None,
    beside: Beside | None = None,
) -> Iterator[Streamed]:
    """Explain inputs as they are asked for; files are written as each one is proved.

    Each input is run on its own: ONNX Runtime may give other bits in a batch, and ``check --input``
    must see the latent that the certificate holds. Nothing is kept from one input to the next but
    what all share (the head, distances between prototypes).

    Args:
        explainer: of the network.
        sources: the inputs, see :data:`Source`.
        files: where to write; ``out`` is the directory of certificates, check results and pages.
        options: how to explain.
        beside: what to show beside each explanation.

    Raises:
        OutputError: a file cannot be written.
        UsageError: options that make no sense. An input that cannot be read or decided is no
            exception: it comes with its error, and the next one follows.
    """
    # read once, and complained about once
    pictures = cache(lambda: patches_of(explainer.network))
    domain = (options or ExplainOptions()).domain
    region = domain if isinstance(domain, str) and domain != "free" else ""
    for name, stem, read, labelled in sources:
        instance = evidence_name(explainer.network.path, stem, region)
        here = replace(files, out=files.out / f"{instance}.cert.json", chosen=False)
        try:
            session = explain_to_files(
                explainer, read(), name, here, options, beside, pictures, labelled
            )
        except (InputError, FragileError) as error:
            yield Streamed(name, None, error)
        else:
            yield Streamed(name, session)


def _total(sizes: Counter[int]) -> int:
    return sum(size * count for size, count in sizes.items())


def _median(sizes: Counter[int]) -> float | None:
    """The median of a counted sample; the mean of the two middle ones of an even number."""
    total = sum(sizes.values())
    if not total:
        return None
    ordered = sorted(sizes)
    ends = np.cumsum([sizes[size] for size in ordered])
    low, high = np.searchsorted(ends, [(total - 1) // 2, total // 2], side="right").tolist()
    return float(ordered[low] + ordered[high]) / 2
