"""Values that a graph computes from known sizes and stored numbers: mostly shapes, axes and limits.

Only small results are computed, of operators whose result cannot be larger than what is checked
first, by the onnx library's reference implementation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from protoproof.network.onnx.node import DEFAULT_DOMAINS, Shape
from protoproof.network.onnx.stored import constant

LARGE = 1 << 12  # numbers of a tensor; the values of larger ones are not looked at
_MOST = 1 << 12  # values
_LARGEST_PRODUCT = 1 << 20  # of the numbers of inputs, which bounds any broadcast

# The result is as large as the inputs together, at most (or as their shapes broadcast).
_PLAIN = frozenset({
    "Abs", "Add", "And", "Cast", "Ceil", "Concat", "Div", "Equal", "Floor", "Gather", "Greater",
    "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Max", "Min", "Mod", "Mul", "Neg", "Not",
    "Or", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "ScatterElements",
    "ScatterND", "Slice", "Split", "Sqrt", "Squeeze", "Sub", "Transpose", "Unsqueeze", "Where",
})  # fmt: skip
_Values = dict[str, NDArray[Any]]


def computed_values(graph: GraphProto, shapes: Mapping[str, Shape], opset: int) -> _Values:
    """Small computed tensors whose values are known, by name; ``shapes`` as far as known."""
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found: _Values = {}
    for node in graph.node:
        if node.domain not in DEFAULT_DOMAINS or len(found) >= _MOST:
            continue
        if node.op_type == "Constant":
            known[node.output[0]] = constant(node, opset)
            continue
        for name, value in zip(node.output, _run(node, known, shapes, opset), strict=False):
            if name and value.size <= LARGE and value.dtype.kind in "iubf":
                known[name] = found[name] = value
    return found


def _run(
    node: NodeProto, known: _Values, shapes: Mapping[str, Shape], opset: int
) -> list[NDArray[Any]]:
    """The results of a node, [] where they are not known or not small."""
    if node.op_type in ("Shape", "Size"):
        shape = shapes.get(node.input[0])
        if shape is None:
            return []
        if node.op_type == "Size":
            return [np.array(math.prod(shape), dtype=np.int64)]
        attributes = {a.name: int(a.i) for a in node.attribute}
        cut = slice(attributes.get("start", 0), attributes.get("end"))
        return [np.array(shape[cut], dtype=np.int64)]
    if any(name and name not in known for name in node.input):
        return []
    values = [known[name] for name in node.input if name]
    if not _small(node.op_type, values):
        return []
    feed = {name: known[name] for name in node.input if name}
    inputs = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
        )
        for name, value in feed.items()
    ]
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
    graph = helper.make_graph([node], "node", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    try:
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(model).run(None, feed)
    except Exception:  # noqa: BLE001  # the reference's exceptions share no root; nothing is known
        return []
    return [np.asarray(result) for result in results]


def _small(op: str, values: list[NDArray[Any]]) -> bool:
    """Whether a result is small, by the values or shapes of the inputs."""
    if not values or not all(value.dtype.kind in "iubf" for value in values):
        return False
    if op == "ConstantOfShape":
        return _count(values[0]) <= LARGE
    if op == "Expand":
        return _count(values[1]) * values[0].size <= LARGE
    if op == "Range" and all(value.size == 1 and np.isfinite(value) for value in values):
        start, limit, step = (float(value.reshape(-1)[0]) for value in values)
        return step != 0 and (limit - start) / step <= LARGE
    return op in _PLAIN and math.prod(max(value.size, 1) for value in values) <= _LARGEST_PRODUCT


def _count(sizes: NDArray[Any]) -> int:
    return math.prod(max(int(size), 0) for size in sizes.reshape(-1))
