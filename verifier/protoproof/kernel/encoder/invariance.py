"""Whether every fact of an explanation holds over a region of inputs.

The propagation gives a box of latents that holds all that the encoder makes of the region. Over a
box, every measurement, pooled value and activation has a range (see ``ranges`` and ``bounds``). A
fact whose interval contains such a range holds for every input of the region; and
where the facts force a class, all of the region has it, for this reason.

That argument needs the reachable latents to be in the explanation's domain: they are where the
domain is free, what the encoder's last operator guarantees, or what the same region reaches.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from flint import ctx

from protoproof.certificate.input_region import InputRegion
from protoproof.certificate.schema import (
    ActivationFact,
    BoxDomain,
    CeilingFact,
    Core,
    Fact,
    FreeDomain,
    IntervalEvidence,
    PairFact,
    ReachDomain,
)
from protoproof.kernel.arithmetic.exact import GRID, at_most, hex_ratio
from protoproof.kernel.budget import OPERATION, current, rounds, spend
from protoproof.kernel.claims import Held
from protoproof.kernel.encoder.input_region import Inputs
from protoproof.kernel.encoder.interval import IntervalPropagation
from protoproof.kernel.encoder.latents import latent_range
from protoproof.kernel.latent.bounded import BoundedDomain
from protoproof.kernel.latent.bounds import Bounds, Interval, as_ends, on_grid
from protoproof.kernel.model.file import BoundHead
from protoproof.kernel.model.graph import Graph
from protoproof.kernel.model.head import Head

_ONE = 1 << GRID


def unheld(
    core: Core, region: InputRegion, graph: Graph, bound: BoundHead
) -> Generator[str, None, Held]:
    """Facts that may fail somewhere in the region, and what else keeps the claim from being one.

    Raises:
        ReplayError: the propagation cannot go on.
        CertificateError, ModelError: malformed numbers or model.
    """
    domain = core.domain
    same = isinstance(domain, ReachDomain) and domain.region == region and not domain.bounds
    if not (same or isinstance(domain, FreeDomain | BoxDomain)):
        yield "over the region: the domain does not hold all that the region can reach"
    if not core.facts:
        yield "over the region: there is no fact"
    inputs = Inputs(region)
    if inputs.digest != core.instance.input_sha256:
        yield "over the region: it lies around another input than the one with the recorded hash"
    bounds = _bounds(core, inputs, graph, bound)
    each = 4 * OPERATION * bound.head.location_count
    for index, fact in enumerate(core.facts):
        several = bound.head.prototype_count if isinstance(fact, CeilingFact) else 1
        spend("the facts over the region", each * several)
        if not _holds(fact, bounds, bound.head):
            yield f"over the region: fact {index} may fail"
    return Held(region, core.facts)


def _bounds(core: Core, inputs: Inputs, graph: Graph, bound: BoundHead) -> Bounds:
    """Bounds of every measurement and pooled value over the region, without any fact."""
    low = high = None
    for box, parametric in rounds(inputs.starts(), inputs.pieces, "a walk"):
        with current().scope():
            least, most = latent_range(
                IntervalPropagation(graph, box, parametric, keep=False), bound.latent_tensor
            )
        low = least if low is None else np.minimum(low, least)
        high = most if high is None else np.maximum(high, most)
    if low is None or high is None:
        raise ValueError("a region without a box")
    bare = core.model_copy(update={"facts": (), "evidence": IntervalEvidence()})
    return Bounds(bound.head, bare, BoundedDomain.around(low, high))


def _holds(fact: Fact, bounds: Bounds, head: Head) -> bool:
    if isinstance(fact, PairFact):
        return _within(bounds.at(fact.location, fact.prototype), fact.lower, fact.upper)
    if isinstance(fact, ActivationFact):
        return _within(bounds.best[fact.prototype], fact.lower, fact.upper)
    least, exempt = hex_ratio(fact.bound), set(fact.exempt)
    levels = (_level(bounds, head, j) for j in range(head.prototype_count) if j not in exempt)
    return all(level is not None and at_most(least, (level, _ONE)) for level in levels)


def _level(bounds: Bounds, head: Head, prototype: int) -> int | None:
    """A lower bound of what ceilings bound; None where there is none."""
    low, high = bounds.best[prototype]
    if head.uniform:
        return low
    spend("the activations over the region", head.chain.cost)
    with ctx.workprec(2 * GRID):
        _, top = on_grid(*head.chain.range(prototype, *as_ends(low, high)))
    return None if top is None else -top


def _within(found: Interval, lower: str, upper: str) -> bool:
    low, high = found
    if low is None or high is None or not at_most(hex_ratio(lower), (low, _ONE)):
        return False
    return at_most((high, _ONE), hex_ratio(upper))
