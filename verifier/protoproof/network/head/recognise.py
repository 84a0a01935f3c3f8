"""Match the head subgraph from the logits back to the latent.

Over the reals the canonical head *is* the described one: measurement = |z|^2 - 2 z.p + |p|^2 (or a
sum of squared differences), Relu is the identity on it, -maxpool(-q) over the whole grid is the
minimum over locations, and a decreasing similarity of the minimum is the maximum of similarities.
So a match proves that graph and description define one function; constants are read off the graph.

Accepted besides the canonical form: other tensor names, swapped operands of Add and Mul, Identity
nodes (dropped before), and squared differences written out. Every attribute of every node is
compared, ONNX's defaults filled in. A reduction in place of the pooling is not accepted: it would
take a grid of any size, so the checker, which runs nothing, could not tell the grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protoproof.network.head.description import HeadDescription
from protoproof.network.onnx.graph import Graph
from protoproof.network.onnx.node import Attribute, Node, printable

Array = NDArray[np.float32]

_WINDOW: dict[str, Attribute] = {
    "auto_pad": "NOTSET",
    "dilations": (1, 1),
    "pads": (0, 0, 0, 0),
    "strides": (1, 1),
}
_REDUCE: dict[str, Attribute] = {"keepdims": 1, "noop_with_empty_axes": 0}
# the values that ONNX gives to attributes that are not written
_DEFAULTS: dict[str, dict[str, Attribute]] = {
    "Conv": {**_WINDOW, "group": 1, "kernel_shape": (1, 1)},
    "Flatten": {"axis": 1},
    "Gemm": {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0},
    "MaxPool": {**_WINDOW, "ceil_mode": 0, "storage_order": 0},
    "ReduceSum": _REDUCE,
}


class NotRecognisedError(Exception):
    """Why the subgraph is not the described head, in plain words. Never leaves this package."""


@dataclass(frozen=True, eq=False)
class RecognisedHead:
    """What the graph holds, float32: prototypes [P, D], weight [K, P], bias [K] or None.

    ``constant`` is the similarity's (1.0 where it has none).
    """

    prototypes: Array
    constant: float
    weight: Array
    bias: Array | None


@dataclass(frozen=True)
class Names:
    """Names that the described tensors have in the graph once identities are dropped."""

    latent: str
    measurement: str
    activation: str
    logits: str
    prototypes: str
    weight: str
    bias: str | None


def recognise(graph: Graph, names: Names, description: HeadDescription) -> RecognisedHead:
    """Match the head of a graph whose identities were dropped.

    Raises:
        NotRecognisedError: the first place where graph and description part.
    """
    match = _Matcher(graph)
    weight, bias = _decision(match, names)
    nearest, constant = _SIMILARITIES[description.similarity.kind](match, names.activation)
    _nearest(match, nearest, names.measurement, description.latent.grid)
    prototypes = _measurement(match, names)
    channels = description.latent.channels
    if prototypes.shape[1:] != (channels, 1, 1):
        raise NotRecognisedError(f"prototypes: their shape is {prototypes.shape}, not [P, D, 1, 1]")
    return RecognisedHead(prototypes.reshape(-1, channels), constant, weight, bias)


class _Matcher:
    """Walks from tensors to the nodes that make them."""

    def __init__(self, graph: Graph) -> None:
        self.constants = graph.constants
        self.producers: Mapping[str, Node] = graph.producers()

    def node(
        self, tensor: str, op: str, role: str, inputs: int = 1, **attributes: Attribute
    ) -> Node:
        """The node behind ``tensor``: an ``op`` with these attributes and number of inputs."""
        node = self.producers.get(tensor)
        if node is None:
            name = printable(tensor)
            raise NotRecognisedError(f"{role}: expected {op} behind '{name}', found no operator")
        if node.op != op:
            raise NotRecognisedError(f"{role}: expected {op}, found {node.where}")
        defaults = _DEFAULTS.get(op, {})
        if {**defaults, **node.attributes} != {**defaults, **attributes}:
            raise NotRecognisedError(f"{role}: {node.where} has other attributes")
        if len(node.inputs) != inputs or not all(node.inputs):
            raise NotRecognisedError(f"{role}: {node.where} has {len(node.inputs)} inputs")
        return node

    def source(self, tensor: str, op: str, role: str, **attributes: Attribute) -> str:
        """The input of a node with one input."""
        return self.node(tensor, op, role, 1, **attributes).inputs[0]

    def makes(self, tensor: str, op: str) -> bool:
        """Whether ``tensor`` comes from an ``op``."""
        return tensor in self.producers and self.producers[tensor].op == op

    def stored(self, tensor: str, role: str) -> Array:
        """A stored float32 tensor."""
        value = self.constants.get(tensor)
        if value is None or value.dtype != np.float32:
            raise NotRecognisedError(f"{role}: '{printable(tensor)}' is not a stored weight")
        return value

    def scalar(self, tensor: str, role: str) -> float:
        """A stored number of shape [] or [1]: a higher rank would change the result's rank."""
        value = self.stored(tensor, role)
        if value.shape not in ((), (1,)):
            raise NotRecognisedError(f"{role}: '{printable(tensor)}' is not a scalar")
        return float(value.reshape(-1)[0])

    def with_scalar(self, tensor: str, op: str, role: str) -> tuple[str, float]:
        """(other operand, number) of a commutative ``op`` with one stored number."""
        a, b = self.node(tensor, op, role, 2).inputs
        if b not in self.constants:
            a, b = b, a
        return a, self.scalar(b, role)

    def number(self, tensor: str, wanted: float, role: str) -> None:
        """``tensor`` must be a stored number of this value."""
        self.exactly(self.scalar(tensor, role), wanted, role)

    def exactly(self, value: float, wanted: float, role: str) -> None:
        """``value``, read from the graph, must be ``wanted``."""
        if value != wanted:
            raise NotRecognisedError(f"{role}: the graph has {value!r} where {wanted!r} belongs")

    def reduced(self, tensor: str, op: str, axes: tuple[int, ...], keep: bool, role: str) -> str:
        """The input of a reduction over exactly ``axes``, an attribute or a stored input."""
        written = tensor in self.producers and "axes" in self.producers[tensor].attributes
        if written:
            return self.source(tensor, op, role, axes=axes, keepdims=int(keep))
        data, position = self.node(tensor, op, role, 2, keepdims=int(keep)).inputs
        self.vector(position, axes, role)
        return data

    def vector(self, tensor: str, wanted: tuple[int, ...], role: str) -> None:
        """``tensor`` must be this stored int64 vector."""
        value = self.constants.get(tensor)
        if value is None or value.dtype != np.int64 or value.tolist() != list(wanted):
            raise NotRecognisedError(f"{role}: '{printable(tensor)}' is not {list(wanted)}")

    def squared(self, tensor: str, role: str) -> str:
        """t of Mul(t, t)."""
        node = self.node(tensor, "Mul", role, 2)
        if node.inputs[0] != node.inputs[1]:
            raise NotRecognisedError(f"{role}: {node.where} is not a square")
        return node.inputs[0]

    def same(self, found: str, described: str | None, role: str) -> None:
        """``found`` must be the described tensor."""
        if found != described:
            raise NotRecognisedError(
                f"{role}: the graph reads '{printable(found)}', not '{printable(described)}'"
            )


def _decision(match: _Matcher, names: Names) -> tuple[Array, Array | None]:
    """Gemm(activation, weight, transB=1[, bias])."""
    role = "decision"
    count = 2 if names.bias is None else 3
    inputs = match.node(names.logits, "Gemm", role, count, transB=1).inputs
    for found, described in zip(inputs, (names.activation, names.weight, names.bias), strict=False):
        match.same(found, described, role)
    weight = match.stored(names.weight, role)
    bias = None if names.bias is None else match.stored(names.bias, role)
    if bias is not None and bias.shape != weight.shape[:1]:
        raise NotRecognisedError(f"{role}: the bias does not have one number per class")
    return weight, bias


def _log_ratio(match: _Matcher, activation: str) -> tuple[str, float]:
    """Log(Div(Add(nearest, 1), Add(nearest, epsilon)))."""
    role = "similarity log_ratio"
    ratio = match.node(match.source(activation, "Log", role), "Div", role, 2)
    above, one = match.with_scalar(ratio.inputs[0], "Add", role)
    below, epsilon = match.with_scalar(ratio.inputs[1], "Add", role)
    match.exactly(one, 1.0, role)
    match.same(below, above, role)
    return above, epsilon


def _exponential(match: _Matcher, activation: str) -> tuple[str, float]:
    """Exp(Neg(Div(nearest, temperature)))."""
    role = "similarity exponential"
    negated = match.source(activation, "Exp", role)
    ratio = match.node(match.source(negated, "Neg", role), "Div", role, 2)
    return ratio.inputs[0], match.scalar(ratio.inputs[1], role)


def _negated(match: _Matcher, activation: str) -> tuple[str, float]:
    """Neg(nearest)."""
    return match.source(activation, "Neg", "similarity negated"), 1.0


def _reciprocal(match: _Matcher, activation: str) -> tuple[str, float]:
    """Div(1, Add(nearest, 1))."""
    role = "similarity reciprocal"
    one, below = match.node(activation, "Div", role, 2).inputs
    match.number(one, 1.0, role)
    nearest, added = match.with_scalar(below, "Add", role)
    match.exactly(added, 1.0, role)
    return nearest, 1.0


_SIMILARITIES = {
    "log_ratio": _log_ratio,
    "exponential": _exponential,
    "negated": _negated,
    "reciprocal": _reciprocal,
}


def _nearest(match: _Matcher, nearest: str, measurement: str, grid: tuple[int, int]) -> None:
    """The minimum of the measurement over the whole grid, as [N, P]."""
    role = "pooling"
    largest = match.source(match.source(nearest, "Flatten", role), "Neg", role)
    negated = match.source(largest, "MaxPool", role, kernel_shape=grid)
    match.same(match.source(negated, "Neg", role), measurement, role)


def _measurement(match: _Matcher, names: Names) -> Array:
    """Squared distances [N, P, H, W]; returns the stored prototypes."""
    role, tensor = "measurement", names.measurement
    relu = match.makes(tensor, "Relu")
    distance = match.source(tensor, "Relu", role) if relu else tensor
    if match.makes(distance, "ReduceSum"):
        return _direct(match, distance, names)
    if not relu:
        match.node(tensor, "Relu", role)  # not there: says so
    return _expanded(match, distance, names)


def _expanded(match: _Matcher, tensor: str, names: Names) -> Array:
    """Add(Sub(|z|^2, 2 z.p), |p|^2)."""
    role = "measurement"
    difference, p_norm = match.node(tensor, "Add", role, 2).inputs
    if not match.makes(difference, "Sub"):
        difference, p_norm = p_norm, difference
    z_norm, twice = match.node(difference, "Sub", role, 2).inputs
    z_squared = match.reduced(z_norm, "ReduceSum", (1,), True, role)
    match.same(match.squared(z_squared, role), names.latent, role)
    product, two = match.with_scalar(twice, "Mul", role)
    match.exactly(two, 2.0, role)
    latent, prototypes = match.node(product, "Conv", role, 2).inputs
    match.same(latent, names.latent, role)
    match.same(prototypes, names.prototypes, role)
    moved = match.source(p_norm, "Transpose", role, perm=(1, 0, 2, 3))
    p_squared = match.reduced(moved, "ReduceSum", (1,), True, role)
    match.same(match.squared(p_squared, role), names.prototypes, role)
    return match.stored(names.prototypes, role)


def _direct(match: _Matcher, tensor: str, names: Names) -> Array:
    """ReduceSum over channels of d * d with d = Sub(Unsqueeze(latent, 1), prototypes).

    [N, 1, D, H, W] against [P, D, 1, 1] broadcasts to [N, P, D, H, W].
    """
    role = "measurement"
    difference = match.squared(match.reduced(tensor, "ReduceSum", (2,), False, role), role)
    wide, prototypes = match.node(difference, "Sub", role, 2).inputs
    match.same(prototypes, names.prototypes, role)
    latent, axes = match.node(wide, "Unsqueeze", role, 2).inputs
    match.vector(axes, (1,), role)
    match.same(latent, names.latent, role)
    return match.stored(names.prototypes, role)
