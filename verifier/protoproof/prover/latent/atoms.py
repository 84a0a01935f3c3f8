"""What has to be positive for a prediction to hold: margins over the alternatives to it.

``classes``: one margin per rival class. ``labels``: one per label, by how far it is on the side of
its threshold that it is on. Bounds hold for activations that move freely between two ends: for a
linear decision exactly the least value, for the best of groups as well, for a tree the recursion of
:meth:`protoproof.network.head.decision.Tree.least`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.errors import InternalError
from protoproof.network.head.decision import Best, Decision, Labels, Linear, Tree

Vector = Float[NDArray[np.float64], " prototype"]
Margins = Float[NDArray[np.float64], " rival"]
# [R, P], dense or in compressed rows
Weights = Any

# Products with a compressed matrix are faster up to about this share of entries.
_SPARSE = 0.1


@dataclass(frozen=True, eq=False)
class Atoms:
    """The margins of one prediction.

    ``predicted``: the class, or for labels -1; ``rivals``: the classes, or labels, that the margins
    are about; ``on``: for labels, which of all labels the prediction says are on.
    """

    decision: Decision
    predicted: int
    rivals: tuple[int, ...]
    on: tuple[int, ...] = ()

    @classmethod
    def of(
        cls, decision: Decision, predicted: int, scores: Margins, labels: Sequence[int] = ()
    ) -> Atoms:
        """The margins of a prediction with these scores.

        Args:
            labels: of a decision about labels, those that the margins are about; all by default.
        """
        if isinstance(decision, Labels):
            on = tuple(np.flatnonzero(scores > 0).tolist())
            return cls(decision, -1, tuple(labels) or tuple(range(decision.classes)), on)
        others = tuple(k for k in range(decision.classes) if k != predicted)
        return cls(decision, predicted, others)

    @property
    def linear(self) -> bool:
        """Whether every margin is one linear form of the activations."""
        return isinstance(self.decision, Linear)

    @cached_property
    def weights(self) -> Float[NDArray[np.float64], "rival column"]:
        """Of every margin, over activations (over groups, for the best of groups).

        Raises:
            InternalError: the decision is a tree.
        """
        chosen = list(self.rivals)
        match self.decision:
            case Labels() as labels:
                return np.asarray(self._signs[:, None] * labels.weight[chosen])
            case Linear() as linear:
                return np.asarray(linear.weight[self.predicted] - linear.weight[chosen])
            case Best() as best:
                return np.asarray(best.then.weight[self.predicted] - best.then.weight[chosen])
        raise InternalError("a tree has no matrix of weights")

    @cached_property
    def offset(self) -> Margins:
        """What every margin adds to its linear form; of a tree, zero."""
        chosen = list(self.rivals)
        match self.decision:
            case Labels() as labels:
                return np.asarray(self._signs * (labels.bias - labels.threshold)[chosen])
            case Linear() as linear:
                return np.asarray(linear.bias[self.predicted] - linear.bias[chosen])
            case Best() as best:
                return np.asarray(best.then.bias[self.predicted] - best.then.bias[chosen])
        return np.zeros(len(chosen))

    @property
    def _signs(self) -> Margins:
        return np.array([1.0 if label in self.on else -1.0 for label in self.rivals])

    @cached_property
    def supporting(self) -> Float[NDArray[np.float64], "rival column"]:
        """The weights that speak for the prediction, else zero."""
        return np.maximum(self.weights, 0.0)

    @cached_property
    def opposing(self) -> Float[NDArray[np.float64], "rival column"]:
        """The weights that speak for the rival, else zero."""
        return np.minimum(self.weights, 0.0)

    @cached_property
    def charges(self) -> tuple[Weights, Weights]:
        """``supporting`` and ``opposing`` in the form in which products with them cost least.

        Most classes share most prototypes' weights, so margin weights are usually mostly zero.
        """
        signed = self.supporting, self.opposing
        if np.count_nonzero(self.weights) > _SPARSE * self.weights.size:
            return signed
        from scipy.sparse import csr_array  # reports read atoms, and need no solver

        return csr_array(signed[0]), csr_array(signed[1])

    def margins(self, activation: Float[NDArray[np.float64], "..."]) -> NDArray[np.float64]:
        """The margins [..., R] at activations [..., P]."""
        match self.decision:
            case Linear():
                return np.asarray(activation @ self.weights.T + self.offset)
            case Best() as best:
                return np.asarray(best.best(activation) @ self.weights.T + self.offset)
        return np.asarray(self.decision.margins(self.leaves, activation))

    def least(self, low: Vector, high: Vector) -> Margins:
        """Lower bounds of all margins when each activation moves freely in [low, high]."""
        match self.decision:
            case Linear():
                return interval_margins(*self.charges, self.offset, low, high)
            case Best() as best:
                # the largest of a group is monotone in each of its members
                ends = best.best(low), best.best(high)
                return interval_margins(*self.charges, self.offset, *ends)
            case Tree() as tree:
                return tree.least(self.leaves, low, high)

    @cached_property
    def leaves(self) -> Float[NDArray[np.float64], "leaf rival"]:
        """Of a tree, what each leaf adds to every margin.

        Raises:
            InternalError: the decision is no tree.
        """
        if not isinstance(self.decision, Tree):
            raise InternalError("only a tree has leaves")
        leaf = self.decision.leaf
        return np.asarray(leaf[:, [self.predicted]] - leaf[:, list(self.rivals)])

    def local(self, activation: Vector) -> Float[NDArray[np.float64], "rival prototype"]:
        """Of every margin, the weights of its linear form near some activations.

        Exact for a linear decision; of the best of groups those of the best members; of a tree the
        derivative, of all leaves together in any case: where one leaf counts, it is mostly flat.
        For rankings and searches, never for a proof.
        """
        match self.decision:
            case Linear():
                return self.weights
            case Best() as best:
                result = np.zeros((len(self.rivals), len(activation)))
                for group in range(best.then.inputs):
                    members = np.flatnonzero(best.group == group)
                    chosen = members[int(np.argmax(activation[members]))]
                    result[:, chosen] = self.weights[:, group]
                return result
            case Tree() as tree:
                return self._slopes(replace(tree, routing="distributed"), activation)

    def _slopes(
        self, tree: Tree, activation: Vector
    ) -> Float[NDArray[np.float64], "rival prototype"]:
        """The derivatives of the margins by finite differences."""
        count = len(activation)
        # a tree is linear in every single activation, but for prototypes that several nodes share
        ends = np.tile(activation, (2 * count, 1))
        index = np.arange(count)
        step = 1e-6
        ends[index, index] += step
        ends[count + index, index] -= step
        values = tree.margins(self.leaves, ends)
        return np.asarray((values[:count] - values[count:]).T / (2 * step))


def interval_margins(
    supporting: Weights,
    opposing: Weights,
    offset: Margins,
    low: Vector,
    high: Vector,
) -> Margins:
    """Least value of every margin when each activation moves freely in [low, high].

    Sound because a linear form over a box attains its least value at the end points that the
    signs of its coefficients choose. A zero coefficient contributes nothing even at infinity; any
    other one at infinity leaves the margin without a bound. Two matrix-vector products: this is
    where a search over facts spends its time.

    Args:
        low, high: [P], or [row, P] for the margins [row, rival] of several boxes.
    """
    low, high, offset = low.T, high.T, offset[:, None] if low.ndim > 1 else offset
    open_low, open_high = ~np.isfinite(low), ~np.isfinite(high)
    if not open_low.any() and not open_high.any():
        return np.asarray(supporting @ low + opposing @ high + offset).T
    margins = supporting @ np.where(open_low, 0.0, low) + opposing @ np.where(open_high, 0.0, high)
    # a product with 0 and 1, because a sparse array has no any()
    unbounded = (supporting @ open_low.astype(float) > 0) | (opposing @ open_high.astype(float) < 0)
    return np.where(unbounded, -np.inf, margins + offset).T
