"""What is wrong with a node on its own, whatever it computes and wherever it stands."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from onnx import AttributeProto, NodeProto, defs

from protoproof.network.onnx.node import DEFAULT_DOMAINS, printable

# whose operators ONNX Runtime executes; none of them opens a file
DOMAINS = frozenset({*DEFAULT_DOMAINS, "ai.onnx.ml", "com.microsoft"})
_CONTROL_FLOW = {"If", "Loop", "Scan", "SequenceMap"}
_RANDOM = {"Multinomial", "Bernoulli"}
# where each type of attribute keeps its value
_PAYLOADS = {
    AttributeProto.FLOAT: "f",
    AttributeProto.INT: "i",
    AttributeProto.STRING: "s",
    AttributeProto.TENSOR: "t",
    AttributeProto.FLOATS: "floats",
    AttributeProto.INTS: "ints",
    AttributeProto.STRINGS: "strings",
}
_REMARKS = {"name", "type", "doc_string"}


def own_domain(domain: str) -> str:
    return "" if domain in DEFAULT_DOMAINS else domain


def node_problems(node: NodeProto, opset: int, functions: set[tuple[str, str]]) -> Iterator[str]:
    """What is wrong with a node whatever it computes and wherever it stands."""
    if (own_domain(node.domain), node.op_type) in functions:
        yield "it calls a function of the model; export it with functions inlined"
    elif node.domain not in DOMAINS:
        yield f"custom operator domain '{printable(node.domain)}'; export without it"
    elif node.op_type in _CONTROL_FLOW:
        yield "control flow; export a graph without it"
    elif node.op_type in _RANDOM or node.op_type.startswith("Random"):
        yield "random operator; export in eval mode"
    elif any(len(a.graphs) or a.HasField("g") for a in node.attribute):
        yield "a graph inside a graph; export without it"
    elif node.overload:
        yield "an overload of a function; export inlined"
    elif node.op_type == "BatchNormalization" and any(
        a.name == "training_mode" and a.i for a in node.attribute
    ):
        yield "it is in training mode; export in eval mode"
    malformed = [a for a in node.attribute if not _one_payload(a)]
    for attribute in malformed:
        yield (f"attribute '{printable(attribute.name)}' does not hold one value of its type; "
               "export the model again")  # fmt: skip
    if not malformed and not own_domain(node.domain):
        yield from _against_schema(node, opset)


@cache
def _schema(op: str, opset: int) -> Any:
    try:
        found = defs.get_schema(op, opset, "")
    except defs.SchemaError:
        return None
    return None if found.deprecated else found


def _against_schema(node: NodeProto, opset: int) -> Iterator[str]:
    """Whether ONNX has such an operator in this opset, with these attributes and so many inputs."""
    schema = _schema(node.op_type, opset)
    if schema is None:
        yield "ONNX has no such operator in this opset; export the model again"
        return
    for attribute in node.attribute:
        stated = schema.attributes.get(attribute.name)
        name = printable(attribute.name)
        if stated is None:
            yield f"attribute '{name}' is not supported; export without it"
        elif stated.type.value != attribute.type:
            yield f"attribute '{name}' has the wrong type; export it again"
    inputs, outputs = len(node.input), len(node.output)
    if not schema.min_input <= inputs <= schema.max_input:
        yield f"has {inputs} inputs, ONNX wants {schema.min_input} to {schema.max_input}"
    elif not schema.min_output <= outputs <= schema.max_output:
        yield f"has {outputs} outputs, ONNX wants {schema.min_output} to {schema.max_output}"


def _one_payload(attribute: AttributeProto) -> bool:
    """Whether an attribute holds what its type says, and nothing that another reader might take.

    An empty list looks like none. Types, sparse tensors and lists of tensors are never held.
    """
    wanted = _PAYLOADS.get(attribute.type)
    if wanted is None:
        return False
    present = {field.name for field, _ in attribute.ListFields()} - _REMARKS
    return present == {wanted} or (not present and wanted.endswith("s") and wanted != "s")
