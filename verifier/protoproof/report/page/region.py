"""The page of one region of inputs: what is proved over which region, and what may change in it.

No verdict is computed here: verdicts, bounds and claims are copied from the answer or from the
certificate's check.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from protoproof.certificate.schema import About, Core, Envelope
from protoproof.report.page.build import page_check, sentences
from protoproof.report.page.html import rendered
from protoproof.report.page.images import LARGE, data_uri
from protoproof.report.page.kept import PageKept, kept_words
from protoproof.report.page.page import (
    Image,
    PageCertificate,
    PageCheck,
    PageMade,
    PageMargin,
    PageModel,
    PageTruth,
)
from protoproof.report.page.text import label
from protoproof.report.page.told import date_words, told_command
from protoproof.report.page.view import bars_of
from protoproof.report.page.words import REGION_LEVELS, claims_words, limits_words, region_help

if TYPE_CHECKING:
    from protoproof.kernel import CheckReport

_LISTED = 20  # prototypes that one sentence names
_ONE = {
    "linf": "All inputs of which no number differs from the one shown by more than {0}",
    "l2": "All inputs whose Euclidean distance to the one shown is at most {0}",
    "shift": "The input shown, moved by up to {0} whole pixels along both axes",
    "brightness": "The input shown, with up to {0} added to, or taken from, all its numbers alike",
}
_BOTH = "{0}, after all of them were multiplied by the same factor of 1 minus to plus {1}"


@dataclass(frozen=True)
class PageRadius:
    """The largest radius that was proved and the smallest that was refuted, in words."""

    kind: str
    proved: str | None
    refuted: str | None


@dataclass(frozen=True)
class PageTop:
    """Which of the ``k`` most activated prototypes stay, and which may leave or join."""

    k: int
    certain: tuple[int, ...]
    may_leave: tuple[int, ...]
    may_join: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class PageAttack:
    """The best that a search for a counterexample came to.

    ``margin`` is the smallest that was seen, over ``rival``, among ``tried`` inputs that ran;
    ``picture`` is the input that has it, ``largest`` the largest change of one of its numbers.
    """

    margin: float
    rival: str
    tried: int
    picture: Image
    largest: float


@dataclass(frozen=True, eq=False)
class RegionPage:
    """Everything on the page of one region.

    Attributes:
        region: as it was typed.
        inputs: which inputs these are, in a sentence.
        unit: in what the region's size is measured; empty where it has none.
        verdict: ``proved``, ``conditional``, ``refuted``, ``unknown`` or, of a certificate that is
            false, ``rejected``; with its ``reason``.
        instead: what the counterexample is predicted as; empty where there is none.
        margins: one per rival: at the centre, and proved over the region.
        stages: (what was tried, what came of it, seconds).
        certificates: the claim needs all of them.
        seconds: for the whole answer; None where nobody measured it.
    """

    model: PageModel
    picture: Image
    input_name: str
    predicted: str
    region: str
    inputs: str
    verdict: str
    reason: str
    margins: tuple[PageMargin, ...]
    unit: str = ""
    truth: PageTruth = field(default_factory=PageTruth)
    made: PageMade = field(default_factory=PageMade)
    instead: str = ""
    attack: PageAttack | None = None
    kept: PageKept | None = None
    radius: PageRadius | None = None
    top: PageTop | None = None
    stages: tuple[tuple[str, str, float], ...] = ()
    proved: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    not_proved: tuple[str, ...] = ()
    check: PageCheck | None = None
    certificates: tuple[PageCertificate, ...] = ()
    seconds: float | None = None


def region_sentence(region: str) -> str:
    """Which inputs ``linf:0.02`` and the like are about an input that is shown."""
    kind, _, body = region.partition(":")
    numbers = body.split(",")
    if kind == "occlude" and len(numbers) == 4:
        row, column, height, width = numbers
        return (
            f"The input shown, whatever stands in {height} × {width} pixels from row {row}, "
            f"column {column}."
        )
    if kind == "occlude" and len(numbers) == 3:
        return (
            f"The input shown, whatever stands within {numbers[2]} pixels of row {numbers[0]}, "
            f"column {numbers[1]}."
        )
    if kind == "keep":
        return f"The input shown, and all that have {label(body)}."
    if kind in _ONE and re.fullmatch(r"[0-9.eE/,-]+", body):
        text = _ONE[kind].format(numbers[0])
        if kind == "brightness" and len(numbers) > 1 and numbers[1] != "0":
            text = _BOTH.format(text, numbers[1])
        return f"{text}, as far as inputs may have such values."
    return f"All inputs of the region {label(region)}."


def from_check(
    envelopes: Sequence[Envelope], checks: Sequence[CheckReport], predicted: str
) -> dict[str, Any]:
    """The parts of a page that certificates and their checks fill; of several, all that they need.

    Nothing is proved without a certificate.
    """
    if not envelopes:
        return {"not_proved": ("Anything about the other inputs of the region.",)}
    core, met = envelopes[0].core, all(check.met for check in checks)
    claims = [
        text for e, c in zip(envelopes, checks, strict=True) for text in _claims(e, c, predicted)
    ]
    conditions = tuple(dict.fromkeys(c for check in checks for c in check.conditions))
    resting = dict.fromkeys(a for check in checks for a in check.assumptions)
    return {
        "proved": tuple(dict.fromkeys(claims)) if met else (),
        "conditions": sentences(conditions),
        "assumptions": sentences(a for a in resting if a not in conditions),
        "not_proved": limits_words(core, 0, 0, None),
        "check": page_check(checks[0]),
    }


def made_of(about: About) -> PageMade:
    """When and how an answer was made."""
    return PageMade(date_words(about.created), told_command(about.command))


def _claims(envelope: Envelope, check: CheckReport, predicted: str) -> tuple[str, ...]:
    of_tiles = kept_words(envelope.core, check.claims, predicted)
    return *claims_words(envelope.core, check.claims, predicted), *of_tiles


def page_margins(
    core: Core, check: CheckReport, observed: dict[int, float], names: Sequence[str]
) -> tuple[PageMargin, ...]:
    """Per rival: the margin at the centre, and the one that is proved over the region."""
    proved = dict(check.margins) if check.met else {}
    return tuple(
        PageMargin(names[k], observed[k], proved.get(k))
        for k in core.rivals
        if k in observed  # a false certificate may name the observed class a rival
    )


def render_region(page: RegionPage) -> str:
    """The page as HTML text (encode it as UTF-8). It has no script.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    height, width = page.picture.shape[:2]
    proved = [margin.proved for margin in page.margins if margin.proved is not None]
    return rendered(
        "region.html.j2",
        {
            "page": page,
            "picture": data_uri(page.picture, LARGE),
            "kept": None if page.kept is None else data_uri(page.kept.picture, LARGE),
            "attacked": None if page.attack is None else data_uri(page.attack.picture, LARGE),
            "small": max(height, width) <= 128,
            "bars": bars_of(page.margins),
            "weakest": min(proved, default=None),
            "closest": min(page.margins, key=lambda margin: margin.observed, default=None),
            "level": REGION_LEVELS["R"],
            "further": region_help(page.verdict, page.reason),
            "listed": _LISTED,
        },
    )
