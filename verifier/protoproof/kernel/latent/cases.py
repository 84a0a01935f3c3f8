"""Margins proved case by case.

Theorem. Let T be a tree whose inner nodes split as ``certificate.splits`` says, and let every leaf
prove margin_k > 0 for all latents of the domain that meet the facts *and* what the path to the
leaf says. Then margin_k > 0 for all latents of the domain that meet the facts.

Proof. Every latent follows a path to some leaf, because the children of each split leave out none:
of two real numbers one is at most the other; m_j is the least of finitely many numbers, so that
some location attains it, a listed one or another. At that leaf the latent meets the path.

What a leaf knows. The path bounds some q_lj, m_j and z_ld. From there on only rules that hold for
any premises are used, the ones that prove a certificate without cases: q_lj >= m_j; q_lj = m_j at
the location that attains it; m_j is at least the least lower bound of the locations that may
attain it and at most every upper bound; rows and forms, whose multipliers charge intervals that
are known. No number is taken from the certificate but thresholds and multipliers. Where a lower
bound exceeds an upper one there is no such latent, and the case needs no further proof.

Trees are walked with a stack of their own, and their size is bounded before anything is evaluated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from protoproof.certificate.cases import (
    CaseNode,
    CaseTree,
    ChannelSplit,
    DistanceSplit,
    Leaf,
    NearestSplit,
    PlaceSplit,
)
from protoproof.certificate.evidence import DomainBlock, PairBlock, Rows
from protoproof.certificate.schema import Core
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import GRID, Ratio
from protoproof.kernel.latent.bounds import Bounds, implied_bound, row_bounds
from protoproof.kernel.latent.case_bounds import CaseBounds
from protoproof.kernel.latent.case_domain import CaseRegion, EmptyBoxError
from protoproof.kernel.latent.domain import Region
from protoproof.kernel.latent.lagrangian import domain_rows
from protoproof.kernel.latent.margins import Ends, Margin, margins
from protoproof.kernel.latent.multipliers import block_complaints, implied_complaints
from protoproof.kernel.latent.relaxation import Forms, entry_complaints
from protoproof.kernel.model.head import Head

# Nodes of all trees together, splits on one path, and numbers looked at in all cases together.
MAX_NODES, MAX_DEPTH, MAX_LOOKS = 1 << 14, 48, 1 << 25

_ONE = 1 << GRID

# a split and the number of the child that the path takes
Step = tuple[DistanceSplit | NearestSplit | ChannelSplit | PlaceSplit, int]


@dataclass(frozen=True)
class _Pairs:
    """All pairs (location, prototype) of a head: what the multipliers of a leaf may charge."""

    locations: int
    prototypes: int

    def __contains__(self, pair: object) -> bool:
        match pair:
            case (int() as location, int() as prototype):
                return 0 <= location < self.locations and 0 <= prototype < self.prototypes
        return False


def tree_numbers(trees: Iterable[CaseTree]) -> Iterator[str]:
    """Every number of the trees that is spelled as a hexadecimal float."""
    for tree in trees:
        for node in tree.nodes:
            if isinstance(node, Leaf):
                yield from (entry.stretch for entry in node.implied)
                if node.form is not None:
                    yield from (tangent.at for tangent in node.form.supports)
            elif not isinstance(node, PlaceSplit):
                yield node.at


def tree_complaints(head: Head, core: Core, region: Region) -> Iterator[str]:
    """What is malformed about the trees; nothing means that :func:`walk` reaches every leaf."""
    trees = core.evidence.cases
    if sum(len(tree.nodes) for tree in trees) > MAX_NODES:
        yield f"more than {MAX_NODES} cases"
        return
    seen: set[int] = set()
    for tree in trees:
        place = f"cases against class {tree.rival}"
        if tree.rival not in core.rivals or tree.rival in seen:
            yield f"{place}: not a rival, or a second tree for it"
            continue
        seen.add(tree.rival)
        for node in tree.nodes:
            yield from (f"{place}: {text}" for text in _node_complaints(head, region, node))
        try:
            leaves = sum(1 for _ in walk(tree.nodes, head.location_count))
        except CertificateError as error:
            yield f"{place}: {error}"
            continue
        if not leaves:
            yield f"{place}: no case"


def _node_complaints(head: Head, region: Region, node: CaseNode) -> Iterator[str]:
    if isinstance(node, Leaf):
        return
    if not isinstance(node, ChannelSplit) and node.prototype >= head.prototype_count:
        yield "a split by a prototype that is out of range"
    if isinstance(node, PlaceSplit):
        listed = node.locations
        if list(listed) != sorted(set(listed)) or listed[-1] >= head.location_count:
            yield "the locations of a split are not in order, or out of range"
    elif not isinstance(node, NearestSplit) and node.location >= head.location_count:
        yield "a split at a location that is out of range"
    if isinstance(node, ChannelSplit) and (node.channel >= head.channels or region.joints):
        yield "a split by a channel that is out of range, or under linear bounds"


def children(node: CaseNode, locations: int) -> int:
    """How many nodes follow one: none after a leaf."""
    if isinstance(node, Leaf):
        return 0
    if isinstance(node, PlaceSplit):
        return len(node.locations) + (len(node.locations) < locations)
    return 2


def walk(nodes: Sequence[CaseNode], locations: int) -> Iterator[tuple[tuple[Step, ...], Leaf]]:
    """Every leaf with the path to it, in order.

    Raises:
        CertificateError: nodes are missing or left over, or a path is too long.
    """
    open_: list[tuple[Step, ...]] = [()]
    for node in nodes:
        if not open_:
            raise CertificateError("a tree of cases with nodes after its end")
        path = open_.pop()
        if isinstance(node, Leaf):
            yield path, node
            continue
        if len(path) >= MAX_DEPTH:
            raise CertificateError(f"a tree of cases that is deeper than {MAX_DEPTH}")
        count = children(node, locations)
        open_ += [(*path, (node, child)) for child in reversed(range(count))]
    if open_:
        raise CertificateError("a tree of cases that ends too early: a case is missing")


def looks(head: Head, trees: Iterable[CaseTree]) -> int:
    """How many numbers all cases of well-formed trees look at, roughly: a limit before any work."""
    everything = head.prototype_count * head.location_count
    box = head.prototype_count * head.channels
    total = 0
    for tree in trees:
        for path, leaf in walk(tree.nodes, head.location_count):
            cut = {node.location for node, _ in path if isinstance(node, ChannelSplit)}
            blocks: list[PairBlock | DomainBlock] = [*leaf.blocks, *leaf.domain_blocks]
            rows = sum(len(side.theta) for block in blocks for side in (block.lower, block.upper))
            places = 0 if leaf.form is None else len(leaf.form.multipliers)
            named = {node.prototype for node, _ in path if not isinstance(node, ChannelSplit)}
            touched = everything if cut or rows else len(named) * head.location_count
            total += len(path) + 4 * (head.prototype_count + touched + box * len(cut))
            total += head.channels * (2 * rows + 16 * places)
    return total


class Cases:
    """The margins that well-formed trees prove under the bounds that hold in every case."""

    def __init__(self, head: Head, core: Core, region: Region, bounds: Bounds) -> None:
        self._head, self._core, self._region, self._bounds = head, core, region, bounds
        self._pairs = _Pairs(head.location_count, head.prototype_count)

    def margin(self, tree: CaseTree) -> Margin:
        """A lower bound of the margin over all cases; it stops at the first that proves none.

        Raises:
            CertificateError: a leaf is malformed, or no case is possible, although the recorded
                latent is in one.
        """
        found: list[Margin] = []
        for index, (path, leaf) in enumerate(walk(tree.nodes, self._head.location_count)):
            try:
                margin = self._leaf(tree.rival, path, leaf)
            except CertificateError as error:
                raise CertificateError(
                    f"case {index} against class {tree.rival}: {error}"
                ) from error
            if margin is None:
                continue
            if margin.sign != 1:
                return Margin(tree.rival, 0, margin.lower)
            found.append(margin)
        if not found:
            raise CertificateError("contradiction: every case is impossible")
        return Margin(tree.rival, 1, min(margin.lower for margin in found))

    def _leaf(self, rival: int, path: Sequence[Step], leaf: Leaf) -> Margin | None:
        """The margin in one case; None where the case is impossible."""
        head = self._head
        bounds = CaseBounds(self._bounds, head.location_count)
        _follow(bounds, path)
        try:
            region = _boxed(head, self._region, bounds, path)
        except EmptyBoxError:
            return None
        bounds.settle()
        if bounds.is_empty():
            return None
        self._complain(rival, leaf, region)
        self._add_rows(bounds, region, leaf)
        bounds.settle()
        if bounds.is_empty():
            return None
        ends = Ends(
            head,
            [(low, _ONE) for low, _ in bounds.best],
            [None if high is None else (high, _ONE) for _, high in bounds.best],
        )
        predicted = self._core.instance.predicted
        (margin,) = margins(head, predicted, [rival], ends)
        if leaf.form is None or margin.sign == 1:
            return margin
        form = _CaseForms(head, self._core, region, bounds, ends).margin(leaf.form)
        # both are lower bounds of the same margin, so the better one is
        return max(margin, form, key=lambda known: (known.sign, known.lower))

    def _complain(self, rival: int, leaf: Leaf, region: Region) -> None:
        """Refuse a leaf that is malformed."""
        head = self._head
        complaints: list[str] = []
        blocks: list[PairBlock | DomainBlock] = [*leaf.blocks, *leaf.domain_blocks]
        for block in blocks:
            texts = block_complaints(head, region, block, self._pairs)
            complaints += (f"block at location {block.location}{text}" for text in texts)
        complaints += implied_complaints(head, leaf.implied, range(head.prototype_count))
        if leaf.form is not None:
            if leaf.form.rival != rival:
                complaints.append("its form is about another class")
            complaints += entry_complaints(head, self._core, leaf.form, self._pairs, region)
        if complaints:
            raise CertificateError("; ".join(complaints[:4]))

    def _add_rows(self, bounds: CaseBounds, region: Region, leaf: Leaf) -> None:
        """What the leaf's rows and implied bounds prove; all start from what the path says."""
        head = self._head
        found: list[tuple[int, int, int | None, int | None]] = []
        for block in leaf.blocks:
            ends = [_two(end, rows) for end, rows in self._charged(bounds, block)]
            for prototype, bound in row_bounds(head, block, block.lower, ends, 1):
                found.append((block.location, prototype, bound, None))
            for prototype, bound in row_bounds(head, block, block.upper, ends, -1):
                found.append((block.location, prototype, None, -bound))
        for regional in leaf.domain_blocks:
            ends = [_two(end, rows) for end, rows in self._charged(bounds, regional)]
            for prototype, bound in domain_rows(head, region, regional, regional.lower, ends, 1):
                found.append((regional.location, prototype, bound, None))
            for prototype, bound in domain_rows(head, region, regional, regional.upper, ends, -1):
                found.append((regional.location, prototype, None, -bound))
        implied = []
        for entry in leaf.implied:
            nearest = bounds.best[entry.via][1]
            if nearest is None:
                raise CertificateError("an implied bound that starts from an open end")
            numerator, unit = implied_bound(head, entry, (nearest, _ONE))
            implied.append((entry.prototype, -((-numerator << GRID) // unit)))
        for location, prototype, low, high in found:
            bounds.narrow(location, prototype, low, high)
        for prototype, high in implied:
            bounds.narrow_best(prototype, None, high)

    def _charged(
        self, bounds: CaseBounds, block: PairBlock | DomainBlock
    ) -> Iterator[tuple[tuple[int, int | None], list[int]]]:
        """Per column of a block: the interval it charges, and its multipliers."""
        rows: tuple[Rows, ...] = (block.lower, block.upper)
        for column, prototype in enumerate(block.facts):
            multipliers = [row[column] for side in rows for row in side.theta]
            yield bounds.at(block.location, prototype), multipliers


class _CaseForms(Forms):
    """Forms that may charge every pair, by the bounds of the case."""

    def interval(self, location: int, prototype: int) -> tuple[Ratio, Ratio | None]:
        """What the case says about q_lj."""
        low, high = self._bounds.at(location, prototype)
        return (low, _ONE), None if high is None else (high, _ONE)


def _two(interval: tuple[int, int | None], multipliers: Sequence[int]) -> tuple[Ratio, Ratio]:
    """Both ends of an interval; one that is open must not be charged, and is then never used."""
    low, high = interval
    if high is None:
        if any(t > 0 for t in multipliers):
            raise CertificateError("a row charges an open end, which is infinite")
        high = low
    return (low, _ONE), (high, _ONE)


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


def _boxed(head: Head, region: Region, bounds: CaseBounds, path: Sequence[Step]) -> Region:
    """The domain with the boxes that the path leaves; narrows the bounds at their locations."""
    halves: dict[int, list[tuple[int, int, float]]] = {}
    for node, child in path:
        if isinstance(node, ChannelSplit):
            at = float.fromhex(node.at)
            halves.setdefault(node.location, []).append((node.channel, child, at))
    if not halves:
        return region
    boxed = CaseRegion(head, region, bounds, halves)
    for location in halves:
        for prototype, (low, high) in enumerate(boxed.ranges(location)):
            bounds.narrow(location, prototype, low, high)
    return boxed
