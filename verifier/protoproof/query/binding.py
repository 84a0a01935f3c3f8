"""A query's tensors in a network: which is which, and whether shapes and element types are right.

The standard wants an error where they are not (5.3.2), before any answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from onnx import TensorProto

from protoproof.errors import InputError, ModelError
from protoproof.kernel import ModelFile
from protoproof.network import Network
from protoproof.network.onnx.node import printable
from protoproof.query.formula import Element
from protoproof.query.language import Declared, Query
from protoproof.query.reading import Meaning, Reading

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Bound:
    """A query about one network. ``tensors``: the graph's name of every declared tensor."""

    query: Query
    network: Network
    reading: Reading
    tensors: dict[str, str]
    known: dict[Element, Meaning | None]

    @property
    def input(self) -> Declared:
        """The declared input."""
        return self.query.of_kind("input")[0]

    def meaning(self, element: Element) -> Meaning | None:
        """What an element of an output or a hidden tensor is; see :class:`Reading`."""
        if element not in self.known:
            tensor = self.tensors[element.variable]
            self.known[element] = self.reading.meaning(tensor, element.place)
        return self.known[element]

    def shape(self, name: str) -> Shape:
        """The shape of a declared tensor."""
        declared = next(each for each in self.query.variables if each.name == name)
        return (declared.size,) if declared.shape is None else declared.shape


def bind(query: Query, network: Network, model: ModelFile) -> Bound:
    """The query's tensors in the network.

    Raises:
        InputError: inputs, outputs or hidden tensors that are not the network's, of other shapes,
            or of other element types than declared.
    """
    reading = Reading(network, model)
    tensors: dict[str, str] = {}
    declared = query.of_kind("input")
    if len(declared) != 1:
        raise InputError(f"declares {len(declared)} inputs, the network has 1")
    graph = network.graph
    outputs = graph.outputs
    if query.version == "1.0":
        outputs = (network.recognised.output,)  # the one that decides is the one that is meant
    mine = query.of_kind("output")
    if len(mine) != len(outputs):
        raise InputError(
            f"declares {len(mine)} outputs, the network has {len(outputs)} "
            f"({', '.join(printable(name, 40) for name in outputs[:6])}): declare all in this order"
        )
    tensors[declared[0].name] = graph.input
    for each, name in zip(mine, outputs, strict=True):
        tensors[each.name] = name
    for each in query.of_kind("hidden"):
        tensors[each.name] = each.tensor
    for each in query.variables:
        _require(each, tensors[each.name], network)
    return Bound(query, network, reading, tensors, {})


def _require(declared: Declared, tensor: str, network: Network) -> None:
    """The tensor is there, and of the declared shape and type."""
    name, graph = printable(declared.name, 60), network.graph
    computed = {output for node in graph.nodes for output in node.outputs}
    if tensor not in computed and tensor != graph.input:
        raise InputError(
            f"{name} is the node output '{printable(tensor, 100)}', which the network does not have"
        )
    shape = graph.shapes.get(tensor)
    if shape is None:
        raise InputError(f"{name}: the shape of '{printable(tensor, 100)}' is not known")
    fits = declared.size == math.prod(shape)
    if declared.shape is not None:
        fits = declared.shape == shape
    if not fits:
        stated = [declared.size] if declared.shape is None else list(declared.shape)
        raise InputError(f"{name} is declared {stated}; the network's has the shape {list(shape)}")
    if declared.type == "float32" and not _single(tensor, network):
        raise InputError(
            f"{name} is declared float32, and the network's '{printable(tensor, 100)}' is of "
            "another type"
        )


def _single(tensor: str, network: Network) -> bool:
    """Whether a tensor is of float32 numbers, so far as the file says: what makes a head is."""
    if tensor == network.graph.input:
        return not network.graph.bytes_in
    stated = {
        value.name: value.type.tensor_type.elem_type
        for value in (*network.file.model.graph.output, *network.file.model.graph.value_info)
    }
    return stated.get(tensor, TensorProto.FLOAT) in (TensorProto.FLOAT, TensorProto.UNDEFINED)


def read_model(network: Network) -> ModelFile:
    """The checker's own view of the network's file.

    Raises:
        ModelError: it has none.
    """
    try:
        return ModelFile(network.data, network.files)
    except ModelError as error:
        raise ModelError(f"{printable(network.path, 400)}: {error}") from error
