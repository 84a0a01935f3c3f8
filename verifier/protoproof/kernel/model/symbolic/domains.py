"""What the operator behind a latent tensor says about its values, over the reals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from protoproof.errors import ModelError
from protoproof.kernel.arithmetic.exact import Ratio
from protoproof.kernel.model.graph import Graph
from protoproof.kernel.model.head import Length
from protoproof.kernel.model.symbolic import latents
from protoproof.kernel.model.symbolic.arrays import Array, Shape, thin
from protoproof.kernel.model.symbolic.evaluator import Evaluation
from protoproof.kernel.model.symbolic.nodes import Operator, read
from protoproof.kernel.model.symbolic.values import Constant, Latent

_BOXES: dict[str, tuple[Ratio, Ratio | None]] = {
    "Relu": ((0, 1), None),
    "Sigmoid": ((0, 1), (1, 1)),
    "Softmax": ((0, 1), (1, 1)),
    "Tanh": ((-1, 1), (1, 1)),
}


@dataclass(frozen=True)
class OperatorDomain:
    """What is true of every value of one latent tensor, whatever the network's input.

    Attributes:
        operator: the operator that outputs it, '' for an input of the network.
        box: range of every element, None if there is none; its upper end None for infinite.
        kind: ``simplex`` (at every site: at least 0, sum 1), ``sphere`` (norm 1, unless the
            normalised vector is zero), ``ball`` (norm at most 1), or ''.
    """

    operator: str
    box: tuple[Ratio, Ratio | None] | None = None
    kind: str = ""


def domain_of(graph: Graph, tensor: str, shape: Shape, sites: Sequence[Array]) -> OperatorDomain:
    """The domain of a cut; ``sites``: flat indices [L, D] of the cut's locations.

    What is no rule here proves nothing; it is never an error.
    """
    name = graph.root(tensor)
    node, position = graph.producers.get(name, (None, 0))
    if node is None or position:
        return OperatorDomain("")
    try:
        operator = read(node, graph.opset)
    except ModelError:
        return OperatorDomain(node.op_type)
    box = _BOXES.get(operator.kind) if operator.kind != "Clip" else _clip_box(graph, operator)
    if operator.kind == "Softmax":
        return OperatorDomain("Softmax", box, _simplex(operator, shape, sites))
    kind = ""
    if operator.kind in ("Div", "LpNormalization", "Mul"):
        kind = _normalised(graph, operator, name, shape, sites)
        box = ((-1, 1), (1, 1)) if kind else None
    return OperatorDomain(operator.kind, box, kind)


def _clip_box(graph: Graph, operator: Operator) -> tuple[Ratio, Ratio | None] | None:
    """Clip's range, where it has a lower end."""
    ends: list[Ratio | None] = [None, None]
    try:
        for position, name in enumerate(operator.inputs[1:3]):
            limit = Evaluation(graph, {}).value(name) if name else None
            if isinstance(limit, Constant) and limit.rational and limit.number.numerators.size == 1:
                value = limit.number.value((0,) * len(limit.shape))
                if isinstance(value, Fraction):
                    ends[position] = value.numerator, value.denominator
    except ModelError:
        return None
    low, high = ends
    if low is None or (high is not None and high[0] * low[1] < low[0] * high[1]):
        return None
    return low, high


def _groups(shape: Shape, axis: int) -> set[tuple[int, ...]]:
    index = np.moveaxis(np.arange(int(np.prod(shape))).reshape(shape), axis, -1)
    return {tuple(line) for line in index.reshape(-1, shape[axis]).tolist()}


def _simplex(operator: Operator, shape: Shape, sites: Sequence[Array]) -> str:
    axis = operator.attributes["axis"]
    if not -len(shape) <= axis < len(shape):
        return ""
    groups = _groups(shape, axis % len(shape))
    inside = all(tuple(site.tolist()) in groups for site in sites)
    return "simplex" if inside else ""


def _normalised(
    graph: Graph, operator: Operator, tensor: str, shape: Shape, sites: Sequence[Array]
) -> str:
    """Whether every site is divided by its own norm: the tensor, evaluated from what is divided."""
    for source in operator.inputs:
        if source in graph.constants or not source:
            continue
        if not _has_shape(graph, source, shape):
            continue  # broadcast to the latent, its norm would be another's
        here = Evaluation(graph, {source: shape})
        try:
            value = here.value(tensor)
        except ModelError:
            continue
        if not isinstance(value, Latent) or value.shape != shape or value.power != 1:
            continue
        if not _whole(value):
            continue
        norms = value.norm.reshape(-1)
        lengths = set()
        for site in sites:
            entry = set(norms[site].tolist())
            norm = entry.pop()
            if entry or norm < 0:
                return ""
            divisor = here.tables.norms[norm]
            if here.tables.sites[divisor.site].elements != tuple(site.tolist()):
                return ""
            lengths.add(divisor.length)
        if lengths:
            return "sphere" if lengths == {Length()} else "ball"
    return ""


def _has_shape(graph: Graph, tensor: str, shape: Shape) -> bool:
    from protoproof.kernel.model.symbolic.shapes import shape_of  # which reads heads, too

    try:
        return shape_of(graph, tensor) == shape
    except ModelError:
        return False


def _whole(value: Latent) -> bool:
    """Whether every element is the element of the source at its place, divided by a norm alone."""
    one = bool(np.all(thin(value.scale.numerators) == value.scale.denominator))
    none = not np.any(thin(value.shift.numerators).astype(bool))
    placed = bool((value.index.reshape(-1) == np.arange(value.index.size)).all())
    return one and none and placed and latents.constant_root(value)
