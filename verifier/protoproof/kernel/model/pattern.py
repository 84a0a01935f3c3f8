"""Matching a subgraph against a pattern, operator by operator, attribute by attribute.

A pattern that matches is a proof of what the subgraph computes: every node of it was compared with
the operator, the inputs and *all* attributes that the pattern names, defaults filled in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx

from protoproof.kernel.model.graph import Graph

Attributes = dict[str, object]
Bound = dict[str, str]

COMMUTATIVE = frozenset({"Add", "Mul"})
_NO_PADDING: Attributes = {
    "auto_pad": "NOTSET", "dilations": (1, 1), "pads": (0, 0, 0, 0), "strides": (1, 1)
}  # fmt: skip
# the values that ONNX gives to attributes that are not written (for 2-d kernels)
DEFAULTS: dict[str, Attributes] = {
    "Conv": {**_NO_PADDING, "group": 1, "kernel_shape": (1, 1)},
    "Flatten": {"axis": 1},
    "Gemm": {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0},
    "MaxPool": {**_NO_PADDING, "ceil_mode": 0, "storage_order": 0},
    "ReduceSum": {"keepdims": 1, "noop_with_empty_axes": 0},
}


@dataclass(frozen=True)
class Tensor:
    """Some tensor; the same name stands for the same tensor everywhere in a pattern."""

    name: str


@dataclass(frozen=True)
class Scalar:
    """One stored float32 number; ``value`` None leaves it open and binds it to ``name``."""

    name: str
    value: float | None = None


@dataclass(frozen=True)
class Axes:
    """A stored int64 vector."""

    values: tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """An operator with its inputs and every attribute that differs from ONNX's default.

    ``name``, if given, binds the output like :class:`Tensor`.
    """

    kind: str
    inputs: tuple[Pattern, ...]
    attributes: tuple[tuple[str, object], ...] = ()
    name: str = ""


@dataclass(frozen=True)
class Either:
    """Any one of several patterns."""

    options: tuple[Pattern, ...]


Pattern = Tensor | Scalar | Axes | Node | Either


class Matcher:
    """Finds how a pattern fits a graph. ``mismatch`` describes the deepest place it did not."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.mismatch = "nothing was compared"
        self._depth = -1

    def match(self, pattern: Pattern, tensor: str, bound: Bound, depth: int = 0) -> Iterator[Bound]:
        """Every consistent way to bind the pattern's names so that it computes ``tensor``."""
        tensor = self.graph.root(tensor)
        if isinstance(pattern, Either):
            for option in pattern.options:
                yield from self.match(option, tensor, bound, depth)
        elif isinstance(pattern, Tensor):
            yield from self._bind(pattern.name, tensor, bound, depth)
        elif isinstance(pattern, Node):
            yield from self._node(pattern, tensor, bound, depth)
        elif isinstance(pattern, Axes):
            known = self.graph.dimensions(tensor) == (len(pattern.values),)
            if known and self.graph.integers(tensor) == pattern.values:
                yield bound
            else:
                self._fail(depth, f"{tensor!r} is not the constant {list(pattern.values)}")
        else:
            yield from self._scalar(pattern, tensor, bound, depth)

    def _scalar(self, pattern: Scalar, tensor: str, bound: Bound, depth: int) -> Iterator[Bound]:
        # rank 0 or 1 only: a scalar of a higher rank would change the rank of the result
        if self.graph.dimensions(tensor) not in ((), (1,)):
            self._fail(depth, f"{tensor!r} is not a stored scalar")
        elif pattern.value is None:
            yield from self._bind(pattern.name, tensor, bound, depth)
        elif float(self.graph.floats(tensor)[0]) == pattern.value:
            yield bound
        else:
            self._fail(depth, f"{tensor!r} is not the number {pattern.value}")

    def _node(self, pattern: Node, tensor: str, bound: Bound, depth: int) -> Iterator[Bound]:
        node, _ = self.graph.producers.get(tensor, (None, 0))
        if node is None or self.graph.operator(tensor) != pattern.kind:
            found = self.graph.operator(tensor) or "no operator"
            self._fail(depth, f"{tensor!r} comes from {found}, not {pattern.kind}")
            return
        defaults = DEFAULTS.get(pattern.kind, {})
        if {**defaults, **_attributes(node)} != {**defaults, **dict(pattern.attributes)}:
            self._fail(depth, f"{pattern.kind} behind {tensor!r} has other attributes")
            return
        inputs = list(node.input)
        while inputs and not inputs[-1]:  # absent optional inputs at the end
            inputs.pop()
        if len(inputs) != len(pattern.inputs) or not all(inputs):
            self._fail(depth, f"{pattern.kind} behind {tensor!r} has {len(inputs)} inputs")
            return
        for bound_here in self._bind(pattern.name, tensor, bound, depth):
            yield from self._inputs(pattern.inputs, inputs, bound_here, depth + 1)
            if pattern.kind in COMMUTATIVE:
                yield from self._inputs(pattern.inputs, inputs[::-1], bound_here, depth + 1)

    def _inputs(
        self, patterns: tuple[Pattern, ...], tensors: list[str], bound: Bound, depth: int
    ) -> Iterator[Bound]:
        if not patterns:
            yield bound
            return
        for first in self.match(patterns[0], tensors[0], bound, depth):
            yield from self._inputs(patterns[1:], tensors[1:], first, depth)

    def _bind(self, name: str, tensor: str, bound: Bound, depth: int) -> Iterator[Bound]:
        if bound.get(name, tensor) == tensor or not name:
            yield {**bound, name: tensor} if name else bound
        else:
            self._fail(depth, f"{tensor!r} stands where {bound[name]!r} is expected")

    def _fail(self, depth: int, text: str) -> None:
        if depth > self._depth:
            self._depth, self.mismatch = depth, text


def _attributes(node: onnx.NodeProto) -> Attributes:
    """All attributes by name; one of an unforeseen type, or written twice, equals nothing."""
    found: Attributes = {}
    for attribute in node.attribute:
        kinds = onnx.AttributeProto
        value: object
        if attribute.type == kinds.INT:
            value = attribute.i
        elif attribute.type == kinds.FLOAT:
            value = attribute.f
        elif attribute.type == kinds.INTS:
            value = tuple(attribute.ints)
        elif attribute.type == kinds.STRING:
            value = attribute.s.decode("utf-8", "replace")
        else:
            value = object()
        if attribute.name in found or attribute.ref_attr_name:
            value = object()
        found[attribute.name] = value
    return found
