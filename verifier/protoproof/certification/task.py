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

Watch = Callable[[Progress], None]


@dataclass(frozen=True, eq=False)
class StageProof:
    """What one stage proved: its certificates and what the kernel says of them."""

    method: str
    certificates: tuple[Envelope, ...]
    checks: tuple[CheckReport, ...]


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
