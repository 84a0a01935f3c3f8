"""A page from a certificate, its check, and what the network measured."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from protoproof.certificate.schema import CeilingFact, Core, Envelope, Fact, PairFact
from protoproof.length import numbers
from protoproof.report.page.facts import brief_words, fact_words, prototype_words, seen_words
from protoproof.report.page.likeness import likeness
from protoproof.report.page.page import (
    ExplanationPage,
    Image,
    Need,
    PageCertificate,
    PageCheck,
    PageFact,
    PageList,
    PageMade,
    PageMargin,
    PageModel,
    PageNote,
    PageObligation,
    PageSize,
    PageTruth,
)
from protoproof.report.page.patches import Patches
from protoproof.report.page.reading import Reading
from protoproof.report.page.text import label, nearest
from protoproof.report.page.told import date_words, told_command
from protoproof.report.page.words import (
    OBLIGATIONS,
    claims_words,
    domain_words,
    level_sentence,
    limits_words,
    scope_words,
)
from protoproof.verdict import CONDITIONAL
from protoproof.wording import plural

if TYPE_CHECKING:
    from protoproof.kernel import CheckReport

_WAY = (
    "At every node the share that goes right is the activation of one prototype, and the rest goes "
    "left. The distributed decision weighs all leaves by the shares that reach them; the greedy "
    "one goes this way, that of the greater shares."
)


def explanation_page(
    *,
    envelope: Envelope,
    check: CheckReport,
    reading: Reading,
    picture: Image,
    input_name: str,
    model: PageModel,
    certificate: PageCertificate,
    sizes: tuple[PageSize, ...],
    seconds: float | None,
    patches: Patches | None = None,
    notes: tuple[PageNote, ...] = (),
    labelled: str | None = None,
    unit: str = "",
) -> ExplanationPage:
    """The page of a checked certificate; what rests on somebody's word is ``conditional``.

    Args:
        envelope, check: the certificate, and what the checker said about it.
        reading: what the network measured on the input.
        picture, input_name: the input as an image, and what the user called it.
        model, certificate, patches: the network, the certificate's file, pictures of prototypes.
        sizes, seconds: every vocabulary that was tried, and the time for all of them, if known.
        notes, labelled, unit: further sections; the input's class, if known; in what the size of a
            region is measured, if the domain is one.
    """
    core, needed = envelope.core, Needed(frozenset(check.necessary), frozenset(check.superfluous))
    predicted = reading.predicted_name
    return ExplanationPage(
        title=f"Why the network says “{label(predicted)}”",
        labels=reading.about_labels,
        one_leaf=core.model.routing in ("greedy", "sample-max"),
        model=model,
        picture=picture,
        input_name=input_name,
        predicted=predicted,
        others=tuple(reading.classes[k] for k in reading.margins),
        verdict=verdict_of(check),
        reason="" if check.accepted else reason_of(check),
        vocabulary=core.vocabulary,
        facts=_facts(core, needed, reading, picture, patches),
        margins=_margins(core, check, reading),
        sizes=sizes,
        domain=f"{domain_words(core)} {unit}".strip(),
        scope=scope_words(core),
        level=level_sentence(core),
        proved=claims_words(core, check.claims, predicted),
        assumptions=sentences(a for a in check.assumptions if a not in check.conditions),
        conditions=sentences(check.conditions),
        not_proved=limits_words(core, *needed.counts, _least(core, sizes)),
        check=page_check(check),
        certificate=certificate,
        seconds=seconds,
        notes=(*path_notes(reading), *notes),
        truth=truth_of(reading, labelled),
        made=PageMade(date_words(envelope.about.created), told_command(envelope.about.command)),
        numbers=numbers(core.facts, core.instance.locations),
    )


def reason_of(check: CheckReport) -> str:
    """Why a certificate is not accepted, with the first obligation that is not met."""
    said = f"the checker says that the certificate is {check.status}"
    if check.met or not check.failures:
        return said
    unmet = check.failures[0]
    return f"{said} ({unmet.name}: {unmet.detail})"


def verdict_of(check: CheckReport) -> str:
    """``proved``, ``conditional``, ``rejected`` or ``unknown``: what the checker says."""
    if check.status == "rejected":
        return "rejected"
    return {"accepted": "proved", "conditional": CONDITIONAL}.get(check.status, "unknown")


def truth_of(reading: Reading, labelled: str | None) -> PageTruth:
    """Whether the prediction is what the input is labelled as; unknown where labels are predicted,
    each by itself."""
    if labelled is None or reading.about_labels:
        return PageTruth()
    return PageTruth(labelled, labelled == reading.predicted_name)


def _least(core: Core, sizes: Iterable[PageSize]) -> int | None:
    """How few facts of the certificate's vocabulary suffice at least, if that is known."""
    return next((s.lower_bound for s in sizes if s.vocabulary == core.vocabulary), None)


class Needed(NamedTuple):
    """The facts of an explanation that are proved necessary, and those that are superfluous."""

    necessary: frozenset[int]
    superfluous: frozenset[int]

    @property
    def counts(self) -> tuple[int, int]:
        """How many are necessary, and how many superfluous."""
        return len(self.necessary), len(self.superfluous)

    def word(self, fact: int) -> Need:
        """What is proved of one."""
        if fact in self.necessary:
            return "necessary"
        return "superfluous" if fact in self.superfluous else ""


def _facts(
    core: Core,
    needed: Needed,
    reading: Reading,
    picture: Image,
    patches: Patches | None,
) -> tuple[PageFact, ...]:
    return tuple(
        _page_fact(fact, needed.word(number), reading, picture, patches)
        for number, fact in enumerate(core.facts)
    )


def sentences(texts: Iterable[str]) -> tuple[str, ...]:
    """The checker's words as sentences."""
    return tuple(f"{text[0].upper()}{text[1:]}." for text in texts)


def _page_fact(
    fact: Fact, needed: Need, reading: Reading, picture: Image, patches: Patches | None
) -> PageFact:
    sentence = fact_words(fact, reading)
    if isinstance(fact, CeilingFact):
        return PageFact(kind="ceiling", sentence=sentence, needed=needed)
    prototype = fact.prototype
    best = reading.best_location(prototype) if reading.has_place(prototype) else None
    location = fact.location if isinstance(fact, PairFact) else best
    placed = location is not None and not reading.single
    # a picture of something else than the prototype shows what it is like, if anything, to nobody
    unlike = location is None or (patches is not None and prototype in patches.others)
    return PageFact(
        kind=fact.kind,
        sentence=sentence,
        brief="" if reading.single else brief_words(fact, reading),
        needed=needed,
        prototype=prototype,
        class_=reading.owner(prototype),
        patch=None if patches is None else patches.pictures[prototype],
        origin="" if patches is None else patches.origins[prototype],
        location=reading.place(location) if location is not None and placed else None,
        place=reading.place_words(location) if location is not None and placed else "",
        box=None if location is None else reading.box(location, picture),
        seen=seen_words(fact, reading),
        activation=float(reading.activation[prototype]),
        # elsewhere a pair does not decide the activation, so it adds nothing that can be named
        contribution=reading.contribution(prototype) if location == best else None,
        likeness="closest match"
        if unlike or location is None
        else likeness(reading, location, prototype),
    )


def _margins(core: Core, check: CheckReport, reading: Reading) -> tuple[PageMargin, ...]:
    proved = dict(check.margins) if check.met else {}
    return tuple(
        PageMargin(reading.classes[rival], reading.margins[rival], proved.get(rival))
        for rival in core.rivals
        if rival in reading.margins  # a false certificate may name the observed class a rival
    )


def path_notes(reading: Reading) -> tuple[PageNote, ...]:
    """Of a tree: the way of the greater share, from the root to a leaf."""
    if not reading.path:
        return ()
    steps = tuple(
        f"{prototype_words(j, reading)}: {nearest(float(reading.activation[j]))} of it goes right"
        + (", so the way goes right." if right else ", so the way goes left.")
        for j, right in reading.path
    )
    listed = PageList(plural(len(steps), "step"), steps)
    return (PageNote("The way through the tree", (_WAY,), lists=(listed,)),)


def page_check(check: CheckReport) -> PageCheck:
    """The checker's answer, with what each obligation that is met establishes."""
    return PageCheck(
        check.accepted,
        check.status,
        tuple(
            PageObligation(
                number=item.number,
                name=item.name,
                passed=item.passed,
                detail=OBLIGATIONS.get(item.name, "") if item.passed is True else item.detail,
            )
            for item in check.obligations
        ),
    )
