"""The head between stated tensors of a graph, read by evaluating every node between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import ModelError
from protoproof.kernel.budget import hold
from protoproof.kernel.model.graph import DEFAULT_DOMAINS, Graph
from protoproof.kernel.model.head import Head
from protoproof.kernel.model.symbolic.assembly import read_head
from protoproof.kernel.model.symbolic.domains import OperatorDomain, domain_of
from protoproof.kernel.model.symbolic.evaluator import Evaluation
from protoproof.kernel.model.symbolic.nodes import Operator, read
from protoproof.kernel.model.symbolic.shapes import shape_of

# What keeps the order of logits, or (Sigmoid) also which of them are positive.
_FINAL = ("ArgMax", "LogSoftmax", "Sigmoid", "Softmax")


@dataclass(frozen=True)
class Cut:
    """One latent tensor of a head.

    Attributes:
        tensor: its name.
        shape: for one input.
        sites: [L, D], the flat index of every coordinate of the head's locations in it, in the
            head's order of locations.
        domain: what its operator guarantees.
    """

    tensor: str
    shape: tuple[int, ...]
    sites: NDArray[np.int64]
    domain: OperatorDomain


@dataclass(frozen=True)
class Found:
    """A head and where it is.

    Attributes:
        head: in exact numbers.
        cuts: its latents, in the order of the locations.
        floor, added: of an angular head: it divides by max(sqrt(|z|^2 + added), floor).
        final: operators behind the logits, the last one first.
    """

    head: Head
    cuts: tuple[Cut, ...]
    floor: Fraction
    added: Fraction
    final: tuple[str, ...]


def find_head(graph: Graph, latents: Sequence[str], output: str) -> Found:
    """The head from latents to an output.

    Raises:
        ModelError: there is none that the checker knows; it says which node is in the way.
    """
    if not latents or len(set(latents)) != len(latents):
        raise ModelError("model: no latent tensor is named, or one twice")
    shapes = {name: shape_of(graph, name) for name in latents}
    here = Evaluation(graph, shapes)
    logits, final = _stripped(graph, output, set(latents))
    value = here.rules.terms(here.value(logits))
    places = [k for k, n in enumerate(value.shape) if n != 1]
    if len(places) > 1:
        raise ModelError(
            f"model: {output!r} has shape {list(value.shape)}: several predictions at once"
        )
    axis = places[0] if places else len(value.shape) - 1
    for operator in final:
        if "axis" in operator.attributes and operator.attributes["axis"] % len(value.shape) != axis:
            raise operator.refuse("along an axis that is not that of the classes")
    kinds = tuple(operator.kind for operator in final)
    if "Sigmoid" in kinds[:-1] and kinds[:1] != ("ArgMax",):
        raise final[0].refuse("of probabilities of labels")
    labels = kinds == ("Sigmoid",) or (not kinds and _becomes_labels(graph, output))
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()]).tolist()
    reading = read_head(here.known, value.term.ravel().tolist(), ends, labels)
    where = reading.where
    cuts = []
    for number, (name, shape) in enumerate(shapes.items()):
        start = ends[number] - math.prod(shape)
        mine = [site for site, cut in zip(where.sites, where.cut, strict=True) if cut == number]
        if not mine:
            raise ModelError(f"model: the output does not depend on {name!r}")
        hold("the locations", 16 * len(mine) * where.channels)
        sites = np.array(mine, dtype=np.int64) - start
        cuts.append(Cut(name, shape, sites, domain_of(graph, name, shape, list(sites))))
    lone = where.coordinate[0] >= 0 and any(cut.domain.kind != "simplex" for cut in cuts)
    if lone or (_ordinary(reading.head) and not any(cut.domain.kind for cut in cuts)):
        raise ModelError(
            f"model: between {', '.join(latents)!r} and {output!r} nothing is compared with a "
            "prototype: the channels alone count, and no Softmax over them makes them concepts"
            if lone
            else f"model: between {', '.join(latents)!r} and {output!r} there is only a matrix "
            "product, which compares nothing with a prototype"
        )
    return Found(reading.head, tuple(cuts), where.floor, where.added, kinds)


def _ordinary(head: Head) -> bool:
    """Whether the logits are linear in one location, each by a row of its own."""
    affine = all(step.name in ("add", "mul") for step in head.chain.steps)
    if head.geometry != "linear" or head.location_count > 1 or not affine:
        return False
    used = [sum(1 for w in row if w) for row in head.decision.weight]
    shared = [sum(1 for row in head.decision.weight if row[j]) for j in range(head.prototype_count)]
    return head.decision.linear and max(used) <= 1 and max(shared) <= 1


def _stripped(graph: Graph, output: str, latents: set[str]) -> tuple[str, list[Operator]]:
    """The tensor of the logits, and the operators behind it, the last one first."""
    final: list[Operator] = []
    tensor = output
    while tensor not in latents:
        root = graph.root(tensor)
        if root in latents:
            break
        node, position = graph.producers.get(root, (None, 0))
        if node is None or position or node.domain not in DEFAULT_DOMAINS:
            break
        if node.op_type not in _FINAL:
            break
        operator = read(node, graph.opset)
        if len(operator.inputs) != 1:
            raise operator.refuse(f"{len(operator.inputs)} inputs")
        final.append(operator)
        tensor = operator.inputs[0]
    return tensor, final


def _becomes_labels(graph: Graph, output: str) -> bool:
    """Whether the network puts out sigmoids of these logits: each label decides alone."""
    return any(
        graph.operator(name) == "Sigmoid"
        and graph.root(graph.producers[graph.root(name)][0].input[0]) == graph.root(output)
        for name in graph.outputs
        if graph.root(name) in graph.producers
    )
