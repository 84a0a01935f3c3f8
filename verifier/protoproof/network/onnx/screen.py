"""What a parsed model must not contain. Every refusal has its own message.

The checks are generators, so that ``load`` stops at the first problem and ``inspect`` lists all.
They look at the message only: nothing is allocated from a size that the file merely states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import onnx
from onnx import ModelProto, NodeProto, TensorProto, defs

from protoproof.errors import ModelError, UnsupportedOperatorError
from protoproof.network.onnx.external import NO_FILES, Files, is_external
from protoproof.network.onnx.limits import Limits
from protoproof.network.onnx.node import DEFAULT_DOMAINS, printable
from protoproof.network.onnx.node_screen import node_problems, own_domain
from protoproof.network.onnx.stored import constant, infinite, stored_size, tensor_problem
from protoproof.network.onnx.stored import tensor_values as tensor_values

OLDEST_OPSET = 13
INPUT_TYPES = {TensorProto.FLOAT: "float32", TensorProto.UINT8: "uint8"}
# where an infinite constant can make sense: a mask of attention, a limit that is none
_MASKING = frozenset(
    {"Add", "Cast", "Clip", "Concat", "Expand", "Identity", "Max", "Min", "Pad", "Reshape",
     "ScatterElements", "ScatterND", "Slice", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Where"}
)  # fmt: skip


def _kind(number: int) -> str:
    """The name of a number type, such as ``float16``."""
    known = TensorProto.DataType.values()
    return TensorProto.DataType.Name(number).lower() if number in known else f"of type {number}"


def refusals(model: ModelProto, limits: Limits, files: Files = NO_FILES) -> Iterator[ModelError]:
    """Every reason to refuse the model that can be found without looking at operators' meaning.

    ``files``: the data files that it names.
    """
    checks: tuple[Callable[[ModelProto, Limits], Iterator[ModelError]], ...] = (
        _header,
        _nodes,
        _names,
        _interface,
        _order,
    )
    for check in checks:
        yield from check(model, limits)
    yield from _tensors(model, limits, files)
    yield from _constants(model, limits)


def _header(model: ModelProto, _: Limits) -> Iterator[ModelError]:
    if not model.HasField("graph"):
        yield ModelError("the model has no graph; export it again")
    if len(model.configuration):
        yield ModelError("the model is split over devices; export it for one device")
    if len(model.training_info):
        yield ModelError("the model carries training information; export it for inference")
    if not 4 <= model.ir_version <= onnx.IR_VERSION:
        yield ModelError(
            f"ir_version {model.ir_version} is outside 4..{onnx.IR_VERSION}; export it again"
        )
    versions = [e.version for e in model.opset_import if e.domain in DEFAULT_DOMAINS]
    if len(versions) != 1:
        yield ModelError(f"the default opset is imported {len(versions)} times; import it once")
    newest = defs.onnx_opset_version()
    for version in versions:
        if not OLDEST_OPSET <= version <= newest:
            yield ModelError(f"opset {version} is outside {OLDEST_OPSET}..{newest}; use opset 20")
    keys = [entry.key for entry in model.metadata_props]
    for key in _twice(keys):
        yield ModelError(f"metadata key '{printable(key)}' occurs twice; export the model again")


def _nodes(model: ModelProto, limits: Limits) -> Iterator[ModelError]:
    if len(model.graph.node) > limits.nodes:
        yield ModelError(f"more than {limits.nodes} operators; use a smaller model")
        return
    if not len(model.graph.node):
        yield ModelError("the graph has no operators; export the model again")
    opset = next((e.version for e in model.opset_import if e.domain in DEFAULT_DOMAINS), 0)
    functions = {(own_domain(function.domain), function.name) for function in model.functions}
    for node in model.graph.node:
        name = next((text for text in (node.name, *node.output) if text), "")
        where = f"node '{printable(name)}' ({printable(node.op_type)}, opset {opset})"
        for problem in node_problems(node, opset, functions):
            yield UnsupportedOperatorError(f"{where}: {problem}")


def _names(model: ModelProto, _: Limits) -> Iterator[ModelError]:
    graph = model.graph
    initializers = [tensor.name for tensor in graph.initializer]
    inputs = [value.name for value in graph.input]
    fed = set(inputs) - set(initializers)  # the others have a stored value, which is the one used
    outputs = [name for node in graph.node for name in node.output if name]
    groups = (
        ("initializer", initializers),
        ("graph input", inputs),
        ("graph output", [value.name for value in graph.output]),
        ("annotated tensor", [value.name for value in graph.value_info]),
        ("operator output", outputs),
        ("node", [node.name for node in graph.node if node.name]),
        ("tensor", [*set(initializers), *fed, *set(outputs)]),
    )
    for kind, names in groups:
        for name in _twice(names):
            remedy = "export the model again"
            if kind == "graph output":
                remedy = "let the network return it once, and " + remedy
            yield ModelError(f"{kind} '{printable(name)}' is defined twice; {remedy}")
        if "" in names:
            yield ModelError(f"an {kind} has no name; export the model again")
    for node in graph.node:
        for name in _twice(attribute.name for attribute in node.attribute):
            yield ModelError(
                f"node '{printable(node.name)}': attribute '{printable(name)}' occurs twice; "
                "export the model again"
            )


def _twice(names: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    double = {name for name in names if name in seen or seen.add(name)}  # type: ignore[func-returns-value]
    return sorted(double)


def _order(model: ModelProto, _: Limits) -> Iterator[ModelError]:
    graph = model.graph
    known = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    produced = {name for node in graph.node for name in node.output}
    for node in graph.node:
        for name in node.input:
            if name and name not in known:
                problem = "a cycle or unsorted nodes" if name in produced else "nobody makes it"
                yield ModelError(
                    f"node '{printable(node.name)}' uses tensor '{printable(name)}' before it is "
                    f"there ({problem}); export the model again"
                )
        known.update(node.output)
    for value in graph.output:
        if value.name not in known:
            yield ModelError(f"graph output '{printable(value.name)}' is never made; export again")


def _all_tensors(model: ModelProto) -> Iterator[TensorProto]:
    yield from model.graph.initializer
    for sparse in model.graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in model.graph.node:
        yield from _attribute_tensors(node)


def _attribute_tensors(node: NodeProto) -> Iterator[TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        if attribute.HasField("sparse_tensor") or len(attribute.sparse_tensors):
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)


def _tensors(model: ModelProto, limits: Limits, files: Files) -> Iterator[ModelError]:
    if len(model.graph.sparse_initializer):
        yield ModelError("sparse initializers are not supported; export dense weights")
    elsewhere = [tensor for tensor in model.graph.initializer if is_external(tensor)]
    if sum(map(stored_size, elsewhere)) > limits.file_bytes:
        yield ModelError(f"its external data are more than {limits.file_bytes} bytes; shrink it")
        return
    consumers: dict[str, set[str]] = {}
    for node in model.graph.node:
        for name in node.input:
            consumers.setdefault(name, set()).add(node.op_type)
    for position, tensor in enumerate(_all_tensors(model)):
        inside = position >= len(model.graph.initializer)
        if inside and is_external(tensor):
            problem = "external data are read for initializers only; export the model again"
        else:
            problem = tensor_problem(tensor, limits, files)
        if not problem and not inside and consumers.get(tensor.name, set()) - _MASKING:
            problem = infinite(tensor, files)
        if problem:
            yield ModelError(f"tensor '{printable(tensor.name)}': {problem}")


def _constants(model: ModelProto, limits: Limits) -> Iterator[ModelError]:
    """Constant nodes that hold no numbers. (Stored tensors are looked at above.)"""
    opset = next((e.version for e in model.opset_import if e.domain in DEFAULT_DOMAINS), 0)
    for node in model.graph.node:
        stored = list(_attribute_tensors(node))
        sound = not any(tensor_problem(tensor, limits, NO_FILES) for tensor in stored)
        if node.op_type == "Constant" and node.domain in DEFAULT_DOMAINS and node.output and sound:
            try:
                constant(node, opset)
            except UnsupportedOperatorError as error:
                yield error


def _interface(model: ModelProto, _: Limits) -> Iterator[ModelError]:
    graph = model.graph
    initializers = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in initializers]
    if len(inputs) != 1:
        yield ModelError(f"the graph has {len(inputs)} inputs; exactly one is supported")
    for value in inputs:
        tensor = value.type.tensor_type
        name = printable(value.name)
        if not value.type.HasField("tensor_type") or tensor.elem_type not in INPUT_TYPES:
            kind = _kind(tensor.elem_type) if value.type.HasField("tensor_type") else "no tensor"
            yield ModelError(
                f"input '{name}' is {kind}; only float32 (or uint8) is taken; export it so"
            )
            continue
        dims = tensor.shape.dim
        if not 2 <= len(dims) <= 5:
            yield ModelError(
                f"input '{name}' has {len(dims)} axes; [N, C, h, w], [N, C, T], [N, L, D] or "
                "[N, features] is supported; export it so"
            )
            continue
        free = [axis for axis, dim in enumerate(dims) if axis and dim.dim_value < 1]
        if free:
            yield ModelError(
                f"axis {free[0]} of input '{name}' has no fixed size (only the batch axis may be "
                "free); export with the size of your inputs"
            )
        elif any(dim.dim_value > 1 << 20 for dim in dims):
            yield ModelError(f"input '{name}' has an axis above {1 << 20}; shrink it")
        elif dims[0].HasField("dim_value") and dims[0].dim_value != 1:
            yield ModelError(
                f"the batch axis of input '{name}' is {dims[0].dim_value}; "
                "export it free, or fixed to 1"
            )
