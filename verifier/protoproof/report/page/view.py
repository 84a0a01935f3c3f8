"""From a page's data to what the template prints: selection, order and geometry, no judgement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from protoproof.report.page.images import LARGE, SMALL, crop, data_uri
from protoproof.report.page.page import Box, ExplanationPage, PageFact, PageMargin
from protoproof.report.page.text import label
from protoproof.verdict import CONDITIONAL

FOR, AGAINST = 6, 3  # how many prototypes are shown as pictures
LISTED = 1000  # facts written out; the certificate holds all of them
RIVALS = 10  # rivals shown before the rest is folded away
WEAK = "closest, though weak"
DRAWING = 560  # length of the longer side of the input's drawing, in drawing units


@dataclass(frozen=True, eq=False)
class Card:
    """One "looks like" pair: a fact, its number on the page, and its pictures."""

    number: int
    mark: str
    fact: PageFact
    crop: str | None
    patch: str | None


@dataclass(frozen=True)
class Outline:
    """A rectangle on the input's drawing, with the numbers of the cards that look there."""

    x: float
    y: float
    width: float
    height: float
    mark: str
    numbers: str
    tab_x: float
    tab_y: float
    tab_width: float


@dataclass(frozen=True)
class Dot:
    """How many facts look at one place of the input's drawing."""

    x: float
    y: float
    radius: float
    count: int


@dataclass(frozen=True)
class Bar:
    """A rival's margin; lengths in percent of the longest."""

    rival: str
    observed: float
    proved: float | None
    observed_length: float
    proved_length: float


@dataclass(frozen=True, eq=False)
class Group:
    """Facts listed together, with their numbers in the certificate."""

    title: str
    facts: tuple[tuple[int, PageFact], ...]


def context(page: ExplanationPage) -> dict[str, Any]:
    """Everything the template needs, by name."""
    cards = _cards(page)
    bars = bars_of(page.margins)
    height, width = page.picture.shape[:2]
    scale = DRAWING / max(height, width)
    return {
        "page": page,
        "picture": data_uri(page.picture, LARGE),
        "canvas": (round(width * scale, 1), round(height * scale, 1)),
        "small": max(height, width) <= 128,
        "cards_for": [card for card in cards if not _against(card.fact)],
        "cards_against": [card for card in cards if _against(card.fact)],
        "legend": _legend(cards),
        "alike": any(card.crop and card.fact.likeness == "looks like" for card in cards),
        "compared": any(card.crop and card.fact.likeness != "closest match" for card in cards),
        "classed": any(fact.class_ is not None for fact in page.facts),
        "outlines": _outlines(cards, scale),
        "dots": _dots(page, scale),
        "ceilings": [fact for fact in page.facts if fact.kind == "ceiling"],
        "bars": bars[:RIVALS],
        "more_bars": bars[RIVALS:],
        "notes": [
            (note, [(data_uri(picture, SMALL), caption) for picture, caption in note.pictures])
            for note in page.notes
        ],
        "groups": _groups(page.facts[:LISTED], page.model.noun),
        "unlisted": max(0, len(page.facts) - LISTED),
        "bounded": any(size.lower_bound is not None for size in page.sizes),
        "necessary": sum(fact.needed == "necessary" for fact in page.facts),
        "superfluous": sum(fact.needed == "superfluous" for fact in page.facts),
        "closest": min(page.margins, key=lambda margin: margin.observed, default=None),
        "weakest": min((m.proved for m in page.margins if m.proved is not None), default=None),
        "passed": sum(o.passed is True for o in page.check.obligations) if page.check else 0,
        "good": page.verdict == "proved" and page.check is not None and page.check.accepted,
        "conditional": page.verdict == CONDITIONAL,
    }


def _legend(cards: Sequence[Card]) -> str:
    """What the pictures of the cards are."""
    if not any(card.crop for card in cards):
        return "The training patch that each is."
    if not any(card.patch for card in cards):
        return "The part of the input where each is seen."
    return "On the left the part of the input, on the right the training patch that it is."


def _against(fact: PageFact) -> bool:
    return fact.contribution is not None and fact.contribution < 0


def _cards(page: ExplanationPage) -> list[Card]:
    """The facts worth a picture: the strongest for the prediction, then the strongest against.

    One per prototype. Without contributions, the most similar ones.
    """
    pictured = [f for f in page.facts if f.kind != "ceiling" and (f.patch is not None or f.box)]
    known = [fact for fact in pictured if fact.contribution is not None]
    if known:
        ranked = sorted(known, key=lambda fact: -(fact.contribution or 0.0))
    else:
        ranked = sorted(pictured, key=lambda fact: -(fact.activation or 0.0))
    chosen = _first_per_prototype((f for f in ranked if not _against(f)), FOR)
    chosen += _first_per_prototype((f for f in reversed(ranked) if _against(f)), AGAINST)
    marks: dict[Box | None, str] = {}
    cards = []
    for number, fact in enumerate(chosen, 1):
        # colours and outlines belong to what speaks for the prediction; more would not be readable
        plain = _against(fact) or fact.location is None
        mark = "" if plain else marks.setdefault(fact.box, f"m{len(marks) + 1}")
        cropped = None if fact.box is None else data_uri(crop(page.picture, fact.box), SMALL)
        patch = None if fact.patch is None else data_uri(fact.patch, SMALL)
        cards.append(Card(number, mark, fact, cropped, patch))
    return cards


def _first_per_prototype(facts: Iterable[PageFact], limit: int) -> list[PageFact]:
    chosen: dict[int | None, PageFact] = {}
    for fact in facts:
        chosen.setdefault(fact.prototype, fact)
        if len(chosen) == limit:
            break
    return list(chosen.values())


def _outlines(cards: Sequence[Card], scale: float) -> list[Outline]:
    """One rectangle per distinct box; smaller ones last, so that they stay on top.

    None where the grid has one location: it sees everything. Numbers hang in the rectangle's upper
    left corner, one row lower where another one hangs.
    """
    looking: dict[Box, list[Card]] = {}
    for card in cards:
        if card.mark and card.fact.box is not None and card.fact.location is not None:
            looking.setdefault(card.fact.box, []).append(card)
    outlines: list[Outline] = []
    for (y0, x0, y1, x1), seen in looking.items():
        numbers = " ".join(str(card.number) for card in seen)
        tab_x, tab_y, tab_width = x0 * scale + 3, y0 * scale + 3, 18.0 + 11 * len(numbers)
        while any(
            abs(other.tab_y - tab_y) < 30
            and other.tab_x < tab_x + tab_width
            and tab_x < other.tab_x + other.tab_width
            for other in outlines
        ):
            tab_y += 32
        outlines.append(
            Outline(
                x=round(x0 * scale + 3, 1),
                y=round(y0 * scale + 3, 1),
                width=round((x1 - x0) * scale - 6, 1),
                height=round((y1 - y0) * scale - 6, 1),
                mark=seen[0].mark,
                numbers=numbers,
                tab_x=round(tab_x, 1),
                tab_y=round(tab_y, 1),
                tab_width=tab_width,
            )
        )
    return sorted(outlines, key=lambda outline: -outline.width * outline.height)


def _dots(page: ExplanationPage, scale: float) -> list[Dot]:
    """Facts per place, where facts are about places (``pairs``) and these lie over the input.

    A dot lies in its cell of the grid, not in the middle of what the place sees: boxes overlap and
    are clipped at the border, cells are not.
    """
    if page.model.grid is None:
        return []
    places = Counter(fact.location for fact in page.facts if fact.kind == "pair" and fact.location)
    most = max(places.values(), default=0)
    height, width = page.picture.shape[:2]
    tall, wide = (
        side * scale / cells for side, cells in zip((height, width), page.model.grid, strict=True)
    )
    return [
        Dot(
            x=round((column + 0.5) * wide, 1),
            y=round((row + 0.5) * tall, 1),
            radius=round(0.46 * min(tall, wide) * (0.45 + 0.55 * (count / most) ** 0.5), 1),
            count=count,
        )
        for (row, column), count in sorted(places.items())
    ]


def bars_of(margins: Sequence[PageMargin]) -> list[Bar]:
    """The margins as bars, the smallest first."""
    longest = max((abs(margin.observed) for margin in margins), default=0.0) or 1.0

    def length(value: float | None) -> float:
        return 0.0 if value is None or value <= 0 else round(min(100 * value / longest, 100.0), 2)

    ordered = sorted(margins, key=lambda margin: margin.observed)
    return [
        Bar(m.rival, m.observed, m.proved, length(m.observed), length(m.proved)) for m in ordered
    ]


def _groups(facts: Sequence[PageFact], noun: str) -> list[Group]:
    """Pair facts by location, everything else by the prototype's class, in first-seen order."""
    groups: dict[str, list[tuple[int, PageFact]]] = {}
    for number, fact in enumerate(facts, 1):
        groups.setdefault(_group_title(fact, noun), []).append((number, fact))
    return [Group(title, tuple(members)) for title, members in groups.items()]


def _group_title(fact: PageFact, noun: str) -> str:
    if fact.kind == "ceiling":
        return f"All other {noun}s"
    if fact.kind == "pair" and fact.location is not None:
        return f"At {fact.place or 'row {}, column {}'.format(*fact.location)}"
    many = f"{noun.capitalize()}s"
    return many if fact.class_ is None else f"{many} of “{label(fact.class_)}”"
