"""Facts: statements about the latent that are true at the explained instance.

Bounds of pairs are measurements m_lj, those of activations pooled measurements t_j: "activation at
least s" is "nearest distance at most q". Ceilings are about levels: t_j itself in a head whose
prototypes are all treated alike, else -a_j.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from protoproof.errors import InternalError


@dataclass(frozen=True, order=True)
class PairFact:
    """``lower <= m_lj <= upper`` for one location and one prototype."""

    location: int
    prototype: int
    lower: float
    upper: float


@dataclass(frozen=True, order=True)
class ActivationFact:
    """``lower <= t_j <= upper`` for one prototype: its pooled measurement."""

    prototype: int
    lower: float
    upper: float


@dataclass(frozen=True, order=True)
class CeilingFact:
    """``level_j >= bound`` for every prototype outside ``exempt``.

    The list belongs to the fact: dropping an activation fact never changes what the ceiling says,
    so the entailed class is monotone in the set of facts.
    """

    bound: float
    exempt: tuple[int, ...]


Fact = PairFact | ActivationFact | CeilingFact


@dataclass(frozen=True)
class FactSet:
    """A set of facts in canonical order: ceilings, activations, pairs.

    Several ceilings are a staircase: the lower a step, the more prototypes it exempts.

    Raises:
        InternalError: two facts about the same pair or prototype, or one ceiling twice.
    """

    pairs: tuple[PairFact, ...] = ()
    activations: tuple[ActivationFact, ...] = ()
    ceilings: tuple[CeilingFact, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "pairs", tuple(sorted(self.pairs)))
        object.__setattr__(self, "activations", tuple(sorted(self.activations)))
        object.__setattr__(self, "ceilings", tuple(sorted(self.ceilings)))
        places = {(fact.location, fact.prototype) for fact in self.pairs}
        named = {fact.prototype for fact in self.activations}
        if (len(places), len(named), len(set(self.ceilings))) != (
            len(self.pairs),
            len(self.activations),
            len(self.ceilings),
        ):
            raise InternalError("two facts speak about the same measurement")

    def __len__(self) -> int:
        return len(self.pairs) + len(self.activations) + len(self.ceilings)

    def __iter__(self) -> Iterator[Fact]:
        yield from self.ceilings
        yield from self.activations
        yield from self.pairs

    def without(self, fact: Fact) -> FactSet:
        """The same set less one fact."""
        return FactSet(
            tuple(other for other in self.pairs if other != fact),
            tuple(other for other in self.activations if other != fact),
            tuple(other for other in self.ceilings if other != fact),
        )

    def at(self, location: int) -> tuple[PairFact, ...]:
        """The pair facts of one location."""
        return tuple(fact for fact in self.pairs if fact.location == location)


def of_facts(facts: Iterable[Fact]) -> FactSet:
    """A list of facts as a set."""
    listed = list(facts)
    return FactSet(
        tuple(fact for fact in listed if isinstance(fact, PairFact)),
        tuple(fact for fact in listed if isinstance(fact, ActivationFact)),
        tuple(fact for fact in listed if isinstance(fact, CeilingFact)),
    )
