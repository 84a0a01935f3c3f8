"""A graph written operator by operator, with the shapes (of one sample) kept along the way.

Weights keep the names that they have in the checkpoint, so that the file can be compared with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from protoproof.errors import InputError, InternalError
from protoproof.importing.pickled.checkpoint import Checkpoint

OPSET = 20
IR_VERSION = 10


@dataclass(frozen=True)
class Value:
    """A tensor of the graph: its name, and its shape without the batch axis."""

    name: str
    shape: tuple[int, ...]


@dataclass
class Writer:
    """Operators and constants so far. Methods add an operator and give its result."""

    checkpoint: Checkpoint
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)
    outputs: list[Value] = field(default_factory=list)
    divided: int | None = None  # convolutions of more input channels lose a stride of two
    _count: int = 0

    def input(self, shape: tuple[int, ...]) -> Value:
        return Value("input", shape)

    def add(
        self,
        kind: str,
        inputs: list[str],
        shape: tuple[int, ...],
        name: str = "",
        **attributes: Any,
    ) -> Value:
        """One operator with one result."""
        self._count += 1
        result = name or f"{kind.lower()}.{self._count}"
        self.nodes.append(helper.make_node(kind, inputs, [result], f"{result}.node", **attributes))
        return Value(result, shape)

    def split(self, name: str, parts: list[str]) -> None:
        """A vector taken apart into its numbers, each under its name."""
        self.nodes.append(
            helper.make_node("Split", [name], parts, "split.node", axis=1, num_outputs=len(parts))
        )

    def constant(self, name: str, array: Any) -> str:
        """A stored tensor; floats are float32. The same name is the same tensor."""
        value = np.ascontiguousarray(array)
        if value.dtype.kind == "f":
            value = value.astype(np.float32)
        self.constants[name] = value.reshape(np.shape(array))
        return name

    def weight(self, name: str) -> str:
        """A tensor of the checkpoint as it is."""
        return self.constant(name, self.checkpoint.array(name))

    def output(self, value: Value, name: str) -> Value:
        """The latest value under a name of its own, as an output of the graph."""
        latest = self.nodes[-1]
        if list(latest.output) != [value.name]:
            raise InternalError(f"'{value.name}' is not the latest value")
        latest.output[0] = name
        latest.name = f"{name}.node"
        self.outputs.append(Value(name, value.shape))
        return self.outputs[-1]

    # layers, by the path of the module that holds their weights

    def conv(self, x: Value, path: str, stride: int = 1, padding: int = 0) -> Value:
        """A convolution; of a whole module, stride and padding are read, else as given."""
        shape = self.checkpoint.shape(f"{path}.weight")
        if len(shape) != 4 or x.shape[0] % max(shape[1], 1):
            raise InputError(f"{self.checkpoint.path}: '{path}' does not fit what comes before it")
        strides = _pair(self.checkpoint.attribute(path, "stride"), stride)
        if self.divided is not None and x.shape[0] > self.divided and min(strides) >= 2:
            strides = strides[0] // 2, strides[1] // 2
        pads = _pair(self.checkpoint.attribute(path, "padding"), padding)
        self._plain(path, dilation=1, padding_mode="zeros")
        inputs = [x.name, self.weight(f"{path}.weight")]
        if self.checkpoint.has(f"{path}.bias"):
            inputs.append(self.weight(f"{path}.bias"))
        grid = _windows(x.shape[1:], shape[2:], strides, pads, path)
        return self.add(
            "Conv",
            inputs,
            (shape[0], *grid),
            kernel_shape=list(shape[2:]),
            strides=list(strides),
            pads=[*pads, *pads],
            group=x.shape[0] // shape[1],
        )

    def norm(self, x: Value, path: str, epsilon: float = 1e-5) -> Value:
        """A batch norm with its stored statistics."""
        parts = [f"{path}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
        self.checkpoint.used.add(f"{path}.num_batches_tracked")
        epsilon = float(self.checkpoint.attribute(path, "eps", epsilon))
        inputs = [x.name, *map(self.weight, parts)]
        return self.add("BatchNormalization", inputs, x.shape, epsilon=epsilon)

    def layer_norm(self, x: Value, path: str, epsilon: float) -> Value:
        """A norm over the last axis."""
        epsilon = float(self.checkpoint.attribute(path, "eps", epsilon))
        inputs = [x.name, self.weight(f"{path}.weight"), self.weight(f"{path}.bias")]
        return self.add("LayerNormalization", inputs, x.shape, axis=-1, epsilon=epsilon)

    def linear(self, x: Value, path: str) -> Value:
        """A linear layer over the last axis."""
        weight = self.checkpoint.array(f"{path}.weight")
        shape = (*x.shape[:-1], len(weight))
        name = self.constant(f"{path}.weight.T", weight.T)
        product = self.add("MatMul", [x.name, name], shape)
        return self.add("Add", [product.name, self.weight(f"{path}.bias")], shape)

    def apply(self, kind: str, x: Value, **attributes: Any) -> Value:
        """A function of each number, such as Relu."""
        return self.add(kind, [x.name], x.shape, **attributes)

    def join(self, kind: str, a: Value, b: Value) -> Value:
        """Two values of one shape: Add, Sub, Mul, Div."""
        return self.add(kind, [a.name, b.name], a.shape)

    def max_pool(self, x: Value, kernel: int, stride: int, padding: int = 0) -> Value:
        grid = _windows(x.shape[1:], (kernel, kernel), (stride, stride), (padding, padding), "pool")
        return self.add(
            "MaxPool",
            [x.name],
            (x.shape[0], *grid),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[padding] * 4,
        )

    def average_pool(self, x: Value, kernel: int, stride: int) -> Value:
        grid = _windows(x.shape[1:], (kernel, kernel), (stride, stride), (0, 0), "pool")
        size, step = [kernel, kernel], [stride, stride]
        shape = (x.shape[0], *grid)
        return self.add("AveragePool", [x.name], shape, kernel_shape=size, strides=step)

    def channels_last(self, x: Value) -> Value:
        shape = (*x.shape[1:], x.shape[0])
        return self.add("Transpose", [x.name], shape, perm=[0, 2, 3, 1])

    def channels_first(self, x: Value) -> Value:
        shape = (x.shape[-1], *x.shape[:-1])
        return self.add("Transpose", [x.name], shape, perm=[0, 3, 1, 2])

    def _plain(self, path: str, **expected: Any) -> None:
        """Attributes of a whole module that have no other value here."""
        for name, value in expected.items():
            found = self.checkpoint.attribute(path, name, value)
            if found not in (value, (value, value)):
                raise InputError(
                    f"{self.checkpoint.path}: '{path}' has {name} {found!r}, which is not imported"
                )

    def model(self, image: Value, about: str) -> onnx.ModelProto:
        """The checked model; ``about`` is what it says of itself, JSON text.

        Raises:
            InputError: it is larger than an ONNX file can be.
        """
        total = sum(array.nbytes for array in self.constants.values())
        if total >= (2 << 30) - (1 << 24):
            raise InputError(f"{self.checkpoint.path}: an ONNX file cannot hold {total} bytes")
        graph = helper.make_graph(
            self.nodes,
            "imported",
            [_declared(image)],
            [_declared(value) for value in sorted(self.outputs, key=_order)],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        proto = helper.make_model(
            graph,
            producer_name="protoproof",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        helper.set_model_props(proto, {"protoproof": about})
        onnx.checker.check_model(proto, full_check=True)
        return proto


def _order(value: Value) -> int:
    """Scores first: what a network with several outputs is asked for."""
    return value.name != "logits"


def _declared(value: Value) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(value.name, TensorProto.FLOAT, ["N", *value.shape])


def _pair(found: Any, default: int) -> tuple[int, int]:
    if found is None:
        return default, default
    pair = (found, found) if isinstance(found, int) else tuple(found)
    if len(pair) != 2 or any(type(n) is not int or not 0 <= n < 1 << 16 for n in pair):
        raise InputError(f"a convolution with stride or padding {found!r} is not imported")
    return pair


def _windows(
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    where: str,
) -> tuple[int, ...]:
    """How many windows fit, per axis."""
    grid = tuple(
        math.floor((n + 2 * p - k) / max(s, 1)) + 1
        for n, k, s, p in zip(size, kernel, stride, padding, strict=True)
    )
    if min(grid) < 1:
        raise InputError(f"at '{where}' nothing is left of the picture: --set size to a larger one")
    return grid
