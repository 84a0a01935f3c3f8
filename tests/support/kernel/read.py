"""The value of a head that the checker read, in numbers of 60 digits, from its integers alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import mpmath
from flint import ctx
from numpy.typing import NDArray

from protoproof.kernel.model.chain import Chain
from protoproof.kernel.model.file import BoundHead
from protoproof.kernel.model.head import Head
from protoproof.kernel.model.real import Real
from tests.support.kernel.precisely import numbers

Number = Any
STEPS: dict[str, Callable[[Number, Number], Number]] = {
    "abs": lambda t, c: abs(t),
    "add": lambda t, c: t + c,
    "div_root": lambda t, c: t / mpmath.sqrt(c),
    "exp": lambda t, c: mpmath.exp(t),
    "log": lambda t, c: mpmath.log(t),
    "max": max,
    "min": min,
    "mul": lambda t, c: t * c,
    "one_plus": lambda t, c: 1 + c / t,
    "power": lambda t, c: t**c,
    "reciprocal": lambda t, c: 1 / t,
    "sigmoid": lambda t, c: 1 / (1 + mpmath.exp(-t)),
    "softplus": lambda t, c: mpmath.log1p(mpmath.exp(t)),
    "sqrt": lambda t, c: mpmath.sqrt(t),
    "square": lambda t, c: t * t,
    "tanh": lambda t, c: mpmath.tanh(t),
    "zero_below": lambda t, c: mpmath.mpf(0) if t < c else t,
}


def number(value: Fraction | Real) -> Number:
    if isinstance(value, Real):
        with ctx.workprec(400):
            mantissa, exponent = value.ball().mid().man_exp()
        return mpmath.ldexp(mpmath.mpf(int(mantissa)), int(exponent))
    return mpmath.mpf(value.numerator) / value.denominator


def chained(chain: Chain, prototype: int, t: Number) -> Number:
    for step in chain.steps:
        c = step.constants[prototype if len(step.constants) > 1 else 0] if step.constants else 0
        t = STEPS[step.name](t, number(c if isinstance(c, Real) else Fraction(c)))
    return t


def latent_of(bound: BoundHead, tensors: dict[str, NDArray[Any]]) -> list[list[Number]]:
    """[L][D]: the head's locations, from the tensors at its cuts."""
    rows: list[list[Number]] = []
    for cut in bound.cuts:
        rows += numbers(tensors[cut.tensor]).reshape(-1)[cut.sites].tolist()
    return rows


def measured(head: Head, z: Sequence[Number], prototype: int) -> Number:
    p = [mpmath.mpf(n) / 2**head.shift for n in head.prototype(prototype)]
    if head.geometry == "euclidean":
        return sum((a - b) ** 2 for a, b in zip(z, p, strict=True))
    if head.geometry == "diagonal":
        scales = [mpmath.mpf(w) / 2**head.scale_shift for w in head.scales[prototype]]
        return sum(w * (a - b) ** 2 for w, a, b in zip(scales, z, p, strict=True))
    product = sum(a * b for a, b in zip(z, p, strict=True))
    if head.geometry == "linear":
        return -product
    floor, added, beside = head.length(prototype)
    square = max(sum(a * a for a in z) + number(added), number(floor))
    return -product / (mpmath.sqrt(square) + mpmath.sqrt(number(beside)))


def logits(head: Head, latent: Sequence[Sequence[Number]]) -> list[Number]:
    """Scores, up to the scale and constant that all have in common."""
    activation = []
    for j in range(head.prototype_count):
        values = [measured(head, z, j) for k, z in enumerate(latent) if head.measures(k, j)]
        kind, largest = head.pooling[j]
        if kind == "nearest":
            pooled = min(values)
        else:
            inner = sorted((chained(head.inner, j, m) for m in values), reverse=True)
            mean = sum(inner) / len(inner)
            pooled = {
                "mean": mean,
                "sum": sum(inner),
                "focal": inner[0] - mean,
                "nearest less mean": chained(head.common, j, inner[-1])
                - chained(head.common, j, mean),
                "k-largest mean": sum(inner[: largest or 1]) / (largest or 1),
            }[kind]
        activation.append(chained(head.chain, j, pooled))
    return _decided(head, activation)


def _decided(head: Head, activation: list[Number]) -> list[Number]:
    decision, inputs = head.decision, activation
    if decision.kind == "best":
        inputs = [max(activation[j] for j in group) for group in decision.groups]
    if decision.kind == "tree":
        inputs = [mpmath.mpf(0)] * (len(decision.nodes) + 1)
        waiting: list[tuple[int, Number]] = [(0, mpmath.mpf(1))]
        while waiting:
            place, share = waiting.pop()
            if place < 0:
                inputs[-1 - place] += share
                continue
            node = decision.nodes[place]
            right = activation[node.prototype]
            waiting += [(node.left, share * (1 - right)), (node.right, share * right)]
    return [
        sum((w * a for w, a in zip(row, inputs, strict=True)), mpmath.mpf(0)) + bias
        for row, bias in zip(decision.weight, decision.bias, strict=True)
    ]


def same_order(
    ours: Sequence[Sequence[Number]], theirs: Sequence[Sequence[Number]], each: bool = False
) -> bool:
    """Whether scores [latent][class] differ by one positive factor and a constant per latent.

    Args:
        each: whether every latent may have a factor of its own (votes over their sum).
    """
    if each:
        return all(same_order([a], [b]) for a, b in zip(ours, theirs, strict=True))
    a, b = ([v - line[0] for line in lines for v in line] for lines in (ours, theirs))
    size_a, size_b = max(map(abs, a)), max(map(abs, b))
    if len(a) != len(b) or not size_a or not size_b:
        return bool(len(a) == len(b) and size_a == size_b)
    tiny = mpmath.mpf(10) ** -40
    return all(abs(x / size_a - y / size_b) < tiny for x, y in zip(a, b, strict=True))
