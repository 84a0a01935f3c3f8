"""Whether every fact of an explanation holds over a region of inputs.

The propagation gives a box of latents that holds all that the encoder makes of the region. Over a
box, q_lj lies between the squared distance to its nearest and to its farthest corner, and the best
measurement m_j, the least over locations, between the least of the lower bounds and the least of
the upper ones. A fact whose interval contains such a range holds for every input of the region; and
where the facts force a class, all of the region has it, for this reason.

That argument needs the reachable latents to be in the explanation's domain: they are where the
domain is free, what the encoder's last operator guarantees, or what the same region reaches.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from protoproof.certificate.input_region import InputRegion
from protoproof.certificate.schema import (
    ActivationFact,
    BoxDomain,
    CeilingFact,
    Core,
    Fact,
    FreeDomain,
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
from protoproof.kernel.latent.bounds import Interval
from protoproof.kernel.latent.ranges import domain_ranges
from protoproof.kernel.model.file import BoundHead
from protoproof.kernel.model.graph import Graph

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
    ranges = _ranges(inputs, graph, bound)
    each = 4 * OPERATION * bound.head.location_count
    for index, fact in enumerate(core.facts):
        several = bound.head.prototype_count if isinstance(fact, CeilingFact) else 1
        spend("the facts over the region", each * several)
        if not _holds(fact, ranges):
            yield f"over the region: fact {index} may fail"
    return Held(region, core.facts)


def _ranges(inputs: Inputs, graph: Graph, bound: BoundHead) -> list[list[Interval]]:
    """[L][P] bounds of every q_lj over the region, over ``2**GRID``, rounded outwards."""
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
    return domain_ranges(bound.head, BoundedDomain.around(low, high))


def _holds(fact: Fact, ranges: list[list[Interval]]) -> bool:
    if isinstance(fact, PairFact):
        return _within(ranges[fact.location][fact.prototype], fact.lower, fact.upper)
    if isinstance(fact, ActivationFact):
        return _within(_best(ranges, fact.prototype), fact.lower, fact.upper)
    least, exempt = hex_ratio(fact.bound), set(fact.exempt)
    return all(
        at_most(least, (_best(ranges, prototype)[0], _ONE))
        for prototype in range(len(ranges[0]))
        if prototype not in exempt
    )


def _best(ranges: list[list[Interval]], prototype: int) -> Interval:
    """Bounds of m_j, the least of all locations."""
    columns = [row[prototype] for row in ranges]
    return min(low for low, _ in columns), min(
        (high for _, high in columns if high is not None), default=None
    )


def _within(found: Interval, lower: str, upper: str) -> bool:
    low, high = found
    if high is None or not at_most(hex_ratio(lower), (low, _ONE)):
        return False
    return at_most((high, _ONE), hex_ratio(upper))
