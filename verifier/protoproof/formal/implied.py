"""Implied bounds as steps: what an activation fact about one prototype says about another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from protoproof.certificate.schema import ImpliedBound
from protoproof.formal.script import Ref
from protoproof.kernel.arithmetic.exact import Ratio, hex_ratio
from protoproof.kernel.latent.rows import angular_row, implied_bounds
from protoproof.kernel.model.head import Head


def implied_steps(
    head: Head,
    entries: Sequence[ImpliedBound],
    ends: Mapping[int, Ratio],
    refs: Mapping[int, Ref],
) -> Iterator[tuple[int, int, list[str | int | Ref]]]:
    """(j, upper bound of t_j, step) per entry.

    Args:
        ends: by prototype, the upper end of what is known about it; ``refs``: the premise.
    """
    if not entries:
        return
    head.gram_rows(entry.via for entry in entries)
    for entry, (j, bound) in zip(entries, implied_bounds(head, entries, ends), strict=True):
        stretch, unit = hex_ratio(entry.stretch)
        s, t, ball = -unit, stretch + unit, 0
        if head.geometry == "angular":
            t, ball = angular_row(head, entry, stretch, unit)
            s = -(t // stretch) * unit
        yield j, bound, ["implied", j, entry.via, refs[entry.via], s, t, ball]
