"""What a worker does: decide whether one instance is predicted alike over one region."""

from __future__ import annotations

import hashlib
import io
import math

import numpy as np

from protoproof.campaign.executor import Outcome, Task
from protoproof.campaign.record import STATE_OF, Record, State
from protoproof.campaign.regions import RegionRecord, region_at
from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import About
from protoproof.certification.certify import Certifier
from protoproof.verdict import Status


def certified(
    certifier: Certifier,
    task: Task,
    region: str,
    seconds: float | None,
    about: About | None = None,
) -> Outcome:
    """Certify from nothing.

    Args:
        certifier: of the network.
        task: the instance.
        region: around it, as users write it.
        seconds: after which no further method starts.
        about: what to record beside the certificate's core.

    Raises:
        UsageError: a region that a campaign cannot use.
        FragileError: runtime and head disagree about the instance.
    """
    asked = region_at(region, task.x, certifier.network)
    limit = math.inf if seconds is None else seconds
    found = certifier.certify(asked, timeout=limit, about=about)
    late = found.verdict.status is Status.UNKNOWN and found.verdict.reason == "timeout"
    state: State = "timeout" if late else STATE_OF[found.verdict.status]
    reason = f"more than {seconds:g} s" if late else found.verdict.reason
    certificate = counterexample = None
    if found.verdict.status is Status.PROVED:
        (envelope,) = found.certificates  # such regions need only one
        certificate = canonical_bytes(envelope)
    if found.counterexample is not None:
        buffer = io.BytesIO()
        np.save(buffer, found.counterexample.x, allow_pickle=False)
        counterexample = buffer.getvalue()
    record = RegionRecord(
        task.key,
        state,
        reason,
        found.predicted,
        found.method or None,
        _digest(certificate),
        _digest(counterexample),
        None if found.counterexample is None else found.counterexample.observation.predicted,
        seconds if late else None,
    )
    plain = Record(state, reason, found.predicted, limit=record.limit)
    return Outcome(plain, certificate, region=record, counterexample=counterexample)


def _digest(content: bytes | None) -> str | None:
    return None if content is None else hashlib.sha256(content).hexdigest()
