"""Graphs that differ from a given one by one sign, one constant, one axis or one operator.

Whatever a recogniser makes of such a graph must be what *that* graph computes: this judges readings
of foreign graphs without anybody having to foresee the reading that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

SWAPPED = {
    "Add": "Sub",
    "Sub": "Add",
    "Mul": "Div",
    "Div": "Mul",
    "Relu": "Abs",
    "Abs": "Relu",
    "Exp": "Sigmoid",
    "Sigmoid": "Exp",
    "Log": "Sqrt",
    "Sqrt": "Log",
    "Neg": "Identity",
    "Reciprocal": "Neg",
    "ReduceMin": "ReduceMax",
    "ReduceMax": "ReduceMin",
    "ReduceSum": "ReduceMean",
    "ReduceMean": "ReduceSum",
    "ReduceL2": "ReduceL1",
    "ReduceSumSquare": "ReduceSum",
    "GlobalMaxPool": "GlobalAveragePool",
    "Less": "Greater",
    "Softmax": "LogSoftmax",
}
DROPPED = {"Relu", "Neg", "Abs", "Exp", "Log", "Sqrt", "Reciprocal", "Clip", "Softmax", "Sigmoid"}
EXCHANGED = {"Sub", "Div", "Less"}  # two operands whose order matters


@dataclass(frozen=True)
class Mutant:
    """A changed graph and what was changed."""

    words: str
    model: ModelProto


def mutants(model: ModelProto, cuts: tuple[str, ...], output: str) -> list[tuple[str, int, int]]:
    """All changes of the part between cuts and output: (kind, node, operand or attribute)."""
    inside = _between(model, cuts, output)
    floats = _floats(model)
    found: list[tuple[str, int, int]] = []
    for index in inside:
        node = model.graph.node[index]
        if node.op_type in SWAPPED:
            found.append(("swap", index, 0))
        if node.op_type in DROPPED:
            found.append(("drop", index, 0))
        if node.op_type in EXCHANGED:
            found.append(("exchange", index, 0))
        for place, attribute in enumerate(node.attribute):
            if attribute.name in ("axis", "axes", "perm", "kernel_shape", "strides", "alpha"):
                found.append(("attribute", index, place))
        for place, name in enumerate(node.input):
            if name in floats and numpy_helper.to_array(floats[name]).size:
                found += [(kind, index, place) for kind in ("sign", "entry", "scale")]
            elif place and name in _integers(model) and node.op_type.startswith("Reduce"):
                found.append(("axes", index, place))
    return found


def mutate(model: ModelProto, change: tuple[str, int, int], seed: int) -> Mutant:
    """The model with one change."""
    kind, index, place = change
    new = ModelProto()
    new.CopyFrom(model)
    node = new.graph.node[index]
    words = f"{kind} at node {index} ({node.op_type}, {place})"
    if kind == "swap":
        node.op_type = SWAPPED[node.op_type]
    elif kind == "drop":
        node.op_type = "Identity"
        del node.input[1:], node.attribute[:]
    elif kind == "exchange":
        node.input[0], node.input[1] = node.input[1], node.input[0]
    elif kind == "attribute":
        _change_attribute(node.attribute[place])
    else:
        _change_constant(new, node, place, kind, seed)
    return Mutant(words, new)


def some(
    model: ModelProto, cuts: tuple[str, ...], output: str, count: int, seed: int
) -> Iterator[Mutant]:
    """So many of the changes, drawn without repetition."""
    every = mutants(model, cuts, output)
    rng = np.random.default_rng(seed)
    for number in rng.permutation(len(every))[:count]:
        yield mutate(model, every[number], int(rng.integers(1 << 30)))


def _change_attribute(attribute: AttributeProto) -> None:
    if attribute.name == "alpha":
        attribute.f *= -1
    elif attribute.name == "axis":
        attribute.i = attribute.i - 1 if attribute.i > 0 else attribute.i + 1
    elif attribute.name == "perm":
        first, second = attribute.ints[-2], attribute.ints[-1]
        attribute.ints[-2], attribute.ints[-1] = second, first
    elif attribute.name == "axes":
        attribute.ints[0] = attribute.ints[0] - 1 if attribute.ints[0] > 0 else 1
    else:  # a window of another size, or other steps
        attribute.ints[0] = max(1, attribute.ints[0] - 1)


def _change_constant(model: ModelProto, node: NodeProto, place: int, kind: str, seed: int) -> None:
    """Replace one operand of one node by a changed copy; other users keep theirs."""
    stored = {**_floats(model), **_integers(model)}[node.input[place]]
    values = numpy_helper.to_array(stored).copy()
    flat = values.reshape(-1)
    at = int(np.random.default_rng(seed).integers(flat.size))
    if kind == "axes":
        flat[at] = flat[at] - 1 if flat[at] > 0 else 1
    elif kind == "sign":
        flat *= -1
    elif kind == "entry":
        flat[at] = -flat[at] if flat[at] else 1
    else:
        flat *= values.dtype.type(1.25)
    name = f"changed_{node.input[place]}"
    model.graph.initializer.append(numpy_helper.from_array(flat.reshape(values.shape), name))
    node.input[place] = name


def _tensors(model: ModelProto) -> dict[str, TensorProto]:
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            stored[node.output[0]] = node.attribute[0].t
    return stored


def _floats(model: ModelProto) -> dict[str, TensorProto]:
    stored = _tensors(model)
    return {name: t for name, t in stored.items() if t.data_type == TensorProto.FLOAT}


def _integers(model: ModelProto) -> dict[str, TensorProto]:
    stored = _tensors(model)
    return {name: t for name, t in stored.items() if t.data_type == TensorProto.INT64}


def _between(model: ModelProto, cuts: tuple[str, ...], output: str) -> list[int]:
    """Nodes that depend on a cut and that the output depends on, in order."""
    below, above = set(cuts), {output}
    for node in model.graph.node:
        if below & set(node.input) and not set(node.output) & set(cuts):
            below |= set(node.output)
    for node in reversed(model.graph.node):
        if above & set(node.output) and not set(node.output) & set(cuts):
            above |= set(node.input)
    return [
        index
        for index, node in enumerate(model.graph.node)
        if set(node.output) & below & above and not set(node.output) & set(cuts)
    ]


def external_free(model: ModelProto) -> bytes:
    """The model as one file's content, data included."""
    return helper.make_model(model.graph, opset_imports=model.opset_import).SerializeToString()
