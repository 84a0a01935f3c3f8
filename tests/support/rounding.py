"""Float32 executions of the part of a graph behind its latent, as other runtimes may compute it.

Every operator is evaluated alone: with sums in a random order, in blocks or one after the other,
with or without fused multiply-add; or in float64 with errors that are as large as they may be, of
one sign for a whole tensor or of random signs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper
from onnx.reference import ReferenceEvaluator

from protoproof.kernel.float32.record import FUNCTIONS, U
from tests.support.foreign.precise import needed, wide, wide_tensor
from tests.support.foreign.running import Floats

Array = NDArray[Any]
_FUNCTIONS = {
    "Exp": "exp", "Log": "log", "Pow": "power", "Reciprocal": "reciprocal", "Sigmoid": "sigmoid",
    "Softplus": "softplus", "Sqrt": "sqrt", "Tanh": "tanh",
}  # fmt: skip
_ONCE = ("Add", "Sub", "Mul", "Div")
MODES = ("ordered", "blocked", "fused", "up", "down", "random")


class Rounded:
    """From the tensors ``cuts`` to ``output``, rounded in one of :data:`MODES`."""

    def __init__(self, model: ModelProto, cuts: Sequence[str], output: str) -> None:
        self.cuts, self.output = tuple(dict.fromkeys(cuts)), output
        self.steps = []
        stored = {t.name: wide_tensor(t) for t in model.graph.initializer}
        for node in needed(model, set(self.cuts), output):
            own = [stored[n] for n in dict.fromkeys(node.input) if n in stored]
            self.steps.append((node, _single(model, wide(node), own)))
        self.stored = {
            name: np.asarray(_number(tensor), dtype=np.float64) for name, tensor in stored.items()
        }

    def __call__(
        self, latents: Mapping[str, NDArray[np.float32]], mode: str, seed: int = 0
    ) -> Floats:
        """The output, flat."""
        maker = _Maker(mode, np.random.default_rng(seed))
        values: dict[str, Array] = dict(self.stored)
        values |= {name: np.asarray(latents[name], dtype=np.float64) for name in self.cuts}
        with np.errstate(all="ignore"):
            for node, session in self.steps:
                given = {n: values[n] for n in dict.fromkeys(node.input) if n and n in values}
                found = maker.made(node, session, given)
                values.update(zip(node.output, found, strict=False))
        return np.asarray(values[self.output], dtype=np.float64).reshape(-1)


def _number(tensor: TensorProto) -> Array:
    from onnx import numpy_helper

    return np.asarray(numpy_helper.to_array(tensor))


def _single(
    model: ModelProto, node: NodeProto, stored: Sequence[TensorProto]
) -> ReferenceEvaluator:
    names = {t.name for t in stored}
    inputs = [n for n in dict.fromkeys(node.input) if n and n not in names]
    graph = helper.make_graph(
        [node],
        "node",
        [helper.make_tensor_value_info(n, TensorProto.UNDEFINED, None) for n in inputs],
        [helper.make_tensor_value_info(n, TensorProto.UNDEFINED, None) for n in node.output if n],
        stored,
    )
    return ReferenceEvaluator(helper.make_model(graph, opset_imports=model.opset_import))


class _Maker:
    def __init__(self, mode: str, rng: np.random.Generator) -> None:
        self.mode, self.rng = mode, rng
        self.adversarial = mode in ("up", "down", "random")

    def rounded(self, values: Array, units: float = 1.0, absolute: float = 0.0) -> Array:
        """A result with one error."""
        if values.dtype.kind != "f":
            return values
        if not self.adversarial:
            return values.astype(np.float32).astype(np.float64)
        signs = {"up": 1.0, "down": -1.0}.get(self.mode)
        share = self.rng.choice([-1.0, 1.0], values.shape) if signs is None else signs
        return np.asarray(values * (1 + share * units * U) + share * absolute * U)

    def made(
        self, node: NodeProto, session: ReferenceEvaluator, given: Mapping[str, Array]
    ) -> list[Array]:
        kind = node.op_type
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        inputs = [given.get(n) for n in node.input]
        special: dict[str, Callable[..., Array]] = {"MatMul": self.matmul, "Gemm": self.gemm}
        if kind in special and inputs[0] is not None:
            return [special[kind](inputs, attributes)]
        names = {v.name for v in session.proto_.graph.input}  # type: ignore[attr-defined]
        found = session.run(None, {n: v for n, v in given.items() if n in names})
        if kind in ("ReduceSum", "ReduceMean", "ReduceL2", "ReduceSumSquare"):
            return [self.reduced(kind, inputs, attributes, found[0])]
        if kind in _FUNCTIONS:
            relative, absolute = FUNCTIONS[_FUNCTIONS[kind]]
            return [self.rounded(found[0], relative, absolute)]
        if kind in _ONCE or kind in ("Conv", "Einsum", "GlobalAveragePool", "AveragePool"):
            return [self.rounded(np.asarray(f, dtype=np.asarray(f).dtype)) for f in found]
        return [np.asarray(f) for f in found]

    def matmul(self, inputs: list[Array], attributes: Mapping[str, Any]) -> Array:
        left, right = inputs
        return self.summed(left[..., :, :, None] * right[..., None, :, :], -2)

    def gemm(self, inputs: list[Array], attributes: Mapping[str, Any]) -> Array:
        left = inputs[0].T if attributes.get("transA") else inputs[0]
        right = inputs[1].T if attributes.get("transB") else inputs[1]
        products = left[:, :, None] * right[None, :, :]
        if len(inputs) < 3 or inputs[2] is None:
            return self.summed(products, 1)
        offset = np.broadcast_to(inputs[2], (left.shape[0], right.shape[1]))[:, None, :]
        return self.summed(products, 1, offset)

    def reduced(
        self, kind: str, inputs: list[Array], attributes: Mapping[str, Any], like: Array
    ) -> Array:
        value = inputs[0]
        axes = attributes.get("axes")
        if axes is None and len(inputs) > 1 and inputs[1] is not None:
            axes = np.asarray(inputs[1]).astype(int).reshape(-1).tolist()
        axes = tuple(range(value.ndim)) if axes is None else tuple(axes)
        axes = tuple(k % value.ndim for k in axes)
        rest = [k for k in range(value.ndim) if k not in axes]
        flat = value.transpose([*rest, *axes]).reshape(*[value.shape[k] for k in rest], -1)
        squares = kind in ("ReduceL2", "ReduceSumSquare")
        total = self.summed(flat * flat if squares else flat, -1, exact=not squares)
        if kind == "ReduceL2":
            total = self.rounded(np.sqrt(total))
        if kind == "ReduceMean":
            total = self.rounded(total / flat.shape[-1])
        return total.reshape(like.shape)

    def summed(
        self, products: Array, axis: int, more: Array | None = None, *, exact: bool = False
    ) -> Array:
        """Sums of rounded products (or exact numbers), and of ``more``, in some order."""
        terms = np.moveaxis(products, axis, 0)
        fused = self.mode == "fused" and not exact
        if not exact and not fused:
            terms = self.rounded(terms)
        if more is not None:
            terms = np.concatenate([terms, np.moveaxis(np.broadcast_to(more, more.shape), axis, 0)])
        terms = terms[self.rng.permutation(len(terms))]
        block = 4 if self.mode == "blocked" else len(terms)
        parts = []
        for start in range(0, len(terms), block):
            total = terms[start]
            if fused:
                total = self.rounded(total)
            for term in terms[start + 1 : start + block]:
                total = self.rounded(total + term)
            parts.append(total)
        result = parts[0]
        for part in parts[1:]:
            result = self.rounded(result + part)
        return np.asarray(result)
