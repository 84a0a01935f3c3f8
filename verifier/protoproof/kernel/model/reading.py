"""The head between stated tensors of a graph, read by evaluating every node between them."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import ModelError
from protoproof.kernel.budget import current, hold, stored
from protoproof.kernel.model.graph import DEFAULT_DOMAINS, Graph
from protoproof.kernel.model.head import Head
from protoproof.kernel.model.symbolic.arrays import Shape
from protoproof.kernel.model.symbolic.assembly import Reading, read_head
from protoproof.kernel.model.symbolic.domains import OperatorDomain, domain_of
from protoproof.kernel.model.symbolic.evaluator import Evaluation
from protoproof.kernel.model.symbolic.nodes import Operator, read
from protoproof.kernel.model.symbolic.shapes import shape_of
from protoproof.kernel.model.symbolic.types import require_float32
from protoproof.kernel.model.symbolic.values import Terms

# What keeps the order of logits, or (Sigmoid) also which of them are positive. A logarithm keeps it
# where all of them are positive, which has to be shown.
_FINAL = ("ArgMax", "Log", "LogSoftmax", "Sigmoid", "Softmax")
# What keeps all numbers of a tensor.
_MOVES = ("Cast", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
# What keeps the numbers of one axis in their order, too, where all others have size 1.
_RELAID = ("Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


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
        final: operators behind the logits, the last one first.
    """

    head: Head
    cuts: tuple[Cut, ...]
    final: tuple[str, ...]


def find_head(known: Evaluated) -> Found:
    """The head that was evaluated between latents and an output.

    Raises:
        ModelError: there is none that the checker knows.
    """
    with current().scope():
        return _found(known)


def hold_head(head: Head) -> None:
    """Charge the memory of a head."""
    numbers = head.prototype_count * head.channels * (2 if head.scales else 1)
    hold("the head", 2 * stored(numbers, head.size) + 16 * head.location_count * head.channels)
    hold("the decision", sum(stored(len(row)) for row in head.decision.weight))


@dataclass(frozen=True)
class Evaluated:
    """A graph between latents and an output, with everything that a head is read from.

    Attributes:
        here: the values of its tensors.
        logits: the tensor that decides, and ``scores`` its elements.
        reading: the head.
        shapes: of the latents.
        ends: where the latents end among the flat indices.
        final: operators behind the logits, the last one first.
        output: the tensor that was asked for.
        published: the network's outputs that decide as these scores do.
    """

    here: Evaluation
    logits: str
    scores: Terms
    reading: Reading
    shapes: dict[str, Shape]
    ends: list[int]
    final: tuple[str, ...]
    output: str
    published: frozenset[str]


def evaluated(graph: Graph, latents: Sequence[str], output: str) -> Evaluated:
    """What is between stated tensors of a graph.

    Raises:
        ModelError: it is no head; the message says which node is in the way.
    """
    if not latents or len({_moved_from(graph, name) for name in latents}) != len(latents):
        raise ModelError("model: no latent tensor is named, or one twice")
    if not _published(graph, output):
        raise ModelError(
            f"model: {output!r} is no output of the network, nor does one follow from it by what "
            "keeps the order of scores"
        )
    for name in latents:
        require_float32(graph, name)
    shapes = {name: shape_of(graph, name) for name in latents}
    here = Evaluation(graph, shapes)
    logits, final = _stripped(graph, output, set(latents))
    value = here.rules.terms(here.value(logits))
    places = [k for k, n in enumerate(value.shape) if n != 1]
    if len(places) > 1:
        raise ModelError(
            f"model: {output!r} has shape {list(value.shape)}: several predictions at once"
        )
    if not value.shape:
        raise ModelError(f"model: {output!r} has no axis of classes")
    axis = places[0] if places else len(value.shape) - 1
    for operator in final:
        if "axis" in operator.attributes and operator.attributes["axis"] % len(value.shape) != axis:
            raise operator.refuse("along an axis that is not that of the classes")
    kinds = tuple(operator.kind for operator in final)
    if "ArgMax" in kinds[1:]:
        raise final[kinds.index("ArgMax", 1)].refuse("something is computed from the index")
    if "Log" in kinds[:-1]:
        raise final[kinds.index("Log")].refuse("of something else than scores")
    ways = _ways(graph, output, kinds, axis, len(value.shape))
    logged = kinds[-1:] == ("Log",) or all(ways.values())
    if logged:
        here.known.positive.update(value.term.ravel().tolist())
    published = frozenset(name for name, log in ways.items() if logged or not log)
    labels = kinds == ("Sigmoid",) or (not kinds and _becomes_labels(graph, output))
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()]).tolist()
    reading = read_head(here.known, value.term.ravel().tolist(), ends, labels)
    return Evaluated(here, logits, value, reading, shapes, ends, kinds, output, published)


def _found(known: Evaluated) -> Found:
    graph, reading, ends = known.here.graph, known.reading, known.ends
    where = reading.where
    cuts = []
    for number, (name, shape) in enumerate(known.shapes.items()):
        start = ends[number] - math.prod(shape)
        mine = [site for site, cut in zip(where.sites, where.cut, strict=True) if cut == number]
        if not mine:
            raise ModelError(f"model: the output does not depend on {name!r}")
        hold("the locations", 16 * len(mine) * where.channels)
        sites = np.array(mine, dtype=np.int64) - start
        cuts.append(Cut(name, shape, sites, domain_of(graph, name, shape, list(sites))))
    reason = _compares_nothing(reading, tuple(cuts))
    if reason:
        raise ModelError(
            f"model: between {', '.join(known.shapes)!r} and {known.output!r} nothing is compared "
            f"with a prototype: {reason}"
        )
    return Found(reading.head, tuple(cuts), known.final)


def _moved_from(graph: Graph, tensor: str) -> str:
    """The tensor whose numbers, all of them, stand in another order or shape in this one: two of
    one origin are no two latents, which could be anything."""
    for _ in range(len(graph.producers) + 1):
        tensor = graph.root(tensor)
        node, _ = graph.producers.get(tensor, (None, 0))
        if node is None or node.domain not in DEFAULT_DOMAINS or node.op_type not in _MOVES:
            break
        tensor = node.input[0]
    return tensor


def _compares_nothing(reading: Reading, cuts: tuple[Cut, ...]) -> str:
    """Why a head says nothing about prototypes, though it has the form of one; '' where it does.

    Every classifier's last layers have such a form. Nothing unsound would follow from it.
    """
    head, where = reading.head, reading.where
    several = 1 < head.prototype_count == len(set(head.prototype_bank))
    first = head.prototype(0)
    if several and all(head.prototype(j) == first for j in range(1, head.prototype_count)):
        return "what is added up at each location is the same for all"
    if head.geometry != "linear":
        return ""
    if where.coordinate[0] >= 0 and any(cut.domain.kind != "simplex" for cut in cuts):
        return "the channels alone count, and no Softmax over them makes them concepts"
    bounded = all(c.domain.kind or (c.domain.box and c.domain.box[1]) for c in cuts)
    if head.location_count == 1 and not bounded:
        return "there are only dense layers on one vector, which nothing bounds"
    return ""


def _stripped(graph: Graph, output: str, latents: set[str]) -> tuple[str, list[Operator]]:
    """The tensor of the logits, and the operators behind it, the last one first."""
    final: list[Operator] = []
    tensor = _before_relaying(graph, output, latents)
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
        if len(final) == 1 and operator.kind == "Sigmoid":
            break  # labels: their signs decide, which nothing else keeps
    return tensor, final


def _before_relaying(graph: Graph, output: str, latents: Container[str] = ()) -> str:
    """What is only relaid to become an output, where that is what keeps the order of scores; else
    the output itself. Of one prediction, all axes but that of the classes have size 1."""
    tensor = graph.root(output)
    while tensor not in latents:
        node, position = graph.producers.get(tensor, (None, 0))
        if node is None or position or node.domain not in DEFAULT_DOMAINS:
            break
        if node.op_type in _FINAL:
            return tensor
        if node.op_type not in _RELAID:
            break
        tensor = graph.root(node.input[0])
    return output


def _followed(graph: Graph, output: str) -> Iterator[tuple[str, list[Operator]]]:
    """Every output of the network that comes from a tensor by what keeps the order of scores
    alone, and the operators, the last one first."""
    for name in graph.outputs:
        tensor, kinds = graph.root(name), []
        if tensor != graph.root(output):
            tensor = graph.root(_before_relaying(graph, name))
        while tensor != graph.root(output):
            node, position = graph.producers.get(tensor, (None, 0))
            known = node is not None and not position and node.domain in DEFAULT_DOMAINS
            if node is None or not known or node.op_type not in _FINAL:
                break
            try:
                kinds.append(read(node, graph.opset))
            except ModelError:
                break
            tensor = graph.root(node.input[0])
        else:
            yield name, kinds


def _published(graph: Graph, output: str) -> bool:
    return any(True for _ in _followed(graph, output))


def _ways(
    graph: Graph, output: str, before: Sequence[str], axis: int, rank: int
) -> dict[str, bool]:
    """The outputs of the network that keep the order of the scores: what normalises does so along
    the classes, and nothing is computed from an index. For each, whether a logarithm stands between
    them, which keeps the order where the scores are positive.

    Args:
        before: the operators between the logits and the output.
        axis, rank: of the logits; an output that is relaid behind such operators has others.

    Raises:
        ModelError: there is none.
    """
    ways = {}
    relaid = graph.root(_before_relaying(graph, output)) != graph.root(output)
    for name, operators in _followed(graph, output):
        along = [o.attributes["axis"] for o in operators if "axis" in o.attributes]
        known = not (along and relaid) and all(one % rank == axis for one in along)
        if known and "ArgMax" not in [*(o.kind for o in operators), *before][1:]:
            ways[name] = any(operator.kind == "Log" for operator in operators)
    if not ways:
        raise ModelError(
            f"model: what the network puts out of {output!r} is normalised along an axis that is "
            "not certainly that of the classes, or computed from an index"
        )
    return ways


def _becomes_labels(graph: Graph, output: str) -> bool:
    """Whether the network puts out sigmoids of these logits: each label decides alone."""
    return any([k.kind for k in kinds] == ["Sigmoid"] for _, kinds in _followed(graph, output))
