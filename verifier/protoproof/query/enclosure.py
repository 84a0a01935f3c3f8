"""What a network computes at one point, over the reals: enclosures of the tensors of a query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

import numpy as np
import torch
from flint import arb, fmpq
from numpy.typing import NDArray

from protoproof.arithmetic.interval import Interval
from protoproof.errors import BoundsError, DescriptionError, UnsupportedOperatorError
from protoproof.kernel.budget import Budget
from protoproof.kernel.model.chain import Chain
from protoproof.kernel.model.symbolic.programs import step
from protoproof.network.onnx.graph import part
from protoproof.query.binding import Bound
from protoproof.query.formula import Element, Range
from protoproof.query.reading import Function, Score, Unit
from protoproof.region.bounds.interval import LatentBox, walk
from protoproof.region.bounds.margins import activations, measurement_ends
from protoproof.region.sets.region import InputBox

_SPARE = 1e-9  # what a sum of activations in float64 may be off by, relative to its terms
Ends = tuple[NDArray[np.float64], NDArray[np.float64]]


def enclosed(bound: Bound, box: InputBox, wanted: Iterable[Element]) -> Mapping[Element, Range]:
    """Ranges of some elements of outputs and hidden tensors, for all inputs of a (tiny) box.

    Raises:
        BoundsError: the network, or one of the elements, has no bounds here.
    """
    every = list(wanted)
    tensors = tuple(dict.fromkeys(bound.tensors[e.variable] for e in every))
    try:
        values = _walked(bound, box, tensors)
        return {e: _at(values[bound.tensors[e.variable]], e.place) for e in every}
    except (UnsupportedOperatorError, DescriptionError, KeyError):
        return _by_head(bound, box, every)


def _walked(bound: Bound, box: InputBox, tensors: tuple[str, ...]) -> Mapping[str, Interval]:
    graph = bound.network.graph
    low, high = (torch.from_numpy(np.array(end))[None] for end in (box.lower, box.upper))
    start = Interval(low, high)
    needed = tuple(name for name in tensors if name != graph.input)
    found = walk(part(graph, graph.input, needed), start) if needed else {}
    return {graph.input: start, **found}


def _at(value: Interval, index: int) -> Range:
    ends = (float(end.reshape(-1)[index]) for end in (value.lower, value.upper))
    low, high = (Fraction(end) for end in ends)
    return low, high


def _by_head(bound: Bound, box: InputBox, every: list[Element]) -> Mapping[Element, Range]:
    """The encoder by its operators, the head by what it is."""
    network = bound.network
    head = network.head
    if not head.plain:
        raise BoundsError("this head has no bounds at an input; nothing can be decided there")
    try:
        values = _walked(bound, box, network.recognised.latents)
    except (UnsupportedOperatorError, DescriptionError, KeyError) as error:
        raise BoundsError(f"the encoder has no bounds: {error}") from error
    parts = [values[name] for name in dict.fromkeys(c.tensor for c in network.recognised.cuts)]
    lower, upper = (
        np.concatenate([getattr(p, end).numpy().reshape(-1) for p in parts])[network.sites]
        for end in ("lower", "upper")
    )
    latent = LatentBox(lower[None], upper[None])
    measured = measurement_ends(head, latent)
    scores = _scores(bound, latent)
    return {e: _meant(bound, e, (lower, upper), (measured[0][0], measured[1][0]), scores)
            for e in every}  # fmt: skip


def _scores(bound: Bound, latent: LatentBox) -> Ends:
    head = bound.network.head
    found = activations(head, latent)
    low, high = found.low[0], found.high[0]
    more, less = np.maximum(head.weight, 0.0), np.minimum(head.weight, 0.0)
    spare = _SPARE * (1 + np.abs(head.weight) @ np.maximum(np.abs(low), np.abs(high)))
    bias = np.abs(head.bias) * _SPARE
    return (
        more @ low + less @ high + head.bias - spare - bias,
        more @ high + less @ low + head.bias + spare + bias,
    )


def _meant(bound: Bound, element: Element, latent: Ends, measured: Ends, scores: Ends) -> Range:
    meaning = bound.meaning(element)
    match meaning:
        case Unit(location, channel):
            return _pair(latent, (location, channel))
        case Score(label, exact) if exact:
            return _pair(scores, (label,))
        case Function(None, prototype, program):
            ends = measured[0].min(axis=0), measured[1].min(axis=0)
            return _through(program, _pair(ends, (prototype,)))
        case Function(location, prototype, program):
            return _through(program, _pair(measured, (location or 0, prototype)))
    raise BoundsError(f"{element.variable} holds what has no bounds at an input")


def _pair(ends: Ends, place: tuple[int, ...]) -> Range:
    return Fraction(float(ends[0][place])), Fraction(float(ends[1][place]))


def _through(program: object, ends: Range) -> Range:
    """A monotone function at both ends."""
    chain = Chain([step(one) for one in program])  # type: ignore[attr-defined]
    found: list[Fraction] = []
    with Budget().active():
        for end in ends:
            ball = chain.value(0, fmpq(end.numerator, end.denominator))
            found += [_fraction(ball.lower()), _fraction(ball.upper())]
    return min(found), max(found)


def _fraction(value: arb) -> Fraction:
    if not value.is_finite():
        raise BoundsError("a function of a measurement has no finite value at an input")
    mantissa, exponent = value.mid().man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
