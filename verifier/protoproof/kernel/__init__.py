"""The trusted part: proves a certificate again from the model's bytes.

It imports the proof format, the error tree, onnx, numpy and python-flint: no prover, no solver, no
torch. Its formulas are written again on purpose, and tested against the prover's.
"""

from __future__ import annotations

from protoproof.kernel.check import CheckReport, Obligation, check, read_file
from protoproof.kernel.model.file import ModelFile

__all__ = ["CheckReport", "ModelFile", "Obligation", "check", "read_file"]
