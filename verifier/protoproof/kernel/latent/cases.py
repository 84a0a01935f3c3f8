"""Margins proved case by case.

Theorem. Let T be a tree whose inner nodes split as ``certificate.splits`` says, and let every leaf
prove margin_k > 0 for all latents of the domain that meet the facts *and* what the path to the
leaf says. Then margin_k > 0 for all latents of the domain that meet the facts.

Proof. Every latent follows a path to some leaf, because the children of each split leave out none:
of two real numbers one is at most the other; t_j is the least of finitely many numbers, so that
some location attains it, a listed one or another. At that leaf the latent meets the path.

What a leaf knows. The path bounds some m_lj, t_j and z_ld. From there on only rules that hold for
any premises are used, the ones that prove a certificate without cases: m_lj >= t_j; m_lj = t_j at
the location that attains it; t_j is at least the least lower bound of the locations that may
attain it and at most every upper bound; rows and forms, whose multipliers charge intervals that
are known. No number is taken from the certificate but thresholds and multipliers. Where a lower
bound exceeds an upper one there is no such latent, and the case needs no further proof.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from protoproof.certificate.cases import (
    CaseTree,
    ChannelSplit,
    DistanceSplit,
    Leaf,
    NearestSplit,
    PlaceSplit,
)
from protoproof.certificate.schema import Core
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import GRID, Ratio, hex_ratio
from protoproof.kernel.latent.bounds import Bounds
from protoproof.kernel.latent.case_bounds import CaseBounds
from protoproof.kernel.latent.case_domain import CaseDomain, EmptyBoxError
from protoproof.kernel.latent.case_tree import Step, leaves
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.lagrangian import Interval
from protoproof.kernel.latent.margins import Ends, Margin, margins
from protoproof.kernel.latent.ranges import box_ranges
from protoproof.kernel.latent.relaxation import Forms, entry_complaints
from protoproof.kernel.latent.rows import (
    Block,
    Intervals,
    block_bounds,
    block_complaints,
    implied_bounds,
    implied_complaints,
)
from protoproof.kernel.model.head import Head

_ONE = 1 << GRID


@dataclass(frozen=True)
class _Pairs:
    """What a case says about every pair (location, prototype), for a leaf's multipliers."""

    head: Head
    bounds: CaseBounds

    def __contains__(self, pair: object) -> bool:
        match pair:
            case (int() as location, int() as prototype):
                head = self.head
                inside = location < head.location_count and prototype < head.prototype_count
                return inside and head.measures(location, prototype)
        return False

    def __getitem__(self, pair: tuple[int, int]) -> Interval:
        ends = self.bounds.at(*pair)
        low, high = (None if end is None else (end, _ONE) for end in ends)
        return low, high


class Cases:
    """The margins that well-formed trees prove under the bounds that hold in every case."""

    def __init__(self, head: Head, core: Core, where: LatentDomain, bounds: Bounds) -> None:
        self._head, self._core, self._where, self._bounds = head, core, where, bounds

    def margin(self, tree: CaseTree) -> Margin:
        """A lower bound of the margin over all cases; it stops at the first that proves none.

        Raises:
            CertificateError: a leaf is malformed, or no case is possible, although the recorded
                latent is in one.
        """
        found: list[Margin] = []
        for index, (path, leaf) in enumerate(leaves(tree.nodes, self._head)):
            try:
                margin = self._leaf(tree.rival, path, leaf)
            except CertificateError as error:
                raise CertificateError(
                    f"case {index} against class {tree.rival}: {error}"
                ) from error
            if margin is None:
                continue
            if margin.sign != 1:
                return Margin(tree.rival, 0, -math.inf)  # others may be lower
            found.append(margin)
        if not found:
            raise CertificateError("contradiction: every case is impossible")
        return Margin(tree.rival, 1, min(margin.lower for margin in found))

    def _leaf(self, rival: int, path: Sequence[Step], leaf: Leaf) -> Margin | None:
        """The margin in one case; None where the case is impossible."""
        head = self._head
        bounds = CaseBounds(head, self._bounds)
        _follow(bounds, path)
        try:
            where = _boxed(head, self._where, bounds, path)
        except EmptyBoxError:
            return None
        bounds.settle()
        if bounds.is_empty():
            return None
        known = _Pairs(head, bounds)
        self._complain(rival, leaf, where, known)
        self._add_rows(bounds, where, leaf, known)
        bounds.settle()
        if bounds.is_empty():
            return None
        ends = Ends(head, bounds.best, self._bounds.caps)
        (margin,) = margins(head, self._core.instance, [rival], ends)
        if leaf.form is None or margin.sign == 1:
            return margin
        form = Forms(head, self._core, where, bounds, ends, known).margin(leaf.form)
        # both are lower bounds of the same margin, so the better one is
        return max(margin, form, key=lambda known: (known.sign, known.lower))

    def _complain(self, rival: int, leaf: Leaf, where: LatentDomain, known: Intervals) -> None:
        """Refuse a leaf that is malformed."""
        head = self._head
        complaints: list[str] = []
        blocks: list[Block] = [*leaf.blocks, *leaf.domain_blocks]
        for block in blocks:
            texts = block_complaints(head, where, block, known)
            complaints += (f"block at location {block.location}{text}" for text in texts)
        every = range(head.prototype_count)
        complaints += implied_complaints(head, leaf.implied, every, every)
        if leaf.form is not None:
            if leaf.form.rival != rival:
                complaints.append("its form is about another class")
            complaints += entry_complaints(head, self._core, leaf.form, known, where)
        if complaints:
            raise CertificateError("; ".join(complaints[:4]))

    def _add_rows(
        self, bounds: CaseBounds, where: LatentDomain, leaf: Leaf, known: Intervals
    ) -> None:
        """What the leaf's rows and implied bounds prove; all start from what the path says."""
        blocks: list[Block] = [*leaf.blocks, *leaf.domain_blocks]
        found = list(block_bounds(self._head, where, blocks, known))
        sides: tuple[dict[int, Ratio], dict[int, Ratio]] = {}, {}
        for entry in leaf.implied:
            below = hex_ratio(entry.stretch)[0] < 0
            end = bounds.best[entry.via][0 if below else 1]
            if end is None:
                raise CertificateError("an implied bound that starts from an open end")
            sides[below][entry.via] = end, _ONE
        implied = list(implied_bounds(self._head, leaf.implied, *sides))
        for location, prototype, low, high in found:
            bounds.narrow(location, prototype, low, high)
        for prototype, low, high in implied:
            bounds.narrow_best(prototype, low, high)


def _follow(bounds: CaseBounds, path: Sequence[Step]) -> None:
    """What the path says, one split after another; boxes apart."""
    for node, child in path:
        if isinstance(node, DistanceSplit):
            bounds.narrow(node.location, node.prototype, *_side(node.at, child))
        elif isinstance(node, NearestSplit):
            bounds.narrow_best(node.prototype, *_side(node.at, child))
        elif isinstance(node, PlaceSplit):
            bounds.place(node.prototype, node.locations, child)
    bounds.settle()


def _side(at: str, child: int) -> tuple[int | None, int | None]:
    """Lower and upper bound of what is at most (child 0) or at least (child 1) a threshold."""
    numerator, unit = float.fromhex(at).as_integer_ratio()
    if child == 0:
        return None, -((-numerator << GRID) // unit)
    return (numerator << GRID) // unit, None


def _boxed(
    head: Head, where: LatentDomain, bounds: CaseBounds, path: Sequence[Step]
) -> LatentDomain:
    """The domain with the boxes that the path leaves; narrows the bounds at their locations."""
    halves: dict[int, list[tuple[int, int, float]]] = {}
    for node, child in path:
        if isinstance(node, ChannelSplit):
            at = float.fromhex(node.at)
            halves.setdefault(node.location, []).append((node.channel, child, at))
    if not halves:
        return where
    boxed = CaseDomain(head, where, bounds, halves)
    for location in halves:
        for prototype, (low, high) in enumerate(box_ranges(head, boxed, location)):
            if head.measures(location, prototype):
                bounds.narrow(location, prototype, low, high)
    return boxed
