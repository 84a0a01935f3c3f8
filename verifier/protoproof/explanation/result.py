"""What ``explain`` answers: the prediction, the facts that force it, and the certificate."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import Envelope, IntervalEvidence
from protoproof.errors import UsageError
from protoproof.explanation.evidence import another_question, answered_by, kept_beside, taken
from protoproof.files import write_together
from protoproof.kernel import CheckReport
from protoproof.kernel.claims import Alike
from protoproof.length import numbers, size_words
from protoproof.network import Network, Observation
from protoproof.network.head.decision import Tree
from protoproof.notebook import line, table
from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.search.names import Vocabulary
from protoproof.verdict import Verdict

SCHEMA = "protoproof.explanation/2"
OUT_OF_TIME = "timeout"  # how a reason begins where a search had no more time


def identity(network: Network) -> dict[str, Any]:
    """Which network was explained, and as what its head is read."""
    head, found = network.head, network.recognised
    return {
        "model": {
            "name": network.about.name,
            "sha256": network.sha256,
            "latent": list(found.latents),
            "output": found.output,
            "geometry": head.geometry,
            "pooling": sorted(set(head.pooling_of.kinds)),
            "decision": head.decision.kind,
            "routing": head.decision.routing if isinstance(head.decision, Tree) else None,
        }
    }


@dataclass(frozen=True)
class Attempt:
    """What one vocabulary gave: the number of proved facts, or why there are none.

    ``certificate`` is that of the explanation in this vocabulary, accepted by the checker, or None.
    ``found``: facts of a set that the search found and nobody proved, because another vocabulary
    needs no more. ``aside``: nothing failed, another vocabulary made the rest needless.
    ``numbers``: how many a person must read in the set of ``facts``, None where there is none.
    """

    vocabulary: Vocabulary
    verdict: Verdict
    size: int | None
    seconds: float
    certificate: Envelope | None = None
    found: int | None = None
    aside: bool = False
    numbers: int | None = None

    @property
    def facts(self) -> int | None:
        """Facts of what is proved, or else of what was found."""
        return self.found if self.size is None else self.size

    @property
    def words(self) -> str:
        """The verdict for people; of what was needless, why."""
        return self.verdict.reason if self.aside else str(self.verdict)


@dataclass(frozen=True)
class Explanation:
    """A prediction, the facts that force it, and the certificate that proves it.

    ``verdict`` is PROVED only if the independent checker accepted ``certificate``. Where the proof
    is right but rests on somebody's word (a box that nobody derived here), there is a certificate,
    and the verdict is UNKNOWN: ``conditions`` says whose word it is.
    ``attempts`` holds one line per vocabulary that was tried; ``facts`` are the chosen one's, and
    ``oracle`` is the one that found them. ``gap_reason`` says why a smallest one that was asked for
    is not proved to be one, ``level_reason`` why the proof is not at level F. ``where`` is the set
    of latents that was quantified over, ``asked`` the word by which it was asked for; ``identity``
    names the network and what its head is read as. ``unfinished`` says what there was no time for;
    what is proved is proved all the same. ``for_reading``: numbers were made least, and then facts.
    """

    verdict: Verdict
    observation: Observation
    predicted_name: str
    margin: float
    domain: str
    oracle: str
    attempts: tuple[Attempt, ...]
    vocabulary: Vocabulary | None
    facts: FactSet
    certificate: Envelope | None
    check: CheckReport | None
    seconds: float
    facts_json: tuple[dict[str, Any], ...] = ()
    gap_reason: str = ""
    level_reason: str = ""
    where: Domain | None = None
    asked: str = ""
    identity: dict[str, Any] = field(default_factory=dict)
    unfinished: tuple[str, ...] = ()
    for_reading: bool = False

    @property
    def domain_name(self) -> str:
        """The domain as it was asked for, such as ``free`` or ``linf:0.02``."""
        return self.asked or self.domain

    @property
    def predicted(self) -> int:
        """Index of the predicted class."""
        return self.observation.predicted

    @property
    def about_labels(self) -> bool:
        """Whether labels are predicted, each by itself, and no class."""
        return bool(self.identity.get("model", {}).get("decision") == "labels")

    @property
    def size(self) -> int:
        """Number of facts."""
        return len(self.facts)

    @property
    def numbers(self) -> int:
        """The numbers that a person must read; see :mod:`protoproof.length`."""
        return numbers(self.facts, len(self.observation.latent))

    @property
    def lower_bound(self) -> int | None:
        """No explanation in this vocabulary has fewer facts: proved by the checker, or None."""
        return None if self.check is None else self.check.lower_bound

    @property
    def conditions(self) -> tuple[str, ...]:
        """What the certificate's proof rests on by somebody's word; with any, nothing is proved."""
        return () if self.check is None else self.check.conditions

    @property
    def level(self) -> str:
        """``F`` where the proof holds for every float32 execution of the head, else ``R``."""
        return "R" if self.certificate is None else self.certificate.core.level

    @property
    def evidence(self) -> IntervalEvidence | None:
        """What the certificate holds besides the facts, or None without a certificate."""
        return None if self.certificate is None else self.certificate.core.evidence

    @cached_property
    def necessary(self) -> frozenset[int]:
        """Indices of the facts whose witness the checker accepted."""
        return frozenset(self.check.necessary if self.check is not None else ())

    @cached_property
    def superfluous(self) -> frozenset[int]:
        """Indices of the facts that the checker found the others to do without, one at a time."""
        return frozenset(self.check.superfluous if self.check is not None else ())

    @property
    def undecided(self) -> int:
        """How many facts are neither necessary nor superfluous, as far as is known."""
        return self.size - len(self.necessary) - len(self.superfluous)

    def to_json(self, certificate_path: str | None = None) -> dict[str, Any]:
        """The document of ``explain --json``; ``lower_bound`` None: none was proved."""
        return {
            "schema": SCHEMA,
            **self.identity,
            "verdict": self.verdict.status.value,
            "reason": self.verdict.reason,
            "predicted": None if self.about_labels else self.predicted,
            "predicted_name": self.predicted_name,
            "labels": list(self.observation.labels),
            "margin": self.margin,
            "vocabulary": self.vocabulary,
            "oracle": self.oracle,
            "domain": self.domain,
            "size": self.size,
            "numbers": self.numbers,
            "lower_bound": self.lower_bound,
            "gap_reason": self.gap_reason,
            "facts": list(self.facts_json),
            "necessity": {
                "proved": len(self.necessary),
                "superfluous": len(self.superfluous),
                "open": self.undecided,
            },
            "sizes": {
                attempt.vocabulary: {
                    "verdict": attempt.verdict.status.value,
                    "reason": attempt.verdict.reason,
                    "size": attempt.size,
                    "found": attempt.facts,
                    "numbers": attempt.numbers,
                    "time_s": round(attempt.seconds, 4),
                }
                for attempt in self.attempts
            },
            "alike": {
                claim.routing: "everywhere" if claim.everywhere else "here"
                for claim in (() if self.check is None else self.check.claims)
                if isinstance(claim, Alike)
            },
            "level": self.level,
            "level_reason": self.level_reason,
            "unfinished": list(self.unfinished),
            "assumptions": list(self.check.assumptions) if self.check is not None else [],
            "conditions": list(self.conditions),
            "time_s": round(self.seconds, 4),
            "certificate": certificate_path,
        }

    def __repr__(self) -> str:
        what = size_words(self.size, self.numbers) if self.certificate is not None else ""
        level = "" if self.certificate is None else f"level {self.level}"
        seen = f"predicted {self.predicted_name!r}"
        return line("Explanation", seen, str(self.verdict), what, self.vocabulary or "", level)

    def _repr_html_(self) -> str:
        """A short table for notebooks."""
        rows = {
            "predicted": self.predicted_name,
            "verdict": str(self.verdict),
            "vocabulary": self.vocabulary or "none",
            "facts": f"{self.size} ({len(self.necessary)} with a witness)",
            "numbers to read": str(self.numbers),
            "domain": self.domain_name,
            "margin": f"{self.margin:.4g} observed at least",
        }
        if self.certificate is not None:
            rows["level"] = self.level
        if self.unfinished:
            rows["time is up"] = "; ".join(self.unfinished)
        return table("ProtoProof explanation", **rows)

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the certificate. Another proof of the same question keeps a name beside it.

        Args:
            path: the file.
            overwrite: also over the answer to another question.

        Raises:
            UsageError: there is none, because nothing was proved.
            OutputError: the file cannot be written, or answers another question.
        """
        if self.certificate is None:
            raise UsageError(f"nothing was proved ({self.verdict}), so there is no certificate")
        other = taken([Path(path)], answered_by(self.certificate.core))
        if other is not None and not overwrite:
            raise another_question(other)
        earlier = {} if overwrite else kept_beside({Path(path): self.certificate.core})
        write_together(earlier | {Path(path): canonical_bytes(self.certificate)})
