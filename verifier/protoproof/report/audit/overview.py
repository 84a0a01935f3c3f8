"""What the overview of an audit shows of its instances: order, kinds, and three plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from protoproof.report.audit.figures import HEIGHT, WIDTH
from protoproof.report.audit.page import AuditInstance, AuditPage, AuditPrototype

_WORST = 10  # prototypes that are listed as least reliable
_CLASSES = 40  # rows of the plot of sizes


def fine(item: AuditInstance) -> bool:
    """Whether an instance needs no look: proved, accepted again, and predicted as labelled."""
    return item.correct is True and item.state == "proved" and item.accepted is True


def kind(item: AuditInstance) -> str:
    """Of which kinds an instance is, for the filters; both where it is wrong and not proved."""
    wrong = "is-wrong" if item.correct is False else ""
    proved = item.state == "proved" and item.accepted is True
    return "is-fine" if fine(item) else " ".join(filter(None, (wrong, "" if proved else "is-open")))


def failures_first(items: Sequence[AuditInstance]) -> list[AuditInstance]:
    """Certificates that are false, then wrong predictions, then what is open, then the rest."""

    def rank(item: AuditInstance) -> tuple[int, int]:
        if item.rejected:
            return 0, item.index
        if item.correct is False:
            return 1, item.index
        return (3 if fine(item) else 2), item.index

    return sorted(items, key=rank)


def filters(items: Sequence[AuditInstance]) -> tuple[tuple[str, str, int], ...]:
    """(word, name, how many) of every filter."""
    kinds = [kind(item).split() for item in items]
    named = (("wrong", "Wrong predictions"), ("open", "Not proved"), ("fine", "Right and proved"))
    return (
        ("all", "All", len(items)),
        *((word, name, sum(f"is-{word}" in found for found in kinds)) for word, name in named),
    )


@dataclass(frozen=True)
class Dot:
    """One instance by its margins, with its place in the drawing."""

    index: int
    x: float
    y: float
    observed: float
    proved: float
    wrong: bool


def margin_dots(items: Sequence[AuditInstance]) -> tuple[tuple[Dot, ...], float, float]:
    """Observed margins across and proved ones upwards; with the ends of both axes."""
    known = [
        (item, item.observed, item.proved)
        for item in items
        if item.observed is not None and item.proved is not None
    ]
    reach = max((observed for _, observed, _ in known), default=0.0) or 1.0
    top = max((proved for _, _, proved in known), default=0.0) or 1.0
    dots = tuple(
        Dot(
            item.index,
            round(WIDTH * max(observed, 0.0) / reach, 1),
            round(HEIGHT * (1 - max(proved, 0.0) / top), 1),
            observed,
            proved,
            item.correct is False,
        )
        for item, observed, proved in known
    )
    return dots, reach, top


@dataclass(frozen=True)
class Range:
    """Sizes of the explanations of one predicted class, and where they lie in the drawing."""

    name: str
    count: int
    low: int
    high: int
    median: float
    x: float
    width: float
    middle: float


def size_ranges(items: Sequence[AuditInstance]) -> tuple[Range, ...]:
    """One row for each class that is predicted with an accepted explanation, in name order."""
    sizes: dict[str, list[int]] = {}
    for item in items:
        if item.accepted and item.size is not None and item.predicted is not None:
            sizes.setdefault(item.predicted, []).append(item.size)
    most = max((size for found in sizes.values() for size in found), default=0) or 1
    return tuple(
        Range(
            name,
            len(found),
            min(found),
            max(found),
            median(found),
            round(WIDTH * min(found) / most, 1),
            round(max(WIDTH * (max(found) - min(found)) / most, 2.0), 1),
            round(WIDTH * median(found) / most, 1),
        )
        for name, found in sorted(sizes.items())[:_CLASSES]
    )


@dataclass(frozen=True)
class Reliability:
    """How many of the explanations that need a prototype are of right predictions."""

    index: int
    owner: str | None
    right: int
    needed: int

    @property
    def share(self) -> float:
        """In percent."""
        return round(100 * self.right / self.needed, 1)


def least_reliable(page: AuditPage) -> tuple[Reliability, ...]:
    """The prototypes that explain wrong predictions, the least share of right ones first.

    A prototype is needed where a fact that is proved necessary names it; it may be needed rightly
    for a prediction that is wrong for another reason.
    """
    wrong = {item.index for item in page.wrong if item.correct is False}
    found = [
        Reliability(p.index, p.owner, sum(n not in wrong for n in p.used_by), len(p.used_by))
        for p in page.prototypes
        if p.used_by
    ]
    worst = sorted((r for r in found if r.right < r.needed), key=lambda r: (r.share, -r.needed))
    return tuple(worst[:_WORST])


def is_odd(prototype: AuditPrototype) -> bool:
    """Whether there is something to say of a prototype besides that nobody needs it."""
    return any(not note.startswith("needed") for note in prototype.notes)
