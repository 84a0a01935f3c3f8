"""What the operator that makes a latent guarantees about it."""

from __future__ import annotations

from typing import Literal

from protoproof.network.head.normal_form import Cut
from protoproof.network.head.view import Op, View

LatentRange = Literal["sigmoid", "relu", "normalised", "ball", "softmax", "free"]
_SIMPLE: dict[str, LatentRange] = {"Sigmoid": "sigmoid", "Relu": "relu"}


def latent_range(view: View, cuts: tuple[Cut, ...]) -> LatentRange:
    """``sigmoid`` [0, 1], ``relu`` [0, inf); over the elements of a location ``normalised``
    |z| = 1, ``ball`` |z| <= 1, ``softmax`` (from 0 on, sum 1); else ``free``.

    Several latents have what all of them have.
    """
    found = {_one(view, cut) for cut in cuts}
    return found.pop() if len(found) == 1 else "free"


def _one(view: View, cut: Cut) -> LatentRange:
    node = view.producers.get(cut.tensor)
    if node is None:
        return "free"
    if node.op in _SIMPLE:
        return _SIMPLE[node.op]
    axis = _site_axis(cut)
    if axis is None:
        return "free"
    if node.op in ("Softmax", "LpNormalization"):
        if node.integer("axis", -1) % len(cut.shape) != axis or node.integer("p", 2) != 2:
            return "free"
        return "softmax" if node.op == "Softmax" else "normalised"
    if node.op == "Div" and _divided_by_norm(view, node, axis, len(cut.shape)):
        return "ball"
    return "free"


def _site_axis(cut: Cut) -> int | None:
    """The axis along which a location's elements lie, if they are all of one axis."""
    for axis, size in enumerate(cut.shape):
        step = 1
        for other in cut.shape[axis + 1 :]:
            step *= other
        row = cut.sites[0]
        if len(row) == size and all(int(e) == int(row[0]) + k * step for k, e in enumerate(row)):
            return axis
    return None


def _divided_by_norm(view: View, node: Op, axis: int, rank: int) -> bool:
    """x / max(|x|, epsilon), or x / (|x| + epsilon), over one axis."""
    source, name = node.inputs[0], node.inputs[1]
    while name in view.producers:
        maker = view.producers[name]
        if maker.op == "ReduceL2":
            given = maker.integers("axes")
            if given is None and len(maker.inputs) > 1 and view.is_constant(maker.inputs[1]):
                given = tuple(view.constant(maker.inputs[1]).high.reshape(-1).tolist())
            return (
                maker.inputs[0] == source
                and given is not None
                and [int(a) % rank for a in given] == [axis]
            )
        if maker.op not in ("Add", "Clip", "Expand", "Identity", "Max"):
            return False
        if maker.op == "Add":
            added = [n for n in maker.inputs if view.is_constant(n)]
            if len(added) != 1 or (view.constant(added[0]).plain < 0).any():
                return False
        if maker.op == "Clip" and len(maker.inputs) > 2:
            return False
        name = next((n for n in maker.inputs if n in view.dependent), "")
    return False
