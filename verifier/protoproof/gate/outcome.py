"""What a gate finds: one outcome per check, each with the place in the policy that asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from protoproof.campaign import Row
from protoproof.campaign.record import shown_instance
from protoproof.gate.policy_file import Place, PolicyFile
from protoproof.notebook import line, table

Outcome = Literal["passed", "failed", "undecided"]

# Every rule: what it asks, in one sentence. Reports describe rules with these words.
RULES = {
    "accuracy": "Predictions are right often enough, over all and in every class.",
    "certified_accuracy": "Predictions are right, and provably so over a region around the input.",
    "explanation_size": "Proved explanations are short enough to be read.",
    "referral": "Predictions with long explanations are sent to a person, not too many of them.",
    "witness_share": "Enough facts are proved to be necessary.",
    "vacuous": "Few explanations need nearly every fact there is.",
    "ambiguous": "Few explanations name what another one names for a different class.",
    "contradictory_prototypes": "No prototype speaks against the class that it belongs to.",
    "unused_prototypes": "Prototypes match some instance best, or explanations name them.",
    "duplicate_prototypes": "Prototypes differ from each other.",
    "certificates": "The independent checker accepts every certificate.",
    "level": "Every explanation is proved for any float32 execution of the head.",
    "kernel": "The machine-checked kernel proves the certificate of every explanation.",
    "undecided": "Explanations are proved; what is not proved is within the allowed share.",
    "lost_proofs": "What was proved in the baseline is still proved.",
    "drift": "Explanations name nearly the same prototypes as in the baseline.",
    "class_loss": "No class is predicted worse than in the baseline.",
}


@dataclass(frozen=True)
class Finding:
    """One thing that a rule complains about.

    ``instance`` is an index into the data, ``file`` the name of its file where it has one;
    ``prototype`` is an index into the head.
    """

    text: str
    instance: int | None = None
    prototype: int | None = None
    file: str = ""

    @property
    def name(self) -> str:
        """What it is about, in short."""
        if self.instance is not None:
            return shown_instance(self.instance, self.file)
        return "the rule" if self.prototype is None else f"prototype {self.prototype}"

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        found = {"text": self.text, "instance": self.instance, "prototype": self.prototype}
        return found | ({"file": self.file} if self.file else {})


@dataclass(frozen=True)
class Check:
    """One comparison of a measured value with the policy's.

    Attributes:
        rule: a key of :data:`RULES`.
        place: of the limit in the policy.
        status: ``undecided`` where what is unknown could decide either way.
        measured: in words.
        limit: in words.
        findings: what the rule complains about, also where few enough of them are allowed; of
            :attr:`refers`, whom it sends to a person.
    """

    rule: str
    place: Place
    status: Outcome
    measured: str
    limit: str
    findings: tuple[Finding, ...] = ()

    @property
    def id(self) -> str:
        """Where the policy asks for it, in short: ``accuracy``, ``accuracy.per_class_at_least``."""
        place = self.place[1:]
        if len(place) > 1 and place[-1] in ("at_least", "at_most", "accepted"):
            place = place[:-1]
        return ".".join(str(part) for part in place)

    @property
    def refers(self) -> bool:
        """Whether its findings are no complaints: a person is to look at them."""
        return self.rule == "referral"

    @property
    def message(self) -> str:
        """One sentence."""
        return f"{self.id}: {self.measured}, the policy asks for {self.limit}"


@dataclass(frozen=True, eq=False)
class GateResult:
    """The gate's answer and everything it rests on.

    ``failed`` if a check failed, else ``undecided`` if one is, else ``passed``. ``healed``: results
    of an earlier run that were not as it left them, and were computed again.
    """

    outcome: Outcome
    policy: PolicyFile
    checks: tuple[Check, ...]
    model: dict[str, Any]
    data: dict[str, Any]
    states: dict[str, int]
    rows: tuple[Row, ...]
    baseline: dict[str, Any] | None = None
    stopped: int | None = None
    healed: int = 0

    def __repr__(self) -> str:
        broken = [f"{check.id} {check.status}" for check in self.failures]
        return line("GateResult", self.outcome, str(self.model["name"]), *broken)

    def _repr_html_(self) -> str:
        """A short table for notebooks."""
        rows = {check.id: f"{check.status}: {check.measured}" for check in self.checks}
        return table(f"ProtoProof gate: {self.outcome}", **rows)

    @property
    def exit_code(self) -> int:
        """0 passed, 1 failed, 3 undecided."""
        return {"passed": 0, "failed": 1, "undecided": 3}[self.outcome]

    @property
    def signals(self) -> tuple[str, str]:
        """How many explanations are proved; and how many predictions are right, whatever the
        policy asks of either: no proof says that."""
        proved = sum(row.record.state == "proved" for row in self.rows)
        right = sum(row.correct is True for row in self.rows)
        return (
            f"{proved} of {len(self.rows)} explanations proved",
            f"{right} of {len(self.rows)} predictions right",
        )

    @property
    def referred(self) -> tuple[Finding, ...]:
        """Whom the policy sends to a person."""
        return tuple(f for check in self.checks if check.refers for f in check.findings)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if check.status != "passed")

    def to_json(self) -> dict[str, Any]:
        """The document of ``gate --json``; equal for equal campaigns and policies."""
        return {
            "schema": "protoproof.gate/1",
            "outcome": self.outcome,
            "exit_code": self.exit_code,
            "policy": {
                "name": self.policy.policy.name,
                "file": self.policy.path.as_posix(),
                "sha256": self.policy.sha256,
            },
            "model": self.model,
            "data": self.data,
            "states": self.states,
            "baseline": self.baseline,
            "referred": [finding.to_json() for finding in self.referred],
            "checks": [
                {
                    "id": check.id,
                    "rule": check.rule,
                    "line": self.policy.line(check.place),
                    "status": check.status,
                    "measured": check.measured,
                    "limit": check.limit,
                    "message": check.message,
                    "findings": [finding.to_json() for finding in check.findings],
                }
                for check in self.checks
            ],
        }


def overall(checks: Sequence[Check]) -> Outcome:
    """The gate's answer from those of its checks."""
    statuses = {check.status for check in checks}
    return (
        "failed" if "failed" in statuses else "undecided" if "undecided" in statuses else "passed"
    )


def clean(text: str) -> str:
    """Text from files made harmless: one line, nothing that controls a terminal or hides."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
