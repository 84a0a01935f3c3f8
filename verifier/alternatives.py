"""Beside one explanation: all others, what they share, and what would change the class.

Every enumerated explanation is certified on its own before it counts, and a contrast becomes part
of the explanation's certificate, where the checker verifies its latent.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from verifier.assembly import stored_contrast
from verifier.certificate.schema import About
from verifier.errors import UsageError
from verifier.explanation import Explanation
from verifier.minimise.attribution import Attribution, attribute
from verifier.minimise.contrastive import Contrastive, contrastive
from verifier.minimise.decide import KINDS
from verifier.minimise.describe import describe
from verifier.minimise.enumerate import (
    ENUMERABLE,
    Contrast,
    End,
    Minimal,
    because,
    minimal_explanations,
)
from verifier.minimise.refute import Refuter
from verifier.minimise.search import Vocabulary
from verifier.oracle.interface import Instance
from verifier.pipeline import Explainer


@dataclass(frozen=True)
class Alternatives:
    """The minimal explanations of one prediction.

    Attributes:
        vocabulary: ``pairs``, or ``mixed``, which contains all others.
        explanations: those that the checker accepted.
        refused: how many it did not accept.
        contrasts: sets of facts to release so that the class can change.
        end: whether these are all of them, and if not, why.
        attribution: what the explanations say about single facts.
    """

    vocabulary: Vocabulary
    explanations: tuple[Minimal, ...]
    refused: int
    contrasts: tuple[Contrast, ...]
    end: End
    attribution: Attribution
    instance: Instance

    def to_json(self) -> dict[str, Any]:
        """Plain data; facts as in the document of ``explain``."""
        found = self.attribution

        def spelled(facts: Any) -> list[dict[str, Any]]:
            return [describe(fact, self.instance) for fact in facts]

        return {
            "vocabulary": self.vocabulary,
            "complete": self.end.complete,
            "reason": self.end.reason,
            "undecided": self.end.undecided,
            "refused": self.refused,
            "explanations": [
                {
                    "facts": spelled(m.facts),
                    "necessary": len(because(m.facts, self.contrasts)),
                }
                for m in self.explanations
            ],
            "contrastive": [
                {
                    "facts": spelled(c.facts),
                    "class": c.refutation.rival,
                }
                for c in self.contrasts
            ],
            "attribution": {
                "explanations": found.explanations,
                "exact": found.complete,
                "core": spelled(found.core),
                "irrelevant": None if found.irrelevant is None else spelled(found.irrelevant),
                "counts": [
                    {"fact": describe(fact, self.instance), "count": count}
                    for fact, count in found.counts
                ],
            },
        }

    def sentences(self) -> tuple[str, ...]:
        """For the page."""
        count, found = len(self.explanations), self.attribution
        known = "exactly" if self.end.complete else "at least"
        plural = "" if count == 1 else "s"
        lines = [f"There {'is' if count == 1 else 'are'} {known} {count} such explanation{plural}."]
        if not self.end.complete:
            lines[0] = lines[0][:-1] + f" ({self.end.reason or 'some sets are undecided'})."
        number = f"{len(found.core)} fact{' is' if len(found.core) == 1 else 's are'}"
        if self.end.complete:
            lines.append(f"{number} in every one of them.")
        else:
            lines.append(
                f"{number} proved to be in every one, found or not; for the others that is open."
            )
        if found.irrelevant is not None:
            lines.append(f"{len(found.irrelevant)} facts are in none of them.")
        return tuple(lines)


def alternatives(
    explainer: Explainer, explanation: Explanation, limit: int, timeout: float | None = None
) -> Alternatives:
    """All minimal explanations of an explained prediction, up to a limit.

    Args:
        explanation: of the same network; its observation, domain and vocabulary are used.
        limit: the most explanations.
        timeout: seconds.
    """
    vocabulary: Vocabulary = "mixed"
    if explanation.vocabulary in ENUMERABLE:
        vocabulary = explanation.vocabulary
    instance = explainer.instance(explanation.observation)
    domain = explanation.where or explainer.domain(explanation.domain, explanation.observation)
    now = time.perf_counter
    deadline = math.inf if timeout is None else now() + timeout
    items: list[Minimal | Contrast | End] = []
    refused = 0
    for item in minimal_explanations(
        instance, domain, vocabulary, limit=limit, deadline=deadline, now=now
    ):
        if isinstance(item, Minimal):
            proof = explainer.certified(
                explanation.observation, domain, vocabulary, item.found, False, About()
            )
            if proof is None:
                refused += 1
                continue
        items.append(item)
    ends = [item for item in items if isinstance(item, End)]
    end = ends[-1] if ends else End(False, 0, "nothing was searched")
    if refused:
        end = End(False, end.undecided, "the checker did not accept some of them")
        items[-1] = end
    elements = Refuter(instance, domain, kinds=KINDS[vocabulary]).elements()
    return Alternatives(
        vocabulary,
        tuple(item for item in items if isinstance(item, Minimal)),
        refused,
        tuple(item for item in items if isinstance(item, Contrast)),
        end,
        attribute(elements, items),
        instance,
    )


def contrasted(
    explainer: Explainer, explanation: Explanation, target: str, timeout: float | None = None
) -> tuple[Explanation, Contrastive | None]:
    """The explanation with a contrast in its certificate, and the contrast; None where none is.

    Args:
        explanation: one with a certificate.
        target: a class's name or number, or ``closest``: the rival with the least margin.
        timeout: seconds for making the contrast small.

    Raises:
        UsageError: no such class, or the predicted one.
    """
    instance = explainer.instance(explanation.observation)
    class_ = _class(explainer, instance, target)
    if explanation.certificate is None:
        return explanation, None
    domain = explanation.where or explainer.domain(explanation.domain, explanation.observation)
    now = time.perf_counter
    deadline = math.inf if timeout is None else now() + timeout
    found = contrastive(instance, domain, class_, deadline=deadline, now=now)
    if found is None:
        return explanation, None
    core = explanation.certificate.core
    core = core.model_copy(
        update={"contrasts": (*core.contrasts, stored_contrast(found.refutation))}
    )
    envelope = explanation.certificate.model_copy(update={"core": core})
    report = explainer.checked(envelope)
    if not report.accepted:
        return explanation, None
    return replace(explanation, certificate=envelope, check=report), found


def contrast_json(found: Contrastive, names: tuple[str, ...], instance: Instance) -> dict[str, Any]:
    """A contrast as plain data."""
    return {
        "class": found.target,
        "class_name": names[found.target],
        "sentence": found.sentence(names[found.target]),
        "released": [describe(fact, instance) for fact in found.released],
        "minimal": found.minimal,
        "changes": [
            {
                "prototype": change.prototype,
                "similarity": [change.before, change.after],
                "effect": change.effect,
            }
            for change in found.changes
        ],
        "nearest_prototypes": [
            {"location": location, "prototypes": list(near)} for location, near in found.nearest
        ],
    }


def _class(explainer: Explainer, instance: Instance, target: str) -> int:
    names = explainer.network.class_names
    if target == "closest":
        return instance.rivals[int(np.argmin(instance.margins))]
    if target in names:
        found = names.index(target)
    elif target.isdigit() and int(target) < len(names):
        found = int(target)
    else:
        raise UsageError(f"--contrast {target}: no such class; use closest, or one of {names[:12]}")
    if found == instance.predicted:
        raise UsageError(f"--contrast {target}: that is the predicted class; choose another")
    return found
