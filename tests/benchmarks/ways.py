"""The ways to explain that the product offers: vocabularies, and oracles where one can choose."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verifier import pipeline
from verifier.pipeline import VOCABULARIES, Explainer, Explanation


@dataclass(frozen=True)
class Way:
    """One row of a table: a vocabulary, and an oracle where the explainer lets one choose."""

    vocabulary: str
    oracle: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Such as ``pairs, exact``."""
        return f"{self.vocabulary}, {self.oracle}"

    def explain(self, explainer: Explainer, x: NDArray[np.float32]) -> Explanation:
        """Explain one input, the checker's verdict included."""
        return explainer.explain(x, vocabulary=self.vocabulary, **self.options)


def ways(vocabularies: tuple[str, ...] = VOCABULARIES) -> list[Way]:
    """Every vocabulary with every single oracle (the comparison oracles are the baseline's).

    An activation or ceiling fact leaves nothing to an oracle of pairs: such vocabularies are
    measured once.
    """
    if "oracle" not in inspect.signature(Explainer.explain).parameters:
        return [Way(vocabulary, "exact") for vocabulary in vocabularies]
    oracles = [name for name in _oracles() if name not in ("auto", "triangle", "hypersphere")]
    return [
        Way(vocabulary, oracle, {"oracle": oracle})
        for vocabulary in vocabularies
        for oracle in (oracles if vocabulary in ("pairs", "mixed") else oracles[:1])
    ]


def _oracles() -> tuple[str, ...]:
    return tuple(getattr(pipeline, "ORACLES", ("exact", "relational")))


def smallest(sizes: list[dict[int, int]]) -> dict[int, int]:
    """Per image, the least size that any of several ways reached."""
    images = sorted({image for found in sizes for image in found})
    return {image: min(found[image] for found in sizes if image in found) for image in images}
