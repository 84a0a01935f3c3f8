"""How logits come from features: sums, sums of largest ones, or a soft tree."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from protoproof.errors import ModelError
from protoproof.kernel.budget import OPERATION, hold, spend
from protoproof.kernel.model.decision import Decision, Node
from protoproof.kernel.model.real import Real
from protoproof.kernel.model.symbolic.expressions import (
    Best,
    Expressions,
    Irrational,
    Product,
    Single,
    Sum,
    Tree,
)
from protoproof.kernel.model.symbolic.tables import Instruction

_IRRATIONAL_SHIFT = 256
# nodes that a tree may have which is written path by path
_MOST_NODES = 1 << 14
_TURNED: tuple[Instruction, ...] = (("mul", Fraction(-1)),)
_AWAY: tuple[Instruction, ...] = (*_TURNED, ("add", Fraction(1)))


@dataclass(frozen=True)
class Votes:
    """A decision over features that have no numbers yet.

    Attributes:
        features: what the decision sees, in order.
        kind: linear, best or tree.
        columns: [X][K], one column per feature, group or leaf; irrational ones in leaves alone.
        bias: [K].
        under: what columns and bias are over, where all of them are integers.
        groups, nodes: as in ``Decision``.
    """

    features: list[Single]
    kind: str
    columns: Sequence[Sequence[Fraction | Real | int]]
    bias: Sequence[Fraction | int]
    under: int = 1
    groups: tuple[tuple[int, ...], ...] = ()
    nodes: tuple[Node, ...] = ()

    @property
    def turning(self) -> tuple[Instruction, ...]:
        """What makes a rising activation a falling one.

        Raises:
            ModelError: the largest of a group cannot be turned round.
        """
        if self.kind == "best":
            raise ModelError("model: the largest counts of activations that rise with the distance")
        return _AWAY if self.kind == "tree" else _TURNED

    def over(self, features: Sequence[int]) -> Votes:
        """A linear decision over some of the features, as if there were no others."""
        kept = [self.features[j] for j in features]
        return replace(self, features=kept, columns=[self.columns[j] for j in features])

    def finished(self, turned: Sequence[bool], labels: bool) -> Decision:
        """The decision where the activations that are turned round have changed their sign (in a
        tree: a is 1 - a, so left is right). Scores are scaled to integers over a power of two,
        which changes no sign and no order."""
        columns, nodes = self.columns, self.nodes
        if self.kind == "linear":
            columns = [
                [-w for w in column] if turn else column
                for column, turn in zip(columns, turned, strict=True)
            ]
        if self.kind == "tree":
            nodes = tuple(
                node._replace(left=node.right, right=node.left) if turned[node.prototype] else node
                for node in nodes
            )
        count = (len(columns) + 1) * len(self.bias)
        spend("a decision", OPERATION * 4 * count)
        hold("a decision", 80 * count)
        rows = [*columns, self.bias]
        slack, scale = 0, 1
        tree = self.kind == "tree"  # no other has irrational numbers
        if tree and any(isinstance(number, Real) for row in rows for number in row):
            # rounded down by less than two units each
            common, slack = 1 << _IRRATIONAL_SHIFT, 2
            whole = [[_floor(w, _IRRATIONAL_SHIFT) for w in row] for row in rows]
        elif tree:
            common = math.lcm(*{n.denominator for row in rows for n in row})  # type: ignore[union-attr]
            hold("a decision", common.bit_length() // 8 * count)
            whole = [[_multiple(w, common) for w in row] for row in rows]
        else:
            spare = math.gcd(self.under, *itertools.chain.from_iterable(rows))  # type: ignore[arg-type]
            common = self.under // spare
            whole = [list(row) for row in rows]  # type: ignore[arg-type]
            if spare > 1:
                whole = [[w // spare for w in row] for row in whole]
        shift = (common & -common).bit_length() - 1
        if not slack:
            scale = common >> shift
        *whole, bias = whole
        weight = list(map(list, zip(*whole, strict=True)))
        kind = "labels" if labels else self.kind
        if labels and self.kind != "linear":
            raise ModelError(f"model: labels whose scores are {self.kind}, not linear")
        return Decision(
            kind, len(self.features), weight, bias, shift,  # type: ignore[arg-type]
            self.groups, nodes, slack, scale=scale,
        )  # fmt: skip


def _multiple(number: Fraction | Real | int, common: int) -> int:
    """The number times a multiple of its denominator."""
    if isinstance(number, Real):
        raise TypeError("an irrational number has no denominator")
    return number.numerator * (common // number.denominator)


def _floor(number: Fraction | Real | int, shift: int) -> int:
    if isinstance(number, Real):
        return number.floor(shift)
    return (number.numerator << shift) // number.denominator


def read_votes(known: Expressions, logits: Sequence[int]) -> Votes:
    """The decision behind logits, by their expressions.

    Raises:
        ModelError: products or functions of several features that are none of the above.
    """
    spend("the decision", OPERATION * sum(len(known.as_sum(k).terms) + 8 for k in logits))
    sums = [known.as_sum(k) for k in logits]
    used: set[int] = set().union(*[s.terms for s in sums])
    if any(isinstance(known.all[t], Tree) for t in used):
        return _tree(known, logits)
    if any(isinstance(known.all[t], Best) for t in used):
        return _best(known, sums, sorted(used))
    if any(isinstance(known.all[t], Product) for t in used):
        return _paths(known, sums)
    for term in used:
        if not isinstance(known.all[term], Single):
            raise ModelError(
                f"model: the output holds {_words(known, term)}, which no decision takes"
            )
    # a prototype whose weights are all zero is one of the head's, too
    idle = {t for k in logits for t in known.idle.get(k, ()) if isinstance(known.all[t], Single)}
    terms = sorted(used | idle, key=lambda t: _order(known, t))
    place = {term: j for j, term in enumerate(terms)}
    return Votes([_single(known, t) for t in terms], "linear", *_columns(sums, place))


def _columns(sums: Sequence[Sum], place: dict[int, int]) -> tuple[list[list[int]], list[int], int]:
    """Columns and bias as integers, and what they are over."""
    hold("a decision", 8 * len(place) * len(sums))  # most may be 0, and stand nowhere in the file
    under = math.lcm(*{one.denominator for one in sums})
    # each number may be as long as what all are over, which grows with every other denominator
    hold("a decision", under.bit_length() // 8 * sum(len(one.terms) + 1 for one in sums))
    constants = [s.constant * (under // s.denominator) for s in sums]
    if len({one.terms for one in sums}) == 1 and sums[0].terms:  # no term is missing anywhere
        order = {term: k for k, term in enumerate(sums[0].terms)}
        ups = [under // one.denominator for one in sums]
        whole = [
            one.weights if up == 1 else [w * up for w in one.weights]
            for one, up in zip(sums, ups, strict=True)
        ]
        found = list(map(list, zip(*whole, strict=True)))
        nothing = [0] * len(sums)
        return [found[order[t]] if t in order else nothing for t in place], constants, under
    rows = np.zeros((len(sums), len(place)), dtype=object)
    for k, one in enumerate(sums):
        up = under // one.denominator
        weights = one.weights if up == 1 else [weight * up for weight in one.weights]
        rows[k, [place[term] for term in one.terms]] = weights
    return rows.T.tolist(), constants, under


def _single(known: Expressions, index: int) -> Single:
    found = known.all[index]
    if not isinstance(found, Single):
        raise ModelError(f"model: the output holds {_words(known, index)}")
    return found


def _order(known: Expressions, index: int) -> tuple[int, int]:
    single = _single(known, index)
    return single.feature, single.program


def _words(known: Expressions, index: int) -> str:
    return {
        "Best": "the largest of terms", "Product": "a product of terms",
        "Exponential": "an exponential of a sum of terms", "Tree": "a tree inside a sum",
    }.get(type(known.all[index]).__name__, "a term")  # fmt: skip


def _best(known: Expressions, sums: Sequence[Sum], used: Sequence[int]) -> Votes:
    """Sums of the largest of groups; a lone term is a group of its own."""
    groups = []
    for term in used:
        found = known.all[term]
        groups.append(found.members if isinstance(found, Best) else (term,))
    features = sorted({m for group in groups for m in group}, key=lambda t: _order(known, t))
    place = {term: j for j, term in enumerate(features)}
    columns, bias, under = _columns(sums, {term: j for j, term in enumerate(used)})
    named = tuple(tuple(sorted(place[m] for m in group)) for group in groups)
    order = sorted(range(len(named)), key=lambda k: named[k])
    return Votes(
        [_single(known, t) for t in features], "best", [columns[k] for k in order], bias, under,
        tuple(named[k] for k in order),
    )  # fmt: skip


def _leaf(known: Expressions, index: int) -> Fraction | Real:
    number, found = known.value(index), known.all[index]
    if number is None and not isinstance(found, Irrational):
        raise ModelError("model: a leaf of a tree depends on several prototypes")
    return found.value if isinstance(found, Irrational) else number or Fraction(0)


def _routing(known: Expressions, index: int) -> tuple[int, int] | None:
    """How sure it is that a value branches, and by which term; None for a number."""
    found = known.all[index]
    if isinstance(found, Tree):
        return 0, found.routing
    line = known.plain_sum(index)
    single = [t for t in line.terms if isinstance(known.all[t], Single)]
    if len(line.terms) == 1 and single:
        return 1, single[0]
    return None


def _tree(known: Expressions, logits: Sequence[int]) -> Votes:
    """One tree for all classes, whose leaves hold one number for each."""
    nodes: list[tuple[int, int, int]] = []
    leaves: list[list[Fraction | Real]] = []

    def visit(values: Sequence[int]) -> int:
        """A node, or -1 - leaf, with the values of all classes below it."""
        routings = [r for r in (_routing(known, v) for v in values) if r is not None]
        if not routings:
            leaves.append([_leaf(known, v) for v in values])
            return -len(leaves)
        # trees first: their routing is written in the graph, that of a line is any
        routing = min(routings)[1]
        parts = [known.branches(v, routing) for v in values]
        if None in parts:
            raise ModelError("model: the classes' trees branch differently")
        both = [p for p in parts if p is not None]
        return grown(routing, [a for a, _ in both], [b for _, b in both])

    def grown(routing: int, left: Sequence[int], right: Sequence[int]) -> int:
        index = len(nodes)
        nodes.append((routing, 0, 0))
        nodes[index] = (routing, visit(left), visit(right))
        return index

    spend("a tree", OPERATION * 64 * len(known.all))
    visit(logits)
    features = sorted({n[0] for n in nodes}, key=lambda t: _order(known, t))
    place = {term: j for j, term in enumerate(features)}
    return Votes(
        [_single(known, t) for t in features], "tree", leaves, [Fraction(0)] * len(logits),
        nodes=tuple(Node(place[t], a, b) for t, a, b in nodes),
    )  # fmt: skip


# Products of shares, as (routing, whether it is the routing itself or 1 less it), with one number
# for each class.
_Literals = frozenset[tuple[int, bool]]
_Products = dict[_Literals, list[Fraction | Real]]


def _paths(known: Expressions, sums: Sequence[Sum]) -> Votes:
    """A tree that is written path by path: sums of products of shares s and 1 - s.

    Whatever s is, a sum that holds s and 1 - s at most once in each product is
    (1 - s) f + s g, where f is the sum of the products without s or with 1 - s, which is left out,
    and g likewise: so any s may be the root. The one in most products makes the smallest tree.
    """
    found: _Products = {}
    for k, one in enumerate(sums):
        entries: list[tuple[_Literals, Fraction | Real]]
        entries = [(frozenset(), Fraction(one.constant, one.denominator))]
        for term, number in zip(one.terms, one.weights, strict=True):
            entries.append(_factors(known, term, Fraction(number, one.denominator)))
        for literals, weight in entries:
            if weight:
                own = found.setdefault(literals, [Fraction(0)] * len(sums))
                own[k] = weight + own[k]
    nodes: list[tuple[int, int, int]] = []
    leaves: list[list[Fraction | Real]] = []

    def visit(products: _Products) -> int:
        """A node, or -1 - leaf."""
        spend("a tree", OPERATION * 8 * sum(1 + len(p) for p in products))
        seen: dict[int, int] = {}
        for routing, _ in (pair for literals in products for pair in literals):
            seen[routing] = seen.get(routing, 0) + 1
        if not seen:
            leaves.append(products.get(frozenset(), [Fraction(0)] * len(sums)))
            return -len(leaves)
        if len(nodes) >= _MOST_NODES:
            raise ModelError("model: a soft tree of too many nodes")
        root = min(seen, key=lambda r: (-seen[r], _order(known, r)))
        index = len(nodes)
        nodes.append((root, 0, 0))
        sides = [_side(products, root, which) for which in (False, True)]
        nodes[index] = (root, visit(sides[0]), visit(sides[1]))
        return index

    visit(found)
    features = sorted({n[0] for n in nodes}, key=lambda t: _order(known, t))
    place = {term: j for j, term in enumerate(features)}
    return Votes(
        [_single(known, t) for t in features], "tree", leaves, [Fraction(0)] * len(sums),
        nodes=tuple(Node(place[t], a, b) for t, a, b in nodes),
    )  # fmt: skip


def _side(products: _Products, root: int, which: bool) -> _Products:
    """The products on one side of a root, which is left out of them."""
    result: _Products = {}
    for literals, weights in products.items():
        if (root, not which) in literals:
            continue
        rest = literals - {(root, which)}
        there = result.get(rest)
        both = weights if there is None else [a + b for a, b in zip(there, weights, strict=True)]
        result[rest] = both
    return {rest: weights for rest, weights in result.items() if any(weights)}


def _factors(
    known: Expressions, index: int, weight: Fraction | Real
) -> tuple[_Literals, Fraction | Real]:
    """A product of shares with its weight.

    Raises:
        ModelError: it holds something else, or a share twice.
    """
    literals: list[tuple[int, bool]] = []
    waiting = [index]
    while waiting:
        here = waiting.pop()
        found = known.all[here]
        if isinstance(found, Product):
            waiting += [found.left, found.right]
        elif isinstance(found, Irrational):
            weight = Real("product", found.value, weight)
        else:
            literals.append(_literal(known, here))
    if len({routing for routing, _ in literals}) != len(literals):
        raise ModelError("model: a share is multiplied by itself, or by what is left of 1")
    return frozenset(literals), weight


def _literal(known: Expressions, index: int) -> tuple[int, bool]:
    """A share: a function of one pooled measurement that rises in its last step, or 1 less it."""
    line = known.line(index)
    if line is None or not isinstance(known.all[line[0]], Single):
        raise ModelError(f"model: the output holds {_words(known, index)} times others")
    term, slope, shift = line
    kept = slope > 0
    if not kept:
        slope, shift = -slope, 1 - shift
    for name, constant, nothing in (("mul", slope, 1), ("add", shift, 0)):
        if constant != nothing:
            term = known.then(term, name, constant)
    return term, kept
