"""How a prediction is explained. One frozen object travels from whoever asks to whoever searches.

Nothing of the prover is imported here but its words, so that options are read and refused before
anything is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from protoproof.errors import UsageError
from protoproof.extras import require
from protoproof.prover.search.names import (
    ENUMERABLE,
    VOCABULARIES,
    require_oracle,
    require_vocabulary,
    shown,
)

if TYPE_CHECKING:
    from protoproof.prover.latent.domain import Domain

MINIMAL = ("subset", "minimum", "all")
LEVELS = ("auto", "R", "F")


class ExplainKeywords(TypedDict, total=False):
    """The fields of :class:`ExplainOptions`, as keywords of the calls that build them."""

    vocabulary: str
    domain: str | Domain
    oracle: str
    witnesses: bool
    widen: bool
    minimal: str
    timeout: float | None
    label: str | None
    level: str
    compare: bool
    for_reading: bool


@dataclass(frozen=True)
class ExplainOptions:
    """How to explain one prediction.

    Attributes:
        vocabulary: ``auto`` (the smallest over all), ``topk``, ``ceiling``, ``mixed`` or ``pairs``;
            for trees also ``path``.
        domain: ``free``, ``box``, ``sphere``, ``ball`` or ``simplex`` (what the encoder's last
            operator guarantees), a region of inputs (``linf:0.02``), or one of
            ``protoproof.prover.latent``. A dot product has no bounds over all latents: there,
            ``free`` is what the encoder's last operator guarantees.
        oracle: ``auto`` (interval, then relational where that pays), ``triangle``, ``interval`` or
            ``relational`` (never more facts than ``interval``). It bounds pairs; other facts have
            no location and are bounded by intervals. ``branch-and-bound``: all kinds, by cases,
            after ``relational``. Kept as records call them: ``exact`` for ``interval``, ``smt`` for
            ``branch-and-bound``; ``cascade`` is an older word for ``relational``.
        witnesses: search, for every fact, a latent that shows why it is needed.
        widen: give the facts the widest intervals that keep the proof, instead of the recorded
            values.
        minimal: ``subset`` (no single fact can be dropped), ``minimum`` (no smaller set exists, or
            the gap to a proved lower bound is reported), or ``all`` (every minimal set).
        label: of a network that predicts labels, the one to explain (its name or number); None
            explains what all of them are.
        level: ``auto`` (F where the facts that were found prove it as they are, else R), ``R``
            (the head over the real numbers), or ``F`` (any float32 execution of the head: facts are
            searched that prove it, and nothing is an explanation that does not).
        timeout: seconds after which all searches end with what they have: vocabularies, smallest or
            further sets, witnesses, a contrast; None for never. The first proof is sought beyond
            it, except of ``pairs``; what was found is still put into a certificate and checked.
        for_reading: make the numbers least that a person must read, and of sets with as many the
            facts; else the facts, and then the numbers
            (:func:`protoproof.length.numbers`).
        compare: with ``auto``, search every vocabulary to its end and certify each; else only the
            smallest is certified, and what cannot be smaller is not searched.

    Raises:
        UsageError: an unknown vocabulary, oracle, kind of minimality or level; level F over a
            region.
    """

    vocabulary: str = "auto"
    domain: str | Domain = "free"
    oracle: str = "auto"
    witnesses: bool = True
    widen: bool = False
    minimal: str = "subset"
    timeout: float | None = None
    label: str | None = None
    level: str = "auto"
    compare: bool = False
    for_reading: bool = False

    def __post_init__(self) -> None:
        require_vocabulary(self.vocabulary)
        object.__setattr__(self, "oracle", require_oracle(self.oracle))
        if self.minimal not in MINIMAL:
            raise UsageError(f"--minimal {self.minimal}: unknown; use " + ", ".join(MINIMAL))
        if self.compare and self.vocabulary != "auto":
            raise UsageError(
                f"--compare: certifies what --vocabulary auto tries, and --vocabulary "
                f"{self.vocabulary} tries nothing else; leave one of them out"
            )
        if self.for_reading and self.minimal != "subset":
            raise UsageError(
                f"--for-reading: --minimal {self.minimal} counts facts, not numbers; leave one of "
                "them out"
            )
        if self.level not in LEVELS:
            raise UsageError(f"--level {self.level}: unknown; use " + ", ".join(LEVELS))
        if self.level == "F" and isinstance(self.domain, str) and ":" in self.domain:
            raise UsageError(
                f"--level F: claims over a region of inputs ({self.domain}) are at level R, "
                "encoder and head; use --level R, or another --domain"
            )

    def require_installed(self) -> None:
        """Refuse, before any work, what needs packages that are not installed.

        Raises:
            MissingDependencyError: naming them and the command that installs them.
        """
        require("explain", "explaining")
        if self.oracle == "smt":
            require("smt", f"--oracle {shown(self.oracle)}")
        if isinstance(self.domain, str) and ":" in self.domain:
            require("certify", f"--domain {self.domain}")

    def require_one(self) -> None:
        """Refuse a question about all explanations where one is asked for.

        Raises:
            UsageError: ``minimal`` is ``all``.
        """
        if self.minimal == "all":
            raise UsageError(
                "one explanation is asked for: use minimal=subset or minimum, and "
                "protoproof.explanation.alternatives for all of them"
            )

    def require_enumerable(self) -> None:
        """Refuse ``all`` for a vocabulary whose explanations are not enumerated.

        Raises:
            UsageError: ``topk`` or ``ceiling``.
        """
        word = self.vocabulary
        if self.minimal == "all" and word in VOCABULARIES and word not in ENUMERABLE:
            raise UsageError(
                f"--minimal all --vocabulary {word}: all explanations are listed for "
                f"{' and '.join(ENUMERABLE)} (mixed has the facts of topk and ceiling); use one "
                "of these, or auto"
            )
