"""Facts that are true at the instance, with their tightest float64 enclosures."""

from __future__ import annotations

from collections.abc import Iterable

from protoproof.arithmetic.enclosure import enclose_nearest, enclose_squared_distance
from protoproof.prover.latent.facts import ActivationFact, CeilingFact, PairFact
from protoproof.prover.latent.instance import Instance


def pair_fact(instance: Instance, location: int, prototype: int) -> PairFact:
    """The squared distance of one location to one prototype, as observed."""
    lower, upper = enclose_squared_distance(
        instance.latent[location], instance.head.prototypes[prototype]
    )
    return PairFact(location, prototype, lower, upper)


def activation_fact(instance: Instance, prototype: int) -> ActivationFact:
    """The nearest squared distance to one prototype, as observed."""
    lower, upper = _nearest(instance, prototype)
    return ActivationFact(prototype, lower, upper)


def ceiling_fact(instance: Instance, prototype: int, exempt: Iterable[int]) -> CeilingFact:
    """A ceiling at the activation of ``prototype``; every prototype above it must be exempt."""
    return CeilingFact(_nearest(instance, prototype)[0], tuple(sorted(exempt)))


def ceilings_of(instance: Instance) -> list[CeilingFact]:
    """Every ceiling that no other one implies, by the number that certificates use."""
    prototypes = range(instance.measurement.shape[1])
    # by the exact enclosures, so that the order is the checker's
    lower = [activation_fact(instance, j).lower for j in prototypes]
    order = sorted(prototypes, key=lambda j: (lower[j], j))
    return [ceiling_fact(instance, j, [i for i in order if lower[i] < lower[j]]) for j in order]


def _nearest(instance: Instance, prototype: int) -> tuple[float, float]:
    return enclose_nearest(
        instance.latent, instance.head.prototypes[prototype], instance.measurement[:, prototype]
    )
