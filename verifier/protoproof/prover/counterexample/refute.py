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

from protoproof.prover.counterexample.ascent import Descent, Task
from protoproof.prover.counterexample.constraints import Demands
from protoproof.prover.counterexample.feasible_set import Spheres
from protoproof.prover.counterexample.moves import CLEAR, Deviation, moved_places, moves_that_matter
from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import ActivationFact, CeilingFact, Fact, FactSet, PairFact
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import activation_fact, ceiling_fact, pair_fact
from protoproof.prover.latent.replay import Move, Replay

Kinds = frozenset[Literal["pairs", "activations", "ceilings"]]
Latent = Float[NDArray[np.float64], "location channel"]
# Starts per set, steps of descent (stage by stage, until a latent loses), exact replays per stage.
_STARTS, _STEPS, _REPLAYS = 8, (0, 10, 40), 3
# Limits on distances are respected with this share to spare where a start is chosen.
_SPARE = 1e-4
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
        self.instance, self.domain, self.kinds = instance, domain, kinds
        self.descent = Descent(instance.head, instance.engine)
        self._now = now
        self.target = target
        rows = np.argsort(instance.margins, kind="stable")
        rows = rows[[target in (None, instance.rivals[row]) for row in rows]]
        self._rivals = [instance.rivals[row] for row in rows]
        self._weights, self._offset = instance.margin_weights[rows], instance.margin_offset[rows]
        self._pairs: dict[int, list[Fact]] = {}
        measured = instance.similarity(instance.measurement)
        ranked = np.sort(np.vstack([np.full_like(measured[:1], -np.inf), measured]), axis=0)
        first, second = ranked[-1], ranked[-2]
        # the largest similarity at all other locations, per location
        self._others = np.where(measured == first, second, first)

    @cached_property
    def replay(self) -> Replay:
        """The exact judge, made when the first candidate appears."""
        return Replay(self.instance, self.domain)

    def elements(self) -> list[Fact]:
        """All facts that the vocabulary chooses among: pairs, activations, ceilings, in order."""
        places = range(len(self.instance.latent)) if "pairs" in self.kinds else ()
        return [fact for place in places for fact in self._pairs_at(place)] + self._global

    def _pairs_at(self, location: int) -> list[Fact]:
        if location not in self._pairs:
            prototypes = range(self.instance.measurement.shape[1])
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
        known = list(near) if near is not None else [None] * len(sets)
        found: list[Refutation | None] = []
        locations, prototypes = self.instance.measurement.shape
        size = max(1, _BATCH // (_STARTS * locations * prototypes))
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

    def met(self, refutation: Refutation, ceilings: Sequence[CeilingFact]) -> list[int]:
        """Which of some ceilings a refutation respects, exactly."""
        broken = set(self.replay.broken(ceilings, refutation.moves))
        return [index for index, fact in enumerate(ceilings) if fact not in broken]

    def by_use(self, refutation: Refutation) -> list[Fact]:
        """Violated facts, those whose change costs the rival most (or gives it least) first."""
        instance = self.instance
        row = self._rivals.index(refutation.rival)
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
            for row, latent in self._starts(some, spheres, sites[index]):
                starts.append((index, row, latent))
        which = np.array([index for index, _, _ in starts], dtype=int)
        rows = np.array([row for _, row, _ in starts], dtype=int)
        if not len(starts):
            return [None] * len(sets)
        # rounding the result to float32 must not cross a limit
        limits = np.stack([some.limit for some in demands]) * (1 + _SPARE / 2)
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

    def _starts(
        self, demands: Demands, spheres: Spheres, sites: NDArray[np.intp]
    ) -> list[tuple[int, Latent]]:
        """The best points nearest to some prototype, one location moved: (rival's row, latent)."""
        instance = self.instance
        scored: list[tuple[bool, float, int, int, NDArray[np.float64]]] = []
        aims = instance.head.prototypes
        for place in range(len(instance.latent)):
            keep = demands.kept[place]
            if len(keep) > instance.head.channels:
                continue
            sphere = spheres.take(sites[place : place + 1])
            limit = demands.limit[place]
            targets = [aims, self._lifted(limit)] if limit.any() else [aims]
            points = sphere.onto(np.vstack(targets))
            measured = self.descent.squared_distances(points)
            similar = instance.similarity(measured)
            allowed = instance.similarity(np.maximum(limit, 0.0))
            excess = np.where(limit > 0, np.maximum(similar - allowed, 0.0), 0.0).sum(axis=1)
            margins = np.maximum(similar, self._others[place]) @ self._weights.T + self._offset
            scores = margins + 4.0 * np.abs(self._weights).max() * excess[:, None]
            good = (measured >= limit * (1 + _SPARE / 2)).all(axis=1) & sphere.inside(points)
            admitted = np.where(good[:, None], margins, np.inf)
            for row in range(len(self._rivals)):
                for table in (admitted, scores):
                    best = int(np.argmin(table[:, row]))
                    loses = bool(admitted[best, row] < -CLEAR)
                    scored.append((not loses, float(table[best, row]), row, place, points[best]))
        scored.sort(key=lambda item: item[:4])
        result = []
        for _, _, row, place, point in scored[:_STARTS]:
            latent = instance.latent.copy()
            latent[place] = point
            result.append((row, latent))
        return result

    @cached_property
    def _aside(self) -> NDArray[np.float64]:
        """The direction in which the prototypes differ least (not at all, where channels abound).

        Going there adds about the same to every squared distance.
        """
        points = self.instance.head.prototypes
        centred = points - points.mean(axis=0)
        if len(points) < points.shape[1]:
            centred = np.vstack(
                [centred, np.zeros((points.shape[1] - len(points), len(centred[0])))]
            )
        return np.asarray(np.linalg.svd(centred, full_matrices=False)[2][-1])

    @cached_property
    def _apart(self) -> NDArray[np.float64]:
        """Squared distances between prototypes."""
        return self.descent.squared_distances(self.instance.head.prototypes)

    def _lifted(self, limit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Above every prototype, as far aside as the limits of all others ask."""
        prototypes = self.instance.head.prototypes
        missing = np.maximum(limit * (1 + _SPARE) - self._apart, 0.0).max(axis=1)
        return np.asarray(prototypes + np.sqrt(missing)[:, None] * self._aside)

    def _settled(
        self,
        facts: FactSet,
        demands: Demands,
        spheres: Spheres,
        tries: Iterable[tuple[int, Latent]],
    ) -> Refutation | None:
        """The first latent that survives the exact replay."""
        for row, latent in tries:
            places = moved_places(self.instance, latent)
            moves = moves_that_matter(
                self.descent,
                Deviation(self.instance, latent, places, spheres.take(np.array(places, dtype=int))),
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
        places = [move.location for move in moves] if "pairs" in self.kinds else []
        facts = [fact for place in places for fact in self._pairs_at(place)] + self._global
        return frozenset(self.replay.broken(facts, moves))


def ceilings_of(instance: Instance) -> list[CeilingFact]:
    """Every ceiling that no other one implies, by the number that certificates use."""
    prototypes = range(instance.measurement.shape[1])
    # by the exact enclosures, so that the order is the checker's
    lower = [activation_fact(instance, j).lower for j in prototypes]
    order = sorted(prototypes, key=lambda j: (lower[j], j))
    return [ceiling_fact(instance, j, [i for i in order if lower[i] < lower[j]]) for j in order]


def _joined(facts: FactSet, more: Sequence[Fact]) -> FactSet:
    known: set[Fact] = set(facts)
    return of_facts([*facts, *(fact for fact in more if fact not in known)])


def of_facts(facts: Iterable[Fact]) -> FactSet:
    """A list of facts as a set."""
    listed = list(facts)
    return FactSet(
        tuple(fact for fact in listed if isinstance(fact, PairFact)),
        tuple(fact for fact in listed if isinstance(fact, ActivationFact)),
        tuple(fact for fact in listed if isinstance(fact, CeilingFact)),
    )
