"""The answer for one region, and the files that it leaves behind."""

from __future__ import annotations

import io
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import Envelope
from protoproof.errors import InputError, OutputError
from protoproof.explanation.evidence import Question, another_question, kept_beside, short
from protoproof.files import (
    make_directory,
    read_regular,
    require_apart,
    require_writable,
    write_together,
)
from protoproof.kernel import CheckReport
from protoproof.network import Observation
from protoproof.notebook import count, line, table
from protoproof.region.bounds.attack import Counterexample
from protoproof.region.bounds.margins import TopK
from protoproof.verdict import Verdict

if TYPE_CHECKING:
    from protoproof.certification.tiles import KeptTiles

SCHEMA = "protoproof.region/1"
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Stage:
    """One thing that was tried: what came of it, in a few words, and the seconds it took."""

    name: str
    outcome: str
    seconds: float


@dataclass
class StageLog:
    """The stages so far."""

    stages: list[Stage] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[str], None]]:
        """Time what happens inside; call the yielded function with the outcome."""
        begun, outcome = time.perf_counter(), ["failed"]
        try:
            yield lambda text: outcome.__setitem__(0, text)
        finally:
            self.stages.append(Stage(name, outcome[0], time.perf_counter() - begun))


@dataclass(frozen=True)
class Sandwich:
    """The largest radius that was proved and the smallest that was refuted; None for none."""

    kind: str
    proved: Fraction | None
    refuted: Fraction | None


@dataclass(eq=False)
class Closest:
    """Of the inputs that the search ran, the one with the smallest margin of the class ``wanted``.

    ``margin`` is that of ONNX Runtime, over the class ``rival``; ``tried`` counts the inputs.
    """

    wanted: int
    margin: float = math.inf
    rival: int = -1
    x: NDArray[np.float32] | None = None
    tried: int = 0

    def __call__(self, seen: Observation) -> None:
        """Look at one more input."""
        others = seen.logits.astype(np.float64)
        own, others[self.wanted] = others[self.wanted], -math.inf
        rival, self.tried = int(others.argmax()), self.tried + 1
        if own - others[rival] < self.margin:
            self.margin, self.rival, self.x = float(own - others[rival]), rival, seen.x


@dataclass(frozen=True, eq=False)
class Certified:
    """The answer for one region.

    ``method`` names the bounds that proved it. ``certificates`` (one, or one per image of a finite
    region) met every obligation of the checker, with ``checks`` in the same order; where they rest
    on somebody's word (``conditions``), the verdict is UNKNOWN. ``top`` says which
    prototypes can be or must be among the most activated over the region. ``closest`` is the best
    that the search for a counterexample came to, where there was one; ``question`` is what was
    asked, as plain data; ``tiles`` are those that have to stay, where that was asked.
    """

    verdict: Verdict
    region: str
    observation: Observation
    predicted_name: str
    method: str
    stages: tuple[Stage, ...]
    certificates: tuple[Envelope, ...] = ()
    checks: tuple[CheckReport, ...] = ()
    counterexample: Counterexample | None = None
    counterexample_name: str = ""
    top: TopK | None = None
    sandwich: Sandwich | None = None
    seconds: float = 0.0
    closest: Closest | None = None
    question: Question = field(default_factory=dict)
    tiles: KeptTiles | None = None

    @property
    def predicted(self) -> int:
        """Class of the centre."""
        return self.observation.predicted

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the certificates rest on, each once."""
        return tuple(dict.fromkeys(a for report in self.checks for a in report.assumptions))

    @property
    def conditions(self) -> tuple[str, ...]:
        """What the certificates rest on by somebody's word, each once."""
        return tuple(dict.fromkeys(c for report in self.checks for c in report.conditions))

    def __repr__(self) -> str:
        proofs = count(len(self.certificates), "certificate") if self.certificates else ""
        return line(
            "Certified",
            self.region,
            f"predicted {self.predicted_name!r}",
            str(self.verdict),
            proofs,
        )

    def _repr_html_(self) -> str:
        """A short table for notebooks."""
        rows = {
            "region": self.region,
            "predicted": f"{self.predicted_name} at the centre",
            "verdict": str(self.verdict),
            "method": self.method or "none",
            "certificates": str(len(self.certificates)),
        }
        if self.counterexample is not None:
            rows["instead"] = self.counterexample_name
        if self.sandwich is not None:
            proved, refuted = self.sandwich.proved, self.sandwich.refuted
            rows["radius"] = f"proved {proved or 'none'}, refuted {refuted or 'none'}"
        return table("ProtoProof region", **rows)

    def to_json(self, paths: tuple[str, ...] = (), image: str | None = None) -> dict[str, Any]:
        """The document of ``certify --json``; ``image``: the counterexample's file."""
        found, band = self.counterexample, self.sandwich
        return {
            "verdict": self.verdict.status.value,
            "reason": self.verdict.reason,
            "region": self.region,
            "predicted": self.predicted,
            "predicted_name": self.predicted_name,
            "method": self.method,
            "stages": [
                {"name": s.name, "outcome": s.outcome, "time_s": round(s.seconds, 4)}
                for s in self.stages
            ],
            "counterexample": None
            if found is None
            else {
                "predicted": found.observation.predicted,
                "predicted_name": self.counterexample_name,
                "image": image,
            },
            "radius": None
            if band is None
            else {
                "kind": band.kind,
                "proved": None if band.proved is None else float(band.proved),
                "refuted": None if band.refuted is None else float(band.refuted),
            },
            "top_k": None
            if self.top is None
            else {
                "k": self.top.k,
                "observed": list(self.top.observed),
                "certain": list(self.top.certain),
                "possible": list(self.top.possible),
                "may_join": list(self.top.may_join),
                "may_leave": list(self.top.may_leave),
            },
            "closest": None
            if self.closest is None or not self.closest.tried
            else {
                "margin": self.closest.margin,
                "rival": self.closest.rival,
                "tried": self.closest.tried,
            },
            "tiles": None if self.tiles is None else self.tiles.to_json(),
            "assumptions": list(self.assumptions),
            "conditions": list(self.conditions),
            "level": "R",
            "time_s": round(self.seconds, 4),
            "certificates": list(paths),
        }

    def save(
        self, out: Path, protected: Sequence[Path] = (), *, overwrite: bool = False
    ) -> tuple[Path, ...]:
        """Write what was proved, or the input that refutes it.

        Beside it, or alone where neither was found, ``NAME.region.json`` says which question it
        answers. An earlier answer to the same question stays: a search that ends sooner does not
        unprove it, and another proof gets a name beside it.

        Args:
            out: name of the certificate; several are numbered. A counterexample goes beside it,
                with the ending ``.counterexample.npy``.
            protected: files that must not be written over.
            overwrite: also over the answer to another question.

        Raises:
            OutputError: a file cannot be written, or answers another question.
        """
        contents: dict[Path, bytes] = {}
        for index, envelope in enumerate(self.certificates):
            contents[_numbered(out, index, len(self.certificates))] = canonical_bytes(envelope)
        if self.counterexample is not None:
            buffer = io.BytesIO()
            np.save(buffer, self.counterexample.x, allow_pickle=False)
            contents[_counterexample(out)] = buffer.getvalue()
        if not contents and is_answered(out):
            return ()
        names = [path.name for path in contents]
        about = {"schema": SCHEMA, "question": self.question, "region": self.region}
        about |= {"verdict": self.verdict.status.value, "files": names}
        record = {_record(out): (json.dumps(about, indent=2) + "\n").encode("utf-8")}
        require_apart(f"--out {out}", contents | record, protected)
        other = None if overwrite else _taken(out, self.question)
        if other is not None:
            raise another_question(other)
        make_directory(out.parent)
        write_together(contents | record | self.earlier(out))
        return tuple(contents)

    def earlier(self, out: Path) -> dict[Path, bytes]:
        """Where other proofs of the same question go that :meth:`save` would write over."""
        count = len(self.certificates)
        return kept_beside(
            {_numbered(out, index, count): e.core for index, e in enumerate(self.certificates)}
        )


def free_name(out: Path, question: Question, *, chosen: bool) -> Path:
    """A name that no answer to another question has: found out before any work.

    Args:
        out: the name that is wanted.
        question: what is asked, see :mod:`protoproof.explanation.evidence`.
        chosen: whether somebody chose it; then it is refused where it is taken, else digits are
            added.

    Raises:
        OutputError: likewise.
    """
    other = _taken(out, question)
    if other is None:
        return out
    free = out.with_name(f"{_stem(out)}--{short(question)}.cert.json")
    if chosen or (other := _taken(free, question)) is not None:
        raise another_question(other)
    return free


def is_answered(out: Path) -> bool:
    """Whether an answer stands under a name, of whatever question: a proof, or a refutation."""
    record = _read_record(out)
    return os.path.lexists(_record(out)) and (record is None or record.get("verdict") != "unknown")


def earlier_answer(out: Path) -> Path | None:
    """A file of the proof or the refutation that stands under a name; None where there is none."""
    names = (out, _numbered(out, 0, 2), _counterexample(out))
    return next((path for path in names if is_answered(out) and os.path.lexists(path)), None)


def _read_record(out: Path) -> dict[str, Any] | None:
    """What stands beside an answer; None where nothing does that can be understood."""
    try:
        content = read_regular(_record(out), _MOST_BYTES)
        record = None if content is None else json.loads(content)
    except (InputError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _taken(out: Path, question: Question) -> Path | None:
    """A file of the answer to another question, or to an unknown one; None where there is none."""
    page = out.with_name(_stem(out) + ".html")
    names = (out, _numbered(out, 0, 2), _counterexample(out), _record(out), page)
    there = [path for path in names if os.path.lexists(path)]
    if not there:
        return None
    record = _read_record(out)
    same = record is not None and record.get("question") == question
    return None if same else there[0]


def check_out(out: Path) -> None:
    """Find out before any work whether results can be written.

    Raises:
        OutputError: the name does not end in .json, or its directory cannot be written to.
    """
    if not out.name.endswith(".json") or not _stem(out):
        raise OutputError(f"--out {out}: a certificate's name must end in .json")
    require_writable(out.parent)


def _stem(out: Path) -> str:
    return out.name.removesuffix(".json").removesuffix(".cert")


def _counterexample(out: Path) -> Path:
    return out.with_name(_stem(out) + ".counterexample.npy")


def _record(out: Path) -> Path:
    return out.with_name(_stem(out) + ".region.json")


def _numbered(out: Path, index: int, count: int) -> Path:
    return out if count == 1 else out.with_name(f"{_stem(out)}-{index:03}.cert.json")
