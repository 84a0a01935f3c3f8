"""Bind a head that cannot be matched structurally: compare numbers, and say ``declared``.

The head part of the graph is cut out (same operators, same weights) and run by ONNX Runtime on many
random and extreme latents; the described head must agree on all of them within rounding. That is
evidence, not proof, which is why certificates carry the word.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from protoproof.errors import DescriptionError, FragileError
from protoproof.network.head.agreement import disagreement
from protoproof.network.head.head import Head
from protoproof.network.onnx.graph import Graph, work
from protoproof.network.onnx.node import printable
from protoproof.network.onnx.runtime import Session

_SCALES = (1e-3, 1e-2, 0.1, 0.5, 1.0, 3.0, 10.0, 100.0)
_PER_SCALE = 8
_NEAR = 64  # latents with prototypes, exact or nearly, at their locations
_SEED = 20240501
_FEWEST = 16
_MOST_WORK = 1 << 32  # multiply-adds of all probes together: seconds


def cut_model(model: ModelProto, head: Graph, outputs: tuple[str, ...]) -> bytes:
    """The head part as a model of its own: input is the latent tensor of one image."""
    keep = {node.output for node in head.nodes}
    nodes = [
        node
        for node in model.graph.node
        if node.op_type == "Constant" or keep.intersection(node.output)
    ]
    weights = [tensor for tensor in model.graph.initializer if tensor.name in head.constants]
    graph = helper.make_graph(
        nodes,
        "head",
        [helper.make_tensor_value_info(head.input, TensorProto.FLOAT, head.shapes[head.input])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, head.shapes[n]) for n in outputs],
        initializer=weights,
    )
    cut = helper.make_model(graph, opset_imports=list(model.opset_import))
    cut.ir_version = model.ir_version
    return bytes(cut.SerializeToString())


def probes(head: Head) -> list[NDArray[np.float32]]:
    """Latents [L, D] in float32: constants, random ones of many scales, and prototypes."""
    rng = np.random.default_rng(_SEED)
    shape = (head.locations, head.channels)
    result = [np.full(shape, value) for value in (0.0, 1.0, -1.0, 1e3, -1e3)]
    for scale in _SCALES:
        for _ in range(_PER_SCALE):
            result.append(scale * rng.standard_normal(shape))
            result.append(scale * rng.random(shape))
    order = rng.permutation(len(head.prototypes))
    for index in range(_NEAR):
        chosen = np.take(order, np.arange(index, index + head.locations) * 7, mode="wrap")
        noise = rng.standard_normal(shape) * rng.choice((0.0, 1e-3, 1e-2, 0.1))
        result.append(head.prototypes[chosen] + noise)
    return [latent.astype(np.float32) for latent in result]


def affordable(head: Head, cost: int) -> list[NDArray[np.float32]]:
    """An even selection of the probes that takes seconds when one costs ``cost`` multiply-adds.

    Raises:
        DescriptionError: too few of them would be left to mean anything.
    """
    every = probes(head)
    chosen = every[:: max(1, math.ceil(len(every) * cost / _MOST_WORK))]
    if len(chosen) < _FEWEST:
        raise DescriptionError(
            "the head is too large to be compared numerically; export it in the canonical form"
        )
    return chosen


def compare(model: ModelProto, part: Graph, head: Head, outputs: tuple[str, str, str]) -> None:
    """Raise unless the described head agrees with the graph's on every probe.

    ``outputs`` are the tensors measurement [1, P, H, W], activation [1, P], logits [1, K].

    Raises:
        DescriptionError: they differ by more than rounding explains.
    """
    session = Session(cut_model(model, part, outputs))
    size = head.locations
    cost = work(part) + 4 * head.prototypes.size * head.locations  # the slower float64 head
    for latent in affordable(head, cost):
        feed = {part.input: np.ascontiguousarray(latent.T).reshape(1, -1, *head.grid)}
        try:
            measurement, activation, logits = session.run(outputs, feed)
        except FragileError as error:
            raise DescriptionError(f"the head fails on a probing latent: {error}") from error
        problem = disagreement(
            head, latent, measurement.reshape(-1, size).T, activation[0], logits[0]
        )
        if problem:
            raise DescriptionError(
                f"the described head is not the graph's ({problem}); correct the description"
            )


def declared_matrix(graph: Graph, name: str, rows: int | None, columns: int) -> NDArray[np.float32]:
    """A constant of the graph read as a matrix [rows, columns]; axes of size 1 do not matter.

    Raises:
        DescriptionError: no such float32 constant, or it cannot be read so.
    """
    value = graph.constants.get(name)
    if value is None or value.dtype != np.float32 or value.ndim == 0:
        raise DescriptionError(
            f"'{printable(name)}' is no float32 initializer of the graph; correct the description"
        )
    count = value.size // columns if rows is None else rows
    squeezed = tuple(size for size in value.shape if size != 1)
    wanted = tuple(size for size in (count, columns) if size != 1)
    if math.prod(value.shape) == count * columns and squeezed == wanted:
        return value.reshape(count, columns)
    if rows is not None and squeezed == wanted[::-1]:
        return np.ascontiguousarray(value.reshape(columns, count).T)
    raise DescriptionError(
        f"'{printable(name)}' has shape {list(value.shape)}, which does not fit the description; "
        "correct the description"
    )
