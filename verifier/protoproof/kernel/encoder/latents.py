"""The latents over a region of inputs, against what a certificate states about them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from protoproof.certificate.schema import ReachDomain
from protoproof.errors import ModelError
from protoproof.kernel.arithmetic.exact import at_most, decode_floats, hex_ratio
from protoproof.kernel.arithmetic.outward import Array
from protoproof.kernel.budget import current, hold, rounds
from protoproof.kernel.encoder.backward import LinearPropagation, least_of_forms
from protoproof.kernel.encoder.hull import Hull
from protoproof.kernel.encoder.input_region import Inputs
from protoproof.kernel.encoder.interval import IntervalPropagation
from protoproof.kernel.model.file import LatentTensor
from protoproof.kernel.model.graph import Graph


def escapes(
    graph: Graph, latent: LatentTensor, inputs: Inputs, domain: ReachDomain, hull: Hull
) -> Iterator[str]:
    """Places where the latents over the region may leave the stated box, or break linear bounds.

    Linear bounds count only where the certificate has them propagated. ``hull`` is given what the
    propagations find.

    Raises:
        ReplayError: the propagation cannot go on.
        CertificateError, ModelError: malformed numbers or model.
    """
    for box, parametric in rounds(inputs.starts(), inputs.pieces, "a walk"):
        with current().scope():
            propagation = IntervalPropagation(graph, box, parametric, keep=False)
            if domain.propagated is not None:
                propagation = LinearPropagation(graph, box, parametric, domain.propagated)
            low, high = latent_range(propagation, latent)
            hull.add(low, high)
            places = list(outside(low, high, domain))
            if domain.propagated is not None and domain.bounds:
                places += _broken(propagation, latent.name, domain, hull)
            del propagation
        yield from places


def latent_range(propagation: IntervalPropagation, latent: LatentTensor) -> tuple[Array, Array]:
    """Bounds [L, D] of the latent over the inputs where a propagation starts.

    Raises:
        ReplayError: the propagation cannot go on.
        ModelError: malformed model, or a latent that is not one image of the head's channels, rows
            and columns.
    """
    found = propagation.reach(latent.name)
    if found.low.shape != (1, *latent.shape):
        shape = found.low.shape
        raise ModelError(f"the latent has shape {shape}, the head takes (1, *{latent.shape})")
    low, high = (end.reshape(found.low.shape[1], -1).T for end in found)
    return low, high


def outside(low: Array, high: Array, domain: ReachDomain) -> Iterator[str]:
    """The first places where bounds of the latent leave the stated box.

    Raises:
        CertificateError: the box is not one of so many numbers.
    """
    stated = stated_ends(domain, low.size, low.shape)
    for location, channel in np.argwhere((low < stated[0]) | (high > stated[1]))[:3].tolist():
        yield f"location {location}, channel {channel}"


def _broken(
    propagation: IntervalPropagation, tensor: str, domain: ReachDomain, hull: Hull
) -> Iterator[str]:
    """Linear bounds that do not follow over one part of the region."""
    shape = propagation.reach(tensor).low.shape[1:]
    count, channels = math.prod(shape), shape[0]
    hold("the linear bounds", 24 * len(domain.bounds) * count)
    rows = np.stack(
        [decode_floats(bound.coefficients, count, np.float64) for bound in domain.bounds]
    )
    by_channel = rows.reshape(len(rows), -1, channels).transpose(0, 2, 1)
    least = least_of_forms(propagation, tensor, by_channel.reshape(len(rows), *shape))
    hull.add_forms(least.tolist())
    for index, (bound, value) in enumerate(zip(domain.bounds, least.tolist(), strict=True)):
        if not at_most(hex_ratio(bound.bound), value.as_integer_ratio()):
            yield f"linear bound {index}"


def stated_ends(domain: ReachDomain, count: int, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """The stated ends, [L, D]."""
    return (
        decode_floats(domain.lower, count, np.float64).reshape(shape),
        decode_floats(domain.upper, count, np.float64).reshape(shape),
    )
