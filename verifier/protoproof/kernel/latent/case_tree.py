"""Trees of cases: their shape, and what all of their cases cost.

Trees are traversed with a stack of their own, and their size is bounded before anything is
evaluated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from protoproof.certificate.cases import (
    CaseNode,
    CaseTree,
    ChannelSplit,
    DistanceSplit,
    Leaf,
    NearestSplit,
    PlaceSplit,
)
from protoproof.certificate.schema import Core
from protoproof.errors import CertificateError
from protoproof.kernel.budget import OPERATION, spend
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.rows import Block
from protoproof.kernel.model.head import Head

# Splits on one path.
MAX_DEPTH = 48
# Steps of one look: see :func:`looks`.
LOOK = 8 * OPERATION

# a split and the number of the child that the path takes
Step = tuple[DistanceSplit | NearestSplit | ChannelSplit | PlaceSplit, int]


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


def tree_complaints(head: Head, core: Core, where: LatentDomain) -> Iterator[str]:
    """What is malformed about the trees; nothing means that :func:`leaves` reaches every leaf."""
    trees = core.evidence.cases
    if not all(head.nearest(j) for j in range(head.prototype_count)):
        yield "cases are for prototypes whose nearest location decides"
        return
    nodes = sum(len(tree.nodes) for tree in trees)
    spend("the trees of cases", 64 * OPERATION * nodes)
    seen: set[int] = set()
    for tree in trees:
        place = f"cases against class {tree.rival}"
        if tree.rival not in core.rivals or tree.rival in seen:
            yield f"{place}: not a rival, or a second tree for it"
            continue
        seen.add(tree.rival)
        for node in tree.nodes:
            yield from (f"{place}: {text}" for text in _node_complaints(head, where, node))
        try:
            count = sum(1 for _ in leaves(tree.nodes, head))
        except CertificateError as error:
            yield f"{place}: {error}"
            continue
        if not count:
            yield f"{place}: no case"


def _node_complaints(head: Head, where: LatentDomain, node: CaseNode) -> Iterator[str]:
    if isinstance(node, Leaf):
        return
    locations: tuple[int, ...] = ()
    if isinstance(node, PlaceSplit):
        locations = node.locations
    elif not isinstance(node, NearestSplit):
        locations = (node.location,)
    if list(locations) != sorted(set(locations)):
        yield "the locations of a split are not in order"
    if any(location >= head.location_count for location in locations):
        yield "a split at a location that is out of range"
    elif isinstance(node, ChannelSplit):
        if node.channel >= head.channels or where.joints or head.geometry == "angular":
            yield "a split by a channel that is out of range, or under linear bounds, or of angles"
    elif node.prototype >= head.prototype_count:
        yield "a split by a prototype that is out of range"
    elif not all(head.measures(location, node.prototype) for location in locations):
        yield "a split at a location of another bank"


def children(node: CaseNode, head: Head) -> int:
    """How many nodes follow one: none after a leaf."""
    if isinstance(node, Leaf):
        return 0
    if isinstance(node, PlaceSplit):
        count = head.location_count
        if node.prototype < head.prototype_count:
            count = head.location_bank.count(head.prototype_bank[node.prototype])
        return len(node.locations) + (len(node.locations) < count)
    return 2


def leaves(nodes: Sequence[CaseNode], head: Head) -> Iterator[tuple[tuple[Step, ...], Leaf]]:
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
        count = children(node, head)
        open_ += [(*path, (node, child)) for child in reversed(range(count))]
    if open_:
        raise CertificateError("a tree of cases that ends too early: a case is missing")


def looks(head: Head, trees: Iterable[CaseTree]) -> int:
    """How many numbers all cases of well-formed trees look at, roughly; charged before any work."""
    everything = head.prototype_count * head.location_count
    box = head.prototype_count * head.channels
    total = 0
    for tree in trees:
        for path, leaf in leaves(tree.nodes, head):
            cut = {node.location for node, _ in path if isinstance(node, ChannelSplit)}
            blocks: list[Block] = [*leaf.blocks, *leaf.domain_blocks]
            rows = sum(len(side.theta) for block in blocks for side in (block.lower, block.upper))
            places = 0 if leaf.form is None else len(leaf.form.multipliers)
            named = {node.prototype for node, _ in path if not isinstance(node, ChannelSplit)}
            touched = everything if cut or rows else len(named) * head.location_count
            total += len(path) + 4 * (head.prototype_count + touched + 4 * box * len(cut))
            total += head.channels * (2 * rows + 16 * places)
    return total
