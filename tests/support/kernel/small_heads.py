"""Heads of three prototypes in two channels, of integers that can be seen at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from protoproof.kernel.model.chain import Chain, Step
from protoproof.kernel.model.decision import Decision
from protoproof.kernel.model.head import Head, Length, Pooling

CHANNELS = 2
# [P, D] over 4 (or what is asked for), and [P, D] over 8
PROTOTYPES = [[3, -5], [-2, 7], [1, 1]]
SCALES = [[1, 6], [9, 0], [3, 2]]
FALLS = Chain([Step("mul", (Fraction(-1),))])
_NONE, _NEAREST = Fraction(0), Pooling()


def head_of(
    geometry: str, lengths: Sequence[Length] = (), slack: Fraction = _NONE, count: int = 3,
    pooling: Pooling = _NEAREST, inner: Chain | None = None, chain: Chain = FALLS,
    banks: tuple[list[int], list[int]] = ([0, 0, 0], [0, 0, 0]), zero: bool = True, shift: int = 2,
) -> Head:  # fmt: skip
    """At three locations; ``count``: of the prototypes the first, ``shift``: over ``2**shift``."""
    flat = [n for row in PROTOTYPES[:count] for n in row]
    scales = ([n for row in SCALES[:count] for n in row], 3) if geometry == "diagonal" else None
    decision = Decision("linear", count, [[1] * count, [0] * count], [0, 0], 0)
    return Head(
        geometry, (flat, shift), scales, chain, inner, [pooling] * count, decision, banks[0],  # type: ignore[arg-type]
        banks[1][:count], CHANNELS, lengths, slack, zero, FALLS,
    )  # fmt: skip
