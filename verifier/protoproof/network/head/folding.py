"""Nodes of constants, computed in float64 by ONNX's reference evaluator."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

from protoproof.network.head.constants import Numbers
from protoproof.network.head.refusal import NotRecognisedError
from protoproof.network.head.symbols import Value
from protoproof.network.head.view import Op, as_numbers

# numbers that folding a constant part of a head may make
_MOST_FOLDED = 1 << 24


def folded(node: Op, inputs: Sequence[Numbers | None]) -> Value | list[Value]:
    """A node of constants, run in float64 by ONNX's reference evaluator."""
    if node.op == "ConstantOfShape":
        return _constant_of_shape(node, inputs)
    arrays = [
        None if v is None else (v.plain if v.high.dtype.kind == "f" else v.high) for v in inputs
    ]
    names = [f"x{k}" if array is not None else "" for k, array in enumerate(arrays)]
    feeds = {name: array for name, array in zip(names, arrays, strict=True) if array is not None}
    outputs = [f"y{k}" for k in range(len(node.outputs))]
    proto = helper.make_node(node.op, names, outputs, **dict(node.attributes))
    given = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for name, array in feeds.items()
    ]
    graph = helper.make_graph(
        [proto], "node", given, [onnx.ValueInfoProto(name=name) for name in outputs]
    )
    opset = helper.make_opsetid("", 18)
    try:
        model = helper.make_model(graph, opset_imports=[opset])
        made = ReferenceEvaluator(model).run(None, feeds)
    except Exception as error:  # the evaluator raises whatever its kernels raise
        raise NotRecognisedError("constants that cannot be computed") from error
    results: list[Value] = []
    for array in made:
        if not isinstance(array, np.ndarray | np.generic) or np.size(array) > _MOST_FOLDED:
            raise NotRecognisedError("constants that cannot be computed")
        results.append(as_numbers(np.asarray(array)))
    return results if len(results) > 1 else results[0]


def _constant_of_shape(node: Op, inputs: Sequence[Numbers | None]) -> Value:
    if not inputs or inputs[0] is None:
        raise NotRecognisedError("a shape is left out")
    shape = tuple(int(n) for n in np.asarray(inputs[0].high).reshape(-1))
    tensor = node.attributes.get("value")
    fill = np.zeros(1, np.float32) if tensor is None else onnx.numpy_helper.to_array(tensor)
    if math.prod(shape) > _MOST_FOLDED:
        raise NotRecognisedError("a constant that is too large")
    return as_numbers(np.full(shape, fill.reshape(-1)[0]))
