"""How a region is certified. One frozen object travels from whoever asks to all stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypedDict

from protoproof.errors import UsageError
from protoproof.region.bounds.names import METHODS, SLOPES, SPLIT, UNITS

if TYPE_CHECKING:
    from protoproof.certificate.schema import Core

WAYS = ("auto", *UNITS, SLOPES, SPLIT, "branch", *METHODS)
TOP = 10


class CertifyKeywords(TypedDict, total=False):
    """The fields of :class:`CertifyOptions`, as keywords of the calls that build them."""

    method: str
    expected: int | None
    falsify: bool
    seed: int
    timeout: float
    top: int
    explanation: Core | Literal["region"] | None
    keep: int | None


@dataclass(frozen=True)
class CertifyOptions:
    """How to decide one region.

    Attributes:
        method: ``auto`` (intervals, then ``linear``, ``split`` which begins with ``linear-slopes``,
            and ``branch`` where few quantities vary; the checker replays all), or the one to try
            after intervals: any of these or ``linear-deep``, or by auto_LiRPA ``crown-ibp``,
            ``crown``, ``alpha-crown``; ``interval`` tries no other.
        expected: the class that must be predicted; None for that of the centre.
        falsify: search counterexamples first.
        seed: of the falsifier.
        timeout: seconds after which no further stage starts, nor a further round of cuts.
        top: k of the top-k sets.
        explanation: prove that the facts of this explanation of the centre hold all over the region
            (with wider intervals if need be); ``region``: of facts that are chosen for it. No other
            method is tried then.
        keep: find few tiles of so many pixels, squared, that force the class if they stay as they
            are, while the rest moves in the region (``linf`` only). With an ``explanation`` of the
            centre: the tiles that each of its facts needs, and all of them together.

    Raises:
        UsageError: an unknown method; tiles of no pixel, or with facts chosen for a region.
    """

    method: str = "auto"
    expected: int | None = None
    falsify: bool = True
    seed: int = 0
    timeout: float = 60.0
    top: int = TOP
    explanation: Core | Literal["region"] | None = None
    keep: int | None = None

    def __post_init__(self) -> None:
        if self.method not in WAYS:
            raise UsageError(f"--method {self.method}: unknown; use " + ", ".join(WAYS))
        if self.keep is not None and (self.keep < 1 or self.explanation == "region"):
            raise UsageError(
                "--keep: tiles of 1 pixel or more; and --explanation names a certificate then"
            )
