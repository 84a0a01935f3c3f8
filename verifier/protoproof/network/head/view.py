"""A model's graph as the recogniser reads it: nodes in order, attributes, constants on demand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, ModelProto, NodeProto, helper, numpy_helper

from protoproof.network.head.constants import Numbers
from protoproof.network.head.refusal import NotRecognisedError
from protoproof.network.onnx.external import NO_FILES, Files
from protoproof.network.onnx.node import printable
from protoproof.network.onnx.stored import tensor_values

_OWN = ("", "ai.onnx")  # both name ONNX's own operators


@dataclass(frozen=True, eq=False)
class Op:
    """One node. ``number``: its place in the graph; ``inputs`` may hold "" for one left out."""

    number: int
    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    @property
    def where(self) -> str:
        """How messages name the node."""
        return f"node '{printable(self.name or self.outputs[0])}' ({printable(self.op)})"

    def integer(self, name: str, default: int) -> int:
        """An integer attribute."""
        return int(self.attributes.get(name, default))

    def number_of(self, name: str, default: float) -> float:
        """A float attribute."""
        return float(np.float32(self.attributes.get(name, default)))

    def integers(self, name: str) -> tuple[int, ...] | None:
        """An attribute of several integers, or None where it is left out."""
        value = self.attributes.get(name)
        return None if value is None else tuple(int(v) for v in value)

    def text(self, name: str, default: str) -> str:
        """A text attribute."""
        value = self.attributes.get(name, default)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


@dataclass(eq=False)
class View:
    """See :func:`read_view`. ``stored`` makes an initializer's numbers."""

    model: ModelProto
    files: Files
    input: str
    outputs: tuple[str, ...]
    nodes: tuple[Op, ...]
    _stored: dict[str, Any] = field(default_factory=dict)
    _numbers: dict[str, Numbers] = field(default_factory=dict)

    @cached_property
    def producers(self) -> dict[str, Op]:
        """The node that makes each computed tensor."""
        return {name: node for node in self.nodes for name in node.outputs if name}

    def is_constant(self, name: str) -> bool:
        """Whether a tensor is stored in the file."""
        return name in self._stored or name in self._numbers

    def constant(self, name: str) -> Numbers:
        """The numbers of a stored tensor."""
        if name not in self._numbers:
            tensor = self._stored[name]
            values = tensor if isinstance(tensor, np.ndarray) else tensor_values(tensor, self.files)
            self._numbers[name] = as_numbers(values)
        return self._numbers[name]

    @cached_property
    def dependent(self) -> frozenset[str]:
        """Tensors that the input can change."""
        found = {self.input}
        for node in self.nodes:
            if not found.isdisjoint(node.inputs):
                found.update(name for name in node.outputs if name)
        return frozenset(found)

    def needed(self, output: str, cuts: Iterable[str] = ()) -> tuple[Op, ...]:
        """The nodes that ``output`` needs when ``cuts`` are given, in the order of the graph."""
        stop = set(cuts)
        wanted, chosen = {output} - stop, []
        for node in reversed(self.nodes):
            if not wanted.isdisjoint(node.outputs):
                chosen.append(node)
                wanted.update(name for name in node.inputs if name and name not in stop)
        return tuple(reversed(chosen))


def as_numbers(values: NDArray[Any]) -> Numbers:
    """Stored numbers: floats as float64.

    Raises:
        NotRecognisedError: NaN or infinity among them.
    """
    if values.dtype.kind != "f":
        return Numbers(values)
    wide = values.astype(np.float64)
    if not np.isfinite(wide).all():
        raise NotRecognisedError("a stored constant is NaN or infinite")
    return Numbers(wide)


def read_view(model: ModelProto, files: Files = NO_FILES) -> View:
    """The graph of a screened model."""
    stored: dict[str, Any] = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = []
    for number, proto in enumerate(model.graph.node):
        if proto.op_type == "Constant" and proto.domain in _OWN:
            stored[proto.output[0]] = _payload(proto)
        else:
            nodes.append(_op(number, proto))
    given = [value.name for value in model.graph.input if value.name not in stored]
    outputs = tuple(value.name for value in model.graph.output)
    return View(model, files, given[0], outputs, tuple(nodes), stored)


def _op(number: int, proto: NodeProto) -> Op:
    inputs = list(proto.input)
    while inputs and not inputs[-1]:
        inputs.pop()
    attributes = {
        attribute.name: helper.get_attribute_value(attribute)
        for attribute in proto.attribute
        if attribute.type not in (AttributeProto.GRAPH, AttributeProto.GRAPHS)
    }
    outputs = tuple(proto.output)
    # another domain's operator may bear the name of one of ONNX's, and mean something else
    own = proto.domain in _OWN
    op = proto.op_type if own else f"{proto.domain}.{proto.op_type}"
    return Op(number, op, proto.name, tuple(inputs), outputs, attributes)


def _payload(proto: NodeProto) -> NDArray[Any]:
    """What a Constant node holds."""
    for attribute in proto.attribute:
        value = helper.get_attribute_value(attribute)
        if attribute.name == "value":
            return np.asarray(numpy_helper.to_array(value))
        if attribute.name in ("value_float", "value_floats"):
            return np.array(value, dtype=np.float32)
        if attribute.name in ("value_int", "value_ints"):
            return np.array(value, dtype=np.int64)
    raise NotRecognisedError(f"node '{printable(proto.name)}' (Constant): an unknown payload")
