"""The release gate: a policy and a campaign in, an answer with reasons out."""

from __future__ import annotations

from verifier.gate.compare import Comparison, compare, compare_directories
from verifier.gate.outcome import RULES, Check, Finding, GateResult
from verifier.gate.policy import Policy
from verifier.gate.policy_file import PolicyFile, read_policy
from verifier.gate.run import evaluate, run_gate

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
