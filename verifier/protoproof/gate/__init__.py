"""The release gate: a policy and a campaign in, an answer with reasons out."""

from __future__ import annotations

from protoproof.gate.compare import Comparison, compare, compare_directories
from protoproof.gate.outcome import RULES, Check, Finding, GateResult
from protoproof.gate.policy import Policy
from protoproof.gate.policy_file import PolicyFile, read_policy
from protoproof.gate.run import evaluate, run_gate

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
