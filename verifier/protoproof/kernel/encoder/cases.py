"""One case of a region: the inputs for which some units are on stated sides of their thresholds.

*Coverage.* For any number x_u that the encoder computes and any t, an input has x_u <= t or
x_u >= t. So the two halves of a cut leave out no input, whatever unit and threshold are.

*Bounds.* What holds over the whole region holds in the case; so does that x_u is on its side, and
what interval propagation makes of both. Bounds that exclude each other show that the case holds no
input: then nothing is to be proved about it.

*Forms.* Of the latent, propagated back over these bounds, with slopes and multipliers of the sides
that the certificate chose: see ``backward``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from protoproof.certificate.partition import PartForm
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import Ratio, decode_floats, hex_ratio
from protoproof.kernel.arithmetic.outward import Array, Range
from protoproof.kernel.budget import NODE, OPERATION, current, hold, spend
from protoproof.kernel.encoder.activation import RELAXATIONS, Chosen
from protoproof.kernel.encoder.backward import LinearPropagation, Side, least_of_forms
from protoproof.kernel.encoder.interval import PER_WALK, IntervalPropagation
from protoproof.kernel.encoder.step import ReplayError
from protoproof.kernel.latent.reached import Latents
from protoproof.kernel.model.file import LatentTensor

_PER_TENSOR = 32 * OPERATION  # to look at one, with nothing to be computed


class ImpossibleCaseError(Exception):
    """The case holds no input."""


class Case(IntervalPropagation):
    """Bounds of all tensors of a propagation, in one case.

    Raises:
        ImpossibleCaseError: no input is in the case.
        CertificateError: a side of a number that no tensor of the propagation has.
    """

    def __init__(self, whole: LinearPropagation, sides: Sequence[Side]) -> None:
        super().__init__(whole.graph, whole.known[whole.input])
        self.parametric = dict(whole.parametric)
        for side in sides:
            if side.tensor not in whole.known or side.number >= whole.known[side.tensor].low.size:
                raise CertificateError("parts: a cut of a unit that the encoder does not have")
        spend("a case", PER_WALK + _PER_TENSOR * (len(whole.known) + len(sides)))
        by_tensor: dict[str, list[Side]] = {}
        for side in sides:
            by_tensor.setdefault(side.tensor, []).append(side)
        changed: set[str] = set()
        for name, before in whole.known.items():
            found = before
            if name != self.input:
                node = whole.graph.producers[name][0]
                if changed & self._computed(node):
                    spend("the operators of a case", NODE)
                    again = self._run(node)
                    found = _both(before, again)
                    changed.add(name)
            if name in by_tensor:
                found = _on(found, by_tensor[name])
                changed.add(name)
            self.known[name] = found
        if not changed:
            self.lines = whole.lines


def _both(one: Range, other: Range) -> Range:
    """Two bounds of the same numbers.

    Raises:
        ImpossibleCaseError: they exclude each other.
    """
    low, high = np.maximum(one.low, other.low), np.minimum(one.high, other.high)
    if (low > high).any():
        raise ImpossibleCaseError
    return Range(low, high)


def _on(values: Range, sides: Sequence[Side]) -> Range:
    """Bounds of numbers that are on these sides.

    Raises:
        ImpossibleCaseError: they are not.
    """
    low, high = values.low.copy(), values.high.copy()
    for side in sides:
        if side.above:
            low.flat[side.number] = max(low.flat[side.number], side.at)
        else:
            high.flat[side.number] = min(high.flat[side.number], side.at)
    return _both(values, Range(low, high))


def latents_of(
    whole: LinearPropagation,
    sides: Sequence[Side],
    forms: Sequence[PartForm],
    tensor: LatentTensor,
) -> Latents | None:
    """What the latents of a case meet; None where the case is impossible.

    Args:
        whole: the propagation over the region, which has reached the latent.
        sides: of units, from the first cut to the last.
        forms: to be bounded.
        tensor: the latent.

    Raises:
        ReplayError: the propagation cannot go on.
        CertificateError: numbers that are malformed, or fit no tensor; slopes of no line.
    """
    try:
        case = Case(whole, sides)
    except ImpossibleCaseError:
        return None
    low, high = (end.reshape(-1)[tensor.sites] for end in case.known[tensor.name])
    return Latents(low, high, tuple(_bounded(case, sides, form, tensor) for form in forms))


def _bounded(
    case: Case, sides: Sequence[Side], form: PartForm, tensor: LatentTensor
) -> tuple[Array, Ratio]:
    sites, size = tensor.sites, math.prod(tensor.shape)
    if np.unique(sites).size != sites.size:
        raise ReplayError("linear bounds of locations that overlap")
    spend("linear bounds", _PER_TENSOR * len(case.known))
    hold("the linear bounds", 16 * sites.size)
    slopes = decode_floats(form.coefficients, sites.size, np.float64)
    row = np.zeros((1, size))
    row[0, sites.ravel()] = slopes
    duals = [_multiplier(text) for text in form.duals]
    if len(duals) != len(sides):
        raise CertificateError("parts: not one multiplier for each cut of a unit")
    with current().scope():
        chosen = _chosen(case, form)
        found = least_of_forms(
            case,
            tensor.name,
            row.reshape(1, *tensor.shape[1:]),
            chosen,
            list(zip(sides, duals, strict=True)),
        )
    return slopes.reshape(sites.shape), found.tolist()[0].as_integer_ratio()


def _multiplier(text: str) -> float:
    numerator, unit = hex_ratio(text)
    if numerator < 0:
        raise CertificateError("parts: a negative multiplier of a side")
    return numerator / unit  # exact: it was a float64


def _chosen(case: Case, form: PartForm) -> dict[str, Chosen]:
    """Slopes by output of an activation."""
    found: dict[str, Chosen] = {}
    for entry in form.slopes:
        node = case.graph.producers.get(entry.tensor, (None, 0))[0]
        if entry.tensor not in case.known or node is None or node.op_type not in RELAXATIONS:
            raise CertificateError("slopes: of a tensor that is no activation's output")
        if entry.tensor in found:
            raise CertificateError("slopes: an activation is listed twice")
        shape = case.known[entry.tensor].low.shape
        hold("slopes", 24 * math.prod(shape))
        low, high = (
            None if text is None else decode_floats(text, math.prod(shape), np.float16)
            for text in (entry.low, entry.high)
        )
        if low is None:
            raise CertificateError("slopes: none")
        found[entry.tensor] = Chosen(
            low.astype(np.float64).reshape(shape),
            None if high is None else high.astype(np.float64).reshape(shape),
        )
    return found
