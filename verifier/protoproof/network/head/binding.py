"""Bind the description to the graph: check that they fit, then recognise or compare."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from protoproof.errors import DescriptionError
from protoproof.network.head.decision import Linear
from protoproof.network.head.declared import compare, declared_matrix
from protoproof.network.head.description import (
    Binding,
    HeadDescription,
    described_similarity,
    similarity_constant,
)
from protoproof.network.head.head import Head
from protoproof.network.head.recognise import Names, NotRecognisedError, RecognisedHead, recognise
from protoproof.network.head.similarity import ROWS
from protoproof.network.onnx.graph import Graph, part
from protoproof.network.onnx.node import Node, Shape, printable
from protoproof.network.onnx.rewrite import Rewritten, drop_identities

LatentRange = Literal["sigmoid", "relu", "normalised", "softmax", "free"]
_RANGES: dict[str, LatentRange] = {
    "Sigmoid": "sigmoid",
    "Relu": "relu",
    "LpNormalization": "normalised",
    "Softmax": "softmax",
}


@dataclass(frozen=True, eq=False)
class Bound:
    """A head and how it was bound. ``reason``: why it was not recognised ("" if it was).

    ``latent_range``: the operator that makes the latent, where it bounds it.
    """

    head: Head
    binding: Binding
    reason: str
    latent_range: LatentRange
    encoder: Graph
    head_part: Graph


def check_fit(graph: Graph, description: HeadDescription) -> None:
    """Raise unless names and shapes of the description are those of the graph.

    Raises:
        DescriptionError: the first contradiction.
    """
    if description.input.tensor != graph.input:
        raise DescriptionError(
            f"input.tensor is '{printable(description.input.tensor)}', the graph's input is "
            f"'{printable(graph.input)}'; correct the description"
        )
    latent, decision = description.latent, description.decision
    _has_shape(graph, graph.input, (1, *description.input.shape), "input.shape")
    _has_shape(graph, latent.tensor, (1, latent.channels, *latent.grid), "latent")
    _has_shape(graph, decision.logits, (1, len(description.classes)), "decision.logits, classes")
    stored = graph.shapes.get(description.measurement.prototypes)
    if stored is None:
        raise DescriptionError(
            f"measurement.prototypes: the graph has no tensor "
            f"'{printable(description.measurement.prototypes)}'; correct the description"
        )
    prototypes = math.prod(stored) // latent.channels
    _has_shape(
        graph, description.measurement.tensor, (1, prototypes, *latent.grid), "measurement.tensor"
    )
    _has_shape(graph, description.activation, (1, prototypes), "activation")
    owners = description.prototype_class
    if owners is not None and len(owners) != prototypes:
        raise DescriptionError(
            f"prototype_class has {len(owners)} entries for {prototypes} prototypes; correct it"
        )
    for name in tensors(description):
        if name not in graph.outputs:
            raise DescriptionError(
                f"tensor '{printable(name)}' is not a graph output; export it as one"
            )


def tensors(description: HeadDescription) -> tuple[str, str, str, str]:
    """Names of latent, measurement, activation and logits."""
    return (
        description.latent.tensor,
        description.measurement.tensor,
        description.activation,
        description.decision.logits,
    )


def _has_shape(graph: Graph, name: str, shape: Shape, field: str) -> None:
    found = graph.shapes.get(name)
    if found is None or name in graph.constants:
        raise DescriptionError(
            f"{field}: the graph computes no tensor '{printable(name)}'; correct the description"
        )
    if found != shape:
        raise DescriptionError(
            f"{field}: '{printable(name)}' has shape {list(found)} in the graph, {list(shape)} by "
            "the description; correct the description"
        )


def bind(model: ModelProto, graph: Graph, description: HeadDescription) -> Bound:
    """The head of a graph, recognised if possible, else declared.

    Raises:
        DescriptionError: the description does not fit the graph, or does not agree with it.
    """
    check_fit(graph, description)
    _, measurement, activation, logits = tensors(description)
    plain = drop_identities(graph)
    names = _names(plain, description)
    encoder = part(graph, graph.input, (names.latent,))
    head_part = part(graph, names.latent, (measurement, activation, logits))
    made_by = plain.graph.producers().get(names.latent)
    binding: Binding = "recognised"
    reason = ""
    try:
        if graph.outputs[0] != logits:
            raise NotRecognisedError(
                f"the logits '{printable(logits)}' are not the first output of the graph, which "
                f"is '{printable(graph.outputs[0])}'"
            )
        core = part(plain.graph, names.latent, (names.logits,))
        head = _recognised(recognise(core, names, description), description)
    except NotRecognisedError as error:
        binding, reason = "declared", str(error)
        head = _declared(graph, names, description)
        compare(model, head_part, head, (measurement, activation, logits))
    latent_range = _latent_range(made_by)
    return Bound(head, binding, reason, latent_range, encoder, head_part)


def _latent_range(node: Node | None) -> LatentRange:
    """What the operator behind a latent [N, D, H, W] guarantees; a norm counts over channels."""
    if node is None:
        return "free"
    found = _RANGES.get(node.op, "free")
    if found in ("normalised", "softmax") and node.attributes.get("axis", -1) not in (1, -3):
        return "free"
    return found


def _names(plain: Rewritten, description: HeadDescription) -> Names:
    """The described names, after identities are dropped."""
    decision, measurement = description.decision, description.measurement
    return Names(
        latent=plain.name(description.latent.tensor),
        measurement=plain.name(measurement.tensor),
        activation=plain.name(description.activation),
        logits=plain.name(decision.logits),
        prototypes=plain.name(measurement.prototypes),
        weight=plain.name(decision.weight),
        bias=None if decision.bias is None else plain.name(decision.bias),
    )


def _recognised(found: RecognisedHead, description: HeadDescription) -> Head:
    """The head as the graph has it; its constant must be the described one."""
    described = similarity_constant(description)
    if found.constant != described:
        parameter = ROWS[description.similarity.kind].parameter
        raise DescriptionError(
            f"similarity.{parameter} is {described!r} by the description, {found.constant!r} in "
            "the graph; correct the description"
        )
    return _head(description, found.prototypes, found.weight, found.bias)


def _declared(graph: Graph, names: Names, description: HeadDescription) -> Head:
    """The head from the description's own words."""
    channels, classes = description.latent.channels, len(description.classes)
    prototypes = declared_matrix(graph, names.prototypes, None, channels)
    weight = declared_matrix(graph, names.weight, classes, len(prototypes))
    bias = None
    if names.bias is not None:
        bias = declared_matrix(graph, names.bias, 1, classes).reshape(classes)
    return _head(description, prototypes, weight, bias)


def _head(
    description: HeadDescription,
    prototypes: NDArray[np.float32],
    weight: NDArray[np.float32],
    bias: NDArray[np.float32] | None,
) -> Head:
    shape = (len(description.classes), len(prototypes))
    if weight.shape != shape:
        raise DescriptionError(
            f"decision.weight has shape {list(weight.shape)}, classes and prototypes need "
            f"{list(shape)}; correct the description"
        )
    return Head(
        geometry="euclidean",
        prototypes=prototypes.astype(np.float64),
        chain=described_similarity(description).chain,
        decision=Linear(
            weight.astype(np.float64),
            np.zeros(shape[0]) if bias is None else bias.astype(np.float64),
        ),
        grid=description.latent.grid,
        prototype_class=description.prototype_class,
    )
