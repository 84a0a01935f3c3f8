"""Proofs by cases: a tree of splits, and at every leaf what its path says, as steps.

A case knows what holds for all rivals (``known``), and what its path and its own steps say. Values
only choose among premises; the kernel computes them again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from protoproof.certificate.cases import (
    CaseNode,
    CaseTree,
    ChannelSplit,
    DistanceSplit,
    Leaf,
    NearestSplit,
    PlaceSplit,
)
from protoproof.formal.case import Case
from protoproof.formal.known import Root
from protoproof.formal.lines import Lines, Precision
from protoproof.formal.script import Ref, Token
from protoproof.kernel.arithmetic.exact import GRID, Ratio
from protoproof.kernel.latent.case_tree import children
from protoproof.kernel.latent.margins import Ends, margins, stated_score


class Cases:
    """Writes trees of cases."""

    def __init__(self, root: Root, lines: Lines, precision: Precision) -> None:
        self._root, self._lines, self._precision = root, lines, precision

    def tree(self, tree: CaseTree) -> list[Token]:
        """The proof of one margin."""
        nodes = iter(tree.nodes)
        return self._node(nodes, Case(self._root), tree.rival)

    def _node(self, nodes: Iterator[CaseNode], case: Case, rival: int) -> list[Token]:
        node = next(nodes)
        if isinstance(node, Leaf):
            return self._leaf(node, case, rival)
        if isinstance(node, PlaceSplit):
            return self._place(node, nodes, case, rival)
        at = float.fromhex(node.at).as_integer_ratio()
        unit = (at[0] << self._precision.unit) // at[1]
        sides = [case.fork(), case.fork()]
        if isinstance(node, DistanceSplit):
            case.use("split", node.location, node.prototype, unit)
            for child, side in enumerate(sides):
                side.enter_measurement(node.location, node.prototype, *_ends(at, child))
        elif isinstance(node, ChannelSplit):
            case.use("channel", node.location, node.channel, unit)
            for child, side in enumerate(sides):
                side.enter_channel(node.location, (node.channel, child, float.fromhex(node.at)))
        elif isinstance(node, NearestSplit):
            case.use("nearest", node.prototype, unit)
            for child, side in enumerate(sides):
                side.enter_value(node.prototype, *_ends(at, child))
        tokens = list(case.tokens)
        for side in sides:
            tokens += self._node(nodes, side, rival)
        return tokens

    def _place(
        self, node: PlaceSplit, nodes: Iterator[CaseNode], case: Case, rival: int
    ) -> list[Token]:
        prototype, bank = node.prototype, self._root.places(node.prototype)
        ref, places = case.among.get(prototype) or (case.add("start", prototype), bank)
        tokens: list[Token] = []
        for location in node.locations:
            if location not in places:
                self._skip(nodes)  # a split before has excluded it
            elif prototype in case.single:
                tokens += self._node(nodes, case.fork(), rival)
                places = []
            else:
                case.use("place", ref, location)
                tokens += case.tokens
                here, case = case.fork(), case.fork()
                here.enter_place(prototype, [location], single=True)
                tokens += self._node(nodes, here, rival)
                places = [k for k in places if k != location]
                ref = case.enter_place(prototype, places)
        if places:
            return [*tokens, *self._node(nodes, case, rival)]
        if len(node.locations) < len(bank):
            self._skip(nodes)
        if prototype in case.single:
            return [*case.tokens, *tokens]
        case.use("nowhere", ref)
        return [*tokens, *case.tokens]

    def _skip(self, nodes: Iterator[CaseNode]) -> None:
        """Pass over a case that is impossible."""
        for _ in range(children(next(nodes), self._root.head)):
            self._skip(nodes)

    def _leaf(self, leaf: Leaf, case: Case, rival: int) -> list[Token]:
        root = self._root
        head, core = root.head, root.core
        case.settle()
        if case.cut(self._precision.unit):
            return case.tokens
        case.settle()
        if case.contradicts():
            return case.tokens
        case.add_rows((*leaf.blocks, *leaf.domain_blocks), leaf.implied)
        case.settle()
        if case.contradicts():
            return case.tokens
        updates = case.updates()
        ends = Ends(head, case.best(), root.bounds.caps)
        (margin,) = margins(head, core.instance, [rival], ends)
        form: Sequence[Token | Ref] = ["intervals"]
        if leaf.form is not None and margin.sign != 1:
            score = stated_score(head, core.instance, rival)
            form = self._lines.form(leaf.form, score, case)
        # premises may add steps, which come first
        case.use("done", len(updates), *(token for row in updates for token in row), *form)
        return case.tokens


def _ends(at: Ratio, child: int) -> tuple[int | None, int | None]:
    """Lower and upper bound of what is at most (child 0) or at least (child 1) a threshold."""
    if child == 0:
        return None, -((-at[0] << GRID) // at[1])
    return (at[0] << GRID) // at[1], None
