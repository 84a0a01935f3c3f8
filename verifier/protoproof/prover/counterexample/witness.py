"""Witnesses: for each fact of an explanation, a latent that shows why it cannot be left out.

For a fact e of a set E, a witness is a latent of the domain that meets E - {e} and is predicted
differently. The search goes from cheap to dear, and stops at a fact's first witness:

    base  = per rival, the worst latent that meets all of E            (one joint descent)
    for e in E, all at once:
        try the nearest points to every prototype, at the location that e releases, others at base
        descend from the best of them, that location alone
        choose a place for every location that moves (facts about activations; candidates.py)
        move the locations in turn, each to the best point of its sphere (alternation.py)
        descend from the best of all, every location together

Whatever has a negative margin in float64 is reduced to the moves that matter, rebuilt from
float32 directions, and replayed exactly; only what survives is returned. There is no randomness.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.prover.counterexample.alternation import Alternation, Start
from protoproof.prover.counterexample.any_witness import witnesses
from protoproof.prover.counterexample.ascent import Descent, Task
from protoproof.prover.counterexample.base import Base
from protoproof.prover.counterexample.constraints import Demands
from protoproof.prover.counterexample.moves import (
    CLEAR,
    Deviation,
    moved_locations,
    moves_that_matter,
)
from protoproof.prover.counterexample.needed import Found, Needed
from protoproof.prover.counterexample.released import Released
from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import Fact, FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.reach import refuting
from protoproof.prover.latent.replay import Move
from protoproof.prover.latent.replay_any import Judge, judge_of
from protoproof.prover.latent.time_limit import OutOfTimeError, require_time
from protoproof.prover.oracle.interval import IntervalOracle

Latent = Float[NDArray[np.float64], "location channel"]

# Coordinates of latents in one batch of the search: 64 MiB. (The engine sees to the memory that a
# step needs on top of them.)
_BATCH = 1 << 23
# Rivals tried (those that most facts guard against), starts per fact, exact replays per fact,
# steps: times effort.
_RIVALS, _STARTS, _REPLAYS, _STEPS = 9, 5, 3, 30
_JOINT_STEPS = 30
# Rivals per fact: those that are proved least without it.
_GUARDED = 2
# Prototypes that the search aims at, per fact.
_AIMS = 128


@dataclass(frozen=True)
class _Start:
    """A latent to continue from: rival ``row`` of the search, one location moved to ``point``."""

    score: float
    margin: float
    row: int
    location: int
    point: NDArray[np.float64]


def find_witnesses(
    instance: Instance, domain: Domain, facts: FactSet, *, effort: int = 1
) -> tuple[Found, ...]:
    """Exactly verified witnesses of as many facts as can be found; see :func:`needed`."""
    return needed(instance, domain, facts, effort=effort).witnesses


def needed(instance: Instance, domain: Domain, facts: FactSet, *, effort: int = 1) -> Needed:
    """Exactly verified witnesses of as many facts as can be found, and facts that are spared.

    Args:
        facts: a sufficient set; facts that are not necessary simply get no witness.
        effort: multiplies starts and steps.

    When the time is up (see ``time_limit``), what was found until then.
    """
    known = Needed()
    if instance.head.plain:
        with suppress(OutOfTimeError):
            _search(instance, domain, facts, max(effort, 1), known)
        return known
    for number, witness in witnesses(instance, domain, facts, max(effort, 1)):
        if witness is None:
            known.spared.add(number)
        else:
            known.found[number] = Found(number, *witness)
    return known


def _search(instance: Instance, domain: Domain, facts: FactSet, effort: int, known: Needed) -> None:
    """Fill ``known``.

    Raises:
        OutOfTimeError: the time is up.
    """
    search, found = _Search(instance, domain, facts, effort), known.found
    order = list(facts)
    known.spared.update(index for index, fact in enumerate(order) if fact in search.spared)
    if len(known.spared) == len(order):
        return
    starts = [[] if index in known.spared else search.aim(f) for index, f in enumerate(order)]
    for stage in (
        search.as_aimed,
        search.alone,
        search.laid_out,
        search.alternating,
        search.together,
    ):
        settled = known.spared | set(found)
        waiting = [index for index in range(len(order)) if index not in settled]
        for index, fact, latents in stage([(i, order[i], starts[i]) for i in waiting]):
            require_time()
            witness = search.settle(index, fact, latents)
            if witness is not None:
                found[index] = witness


Waiting = list[tuple[int, Fact, list[_Start]]]
# the index of a fact, the fact, and latents (with the row of their rival), most promising first
Proposal = tuple[int, Fact, list[tuple[int, Latent]]]


class _Search:
    """What the search for all facts of one set shares."""

    def __init__(self, instance: Instance, domain: Domain, facts: FactSet, effort: int) -> None:
        self.instance, self.facts, self.effort = instance, facts, effort
        self.domain = refuting(domain, instance.latent)
        self.descent = Descent(instance.head, instance.engine)
        self.released = Released(instance, domain, facts)
        self.demands = self.released.demands
        self.spared: set[Fact] = set()
        self.guarded = self._guarded_by_each()
        rows = self.rows = self._rows()
        self.rivals = [instance.rivals[row] for row in rows]
        self.weights = instance.margin_weights[rows]
        # the prototypes whose weights are not the same for all of these classes
        self.weighed = np.flatnonzero((self.weights != 0).any(axis=0))
        self.offset = instance.margin_offset[rows]
        self.locations = len(instance.latent)
        self.base = Base(
            self.released, self.descent, domain, self.weights, self.offset, _JOINT_STEPS * effort
        )
        self.alternation = Alternation(
            self.descent, self.released.spheres, self.weights, self.offset
        )
        self._laid: dict[int, dict[int, Latent]] = {}
        worth = self.weights.min(axis=0) if len(rows) else np.zeros(len(instance.activation))
        self.aims = np.sort(np.argsort(worth, kind="stable")[: _AIMS * effort])

    def _guarded_by_each(self) -> dict[Fact, list[int]]:
        """Per fact, the rivals (rows of the margin weights) that are proved least without it; of
        facts that are spared, none."""
        state = IntervalOracle().prepare(self.instance, self.domain)
        count = _GUARDED * self.effort
        guarded: dict[Fact, list[int]] = {}
        for fact in self.facts:
            require_time()
            margins = state.margins(self.facts.without(fact))
            if state.proves(margins):
                self.spared.add(fact)
                guarded[fact] = []
            else:
                guarded[fact] = np.argsort(margins, kind="stable")[:count].tolist()
        return guarded

    def _rows(self) -> Int[NDArray[np.intp], " rival"]:
        """The rivals that most facts guard against, the closest first."""
        often = Counter(row for rows in self.guarded.values() for row in rows)
        chosen = sorted(often, key=lambda row: (-often[row], row))[: _RIVALS * self.effort]
        return np.array(
            sorted(chosen, key=lambda row: (self.instance.margins[row], row)), dtype=int
        )

    @cached_property
    def replay(self) -> Judge:
        """Made when the first candidate appears: it is the costly part of an easy search."""
        return judge_of(self.instance, self.domain)

    def aim(self, fact: Fact) -> list[_Start]:
        """The best admissible and the best overall points nearest to some prototype."""
        require_time()
        demands = self.released.relaxed[fact]
        locations = demands.locations(fact)
        starts: list[_Start] = []
        for location in locations:
            sphere = self.released.spheres.take(np.array([self.released.site(demands, location)]))
            points = sphere.polished(self.instance.head.prototypes[self.aims])
            excess, good = self._excess(points, demands.limit[location])
            good &= sphere.inside(points)
            measured = self.descent.squared_distances(points, self.weighed)
            similar = self.instance.similarity(measured, self.weighed)
            others = self.base.others[:, location, self.weighed]
            activation = np.maximum(similar, others[:, None])
            margins = (activation @ self.weights[:, self.weighed, None])[..., 0]
            margins += self.offset[:, None]
            scores = margins + 4.0 * np.abs(self.weights).max(axis=1)[:, None] * excess
            margins = np.where(good, margins, np.inf)
            for row, (score, margin) in enumerate(zip(scores, margins, strict=True)):
                starts.extend(
                    _Start(score[best], margin[best], row, location, points[best])
                    for best in sorted({int(np.argmin(score)), int(np.argmin(margin))})
                )
        return sorted(starts, key=lambda s: (s.score, s.row, s.location))

    def _excess(
        self, points: NDArray[np.float64], limit: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """By how much similarity each point breaks limits, and which points break none."""
        columns = np.flatnonzero(limit)
        limit = limit[columns]
        measured = self.descent.squared_distances(points, columns)
        low = measured < limit
        whose = np.broadcast_to(columns, low.shape)[low]
        allowed = self.instance.similarity(np.broadcast_to(limit, low.shape)[low], whose)
        excess = np.zeros(measured.shape)
        excess[low] = self.instance.similarity(measured[low], whose) - allowed
        good = self.descent.admissible(measured, limit)
        return excess.sum(axis=1), np.asarray(good.all(axis=1))

    def as_aimed(self, waiting: Waiting) -> Iterable[Proposal]:
        """The starting points themselves."""
        for index, fact, starts in waiting:
            ready = sorted((s for s in starts if s.margin < -CLEAR), key=lambda s: s.margin)
            yield index, fact, [(s.row, self._placed(s)) for s in ready[:_REPLAYS]]

    def alone(self, waiting: Waiting) -> Iterable[Proposal]:
        """Descent at the released location, all facts together; improves the starts in place."""
        most = _STARTS * self.effort
        for starts in (starts for _, _, starts in waiting):
            del starts[most:]
        size = max(1, _BATCH // (most * self.instance.head.channels))
        for first in range(0, len(waiting), size):
            part = waiting[first : first + size]
            self._descend_alone(part)
            yield from self.as_aimed(part)

    def _descend_alone(self, part: Waiting) -> None:
        demands = [self.released.relaxed[fact] for _, fact, _ in part]
        flat = [(d, s) for d, (_, _, starts) in zip(demands, part, strict=True) for s in starts]
        if not flat:
            return
        rows = np.array([start.row for _, start in flat])
        places = np.array([start.location for _, start in flat])
        task = Task(
            self.released.spheres,
            np.array([[self.released.site(d, start.location)] for d, start in flat]),
            self.weights,
            self.offset,
            rows,
            [d.limit[start.location][None] for d, start in flat],
            self.base.others[rows, places],
        )
        begin = np.stack([start.point for _, start in flat])[:, None]
        points, margins = self.descent.solve(task, begin, _STEPS * self.effort)
        results = iter(zip(points[:, 0], margins.tolist(), strict=True))
        for _, _, starts in part:
            for place, start in enumerate(starts):
                point, margin = next(results)
                if margin < np.inf:
                    starts[place] = _Start(margin, margin, start.row, start.location, point)
            starts.sort(key=lambda s: (s.margin, s.score))

    def laid_out(self, waiting: Waiting) -> Iterable[Proposal]:
        """Places for all locations at once, against the rivals that each fact guards against most.

        Pair facts leave no location free, so there is nothing to lay out without other facts.
        """
        if not self.base.about_activations:
            return
        for index, fact, _ in waiting:
            relaxed = self.released.relaxed[fact]
            against = self._against(fact)
            found = list(zip(against, self.base.layout.latents(relaxed, against), strict=True))
            self._laid[index] = {row: latent for row, (latent, _) in found}
            losing = [(row, latent) for row, (latent, margin) in found if margin < -CLEAR]
            yield index, fact, losing

    def _against(self, fact: Fact) -> list[int]:
        """The rivals (rows of the search) that a fact guards against most."""
        rows = self.rows.tolist()
        return [rows.index(row) for row in self.guarded[fact] if row in rows]

    def alternating(self, waiting: Waiting) -> Iterable[Proposal]:
        """The locations in turn, from the places that were laid out or from the best start."""
        if self.released.spheres.box is not None:
            return
        size = max(1, _BATCH // (_GUARDED * self.effort * self.instance.latent.size))
        for first in range(0, len(waiting), size):
            part = waiting[first : first + size]
            begun = [self._begun(index, fact, starts) for index, fact, starts in part]
            flat = [start for some in begun for start in some]
            sites = [
                [self.released.site(start.demands, k) for k in range(self.locations)]
                for start in flat
            ]
            asked = [number for number, some in enumerate(begun) for _ in some]
            results = iter(self.alternation.improved(flat, sites, asked=asked))
            for (index, fact, _), some in zip(part, begun, strict=True):
                reached = [(start.row, *next(results)) for start in some]
                ready = sorted((r for r in reached if r[2] < -CLEAR), key=lambda r: r[2])
                yield index, fact, [(row, latent) for row, latent, _ in ready]

    def _begun(self, index: int, fact: Fact, starts: list[_Start]) -> list[Start]:
        relaxed = self.released.relaxed[fact]
        laid = self._laid.get(index)
        if laid is None:
            laid = {}
            for row in self._against(fact):
                best = next((start for start in starts if start.row == row), None)
                latent = self.base.latents[row] if best is None else self._placed(best)
                laid[row] = latent
        return [Start(relaxed, row, latent) for row, latent in laid.items()]

    def together(self, waiting: Waiting) -> Iterable[Proposal]:
        """Joint descent of all locations from the best start of every fact."""
        if self.locations == 1:
            return
        size = max(1, _BATCH // (self.effort * self.instance.latent.size))
        for first in range(0, len(waiting), size):
            part = waiting[first : first + size]
            flat = [
                (self.released.relaxed[f], s) for _, f, found in part for s in found[: self.effort]
            ]
            if not flat:
                continue
            rows = np.array([start.row for _, start in flat])
            points, margins = self.base.joint(
                [demands for demands, _ in flat],
                rows,
                np.stack([self._placed(start) for _, start in flat]),
                _JOINT_STEPS * self.effort,
            )
            first_row = 0
            for index, fact, starts in part:
                mine = range(first_row, first_row + len(starts[: self.effort]))
                first_row = mine.stop
                ready = sorted((i for i in mine if margins[i] < -CLEAR), key=margins.__getitem__)
                yield index, fact, [(int(rows[i]), points[i]) for i in ready[:_REPLAYS]]

    def settle(self, index: int, fact: Fact, latents: list[tuple[int, Latent]]) -> Found | None:
        """The first latent that survives the exact replay, as a witness."""
        demands = self.released.relaxed[fact]
        for row, latent in latents:
            moves = self._moves(demands, row, latent)
            rival = self.rivals[row]
            if moves and self.replay.survives(self.facts, fact, rival, moves):
                return Found(index, rival, tuple(moves))
        return None

    def _moves(self, demands: Demands, row: int, latent: Latent) -> list[Move]:
        locations = moved_locations(self.instance, latent)
        sites = np.array(
            [self.released.site(demands, location) for location in locations], dtype=int
        )
        return moves_that_matter(
            self.descent,
            Deviation(self.instance, latent, locations, self.released.spheres.take(sites)),
            demands.kept,
            self.weights[row],
            float(self.offset[row]),
        )

    def _placed(self, start: _Start) -> Latent:
        latent: Latent = self.base.latents[start.row].copy()
        latent[start.location] = start.point
        return latent
