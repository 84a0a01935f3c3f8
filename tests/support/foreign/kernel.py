"""The checker's own reading of a foreign graph, and its value in ordinary floating point."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from flint import arb, fmpq

from protoproof.kernel.model.chain import Chain
from protoproof.kernel.model.decision import Decision
from protoproof.kernel.model.file import BoundHead
from protoproof.kernel.model.head import Head
from tests.support.foreign.family import Form
from tests.support.foreign.running import Floats


def form_of(bound: BoundHead) -> Form:
    """The normal form that the checker read."""
    head = bound.head
    return Form(
        head.geometry,
        tuple(sorted({pooling.kind for pooling in head.pooling})),
        head.decision.kind,
        tuple(tuple(cut.shape) for cut in bound.cuts),
        head.location_count,
        head.channels,
        head.prototype_count,
        head.class_count,
    )


def prototypes(head: Head) -> Floats:
    """[P, D], rounded once."""
    rows = [head.prototype(j) for j in range(head.prototype_count)]
    return _over(rows, head.shift)


def scores(bound: BoundHead, latent: Floats) -> Floats:
    """The scores [K] of a latent [L, D], from the checker's numbers."""
    head = bound.head
    table = _measured(bound, latent)
    activations = [_activation(head, j, table[:, j]) for j in range(head.prototype_count)]
    return _decided(head.decision, np.array(activations))


def _measured(bound: BoundHead, latent: Floats) -> Floats:
    head, points = bound.head, prototypes(bound.head)
    if head.geometry in ("euclidean", "diagonal"):
        scales = _over(head.scales, head.scale_shift) if head.scales else np.ones(points.shape)
        return np.asarray(((latent[:, None] - points) ** 2 * scales).sum(axis=-1))
    table = -latent @ points.T
    if head.geometry == "angular":
        floor, added, beside = np.array([head.length(j) for j in range(len(points))], float).T
        square = np.maximum((latent**2).sum(axis=1)[:, None] + added, floor)
        table = table / (np.sqrt(square) + np.sqrt(beside))
    return np.asarray(table)


def _activation(head: Head, prototype: int, column: Floats) -> float:
    places = [k for k in range(len(column)) if head.measures(k, prototype)]
    own, (kind, largest) = column[places], head.pooling[prototype]
    if kind == "nearest":
        return _value(head.chain, prototype, own.min())
    inner = np.sort([_value(head.inner, prototype, m) for m in own])[::-1]
    pooled = {
        "mean": inner.mean(),
        "sum": inner.sum(),
        "k-largest mean": inner[: largest or None].mean(),
        "focal": inner[0] - inner.mean(),
        "nearest less mean": _value(head.common, prototype, inner[-1])
        - _value(head.common, prototype, inner.mean()),
    }[kind]
    return _value(head.chain, prototype, float(pooled))


def _value(chain: Chain, prototype: int, t: float) -> float:
    exact = fmpq(*Fraction(float(t)).as_integer_ratio())
    return float(arb(chain.value(prototype, exact)).mid())


def _decided(decision: Decision, activation: Floats) -> Floats:
    if decision.kind == "tree":
        activation = _arriving(decision, activation)
    elif decision.kind == "best":
        activation = np.array([activation[list(group)].max() for group in decision.groups])
    weight = _over(decision.weight, decision.shift)
    return np.asarray(weight @ activation + _over(decision.bias, decision.shift))


def _over(numbers: Sequence[object], shift: int) -> Floats:
    """Integers over ``2**shift``, each rounded once, however large it is."""
    whole = np.array(numbers, dtype=object)
    return np.asarray(np.vectorize(lambda n: float(Fraction(int(n), 1 << shift)))(whole), float)


def _arriving(decision: Decision, activation: Floats) -> Floats:
    """The share of what enters a tree that arrives at each leaf."""
    leaves, waiting = np.zeros(len(decision.nodes) + 1), [(0, 1.0)]
    while waiting:
        place, share = waiting.pop()
        if place < 0:
            leaves[-1 - place] += share
            continue
        node = decision.nodes[place]
        right = float(activation[node.prototype])
        waiting += [(node.left, share * (1 - right)), (node.right, share * right)]
    return leaves
