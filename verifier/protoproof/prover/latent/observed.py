"""Facts that are true at the instance, with their tightest float64 enclosures."""

from __future__ import annotations

from collections.abc import Iterable

from protoproof.prover.latent.enclosed import (
    enclosed_ceiling,
    enclosed_level,
    enclosed_measurement,
    enclosed_pooled,
)
from protoproof.prover.latent.facts import ActivationFact, CeilingFact, PairFact
from protoproof.prover.latent.instance import Instance


def pair_fact(instance: Instance, location: int, prototype: int) -> PairFact:
    """The measurement of one location and one prototype, as observed."""
    return PairFact(location, prototype, *enclosed_measurement(instance, location, prototype))


def activation_fact(instance: Instance, prototype: int) -> ActivationFact:
    """The pooled measurement of one prototype, as observed."""
    return ActivationFact(prototype, *enclosed_pooled(instance, prototype))


def ceiling_fact(instance: Instance, prototype: int, exempt: Iterable[int]) -> CeilingFact:
    """A ceiling at the level of ``prototype``; every prototype above it must be exempt."""
    free = tuple(sorted(exempt))
    return CeilingFact(enclosed_ceiling(instance, prototype, free), free)


def ceilings_of(instance: Instance) -> list[CeilingFact]:
    """Every ceiling that no other one implies, by the number that certificates use."""
    prototypes = range(instance.measurement.shape[1])
    # by the exact enclosures, so that the order is the checker's
    lower = [enclosed_level(instance, j) for j in prototypes]
    order = sorted(prototypes, key=lambda j: (lower[j], j))
    return [
        CeilingFact(lower[j], tuple(i for i in prototypes if lower[i] < lower[j])) for j in order
    ]
