"""What a set of facts asks of a latent that moves: distances to keep, and limits to respect.

An activation fact is met when the location that attains the least distance keeps it and no other
location comes nearer; a ceiling when no location comes nearer than its bound. This is a
sufficient reading (another location could take over the least distance), good for a search.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.counterexample.feasible_set import Spheres, independent
from protoproof.prover.latent.facts import ActivationFact, CeilingFact, Fact, FactSet, PairFact
from protoproof.prover.latent.instance import Instance

# Opposing prototypes that a starting point aims at.
_OPPONENTS = 24


@dataclass(frozen=True)
class Demands:
    """The demands of some facts on every location of one instance."""

    instance: Instance
    facts: FactSet

    def wanted(self, location: int) -> tuple[int, ...]:
        """The prototypes whose distance from a location stays; none is implied by the others."""
        named = {fact.prototype for fact in self.facts.pairs if fact.location == location}
        named |= {j for j, at in self._attained.items() if at == location}
        keep = sorted(named)
        chosen = independent(self.instance.head.prototypes[keep])
        return tuple(keep[index] for index in chosen)

    @cached_property
    def kept(self) -> tuple[tuple[int, ...], ...]:
        """``wanted`` of every location."""
        return tuple(self.wanted(location) for location in range(len(self.instance.latent)))

    def dropping(self, fact: Fact) -> Demands:
        """The demands of all facts but one."""
        rest = Demands(self.instance, self.facts.without(fact))
        kept = list(self.kept)
        for location in self.released(fact):
            kept[location] = rest.wanted(location)
        rest.__dict__["kept"] = tuple(kept)  # fills the cached property
        return rest

    def released(self, fact: Fact) -> list[int]:
        """The locations that need not keep a distance when a fact is dropped."""
        match fact:
            case PairFact(location=location):
                return [location]
            case ActivationFact(prototype=prototype):
                return [self.attained(prototype)]
            case CeilingFact():
                return []

    @cached_property
    def limit(self) -> Float[NDArray[np.float64], "location prototype"]:
        """The least distance of every location to every prototype; 0 where any will do.

        Kept distances are left out: they cannot change.
        """
        shape = self.instance.measurement.shape
        if not self.facts.ceilings and not self.facts.activations:
            return np.broadcast_to(0.0, shape)  # nothing is written to it, and it takes no memory
        bound = np.zeros(shape[1])
        for ceiling in self.facts.ceilings:
            under = np.maximum(bound, self._least(ceiling))
            exempt = list(ceiling.exempt)
            under[exempt] = bound[exempt]
            bound = under
        for named in self.facts.activations:
            bound[named.prototype] = max(named.lower, bound[named.prototype])
        limit = np.tile(bound, (len(self.instance.latent), 1))
        for location, keep in enumerate(self.kept):
            limit[location, list(keep)] = 0.0
        return limit

    def _least(self, ceiling: CeilingFact) -> Float[NDArray[np.float64], " prototype"]:
        """The least distance that a ceiling allows every prototype.

        Where prototypes are treated differently it is about activations, so that each has a
        distance of its own: the largest one at which the similarity is as great as that; none where
        no distance makes it so great.
        """
        head, count = self.instance.head, self.instance.measurement.shape[1]
        if head.uniform:
            return np.full(count, ceiling.bound)
        least = head.chain.inverse(np.full(count, -ceiling.bound))
        return np.nan_to_num(least, nan=0.0, posinf=np.inf)

    @cached_property
    def _attained(self) -> dict[int, int]:
        """Named prototype -> the location that attains its least distance."""
        return {named.prototype: self.attained(named.prototype) for named in self.facts.activations}

    @property
    def free(self) -> list[int]:
        """Locations that keep nothing."""
        return [location for location, keep in enumerate(self.kept) if not keep]

    def locations(self, dropped: Fact) -> list[int]:
        """Locations that gain freedom when one more fact is dropped, the most promising ones."""
        if isinstance(dropped, CeilingFact):
            return self.free[-2:] or list(range(min(len(self.instance.latent), 4)))
        spare = self.free[-1:] if isinstance(dropped, ActivationFact) else []
        return list(dict.fromkeys([*self.released(dropped), *spare]))

    def attained(self, prototype: int) -> int:
        """The location that is nearest to a prototype."""
        return int(np.argmin(self.instance.measurement[:, prototype]))

    def spread(
        self, weights: Float[NDArray[np.float64], " prototype"]
    ) -> Float[NDArray[np.float64], "location channel"]:
        """Points to aim at: the free locations as near to opposing prototypes as allowed.

        ``weights`` are those of one rival's margin. Each of the strongest opponents gets a
        location, placed at its limit on the side of the other opponents; the other locations
        stay at v.
        """
        points = self.instance.latent.copy()
        free = self.free
        opposing = np.argsort(weights, kind="stable")[: max(len(free), 1)]
        opposing = opposing[weights[opposing] < 0]
        if not free or not len(opposing):
            return points
        prototypes = self.instance.head.prototypes
        middle = prototypes[opposing].mean(axis=0)
        for index, location in enumerate(free):
            j = int(opposing[index % len(opposing)])
            away = middle - prototypes[j]
            if not away.any():
                away = points[location] - prototypes[j]
            length = float(np.linalg.norm(away)) or 1.0
            distance = np.sqrt(1.01 * self.limit[location, j])
            points[location] = prototypes[j] + distance * away / length
        return points

    def nearest(
        self, weights: Float[NDArray[np.float64], " prototype"], spheres: Spheres
    ) -> Float[NDArray[np.float64], "location channel"]:
        """As ``spread``, and every strong opponent is met by the location that gets nearest to it.

        ``spheres`` [L]: where each location may go.
        """
        points = self.spread(weights)
        prototypes = self.instance.head.prototypes
        opposing = np.argsort(weights, kind="stable")[:_OPPONENTS]
        taken = set(self.free)
        for j in opposing[weights[opposing] < 0]:
            near = spheres.onto(np.broadcast_to(prototypes[j], points.shape))
            measured = ((near - prototypes[j]) ** 2).sum(axis=1)
            for location in np.argsort(measured, kind="stable").tolist():
                if location not in taken and measured[location] >= self.limit[location, j]:
                    points[location] = near[location]
                    taken.add(location)
                    break
        return points
