"""What an obligation is: a function of what is asked and of what earlier ones established.

It yields its complaints, and returns what it establishes; that counts only if there is no
complaint. An exception counts as a complaint, so nothing is ever accepted because an examination
broke off. Obligations that need others are not examined unless those are met, and see nothing but
what those established.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TypeVar

from protoproof.kernel.claims import (
    Alike,
    Contrast,
    Necessary,
    NecessaryTile,
    Robust,
    Sufficient,
    Superfluous,
)
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.margins import Margin
from protoproof.kernel.latent.reached import Latents
from protoproof.kernel.model.file import ModelFile

_Theorem = TypeVar("_Theorem")
Examination = Generator[str, None, _Theorem]


class IncompleteError(Exception):
    """The evidence does not prove the claim, and does not contradict it either.

    ``found``: what was established all the same.
    """

    def __init__(self, text: str, found: object = None) -> None:
        super().__init__(text)
        self.found = found


@dataclass(frozen=True)
class Question:
    """What a check is asked: one certificate, one model."""

    certificate: bytes
    model: ModelFile
    input_sha256: str | None


class Established:
    """What obligations established, by its type."""

    def __init__(self, found: Iterable[object]) -> None:
        self._found = tuple(found)

    def get(self, kind: type[_Theorem]) -> _Theorem | None:
        """The theorem of this type, if there is one."""
        return next((found for found in self._found if isinstance(found, kind)), None)

    def __getitem__(self, kind: type[_Theorem]) -> _Theorem:
        found = self.get(kind)
        if found is None:
            raise LookupError(f"{kind.__name__} is not established")
        return found


@dataclass(frozen=True)
class Rule:
    """An obligation: its number and name, those it needs, and its examination."""

    number: int
    name: str
    needs: tuple[int, ...]
    examine: Callable[[Question, Established], Examination[object]]


@dataclass(frozen=True)
class Domains:
    """The latents that are spoken about.

    Attributes:
        stated: all of them, for sufficiency.
        refuting: those among which necessity, size and contrasts are claimed. Under a region of
            inputs these are the ones that interval propagation finds, not the larger box that is
            stated: any larger one would do for sufficiency, so a latent outside shows nothing.
            None where a certificate over a region has no such claim.
        parts: per part of a region in parts, what its latents meet (ends [L, D], linear bounds);
            None where it holds no input.
    """

    stated: LatentDomain
    refuting: LatentDomain | None
    parts: tuple[Latents | None, ...] = ()

    def among(self) -> LatentDomain:
        """The latents that can refute.

        Raises:
            LookupError: they were not looked for.
        """
        if self.refuting is None:
            raise LookupError("the latents that can refute are not established")
        return self.refuting


@dataclass(frozen=True)
class Margins:
    """Proved lower bounds of the margins, and what follows where all are positive."""

    margins: tuple[Margin, ...]
    claims: tuple[Sufficient | Robust | Alike, ...] = ()


@dataclass(frozen=True)
class Readings:
    """Other readings of a tree that predict the same at the recorded latent."""

    alike: tuple[Alike, ...] = ()


@dataclass(frozen=True)
class Witnessed:
    """The facts that a witness shows to be necessary, and the tiles of the input; the facts that
    the others do without."""

    necessary: tuple[Necessary, ...]
    tiles: tuple[NecessaryTile, ...] = ()
    superfluous: tuple[Superfluous, ...] = ()


@dataclass(frozen=True)
class Contrasted:
    """The contrasts."""

    contrasts: tuple[Contrast, ...] = ()
