"""The graph: frozen nodes with known shapes, and its cut at the latent tensor.

A graph may hold operators that have no row in the operator table, or are used outside it: they are
executed, never bounded, and each such node says why (``Node.refusal``). Shapes are for one image
(batch 1), by the table's rules where there are any, else inferred or measured (see ``inferred``).

Where the batch axis is free, shapes are inferred for three images, too: if every computed tensor
has the batch in front and nowhere else, no image can influence another and many may be run at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto

from protoproof.errors import DescriptionError, ModelError, UnsupportedOperatorError
from protoproof.network.onnx.external import NO_FILES, Files
from protoproof.network.onnx.inferred import (
    inferred_shapes,
    measured_shapes,
    refuse_contradictions,
    require_bounded,
)
from protoproof.network.onnx.limits import DEFAULT_LIMITS, Limits
from protoproof.network.onnx.node import (
    DEFAULT_DOMAINS,
    Attribute,
    Call,
    Constant,
    Node,
    Shape,
    printable,
)
from protoproof.network.onnx.ops import lookup
from protoproof.network.onnx.stored import attribute_value, constant, tensor_values


@dataclass(frozen=True, eq=False)
class Graph:
    """A single-input graph. ``shapes`` holds every tensor's shape for one image, where it is known.

    ``free_batch``: any number of images may be run at once. ``constants``: initializers and the
    values of Constant nodes (which are not in ``nodes``). ``bytes_in``: the input is uint8.
    """

    opset: int
    input: str
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, Constant]
    shapes: Mapping[str, Shape]
    free_batch: bool
    bytes_in: bool = False

    def producers(self) -> dict[str, Node]:
        """The node that makes each computed tensor."""
        return {name: node for node in self.nodes for name in node.outputs if name}

    def call(self, node: Node) -> Call:
        """A node of this graph with what is known about its inputs."""
        return _call(node, self.shapes, self.constants)


def _call(node: Node, shapes: Mapping[str, Shape], constants: Mapping[str, Constant]) -> Call:
    return Call(
        node,
        tuple(shapes.get(name) if name else None for name in node.inputs),
        tuple(constants.get(name) for name in node.inputs),
    )


def build_graph(
    model: ModelProto,
    limits: Limits = DEFAULT_LIMITS,
    files: Files = NO_FILES,
    data: bytes | None = None,
) -> Graph:
    """The graph of a screened model, with the data files that it names.

    ``data``: the bytes of the model, for what has to be measured.

    Raises:
        UnsupportedOperatorError: a node is in training mode.
        ModelError: a tensor or the whole computation is too large, or a shape cannot be known.
    """
    opset = next(e.version for e in model.opset_import if e.domain in DEFAULT_DOMAINS)
    constants = {tensor.name: tensor_values(tensor, files) for tensor in model.graph.initializer}
    nodes = []
    for proto in model.graph.node:
        if proto.op_type == "Constant" and proto.domain in DEFAULT_DOMAINS:
            constants[proto.output[0]] = constant(proto, opset)
        else:
            nodes.append(_node(proto, opset))
    _refuse_training(nodes, constants)
    value = next(value for value in model.graph.input if value.name not in constants)
    dims = value.type.tensor_type.shape.dim
    image = tuple(int(dim.dim_value) for dim in dims[1:])
    start = (value.name, (1, *image))
    found = infer(nodes, constants, start, limits)
    if any(node.refusal for node in found.nodes):
        others = inferred_shapes(model, files, 1)
        found = infer(nodes, constants, start, limits, others)
        require_bounded(found.nodes, {**others, **found.shapes}, limits)
        missing = tuple(
            name for node in found.nodes for name in node.outputs if name not in {"", *found.shapes}
        )
        if missing and data is not None:
            others |= measured_shapes(data, model, missing, files)
            found = infer(nodes, constants, start, limits, others)
    free = not dims[0].HasField("dim_value") and not _batch_mixes(
        found, constants, value.name, image
    )
    refuse_contradictions(model, found.shapes)
    outputs = tuple(value.name for value in model.graph.output)
    in_bytes = value.type.tensor_type.elem_type == TensorProto.UINT8
    return Graph(opset, value.name, outputs, found.nodes, constants, found.shapes, free, in_bytes)


def _node(proto: NodeProto, opset: int) -> Node:
    """A frozen node; ``refusal`` says why it has no row in the operator table."""
    inputs = list(proto.input)
    while inputs and not inputs[-1]:
        inputs.pop()
    outputs = list(proto.output)
    while len(outputs) > 1 and not outputs[-1]:
        outputs.pop()
    attributes: dict[str, Attribute] = {}
    for attribute in proto.attribute:
        value = attribute_value(attribute)
        if value is not None:
            attributes[attribute.name] = value
    domain = "" if proto.domain in DEFAULT_DOMAINS else proto.domain
    first, *more = outputs or [""]
    node = Node(
        proto.name, proto.op_type, opset, tuple(inputs), first, attributes, tuple(more), domain
    )
    try:
        lookup(node)
    except UnsupportedOperatorError as error:
        return replace(node, refusal=str(error))
    return node


def _refuse_training(nodes: list[Node], constants: Mapping[str, Constant]) -> None:
    """Dropout drops only where its third input is true; that must be known."""
    for node in nodes:
        if node.op == "Dropout" and len(node.inputs) > 2:
            mode = constants.get(node.inputs[2])
            if mode is None or mode.any():
                raise UnsupportedOperatorError(
                    f"{node.where}: it is in training mode; export in eval mode"
                )


class Inferred(NamedTuple):
    """Nodes, each with its refusal, and the shapes that are known."""

    nodes: tuple[Node, ...]
    shapes: dict[str, Shape]


def infer(
    nodes: Sequence[Node],
    constants: Mapping[str, Constant],
    start: tuple[str, Shape],
    limits: Limits,
    others: Mapping[str, Shape] = MappingProxyType({}),
) -> Inferred:
    """Nodes and shapes of all tensors where tensor ``start[0]`` has shape ``start[1]``.

    A node that the table's rules refuse comes back with the reason; its shapes are those of
    ``others``, where they are known.

    Raises:
        ModelError: a limit on sizes is exceeded.
    """
    shapes: dict[str, Shape] = {name: value.shape for name, value in constants.items()}
    shapes[start[0]] = start[1]
    dependent = {start[0]}
    checked: list[Node] = []
    numbers = work = constant_work = 0
    for node in nodes:
        found, cost, refusal = _by_rule(node, shapes, constants)
        if refusal:
            found = {name: others[name] for name in node.outputs if name in others}
            cost = sum(map(math.prod, found.values()))
        checked.append(replace(node, refusal=refusal))
        shapes.update(found)
        work += cost
        numbers += sum(map(math.prod, found.values()))
        if dependent.isdisjoint(node.inputs):
            constant_work += cost
        else:
            dependent.update(name for name in node.outputs if name)
        largest = max(found.values(), key=math.prod, default=())
        if math.prod(largest) > limits.elements or numbers > limits.activations:
            raise ModelError(f"{node.where}: its output has shape {largest}: too large; shrink it")
        if work > limits.work or constant_work > limits.constant_work:
            raise ModelError(f"{node.where}: the graph needs too many operations; shrink it")
    return Inferred(tuple(checked), shapes)


def _by_rule(
    node: Node, shapes: Mapping[str, Shape], constants: Mapping[str, Constant]
) -> tuple[dict[str, Shape], int, str]:
    """Shape and work by the node's row; or neither, and why there is no row for it."""
    try:
        row = lookup(node)
        call = _call(node, shapes, constants)
        for name in row.data_inputs(node):
            if name in constants and constants[name].dtype != np.float32:
                raise call.refuse(f"input '{printable(name)}' is not float32; export it so")
        result = row.shape(call)
        return {node.output: result}, row.work(call, result), ""
    except UnsupportedOperatorError as error:
        return {}, 0, str(error)


def work(graph: Graph) -> int:
    """Multiply-adds for one image, as the operator table estimates them."""
    calls = (graph.call(node) for node in graph.nodes)
    return sum(lookup(call.node).work(call, graph.shapes[call.node.output]) for call in calls)


def _batch_mixes(
    one: Inferred, constants: Mapping[str, Constant], start: str, image: Shape
) -> bool:
    """Whether an operator may move, merge or fix the batch axis: then it is one image at a time."""
    endless = Limits(elements=1 << 62, activations=1 << 62, work=1 << 62, constant_work=1 << 62)
    three = infer(one.nodes, constants, (start, (3, *image)), endless)
    dependent = {start}
    for node in three.nodes:
        if dependent.intersection(node.inputs):
            dependent.add(node.output)
            before, after = one.shapes.get(node.output), three.shapes.get(node.output)
            if node.refusal or not before or before[0] != 1 or after != (3, *before[1:]):
                return True
    return False


def _ancestors(graph: Graph, names: tuple[str, ...], stop: str) -> tuple[list[Node], bool]:
    """Nodes needed for ``names`` when ``stop`` is given, and whether they use the graph input."""
    needed, uses_input = set(names), False
    chosen: list[Node] = []
    for node in reversed(graph.nodes):
        made = needed.intersection(node.outputs) - {stop, ""}
        if made:
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
