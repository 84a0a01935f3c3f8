"""What ``certify --keep`` prints: which tiles have to stay, in words and as a small map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from protoproof.cli.terminal import safe

if TYPE_CHECKING:
    from protoproof.certification.result import Certified
    from protoproof.network import Network

_WIDEST = 64  # tiles in a row of the map
_FACTS = 12


def print_tiles(out: Any, network: Network, result: Certified) -> None:
    """Of an answer that has tiles."""
    from protoproof.report.page.kept import kept_words

    tiles = result.tiles
    if tiles is None:
        return
    claims, core = result.checks[0].claims, result.certificates[0].core
    for sentence in kept_words(core, claims, result.predicted_name):
        out.print(f"stays       {safe(sentence)}", highlight=False)
    if tiles.facts:
        from protoproof.report.files.region_files import facts_with_tiles

        for told in facts_with_tiles(network, result)[:_FACTS]:
            out.print(f"  - {safe(told)}", highlight=False)
        if len(tiles.facts) > _FACTS:
            out.print(f"  - and {len(tiles.facts) - _FACTS} more facts (see the page)")
    rows, columns = tiles.region.grid
    if not tiles.region.kept or columns > _WIDEST:
        return
    marks = dict.fromkeys(tiles.region.kept, "o") | dict.fromkeys(tiles.necessary, "#")
    for row in range(rows):
        line = (marks.get(k, ".") for k in range(row * columns, (row + 1) * columns))
        out.print("            " + "".join(line), highlight=False)
    out.print("            # stays, and is necessary; o stays; . may move", highlight=False)
