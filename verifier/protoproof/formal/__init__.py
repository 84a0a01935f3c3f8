"""The machine-checked kernel: what it is told, and how it is asked.

``verifier/formal`` holds a checker that is proved in Coq. It is given the *statement* of a
certificate, which the checker in Python computes from the model file, and a *proof*: the steps of
the certificate's evidence, spelled out. The proof is not trusted; a wrong one is not accepted.
"""

from __future__ import annotations

from protoproof.formal.program import Answer, closed, find_program, verify
from protoproof.formal.script import NotCoveredError

__all__ = ["Answer", "NotCoveredError", "closed", "find_program", "verify"]
