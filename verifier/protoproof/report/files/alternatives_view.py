"""What a session shows beside the explanation: other explanations and contrasts, as data and words.

The page, the terminal and the JSON document take them from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from protoproof.explanation.alternatives import Alternatives
from protoproof.explanation.describe import contrast_json
from protoproof.prover.latent.facts import Fact
from protoproof.prover.latent.instance import Instance
from protoproof.prover.proof.encode import stored_fact
from protoproof.prover.search.contrastive import Contrastive
from protoproof.report.files.nearest_patches import Near, Training
from protoproof.report.files.outside import OutsideBoxes
from protoproof.report.page.facts import fact_words, place_words
from protoproof.report.page.page import Image, PageList, PageNote
from protoproof.report.page.patches import Patches
from protoproof.report.page.reading import Reading
from protoproof.report.page.text import label
from protoproof.wording import plural

# Pictures of prototypes; explanations and facts that it spells out.
_PICTURES, _SPELLED, _FACTS = 3, 50, 60


@dataclass(frozen=True, eq=False)
class Looks:
    """A training patch that looks like a moved location ``like``: its class and picture."""

    like: int
    near: Near
    class_: str
    picture: Image


@dataclass(frozen=True)
class Extras:
    """What was found beside an explanation; None stands for what was not asked for.

    Attributes:
        others: the minimal explanations.
        contrast: what would change the class.
        sought: whether a contrast was asked for.
        broken: the explanation's facts that the contrast's latent violates.
        facts: how many facts the explanation has.
        instance: the explained latent.
        looks: training patches that look like the contrast's latent.
        training: where they were searched; None where no data was given.
        outside: what pixels outside of the shown boxes can do.
    """

    others: Alternatives | None = None
    contrast: Contrastive | None = None
    sought: bool = False
    broken: tuple[Fact, ...] = ()
    facts: int = 0
    instance: Instance | None = None
    looks: tuple[Looks, ...] = ()
    training: Training | None = None
    outside: OutsideBoxes | None = None

    def to_json(self, reading: Reading, certificates: Sequence[str | None]) -> dict[str, Any]:
        """Further fields of the document of ``explain``.

        Args:
            certificates: where the certificates of the minimal explanations are.
        """
        document: dict[str, Any] = {}
        if self.sought:
            document["contrast"] = None
        if self.contrast is not None:
            document["contrast"] = contrast_json(self.contrast, reading.classes, reading.words) | {
                "sentence": contrast_sentence(self.contrast, reading),
                "violates": [words(fact, reading) for fact in self.broken],
                "searched": None if self.training is None else self.training.searched,
                "nearest_patches": [
                    {
                        "like": look.like,
                        "image": look.near.image,
                        "class": look.class_,
                        "location": look.near.location,
                        "squared_distance": look.near.distance,
                    }
                    for look in self.looks
                ],
            }
        if self.others is not None:
            document["alternatives"] = self.others.to_json(
                lambda fact: words(fact, reading), reading.words, certificates
            )
        if self.outside is not None:
            document["outside"] = self.outside.to_json(reading)
        return document

    def notes(
        self, reading: Reading, certificates: Sequence[str | None], patches: Patches | None
    ) -> tuple[PageNote, ...]:
        """Sections of the page and of the terminal's output."""
        found = [] if self.outside is None else [self.outside.note(reading)]
        if self.contrast is not None:
            found.append(self._contrast(self.contrast, reading, patches))
        elif self.sought:
            found.append(
                PageNote("What would change the class", ("No latent of that class was found.",))
            )
        if self.others is not None:
            found.append(_others(self.others, reading, certificates))
        return tuple(found)

    def _contrast(
        self, contrast: Contrastive, reading: Reading, patches: Patches | None
    ) -> PageNote:
        count, name = len(contrast.released), label(reading.classes[contrast.target])
        there = f"it is classified “{name}”"
        if reading.about_labels:
            there = f"there “{name}” is {'off' if reading.has_label(contrast.target) else 'on'}"
        kept = "Whether fewer would do is open."
        if contrast.minimal:
            what = "label" if reading.about_labels else "class"
            kept = f"The prover finds that the {what} stays where any one of these is kept."
        sentences = [
            f"It {contrast_sentence(contrast, reading)}.",
            (f"One latent is known that keeps all measurements but {count:,}; {there}. {kept}"),
        ]
        if self.broken:
            sentences.append(
                f"Of the {plural(self.facts, 'fact')} of the explanation above it violates "
                f"{len(self.broken)}."
            )
        text, pictures = self._pictured(contrast, reading, patches)
        broken = PageList(
            "Facts of the explanation that it violates", _spelled(self.broken, reading)
        )
        return PageNote(
            "What would change the class",
            (*sentences, *text),
            pictures,
            (broken,) if self.broken else (),
        )

    def _pictured(
        self, contrast: Contrastive, reading: Reading, patches: Patches | None
    ) -> tuple[tuple[str, ...], tuple[tuple[Image, str], ...]]:
        """Training patches that look like the latent, and what was searched for them."""
        if self.training is not None:
            pictures = tuple((look.picture, _caption(look, reading)) for look in self.looks)
            said = f"Patches that look most like that latent, among {self.training.searched}:"
            return (said,), pictures
        if patches is None:
            return (), ()
        near = list(dict.fromkeys(j for _, chosen in contrast.nearest for j in chosen))[:_PICTURES]
        said = (
            f"Patches that look most like that latent, among the {reading.prototypes:,} that the "
            "prototypes are (no other training image was searched):"
        )
        return (said,), tuple(
            (patches.pictures[j], f"Prototype {j} ({patches.origins[j]})") for j in near
        )


def words(fact: Fact, reading: Reading) -> str:
    """A fact in one sentence."""
    return fact_words(stored_fact(fact), reading)


def contrast_sentence(contrast: Contrastive, reading: Reading, most: int = 2) -> str:
    """Such as: would be “8” if it looked less like prototype 31 at row 2 (similarity 3 to 1).

    Of labels: would have “8” too, or would not have it. The changes that do most for the new class
    are named, each with the place where the prototype was seen, or now is.
    """
    helpful = [change for change in contrast.changes if change.effect > 0]
    said = []
    for change in helpful[:most]:
        less = change.after < change.before
        place = ""
        if not reading.single and change.location is not None:
            place = f" at {place_words(change.location, reading)}"
        numbers = f"{reading.words.word} {change.before:.3g} to {change.after:.3g}"
        like = f"like {reading.words.noun} {change.prototype}"
        said.append(f"{'less' if less else 'more'} {like}{place} ({numbers})")
    rest = len(helpful) - len(said)
    if rest > 0:
        said.append(f"changed in {plural(rest, 'further such way')}")
    listed = " and ".join(said) if len(said) < 3 else f"{', '.join(said[:-1])}, and {said[-1]}"
    name = label(reading.classes[contrast.target])
    becomes = f"would be “{name}”"
    if reading.about_labels:
        on = reading.has_label(contrast.target)
        becomes = f"would not have “{name}”" if on else f"would have “{name}” too"
    if not said:
        return f"{becomes} at a latent where no similarity is far from what it was"
    return f"{becomes} if it looked {listed}"


def _caption(look: Looks, reading: Reading) -> str:
    """Where a patch is from, and what it looks like."""
    text = f"Image {look.near.image}, class “{label(look.class_)}”"
    if reading.single:
        return text
    return (
        f"{text}, at {place_words(look.near.location, reading)}; looks like the latent at "
        f"{place_words(look.like, reading)}"
    )


def _others(others: Alternatives, reading: Reading, certificates: Sequence[str | None]) -> PageNote:
    """The minimal explanations, what they share, and the contrastive sets."""
    count, attribution = len(others.explanations), others.attribution
    known = f"all {count}" if others.end.complete else f"the first {count}, not complete"
    return PageNote(
        f"Minimal explanations: {known}",
        tuple(_summary(others)),
        lists=(
            *(
                _explanation(others, number, reading, path)
                for number, path in zip(range(min(count, _SPELLED)), certificates, strict=False)
            ),
            *_lists(others, reading, attribution.explanations),
        ),
    )


def _summary(others: Alternatives) -> Iterator[str]:
    labels = others.instance.head.decision.kind == "labels"
    count, found = len(others.explanations), others.attribution
    kind = f"of vocabulary {others.vocabulary}"
    if others.end.complete:
        yield (
            f"These are all {plural(count, 'minimal explanation')} {kind}. That there is no other "
            "one is what the prover found; the certificates do not say it."
        )
    else:
        reason = others.end.reason or "some sets are undecided"
        yield f"The first {plural(count, 'minimal explanation')} {kind}, not complete: {reason}."
    listed = [item.check.conditions for item in others.explanations]
    if any(listed):
        yield (
            "Each has a certificate of its own, which proves something only if what somebody "
            "says, and nobody checked, holds: "
            + "; ".join(dict.fromkeys(text for said in listed for text in said))
            + "."
        )
    else:
        yield "Each has a certificate of its own, accepted by the independent checker."
    if not found.core and not others.end.complete:
        yield "No core fact is known: one that is in every explanation, found or not."
    elif others.end.complete:
        yield f"{plural(len(found.core), 'core fact')}: in every one of them."
    else:
        yield (
            f"{plural(len(found.core), 'core fact')}: proved to be in every one, found or not; for "
            "other facts that is open."
        )
    if found.irrelevant is not None:
        yield f"{plural(len(found.irrelevant), 'irrelevant fact')}: in none of them."
    yield (
        f"{plural(len(others.contrasts), 'minimal contrastive set')}: facts that have to be "
        f"released together before {'a label' if labels else 'the class'} can change."
    )


def _explanation(others: Alternatives, number: int, reading: Reading, path: str | None) -> PageList:
    listed = others.explanations[number]
    proved = len(listed.necessary)
    known = f"{proved} proved necessary" if proved else "necessity open"
    where = "" if path is None else f"Certificate {path}"
    return PageList(
        f"Explanation {number + 1}: {plural(len(listed.facts), 'fact')}, {known}",
        _spelled(listed.facts, reading),
        where,
    )


def _lists(others: Alternatives, reading: Reading, count: int) -> Iterator[PageList]:
    found = others.attribution
    of = f"{count}" if found.complete else f"the first {count}"
    if found.core:
        yield PageList("Core facts, in every explanation", _spelled(found.core, reading))
    if found.counts:
        lines = [
            f"In {times} of {of} ({found.share(fact):.0%}): {words(fact, reading)}"
            for fact, times in found.counts[:_FACTS]
        ]
        yield PageList(
            "How many of the explanations contain a fact", _cut(lines, len(found.counts))
        )
    for contrast in others.contrasts[:_SPELLED]:
        lost = contrast.refutation.rival
        name, change = label(reading.classes[lost]), "can win"
        if reading.about_labels:
            change = f"can be {'off' if reading.has_label(lost) else 'on'}"
        yield PageList(
            f"Contrastive set of {plural(len(contrast.facts), 'fact')}: without "
            f"{'it' if len(contrast.facts) == 1 else 'them'}, “{name}” {change}",
            _spelled(contrast.facts, reading),
        )
    if found.irrelevant:
        yield PageList("Irrelevant facts, in no explanation", _spelled(found.irrelevant, reading))


def _spelled(facts: Iterable[Fact], reading: Reading) -> tuple[str, ...]:
    listed = list(facts)
    return _cut([words(fact, reading) for fact in listed[:_FACTS]], len(listed))


def _cut(lines: Sequence[str], count: int) -> tuple[str, ...]:
    more = count - len(lines)
    return (*lines, *([f"and {more:,} more, in the JSON document"] if more > 0 else []))
