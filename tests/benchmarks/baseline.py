"""The published algorithm, re-implemented from its description: what the ratios compare with.

Pairs, with the triangle or the hypersphere paradigm:

    E = the closest prototype of every location
    round robin over the locations, until verified: add the location's next closest prototype
    for e in E, last inserted first: drop e if what is left is verified

Every question recomputes the bounds of every location from its facts. Top-k:

    for k = 1, 2, ...: name the k largest activations; every other one lies in [0, a_(k)]

with 0 as the *assumed* least similarity, whatever the similarity's range is. The intervals are
those of ``protoproof.prover.oracle``'s comparison oracles; the search shares nothing with
the product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protoproof.prover.latent.domain import Free
from protoproof.prover.latent.instance import Instance, interval_margins
from protoproof.prover.oracle.interval import IntervalOracle, IntervalState
from protoproof.prover.oracle.triangle import TriangleOracle
from tests.benchmarks.hypersphere import HypersphereOracle

# The published code asks for a positive margin, with no reserve for rounding.
PARADIGMS: dict[str, IntervalOracle] = {
    "triangle": TriangleOracle(slack=0.0),
    "hypersphere": HypersphereOracle(slack=0.0),
}

Chosen = list[list[int]]


@dataclass(frozen=True)
class Outcome:
    """The pairs that were kept, in order of insertion, and how many there were before deletion."""

    pairs: tuple[tuple[int, int], ...]
    forward: int
    proved: bool


def verified(state: IntervalState, chosen: Chosen) -> bool:
    """Whether the facts prove every margin; every location's bounds are computed anew."""
    for location, prototypes in enumerate(chosen):
        state.set_location(location, prototypes)
    return state.proves(state.margins())


def pairs(instance: Instance, paradigm: str) -> Outcome:
    """The published explanation by pairs, deletion included."""
    state = PARADIGMS[paradigm].prepare(instance, Free())
    inserted, proved = _forward(instance, state)
    forward = len(inserted)
    if proved:
        for pair in reversed(list(inserted)):
            rest = [other for other in inserted if other != pair]
            if verified(state, _by_location(rest, len(instance.measurement))):
                inserted = rest
    return Outcome(tuple(inserted), forward, proved)


def _forward(instance: Instance, state: IntervalState) -> tuple[list[tuple[int, int]], bool]:
    """Pairs in order of insertion, and whether they are verified."""
    closeness = np.argsort(instance.measurement, axis=1, kind="stable")
    locations, prototypes = instance.measurement.shape
    inserted = [(location, int(closeness[location, 0])) for location in range(locations)]
    if verified(state, _by_location(inserted, locations)):
        return inserted, True
    for rank in range(1, prototypes):
        for location in range(locations):
            inserted.append((location, int(closeness[location, rank])))
            if verified(state, _by_location(inserted, locations)):
                return inserted, True
    return inserted, False


def _by_location(inserted: list[tuple[int, int]], locations: int) -> Chosen:
    chosen: Chosen = [[] for _ in range(locations)]
    for location, prototype in inserted:
        chosen[location].append(prototype)
    return chosen


def topk(instance: Instance) -> int | None:
    """Number of facts of the published top-k explanation: k activations and their ceiling."""
    activation = instance.activation
    ranking = np.argsort(-activation, kind="stable")
    for k in range(1, len(ranking) + 1):
        low, high = np.zeros_like(activation), np.full_like(activation, activation[ranking[k - 1]])
        named = ranking[:k]
        low[named] = high[named] = activation[named]
        margins = interval_margins(
            instance.supporting, instance.opposing, instance.margin_offset, low, high
        )
        if (margins > 0).all():
            return k + 1
    return None
