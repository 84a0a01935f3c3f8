"""The shared table of operator tests: at least one row per operator of ``ops.OPERATORS``.

A row is an operator used in one way: attributes, inputs (a shape is data, an array is a constant),
and the opsets it is written for. Every row is run by ONNX Runtime and by the torch meaning, and its
shape rule is compared with what came out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Shape = tuple[int, ...]
_IMAGE: Shape = (2, 4, 7, 6)


def ints(*values: int) -> NDArray[np.int64]:
    """A constant int64 vector."""
    return np.array(values, dtype=np.int64)


def number(value: float) -> NDArray[np.float32]:
    """A constant float32 scalar."""
    return np.array(value, dtype=np.float32)


def weight(*shape: int, seed: int = 3) -> NDArray[np.float32]:
    """Constant random weights."""
    return np.random.default_rng(seed).normal(0, 0.5, shape).astype(np.float32)


@dataclass(frozen=True)
class Case:
    """One way to use an operator. ``low``, ``high``: range of the random data."""

    op: str
    inputs: Sequence[Shape | NDArray[Any] | None]
    attributes: dict[str, Any] = field(default_factory=dict)
    opsets: tuple[int, ...] = (17,)
    low: float = -2.0
    high: float = 2.0

    @property
    def label(self) -> str:
        """For test names."""
        return f"{self.op}-{'-'.join(f'{k}={v}' for k, v in self.attributes.items()) or 'plain'}"

    def model(self, opset: int) -> onnx.ModelProto:
        """The operator alone, its data as graph inputs x0, x1, ..."""
        names, values, weights = [], [], []
        for index, entry in enumerate(self.inputs):
            names.append("" if entry is None else f"x{index}")
            if isinstance(entry, tuple):
                values.append(helper.make_tensor_value_info(f"x{index}", TensorProto.FLOAT, entry))
            elif entry is not None:
                weights.append(numpy_helper.from_array(entry, f"x{index}"))
        nodes = [helper.make_node(self.op, names, ["y"], name="case", **self.attributes)]
        output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
        graph = helper.make_graph(nodes, "case", values, [output], weights)
        return helper.make_model(
            graph, ir_version=9, opset_imports=[helper.make_opsetid("", opset)]
        )

    def data(self, seed: int) -> dict[str, NDArray[np.float32]]:
        """Random values of the data inputs."""
        rng = np.random.default_rng(seed)
        return {
            f"x{index}": rng.uniform(self.low, self.high, entry).astype(np.float32)
            for index, entry in enumerate(self.inputs)
            if isinstance(entry, tuple)
        }


CASES: tuple[Case, ...] = (
    Case("Conv", [_IMAGE, weight(5, 4, 3, 3)], opsets=(13, 17, 22)),
    Case(
        "Conv", [_IMAGE, weight(5, 4, 3, 2), weight(5)], {"strides": [2, 1], "pads": [1, 0, 1, 0]}
    ),
    Case("Conv", [_IMAGE, weight(5, 4, 3, 3)], {"pads": [0, 1, 2, 0], "dilations": [2, 1]}),
    Case("Conv", [_IMAGE, weight(6, 2, 3, 3)], {"group": 2, "kernel_shape": [3, 3]}),
    Case("Conv", [_IMAGE, weight(5, 4, 3, 3)], {"auto_pad": "VALID"}),
    Case("Gemm", [(3, 5), weight(4, 5), weight(4)], {"transB": 1}),
    Case("Gemm", [(3, 5), weight(5, 4)]),
    Case("Gemm", [(5, 3), weight(5, 4), weight(1)], {"transA": 1, "alpha": 0.5, "beta": 2.0}),
    Case("Gemm", [(3, 5), weight(4, 5), weight(3, 1)], {"transB": 1, "beta": 0.25}),
    Case("MatMul", [(3, 5), weight(5, 2)]),
    Case("MatMul", [(2, 3, 4, 5), (3, 5, 2)]),
    Case("Add", [_IMAGE, weight(4, 1, 1)], opsets=(13, 17)),
    Case("Add", [(2, 1, 3), (4, 1)]),
    Case("Sub", [_IMAGE, _IMAGE], opsets=(13, 17)),
    Case("Sub", [weight(1), _IMAGE]),
    Case("Mul", [_IMAGE, weight(1, 4, 1, 1)], opsets=(13, 17)),
    Case("Div", [_IMAGE, (4, 1, 1)], opsets=(13, 17), low=0.5),
    Case("Neg", [_IMAGE]),
    Case("Relu", [_IMAGE], opsets=(13, 17)),
    Case("Sigmoid", [_IMAGE], low=-30.0, high=30.0),
    Case("Tanh", [_IMAGE], low=-10.0, high=10.0),
    Case("LeakyRelu", [_IMAGE], opsets=(13, 17)),
    Case("Softmax", [_IMAGE], {"axis": 1}, opsets=(13, 17)),
    Case("Softmax", [_IMAGE]),
    Case("LpNormalization", [_IMAGE], {"axis": 1, "p": 2}),
    Case("LpNormalization", [_IMAGE], opsets=(13, 17)),
    Case("LeakyRelu", [_IMAGE], {"alpha": 0.3}),
    Case("Clip", [_IMAGE, number(-0.5), number(1.25)]),
    Case("Clip", [_IMAGE, None, number(0.5)]),
    Case("Clip", [_IMAGE, number(0.0)]),
    Case("Clip", [_IMAGE]),
    Case("MaxPool", [_IMAGE], {"kernel_shape": [2, 3]}, opsets=(13, 17, 22)),
    Case("MaxPool", [_IMAGE], {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    Case("MaxPool", [_IMAGE], {"kernel_shape": [2, 2], "dilations": [2, 3]}),
    Case("MaxPool", [_IMAGE], {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1}),
    Case("AveragePool", [_IMAGE], {"kernel_shape": [2, 3]}, opsets=(13, 17, 19, 22)),
    Case("AveragePool", [_IMAGE], {"kernel_shape": [2, 2], "pads": [1, 1, 1, 1]}),
    Case(
        "AveragePool",
        [_IMAGE],
        {"kernel_shape": [3, 2], "strides": [1, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1},
    ),
    Case("GlobalAveragePool", [_IMAGE], opsets=(17, 22)),
    Case("GlobalMaxPool", [_IMAGE], opsets=(17, 22)),
    Case("Flatten", [_IMAGE], opsets=(13, 17, 21)),
    Case("Flatten", [_IMAGE], {"axis": 2}),
    Case("Flatten", [_IMAGE], {"axis": -1}),
    Case("Flatten", [_IMAGE], {"axis": 0}),
    Case("Reshape", [_IMAGE, ints(0, -1)], opsets=(13, 14, 17, 21)),
    Case("Reshape", [_IMAGE, ints(2, 7, 24)]),
    Case("Reshape", [(1, 4, 6), ints(1, 3, 2, 4)]),
    Case("Transpose", [_IMAGE]),
    Case("Transpose", [_IMAGE], {"perm": [1, 0, 3, 2]}),
    Case("Squeeze", [(2, 1, 3, 1), ints(1, -1)]),
    Case("Squeeze", [(1, 3, 1), ints(2)]),
    Case("Unsqueeze", [(2, 3), ints(1, -1)]),
    Case("Unsqueeze", [(1, 3), ints(2)]),
    Case("ReduceSum", [_IMAGE, ints(1)], {"keepdims": 0}),
    Case("ReduceSum", [_IMAGE, ints(2, -1)]),
    Case("ReduceSum", [_IMAGE]),
    Case("ReduceSum", [_IMAGE], {"noop_with_empty_axes": 1}),
    Case("ReduceMean", [_IMAGE], {"axes": [2, 3], "keepdims": 0}),
    Case("ReduceMean", [_IMAGE, ints(2, 3)], opsets=(18,)),
    Case("ReduceMax", [_IMAGE], {"axes": [2, 3]}),
    Case("ReduceMax", [_IMAGE, ints(1)], {"keepdims": 0}, opsets=(18, 20)),
    Case("ReduceMin", [_IMAGE], {"axes": [2, 3], "keepdims": 0}),
    Case("ReduceMin", [_IMAGE, ints(-1)], opsets=(18, 20)),
    Case("Log", [_IMAGE], low=0.01),
    Case("Exp", [_IMAGE]),
    Case("Sqrt", [_IMAGE], low=0.0),
    Case("Concat", [(2, 3, 4), (2, 1, 4), weight(2, 2, 4)], {"axis": 1}),
    Case("Concat", [(2, 3), (2, 1)], {"axis": -1}),
    Case("Pad", [_IMAGE, ints(0, 0, 1, 2, 0, 0, 3, 0)], opsets=(13, 17)),
    Case("Pad", [_IMAGE, ints(0, 1, 0, 0, 0, 0, 0, 1), number(0.5)], {"mode": "constant"}),
    Case("Pad", [_IMAGE, ints(1, 2, 3, 4), None, ints(3, -2)], opsets=(18, 21)),
    Case(
        "BatchNormalization",
        [_IMAGE, weight(4), weight(4, seed=4), weight(4, seed=5), np.abs(weight(4, seed=6))],
        {"epsilon": 1e-3},
        opsets=(14, 17),
    ),
    Case("Identity", [_IMAGE], opsets=(13, 14, 17, 19)),
    Case("Dropout", [_IMAGE]),
    Case("Dropout", [_IMAGE, number(0.5)], opsets=(13, 17, 22)),
)
