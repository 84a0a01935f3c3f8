"""The graph: frozen nodes with known shapes, and its cut at the latent tensor.

Shapes are for one image (batch 1). They are inferred twice, for one image and for three: where the
batch axis is free, every computed tensor must have it in front and nowhere else, so that no image
can influence another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto

from protoproof.errors import DescriptionError, ModelError, UnsupportedOperatorError
from protoproof.network.onnx.external import NO_FILES, Files
from protoproof.network.onnx.limits import DEFAULT_LIMITS, Limits
from protoproof.network.onnx.node import Attribute, Call, Constant, Node, Shape, printable
from protoproof.network.onnx.ops import lookup
from protoproof.network.onnx.screen import attribute_value, tensor_values

_KINDS = {
    AttributeProto.INT: "INT",
    AttributeProto.FLOAT: "FLOAT",
    AttributeProto.STRING: "STRING",
    AttributeProto.INTS: "INTS",
}
# how a Constant node may hold its value besides a tensor: type, field, type of numbers
_CONSTANTS: dict[str, tuple[int, str, type[np.generic]]] = {
    "value_float": (AttributeProto.FLOAT, "f", np.float32),
    "value_floats": (AttributeProto.FLOATS, "floats", np.float32),
    "value_int": (AttributeProto.INT, "i", np.int64),
    "value_ints": (AttributeProto.INTS, "ints", np.int64),
}


@dataclass(frozen=True, eq=False)
class Graph:
    """A single-input graph. ``shapes`` holds every tensor's shape for one image.

    ``free_batch``: any number of images may be run at once. ``constants``: initializers and the
    values of Constant nodes (which are not in ``nodes``).
    """

    opset: int
    input: str
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, Constant]
    shapes: Mapping[str, Shape]
    free_batch: bool

    def producers(self) -> dict[str, Node]:
        """The node that makes each computed tensor."""
        return {node.output: node for node in self.nodes}

    def call(self, node: Node) -> Call:
        """A node of this graph with what is known about its inputs."""
        return _call(node, self.shapes, self.constants)


def _call(node: Node, shapes: Mapping[str, Shape], constants: Mapping[str, Constant]) -> Call:
    return Call(
        node,
        tuple(shapes[name] if name else None for name in node.inputs),
        tuple(constants.get(name) for name in node.inputs),
    )


def build_graph(
    model: ModelProto, limits: Limits = DEFAULT_LIMITS, files: Files = NO_FILES
) -> Graph:
    """The graph of a screened model, with the data files that it names.

    Raises:
        UnsupportedOperatorError: an operator outside the table or its preconditions.
        ModelError: a tensor or the whole computation is too large, or images are mixed.
    """
    opset = next(e.version for e in model.opset_import if e.domain in ("", "ai.onnx"))
    constants = {tensor.name: tensor_values(tensor, files) for tensor in model.graph.initializer}
    nodes = []
    for proto in model.graph.node:
        if proto.op_type == "Constant":
            constants[proto.output[0]] = _constant(proto, opset)
        else:
            nodes.append(_node(proto, opset))
    value = next(value for value in model.graph.input if value.name not in constants)
    dims = value.type.tensor_type.shape.dim
    image = tuple(int(dim.dim_value) for dim in dims[1:])
    free = not dims[0].HasField("dim_value")
    shapes = infer(nodes, constants, value.name, (1, *image), limits)
    if free:
        _check_batch(nodes, constants, value.name, image, shapes, limits)
    _check_stated(model, shapes)
    outputs = tuple(value.name for value in model.graph.output)
    return Graph(opset, value.name, outputs, tuple(nodes), constants, shapes, free)


def check_node(proto: NodeProto, opset: int) -> None:
    """Raise UnsupportedOperatorError where a node on its own is outside the table."""
    if proto.op_type == "Constant":
        _constant(proto, opset)
    else:
        _node(proto, opset)


def _constant(proto: NodeProto, opset: int) -> Constant:
    """The value of a Constant node."""
    attributes = {attribute.name: attribute for attribute in proto.attribute}
    node = Node(printable(proto.name), "Constant", opset, (), printable(proto.output[0]))
    if len(attributes) == 1 and not proto.input and len(proto.output) == 1:
        name, attribute = next(iter(attributes.items()))
        if name == "value" and attribute.type == AttributeProto.TENSOR:
            return tensor_values(attribute.t)
        typed = _CONSTANTS.get(name)
        if typed is not None and attribute.type == typed[0]:
            values = np.array(getattr(attribute, typed[1]), dtype=typed[2])
            if values.size and np.isfinite(values).all():
                return values
    raise UnsupportedOperatorError(f"{node.where}: only a float32 or int64 value is supported")


def _node(proto: NodeProto, opset: int) -> Node:
    """A frozen node whose attributes have the types that its row of the operator table says."""
    inputs = list(proto.input)
    while inputs and not inputs[-1]:
        inputs.pop()
    outputs = [name for name in proto.output if name]
    attributes: dict[str, Attribute] = {}
    node = Node(proto.name, proto.op_type, opset, tuple(inputs), (outputs or [""])[0], attributes)
    if len(outputs) != 1 or proto.output[0] != outputs[0]:
        raise UnsupportedOperatorError(f"{node.where}: only its first output is supported")
    for attribute in proto.attribute:
        value = attribute_value(attribute)
        if value is None:
            raise UnsupportedOperatorError(
                f"{node.where}: attribute '{printable(attribute.name)}' is not supported"
            )
        attributes[attribute.name] = value
    row = lookup(node)
    for attribute in proto.attribute:
        if _KINDS[attribute.type] != row.attributes[attribute.name]:
            raise UnsupportedOperatorError(
                f"{node.where}: attribute '{attribute.name}' has the wrong type; export it again"
            )
    return node


def infer(
    nodes: list[Node],
    constants: Mapping[str, Constant],
    start: str,
    shape: Shape,
    limits: Limits,
) -> dict[str, Shape]:
    """Shapes of all tensors when tensor ``start`` has ``shape``; enforces the size limits."""
    shapes: dict[str, Shape] = {name: value.shape for name, value in constants.items()}
    shapes[start] = shape
    dependent = {start}
    numbers = work = constant_work = 0
    for node in nodes:
        row = lookup(node)
        call = _call(node, shapes, constants)
        for name in row.data_inputs(node):
            if name in constants and constants[name].dtype != np.float32:
                raise call.refuse(f"input '{printable(name)}' is not float32; export it so")
        result = row.shape(call)
        shapes[node.output] = result
        size, cost = math.prod(result), row.work(call, result)
        numbers, work = numbers + size, work + cost
        if dependent.isdisjoint(node.inputs):
            constant_work += cost
        else:
            dependent.add(node.output)
        if size > limits.elements or numbers > limits.activations:
            raise ModelError(f"{node.where}: its output has shape {result}: too large; shrink it")
        if work > limits.work or constant_work > limits.constant_work:
            raise ModelError(f"{node.where}: the graph needs too many operations; shrink it")
    return shapes


def work(graph: Graph) -> int:
    """Multiply-adds for one image, as the operator table estimates them."""
    calls = (graph.call(node) for node in graph.nodes)
    return sum(lookup(call.node).work(call, graph.shapes[call.node.output]) for call in calls)


def _check_batch(
    nodes: list[Node],
    constants: Mapping[str, Constant],
    start: str,
    image: Shape,
    one: Mapping[str, Shape],
    limits: Limits,
) -> None:
    """Refuse a free batch axis that some operator moves, merges or fixes."""
    dependent = {start}
    wide = replace(
        limits,
        elements=3 * limits.elements,
        activations=3 * limits.activations,
        work=3 * limits.work,
    )
    three = infer(nodes, constants, start, (3, *image), wide)
    for node in nodes:
        if dependent.intersection(node.inputs):
            dependent.add(node.output)
            before, after = one[node.output], three[node.output]
            if not before or before[0] != 1 or after != (3, *before[1:]):
                raise ModelError(
                    f"{node.where}: mixes or fixes the batch axis ({before} for one image, "
                    f"{after} for three); export with a free batch axis in front"
                )


def _check_stated(model: ModelProto, shapes: Mapping[str, Shape]) -> None:
    """Refuse a file whose stated shapes or number types are not the inferred ones."""
    for value in (*model.graph.output, *model.graph.value_info):
        tensor = value.type.tensor_type
        shape = shapes.get(value.name)
        if shape is None or not tensor.HasField("shape"):
            continue
        dims = tensor.shape.dim
        pairs = zip(dims, shape, strict=False)
        fits = len(dims) == len(shape) and all(
            not dim.HasField("dim_value") or dim.dim_value == size for dim, size in pairs
        )
        if not fits:
            raise ModelError(
                f"tensor '{printable(value.name)}' has shape {list(shape)} (for one image), the "
                "file states another; export the model again"
            )


def _ancestors(graph: Graph, names: tuple[str, ...], stop: str) -> tuple[list[Node], bool]:
    """Nodes needed for ``names`` when ``stop`` is given, and whether they use the graph input."""
    needed, uses_input = set(names), False
    chosen: list[Node] = []
    for node in reversed(graph.nodes):
        if node.output in needed and node.output != stop:
            chosen.append(node)
            needed.update(name for name in node.inputs if name)
    uses_input = graph.input in needed and graph.input != stop
    return chosen[::-1], uses_input


def part(graph: Graph, start: str, outputs: tuple[str, ...]) -> Graph:
    """The sub-graph that computes ``outputs`` from tensor ``start``.

    Raises:
        DescriptionError: the outputs depend on the input by a way around ``start``.
    """
    nodes, uses_input = _ancestors(graph, outputs, start)
    if uses_input:
        raise DescriptionError(
            f"'{printable(outputs[-1])}' uses the input by a way around the latent "
            f"'{printable(start)}'; describe the latent tensor that everything passes through"
        )
    used = {name for node in nodes for name in node.inputs}
    constants = {name: value for name, value in graph.constants.items() if name in used}
    return replace(graph, input=start, outputs=outputs, nodes=tuple(nodes), constants=constants)
