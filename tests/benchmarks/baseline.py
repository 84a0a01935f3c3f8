"""The published algorithms, implemented anew from their description: what the ratios compare with.

Pairs, with one of the paradigms of :data:`PARADIGMS`:

    E = the closest prototype of every location
    round robin over the locations, until verified: add the location's next closest prototype
    for e in E, last inserted first: drop e if what is left is verified

Top-k:

    for k = 1, 2, ...: name the k largest activations; every other one lies in [0, a_(k)]

with 0 as the *assumed* least similarity, whatever the similarity's range is. The intervals are
those of comparison oracles (``protoproof.prover.oracle.triangle``, ``hypersphere`` and ``cap``
here); the search shares nothing with the product. For comparison only.

Sources: abductive latent explanations for prototype networks, and Soria et al., "Beyond L2:
Generalizing Abductive Latent Explanations to Diverse Prototype-Based Architectures", ECML PKDD,
2026.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.latent.atoms import Atoms
from protoproof.prover.latent.domain import Domain, Free
from protoproof.prover.latent.instance import Instance
from protoproof.prover.oracle.interval import IntervalOracle, IntervalState
from protoproof.prover.oracle.triangle import TriangleOracle
from tests.benchmarks.cap import CapOracle
from tests.benchmarks.hypersphere import HypersphereOracle

Vector = Float[NDArray[np.float64], " prototype"]

# The published code asks for a positive margin, with no reserve for rounding. The triangle is that
# of distances or of angles, as the head measures.
PARADIGMS: dict[str, IntervalOracle] = {
    "triangle": TriangleOracle(slack=0.0),
    "hypersphere": HypersphereOracle(slack=0.0),
    "cap": CapOracle(slack=0.0),
}

Chosen = list[list[int]]


@dataclass(frozen=True)
class Outcome:
    """The pairs that were kept, in order of insertion, and how many there were before deletion."""

    pairs: tuple[tuple[int, int], ...]
    forward: int
    proved: bool


class Verifier:
    """Whether pairs prove every margin.

    Args:
        state: the bounds.
        afresh: compute every location's bounds anew at every question, as the published algorithm
            is described (and timed); else only where the facts changed, with equal results.
    """

    def __init__(self, state: IntervalState, *, afresh: bool) -> None:
        self.state, self.afresh = state, afresh
        self.known: Chosen = [[] for _ in state.known]

    def verified(self, chosen: Chosen) -> bool:
        """Whether these facts, per location in order of insertion, do."""
        for location, prototypes in enumerate(chosen):
            if self.afresh or prototypes != self.known[location]:
                self.state.set_location(location, prototypes)
        self.known = [list(prototypes) for prototypes in chosen]
        return self.state.proves(self.state.margins())


def pairs(
    instance: Instance, paradigm: str, domain: Domain | None = None, *, afresh: bool = True
) -> Outcome:
    """The published explanation by pairs, deletion included."""
    state = PARADIGMS[paradigm].prepare(instance, domain or Free())
    verifier = Verifier(state, afresh=afresh)
    inserted, proved = _forward(instance, verifier)
    forward = len(inserted)
    if proved:
        for pair in reversed(list(inserted)):
            rest = [other for other in inserted if other != pair]
            if verifier.verified(_by_location(rest, len(instance.measurement))):
                inserted = rest
    return Outcome(tuple(inserted), forward, proved)


def _forward(instance: Instance, verifier: Verifier) -> tuple[list[tuple[int, int]], bool]:
    """Pairs in order of insertion, and whether they are verified."""
    closeness = np.argsort(instance.measurement, axis=1, kind="stable")
    locations, prototypes = instance.measurement.shape
    inserted = [(location, int(closeness[location, 0])) for location in range(locations)]
    if verifier.verified(_by_location(inserted, locations)):
        return inserted, True
    for rank in range(1, prototypes):
        for location in range(locations):
            prototype = int(closeness[location, rank])
            if not np.isfinite(instance.measurement[location, prototype]):
                continue  # of another bank: nothing is measured
            inserted.append((location, prototype))
            if verifier.verified(_by_location(inserted, locations)):
                return inserted, True
    return inserted, False


def _by_location(inserted: list[tuple[int, int]], locations: int) -> Chosen:
    chosen: Chosen = [[] for _ in range(locations)]
    for location, prototype in inserted:
        chosen[location].append(prototype)
    return chosen


def topk(activation: Vector, atoms: Atoms, floor: Vector | None = None) -> int | None:
    """Number of facts of the published top-k explanation: k activations and their ceiling.

    Args:
        activation: what is ranked and named.
        atoms: the margins, over the same.
        floor: the least activations; the 0 that is published by default, which is an explanation
            only where no activation can be negative.
    """
    least = np.zeros_like(activation) if floor is None else floor
    ranking = np.argsort(-activation, kind="stable")
    for k in range(1, len(ranking) + 1):
        named = ranking[:k]
        low, high = least.copy(), np.full_like(activation, activation[ranking[k - 1]])
        low[named] = high[named] = activation[named]
        if (atoms.least(low, high) > 0).all():
            return k + 1
    return None
