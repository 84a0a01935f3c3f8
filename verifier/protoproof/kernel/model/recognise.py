"""The canonical head graph, and whether a model's graph from latent to logits is exactly that.

Over the reals the pattern below *is* the described head: squared distances to the rows of the
prototypes, the least over all locations, the similarity, and a linear decision. Equal up to tensor
names, the order of the inputs of Add and Mul, Identity nodes, and the listed alternatives.
"""

from __future__ import annotations

from protoproof.kernel.model.description import PARAMETERS, Description
from protoproof.kernel.model.graph import Graph
from protoproof.kernel.model.pattern import Axes, Either, Matcher, Node, Pattern, Scalar, Tensor

LATENT, PROTOTYPES = Tensor("latent"), Tensor("prototypes")


def _squared_norm(of: Tensor) -> Node:
    return Node("ReduceSum", (Node("Mul", (of, of)), Axes((1,))))


def _expanded_distance() -> Pattern:
    """|z|^2 - 2 z.p + |p|^2, then Relu: the identity on squared distances over the reals."""
    norm = Node("Transpose", (_squared_norm(PROTOTYPES),), (("perm", (1, 0, 2, 3)),))
    twice = Node("Mul", (Node("Conv", (LATENT, PROTOTYPES)), Scalar("two", 2.0)))
    difference = Node("Sub", (_squared_norm(LATENT), twice))
    return Node("Relu", (Node("Add", (difference, norm)),), name="measurement")


# Operators of one input that keep its shape.
_SHAPE_KEEPING = {"LpNormalization", "Relu", "Sigmoid", "Softmax", "Tanh"}


def _direct_distance() -> Pattern:
    """Sum over channels of (z - p) * (z - p): [N,1,D,H,W] less [P,D,1,1], with or without Relu."""
    apart = Node("Sub", (Node("Unsqueeze", (LATENT, Axes((1,)))), PROTOTYPES), name="apart")
    square = Node("Mul", (apart, Tensor("apart")))
    inputs, keep = (square, Axes((2,))), (("keepdims", 0),)
    return Either(
        (
            Node("ReduceSum", inputs, keep, name="measurement"),
            Node("Relu", (Node("ReduceSum", inputs, keep),), name="measurement"),
        )
    )


def _nearest(measurement: Pattern, grid: tuple[int, int]) -> Pattern:
    """The least measurement over all locations, [N, P].

    Only a pooling window of exactly the grid's size will do: it fixes the grid by itself, because
    the result of any other grid would not fit the weight's shape. (A reduction takes every grid,
    and what a file states about shapes is only a statement.)
    """
    negated = Node("Neg", (measurement,))
    pooled = Node("MaxPool", (negated,), (("kernel_shape", grid),))
    return Node("Flatten", (Node("Neg", (pooled,)),), name="nearest")


def _activation(kind: str, nearest: Pattern) -> Node:
    """The similarity of the least measurement; ``nearest`` is described once, then named."""
    again, one, constant = Tensor("nearest"), Scalar("one", 1.0), Scalar("constant")
    if kind == "log_ratio":
        ratio = Node("Div", (Node("Add", (nearest, one)), Node("Add", (again, constant))))
        return Node("Log", (ratio,), name="activation")
    if kind == "exponential":
        scaled = Node("Div", (nearest, constant))
        return Node("Exp", (Node("Neg", (scaled,)),), name="activation")
    if kind == "reciprocal":
        return Node("Div", (one, Node("Add", (nearest, one))), name="activation")
    return Node("Neg", (nearest,), name="activation")


def head_pattern(description: Description) -> Pattern:
    """The pattern of the described head, from the logits back to the latent."""
    options: list[Pattern] = []
    for measurement in (_expanded_distance(), _direct_distance()):
        nearest = _nearest(measurement, description.grid)
        parts: list[Pattern] = [_activation(description.similarity, nearest), Tensor("weight")]
        if description.bias is not None:
            parts.append(Tensor("bias"))
        options.append(Node("Gemm", tuple(parts), (("transB", 1),)))
    return Either(tuple(options))


def why_not_recognised(graph: Graph, description: Description) -> str | None:
    """None where the graph provably computes the described head; else where it departs from it.

    The stored shapes of prototypes, weight and bias are the caller's business.

    Raises:
        ModelError: a constant inside the head cannot be read.
    """
    if graph.outputs[:1] != (description.logits,):
        return f"{description.logits!r} is not the first output of the graph"
    wanted = (description.channels, *description.grid)
    for stated in graph.statements(description.latent):
        if len(stated) != 4 or any(
            a not in (None, b) for a, b in zip(stated[1:], wanted, strict=True)
        ):
            return f"the file states shape {stated} for {description.latent!r}, not [N, *{wanted}]"
    matcher = Matcher(graph)
    pattern = head_pattern(description)
    bound = next(matcher.match(pattern, description.logits, {}), None)
    if bound is None:
        return matcher.mismatch
    if "apart" in bound and not _channels_fixed(graph, description):
        return f"the number of channels of {description.latent!r} is not fixed by its producer"
    for name, described in _described_names(description).items():
        if bound[name] != graph.root(described):
            return f"the graph's {name} is {bound[name]!r}, the description says {described!r}"
    if PARAMETERS[description.similarity] and (
        float(graph.floats(bound["constant"])[0]) != description.constant
    ):
        return "the graph's similarity constant is not the described one"
    return None


def _channels_fixed(graph: Graph, description: Description) -> bool:
    """Whether a convolution's stored weight gives the latent its channels.

    The direct distance subtracts [P, D, 1, 1], and would broadcast a latent of one channel.
    (The expanded form convolves the latent with the prototypes, which fixes D.)
    """
    tensor = description.latent
    for _ in range(len(graph.producers)):
        operator = graph.operator(tensor)
        if not operator:
            return False
        node, _ = graph.producers[graph.root(tensor)]
        if operator == "Conv" and len(node.input) > 1:
            weight = graph.dimensions(node.input[1])
            return weight is not None and weight[:1] == (description.channels,)
        if operator not in _SHAPE_KEEPING or not node.input:
            return False
        tensor = node.input[0]
    return False


def _described_names(description: Description) -> dict[str, str]:
    names = {
        "latent": description.latent,
        "measurement": description.measurement,
        "prototypes": description.prototypes,
        "activation": description.activation,
        "weight": description.weight,
    }
    return names if description.bias is None else {**names, "bias": description.bias}
