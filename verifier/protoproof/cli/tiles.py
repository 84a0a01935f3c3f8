"""What ``certify --keep`` prints: which tiles have to stay, in words and as a small map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from protoproof.cli.terminal import safe

if TYPE_CHECKING:
    from protoproof.certification.result import Certified

_WIDEST = 64  # tiles in a row of the map


def print_tiles(out: Any, result: Certified) -> None:
    """Of an answer that has tiles."""
    from protoproof.report.page.kept import kept_words

    tiles = result.tiles
    if tiles is None:
        return
    claims, core = result.checks[0].claims, result.certificates[0].core
    for sentence in kept_words(core, claims, result.predicted_name):
        out.print(f"stays       {safe(sentence)}", highlight=False)
    rows, columns = tiles.region.grid
    if not tiles.region.kept or columns > _WIDEST:
        return
    marks = dict.fromkeys(tiles.region.kept, "o") | dict.fromkeys(tiles.necessary, "#")
    for row in range(rows):
        line = (marks.get(k, ".") for k in range(row * columns, (row + 1) * columns))
        out.print("            " + "".join(line), highlight=False)
    out.print("            # stays, and is necessary; o stays; . may move", highlight=False)
