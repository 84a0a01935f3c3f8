"""What a rule of the walk sees of one node: inputs and attributes, each asked for by name."""

from __future__ import annotations

import numpy as np
import onnx

from protoproof.errors import ModelError
from protoproof.kernel.arithmetic.outward import Array, Range
from protoproof.kernel.model.graph import Graph

MAX_WORK = 1 << 37  # multiply-adds of the whole walk


class ReplayError(ModelError):
    """The walk does not know how to go on: nothing is wrong, but nothing is proved either."""


class Values:
    """Bounds of the tensors known so far, and the work that was done, earlier walks' included."""

    def __init__(self, graph: Graph, known: dict[str, Range], work: int = 0) -> None:
        self.graph, self.known, self.work = graph, known, work

    def stored(self, name: str) -> bool:
        """Whether a tensor is a constant of the file."""
        return self.graph.dimensions(name) is not None

    def value(self, name: str) -> Range:
        """A tensor's bounds; a stored one is exact."""
        if not self.stored(name):
            return self.known[name]
        exact = self.constant(name)
        return Range(exact, exact)

    def charge(self, work: int) -> None:
        """Refuse to spend hours on a hostile graph."""
        self.work += work
        if self.work > MAX_WORK:
            raise ReplayError("the encoder is too large to be replayed")

    def constant(self, name: str) -> Array:
        """A stored float32 tensor in float64, exactly."""
        shape = self.graph.dimensions(name)
        if shape is None:
            raise ReplayError(f"{name!r} is computed; only stored numbers are known here")
        return self.graph.floats(name).astype(np.float64).reshape(shape)


class Step:
    """One node: its inputs, and its attributes, each of which has to be asked for."""

    def __init__(self, values: Values, node: onnx.NodeProto) -> None:
        self.values, self.node = values, node
        self.attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if len(self.attributes) != len(node.attribute) or len(node.output) != 1:
            raise ReplayError(f"{node.op_type}: a repeated attribute, or more than one output")

    def inputs(self, least: int, most: int) -> list[str]:
        """Names, with the number of them checked."""
        names = list(self.node.input)
        if not least <= len(names) <= most or not all(names[:least]):
            raise ReplayError(f"{self.node.op_type}: has {len(names)} inputs")
        return names

    def only(self, **defaults: object) -> list[object]:
        """Values of the attributes that a rule knows; any other ends the walk."""
        odd = sorted(set(self.attributes) - set(defaults))
        if odd:
            raise ReplayError(f"{self.node.op_type}: attribute {odd[0]!r} is not known here")
        return [self.attributes.get(name, value) for name, value in defaults.items()]

    def data(self, position: int = 0) -> Range:
        """Bounds of an input."""
        return self.values.value(self.node.input[position])

    def constant(self, position: int) -> Array:
        """A stored input."""
        return self.values.constant(self.node.input[position])

    def charge(self, work: int) -> None:
        """Refuse to spend hours on a hostile graph."""
        self.values.charge(work)

    def refuse(self, problem: str) -> ReplayError:
        """The error of this node."""
        return ReplayError(f"{self.node.op_type}: {problem}")
