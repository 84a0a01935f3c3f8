"""Latents that are predicted otherwise, and what they show: witnesses, contrasts, size bounds.

A latent is written as the locations that moved, each with its coordinates over a denominator of its
own. What it breaks the kernel finds out itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from protoproof.certificate.schema import Core, Move, SizeBound
from protoproof.certificate.trees import Cover, Packing
from protoproof.kernel.latent.contrast import contrasts
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.latent.size import Clause, clauses, concluded, ranked
from protoproof.kernel.latent.witness import materialise

Tokens = list[str | int]


class Points:
    """Writes what latents of a domain show."""

    def __init__(self, core: Core, latent: Latent, where: LatentDomain) -> None:
        self._core, self._latent, self._where = core, latent, where

    def lines(self) -> Iterator[str]:
        """The three sections of a proof, each with its number of entries."""
        for word, entries in (
            ("witnesses", self._witnesses()),
            ("contrasts", self._contrasts()),
            ("sizes", self._sizes()),
        ):
            yield f"{word} {len(entries)}"
            yield from (" ".join(map(str, tokens)) for tokens in entries)

    def _moved(self, moves: Sequence[Move]) -> Tokens:
        points = materialise(self._latent, self._where, moves)
        tokens: Tokens = [len(points)]
        for location, point in points.items():
            unit = point.denominator << self._latent.shift
            shared = math.gcd(unit, *point.numerators)
            tokens += [location, unit // shared, *(n // shared for n in point.numerators)]
        return tokens

    def _witnesses(self) -> list[Tokens]:
        return [[w.fact, w.rival, *self._moved(w.moves)] for w in self._core.witnesses]

    def _contrasts(self) -> list[Tokens]:
        stated = self._core.contrasts
        found = contrasts(self._core, self._where, self._latent)
        return [
            [claim.rival, claim.count, *self._moved(entry.moves)]
            for claim, entry in zip(found, stated, strict=True)
        ]

    def _sizes(self) -> list[Tokens]:
        core, bound = self._core, self._core.size_bound
        if bound is None:
            return []
        found = clauses(core, self._where, self._latent)
        least = concluded(core, found, self._latent.head.prototype_count)
        level = "values" if self._latent.head.uniform else "activations"
        order = ranked(self._latent)
        how: Tokens = ["distinctions"]
        if core.vocabulary == "topk":
            how = self._top(bound, found, order)
        else:
            how.append(len(bound.refutations))
            for entry in bound.refutations:
                how += [entry.rival, *self._moved(entry.moves)]
            how.append(len(bound.covers))
            for cover in bound.covers:
                how += self._cover(cover, order)
        return [[least, core.vocabulary, level, *how]]

    def _top(self, bound: SizeBound, found: Sequence[Clause], order: Sequence[int]) -> Tokens:
        """The refutation of the most names, and the one that is the last of so many."""
        count, index = max(((len(c.ceilings), -i) for i, c in enumerate(found)), default=(0, 0))
        if not count:
            return ["top", "none"]
        best = bound.refutations[-index]
        return ["top", "by", best.rival, *self._moved(best.moves), order[count - 1]]

    def _cover(self, cover: Cover, order: Sequence[int]) -> Tokens:
        """Ceilings are numbered by rank in certificates, and by the prototype of that rank here."""
        first, last = cover.ceilings or (0, -1)
        ceilings = order[first : last + 1]
        tokens: Tokens = [len(ceilings), *ceilings]
        head = self._latent.head
        ranks = (head.location_count + 1) * head.prototype_count
        for node in cover.nodes:
            if isinstance(node, Packing):
                tokens += ["packing", node.scale, len(node.weights)]
                tokens += [n for pair in node.weights for n in pair]
            elif self._core.vocabulary == "mixed" and 0 <= node.fact - ranks < len(order):
                tokens += ["branch", ranks + order[node.fact - ranks]]
            else:
                tokens += ["branch", node.fact]
        return tokens
