"""The part of a graph behind its latent in float64: what the graph means, without its rounding.

Stored float32 numbers are taken exactly as they are. By numpy, operator by operator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from tests.support.foreign.running import Floats


class Precise:
    """From the tensors ``cuts`` to ``output``, in float64."""

    def __init__(self, model: ModelProto, cuts: Sequence[str], output: str) -> None:
        self.cuts = tuple(dict.fromkeys(cuts))
        nodes = [wide(node) for node in needed(model, set(self.cuts), output)]
        used = {name for node in nodes for name in node.input}
        stored = [wide_tensor(t) for t in model.graph.initializer if t.name in used]
        double = TensorProto.DOUBLE
        graph = helper.make_graph(
            nodes,
            "head",
            [helper.make_tensor_value_info(name, double, None) for name in self.cuts],
            [helper.make_tensor_value_info(output, double, None)],
            stored,
        )
        whole = helper.make_model(graph, opset_imports=model.opset_import)
        self.session = ReferenceEvaluator(whole)

    def __call__(self, latents: Sequence[NDArray[np.floating]]) -> Floats:
        """The output, flat; ``latents`` in the order of the cuts."""
        given = {
            name: value.astype(np.float64) for name, value in zip(self.cuts, latents, strict=True)
        }
        with np.errstate(all="ignore"):
            (result,) = self.session.run(None, given)
        return np.asarray(result, dtype=np.float64).reshape(-1)


def random_latents(
    shapes: Mapping[str, tuple[int, ...]], count: int, seed: int = 0
) -> list[dict[str, Floats]]:
    """Values for latent tensors: inside the unit box, near its corner at 0, on both sides of it."""
    rng = np.random.default_rng(seed)
    draws = (
        lambda shape: rng.uniform(0, 1, shape),
        lambda shape: rng.uniform(0, 0.3, shape),
        lambda shape: rng.normal(0, 1, shape),
        lambda shape: rng.normal(0, 0.1, shape),
    )
    return [
        {name: draws[number % len(draws)](shape) for name, shape in shapes.items()}
        for number in range(count)
    ]


def needed(model: ModelProto, cuts: set[str], output: str) -> list[NodeProto]:
    wanted, chosen = {output} - cuts, []
    for node in reversed(model.graph.node):
        if wanted & set(node.output):
            chosen.append(node)
            wanted |= set(node.input) - cuts
    return chosen[::-1]


def wide_tensor(tensor: TensorProto) -> TensorProto:
    if tensor.data_type != TensorProto.FLOAT:
        return tensor
    values = numpy_helper.to_array(tensor).astype(np.float64)
    return numpy_helper.from_array(values, tensor.name)


def wide(node: NodeProto) -> NodeProto:
    """The node with its stored numbers, and the types that it asks for, in float64."""
    new = NodeProto()
    new.CopyFrom(node)
    for attribute in new.attribute:
        if attribute.HasField("t"):
            attribute.t.CopyFrom(wide_tensor(attribute.t))
        elif node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.DOUBLE
        elif node.op_type == "Constant" and attribute.name in ("value_float", "value_floats"):
            numbers = np.array(attribute.floats or attribute.f, dtype=np.float64)
            new.CopyFrom(
                helper.make_node(
                    "Constant", [], node.output, value=numpy_helper.from_array(numbers)
                )
            )
    return new
