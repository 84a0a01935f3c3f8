"""What a rule sees of one node: inputs and attributes, each asked for by name."""

from __future__ import annotations

import math

import numpy as np

from protoproof.errors import ModelError
from protoproof.kernel.arithmetic.outward import Array, Range
from protoproof.kernel.budget import room, spend
from protoproof.kernel.model.graph import Graph
from protoproof.kernel.model.onnx_reader import AttributeType, OnnxAttribute, OnnxNode


class ReplayError(ModelError):
    """The propagation cannot go on: nothing is wrong, but nothing is proved either."""


class Values:
    """Bounds of the tensors known so far."""

    def __init__(self, graph: Graph, known: dict[str, Range]) -> None:
        self.graph, self.known = graph, known

    def stored(self, name: str) -> bool:
        """Whether a tensor is a constant of the file."""
        return self.graph.dimensions(name) is not None

    def value(self, name: str) -> Range:
        """A tensor's bounds; a stored one is exact."""
        if not self.stored(name):
            return self.known[name]
        exact = self.constant(name)
        return Range(exact, exact)

    def constant(self, name: str) -> Array:
        """A stored float32 tensor in float64, exactly."""
        shape = self.graph.dimensions(name)
        if shape is None:
            raise ReplayError(f"{name!r} is computed; only stored numbers are known here")
        spend("a stored tensor", 4 * math.prod(shape))
        return self.graph.floats(name).astype(np.float64).reshape(shape)

    def numbers(self, name: str) -> int:
        """How many numbers a tensor has."""
        shape = self.graph.dimensions(name)
        return self.known[name].low.size if shape is None else math.prod(shape)


class Step:
    """One node: its inputs, and its attributes, each of which has to be asked for."""

    def __init__(self, values: Values, node: OnnxNode) -> None:
        self.values, self.node = values, node
        self.attributes = {a.name: _value(a) for a in node.attribute}
        if len(node.output) != 1:
            raise ReplayError(f"{node.op_type}: more than one output")

    def inputs(self, least: int, most: int) -> list[str]:
        """Names, with the number of them checked."""
        names = list(self.node.input)
        if not least <= len(names) <= most or not all(names[:least]):
            raise ReplayError(f"{self.node.op_type}: has {len(names)} inputs")
        return names

    def only(self, **defaults: object) -> list[object]:
        """Values of the attributes that a rule knows; any other ends the propagation, and so does
        one of another type than its default. (None stands for a list that has to be written.)
        """
        odd = sorted(set(self.attributes) - set(defaults))
        if odd:
            raise self.refuse(f"attribute {odd[0]!r} is not known here")
        for name, value in self.attributes.items():
            default = [] if defaults[name] is None else defaults[name]
            if type(value) is not type(default):
                raise self.refuse(f"attribute {name!r} has another type than it should")
        return [self.attributes.get(name, value) for name, value in defaults.items()]

    def data(self, position: int = 0) -> Range:
        """Bounds of an input."""
        return self.values.value(self.node.input[position])

    def constant(self, position: int) -> Array:
        """A stored input."""
        return self.values.constant(self.node.input[position])

    def charge(self, work: int) -> None:
        """Charge multiply-adds that are about to be made."""
        spend(self.node.op_type, work)

    def room(self, numbers: int) -> None:
        """Refuse arrays of so many numbers together, next to what is held."""
        room(self.node.op_type, 8 * numbers)

    def refuse(self, problem: str) -> ReplayError:
        """The error of this node."""
        return ReplayError(f"{self.node.op_type}: {problem}")


def _value(attribute: OnnxAttribute) -> object:
    """A number, a text, or a list of integers; what else an attribute may hold fits no rule."""
    if attribute.type in (AttributeType.INT, AttributeType.FLOAT, AttributeType.STRING):
        return attribute.value
    if attribute.type == AttributeType.INTS and isinstance(attribute.value, tuple):
        return list(attribute.value)
    return None
