"""How activations decide: what must be positive for a prediction, and the least that it can be.

*Linear*, *labels*, *best*: scores W x + b, where x are the activations, or (best) the largest of
each group of them. A prediction holds against a rival class while its score is the larger; a label
is on exactly while its own score, less its threshold, is positive.

*Tree*: every node routes a share a_j of what reaches it to the right and 1 - a_j to the left, so
that the score of a class is sum over leaves of (share that arrives) * W. That is the *distributed*
decision: all leaves vote. Two others take the class of one leaf: *greedy* follows the larger share
at every node, *sample-max* takes the leaf at which the largest share arrives. What has to be
positive for them is no difference of scores. Call a leaf *bad* for c against k where it does not
certainly score c higher than k. Then, with the shares s_n of the side of node n that leads to a
leaf, and P for the product of them all,

    greedy      the least over bad leaves m of the greatest 1/2 - s_n on the way to m
    sample-max  the least over bad leaves m of the greatest (P(l) - P(m)) / Q over good leaves l,
                Q the shares of the way that l and m have in common

The greedy way ends at m only if no share towards m is less than 1/2; and the largest share does not
arrive at m where some P(l) > P(m): if Q = 0, nothing arrives at either, and so more elsewhere.
Positive is therefore a proof that the leaf which counts is good, whichever way a tie goes.

Least values over independent intervals of activations. A linear form takes the end that each weight
chooses; a largest lies between the largest of the ends; for a tree, with L and R the least values
below a node, the least of (1 - s) L + s R over s in [lo, hi] within [0, 1] is at an end. That is
exact where every node has its own prototype, and a lower bound always, because shares are not
negative. The other two grow in the shares of good leaves, and fall in those of bad ones (or depend
on the one share at which two ways part), so that the ends of each share give bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import compress
from operator import sub
from typing import Literal, NamedTuple

from flint import arb

from protoproof.errors import ModelError

Kind = Literal["linear", "labels", "tree", "best"]
Routing = Literal["distributed", "greedy", "sample-max"]
ROUTINGS: tuple[Routing, ...] = ("distributed", "greedy", "sample-max")
# the lower and the upper end of an activation; None: infinite
Ends = Callable[[int], arb | None]


class Node(NamedTuple):
    """A routing node: the prototype, and what is left and right: a later node, or leaf -1 - n."""

    prototype: int
    left: int
    right: int


class Score(NamedTuple):
    """weights . x + offset, over ``2**shift`` of the decision: what has to be positive."""

    weights: list[int]
    offset: int


@dataclass(frozen=True)
class Decision:
    """Weights [K][X] and bias [K] are integers over ``2**shift``.

    Attributes:
        kind: see the module.
        prototypes: the number of activations P.
        groups: of ``best``: the activations of which the largest counts; X is their number.
        nodes: of ``tree``, the root first; X is the number of leaves.
        routing: of ``tree``, which reading of it.
        scale: what the graph's scores were multiplied by, so that all weights are such integers.
        slack: what rounding of irrational numbers of leaves, downwards, may have taken from one
            score and not from another; every score is less by it.

    Raises:
        ModelError: fewer than two classes or no label, sizes that do not fit, or a tree that is
            none.
    """

    kind: Kind
    prototypes: int
    weight: list[list[int]]
    bias: list[int]
    shift: int
    groups: tuple[tuple[int, ...], ...] = ()
    nodes: tuple[Node, ...] = ()
    slack: int = 0
    routing: Routing = "distributed"
    scale: int = 1

    def __post_init__(self) -> None:
        if self.class_count < (1 if self.kind == "labels" else 2):
            raise ModelError("model: fewer than two classes, so nothing can be predicted wrongly")
        width = {"best": len(self.groups), "tree": len(self.nodes) + 1}.get(
            self.kind, self.prototypes
        )
        if self.routing not in ROUTINGS[: 3 if self.kind == "tree" else 1]:
            raise ModelError(f"model: a decision that is {self.kind} routes nothing")
        if self.slack < 0 or (self.slack and self.kind != "tree"):
            raise ModelError("model: rounded weights of what is no tree")
        if len(self.bias) != self.class_count or any(len(row) != width for row in self.weight):
            raise ModelError(f"model: the decision's weights are not {self.class_count} x {width}")
        named = [j for group in self.groups for j in group] + [n.prototype for n in self.nodes]
        if any(not 0 <= j < self.prototypes for j in named) or not all(self.groups):
            raise ModelError("model: the decision names a prototype that is none")
        if (self.kind == "best") != bool(self.groups) or (self.kind == "tree") != bool(self.nodes):
            raise ModelError(f"model: groups or nodes do not fit a decision that is {self.kind}")
        below = sorted(child for node in self.nodes for child in (node.left, node.right))
        whole = [*range(-len(self.nodes) - 1, 0), *range(1, len(self.nodes))]
        if self.nodes and (
            below != whole
            or any(0 <= c <= k for k, n in enumerate(self.nodes) for c in (n.left, n.right))
        ):
            raise ModelError("model: the decision's nodes are not one tree")

    @property
    def class_count(self) -> int:
        """K, or the number of labels."""
        return len(self.weight)

    @property
    def linear(self) -> bool:
        """Whether scores are linear in the activations."""
        return self.kind in ("linear", "labels")

    def over(self, predicted: int, rival: int) -> Score:
        """W_c - W_k and b_c - b_k."""
        weights = list(map(sub, self.weight[predicted], self.weight[rival]))
        return Score(weights, self.bias[predicted] - self.bias[rival] - self.slack)

    def label(self, label: int, on: bool) -> Score:
        """The label's score, or its negative where it is off."""
        row, bias = self.weight[label], self.bias[label]
        return Score(list(row), bias) if on else Score([-w for w in row], -bias)

    @cached_property
    def ways(self) -> tuple[tuple[tuple[int, bool], ...], ...]:
        """Of a tree, per leaf: the nodes on the way to it, and whether it goes right there."""
        found: dict[int, tuple[tuple[int, bool], ...]] = {0: ()}
        for index, node in enumerate(self.nodes):
            here = found.pop(index)
            found[node.left] = (*here, (index, False))
            found[node.right] = (*here, (index, True))
        return tuple(found[-1 - n] for n in range(len(self.nodes) + 1))

    @property
    def work(self) -> int:
        """How many operations on balls the least of a score takes, at most."""
        if self.kind != "tree" or self.routing == "distributed":
            return len(self.weight[0]) + 2 * len(self.nodes)
        return 4 * sum(map(len, self.ways))

    def needed(self, weights: Sequence[int]) -> list[int]:
        """The prototypes whose activations a score depends on, ascending."""
        if self.kind == "tree":
            return sorted({node.prototype for node in self.nodes})
        if self.kind == "best":
            return sorted({j for group in compress(self.groups, weights) for j in group})
        return list(compress(range(len(weights)), weights))

    def least(self, score: Score, low: Ends, high: Ends, apart: Collection[int] = ()) -> arb | None:
        """A lower bound of a score, less the terms of the prototypes ``apart`` (of linear ones).

        None: nothing bounds it. With equal ends it is the score itself.
        """
        if self.kind == "tree":
            if self.routing == "distributed":
                return self._least_of_tree(score, low, high)
            return self._least_of_leaves(score, low, high)
        total = arb(score.offset)
        for x, weight in enumerate(score.weights):
            if not weight or x in apart:
                continue
            if self.kind == "best":
                end = _largest([(low if weight > 0 else high)(j) for j in self.groups[x]], weight)
            else:
                end = low(x) if weight > 0 else high(x)
            if end is None:
                return None
            total += end * weight
        return total

    def _least_of_tree(self, score: Score, low: Ends, high: Ends) -> arb | None:
        values: dict[int, arb] = {-1 - n: arb(w) for n, w in enumerate(score.weights)}
        for index in reversed(range(len(self.nodes))):  # children come after their parent
            node = self.nodes[index]
            left, right = values.pop(node.left), values.pop(node.right)
            first, last = low(node.prototype), high(node.prototype)
            if first is None or last is None:
                return None
            values[index] = (left + first * (right - left)).min(left + last * (right - left))
        return values[0] + score.offset

    def _least_of_leaves(self, score: Score, low: Ends, high: Ends) -> arb | None:
        """What the module calls greedy or sample-max, times the unit of scores."""
        unit = arb(1 << self.shift)
        good = [weight + score.offset > 0 for weight in score.weights]
        if all(good):
            return unit
        if self.routing == "sample-max" and not any(good):
            return -unit
        least: dict[tuple[int, bool], arb] = {}
        most: dict[tuple[int, bool], arb] = {}
        for index, node in enumerate(self.nodes):
            first, last = low(node.prototype), high(node.prototype)
            if first is None or last is None:
                return None
            least[index, True], most[index, True] = first.max(arb(0)), last.min(arb(1))
            least[index, False], most[index, False] = 1 - most[index, True], 1 - least[index, True]
        if self.routing == "greedy":
            found = [_most(arb(1) / 2 - most[step] for step in self.ways[m]) for m in _bad(good)]
        else:
            sure = self._surely(good, least)
            found = [self._beaten(self.ways[m], sure, least, most) for m in _bad(good)]
        return unit * -_most(-value for value in found)

    def _surely(self, good: Sequence[bool], least: dict[tuple[int, bool], arb]) -> dict[int, arb]:
        """Per node and leaf with a good leaf below it, what arrives there at least from here."""
        sure: dict[int, arb] = {-1 - n: arb(1) for n, is_good in enumerate(good) if is_good}
        for index in reversed(range(len(self.nodes))):
            node = self.nodes[index]
            below = [
                least[index, right] * sure[child]
                for child, right in ((node.left, False), (node.right, True))
                if child in sure
            ]
            if below:
                sure[index] = _most(below)
        return sure

    def _beaten(
        self,
        way: Sequence[tuple[int, bool]],
        sure: dict[int, arb],
        least: dict[tuple[int, bool], arb],
        most: dict[tuple[int, bool], arb],
    ) -> arb:
        """By how much a good leaf is ahead of the bad one at the end of a way, at least."""
        behind, found = arb(1), []
        for index, right in reversed(way):
            behind = behind * most[index, right]
            node = self.nodes[index]
            other = node.left if right else node.right
            if other in sure:
                found.append(least[index, not right] * sure[other] - behind)
        return _most(found)


def _bad(good: Sequence[bool]) -> list[int]:
    return [n for n, is_good in enumerate(good) if not is_good]


def _most(values: Iterable[arb]) -> arb:
    """The largest of some values, of which there is one."""
    return reduce(arb.max, values)


def _largest(ends: Sequence[arb | None], weight: int) -> arb | None:
    """The largest of lower ends (for a positive weight) or of upper ends; None: infinite."""
    known = [end for end in ends if end is not None]
    if not known or (weight < 0 and len(known) < len(ends)):
        return None
    return _most(known)
