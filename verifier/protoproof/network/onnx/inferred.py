"""Shapes of tensors that the operator table has no rule for.

Statements of the file are dropped first: shapes follow from the input's shape, the operators and
the constants, as the onnx library infers them, for a batch of a given size. What it cannot infer
(an operator that is not ONNX's own) is measured: ONNX Runtime runs the model once.

An operator whose output may be of any size, whatever its inputs' sizes are, must have an inferred
shape: a file of a few bytes could ask for any amount of memory otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from onnx import (
    GraphProto,
    ModelProto,
    TensorProto,
    ValueInfoProto,
    helper,
    numpy_helper,
    shape_inference,
)

from protoproof.errors import MissingDependencyError, ModelError
from protoproof.network.onnx.computed import LARGE, computed_values
from protoproof.network.onnx.external import NO_FILES, Files, is_external
from protoproof.network.onnx.limits import Limits
from protoproof.network.onnx.node import DEFAULT_DOMAINS, Node, Shape, printable
from protoproof.network.onnx.stored import tensor_values

_ROUNDS = 16  # of inference, each behind sizes that the one before made known
# their sizes come from the values of inputs
_BY_VALUE = frozenset({
    "AffineGrid", "BlackmanWindow", "CenterCropPad", "Col2Im", "ConstantOfShape", "CropAndResize",
    "DFT", "Expand", "HammingWindow", "HannWindow", "MaxUnpool", "MelWeightMatrix", "OneHot", "Pad",
    "Range", "Resize", "STFT", "Tile", "Upsample",
})  # fmt: skip


def inferred_shapes(model: ModelProto, files: Files, batch: int) -> dict[str, Shape]:
    """Shapes of computed tensors, as far as they can be inferred.

    Exporters compute sizes in the graph (Shape, Gather, Equal, Where ...): what follows from known
    sizes is computed here, too, and inference goes on from there.
    """
    bare = _bare(model, files, batch)
    opset = next(e.version for e in model.opset_import if e.domain in DEFAULT_DOMAINS)
    shapes: dict[str, Shape] = {}
    for _ in range(_ROUNDS):
        try:
            found = shape_inference.infer_shapes(bare, data_prop=True).graph
        except Exception:  # noqa: BLE001  # the library's exceptions share no root
            return shapes
        for value in (*found.value_info, *found.output):
            shape = _fixed(value)
            if shape is not None:
                shapes[value.name] = shape
        given = _given_shapes(bare.graph)
        values = computed_values(bare.graph, {**given, **shapes}, opset)
        if not values:
            break
        shapes.update({name: value.shape for name, value in values.items()})
        left = [node for node in bare.graph.node if values.keys().isdisjoint(node.output)]
        del bare.graph.node[:]
        bare.graph.node.extend(left)
        bare.graph.initializer.extend(
            numpy_helper.from_array(value, name) for name, value in values.items()
        )
    return shapes


def _bare(model: ModelProto, files: Files, batch: int) -> ModelProto:
    """The model for a batch, without statements about tensors, and without large numbers."""
    graph = GraphProto(name="shapes", node=model.graph.node)
    stored = {tensor.name for tensor in model.graph.initializer}
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) > LARGE:
            graph.input.append(_value(tensor.name, tensor.data_type, tuple(tensor.dims)))
        elif is_external(tensor):
            raw, dims = tensor_values(tensor, files).tobytes(), tensor.dims
            graph.initializer.append(
                TensorProto(name=tensor.name, dims=dims, data_type=tensor.data_type, raw_data=raw)
            )
        else:
            graph.initializer.append(tensor)
    for value in model.graph.input:
        if value.name not in stored:
            kind = value.type.tensor_type
            sizes = [dim.dim_value for dim in kind.shape.dim]
            graph.input.append(_value(value.name, kind.elem_type, (batch, *sizes[1:])))
    graph.output.extend(ValueInfoProto(name=value.name) for value in model.graph.output)
    return ModelProto(ir_version=model.ir_version, graph=graph, opset_import=model.opset_import)


def _given_shapes(graph: GraphProto) -> dict[str, Shape]:
    found = {value.name: _fixed(value) for value in graph.input}
    given = {name: shape for name, shape in found.items() if shape is not None}
    return given | {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}


def _value(name: str, kind: int, shape: Shape) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(shape))


def _fixed(value: ValueInfoProto) -> Shape | None:
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
        return None
    dims = tensor.shape.dim
    if not all(dim.HasField("dim_value") and dim.dim_value >= 0 for dim in dims):
        return None
    return tuple(int(dim.dim_value) for dim in dims)


def require_bounded(nodes: Sequence[Node], shapes: Mapping[str, Shape], limits: Limits) -> None:
    """Refuse what might ask ONNX Runtime for more memory than the limits allow.

    Raises:
        ModelError: the first operator that does.
    """
    total = 0
    for node in nodes:
        for output in filter(None, node.outputs):
            shape = shapes.get(output)
            if shape is None and node.op in _BY_VALUE:
                raise ModelError(
                    f"{node.where}: the size of its output is computed; export it with fixed sizes"
                )
            total += math.prod(shape or ())
            if math.prod(shape or ()) > limits.elements or total > limits.activations:
                raise ModelError(
                    f"{node.where}: its output has shape {shape}: too large; shrink it"
                )


def measured_shapes(
    data: bytes, model: ModelProto, names: tuple[str, ...], files: Files = NO_FILES
) -> dict[str, Shape]:
    """Shapes that ONNX Runtime gives tensors for one input of zeros.

    Raises:
        ModelError: ONNX Runtime is not installed, or cannot run the model.
    """
    from protoproof.network.onnx.runtime import Session

    stored = {tensor.name for tensor in model.graph.initializer}
    value = next(value for value in model.graph.input if value.name not in stored)
    kind = value.type.tensor_type
    sizes = [dim.dim_value for dim in kind.shape.dim][1:]
    x = np.zeros((1, *sizes), dtype=helper.tensor_dtype_to_np_dtype(kind.elem_type))
    published = {value.name for value in model.graph.output}
    try:
        session = Session(exposing(data, tuple(n for n in names if n not in published)), files)
        return session.shapes(names, {value.name: x})
    except MissingDependencyError as error:
        raise ModelError(
            f"the shape of tensor '{printable(names[0])}' can only be measured, which needs ONNX "
            "Runtime; install protoproof[explain]"
        ) from error


def exposing(data: bytes, names: tuple[str, ...]) -> bytes:
    """The same model with more of its tensors as outputs, behind its own.

    A message field that occurs again is merged into the first, by the rules of protobuf: so nothing
    has to be parsed or copied but bytes.
    """
    graph = GraphProto(output=[ValueInfoProto(name=name) for name in names])
    return data + ModelProto(graph=graph).SerializeToString() if names else data


def refuse_contradictions(model: ModelProto, shapes: Mapping[str, Shape]) -> None:
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
