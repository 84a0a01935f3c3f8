"""Beside one explanation: all others, what they share, and what would change the class.

Every enumerated explanation is certified on its own before it counts, and a contrast becomes part
of the explanation's certificate, where the checker verifies its latent.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from protoproof.certificate.schema import Envelope
from protoproof.errors import UsageError
from protoproof.explanation.describe import describe
from protoproof.explanation.explainer import Explainer
from protoproof.explanation.minimum import Proof
from protoproof.explanation.options import ExplainOptions
from protoproof.explanation.quantities import Quantities
from protoproof.explanation.question import Question
from protoproof.explanation.result import Explanation
from protoproof.kernel import CheckReport
from protoproof.prover.counterexample.needed import Found
from protoproof.prover.counterexample.refute import Refuter
from protoproof.prover.counterexample.witness import find_witnesses
from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import (
    ActivationFact,
    CeilingFact,
    Fact,
    FactSet,
    PairFact,
    of_facts,
)
from protoproof.prover.latent.instance import Instance
from protoproof.prover.proof.encode import stored_contrast
from protoproof.prover.search.attribution import Attribution, attribute
from protoproof.prover.search.contrastive import Contrastive, contrastive
from protoproof.prover.search.entailment import KINDS
from protoproof.prover.search.enumerate import (
    Contrast,
    End,
    Minimal,
    because,
    minimal_explanations,
)
from protoproof.prover.search.names import Vocabulary

# Share of the time in which explanations are looked for; the rest shows why facts are necessary.
_SEARCH = 0.8


@dataclass(frozen=True)
class Listed:
    """A minimal explanation whose certificate the checker accepted, perhaps conditionally.

    Its witnesses were searched as far as time allowed.
    """

    facts: FactSet
    certificate: Envelope
    check: CheckReport

    @property
    def necessary(self) -> frozenset[int]:
        """Indices of the facts whose witness the checker accepted."""
        return frozenset(self.check.necessary)


@dataclass(frozen=True)
class Alternatives:
    """The minimal explanations of one prediction.

    Attributes:
        vocabulary: ``pairs``, or ``mixed``, which contains the facts of all others.
        explanations: those that the checker accepted.
        refused: how many it did not accept.
        contrasts: minimal sets of facts whose release lets the class change.
        end: whether these are all of them, and if not, why.
        attribution: what the explanations say about single facts.
    """

    vocabulary: Vocabulary
    explanations: tuple[Listed, ...]
    refused: int
    contrasts: tuple[Contrast, ...]
    end: End
    attribution: Attribution
    instance: Instance

    def to_json(
        self,
        words: Callable[[Fact], str],
        quantities: Quantities,
        certificates: Sequence[str | None] = (),
    ) -> dict[str, Any]:
        """Plain data; facts as in the document of ``explain``, each with its sentence.

        Args:
            words: a fact's sentence.
            quantities: the words for the head's numbers.
            certificates: where the certificates of the explanations are, in their order.
        """
        found = self.attribution

        def told(fact: Fact) -> dict[str, Any]:
            return {**describe(fact, quantities), "words": words(fact)}

        paths = [*certificates, *[None] * (len(self.explanations) - len(certificates))]
        return {
            "vocabulary": self.vocabulary,
            "complete": self.end.complete,
            "reason": self.end.reason,
            "undecided": self.end.undecided,
            "refused": self.refused,
            "explanations": [
                {
                    "facts": [told(fact) for fact in listed.facts],
                    "necessary": sorted(listed.necessary),
                    "certificate": path,
                }
                for listed, path in zip(self.explanations, paths, strict=True)
            ],
            "contrastive": [
                {"facts": [told(fact) for fact in c.facts], "class": c.refutation.rival}
                for c in self.contrasts
            ],
            "attribution": {
                "explanations": found.explanations,
                "exact": found.complete,
                "core": [told(fact) for fact in found.core],
                "irrelevant": None
                if found.irrelevant is None
                else [describe(fact, quantities) for fact in found.irrelevant],
                "counts": [
                    {"fact": told(fact), "count": count, "share": round(found.share(fact), 6)}
                    for fact, count in found.counts
                ],
            },
        }


def alternatives(
    explainer: Explainer, explanation: Explanation, limit: int, timeout: float | None = None
) -> Alternatives:
    """All minimal explanations of an explained prediction, up to a limit.

    The given explanation leads, where it belongs to the vocabulary: ``pairs`` for an explanation of
    that vocabulary, else ``mixed``.

    Args:
        explanation: of the same network; its observation, domain and vocabulary are used.
        limit: the most explanations.
        timeout: seconds; what was found until then is kept.
    """
    vocabulary: Vocabulary = "pairs" if explanation.vocabulary == "pairs" else "mixed"
    question = _again(explainer, explanation)
    instance, domain, now = question.instance, question.domain, time.perf_counter
    begun, seconds = now(), math.inf if timeout is None else timeout
    items: list[Minimal | Contrast | End] = []
    proofs: list[Proof] = []
    refused = 0
    elements = Refuter(instance, domain, kinds=KINDS[vocabulary]).elements()
    for item in minimal_explanations(
        instance,
        domain,
        vocabulary,
        limit=limit,
        early=True,
        start=_as_recorded(elements, explanation.facts),
        deadline=begun + _SEARCH * seconds,
        now=now,
    ):
        if isinstance(item, Minimal):
            proof = explainer.certified(question, vocabulary, item.found)
            if proof is None:
                refused += 1
                continue
            proofs.append(proof)
        items.append(item)
    ends = [item for item in items if isinstance(item, End)]
    end = ends[-1] if ends else End(False, 0, "nothing was searched")
    if refused:
        end = End(False, end.undecided, "the checker did not accept some of them")
        items[-1] = end
    contrasts = tuple(item for item in items if isinstance(item, Contrast))
    listed = tuple(
        _listed(explainer, proof, _why(instance, domain, proof.facts, contrasts))
        if now() < begun + seconds
        else Listed(proof.facts, proof.certificate, proof.check)
        for proof in proofs
    )
    return Alternatives(
        vocabulary, listed, refused, contrasts, end, attribute(elements, items), instance
    )


def _again(explainer: Explainer, explanation: Explanation) -> Question:
    """The question that was answered, for further answers; facts as recorded."""
    options = ExplainOptions(domain=explanation.where or explanation.domain)
    question = explainer.question(explanation.observation, options)
    if not explanation.about_labels or explanation.certificate is None:
        return question
    # the labels that were explained, and no others
    labels = explanation.certificate.core.rivals
    return replace(question, instance=explainer.instance(question.observation, labels))


def _as_recorded(elements: Sequence[Fact], facts: FactSet) -> FactSet | None:
    """The vocabulary's own facts about what some facts are about; None where one has none."""
    place = {_subject(fact): fact for fact in elements}
    found = [place.get(_subject(fact)) for fact in facts]
    known = [fact for fact in found if fact is not None]
    return of_facts(known) if known and len(known) == len(found) else None


def _subject(fact: Fact) -> tuple[object, ...]:
    match fact:
        case PairFact(location, prototype):
            return "pair", location, prototype
        case ActivationFact(prototype):
            return "activation", prototype
        case CeilingFact(exempt=exempt):
            return "ceiling", exempt


def _why(
    instance: Instance, domain: Domain, facts: FactSet, contrasts: Sequence[Contrast]
) -> list[Found]:
    """Why facts are necessary: latents of contrastive sets, and of a search where those lack."""
    known = because(facts, contrasts)
    searched = find_witnesses(instance, domain, facts) if len(known) < len(facts) else ()
    found = {witness.fact: witness for witness in searched}
    for index, fact in enumerate(facts):
        if index not in found and fact in known:
            refutation = known[fact].refutation
            found[index] = Found(index, refutation.rival, refutation.moves)
    return [found[index] for index in sorted(found)]


def _listed(explainer: Explainer, proof: Proof, witnesses: Sequence[Found]) -> Listed:
    """An explanation with its witnesses, where the checker accepts them."""
    if witnesses:
        proof = explainer.with_witnesses(proof, witnesses)
    return Listed(proof.facts, proof.certificate, proof.check)


def contrasted(
    explainer: Explainer, explanation: Explanation, target: str, timeout: float | None = None
) -> tuple[Explanation, Contrastive | None]:
    """The explanation with a contrast in its certificate, and the contrast; None where none is.

    Args:
        explanation: one with a certificate.
        target: a class's name or number, or ``closest``: of the rivals, the one with the
            least margin to which a contrast is found. Of labels, one of those that are explained.
        timeout: seconds for making the contrast small.

    Raises:
        UsageError: no such class, or the predicted one; a label that is not explained.
    """
    question = _again(explainer, explanation)
    instance, domain = question.instance, question.domain
    classes = _classes(explainer, instance, target)
    if explanation.certificate is None:
        return explanation, None
    now = time.perf_counter
    deadline = math.inf if timeout is None else now() + timeout
    ways = (contrastive(instance, domain, k, deadline=deadline, now=now) for k in classes)
    found = next((way for way in ways if way is not None), None)
    if found is None:
        return explanation, None
    core = explanation.certificate.core
    core = core.model_copy(
        update={"contrasts": (*core.contrasts, stored_contrast(found.refutation))}
    )
    envelope = explanation.certificate.model_copy(update={"core": core})
    report = explainer.checked(envelope)
    if not report.met:
        return explanation, None
    return replace(explanation, certificate=envelope, check=report), found


def _classes(explainer: Explainer, instance: Instance, target: str) -> list[int]:
    names, labels = explainer.network.class_names, explainer.network.head.decision.kind == "labels"
    word = "label" if labels else "class"
    if target == "closest":
        return [instance.rivals[row] for row in np.argsort(instance.margins, kind="stable")]
    if target in names:
        found = names.index(target)
    elif target.isdigit() and int(target) < len(names):
        found = int(target)
    else:
        some = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        raise UsageError(f"--contrast {target}: no such {word}; use closest, or one of {some}")
    if labels and found not in instance.rivals:
        raise UsageError(f"--contrast {target}: another label than the one that is explained")
    if not labels and found == instance.predicted:
        raise UsageError(f"--contrast {target}: that is the predicted class; choose another")
    return [found]
