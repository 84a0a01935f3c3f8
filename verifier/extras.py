"""What a session shows beside the explanation: other explanations and contrasts, as data and words.

The page and the JSON document take them from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from verifier.alternatives import Alternatives, alternatives, contrast_json, contrasted
from verifier.explanation import Explanation
from verifier.minimise.contrastive import Contrastive
from verifier.pipeline import Explainer
from verifier.report.page import Image, PageNote
from verifier.report.patches import Patches

# Pictures of training patches on the page.
_PICTURES = 3


@dataclass(frozen=True)
class Extras:
    """``document`` goes into the JSON document, the rest onto the page."""

    document: dict[str, Any] = field(default_factory=dict)
    others: Alternatives | None = None
    contrast: Contrastive | None = None
    class_name: str = ""

    def notes(self, patches: Patches | None) -> tuple[PageNote, ...]:
        """Sections of the page."""
        found = []
        if self.contrast is not None:
            found.append(self._contrast(self.contrast, patches))
        if self.others is not None:
            title = "Minimal explanations that were found"
            found.append(PageNote(title, self.others.sentences()))
        return tuple(found)

    def _contrast(self, contrast: Contrastive, patches: Patches | None) -> PageNote:
        count, name = len(contrast.released), f"“{self.class_name}”"
        near = dict.fromkeys(j for _, chosen in contrast.nearest for j in chosen)
        pictures: tuple[tuple[Image, str], ...] = ()
        if patches is not None:
            pictures = tuple(
                (patches.pictures[j], f"Prototype {j} ({patches.origins[j]})")
                for j in list(near)[:_PICTURES]
            )
        kept = "Whether fewer would do is open."
        if contrast.minimal:
            kept = "The prover finds that the class stays where any one of these is kept."
        sentences = [
            f"It {contrast.sentence(self.class_name)}.",
            f"One latent is known that keeps all distances but {count}; it is classified {name}.",
            kept,
        ]
        if pictures:
            sentences.append("Training patches that look most like that latent:")
        return PageNote("What would change the class", tuple(sentences), pictures)


def beside(
    explainer: Explainer,
    explanation: Explanation,
    contrast: str | None,
    most: int,
    timeout: float | None,
) -> tuple[Explanation, Extras]:
    """The explanation, with a contrast in its certificate where asked for, and the extras.

    Args:
        contrast: a class, ``closest``, or None for no contrast.
        most: how many explanations to enumerate; 0 for none.
        timeout: seconds for each of the two.

    Raises:
        UsageError: no such class.
    """
    document: dict[str, Any] = {}
    names = explainer.network.class_names
    found = None
    if contrast is not None:
        explanation, found = contrasted(explainer, explanation, contrast, timeout)
        instance = explainer.instance(explanation.observation)
        document["contrast"] = None if found is None else contrast_json(found, names, instance)
    others = None
    if most and explanation.certificate is not None:
        others = alternatives(explainer, explanation, most, timeout)
        document["alternatives"] = others.to_json()
    return explanation, Extras(
        document, others, found, "" if found is None else names[found.target]
    )
