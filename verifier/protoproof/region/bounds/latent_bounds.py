"""From a region of inputs to the latents that it can reach: where bounds meet explanations.

The box of latents is our interval walk's, a little widened so that the checker's own walk, which
rounds differently, stays inside; it holds the recorded float32 latent too. Linear bounds come on
top, our own (the checker replays them) or by auto_LiRPA: forms in the direction in which a rival
gains fastest, one per rival.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.errors import UsageError
from protoproof.network import Network, Observation
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.reach import SPARE, Reach
from protoproof.region.bounds.interval import LatentBox, encoder_bounds
from protoproof.region.bounds.linear import affordable, linear_bounds
from protoproof.region.bounds.lirpa import FormBounds, Lirpa
from protoproof.region.sets.region import Region
from protoproof.region.sets.statement import require_statement, statement
from protoproof.region.sets.transformations import Brightness
from protoproof.region.sets.yaml_file import load_region

REPLAYED = "encoder bound: interval, replayed"
PROPAGATED = "encoder bound: linear, replayed"

_FEW = 256  # latent units that are bounded one by one
_PARTS = (1, 16, 64)  # of a parameter, tried in this order


def refinements(region: Region) -> tuple[Region, ...]:
    """The region with covers of rising fineness; most kinds have one only."""
    if not isinstance(region, Brightness):
        return (region,)
    axes = sum(1 for radius in (region.brightness, region.contrast) if radius)
    parts = [count if axes == 1 else max(1, int(count**0.5)) for count in _PARTS]
    return tuple(replace(region, parts=count) for count in parts)


def interval_name(region: Region) -> str:
    """What the interval stage over this cover is called."""
    parts = region.parts if isinstance(region, Brightness) else 1
    return "interval" if parts == 1 else f"interval, {parts} parts"


def latent_box(network: Network, region: Region) -> LatentBox:
    """One box around the latents of all parts of a region, by our interval walk.

    Raises:
        BoundsError: the walk fails.
    """
    found = encoder_bounds(network, region.cover())
    return LatentBox(found.lower.min(axis=0)[None], found.upper.max(axis=0)[None])


def reach_of(
    network: Network,
    region: Region,
    latent: Float[NDArray[np.float64], "location channel"],
) -> Reach:
    """The domain of all latents that the region can reach, as the checker can replay it.

    Args:
        network: whose encoder.
        region: around an input.
        latent: the recorded latent of that input; float32 rounding may have put it outside.

    Raises:
        BoundsError: the walk fails.
        UsageError: a region that a certificate has no words for.
    """
    stated = statement(region)
    if stated is None:
        raise UsageError(
            f"region {region}: it has no box of latents of its own; certify it instead"
        )
    return around(latent_box(network, region), latent, stated)


def around(
    box: LatentBox,
    latent: Float[NDArray[np.float64], "location channel"],
    stated: Mapping[str, Any],
) -> Reach:
    """The domain of one box of latents that a stated region can reach, and of a recorded latent."""
    lower, upper = widened(box.lower[0], box.upper[0])
    return Reach(np.minimum(lower, latent), np.maximum(upper, latent), REPLAYED, region=stated)


def widened(
    lower: NDArray[np.float64], upper: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A box of latents with room for the rounding of the checker's own walk."""
    return lower - SPARE * (1 + np.abs(lower)), upper + SPARE * (1 + np.abs(upper))


def named_reach(network: Network, text: str, observation: Observation) -> Reach:
    """The latents of a region that is written as on the command line, around an observed input.

    Raises:
        BoundsError, InputError, UsageError: see :func:`reach_of` and ``load_region``.
    """
    region = finest(text, observation.x, network)
    return reach_of(network, region, observation.latent.astype(np.float64))


def finest(text: str, x: NDArray[np.float32], network: Network) -> Region:
    """The region around an input that ``--domain`` names, in the form with the narrowest bounds.

    Raises:
        InputError, UsageError: see ``load_region``.
    """
    try:
        region = load_region(text, x, x.shape, network.input_range)
    except UsageError as error:
        raise UsageError(str(error).replace("--region", "--domain")) from error
    return refinements(region)[-1]


def with_forms(
    reach: Reach,
    engine: Lirpa,
    region: Region,
    instance: Instance,
    rivals: Sequence[int],
    method: str,
) -> tuple[Reach, FormBounds]:
    """The domain with bounds by auto_LiRPA: one form per rival (indices of margin rows).

    Where the latent is small, every unit is bounded in the same pass; such a box can no longer be
    replayed, so the domain no longer states the region.

    Raises:
        BoundsError: see :meth:`Lirpa.forms`.
    """
    latent = instance.latent
    steep = steepest(instance, rivals)
    units = np.zeros((0, *latent.shape))
    if latent.size <= _FEW:
        units = np.eye(latent.size).reshape(latent.size, *latent.shape)
    found = engine.forms(region, np.concatenate([steep, units]), method)
    if found.method == "interval":  # nothing that the box does not say already
        return reach, found
    bounds = _with_recorded(found.lower[: len(steep)], steep, latent)
    source = engine.assumption(found.method)
    if not len(units):
        return replace(reach, coefficients=steep, bounds=bounds, source=source), found
    lower, upper = (ends[len(steep) :].reshape(latent.shape) for ends in (found.lower, found.upper))
    return Reach(
        np.minimum(np.maximum(lower, reach.lower), latent),
        np.maximum(np.minimum(upper, reach.upper), latent),
        source,
        steep,
        bounds,
    ), found


def with_propagation(
    network: Network,
    region: Region,
    instance: Instance,
    rivals: Sequence[int],
    method: str,
    forms: Float[NDArray[np.float64], "rival location channel"] | None = None,
) -> tuple[Reach, FormBounds]:
    """The domain with linear bounds of our own, one form per rival, which the checker replays.

    Args:
        network: whose encoder.
        region: whose latents.
        instance: the network's head at the region's centre.
        rivals: indices of margin rows.
        method: a key of ``UNITS``.
        forms: those to be bounded, one per rival; None: along the steepest descent of each margin.

    Raises:
        BoundsError: the walk fails.
        UsageError: a region that a certificate has no words for.
    """
    every = refinements(region)
    region = every[len(every) // 2]  # forms need far fewer parts than intervals
    stated = require_statement(region)
    latent, steep = instance.latent, steepest(instance, rivals) if forms is None else forms
    cover = region.cover()
    found = linear_bounds(
        network, cover, steep, affordable(network.encoder_graph, method, len(cover))
    )
    bounds = _with_recorded(found.lower, steep, latent)
    reach = replace(
        around(found.box, latent, stated),
        source=PROPAGATED,
        coefficients=steep,
        bounds=bounds,
        propagated=found.units,
    )
    return reach, FormBounds(bounds, np.full(len(bounds), np.inf), method)


def _with_recorded(
    lower: Float[NDArray[np.float64], " form"],
    forms: Float[NDArray[np.float64], "form location channel"],
    latent: Float[NDArray[np.float64], "location channel"],
) -> Float[NDArray[np.float64], " form"]:
    """Lower bounds of forms that the recorded latent meets, which belongs to the domain.

    Rounding may put it a little outside.
    """
    here = (forms * latent).sum(axis=(1, 2))
    return np.asarray(np.minimum(lower, here - 1e-9 * (1 + np.abs(here))))


def steepest(
    instance: Instance, rivals: Sequence[int]
) -> Float[NDArray[np.float64], "rival location channel"]:
    """Gradients of the margins at the instance: <gradient, z> falls where the margin does.

    A prototype acts at the location where it is nearest: d margin / d z_l is the sum of
    w_j sigma'(q_lj) 2 (z_l - p_j) over the prototypes nearest there.
    """
    head = instance.head
    place = np.argmin(instance.measurement, axis=0)
    nearest = instance.measurement[place, np.arange(len(place))]
    slope = instance.margin_weights[list(rivals)] * head.chain.derivative(nearest)
    rows = np.zeros((len(rivals), *instance.latent.shape))
    for location in np.unique(place).tolist():
        own = place == location
        apart = instance.latent[location] - head.prototypes[own]
        rows[:, location] = 2.0 * slope[:, own] @ apart
    return rows
