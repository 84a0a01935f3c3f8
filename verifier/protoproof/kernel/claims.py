"""What a certificate proves, as theorems: frozen values that only the rules below and the
obligations make. Each carries its hypotheses, so that nothing is concluded by leaving them out.

An obligation establishes one of the first kind from what it examined; the functions conclude
others from those. Strings (``str(claim)``) are for files and people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from protoproof.certificate.input_region import InputRegion, KeptRegion
from protoproof.certificate.schema import Domain, Fact


@dataclass(frozen=True)
class Sufficient:
    """Every latent of the domain that meets the facts is predicted as recorded.

    ``level``: R, by the head over the real numbers; F, also by every float32 execution of the head
    that the certificate speaks about, on a latent of float32 numbers.
    """

    domain: Domain
    facts: tuple[Fact, ...]
    level: Literal["R", "F"] = "R"

    def __str__(self) -> str:
        return "sufficient" if self.level == "R" else "sufficient:F"


@dataclass(frozen=True)
class Necessary:
    """A latent that meets all facts but this one is predicted as another class."""

    fact: int
    rival: int

    def __str__(self) -> str:
        return f"necessary:{self.fact}"


@dataclass(frozen=True)
class Superfluous:
    """Every latent of the domain that meets all facts but this one is predicted as recorded, by the
    head over the real numbers. (Leaving out two such facts may be too much.)"""

    fact: int

    def __str__(self) -> str:
        return f"superfluous:{self.fact}"


@dataclass(frozen=True)
class Robust:
    """Every input of the region is predicted as recorded."""

    region: InputRegion

    def __str__(self) -> str:
        return "robust"


@dataclass(frozen=True)
class Held:
    """Every input of the region meets the facts. (A step of a proof; no claim by itself.)"""

    region: InputRegion
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class RobustExplanation:
    """Every input of the region meets the facts, and is predicted as recorded for that reason."""

    region: InputRegion

    def __str__(self) -> str:
        return "robust-explanation"


@dataclass(frozen=True)
class NecessaryTile:
    """An input that differs from the recorded one only in what the region lets move and in this
    tile, which the region keeps, is predicted as another class."""

    tile: int
    rival: int

    def __str__(self) -> str:
        return f"necessary-tile:{self.tile}"


@dataclass(frozen=True)
class MinimalTiles:
    """None of the tiles that the region keeps can be left out."""

    region: KeptRegion

    def __str__(self) -> str:
        return "minimal-tiles"


@dataclass(frozen=True)
class SubsetMinimal:
    """No fact of the explanation can be left out."""

    facts: tuple[Fact, ...]

    def __str__(self) -> str:
        return "subset-minimal"


@dataclass(frozen=True)
class AtLeast:
    """No explanation in this vocabulary and domain has fewer facts."""

    count: int

    def __str__(self) -> str:
        return f"at-least:{self.count}"


@dataclass(frozen=True)
class MinimumSize:
    """The explanation has as few facts as any."""

    count: int

    def __str__(self) -> str:
        return "minimum-size"


@dataclass(frozen=True)
class Contrast:
    """A latent that meets all pair facts but so many is predicted as the rival."""

    rival: int
    count: int

    def __str__(self) -> str:
        return f"contrast:{self.rival}:{self.count}"


@dataclass(frozen=True)
class Alike:
    """Another reading of the tree predicts the same class: at the recorded latent, or, where it is
    proved ``everywhere``, at every latent of the domain that meets the facts."""

    routing: str
    everywhere: bool

    def __str__(self) -> str:
        return f"{'alike' if self.everywhere else 'alike-here'}:{self.routing}"


Claim = (
    Sufficient
    | Alike
    | Necessary
    | Superfluous
    | Robust
    | RobustExplanation
    | NecessaryTile
    | MinimalTiles
    | SubsetMinimal
    | AtLeast
    | MinimumSize
    | Contrast
)


def robust_explanation(sufficient: Sufficient, held: Held) -> tuple[Robust, RobustExplanation]:
    """The facts force the class, and hold over the region, whose latents the domain contains.

    Raises:
        ValueError: the two are about different facts.
    """
    if sufficient.facts != held.facts:
        raise ValueError("theorems about different facts")
    return Robust(held.region), RobustExplanation(held.region)


def subset_minimal(
    sufficient: Sufficient, necessary: Sequence[Necessary]
) -> tuple[SubsetMinimal, ...]:
    """All facts suffice, and without any one they do not. Nothing is minimal where none is."""
    every = {claim.fact for claim in necessary} == set(range(len(sufficient.facts)))
    return (SubsetMinimal(sufficient.facts),) if sufficient.facts and every else ()


def minimal_tiles(robust: Robust, necessary: Sequence[NecessaryTile]) -> tuple[MinimalTiles, ...]:
    """The kept tiles force the class, and without any one they do not; see ``released``."""
    region = robust.region
    if not isinstance(region, KeptRegion) or not region.kept:
        return ()
    every = {claim.tile for claim in necessary} == set(region.kept)
    return (MinimalTiles(region),) if every else ()


def minimum_size(sufficient: Sufficient, least: AtLeast) -> tuple[MinimumSize, ...]:
    """These facts suffice, and no fewer do. Nothing is of minimum size where there is no fact."""
    count = len(sufficient.facts)
    return (MinimumSize(count),) if count and least.count == count else ()


def about_latent(claim: Claim) -> bool:
    """Whether a claim is about the recorded latent, so that it is one about the input only if that
    is what the encoder computes. Others are about inputs, or about all latents of a domain."""
    if isinstance(claim, Sufficient):
        return bool(claim.facts)
    if isinstance(claim, Alike):
        return not claim.everywhere
    return not isinstance(claim, Robust | NecessaryTile | MinimalTiles)


def words(claims: Sequence[Claim]) -> tuple[str, ...]:
    """The claims as files and command lines spell them."""
    return tuple(map(str, claims))
