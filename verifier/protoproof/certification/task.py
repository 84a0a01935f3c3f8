"""What the stages of one certification share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from protoproof.certificate.schema import About, Envelope
from protoproof.certification.branch_and_bound import Progress
from protoproof.certification.options import CertifyOptions
from protoproof.certification.result import StageLog
from protoproof.kernel import CheckReport
from protoproof.network import Observation
from protoproof.verdict import CONDITIONAL, Status, Verdict, judged

Watch = Callable[[Progress], None]


@dataclass(frozen=True, eq=False)
class StageProof:
    """Certificates that met every obligation, what made them, and what the kernel says of each."""

    method: str
    certificates: tuple[Envelope, ...]
    checks: tuple[CheckReport, ...]

    @property
    def verdict(self) -> Verdict:
        """PROVED, or UNKNOWN where a certificate rests on somebody's word."""
        return judged([text for report in self.checks for text in report.conditions])

    @property
    def outcome(self) -> str:
        """The stage's outcome in a word."""
        return "proved" if self.verdict.status is Status.PROVED else CONDITIONAL


@dataclass(frozen=True, eq=False)
class Task:
    """What is asked of one region, besides which one."""

    observation: Observation
    options: CertifyOptions
    log: StageLog
    deadline: float
    about: About
    watch: Watch | None

    @property
    def late(self) -> bool:
        """Whether the deadline has passed."""
        return time.perf_counter() > self.deadline
