"""The trusted part: proves a certificate again from the model's bytes.

It imports the proof format, the error tree, numpy and python-flint: no prover, no solver, no torch,
and no ONNX library (it reads the files itself). Its formulas are written again on purpose, and
tested against the prover's.
"""

from __future__ import annotations

from protoproof.kernel.check import check, read_file
from protoproof.kernel.model.file import ModelFile
from protoproof.kernel.report import CheckReport, Obligation

__all__ = ["CheckReport", "ModelFile", "Obligation", "check", "read_file"]
