"""Tiny networks with hidden layers, written twice: as ONNX, and in numpy float64 here."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.support.network.builders import EPSILON, node

Real = NDArray[np.float64]
INPUTS, HIDDEN, CHANNELS, PROTOTYPES, CLASSES = 2, 4, 2, 4, 2


@dataclass(frozen=True, eq=False)
class Deep:
    """Two inputs in a row, two layers of ReLUs, sigmoids, and distances to four prototypes."""

    layers: tuple[tuple[Real, Real], ...]
    prototypes: Real
    weight: Real

    def hidden(self, x: Real) -> tuple[Real, ...]:
        """Values before every activation, of inputs [n, 2]."""
        found = []
        for weight, bias in self.layers:
            found.append(x @ weight.T + bias)
            x = np.maximum(found[-1], 0.0)
        return tuple(found)

    def logits(self, x: Real) -> Real:
        """Of inputs [n, 2]."""
        z = 1 / (1 + np.exp(-self.hidden(x)[-1]))
        q = ((z[:, None] - self.prototypes) ** 2).sum(axis=2)
        return np.asarray(np.log((q + 1) / (q + float(np.float32(EPSILON)))) @ self.weight.T)

    def model(self) -> bytes:
        """The file; its tensors are c0, r0, c1, r1, c2 and latent."""
        stored: dict[str, NDArray[np.float32]] = {
            "prototypes": _float(self.prototypes.reshape(PROTOTYPES, CHANNELS, 1, 1)),
            "head": _float(self.weight), "epsilon": _float(EPSILON), "one": _float(1.0),
        }  # fmt: skip
        nodes, before = [], "input"
        for k, (weight, bias) in enumerate(self.layers):
            shape = (len(weight), -1, 1, 1) if k else (len(weight), 1, 1, INPUTS)
            stored[f"w{k}"] = _float(weight.reshape(shape))
            stored[f"b{k}"] = _float(bias)
            last = k + 1 == len(self.layers)
            after = "latent" if last else f"r{k}"
            nodes.append(node("Conv", [before, f"w{k}", f"b{k}"], f"c{k}"))
            nodes.append(node("Sigmoid" if last else "Relu", [f"c{k}"], after))
            before = after
        nodes += [
            node("Unsqueeze", ["latent", "axis_1"], "wide"),
            node("Sub", ["wide", "prototypes"], "apart"),
            node("Mul", ["apart", "apart"], "square"),
            node("ReduceSum", ["square", "axis_2"], "measurement", keepdims=0),
            node("ReduceMin", ["measurement"], "nearest", keepdims=0, axes=[2, 3]),
            node("Add", ["nearest", "one"], "above"),
            node("Add", ["nearest", "epsilon"], "below"),
            node("Div", ["above", "below"], "ratio"),
            node("Log", ["ratio"], "activation"),
            node("Gemm", ["activation", "head"], "logits", transB=1),
        ]
        axes = {"axis_1": np.array([1]), "axis_2": np.array([2])}
        graph = helper.make_graph(
            nodes, "deep",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 1, 1, INPUTS])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, CLASSES])],
            [numpy_helper.from_array(v, k) for k, v in (*stored.items(), *axes.items())],
        )  # fmt: skip
        made = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)])
        assert not onnx.checker.check_model(made)
        return bytes(made.SerializeToString())


def _float(values: Real | float) -> NDArray[np.float32]:
    return np.asarray(values, dtype=np.float32)


def deep(seed: int) -> Deep:
    """A random network whose numbers float32 holds."""
    rng = np.random.default_rng(seed)
    sizes = (INPUTS, HIDDEN, HIDDEN, CHANNELS)

    def draw(*shape: int) -> Real:
        return _float(rng.normal(0, 1.5, shape)).astype(np.float64)

    layers = tuple((draw(b, a), 0.5 * draw(b)) for a, b in pairwise(sizes))
    owner = np.arange(PROTOTYPES) % CLASSES
    weight = np.where(owner == np.arange(CLASSES)[:, None], 1.0, -0.5)
    return Deep(layers, _float(rng.random((PROTOTYPES, CHANNELS))).astype(np.float64), weight)


def grid(low: Real, high: Real, count: int = 161) -> Real:
    """Points of a box of two inputs, [n, 2]."""
    ends = [np.linspace(a, b, count) for a, b in zip(low, high, strict=True)]
    return np.stack(np.meshgrid(*ends), axis=-1).reshape(-1, INPUTS)
