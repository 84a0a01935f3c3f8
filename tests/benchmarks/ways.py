"""The ways to explain that the product offers: vocabularies, and oracles where one can choose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protoproof.explanation.explainer import Explainer
from protoproof.explanation.result import Explanation
from protoproof.prover.search.names import VOCABULARIES

_ORACLES = {
    "mixed": ("exact", "relational"),
    "pairs": ("triangle", "exact", "relational"),
}


@dataclass(frozen=True)
class Way:
    """One row of a table: a vocabulary, and an oracle where that makes a difference."""

    vocabulary: str
    oracle: str

    @property
    def name(self) -> str:
        """Such as ``pairs, exact``."""
        return f"{self.vocabulary}, {self.oracle}"

    def explain(
        self, explainer: Explainer, x: NDArray[np.float32], witnesses: bool = False
    ) -> Explanation:
        """Explain one input, the checker's verdict included."""
        return explainer.explain(
            x, vocabulary=self.vocabulary, oracle=self.oracle, witnesses=witnesses
        )


def ways(vocabularies: tuple[str, ...] = VOCABULARIES) -> list[Way]:
    """Every vocabulary with every oracle that makes a difference to it.

    An activation or ceiling fact leaves nothing to an oracle of pairs: vocabularies that have
    nothing else are measured once.
    """
    return [Way(word, oracle) for word in vocabularies for oracle in _ORACLES.get(word, ("exact",))]


def smallest(sizes: list[dict[int, int]]) -> dict[int, int]:
    """Per image, the least size that any of several ways reached."""
    images = sorted({image for found in sizes for image in found})
    return {image: min(found[image] for found in sizes if image in found) for image in images}
