"""Encoders of one operator, in every form that the checker's walk knows."""

from __future__ import annotations

import numpy as np

from protoproof.kernel.arithmetic.outward import Range
from protoproof.kernel.encoder.interval import IntervalPropagation
from protoproof.kernel.encoder.parametric import ParametricSet
from protoproof.kernel.model.graph import Graph
from tests.support.network.cases import Case, ints, number, weight

# cases of the shared table for one image, in forms that the walk knows
MORE = (
    Case("Conv", [(1, 4, 7, 6), weight(5, 4, 3, 2), weight(5)], {"strides": [2, 1]}),
    Case("Conv", [(1, 4, 7, 6), weight(5, 4, 3, 3)], {"pads": [0, 1, 2, 0], "dilations": [2, 1]}),
    Case("Gemm", [(1, 5), weight(4, 5), weight(4)], {"transB": 1}),
    Case("Gemm", [(1, 5), weight(5, 4)]),
    Case("MatMul", [(1, 5), weight(5, 2)]),
    Case("Add", [(1, 4, 7, 6), weight(4, 1, 1)]),
    Case("Sub", [(1, 4, 7, 6), weight(4, 1, 1)]),
    Case("Sub", [weight(1), (1, 4, 7, 6)]),
    Case("Mul", [(1, 4, 7, 6), weight(1, 4, 1, 1)]),
    Case("Div", [(1, 4, 7, 6), np.array([0.3, -2.0, 5.0, 1.0], dtype=np.float32)[:, None, None]]),
    Case("Neg", [(1, 4, 7, 6)]),
    Case("Relu", [(1, 4, 7, 6)]),
    Case("LeakyRelu", [(1, 4, 7, 6)]),
    Case("LeakyRelu", [(1, 4, 7, 6)], {"alpha": 0.3}),
    Case("Clip", [(1, 4, 7, 6), number(-0.5), number(1.25)]),
    Case("Clip", [(1, 4, 7, 6), None, number(0.5)]),
    Case("Sigmoid", [(1, 4, 7, 6)], low=-30.0, high=30.0),
    Case("Tanh", [(1, 4, 7, 6)], low=-10.0, high=10.0),
    Case("MaxPool", [(1, 4, 7, 6)], {"kernel_shape": [3, 2], "pads": [1, 1, 1, 1]}),
    Case("MaxPool", [(1, 4, 7, 6)], {"kernel_shape": [2, 2], "dilations": [2, 3]}),
    Case("AveragePool", [(1, 4, 7, 6)], {"kernel_shape": [2, 3], "strides": [1, 2]}),
    Case("GlobalAveragePool", [(1, 4, 7, 6)]),
    Case("Flatten", [(1, 4, 7, 6)]),
    Case("Reshape", [(1, 4, 6), ints(1, 3, 2, 4)]),
    Case("Reshape", [(1, 4, 6), ints(0, -1)]),
    Case("Transpose", [(1, 4, 7, 6)], {"perm": [0, 2, 3, 1]}),
    Case("Identity", [(1, 4, 7, 6)]),
    Case("Dropout", [(1, 4, 7, 6)]),
    Case(
        "BatchNormalization",
        [(1, 4, 7, 6), weight(4), weight(4, seed=4), weight(4, seed=5), np.abs(weight(4, seed=6))],
        {"epsilon": 1e-3},
    ),
)  # fmt: skip


def graph_of(case: Case) -> Graph:
    return Graph(case.model(17).SerializeToString())


def input_name(case: Case) -> str:
    return next(f"x{i}" for i, entry in enumerate(case.inputs) if isinstance(entry, tuple))


def encoder_range(
    graph: Graph, tensor: str, start: Range, parametric: ParametricSet | None = None
) -> Range:
    """Bounds of a tensor over all inputs in ``start``, as the kernel propagates them."""
    return IntervalPropagation(graph, start, parametric, keep=False).reach(tensor)
