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
from protoproof.kernel.encoder.step import ReplayError
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
                places += _broken(propagation, latent, domain, hull)
            del propagation
        yield from places


def latent_range(propagation: IntervalPropagation, latent: LatentTensor) -> tuple[Array, Array]:
    """Bounds [L, D] of the latent over the inputs where a propagation starts.

    Raises:
        ReplayError: the propagation cannot go on.
        ModelError: malformed model, or a latent of another shape than the head takes.
    """
    found = propagation.reach(latent.name)
    if found.low.shape != latent.shape:
        raise ModelError(f"the latent has shape {found.low.shape}, the head takes {latent.shape}")
    low, high = (end.reshape(-1)[latent.sites] for end in found)
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
    propagation: IntervalPropagation, latent: LatentTensor, domain: ReachDomain, hull: Hull
) -> Iterator[str]:
    """Linear bounds that do not follow over one part of the region."""
    sites, size = latent.sites, math.prod(latent.shape)
    if np.unique(sites).size != sites.size:
        raise ReplayError("linear bounds of locations that overlap")
    hold("the linear bounds", 8 * len(domain.bounds) * (2 * sites.size + size))
    rows = np.zeros((len(domain.bounds), size))
    for row, bound in zip(rows, domain.bounds, strict=True):
        row[sites.ravel()] = decode_floats(bound.coefficients, sites.size, np.float64)
    shaped = rows.reshape(len(rows), *latent.shape[1:])
    least = least_of_forms(propagation, latent.name, shaped)
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
