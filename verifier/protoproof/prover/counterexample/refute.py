"""Refuting sets of facts: latents that meet a set and are predicted otherwise, many sets at once.

A refutation of E is a latent of the domain that meets all of E and certainly loses. Every
explanation must contain a fact that this latent violates, so each refutation is a *clause* of the
search for a smallest explanation; the fewer facts it violates, the more it says. *Growing* moves
the latent until it meets as many facts of the vocabulary as it can:

    for groups of violated facts, the least useful for the loss first:
        if a latent meets E, the facts kept so far and the group, and still loses: keep the group
        else: try its halves; a single fact that fails stays violated

The search is float64 and deterministic; what it returns was replayed exactly.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.counterexample.any_witness import first_losing
from protoproof.prover.counterexample.ascent import Descent, Task
from protoproof.prover.counterexample.constraints import Demands
from protoproof.prover.counterexample.feasible_set import Spheres
from protoproof.prover.counterexample.moves import (
    CLEAR,
    Deviation,
    moved_locations,
    moves_that_matter,
)
from protoproof.prover.counterexample.narrow import Losing, Narrowing, Sphere
from protoproof.prover.counterexample.seek import Seeker, weakest
from protoproof.prover.counterexample.starts import SPARE, STARTS, Starts
from protoproof.prover.latent.domain import Domain, Free
from protoproof.prover.latent.facts import (
    ActivationFact,
    CeilingFact,
    Fact,
    FactSet,
    PairFact,
    of_facts,
)
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import activation_fact, ceilings_of, pair_fact
from protoproof.prover.latent.reach import refuting
from protoproof.prover.latent.replay import Move
from protoproof.prover.latent.replay_any import Judge, judge_of

Kinds = frozenset[Literal["pairs", "activations", "ceilings"]]
Latent = Float[NDArray[np.float64], "location channel"]
# Steps of descent (stage by stage, until a latent loses), exact replays per stage.
_STEPS, _REPLAYS = (0, 10, 40), 3
# Squared distances in one batch of the search: 32 MiB.
_BATCH = 1 << 22


@dataclass(frozen=True, eq=False)
class Refutation:
    """A latent that loses to ``rival``; ``violated`` are all facts of the vocabulary it breaks.

    ``latent`` is where the search found it, in float64; ``moves`` are exact.
    """

    rival: int
    moves: tuple[Move, ...]
    violated: frozenset[Fact]
    latent: Latent


class Refuter:
    """Searches refutations for one instance and domain.

    Args:
        kinds: which facts the vocabulary chooses among.
        target: the class that a latent has to be predicted as; None for any but the instance's.
        now: the clock; the search ends where it passes a deadline.
    """

    def __init__(
        self,
        instance: Instance,
        domain: Domain,
        *,
        kinds: Kinds,
        target: int | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.instance, self.kinds = instance, kinds
        self.domain = refuting(domain, instance.latent)
        self.descent = Descent(instance.head, instance.engine)
        self._now = now
        self.target = target
        rows = np.argsort(instance.margins, kind="stable")
        rows = rows[[target in (None, instance.rivals[row]) for row in rows]]
        self._rivals = [instance.rivals[row] for row in rows]
        self._weights, self._offset = instance.margin_weights[rows], instance.margin_offset[rows]
        self._pairs: dict[int, list[Fact]] = {}
        self._starts = None
        if instance.head.plain:
            self._starts = Starts(instance, self.descent, self._weights, self._offset)

    @cached_property
    def replay(self) -> Judge:
        """The exact judge, made when the first candidate appears."""
        return judge_of(self.instance, self.domain)

    @cached_property
    def _seeker(self) -> Seeker:
        """The general search, where the fast one does not apply."""
        labels = self.instance.head.decision.kind == "labels"
        return Seeker(self.instance, self.domain, target=None if labels else self.target)

    def elements(self) -> list[Fact]:
        """All facts that the vocabulary chooses among: pairs, activations, ceilings, in order."""
        locations = range(len(self.instance.latent)) if "pairs" in self.kinds else ()
        return [fact for location in locations for fact in self._pairs_at(location)] + self._global

    def _pairs_at(self, location: int) -> list[Fact]:
        if location not in self._pairs:
            prototypes = np.flatnonzero(np.isfinite(self.instance.measurement[location])).tolist()
            self._pairs[location] = [pair_fact(self.instance, location, j) for j in prototypes]
        return self._pairs[location]

    @cached_property
    def _global(self) -> list[Fact]:
        """The facts that are about no single location."""
        prototypes = range(self.instance.measurement.shape[1])
        found: list[Fact] = []
        if "activations" in self.kinds:
            found += [activation_fact(self.instance, j) for j in prototypes]
        if "ceilings" in self.kinds:
            found += ceilings_of(self.instance)
        return found

    def refute(
        self, sets: Sequence[FactSet], near: Sequence[Refutation | None] | None = None
    ) -> list[Refutation | None]:
        """Per set, a latent that meets it and loses, where one is found.

        Args:
            sets: facts of the vocabulary, with at most one ceiling.
            near: refutations of subsets, to start from.
        """
        if not self.instance.head.plain:
            return [self._sought(facts) for facts in sets]
        known = list(near) if near is not None else [None] * len(sets)
        found: list[Refutation | None] = []
        locations, prototypes = self.instance.measurement.shape
        size = max(1, _BATCH // (STARTS * locations * prototypes))
        for first in range(0, len(sets), size):
            found += self._batch(sets[first : first + size], known[first : first + size])
        return found

    def grow(
        self, facts: FactSet, refutation: Refutation, deadline: float = float("inf")
    ) -> Refutation:
        """A refutation of ``facts`` that meets more facts of the vocabulary; see the module."""
        kept, current = facts, refutation
        groups = [self.by_use(current)]
        while groups and self._now() < deadline:
            group = [fact for fact in groups.pop(0) if fact in current.violated]
            if not group or (len(group) == len(current.violated) and len(group) == 1):
                continue  # what violates nothing cannot lose
            found = None
            if len(group) < len(current.violated):
                trial = _joined(kept, group)
                (found,) = self.refute([trial], [current])
            if found is not None:
                kept, current = _joined(kept, group), found
            elif len(group) > 1:
                half = (len(group) + 1) // 2
                groups[:0] = [group[:half], group[half:]]
        return current

    @property
    def narrows(self) -> bool:
        """Whether :meth:`narrow` applies: squared distances of a single location, free space."""
        single = len(self.instance.latent) == 1 and isinstance(self.domain, Free)
        return single and self.instance.head.plain and self.target is None

    def narrow(
        self, facts: FactSet, dear: Float[NDArray[np.float64], " prototype"]
    ) -> Refutation | None:
        """A refutation of a set that breaks few facts (``narrow``), where one is found.

        Args:
            dear: per prototype, how much its measurement should be kept.
        """
        search, sphere = self._narrowing(facts)
        found = search.losing(sphere)
        return None if found is None else self._narrowed(facts, search, found, dear)

    def narrow_from(
        self,
        facts: FactSet,
        row: int,
        latent: Latent,
        dear: Float[NDArray[np.float64], " prototype"],
    ) -> Refutation | None:
        """The same from a latent that is known to lose the margin ``row`` of the instance."""
        search, sphere = self._narrowing(facts)
        mine = self._rivals.index(self.instance.rivals[row])
        return self._narrowed(facts, search, search.from_(mine, latent[0], sphere), dear)

    def _narrowing(self, facts: FactSet) -> tuple[Narrowing, Sphere]:
        """The search under some facts, and the sphere that they leave."""
        demands = Demands(self.instance, facts)
        search = Narrowing(
            self.instance, 0, self._weights, self._offset, np.asarray(demands.limit[0])
        )
        named = [fact.prototype for fact in facts.pairs]
        named += [fact.prototype for fact in facts.activations]
        return search, search.free().keeping(search.prototypes, dict.fromkeys(named))

    def _narrowed(
        self,
        facts: FactSet,
        search: Narrowing,
        found: Losing,
        dear: Float[NDArray[np.float64], " prototype"],
    ) -> Refutation | None:
        for one in (search.narrowed(found, dear), found):
            more: list[Fact] = [
                pair_fact(self.instance, 0, j)
                if "pairs" in self.kinds
                else activation_fact(self.instance, j)
                for j in one.sphere.kept
            ]
            kept = _joined(facts, more)
            asked = Demands(self.instance, kept)
            spheres = Spheres.around(
                search.prototypes, self.instance.latent, asked.kept, self.domain
            )
            refutation = self._settled(kept, asked, spheres, [(one.row, one.point[None])])
            if refutation is not None:
                return refutation
        return None

    def met(self, refutation: Refutation, ceilings: Sequence[CeilingFact]) -> list[int]:
        """Which of some ceilings a refutation respects, exactly."""
        broken = set(self.replay.broken(ceilings, refutation.moves))
        return [index for index, fact in enumerate(ceilings) if fact not in broken]

    def by_use(self, refutation: Refutation) -> list[Fact]:
        """Violated facts, those whose change costs the rival most (or gives it least) first."""
        instance = self.instance
        row = self._rivals.index(refutation.rival)
        if not instance.head.plain:
            after = instance.head.activation(instance.head.measurement(refutation.latent))
            overall = self._weights[row] * (after - instance.activation)
            change = np.broadcast_to(overall, instance.measurement.shape)
        else:
            now = instance.similarity(self.descent.squared_distances(refutation.latent))
            before = instance.similarity(instance.measurement)
            change = self._weights[row] * (now - before)
            overall = self._weights[row] * (now.max(axis=0) - before.max(axis=0))

        def gain(fact: Fact) -> float:
            match fact:
                case PairFact(location, prototype):
                    return float(-change[location, prototype])
                case ActivationFact(prototype):
                    return float(-overall[prototype])
                case CeilingFact():
                    return 0.0

        place = {fact: index for index, fact in enumerate(self.elements())}
        return sorted(refutation.violated, key=lambda fact: (gain(fact), place[fact]))

    def _sought(self, facts: FactSet) -> Refutation | None:
        """A refutation of one set by the general search."""
        rows = [self.instance.rivals.index(rival) for rival in self._rivals]
        chosen = weakest(self.instance.margins, rows)
        found = first_losing(self._seeker, self.replay, facts, chosen, (), self.target)
        if found is None:
            return None
        row, moves, latent = found
        moved = self.instance.latent.copy()
        for move in moves:
            moved[move.location] = latent[move.location]
        return Refutation(self.instance.rivals[row], moves, self._violated(moves), moved)

    def _batch(
        self, sets: Sequence[FactSet], near: Sequence[Refutation | None]
    ) -> list[Refutation | None]:
        instance, locations = self.instance, len(self.instance.latent)
        demands = [Demands(instance, facts) for facts in sets]
        spheres = Spheres.around(
            instance.head.prototypes,
            np.tile(instance.latent, (len(sets), 1)),
            [keep for some in demands for keep in some.kept],
            self.domain,
            [*range(locations)] * len(sets),
            locations,
        )
        sites = np.arange(len(sets) * locations).reshape(len(sets), locations)
        starts: list[tuple[int, int, Latent]] = []  # set, row of the rival, latent
        for index, some in enumerate(demands):
            begin = near[index]
            if begin is not None:
                starts.append((index, self._rivals.index(begin.rival), begin.latent))
            if self._starts is not None:
                for row, latent in self._starts.of(some, spheres, sites[index]):
                    starts.append((index, row, latent))
        which = np.array([index for index, _, _ in starts], dtype=int)
        rows = np.array([row for _, row, _ in starts], dtype=int)
        if not len(starts):
            return [None] * len(sets)
        # rounding the result to float32 must not cross a limit
        limits = np.stack([some.limit for some in demands]) * (1 + SPARE / 2)
        points = np.stack([latent for _, _, latent in starts])
        found: list[Refutation | None] = [None] * len(sets)
        for steps in _STEPS:
            still = np.array([found[index] is None for index in which])
            if not still.any():
                break
            some, row = which[still], rows[still]
            task = Task(spheres, sites[some], self._weights, self._offset, row, [*limits[some]])
            reached, margins = self.descent.solve(task, points[still], steps)
            # on from where the search is, where it has been anywhere admissible
            ahead = np.isfinite(margins)[:, None, None]
            points[still] = np.where(ahead, reached, points[still])
            for index in np.unique(some[margins < -CLEAR]).tolist():
                mine = np.flatnonzero((some == index) & (margins < -CLEAR))
                best = mine[np.argsort(margins[mine], kind="stable")][:_REPLAYS]
                tries = ((int(row[i]), reached[i]) for i in best)
                here = spheres.take(sites[index])
                found[index] = self._settled(sets[index], demands[index], here, tries)
        return found

    def _settled(
        self,
        facts: FactSet,
        demands: Demands,
        spheres: Spheres,
        tries: Iterable[tuple[int, Latent]],
    ) -> Refutation | None:
        """The first latent that survives the exact replay."""
        for row, latent in tries:
            locations = moved_locations(self.instance, latent)
            moves = moves_that_matter(
                self.descent,
                Deviation(
                    self.instance, latent, locations, spheres.take(np.array(locations, dtype=int))
                ),
                demands.kept,
                self._weights[row],
                float(self._offset[row]),
            )
            rival = self._rivals[row]
            if not moves or not self.replay.survives(facts, None, rival, moves):
                continue
            if self.target is not None and not self.replay.predicts(self.target, moves):
                continue
            moved = self.instance.latent.copy()
            for move in moves:
                moved[move.location] = latent[move.location]
            return Refutation(rival, tuple(moves), self._violated(moves), moved)
        return None

    def _violated(self, moves: Sequence[Move]) -> frozenset[Fact]:
        locations = [move.location for move in moves] if "pairs" in self.kinds else []
        facts = [fact for location in locations for fact in self._pairs_at(location)] + self._global
        return frozenset(self.replay.broken(facts, moves))


def _joined(facts: FactSet, more: Sequence[Fact]) -> FactSet:
    known: set[Fact] = set(facts)
    return of_facts([*facts, *(fact for fact in more if fact not in known)])
