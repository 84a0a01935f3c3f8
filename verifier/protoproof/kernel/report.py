"""What a check found."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from protoproof.certificate.schema import Instance
from protoproof.kernel.claims import AtLeast, Claim, Superfluous, words

Status = Literal["accepted", "conditional", "rejected", "incomplete"]


@dataclass(frozen=True)
class Obligation:
    """Outcome of one obligation; ``passed`` None: undecided, or not examined."""

    number: int
    name: str
    passed: bool | None
    detail: str


@dataclass(frozen=True)
class CheckReport:
    """What the checker found.

    Attributes:
        status: ``accepted``; ``conditional`` (every obligation is met, but something rests on
            somebody's word: see ``conditions``); ``rejected`` (something is false or malformed);
            or ``incomplete`` (nothing is false, but the evidence does not prove every margin, or
            the check would cost more than it may: see ``budget``).
        obligations: all thirteen, in order.
        margins: (rival, a number below its margin over all latents that meet the facts).
        necessary: indices of the facts whose witness was accepted.
        assumptions: what an accepted or conditional certificate still rests on.
        claims: what is proved (of a conditional one: what is, if the conditions hold); see
            ``claims``. Under a region of inputs, necessity, size and contrasts are about the
            latents that the checker's own interval propagation finds.
        subject: what the certificate is about, (word, value) in reading order.
        conditions: those of the assumptions that are somebody's word, and whose. With any of them
            nothing is proved yet.
        instance: what the certificate records of the input, for whoever runs it again.
    """

    status: Status
    obligations: tuple[Obligation, ...]
    margins: tuple[tuple[int, float], ...]
    necessary: tuple[int, ...]
    assumptions: tuple[str, ...]
    claims: tuple[Claim, ...]
    subject: tuple[tuple[str, str], ...] = ()
    conditions: tuple[str, ...] = ()
    instance: Instance | None = field(default=None, repr=False)

    @property
    def accepted(self) -> bool:
        """Whether every obligation is met, and nothing rests on anybody's word."""
        return self.status == "accepted"

    @property
    def met(self) -> bool:
        """Whether every obligation is met: the proof holds where the ``conditions`` do."""
        return self.status in ("accepted", "conditional")

    @property
    def exit_code(self) -> int:
        """0 accepted, 1 rejected, 3 conditional or incomplete."""
        return {"accepted": 0, "rejected": 1, "conditional": 3, "incomplete": 3}[self.status]

    @property
    def lower_bound(self) -> int | None:
        """The proved least size of an explanation in this vocabulary, or None."""
        return next((claim.count for claim in self.claims if isinstance(claim, AtLeast)), None)

    @property
    def superfluous(self) -> tuple[int, ...]:
        """Indices of the facts that the others are proved to do without, each by itself."""
        return tuple(claim.fact for claim in self.claims if isinstance(claim, Superfluous))

    @property
    def failures(self) -> tuple[Obligation, ...]:
        """The obligations that are not met."""
        return tuple(o for o in self.obligations if o.passed is not True)

    def to_json(self) -> dict[str, object]:
        """The report as plain data; a margin of minus infinity becomes None."""
        return {
            "accepted": self.accepted,
            "status": self.status,
            "obligations": [vars(obligation).copy() for obligation in self.obligations],
            "margins": [
                {"rival": rival, "lower": lower if math.isfinite(lower) else None}
                for rival, lower in self.margins
            ],
            "necessary": list(self.necessary),
            "assumptions": list(self.assumptions),
            "claims": list(words(self.claims)),
            "subject": dict(self.subject),
            "conditions": list(self.conditions),
        }
