"""Proofs as texts: tokens, and references to premises that are numbered when all of them are known.

A premise's number counts from the newest one. So a reference stands for the premise itself until
the text is written; ``depth`` says how many premises of a case had been added by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from protoproof.errors import ProtoProofError


class NotCoveredError(ProtoProofError):
    """Something is claimed, or proved in a way, that the machine-checked kernel does not know."""

    def __init__(self, what: str) -> None:
        super().__init__(f"not covered by the kernel: {what}")


class Ref(NamedTuple):
    """A premise: of the statement, derived for all, or added in a case; by number."""

    kind: Literal["stated", "derived", "case"]
    number: int


class Use(NamedTuple):
    """A reference where it is used: ``depth`` premises of a case came before."""

    ref: Ref
    depth: int


Token = str | int | Use


@dataclass
class Script:
    """What all rivals share: derived premises, one step after the other."""

    steps: list[list[Token]] = field(default_factory=list)

    def add(self, *tokens: Token | Ref) -> Ref:
        """One more step; its references are numbered at its place."""
        self.steps.append(list(used(tokens, 0)))
        return Ref("derived", len(self.steps) - 1)

    def write_steps(self) -> list[str]:
        """The steps as texts."""
        return [_written(tokens, index) for index, tokens in enumerate(self.steps)]

    def write(self, tokens: Sequence[Token]) -> str:
        """Tokens that come after all steps."""
        return _written(tokens, len(self.steps))


def used(tokens: Iterable[Token | Ref], depth: int) -> Iterable[Token]:
    """References, used at a depth."""
    return (Use(token, depth) if isinstance(token, Ref) else token for token in tokens)


def optional(ref: Ref | None) -> Ref | str:
    """A reference, or none."""
    return "-" if ref is None else ref


def _written(tokens: Sequence[Token], derived: int) -> str:
    return " ".join(
        str(_number(*token, derived) if isinstance(token, Use) else token) for token in tokens
    )


def _number(ref: Ref, depth: int, derived: int) -> int:
    if ref.kind == "stated":
        return ref.number + derived + depth
    if ref.kind == "derived":
        return derived + depth - 1 - ref.number
    return depth - 1 - ref.number
