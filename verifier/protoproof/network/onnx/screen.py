"""What a parsed model must not contain. Every refusal has its own message.

The checks are generators, so that ``load`` stops at the first problem and ``inspect`` lists all.
They look at the message only: nothing is allocated from a size that the file merely states.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, defs

from protoproof.errors import ModelError, UnsupportedOperatorError
from protoproof.network.onnx.external import NO_FILES, Files, is_external, numbers
from protoproof.network.onnx.limits import Limits
from protoproof.network.onnx.node import printable

OLDEST_OPSET = 13
_DEFAULT_DOMAIN = ("", "ai.onnx")
_CONTROL_FLOW = {"If", "Loop", "Scan", "SequenceMap"}
_RANDOM = {"Multinomial", "Bernoulli"}
_DTYPES: dict[int, tuple[str, Any]] = {
    TensorProto.FLOAT: ("float_data", np.dtype("<f4")),
    TensorProto.INT64: ("int64_data", np.dtype("<i8")),
}
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
_TYPED_DATA = (
    "float_data",
    "int32_data",
    "int64_data",
    "double_data",
    "uint64_data",
    "string_data",
)


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


def _header(model: ModelProto, _: Limits) -> Iterator[ModelError]:
    if not model.HasField("graph"):
        yield ModelError("the model has no graph; export it again")
    if len(model.functions):
        yield ModelError("the model defines functions; export it with functions inlined")
    if len(model.configuration):
        yield ModelError("the model is split over devices; export it for one device")
    if len(model.training_info):
        yield ModelError("the model carries training information; export it for inference")
    if not 4 <= model.ir_version <= onnx.IR_VERSION:
        yield ModelError(
            f"ir_version {model.ir_version} is outside 4..{onnx.IR_VERSION}; export it again"
        )
    domains = [entry.domain for entry in model.opset_import]
    for domain in domains:
        if domain not in _DEFAULT_DOMAIN:
            yield ModelError(f"custom operator domain '{printable(domain)}'; export without it")
    versions = [e.version for e in model.opset_import if e.domain in _DEFAULT_DOMAIN]
    if len(versions) != 1:
        yield ModelError(f"the default opset is imported {len(versions)} times; import it once")
    newest = defs.onnx_opset_version()
    for version in versions:
        if not OLDEST_OPSET <= version <= newest:
            yield ModelError(f"opset {version} is outside {OLDEST_OPSET}..{newest}; use opset 17")
    keys = [entry.key for entry in model.metadata_props]
    for key in _twice(keys):
        yield ModelError(f"metadata key '{printable(key)}' occurs twice; export the model again")


def _nodes(model: ModelProto, limits: Limits) -> Iterator[ModelError]:
    if len(model.graph.node) > limits.nodes:
        yield ModelError(f"more than {limits.nodes} operators; use a smaller model")
        return
    if not len(model.graph.node):
        yield ModelError("the graph has no operators; export the model again")
    opset = next((e.version for e in model.opset_import if e.domain in _DEFAULT_DOMAIN), "?")
    for node in model.graph.node:
        name = node.name or ",".join(node.output)
        where = f"node '{printable(name)}' ({printable(node.op_type)}, opset {opset})"
        if node.domain not in _DEFAULT_DOMAIN:
            yield UnsupportedOperatorError(
                f"{where}: custom operator domain '{printable(node.domain)}'; export without it"
            )
        elif node.op_type in _CONTROL_FLOW:
            yield UnsupportedOperatorError(f"{where}: control flow; export a graph without it")
        elif node.op_type in _RANDOM or node.op_type.startswith("Random"):
            yield UnsupportedOperatorError(f"{where}: random operator; export in eval mode")
        elif any(len(a.graphs) or a.HasField("g") for a in node.attribute):
            yield UnsupportedOperatorError(f"{where}: a graph inside a graph; export without it")
        elif node.overload:
            yield UnsupportedOperatorError(f"{where}: an overload of a function; export inlined")
        for attribute in node.attribute:
            if not _one_payload(attribute):
                yield UnsupportedOperatorError(
                    f"{where}: attribute '{printable(attribute.name)}' does not hold one value of "
                    "its type; export the model again"
                )


def _one_payload(attribute: AttributeProto) -> bool:
    """Whether an attribute holds what its type says, and nothing that another reader might take.

    An empty list looks like none. (Types that no operator here has are refused with the operator.)
    """
    wanted = _PAYLOADS.get(attribute.type)
    if wanted is None:
        return True
    present = {field.name for field, _ in attribute.ListFields()} - _REMARKS
    return present == {wanted} or (not present and wanted.endswith("s") and wanted != "s")


def _names(model: ModelProto, _: Limits) -> Iterator[ModelError]:
    graph = model.graph
    initializers = [tensor.name for tensor in graph.initializer]
    inputs = [value.name for value in graph.input]
    outputs = [name for node in graph.node for name in node.output if name]
    groups = (
        ("initializer", initializers),
        ("graph input", inputs),
        ("graph output", [value.name for value in graph.output]),
        ("annotated tensor", [value.name for value in graph.value_info]),
        ("operator output", outputs),
        ("node", [node.name for node in graph.node if node.name]),
        ("tensor", [*set(initializers), *set(inputs), *set(outputs)]),
    )
    for kind, names in groups:
        for name in _twice(names):
            yield ModelError(f"{kind} '{printable(name)}' is defined twice; export the model again")
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
    if len(model.graph.quantization_annotation):
        yield ModelError("quantized tensors are not supported; export float32 weights")
    if sum(map(_stored_elsewhere, model.graph.initializer)) > limits.file_bytes:
        yield ModelError(f"its external data are more than {limits.file_bytes} bytes; shrink it")
        return
    for position, tensor in enumerate(_all_tensors(model)):
        inside = position >= len(model.graph.initializer)
        if inside and is_external(tensor):
            problem = "external data are read for initializers only; export the model again"
        else:
            problem = _tensor_problem(tensor, limits, files)
        if problem:
            yield ModelError(f"tensor '{printable(tensor.name)}': {problem}")


def _stored_elsewhere(tensor: TensorProto) -> int:
    """Bytes of the numbers that a tensor has in another file (types that are refused: none)."""
    if (
        not is_external(tensor)
        or tensor.data_type not in _DTYPES
        or min(tensor.dims, default=0) < 0
    ):
        return 0
    return int(math.prod(tensor.dims) * _DTYPES[tensor.data_type][1].itemsize)


def _tensor_problem(tensor: TensorProto, limits: Limits, files: Files) -> str:
    """Why a stored tensor is refused, or "". Values are looked at last."""
    if tensor.data_type not in _DTYPES:
        known = tensor.data_type in TensorProto.DataType.values()
        kind = TensorProto.DataType.Name(tensor.data_type) if known else str(tensor.data_type)
        return f"number type {kind} is not supported; export float32 (int64 for shapes)"
    if tensor.HasField("segment"):
        return "segmented tensors are not supported; export the model again"
    if len(tensor.dims) > 16 or any(size < 1 for size in tensor.dims):
        return "a dimension is below 1, or there are more than 16; export the model again"
    count = math.prod(tensor.dims)
    if count > limits.elements:
        return f"more than {limits.elements} numbers; use a smaller model"
    field, dtype = _DTYPES[tensor.data_type]
    stored = [name for name in _TYPED_DATA if len(getattr(tensor, name))]
    if is_external(tensor):
        if stored or tensor.HasField("raw_data"):
            return "its data are in the file and in another one; export the model again"
        try:
            numbers(tensor, dtype.itemsize, files)
        except ModelError as error:
            return str(error)
    elif tensor.HasField("raw_data"):
        if stored or len(tensor.raw_data) != count * dtype.itemsize:
            return f"its data does not fit dims {list(tensor.dims)}; export the model again"
    elif stored != [field] or len(getattr(tensor, field)) != count:
        return f"its data does not fit dims {list(tensor.dims)}; export the model again"
    if dtype.kind == "f" and not np.isfinite(tensor_values(tensor, files)).all():
        return "a weight is NaN or infinite; train or export the model again"
    return ""


def tensor_values(tensor: TensorProto, files: Files = NO_FILES) -> np.ndarray[Any, Any]:
    """The numbers of a screened tensor, as a read-only array of its dims."""
    field, dtype = _DTYPES[tensor.data_type]
    if is_external(tensor):
        values = np.frombuffer(numbers(tensor, dtype.itemsize, files), dtype=dtype)
    elif tensor.HasField("raw_data"):
        values = np.frombuffer(tensor.raw_data, dtype=dtype)
    else:
        values = np.array(getattr(tensor, field), dtype=dtype)
    values = values.reshape(tuple(tensor.dims))
    values.setflags(write=False)
    return values


def _interface(model: ModelProto, _: Limits) -> Iterator[ModelError]:
    graph = model.graph
    initializers = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in initializers]
    if len(inputs) != 1:
        yield ModelError(f"the graph has {len(inputs)} inputs; exactly one is supported")
    for value in inputs:
        tensor = value.type.tensor_type
        if not value.type.HasField("tensor_type") or tensor.elem_type != TensorProto.FLOAT:
            yield ModelError(f"input '{printable(value.name)}' is no float32 tensor; export it so")
            continue
        dims = tensor.shape.dim
        if len(dims) != 4 or any(not 1 <= d.dim_value <= 1 << 20 for d in dims[1:]):
            yield ModelError(
                f"input '{printable(value.name)}' must be [N, C, h, w] with fixed C, h, w; "
                "export it so"
            )
        elif dims[0].HasField("dim_value") and dims[0].dim_value != 1:
            yield ModelError(
                f"the batch axis of input '{printable(value.name)}' is {dims[0].dim_value}; "
                "export it free, or fixed to 1"
            )


def attribute_value(attribute: AttributeProto) -> int | float | str | tuple[int, ...] | None:
    """An attribute as a plain value; None for a kind that no operator here has."""
    kind = attribute.type
    if kind == AttributeProto.INT:
        return int(attribute.i)
    if kind == AttributeProto.FLOAT and math.isfinite(attribute.f):
        return float(attribute.f)
    if kind == AttributeProto.STRING:
        return attribute.s.decode("utf-8", "replace")
    if kind == AttributeProto.INTS and len(attribute.ints) <= 64:
        return tuple(int(value) for value in attribute.ints)
    return None
