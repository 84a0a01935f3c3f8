"""Margins and what facts ask for at many latents at once, with gradients: heads of every kind.

Float64 and for searches only. A latent differs from the instance's at a few locations; everything
is a function of the whole table of measurements, of which only the rows of these locations change.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.network.head.decision import Best, Linear, Tree
from protoproof.network.head.head import Head
from protoproof.prover.latent.atoms import Atoms
from protoproof.prover.latent.instance import Instance

Points = Float[NDArray[np.float64], "start location channel"]
Tables = Float[NDArray[np.float64], "start location prototype"]
Pooled = Float[NDArray[np.float64], "start prototype"]

_TINY = 1e-12


def measured(head: Head, points: Points) -> Tables:
    """Measurements of points [..., D], without regard to banks."""
    prototypes = head.prototypes
    if head.geometry in ("linear", "angular"):
        result = -(points @ prototypes.T)
        if head.geometry == "angular":
            result = np.clip(result / _length(head, points), *head.range)
        return np.asarray(result)
    weights = np.ones_like(prototypes) if head.scales is None else head.scales
    constant = (weights * prototypes**2).sum(axis=1)
    result = points**2 @ weights.T - 2.0 * points @ (weights * prototypes).T + constant
    return np.asarray(np.maximum(result, 0.0))


def _length(head: Head, points: Points) -> Points:
    return np.maximum(head.length(points), _TINY)[..., None]


def pulled(head: Head, points: Points, slopes: Tables) -> Points:
    """Gradients of sum_j slopes_j m_j(z) with respect to the points."""
    prototypes = head.prototypes
    if head.geometry == "linear":
        return np.asarray(-(slopes @ prototypes))
    if head.geometry == "angular":
        norm = _length(head, points)
        unit, total = points / norm, -(slopes @ prototypes)
        return np.asarray((total - (total * unit).sum(axis=-1, keepdims=True) * unit) / norm)
    weights = np.ones_like(prototypes) if head.scales is None else head.scales
    return np.asarray(2.0 * (points * (slopes @ weights) - slopes @ (weights * prototypes)))


@dataclass(frozen=True, eq=False)
class Margins:
    """The margin rows of an instance as functions of tables of measurements.

    ``target``: with a class, every row is by how much that class is behind the best other one, so
    that it is negative where the class is predicted.
    """

    instance: Instance
    target: int | None = None

    @cached_property
    def _atoms(self) -> Atoms:
        if self.target is None:
            return self.instance.atoms
        head = self.instance.head
        return Atoms.of(head.decision, self.target, head.logits(self.instance.activation))

    def pooled(self, tables: Tables) -> Pooled:
        """Pooled values [B, P]."""
        head = self.instance.head
        if head.all_nearest:
            return np.asarray(tables.min(axis=1))
        return np.stack([head.pooled(table) for table in tables])

    def values(self, tables: Tables) -> NDArray[np.float64]:
        """All margins [B, R]."""
        activation = self.instance.head.chain.value(self.pooled(tables))
        margins = np.asarray(self._atoms.margins(activation))
        if self.target is None:
            return margins
        behind = -margins.min(axis=-1, keepdims=True)
        return np.repeat(behind, len(self.instance.rivals), axis=-1)

    def slopes(
        self, tables: Tables, rows: Int[NDArray[np.intp], " start"]
    ) -> tuple[Pooled, Tables]:
        """d margin / d pooled [B, P] of one row per start, and d margin / d measurement."""
        head = self.instance.head
        pooled = self.pooled(tables)
        activation = head.chain.value(pooled)
        if self.target is None:
            weights = self._weights(activation, rows)
        else:
            weights = -self._weights(activation, self._atoms.margins(activation).argmin(axis=-1))
        steep = np.nan_to_num(head.chain.derivative(pooled), posinf=0.0, neginf=0.0)
        outer = weights * steep
        return outer, self.shares(tables) * outer[:, None, :]

    def shares(self, tables: Tables) -> Tables:
        """d pooled / d measurement [B, L, P]."""
        head = self.instance.head
        places = np.arange(tables.shape[1])[:, None]
        nearest = (tables.argmin(axis=1)[:, None, :] == places).astype(float)
        if head.all_nearest:
            return np.asarray(nearest)
        mask = np.ones(tables.shape[1:], bool) if head.mask is None else head.mask
        known = np.where(mask, tables, np.clip(0.0, *head.range))
        value, slope = head.inner_chain.value(known), head.inner_chain.derivative(known)
        slope = np.where(mask, np.nan_to_num(slope, posinf=0.0, neginf=0.0), 0.0)
        value = np.where(mask, value, -np.inf)
        size = mask.sum(axis=0)
        top = (value.argmax(axis=1)[:, None, :] == places).astype(float)
        rank = np.argsort(np.argsort(-value, axis=1, kind="stable"), axis=1, kind="stable")
        count = np.minimum(np.array(head.pooling_of.count), size)
        shares = {
            "mean": np.broadcast_to(1.0 / size, value.shape),
            "sum": np.ones_like(value),
            "k-largest mean": (rank < count) / count,
            "focal": top - 1.0 / size,
        }
        result: Tables = nearest
        for kind, columns in head.pooling_of.columns.items():
            if kind != "nearest":
                result[:, :, columns] = (shares[kind] * slope)[:, :, columns]
        return np.asarray(result)

    def _weights(self, activation: Pooled, rows: Int[NDArray[np.intp], " start"]) -> Pooled:
        """d margin / d activation [B, P] of one row per start."""
        atoms = self._atoms
        match atoms.decision:
            case Linear():
                return np.asarray(atoms.weights[rows])
            case Best() as best:
                result = np.zeros_like(activation)
                for group in range(best.then.inputs):
                    members = np.flatnonzero(best.group == group)
                    chosen = members[activation[:, members].argmax(axis=1)]
                    result[np.arange(len(rows)), chosen] = atoms.weights[rows, group]
                return result
            case Tree() as tree:
                return _of_tree(tree, atoms.leaves[:, rows].T, activation)


def _of_tree(tree: Tree, leaves: NDArray[np.float64], activation: Pooled) -> Pooled:
    """Derivatives of trees with scores ``leaves`` [B, leaf] at activations [B, P].

    Greedily, that of the one share which keeps the way from the bad leaf that it is nearest to.
    """
    if tree.routing != "distributed":
        return _of_leaves(tree, leaves, activation)
    below = {-1 - k: leaves[:, k] for k in range(leaves.shape[1])}
    for node in reversed(range(len(tree.feature))):
        share = activation[:, tree.feature[node]]
        left, right = below[int(tree.left[node])], below[int(tree.right[node])]
        below[node] = (1.0 - share) * left + share * right
    result, reach = np.zeros_like(activation), {0: np.ones(len(activation))}
    for node in range(len(tree.feature)):
        here, j = reach[node], int(tree.feature[node])
        first, second = int(tree.left[node]), int(tree.right[node])
        result[:, j] += here * (below[second] - below[first])
        reach[first] = here * (1.0 - activation[:, j])
        reach[second] = here * activation[:, j]
    return result


def _of_leaves(tree: Tree, leaves: NDArray[np.float64], activation: Pooled) -> Pooled:
    """Of what is positive where a good leaf counts: the subgradient at each activation."""
    node, right, real = tree.ways
    share, bad = np.where(real, tree.shares(activation), 1.0), leaves <= 0
    starts, result = np.arange(len(activation)), np.zeros_like(activation)
    sign = np.where(right, 1.0, -1.0)
    if tree.routing == "greedy":
        nearest = np.where(bad, share.min(axis=-1), -np.inf).argmax(axis=-1)
        step = share[starts, nearest].argmin(axis=-1)
        result[starts, tree.feature[node[nearest, step]]] = -sign[nearest, step]
        return result
    product = share.prod(axis=-1)
    for kind, factor in ((bad, -1.0), (~bad, 1.0)):
        leaf = np.where(kind, product, -np.inf).argmax(axis=-1)
        for step in range(node.shape[1]):
            rest = np.delete(share[starts, leaf], step, axis=-1).prod(axis=-1)
            slope = np.where(real[leaf, step], factor * sign[leaf, step] * rest, 0.0)
            np.add.at(result, (starts, tree.feature[node[leaf, step]]), slope)
    return result
