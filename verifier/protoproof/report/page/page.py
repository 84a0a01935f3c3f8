"""What one explanation page says: frozen plain data, filled by the caller, rendered by ``html``.

Nothing here is computed from a proof. Verdicts, bounds and claims are copied from the certificate's
check; the page only shows them. Boxes are rows ``y0`` to ``y1`` and columns ``x0`` to ``x1`` of the
input, ends excluded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from protoproof.formal.portable import PortableProof

Image = UInt8[NDArray[np.uint8], "height width *colour"]
Box = tuple[int, int, int, int]
Kind = Literal["pair", "activation", "ceiling"]
Need = Literal["", "necessary", "superfluous"]


@dataclass(frozen=True, eq=False)
class PageFact:
    """One fact of the explanation, in the certificate's order.

    Attributes:
        kind: ``pair``, ``activation`` or ``ceiling``.
        sentence: the fact in plain words.
        brief: the same where the location is already named; empty if ``sentence`` serves.
        needed: ``necessary``: a witness of it was accepted; ``superfluous``: a proof that the
            others do without it; empty where that is open.
        prototype: its index; None for a ceiling.
        class_: name of the prototype's class, or None.
        patch: the training patch that the prototype is, or None.
        origin: where the patch comes from ("training image 123"), or empty.
        location: (row, column) of the latent grid where the prototype is measured or matches best;
            None where the grid has one location, or all locations count.
        place: the same in words, or empty.
        box: the part of the input that this location sees, or None.
        seen: how strongly, in words ("similarity 0.8"); empty for a ceiling.
        activation: the same as a number, to order facts by.
        contribution: what the prototype adds to the margin over the closest rival, or None.
        likeness: what may be said of ``box`` and ``patch`` (see :mod:`.likeness`).
    """

    kind: Kind
    sentence: str
    brief: str = ""
    needed: Need = ""
    prototype: int | None = None
    class_: str | None = None
    patch: Image | None = None
    origin: str = ""
    location: tuple[int, int] | None = None
    place: str = ""
    box: Box | None = None
    seen: str = ""
    activation: float | None = None
    contribution: float | None = None
    likeness: str = "closest match"


@dataclass(frozen=True)
class PageMargin:
    """Logit of the predicted class minus that of ``rival``: as observed, and as proved.

    Where labels are predicted: how far the label ``rival`` is on its side of its threshold.

    ``proved`` is a lower bound over every latent that meets the facts; None where none was proved.
    """

    rival: str
    observed: float
    proved: float | None


@dataclass(frozen=True)
class PageSize:
    """One vocabulary: its number of facts and of numbers to read (None: no set was found), what
    became of them, and the time it took; only what ``verdict`` calls proved is.

    ``lower_bound`` is a proved lower bound on the number of facts of any explanation in this
    vocabulary, or None.
    """

    vocabulary: str
    facts: int | None
    numbers: int | None
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
    """The checker's answer: ``status`` is accepted, conditional, rejected or incomplete."""

    accepted: bool
    status: str
    obligations: tuple[PageObligation, ...]


@dataclass(frozen=True)
class PageModel:
    """Which network: its name, its file's name and sha256, and as what its head is read.

    ``grid`` is the latent grid (rows, columns) where it lies over the input, else None; ``head``
    the parts of the head's normal form, ``about`` further rows (label, value); ``noun`` what its
    prototypes are called; ``unplaced`` says why no part of the input is shown, or is empty;
    ``signal``: the input is drawn as curves.
    """

    name: str
    sha256: str
    grid: tuple[int, int] | None
    about: tuple[tuple[str, str], ...] = ()
    head: tuple[tuple[str, str], ...] = ()
    noun: str = "prototype"
    unplaced: str = ""
    signal: bool = False
    file: str = ""


@dataclass(frozen=True)
class PageMade:
    """When and how the certificate was made, as its maker recorded it; empty where not."""

    date: str = ""
    command: str = ""


@dataclass(frozen=True)
class PageTruth:
    """What the input is labelled as (None: nobody said), and whether it is predicted so."""

    labelled: str | None = None
    right: bool | None = None


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
        predicted: name of the predicted class; of labels, which are on.
        others: names of all other classes; of labels, those that are explained.
        verdict: ``proved``, ``conditional`` (proved if ``conditions`` hold, which somebody says and
            nobody checked), ``rejected``, ``refuted`` or ``unknown``, with the reason.
        reason: why the verdict is unknown or conditional, or empty.
        vocabulary: which kind of facts: ``topk``, ``ceiling``, ``pairs`` or ``mixed``.
        facts: the explanation.
        numbers: how many a person must read in them.
        margins: one per rival.
        sizes: every vocabulary that was tried.
        domain: the set of latents that the proof quantifies over, in words.
        level: the semantics level, in one sentence.
        proved: what is proved, in sentences.
        assumptions: what the proof rests on, in sentences.
        not_proved: what is left open, in sentences.
        check: the checker's answer, or None where there was nothing to check.
        certificate: the certificate's file, or None where there is none.
        seconds: time for the whole explanation; None where nobody measured it.
        notes: further sections.
        scope: which latents the headline is about, as the beginning of a sentence.
        conditions: what the proof rests on by somebody's word, in sentences.
        labels: whether labels are predicted, each by itself, and no class.
        one_leaf: whether one leaf of a tree decides, so that margins are of shares.
        statement: the SHA-256 of what is claimed, as integers; empty where there is none.
        portable: what the page proves again in a browser; None for a page without scripts.
        truth: whether the prediction is right, which no proof says.
        made: when and how the certificate was made.
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
    seconds: float | None
    notes: tuple[PageNote, ...] = ()
    scope: str = "Whatever else the network may have seen"
    conditions: tuple[str, ...] = ()
    labels: bool = False
    one_leaf: bool = False
    statement: str = ""
    portable: PortableProof | None = None
    truth: PageTruth = PageTruth()
    made: PageMade = PageMade()
    numbers: int | None = None

    def with_proof(self, portable: PortableProof) -> ExplanationPage:
        """The page that says its statement and, where a proof was wanted, proves it again."""
        wanted = portable if portable.proof or portable.reason else None
        return replace(self, statement=portable.sha256, portable=wanted)
