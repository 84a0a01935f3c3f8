"""The head of a recognised graph, read from its stored tensors."""

from __future__ import annotations

from fractions import Fraction

from protoproof.errors import DescriptionError, ModelError
from protoproof.kernel.arithmetic.exact import float32_integers, float32_width
from protoproof.kernel.budget import hold, integer, spend, stored
from protoproof.kernel.model.chain import Chain, Step
from protoproof.kernel.model.decision import Decision
from protoproof.kernel.model.description import Description
from protoproof.kernel.model.graph import Graph
from protoproof.kernel.model.head import Head, Pooling


def read_head(graph: Graph, description: Description) -> Head:
    """The described head.

    Raises:
        ModelError: a tensor is absent, not float32, not finite, or of the wrong shape.
        DescriptionError: the similarity's constant is out of range.
    """
    channels = description.channels
    shape = graph.dimensions(description.prototypes)
    if shape is None or len(shape) != 4 or shape[1:] != (channels, 1, 1) or not shape[0]:
        raise ModelError(
            f"model: {description.prototypes!r} has shape {shape}, not [P, {channels}, 1, 1]"
        )
    count = shape[0]
    spend("the prototypes", 8 * count * channels * integer(5))
    values = graph.floats(description.prototypes)
    hold("the prototypes", stored(count * channels, float32_width(values)))
    return Head(
        "euclidean",
        float32_integers(values),
        None,
        _chain(description.similarity, Fraction(description.constant)),
        None,
        [Pooling()] * count,
        _decision(graph, description, count),
        [0] * (description.grid[0] * description.grid[1]),
        [0] * count,
        channels,
    )


def _chain(kind: str, constant: Fraction) -> Chain:
    one = Fraction(1)
    if constant <= 0 or (kind == "log_ratio" and constant >= 1):
        raise DescriptionError(f"the constant of {kind} is out of range")
    steps = {
        # (q + 1) / (q + eps) = 1 + (1 - eps) / (q + eps)
        "log_ratio": ("add", "one_plus", "log"),
        "exponential": ("mul", "exp"),
        "negated": ("mul",),
        "reciprocal": ("add", "reciprocal"),
    }[kind]
    constants = {
        "log_ratio": (constant, one - constant),
        "exponential": (-one / constant,),
        "negated": (-one,),
        "reciprocal": (one,),
    }[kind]
    given = [(c,) for c in constants] + [()] * len(steps)
    return Chain([Step(name, c) for name, c in zip(steps, given, strict=False)])


def _decision(graph: Graph, description: Description, count: int) -> Decision:
    classes = description.classes
    shape = graph.dimensions(description.weight)
    if shape != (classes, count):
        raise ModelError(
            f"model: {description.weight!r} has shape {shape}, not [{classes}, {count}]"
        )
    spend("the decision's weights", 6 * classes * count * integer(5))
    weights = graph.floats(description.weight)
    hold("the decision's weights", 2 * stored(classes * count, float32_width(weights)))
    flat, shift = float32_integers(weights)
    bias, bias_shift = [0] * classes, 0
    if description.bias is not None:
        shape = graph.dimensions(description.bias)
        if shape != (classes,):
            raise ModelError(f"model: {description.bias!r} has shape {shape}, not [{classes}]")
        bias, bias_shift = float32_integers(graph.floats(description.bias))
    common = max(shift, bias_shift)
    rows = [[n << (common - shift) for n in flat[k * count : (k + 1) * count]]
            for k in range(classes)]  # fmt: skip
    return Decision("linear", count, rows, [n << (common - bias_shift) for n in bias], common)
