"""What one explanation page says: frozen plain data, filled by the caller, rendered by ``html``.

Nothing here is computed from a proof. Verdicts, bounds and claims are copied from the certificate's
check; the page only shows them. Squared distances are squared L2; boxes are rows ``y0`` to ``y1``
and columns ``x0`` to ``x1`` of the input, ends excluded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

Image = UInt8[NDArray[np.uint8], "height width *colour"]
Box = tuple[int, int, int, int]
Kind = Literal["pair", "activation", "ceiling"]


@dataclass(frozen=True, eq=False)
class PageFact:
    """One fact of the explanation, in the certificate's order.

    Attributes:
        kind: ``pair``, ``activation`` or ``ceiling``.
        sentence: the fact in plain words.
        brief: the same where the location is already named; empty if ``sentence`` serves.
        necessary: a witness of it was accepted; False means that its necessity is open.
        prototype: its index; None for a ceiling.
        class_: name of the prototype's class, or None.
        patch: the training patch that the prototype is, or None.
        origin: where the patch comes from ("training image 123"), or empty.
        location: (row, column) of the latent grid where the prototype is measured or matches best;
            None where the grid has one location.
        box: the part of the input that this location sees, or None.
        similarity: observed similarity; for a ceiling the largest one that it permits.
        squared_distance: observed; for a ceiling the smallest one that it permits.
        interval: squared distances that the fact permits (lower, upper), infinity included.
        contribution: what the prototype adds to the margin over the closest rival, or None.
    """

    kind: Kind
    sentence: str
    brief: str = ""
    necessary: bool = False
    prototype: int | None = None
    class_: str | None = None
    patch: Image | None = None
    origin: str = ""
    location: tuple[int, int] | None = None
    box: Box | None = None
    similarity: float | None = None
    squared_distance: float | None = None
    interval: tuple[float, float] | None = None
    contribution: float | None = None


@dataclass(frozen=True)
class PageMargin:
    """Logit of the predicted class minus that of ``rival``: as observed, and as proved.

    ``proved`` is a lower bound over every latent that meets the facts; None where none was proved.
    """

    rival: str
    observed: float
    proved: float | None


@dataclass(frozen=True)
class PageSize:
    """One vocabulary that was tried: its number of facts (None: no proof) and the time it took.

    ``lower_bound`` is a proved lower bound on the number of facts of any explanation in this
    vocabulary, or None.
    """

    vocabulary: str
    facts: int | None
    verdict: str
    seconds: float
    lower_bound: int | None = None


@dataclass(frozen=True)
class PageObligation:
    """One numbered obligation of the checker; ``passed`` None means that it was not run."""

    number: int
    name: str
    passed: bool | None
    detail: str = ""


@dataclass(frozen=True)
class PageCheck:
    """The checker's answer: ``status`` is accepted, rejected or incomplete."""

    accepted: bool
    status: str
    obligations: tuple[PageObligation, ...]


@dataclass(frozen=True)
class PageModel:
    """Which network: its name, the sha256 of its file, and how its head was bound to the graph.

    ``grid`` is the latent grid (rows, columns); ``about`` holds further rows (label, value).
    """

    name: str
    sha256: str
    binding: str
    grid: tuple[int, int]
    about: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class PageCertificate:
    """The certificate's file name, its sha256, and the command that checks it again."""

    name: str
    sha256: str
    recheck: str


@dataclass(frozen=True)
class PageList:
    """A list that is folded away: its title, its lines, and what stands below them, if anything."""

    title: str
    items: tuple[str, ...]
    footer: str = ""


@dataclass(frozen=True, eq=False)
class PageNote:
    """Something besides the explanation: a title, sentences, pictures with captions, lists."""

    title: str
    sentences: tuple[str, ...]
    pictures: tuple[tuple[Image, str], ...] = ()
    lists: tuple[PageList, ...] = ()


@dataclass(frozen=True, eq=False)
class ExplanationPage:
    """Everything on the page of one explanation.

    Attributes:
        title: the page's heading.
        model: the network.
        picture: the input as an image, [h, w] or [h, w, 3].
        input_name: what the user called the input.
        predicted: name of the predicted class.
        others: names of all other classes.
        verdict: ``proved``, ``refuted`` or ``unknown``, with the reason of an unknown one.
        reason: why the verdict is unknown, or empty.
        vocabulary: which kind of facts: ``topk``, ``ceiling``, ``pairs`` or ``mixed``.
        facts: the explanation.
        margins: one per rival.
        sizes: every vocabulary that was tried.
        domain: the set of latents that the proof quantifies over, in words.
        level: the semantics level, in one sentence.
        proved: what is proved, in sentences.
        assumptions: what the proof rests on, in sentences.
        not_proved: what is left open, in sentences.
        check: the checker's answer, or None where there was nothing to check.
        certificate: the certificate's file, or None where there is none.
        seconds: time for the whole explanation.
        notes: further sections.
        scope: which latents the headline is about, as the beginning of a sentence.
    """

    title: str
    model: PageModel
    picture: Image
    input_name: str
    predicted: str
    others: tuple[str, ...]
    verdict: str
    reason: str
    vocabulary: str
    facts: tuple[PageFact, ...]
    margins: tuple[PageMargin, ...]
    sizes: tuple[PageSize, ...]
    domain: str
    level: str
    proved: tuple[str, ...]
    assumptions: tuple[str, ...]
    not_proved: tuple[str, ...]
    check: PageCheck | None
    certificate: PageCertificate | None
    seconds: float
    notes: tuple[PageNote, ...] = ()
    scope: str = "Whatever else the network may have seen"
