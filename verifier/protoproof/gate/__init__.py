"""The release gate: a policy and a campaign in, an answer with reasons out.

Two campaigns are compared without a prover; what runs one is imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from protoproof.gate.compare import Comparison, compare, compare_directories
from protoproof.gate.decided import evaluate
from protoproof.gate.outcome import RULES, Check, Finding, GateResult
from protoproof.gate.policy import Policy
from protoproof.gate.policy_file import PolicyFile, read_policy

if TYPE_CHECKING:
    from protoproof.gate.run import run_gate as run_gate

__all__ = [
    "RULES",
    "Check",
    "Comparison",
    "Finding",
    "GateResult",
    "Policy",
    "PolicyFile",
    "compare",
    "compare_directories",
    "evaluate",
    "read_policy",
    "run_gate",
]


def __getattr__(name: str) -> Any:
    if name != "run_gate":
        raise AttributeError(f"module 'protoproof.gate' has no attribute {name!r}")
    from protoproof.extras import require

    require("explain", "the gate")
    from protoproof.gate import run

    return run.run_gate
