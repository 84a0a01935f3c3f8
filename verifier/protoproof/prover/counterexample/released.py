"""What every fact of a set releases when it is left out: the spheres that the others leave."""

from __future__ import annotations

from functools import cached_property

from protoproof.prover.counterexample.constraints import Demands
from protoproof.prover.counterexample.feasible_set import Spheres
from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import Fact, FactSet
from protoproof.prover.latent.instance import Instance


class Released:
    """The demands of a set of facts, and of the set without each of them (``relaxed``).

    ``spheres`` has one site per location, and one per location that some fact releases.
    """

    def __init__(self, instance: Instance, domain: Domain, facts: FactSet) -> None:
        self.instance, self.facts, self._domain = instance, facts, domain
        self.demands = Demands(instance, facts)
        self._wanted = [*self.demands.kept]
        self._index = {
            (location, kept): location for location, kept in enumerate(self.demands.kept)
        }
        self._locations = list(range(len(instance.latent)))
        self.relaxed: dict[Fact, Demands] = {}
        for fact in facts:
            relaxed = self.relaxed[fact] = self.demands.dropping(fact)
            for location in self.demands.released(fact):
                key = location, relaxed.kept[location]
                if key not in self._index:
                    self._index[key] = len(self._locations)
                    self._locations.append(location)
                    self._wanted.append(relaxed.kept[location])

    @cached_property
    def spheres(self) -> Spheres:
        """The sphere of every site."""
        return Spheres.around(
            self.instance.head.prototypes,
            self.instance.latent[self._locations],
            self._wanted,
            self._domain,
            self._locations,
            len(self.instance.latent),
        )

    def site(self, demands: Demands, location: int) -> int:
        """The site of a location under some demands of this set."""
        return self._index[location, demands.kept[location]]
