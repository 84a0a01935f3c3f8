"""Random encoders whose tensors have several consumers: small, and run by a runtime in batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.support.kernel.runtime import session

Array = NDArray[np.float64]
SHAPE = (2, 4, 4)
_ONE = ("Relu", "LeakyRelu", "Sigmoid", "Tanh", "Neg")  # input


class Encoder:
    """A random graph.

    Attributes:
        shapes: of every tensor of one image, without the batch.
        last: the tensor that depends on most.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.shapes: dict[str, tuple[int, ...]] = {"input": SHAPE}
        self._nodes: list[onnx.NodeProto] = []
        self._stored: dict[str, NDArray[np.float32]] = {}
        for _ in range(int(rng.integers(6, 12))):
            self._grow(str(rng.choice(["Conv", "Relu", "Sum", "Sum", "Scale", "Transpose", *_ONE])))
        self._add("Relu", [self.last], self.shapes[self.last])

    @property
    def last(self) -> str:
        return next(reversed(self.shapes))

    def _grow(self, kind: str) -> None:
        rng, name = self.rng, self.last
        shape = self.shapes[name]
        rows, columns = shape[1:]
        if kind == "Conv":
            size = int(rng.integers(1, 1 + min(2, rows, columns)))
            pads, step, count = (int(rng.integers(*ends)) for ends in ((0, 2), (1, 3), (1, 4)))
            weight = self._store(rng.normal(0, 0.7, (count, shape[0], size, size)))
            after = [(n + 2 * pads - size) // step + 1 for n in (rows, columns)]
            given = [name, weight, self._store(rng.normal(0, 0.5, count))]
            self._add(kind, given, (count, *after), pads=[pads] * 4, strides=[step] * 2)
        elif kind == "Sum":
            others = [other for other, own in self.shapes.items() if own == shape]
            two = [name, others[int(rng.integers(len(others)))]]
            self._add(str(rng.choice(["Add", "Sub"])), [two[k] for k in rng.permutation(2)], shape)
        elif kind == "Scale":
            constant = self._store(rng.normal(0, 1, (shape[0], 1, 1)))
            self._add(str(rng.choice(["Add", "Sub", "Mul"])), [constant, name], shape)
        elif kind == "Transpose":
            self._add(kind, [name], (shape[2], shape[0], shape[1]), perm=[0, 3, 1, 2])
        else:
            self._add(kind, [name], shape, **({"alpha": 0.25} if kind == "LeakyRelu" else {}))

    def _store(self, values: Array) -> str:
        name = f"w{len(self._stored)}"
        self._stored[name] = values.astype(np.float32)
        return name

    def _add(self, kind: str, given: list[str], shape: tuple[int, ...], **attributes: Any) -> None:
        name = f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, given, [name], **attributes))
        self.shapes[name] = shape

    def model(self) -> onnx.ModelProto:
        """The file, for batches of any size; every tensor is an output."""
        info = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape])
            for name, shape in self.shapes.items()
        ]
        stored = [numpy_helper.from_array(value, name) for name, value in self._stored.items()]
        graph = helper.make_graph(self._nodes, "encoder", info[:1], info[1:], stored)
        opset = helper.make_opsetid("", 17)
        return helper.make_model(graph, ir_version=9, opset_imports=[opset])

    def run(self, x: Array) -> dict[str, Array]:
        """All numbers of all tensors, [n, ...] each in row-major order."""
        names = list(self.shapes)
        found = session(self.model()).run(names[1:], {"input": x.astype(np.float32)})
        rows = [x, *found]
        return {
            name: np.asarray(v, np.float64).reshape(len(x), -1)
            for name, v in zip(names, rows, strict=True)
        }
