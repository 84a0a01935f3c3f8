"""The tiles of an input that have to stay, as a picture and in words, from a certificate's claims.

What may move is laid under a grey veil, so that what is left to see is what forces the class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate.input_region import KeptRegion
from protoproof.certificate.schema import Core, ReachDomain
from protoproof.kernel.claims import Claim, MinimalTiles, NecessaryTile, Robust
from protoproof.kernel.encoder.input_region import as_typed, tile_count, tiles_of
from protoproof.network.layout import planes
from protoproof.report.page.page import Image
from protoproof.report.page.words import predicted_words
from protoproof.wording import plural

_VEIL = np.array([150.0, 160.0, 190.0])
_SHOWN = 0.15  # of what is below the veil


@dataclass(frozen=True, eq=False)
class PageKept:
    """The picture with what may move under a veil, a sentence, and the tiles of every fact."""

    picture: Image
    sentence: str
    facts: tuple[str, ...] = ()


def kept_region(core: Core) -> KeptRegion | None:
    """The region of a certificate that says which tiles have to stay, or None.

    They force the class, or all facts, and these the class.
    """
    region = core.domain.region if isinstance(core.domain, ReachDomain) else None
    if core.facts:
        region = core.holds
    return region if isinstance(region, KeptRegion) else None


def kept_words(core: Core, claims: Sequence[Claim], predicted: str) -> tuple[str, ...]:
    """What is proved of the kept tiles, in sentences; nothing where the certificate has none, or
    where it is not proved that they force the class."""
    region = kept_region(core)
    if region is None or not any(isinstance(claim, Robust) for claim in claims):
        return ()
    width = Fraction(float.fromhex(region.high)) - Fraction(float.fromhex(region.low))
    free = Fraction(region.radius) >= width
    near = as_typed(region.radius)
    rest = "every content of the rest" if free else f"every rest within {near} of what it shows"
    count, tiles = len(region.kept), tile_count(region)
    word = "pixel" if region.tile == 1 else "tile"
    sizes = "" if region.tile == 1 else f" of {region.tile} × {region.tile} pixels"
    is_so = predicted_words(core, predicted)
    if core.facts:
        facts = "the fact" if len(core.facts) == 1 else f"all {len(core.facts):,} facts"
        is_so = f"meets {facts}, and so {is_so}"
    if not count:
        where = "Whatever the input shows" if free else f"Every input within {near} of it"
        return (f"Nothing has to stay: {where[0].lower()}{where[1:]} {is_so}.",)
    stays = f"{plural(count, word)} of {tiles:,}{sizes}"
    first = f"If {stays} stay as they are, then for {rest} the input {is_so}."
    if count == tiles:  # nothing is left that could move
        first = f"All {plural(count, word)}{sizes} stay: nothing is proved of any other input."
    shown = sum(isinstance(claim, NecessaryTile) for claim in claims)
    if any(isinstance(claim, MinimalTiles) for claim in claims):
        more = f"Minimal: for each of these {word}s, an input that differs only in it and in the "
        return first, more + "rest is classified differently."
    if shown:
        are = "is" if shown == 1 else "are"
        more = f"{shown} of them {are} shown to be necessary: for each, an input that differs only "
        more += f"in it and in the rest is classified differently. Of {count - shown} it is open."
        return first, more
    return first, f"Whether fewer {word}s would do is open."


def tiles_words(tiles: Sequence[int], columns: int) -> str:
    """Such as: 2 tiles (row 0: 3; row 1: 2), rows and columns of tiles counted from 0."""
    rows: dict[int, list[str]] = {}
    for tile in tiles:
        rows.setdefault(tile // columns, []).append(str(tile % columns))
    listed = "; ".join(f"row {row}: {', '.join(found)}" for row, found in rows.items())
    return plural(len(tiles), "tile") + (f" ({listed})" if listed else "")


def page_kept(
    core: Core,
    claims: Sequence[Claim],
    predicted: str,
    picture: Image,
    facts: tuple[str, ...] = (),
) -> PageKept | None:
    """The section of a page; None where nothing is proved of kept tiles.

    ``facts``: per fact, which tiles it needs.
    """
    sentences, region = kept_words(core, claims, predicted), kept_region(core)
    if not sentences or region is None:
        return None
    stays = np.isin(np.array(tiles_of(region)), region.kept).reshape(region.shape)
    return PageKept(veiled(picture, stays), " ".join(sentences), facts)


def veiled(picture: Image, stays: NDArray[np.bool_]) -> Image:
    """A picture of an input with the pixels that do not stay under a veil; of another size than
    the input, the picture as it is."""
    seen = planes(stays)
    if seen is None or seen.shape[1:] != picture.shape[:2]:
        return picture
    colour = picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2)
    veil = _VEIL * (1 - _SHOWN) + _SHOWN * colour
    return np.where(seen[0][:, :, None], colour, np.rint(veil)).astype(np.uint8)
