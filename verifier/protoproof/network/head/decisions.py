"""What the output makes of pooled values: linear, labels, the best of groups, or a soft tree."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protoproof.network.head import pooled, trees
from protoproof.network.head.decision import Best, Decision, Labels, Linear
from protoproof.network.head.decision import Tree as TreeDecision
from protoproof.network.head.refusal import NotRecognisedError
from protoproof.network.head.symbols import (
    Combination,
    Measured,
    Pooled,
    Ranked,
    Real,
    Tree,
    Value,
    word,
)
from protoproof.network.head.tables import Atom, Group, Path, Tables

Turned = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Found:
    """The atoms that the output weighs, in the order of the features, and how.

    ``weight`` [K, P] (over ``groups`` where there are some), ``bias`` [K]; or ``tree``. ``ratio``:
    the scores are these over
    a common positive denominator.
    """

    atoms: tuple[Atom, ...]
    weight: Real
    bias: Real
    groups: tuple[int, ...] | None = None
    group_sign: Real | None = None
    tree: Tree | None = None
    tree_atoms: tuple[int, ...] = ()
    ratio: bool = False

    @property
    def trivial(self) -> bool:
        """Whether every score is one pooled value by itself: no decision was taken apart."""
        if self.tree is not None or self.groups is not None:
            return False
        weight = self.weight
        return weight.shape[0] == weight.shape[1] and bool(
            ((weight != 0).sum(axis=0) == 1).all() and ((weight != 0).sum(axis=1) == 1).all()
        )


def found(tables: Tables, value: Value) -> Found:
    """The scores of all classes, from the value of the output.

    Raises:
        NotRecognisedError: the output is no vector of scores over pooled values.
    """
    if isinstance(value, Tree):
        return _tree(tables, value)
    if not isinstance(value, Measured | Pooled | Ranked | Combination):
        raise NotRecognisedError(f"the output is {word(value)}, not scores over pooled values")
    if math.prod(value.shape[:-1]) != 1 and math.prod(value.shape) != max(value.shape):
        raise NotRecognisedError(
            f"an output of shape {list(value.shape)} for one input: several predictions at once, "
            "where a head has one (such as the scores of one location)"
        )
    scores = pooled.combined(tables, value)
    if not scores.weight.any():
        raise NotRecognisedError("the scores are the same whatever the latent: all of it cancels")
    records = [tables.records[tables.atoms[a].record] for a in scores.atom]
    if any(isinstance(record, Group) for record in records):
        return _best(tables, scores)
    if any(isinstance(record, Path) for record in records):
        if scores.ratio is not None:
            raise NotRecognisedError("products of shares over a common denominator")
        products = trees.paths(tables, trees.plain(tables, scores))
        return _tree(tables, trees.grown(tables, products, scores.shape))
    order = sorted(range(len(scores.atom)), key=lambda k: _place(tables, scores.atom[k]))
    atoms = tuple(tables.atoms[scores.atom[k]] for k in order)
    ratio = scores.ratio is not None
    return Found(atoms, scores.weight[:, order], scores.bias, ratio=ratio)


def _place(tables: Tables, atom: int) -> tuple[int, int]:
    return tables.atoms[atom].record, atom


def _best(tables: Tables, scores: Combination) -> Found:
    """Groups of atoms: their members become the features, in the order of the pooling."""
    members: list[tuple[int, int]] = []
    weight = scores.weight.copy()
    signs = np.ones(len(scores.atom))
    for column, number in enumerate(scores.atom):
        atom = tables.atoms[number]
        record = tables.records[atom.record]
        if not isinstance(record, Group):
            members.append((number, column))
            continue
        if atom.steps:
            raise NotRecognisedError("a function of the best of a group")
        signs[column] = 1.0 if record.kind == "max" else -1.0
        members += [(member, column) for member in record.members]
    members.sort(key=lambda pair: (*_place(tables, pair[0]), pair[1]))
    atoms = tuple(tables.atoms[number] for number, _ in members)
    groups = tuple(column for _, column in members)
    ratio = scores.ratio is not None
    return Found(atoms, weight * signs, scores.bias, groups, signs, ratio=ratio)


def _tree(tables: Tables, value: Tree) -> Found:
    numbers: list[int] = []

    def walk(node: Tree | Real) -> None:
        if isinstance(node, Tree):
            numbers.append(node.atom)
            walk(node.left)
            walk(node.right)

    walk(value)
    order = sorted(set(numbers), key=lambda number: _place(tables, number))
    atoms = tuple(tables.atoms[number] for number in order)
    none = np.zeros((0, len(atoms)))
    return Found(atoms, none, np.zeros(0), tree=value, tree_atoms=tuple(order))


def turned(found: Found) -> Real:
    """[P]: -1 where the decision wants the negative of an activation (the least of a group)."""
    if found.groups is None or found.group_sign is None:
        return np.ones(len(found.atoms))
    return np.asarray(found.group_sign[list(found.groups)])


def decision(found: Found, rising: Turned, labels: bool) -> Decision:
    """The decision over activations, those of ``rising`` features negated (1 - a in a tree)."""
    if found.tree is not None:
        return _tree_decision(found, found.tree, rising)
    if found.groups is not None:
        if rising.any():
            raise NotRecognisedError("the worst of a group of prototypes decides")
        if labels:
            raise NotRecognisedError("labels over the best of groups")
        return Best(np.array(found.groups), Linear(found.weight, found.bias))
    weight = np.where(rising[None, :], -found.weight, found.weight) + 0.0
    if labels:
        return Labels(weight, found.bias, np.zeros(len(found.bias)))
    return Linear(weight, found.bias)


def _tree_decision(found: Found, root: Tree, rising: Turned) -> TreeDecision:
    """Nodes from the root on, a parent before its children; leaves as they are met."""
    place = {number: j for j, number in enumerate(found.tree_atoms)}
    feature: list[int] = []
    children: list[list[int]] = []
    leaves: list[Real] = []
    waiting: list[tuple[Tree, int, int]] = []

    def enter(node: Tree | Real, parent: int, side: int) -> None:
        if isinstance(node, Tree):
            number = len(feature)
            feature.append(place[node.atom])
            children.append([0, 0])
            waiting.append((node, number, 0))
        else:
            number = -1 - len(leaves)
            leaves.append(np.asarray(node, dtype=np.float64).reshape(-1))
        if parent >= 0:
            children[parent][side] = number

    enter(root, -1, 0)
    while waiting:
        node, number, _ = waiting.pop(0)
        swap = int(rising[feature[number]])
        enter(node.left, number, 0 ^ swap)
        enter(node.right, number, 1 ^ swap)
    classes = max(len(leaf) for leaf in leaves)
    rows = np.array([np.broadcast_to(leaf, classes) for leaf in leaves])
    left, right = (np.array([pair[side] for pair in children]) for side in (0, 1))
    return TreeDecision(np.array(feature), left, right, rows, len(found.atoms))
