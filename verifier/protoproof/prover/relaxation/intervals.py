"""The tightest interval of every measurement on its own, and interval margins from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import FactSet, PairFact
from protoproof.prover.latent.geometry import measurement_range
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import pair_fact
from protoproof.prover.relaxation.apart import apart_of
from protoproof.prover.relaxation.boxed import Bounded
from protoproof.prover.relaxation.implied import Implied, implied, kin_of
from protoproof.prover.relaxation.least import Least
from protoproof.prover.relaxation.pair_bounds import Hull
from protoproof.prover.relaxation.spans import geometry_of, told_bounds

Vector = Float[NDArray[np.float64], " prototype"]


Matrix = Float[NDArray[np.float64], "location prototype"]


Margins = Float[NDArray[np.float64], " rival"]


# Float64 margins closer to zero than this are not worth sending to the checker: they are within
# reach of rounding in the prover. It is a filter, never a proof.
SLACK = 1e-9


class Known(NamedTuple):
    """What is known at one location: bounds of all q_lj, and the hull of its facts, if any."""

    low: Vector
    high: Vector
    hull: Hull | None
    facts: tuple[int, ...]


class Intervals:
    """Bounds of one instance's measurements under a growing and shrinking set of facts.

    ``low``, ``high`` are [L, P] bounds of q_lj given the pair facts at location l and the domain;
    ``near``, ``far`` [L, P] the domain's own ranges, and ``floor``, ``roof`` [P] what the domain
    alone says about the nearest distance; ``implied`` is what activation facts and ceilings say.
    A margin counts as proved above ``slack``.
    """

    def __init__(self, instance: Instance, domain: Domain, slack: float) -> None:
        self.instance = instance
        self.slack = slack
        shape = instance.measurement.shape
        self.near, self.far = measurement_range(instance.head, domain)
        self.bounded = Bounded.of(instance, domain) if instance.head.plain else None
        self.geometry, self.kin = geometry_of(instance, domain), kin_of(instance)
        self.apart = apart_of(instance)
        self.known = [self._bare(location) for location in range(shape[0])]
        self._ends = Least(np.stack([np.stack([known.low, known.high]) for known in self.known]))
        self.low: Matrix = self._ends.rows[:, 0]
        self.high: Matrix = self._ends.rows[:, 1]
        # of t_j, the pooled measurement
        self.floor, self.roof = self.seen()
        self.implied = self.told(FactSet())
        self._stated = FactSet()
        self._pairs: dict[tuple[int, int], PairFact] = {}

    def support_at(self) -> Int[NDArray[np.intp], " prototype"]:
        """The location at which forms bound a supporting prototype: where the instance matches it
        best. (That does not depend on the facts: a choice that followed their bounds could get
        worse with one more fact.)
        """
        return np.asarray(np.argmin(self.instance.measurement, axis=0))

    @property
    def chosen(self) -> list[tuple[int, ...]]:
        """Per location, the prototypes that have a fact there."""
        return [known.facts for known in self.known]

    @property
    def facts(self) -> FactSet:
        """All facts; those of pairs as they were stated, or else as the instance has them."""
        pairs = tuple(self._pair(*pair) for pair in self.pairs)
        return FactSet(pairs, self._stated.activations, self._stated.ceilings)

    def _pair(self, location: int, prototype: int) -> PairFact:
        if (location, prototype) not in self._pairs:
            self._pairs[location, prototype] = pair_fact(self.instance, location, prototype)
        return self._pairs[location, prototype]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """All (location, prototype) that have a fact, in order of location."""
        return [(location, j) for location, known in enumerate(self.known) for j in known.facts]

    def known_at(self, location: int, prototypes: Sequence[int]) -> Known:
        """What would be known at a location whose facts were exactly ``prototypes``."""
        if not prototypes:
            return self._bare(location)
        measurement = self.instance.measurement[location]
        known = self.known[location]
        if self.geometry is not None:
            return self._other(location, tuple(prototypes))
        if known.hull is not None and known.facts == tuple(prototypes[:-1]):
            hull = known.hull.adding(self.instance.gram, measurement, prototypes[-1])
        else:
            hull = Hull.of(self.instance.gram, measurement, prototypes)
        low, high = hull.bounds()
        low, high = np.maximum(low, self.near[location]), np.minimum(high, self.far[location])
        if self.bounded is not None:
            low, high = self.bounded.tighten(location, hull, low, high)
        named = list(prototypes)
        low[named] = high[named] = measurement[named]
        self._leave_other_banks(location, low, high)
        return Known(low, high, hull, tuple(named))

    def ends_without_each(self, location: int) -> tuple[Matrix, Matrix]:
        """Bounds [fact, P] of all measurements at a location were each of its facts not assumed."""
        known = self.known[location]
        if known.hull is None or self.bounded is not None or len(known.hull.spanning) == 1:
            rest = [[j for j in known.facts if j != gone] for gone in known.facts]
            each = [self.known_at(location, some) for some in rest]
            return np.stack([one.low for one in each]), np.stack([one.high for one in each])
        facts, rows = list(known.facts), np.arange(len(known.facts))
        low, high = np.tile(known.low, (len(facts), 1)), np.tile(known.high, (len(facts), 1))
        least, most = known.hull.bounds_without_each()
        spans = [facts.index(j) for j in known.hull.spanning]  # the others change nothing
        low[spans] = np.maximum(least, self.near[location])
        high[spans] = np.minimum(most, self.far[location])
        gone = low[rows, facts], high[rows, facts]
        low[:, facts] = high[:, facts] = self.instance.measurement[location, facts]
        low[rows, facts], high[rows, facts] = gone
        if self.instance.head.mask is not None:
            low[:, ~self.instance.head.mask[location]] = np.inf
            high[:, ~self.instance.head.mask[location]] = np.inf
        return low, high

    def _other(self, location: int, prototypes: tuple[int, ...]) -> Known:
        """As :meth:`known_at`, of measurements that are no squared distances."""
        low, high = self.near[location], self.far[location]
        if self.geometry is not None:
            told = told_bounds(self.geometry, location, prototypes, len(low))
            low, high = np.maximum(low, told[0]), np.minimum(high, told[1])
        named = list(prototypes)
        low, high = low.copy(), high.copy()
        low[named] = high[named] = self.instance.measurement[location, named]
        self._leave_other_banks(location, low, high)
        return Known(low, high, None, prototypes)

    def _leave_other_banks(self, location: int, low: Vector, high: Vector) -> None:
        """Nothing is measured between banks."""
        if self.instance.head.mask is not None:
            other = ~self.instance.head.mask[location]
            low[other] = high[other] = np.inf

    def _bare(self, location: int) -> Known:
        """What the domain alone says about a location."""
        low, high = self.near[location], self.far[location]
        if self.bounded is not None:
            low, high = self.bounded.tighten(location, None, low, high)
        return Known(low, high, None, ())

    def put(self, location: int, known: Known) -> Known:
        """Make ``known`` what is known at a location; returns what was known before."""
        before = self.known[location]
        self.known[location] = known
        self._ends.put(location, np.stack([known.low, known.high]))
        return before

    def set_location(self, location: int, prototypes: Sequence[int]) -> None:
        """Make ``prototypes`` the facts of a location; no other location is touched."""
        self.put(location, self.known_at(location, prototypes))

    def follow(self, other: Intervals) -> None:
        """Give every location the pair facts that another state has there, in the same order."""
        for location, prototypes in enumerate(other.chosen):
            self.set_location(location, prototypes)

    def adopt(self, facts: FactSet) -> None:
        """Make ``facts`` what the state is about; locations whose facts stay are not touched."""
        wanted: list[list[int]] = [[] for _ in self.known]
        for fact in facts.pairs:
            wanted[fact.location].append(fact.prototype)
        for location, prototypes in enumerate(wanted):
            if sorted(self.known[location].facts) != prototypes:
                self.set_location(location, prototypes)
        self._stated = facts
        self._pairs.update({(fact.location, fact.prototype): fact for fact in facts.pairs})
        self.imply(facts)

    def imply(self, facts: FactSet) -> None:
        """Take from ``facts`` what activation facts and ceilings say about nearest distances."""
        self.implied = self.told(facts)

    def told(self, facts: FactSet) -> Implied:
        """What activation facts and ceilings of a set say about pooled measurements."""
        head = self.instance.head
        count = len(head.prototypes)
        return implied(
            count,
            facts.activations,
            facts.ceilings,
            self.kin,
            uniform=head.uniform,
            apart=self.apart,
        )

    def seen(self) -> tuple[Vector, Vector]:
        """Bounds of the pooled measurements from domain and pair facts alone."""
        if self.instance.head.all_nearest:
            low, high = self._ends.all
            return low, high
        return self.instance.head.pooled_between(self.low, self.high)

    def elsewhere(self, location: int) -> tuple[Vector, Vector]:
        """Bounds of the nearest measurements at all other locations; infinite without any."""
        low, high = self._ends.without(location)
        return low, high

    def nearest(self) -> tuple[Vector, Vector]:
        """Bounds of the pooled measurements."""
        low, high = self.seen()
        return np.maximum(low, self.implied.low), np.minimum(high, self.implied.high)

    def bounded_margins(self) -> Margins:
        """Lower bounds of all margins from these intervals."""
        return margins_between(self.instance, *self.nearest(), self.implied.top)

    def proves(self, margins: Margins) -> bool:
        """Whether every margin is above the slack; False for NaN, so it fails closed."""
        return bool((margins > self.slack).all())


def margins_between(
    instance: Instance, low: Vector, high: Vector, top: Vector | None = None
) -> Margins:
    """Lower bounds of all margins when each pooled measurement lies in [low, high].

    Args:
        top: the greatest activations, where something bounds them from above.
    """
    least, most = instance.head.activation_between(low, high)
    return instance.atoms.least(least, most if top is None else np.minimum(most, top))
