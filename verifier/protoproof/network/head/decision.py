"""Decisions: from activations to a class, or to a set of labels.

Each decision is ``score`` over activations. A *margin* says by how much the prediction is ahead of
one alternative (a rival class; for labels, the other answer about one label); the prediction holds
where every margin is positive. Values are float64, good for searching and never a proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import InternalError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    Vector = Float[NDArray[np.float64], "..."]
    Weight = Float[NDArray[np.float64], "class_ column"]


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


@dataclass(frozen=True, eq=False)
class Tree:
    """A soft binary tree whose leaves hold scores of classes.

    Node n goes right with weight ``a[feature[n]]`` and left with the rest of 1; ``left[n]`` and
    ``right[n]`` are nodes, or leaves written as -1 - leaf. Node 0 is the root, and every child node
    has a larger number than its parent. ``leaf`` [leaves, K]. The score of a class is the sum over
    leaves of the leaf's score times the product of the weights on its path.

    Raises:
        InternalError: what is no tree.
    """

    feature: Int[NDArray[np.intp], " node"]
    left: Int[NDArray[np.intp], " node"]
    right: Int[NDArray[np.intp], " node"]
    leaf: Float[NDArray[np.float64], "leaf class_"]
    features: int
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
        below: dict[int, Vector] = {-1 - k: row for k, row in enumerate(self.leaf)}
        for node in reversed(range(len(self.feature))):
            share = activation[..., self.feature[node], None]
            left, right = below[int(self.left[node])], below[int(self.right[node])]
            below[node] = (1.0 - share) * left + share * right
        return np.asarray(below[0])

    def least(
        self,
        leaf: Float[NDArray[np.float64], "leaf rival"],
        low: Float[NDArray[np.float64], " prototype"],
        high: Float[NDArray[np.float64], " prototype"],
    ) -> Float[NDArray[np.float64], " rival"]:
        """Lower bounds of trees with other scores at their leaves, one per column.

        Activations lie in [low, high] inside [0, 1]. A node's value is linear in its own weight and
        grows with both children's, so the least of the two ends with the children's least values
        is a bound; exact where no two nodes share a prototype.
        """
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
