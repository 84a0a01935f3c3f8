"""The machine-checked kernel: what it is told, and how it is asked.

``verifier/formal`` holds a checker that is proved in Coq. It is given the *statement* of a
certificate, which the checker in Python computes from the model file, and a *proof*: the steps of
the certificate's evidence, spelled out. The proof is not trusted; a wrong one is not accepted. That
the statement is about this model and certificate is read a second time, by a program of its own.
"""

from __future__ import annotations

from protoproof.formal.program import Answer, closed, find_program, prove, verify
from protoproof.formal.reading import Reading, find_reader, second_reading
from protoproof.formal.script import NotCoveredError

__all__ = [
    "Answer",
    "NotCoveredError",
    "Reading",
    "closed",
    "find_program",
    "find_reader",
    "prove",
    "second_reading",
    "verify",
]
