"""How activations decide: what must be positive for a prediction, and the least that it can be.

*Linear*, *labels*, *best*: scores W x + b, where x are the activations, or (best) the largest of
each group of them. A prediction holds against a rival class while its score is the larger; a label
is on exactly while its own score, less its threshold, is positive.

*Tree*: every node routes a share a_j of what reaches it to the right and 1 - a_j to the left, so
that the score of a class is sum over leaves of (share that arrives) * W. This is the *distributed*
decision: all leaves vote. The greedy one, which follows the larger share, is another.

Least values over independent intervals of activations. A linear form takes the end that each weight
chooses; a largest lies between the largest of the ends; for a tree, with L and R the least values
below a node, the least of (1 - s) L + s R over s in [lo, hi] within [0, 1] is at an end. That is
exact where every node has its own prototype, and a lower bound always, because shares are not
negative.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import sub
from typing import Literal, NamedTuple

from flint import arb

from protoproof.errors import ModelError

Kind = Literal["linear", "labels", "tree", "best"]
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

    def __post_init__(self) -> None:
        if self.class_count < (1 if self.kind == "labels" else 2):
            raise ModelError("model: fewer than two classes, so nothing can be predicted wrongly")
        width = {"best": len(self.groups), "tree": len(self.nodes) + 1}.get(
            self.kind, self.prototypes
        )
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
            return self._least_of_tree(score, low, high)
        total = arb(score.offset)
        for x in compress(range(len(score.weights)), score.weights):
            weight = score.weights[x]
            if x in apart:
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


def _largest(ends: Sequence[arb | None], weight: int) -> arb | None:
    """The largest of lower ends (for a positive weight) or of upper ends; None: infinite."""
    known = [end for end in ends if end is not None]
    if not known or (weight < 0 and len(known) < len(ends)):
        return None
    largest = known[0]
    for end in known[1:]:
        largest = largest.max(end)
    return largest
