"""What the page about colliding explanations says: frozen plain data, and what the template needs.

Nothing here is a proof: the page counts what was observed on given inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protoproof.report.page.images import LARGE, SMALL, data_uri
from protoproof.report.page.page import Image


@dataclass(frozen=True)
class PageLevel:
    """One k: different explanations, pairs that share one, colliding pairs, inputs involved."""

    k: int
    explanations: int
    same: int
    colliding: int
    inputs: int

    @property
    def rate(self) -> str:
        """The share of colliding pairs, as text."""
        return f"{self.colliding / self.same:.2%}" if self.same else "-"


@dataclass(frozen=True, eq=False)
class PageInput:
    """One of the two inputs: its index in the data, its picture, its class, its margin."""

    index: int
    picture: Image
    predicted: str
    margin: float


@dataclass(frozen=True, eq=False)
class PagePrototype:
    """A prototype that both explanations name, with the similarity that either input sees."""

    prototype: int
    class_: str | None
    patch: Image | None
    origin: str
    similarity: tuple[float, float]


@dataclass(frozen=True, eq=False)
class AmbiguityPage:
    """Everything on the page; ``example`` holds two inputs, or none where nothing collides.

    ``used`` says in words which inputs of the data were used, ``made`` when they were,
    ``command`` how that was asked.
    """

    model: str
    file: str
    sha256: str
    data: str
    used: str
    levels: tuple[PageLevel, ...]
    example: tuple[PageInput, ...]
    shared: tuple[PagePrototype, ...]
    made: str = ""
    command: str = ""


def ambiguity_context(page: AmbiguityPage) -> dict[str, Any]:
    """Everything the template needs, by name."""
    return {
        "page": page,
        "pictures": [
            (item, data_uri(item.picture, LARGE), max(item.picture.shape[:2]) <= 128)
            for item in page.example
        ],
        "patches": [
            (item, None if item.patch is None else data_uri(item.patch, SMALL))
            for item in page.shared
        ],
        "colliding": [level for level in page.levels if level.colliding],
    }
