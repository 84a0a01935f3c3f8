"""Decisions: from activations to a class, or to a set of labels.

Each decision is ``score`` over activations. A *margin* says by how much the prediction is ahead of
one alternative (a rival class; for labels, the other answer about one label); the prediction holds
where every margin is positive. Values are float64, good for searching and never a proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import InternalError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    Vector = Float[NDArray[np.float64], "..."]
    Weight = Float[NDArray[np.float64], "class_ column"]


Routing = Literal["distributed", "greedy", "sample-max"]
ROUTINGS: tuple[Routing, ...] = ("distributed", "greedy", "sample-max")


def frozen(values: object, dtype: type = np.float64) -> NDArray:  # type: ignore[type-arg]
    """A private copy that nobody changes."""
    copy: NDArray = np.array(values, dtype=dtype)  # type: ignore[type-arg]
    copy.setflags(write=False)
    return copy


@dataclass(frozen=True, eq=False)
class Linear:
    """``W a + b``, the largest wins. ``weight`` [K, P], ``bias`` [K].

    Raises:
        InternalError: shapes that do not fit together.
    """

    weight: Weight
    bias: Float[NDArray[np.float64], " class_"]
    kind: ClassVar[str] = "linear"

    def __post_init__(self) -> None:
        for name in ("weight", "bias"):
            object.__setattr__(self, name, frozen(getattr(self, name)))
        if self.weight.ndim != 2 or self.bias.shape != (len(self.weight),):
            raise InternalError("weight and bias of the decision do not fit together")

    @property
    def classes(self) -> int:
        """K."""
        return len(self.bias)

    @property
    def inputs(self) -> int:
        """P."""
        return int(self.weight.shape[1])

    def scores(self, activation: Vector) -> Vector:
        """The logits [..., K] of activations [..., P]."""
        return np.asarray(activation @ self.weight.T + self.bias)


@dataclass(frozen=True, eq=False)
class Labels(Linear):
    """Each label by itself: on where its logit is above its ``threshold`` [K].

    Raises:
        InternalError: shapes that do not fit together.
    """

    threshold: Float[NDArray[np.float64], " class_"]
    kind: ClassVar[str] = "labels"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "threshold", frozen(self.threshold))
        if self.threshold.shape != self.bias.shape:
            raise InternalError("every label has one threshold")

    def scores(self, activation: Vector) -> Vector:
        """By how much each label is above its threshold."""
        return np.asarray(activation @ self.weight.T + (self.bias - self.threshold))


@dataclass(frozen=True, eq=False)
class Best:
    """The best activation of every group of prototypes, then linear.

    ``group`` [P]: the group of each prototype, or -1 for none; ``then`` is over groups [K, G].

    Raises:
        InternalError: groups that do not fit ``then``, or an empty one.
    """

    group: Int[NDArray[np.intp], " prototype"]
    then: Linear
    kind: ClassVar[str] = "best"

    def __post_init__(self) -> None:
        object.__setattr__(self, "group", frozen(self.group, np.intp))
        if set(self.group.tolist()) - {-1} != set(range(self.then.inputs)):
            raise InternalError("every group of the decision has a prototype and a weight")

    @property
    def classes(self) -> int:
        """K."""
        return self.then.classes

    @property
    def inputs(self) -> int:
        """P."""
        return len(self.group)

    def best(self, activation: Vector) -> Vector:
        """The largest activation of every group: [..., G] of [..., P]."""
        result = np.full((*activation.shape[:-1], self.then.inputs), -np.inf)
        for group in range(self.then.inputs):
            result[..., group] = activation[..., self.group == group].max(axis=-1)
        return result

    def scores(self, activation: Vector) -> Vector:
        """The logits [..., K] of activations [..., P]."""
        return self.then.scores(self.best(activation))


class Ways(NamedTuple):
    """Of a tree: the steps [leaf, step] from the root to every leaf.

    ``node``: where each is; ``right``: whether it goes right; ``real``: whether there is one.
    """

    node: Int[NDArray[np.intp], "leaf step"]
    right: NDArray[np.bool_]
    real: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Tree:
    """A soft binary tree whose leaves hold scores of classes.

    Node n goes right with weight ``a[feature[n]]`` and left with the rest of 1; ``left[n]`` and
    ``right[n]`` are nodes, or leaves written as -1 - leaf. Node 0 is the root, and every child node
    has a larger number than its parent. ``leaf`` [leaves, K]. By ``routing``, the score of a class
    is

    * distributed: the sum over leaves of the leaf's score times the product of the weights on its
      path, which is what graphs compute;
    * greedy: the score of the leaf that the larger weight at every node leads to;
    * sample-max: the score of the leaf with the largest such product.

    Raises:
        InternalError: what is no tree.
    """

    feature: Int[NDArray[np.intp], " node"]
    left: Int[NDArray[np.intp], " node"]
    right: Int[NDArray[np.intp], " node"]
    leaf: Float[NDArray[np.float64], "leaf class_"]
    features: int
    routing: Routing = "distributed"
    kind: ClassVar[str] = "tree"

    def __post_init__(self) -> None:
        for name in ("feature", "left", "right"):
            object.__setattr__(self, name, frozen(getattr(self, name), np.intp))
        object.__setattr__(self, "leaf", frozen(self.leaf))
        nodes = len(self.feature)
        children = [*self.left.tolist(), *self.right.tolist()]
        places = [*range(1, nodes), *(-1 - k for k in range(len(self.leaf)))]
        ordered = all(c < 0 or c > n % nodes for n, c in enumerate(children))
        if not nodes or sorted(children) != sorted(places) or not ordered:
            raise InternalError("the decision is no tree")
        if not ((self.feature >= 0) & (self.feature < self.features)).all():
            raise InternalError("a node of the tree asks for no prototype")

    @property
    def classes(self) -> int:
        """K."""
        return int(self.leaf.shape[1])

    @property
    def inputs(self) -> int:
        """P."""
        return self.features

    def scores(self, activation: Vector) -> Vector:
        """The score of every class: [..., K] of [..., P]."""
        if self.routing != "distributed":
            return np.asarray(self.leaf[self._reached(activation)])
        below: dict[int, Vector] = {-1 - k: row for k, row in enumerate(self.leaf)}
        for node in reversed(range(len(self.feature))):
            share = activation[..., self.feature[node], None]
            left, right = below[int(self.left[node])], below[int(self.right[node])]
            below[node] = (1.0 - share) * left + share * right
        return np.asarray(below[0])

    def _reached(self, activation: Vector) -> Int[NDArray[np.intp], "..."]:
        """The leaf that counts, where one does."""
        share = self.shares(activation)
        if self.routing == "greedy":  # the only one without a share below a half
            return np.asarray((np.where(self.ways.real, share, 1.0)).min(axis=-1).argmax(axis=-1))
        return np.asarray(np.where(self.ways.real, share, 1.0).prod(axis=-1).argmax(axis=-1))

    @cached_property
    def ways(self) -> Ways:
        """The ways from the root to every leaf."""
        found: dict[int, list[tuple[int, bool]]] = {0: []}
        for node, (left, right) in enumerate(zip(self.left, self.right, strict=True)):
            here = found.pop(node)
            found[int(left)], found[int(right)] = [*here, (node, False)], [*here, (node, True)]
        ways = [found[-1 - k] for k in range(len(self.leaf))]
        shape = len(ways), max(map(len, ways))
        at, right, real = np.zeros(shape, np.intp), np.zeros(shape, bool), np.zeros(shape, bool)
        for k, way in enumerate(ways):
            for step, (index, side) in enumerate(way):
                at[k, step], right[k, step], real[k, step] = index, side, True
        return Ways(at, right, real)

    def shares(self, activation: Vector) -> Vector:
        """The weight that goes towards each leaf at every node of its way: [..., leaf, step]."""
        own = np.clip(activation, 0.0, 1.0)[..., self.feature[self.ways.node]]
        return np.asarray(np.where(self.ways.right, own, 1.0 - own))

    def margins(self, leaf: Float[NDArray[np.float64], "leaf rival"], activation: Vector) -> Vector:
        """What is positive where a prediction holds: [..., R], of differences of scores at leaves.

        Distributed: the differences of scores. Else what the ``least`` of equal ends is.
        """
        if self.routing != "distributed":
            return self._of_leaves(leaf, activation, activation)
        below: dict[int, Vector] = {-1 - k: row for k, row in enumerate(leaf)}
        for node in reversed(range(len(self.feature))):
            share = activation[..., self.feature[node], None]
            left, right = below[int(self.left[node])], below[int(self.right[node])]
            below[node] = (1.0 - share) * left + share * right
        return np.asarray(below[0])

    def _of_leaves(
        self, leaf: Float[NDArray[np.float64], "leaf rival"], low: Vector, high: Vector
    ) -> Vector:
        """What has to be positive so that the leaf that counts is a good one, at least: [..., R].

        A leaf is good where its difference of scores is positive. Greedily, no bad leaf is reached
        where on the way to each some weight is below 1/2. Of products, a bad leaf has not the
        largest where a good one has a larger; what both ways share cancels, so that from the node
        where they part the least of one is compared with the most of the other.
        """
        good, (node, right, real) = leaf > 0, self.ways
        first, last = np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)
        # [..., leaf, step]: the most that goes towards the leaf, and the least that goes elsewhere
        ends = self.feature[node]
        most = np.where(real, np.where(right, last[..., ends], 1.0 - first[..., ends]), 1.0)
        if self.routing == "greedy":
            ahead = np.where(real, 0.5 - most, -np.inf).max(axis=-1)[..., None]
            ahead = np.broadcast_to(ahead, (*ahead.shape[:-1], leaf.shape[1]))
        else:
            sure = self._surely(good, first, last)
            other = np.where(right, self.left[node], self.right[node])
            least = np.where(right, 1.0 - last[..., ends], first[..., ends])
            behind = np.flip(np.cumprod(np.flip(most, axis=-1), axis=-1), axis=-1)
            there = sure[..., other, :]
            gap = least[..., None] * np.maximum(there, 0.0) - behind[..., None]
            ahead = np.where(real[..., None] & (there >= 0), gap, -1.0).max(axis=-2)
        return np.asarray(np.where(good, 1.0, ahead).min(axis=-2))

    def _surely(
        self, good: NDArray[np.bool_], low: Vector, high: Vector
    ) -> Float[NDArray[np.float64], "... place rival"]:
        """What surely arrives at a good leaf from each node or leaf, -1 where there is none.

        Places are numbered as ``left`` and ``right`` number them: leaves count from the end.
        """
        count = len(self.feature)
        shape = (*low.shape[:-1], count + len(good), good.shape[1])
        sure = np.full(shape, -1.0)
        sure[..., -1 - np.arange(len(good)), :] = np.where(good, 1.0, -1.0)
        for node in reversed(range(count)):
            j, left, right = self.feature[node], int(self.left[node]), int(self.right[node])
            first, second = (1.0 - high[..., j])[..., None], low[..., j][..., None]
            one, two = sure[..., left, :], sure[..., right, :]
            sure[..., node, :] = np.maximum(
                np.where(one < 0, -1.0, first * one), np.where(two < 0, -1.0, second * two)
            )
        return sure

    def least(
        self,
        leaf: Float[NDArray[np.float64], "leaf rival"],
        low: Float[NDArray[np.float64], " prototype"],
        high: Float[NDArray[np.float64], " prototype"],
    ) -> Float[NDArray[np.float64], " rival"]:
        """Lower bounds of trees with other scores at their leaves, one per column.

        Activations lie in [low, high] inside [0, 1]. A node's value is linear in its own weight and
        grows with both children's, so the least of the two ends with the children's least values
        is a bound; exact where no two nodes share a prototype. Where one leaf counts: what has to
        be positive for that to be a good one.
        """
        if self.routing != "distributed":
            return self._of_leaves(leaf, low, high)
        low, high = np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)
        below = {-1 - k: row for k, row in enumerate(leaf)}
        for node in reversed(range(len(self.feature))):
            left, right = below[int(self.left[node])], below[int(self.right[node])]
            ends = low[self.feature[node]], high[self.feature[node]]
            below[node] = np.minimum(*((1.0 - s) * left + s * right for s in ends))
        return np.asarray(below[0])

    def path(self, activation: Vector) -> list[int]:
        """The nodes that an instance takes, going where the greater weight is."""
        node, taken = 0, []
        while node >= 0:
            taken.append(node)
            chosen = self.right if activation[self.feature[node]] > 0.5 else self.left
            node = int(chosen[node])
        return taken


Decision = Linear | Labels | Best | Tree
