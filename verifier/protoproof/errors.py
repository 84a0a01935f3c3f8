"""One error tree: every failure a user can meet is a subclass of :class:`ProtoProofError`.

A message has three parts, in one line: what is wrong, where (file, field, node), what to do.
Each class belongs to one stage and carries the documented exit code of that stage's failures.
"""

from __future__ import annotations

from typing import ClassVar


class ProtoProofError(Exception):
    """Root of the tree. ``exit_code`` is what the command line returns (2: bad usage or input)."""

    exit_code: ClassVar[int] = 2


class ModelError(ProtoProofError):
    """The ONNX file cannot be read safely, or holds something outside the supported language."""


class UnsupportedOperatorError(ModelError):
    """An operator without a row in the operator table, or used outside the row's preconditions."""


class DescriptionError(ModelError):
    """What is said about a network is malformed, or contradicts the graph."""


class InputError(ProtoProofError):
    """An input image, signal or data set has the wrong shape, type, range or labels."""


class OutputError(ProtoProofError):
    """A result cannot be written where the user asked for it."""


class UsageError(ProtoProofError):
    """A combination of options that makes no sense."""


class TrainingError(ProtoProofError):
    """Training or export cannot go on (for example: torch and ONNX Runtime disagree)."""


class CertificateError(ProtoProofError):
    """A certificate file is not well-formed. (A well-formed one that is wrong is *rejected*.)"""


class MissingDependencyError(ProtoProofError):
    """An optional package is not installed; the message holds the one command that installs it."""


class FragileError(ProtoProofError):
    """Runtime and exact arithmetic disagree about the input, so nothing can be decided."""

    exit_code: ClassVar[int] = 3


class BoundsError(ProtoProofError):
    """An engine cannot bound the encoder over the region, so nothing can be decided there."""

    exit_code: ClassVar[int] = 3


class InternalError(ProtoProofError):
    """A law of the program itself was broken: a bug, never the user's fault."""

    exit_code: ClassVar[int] = 4
