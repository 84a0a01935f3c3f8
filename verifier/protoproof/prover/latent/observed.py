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


def _nearest(instance: Instance, prototype: int) -> tuple[float, float]:
    return enclose_nearest(
        instance.latent, instance.head.prototypes[prototype], instance.measurement[:, prototype]
    )
