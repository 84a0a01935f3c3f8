"""Rules about an earlier campaign where there is none: nothing was compared, and that is said."""

from __future__ import annotations

from collections.abc import Iterator

from protoproof.gate.outcome import Check, Outcome
from protoproof.gate.policy import BaselineRules

WORDS = "first release: not compared"


def first_release(rules: BaselineRules) -> Iterator[Check]:
    """A check for every rule that is asked for; whether it may pass is the policy's business."""
    status: Outcome = "passed" if rules.first_release == "allowed" else "undecided"
    for name in ("lost_proofs", "drift", "class_loss"):
        if (rule := getattr(rules, name)) is not None:
            place = ("rules", "baseline", name, "at_most")
            yield Check(name, place, status, WORDS, f"at most {rule.at_most:g}")
