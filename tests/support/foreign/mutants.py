"""Graphs that differ from a given one by one sign, one constant, one axis or one operator.

Whatever a recogniser makes of such a graph must be what *that* graph computes: this judges readings
of foreign graphs without anybody having to foresee the reading that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
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


# what sizes, axes and indices may be that nobody meant
WILD_INTEGERS = (-(2**63), -(2**31), -7, -1, 0, 1, 2, 3, 64, 2**31, 2**40, 2**63 - 1)
WILD_NUMBERS = (0.0, -0.0, 1e-45, 1e-30, 1e30, 3.4e38, float("inf"), float("nan"))


def wild(
    model: ModelProto, cuts: tuple[str, ...], output: str, count: int, seed: int
) -> Iterator[Mutant]:
    """Graphs that mean nothing: operands, operators, sizes and attributes from anywhere."""
    rng = np.random.default_rng(seed)
    inside = _between(model, cuts, output)
    for _ in range(count):
        new = ModelProto()
        new.CopyFrom(model)
        node = new.graph.node[int(rng.choice(inside))]
        kind = str(rng.choice(["operand", "operator", "attribute", "integers", "numbers", "shape"]))
        _WILD[kind](new, node, rng)
        yield Mutant(f"{kind} of {node.op_type} {node.output[0]}, seed {seed}", new)


def _wild_operand(model: ModelProto, node: NodeProto, rng: np.random.Generator) -> None:
    names = [name for other in model.graph.node for name in (*other.input, *other.output)]
    place = int(rng.integers(len(node.input) + 1))
    if place == len(node.input):
        del node.input[-1:]
    else:
        node.input[place] = names[int(rng.integers(len(names)))]


def _wild_operator(model: ModelProto, node: NodeProto, rng: np.random.Generator) -> None:
    kinds = sorted({*SWAPPED, *(other.op_type for other in model.graph.node)} - {"Constant"})
    node.op_type = kinds[int(rng.integers(len(kinds)))]
    if rng.random() < 0.5:
        del node.attribute[:]


def _wild_attribute(model: ModelProto, node: NodeProto, rng: np.random.Generator) -> None:
    del model
    if not node.attribute:
        return
    attribute = node.attribute[int(rng.integers(len(node.attribute)))]
    if attribute.type == AttributeProto.INT:
        attribute.i = WILD_INTEGERS[int(rng.integers(len(WILD_INTEGERS)))]
    elif attribute.ints:
        place = int(rng.integers(len(attribute.ints)))
        attribute.ints[place] = WILD_INTEGERS[int(rng.integers(len(WILD_INTEGERS)))]
    else:
        node.attribute.remove(attribute)


def _wild_integers(model: ModelProto, node: NodeProto, rng: np.random.Generator) -> None:
    _wild_entry(model, node, rng, _integers(model), np.array(WILD_INTEGERS))


def _wild_numbers(model: ModelProto, node: NodeProto, rng: np.random.Generator) -> None:
    _wild_entry(model, node, rng, _floats(model), np.array(WILD_NUMBERS))


def _wild_entry(
    model: ModelProto,
    node: NodeProto,
    rng: np.random.Generator,
    known: dict[str, TensorProto],
    values: NDArray[Any],
) -> None:
    places = [k for k, name in enumerate(node.input) if name in known]
    if not places:
        return _wild_operand(model, node, rng)
    place = int(rng.choice(places))
    array = numpy_helper.to_array(known[node.input[place]]).copy()
    if array.size:
        array.reshape(-1)[int(rng.integers(array.size))] = rng.choice(values)
    _replaced(model, node, place, array)
    return None


def _wild_shape(model: ModelProto, node: NodeProto, rng: np.random.Generator) -> None:
    known = {**_floats(model), **_integers(model)}
    places = [k for k, name in enumerate(node.input) if name in known]
    if not places:
        return _wild_operand(model, node, rng)
    place = int(rng.choice(places))
    array = numpy_helper.to_array(known[node.input[place]])
    changes = [array.T, array.reshape(-1), array[None], array[..., None], array.reshape(-1)[:0],
               array.reshape(-1)[:1], np.concatenate([array.reshape(-1)] * 2)]  # fmt: skip
    _replaced(model, node, place, np.ascontiguousarray(changes[int(rng.integers(len(changes)))]))
    return None


_WILD = {
    "operand": _wild_operand,
    "operator": _wild_operator,
    "attribute": _wild_attribute,
    "integers": _wild_integers,
    "numbers": _wild_numbers,
    "shape": _wild_shape,
}


def _replaced(model: ModelProto, node: NodeProto, place: int, values: NDArray[Any]) -> None:
    """Another constant as one operand of one node; other users keep theirs."""
    name = f"changed_{node.input[place]}"
    model.graph.initializer.append(numpy_helper.from_array(values, name))
    node.input[place] = name


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
    _replaced(model, node, place, flat.reshape(values.shape))


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
    """Nodes that the output depends on behind the cuts, and what they compute of constants alone,
    in order."""
    above = {output}
    for node in reversed(model.graph.node):
        if above & set(node.output) and not set(node.output) & set(cuts):
            above |= set(node.input)
    return [
        index
        for index, node in enumerate(model.graph.node)
        if set(node.output) & above and not set(node.output) & set(cuts)
    ]


def external_free(model: ModelProto) -> bytes:
    """The model as one file's content, data included."""
    return helper.make_model(model.graph, opset_imports=model.opset_import).SerializeToString()
