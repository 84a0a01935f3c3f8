"""Latents that meet facts and are predicted otherwise, for heads of every kind.

A set of facts leaves every location a region (``regions``): what pair facts and named prototypes
fix there is kept, and ceilings and named prototypes limit how near other locations may come. From
points near the prototypes that speak for a rival, margins descend by projected subgradients, a
broken limit costing more than any margin gains. What has a negative margin in float64 is reduced
to the moves that matter and replayed exactly; only what survives is returned. Where the fast search
over spheres applies (``witness``, ``refute``), it is used instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.prover.counterexample.gradient import Margins, measured, pulled
from protoproof.prover.counterexample.placing import Placing
from protoproof.prover.counterexample.regions import Region
from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.replay import Move

Latent = Float[NDArray[np.float64], "location channel"]
Batch = Float[NDArray[np.float64], "start location channel"]

# Locations that move together; rivals, aims per rival and sets; starts that descend; steps.
_PLACES, _RIVALS, _AIMS, _STARTS, _STEPS = 4, 3, 8, 6, 40
# A float64 margin below minus this is worth an exact replay; limits hold with this to spare.
_CLEAR, _SPARE = 1e-7, 1e-6
_STILL = 1e-6
_GROW, _SHRINK, _FIRST, _LONGEST = 1.6, 0.4, 0.4, 4.0


@dataclass(frozen=True, eq=False)
class Asked:
    """What a set of facts asks of the locations of an instance."""

    instance: Instance
    domain: Domain
    facts: FactSet

    @cached_property
    def kept(self) -> list[list[int]]:
        """Per location, the prototypes whose measurement must not change."""
        head = self.instance.head
        kept: list[list[int]] = [[] for _ in range(head.locations)]
        for fact in self.facts.pairs:
            kept[fact.location].append(fact.prototype)
        for named in self.facts.activations:
            j = named.prototype
            column = self.instance.measurement[:, j]
            nearest = head.pooling_of.kinds[j] == "nearest"
            places = [int(np.argmin(column))] if nearest else np.flatnonzero(np.isfinite(column))
            for place in places:
                if j not in kept[place]:
                    kept[place].append(j)
        return kept

    @cached_property
    def regions(self) -> list[Region | None]:
        """Where each location may go; None where it has to stay."""
        return [
            Region.of(self.instance, self.domain, place, tuple(keep))
            for place, keep in enumerate(self.kept)
        ]

    @cached_property
    def limits(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """[P] the least pooled measurement and the greatest activation that are allowed."""
        head, count = self.instance.head, len(self.instance.pooled)
        least, most = np.full(count, -np.inf), np.full(count, np.inf)
        for named in self.facts.activations:
            if head.pooling_of.kinds[named.prototype] == "nearest":
                least[named.prototype] = named.lower
        for ceiling in self.facts.ceilings:
            under = np.ones(count, dtype=bool)
            under[list(ceiling.exempt)] = False
            if head.uniform:
                least[under] = np.maximum(least[under], ceiling.bound)
            else:
                most[under] = np.minimum(most[under], -ceiling.bound)
        return least, most

    def places(self, wanted: Sequence[int] = ()) -> list[int]:
        """Locations to move: those wanted, then those that keep least; at most a few."""
        free = [place for place, region in enumerate(self.regions) if region is not None]
        order = sorted(free, key=lambda place: (place not in wanted, len(self.kept[place]), place))
        return order[:_PLACES]


class Seeker:
    """Searches for one instance and domain.

    ``target``: the class that what is sought has to be predicted as; None for any but the
    instance's own, and where labels are predicted.
    """

    def __init__(
        self, instance: Instance, domain: Domain, effort: int = 1, target: int | None = None
    ) -> None:
        self.instance, self.domain, self.effort = instance, domain, max(effort, 1)
        self.margins = Margins(instance, target)
        spread = instance.head.prototypes - instance.head.prototypes.mean(axis=0)
        self._size = float(np.sqrt((spread**2).sum(axis=1).mean())) or 1.0
        weights = np.abs(instance.margin_weights)
        self._fine = 4.0 * float(weights.max(initial=0.0)) + 1.0

    def losing(
        self, facts: FactSet, rows: Sequence[int], wanted: Sequence[int] = ()
    ) -> list[tuple[int, Latent]]:
        """Latents that meet the facts in float64 and have a negative margin, the best first.

        Args:
            rows: the margins to try.
            wanted: locations to move first.
        """
        asked = Asked(self.instance, self.domain, facts)
        places = asked.places(wanted)
        if not places or not len(rows):
            return []
        starts, which = self._starts(asked, places, rows)
        score, margin = self._scored(asked, places, starts, which)
        best = np.argsort(score, kind="stable")[: _STARTS * self.effort]
        found = self._clear(places, starts, which, margin)
        if not found:
            points, after = self._descend(asked, places, starts[best], which[best])
            found = self._clear(places, points, which[best], after)
        return found or self._placed(asked, rows)

    def _placed(self, asked: Asked, rows: Sequence[int]) -> list[tuple[int, Latent]]:
        """All locations at once, each where it does most; then all of them descend."""
        placing = Placing(self.instance, asked.regions, asked.kept, asked.limits)
        places = placing.places
        if len(places) < 2:
            return []  # one was tried everywhere before
        aims = np.vstack([self._aims(row)[-4:] for row in rows])  # far away, and against the best
        starts = np.array([latent[places] for latent in placing.placed(rows, aims)])
        which = np.array(rows, dtype=int)
        _, margin = self._scored(asked, places, starts, which)
        found = self._clear(places, starts, which, margin)
        if not found:
            points, after = self._descend(asked, places, starts, which)
            found = self._clear(places, points, which, after)
        return found

    def moves(self, facts: FactSet, row: int, latent: Latent) -> list[Move]:
        """The moves to a latent, as few as keep its margin negative."""
        asked = Asked(self.instance, self.domain, facts)
        apart = np.abs(latent - self.instance.latent).max(axis=1)
        moved = np.flatnonzero(apart > _STILL).tolist()
        for place in list(moved):
            rest = [other for other in moved if other != place]
            trial = self.instance.latent.copy()
            trial[rest] = latent[rest]
            table = self._tables(list(range(len(trial))), trial[None])
            value = float(self.margins.values(table)[0, row])
            cost = self._cost(asked, table)[0]
            if rest and value < -_CLEAR and cost[0] == 0:
                moved = rest
        result = []
        for place in moved:
            region = asked.regions[place]
            direction = (latent[place] - self.instance.latent[place]).astype(np.float32)
            if region is not None and direction.any():
                result.append(Move(place, region.keep, direction))
        return result

    def _starts(
        self, asked: Asked, places: list[int], rows: Sequence[int]
    ) -> tuple[Batch, Int[NDArray[np.intp], " start"]]:
        """Each place near each prototype that helps a rival or away from those that do not."""
        head, home = self.instance.head, self.instance.latent
        found: list[NDArray[np.float64]] = []
        which: list[int] = []
        for row in rows:
            aims = self._aims(row)
            everywhere = home[places].copy()
            for index, place in enumerate(places):
                region = asked.regions[place]
                if region is None:
                    continue
                points = region.onto(aims)
                everywhere[index] = points[0]
                for point in points:
                    latent = home[places].copy()
                    latent[index] = point
                    found.append(latent)
                    which.append(row)
            found.append(everywhere)
            which.append(row)
        return np.array(found).reshape(-1, len(places), head.channels), np.array(which, dtype=int)

    def _aims(self, row: int) -> NDArray[np.float64]:
        """Points that a location could go to for one rival: near its prototypes, far from ours."""
        head = self.instance.head
        weights = self.instance.margin_weights[row]
        order = np.argsort(weights, kind="stable")
        far = 3.0 if head.geometry in ("linear", "angular") else 1.0
        near = far * head.prototypes[order[:_AIMS]]
        ours = weights @ head.prototypes
        length = float(np.linalg.norm(ours)) or 1.0
        away = -10.0 * self._size * ours / length
        return np.vstack([near, away[None], -away[None], -near[:2]])

    def _tables(self, places: list[int], points: Batch) -> NDArray[np.float64]:
        """The measurements [B, L, P] of the instance, with some locations moved."""
        head = self.instance.head
        tables = np.tile(self.instance.measurement, (len(points), 1, 1))
        moved = measured(head, points)
        if head.mask is not None:
            moved = np.where(head.mask[places], moved, np.inf)
        tables[:, places] = moved
        return tables

    def _cost(
        self, asked: Asked, tables: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What broken limits cost [B], and the slopes of the cost by pooled value [B, P]."""
        head = self.instance.head
        least, most = asked.limits
        pooled = self.margins.pooled(tables)
        activation = head.chain.value(pooled)
        spare = _SPARE * (1.0 + np.abs(np.where(np.isfinite(least), least, 0.0)))
        kept = self._still(tables, pooled)
        low = (pooled < least + spare) & ~kept
        high = (activation > most - _SPARE) & ~kept
        steep = np.nan_to_num(head.chain.derivative(pooled), posinf=0.0, neginf=0.0)
        gap = np.where(low, least + spare - np.where(low, pooled, 0.0), 0.0)
        over = np.where(high, activation - (most - _SPARE), 0.0)
        scale = 1.0 + np.abs(steep)
        cost = (np.where(low, gap, 0.0) * scale).sum(axis=1) + over.sum(axis=1)
        slope = np.where(low, -scale, 0.0) + np.where(high, steep, 0.0)
        return self._fine * cost, self._fine * slope

    def _still(self, tables: NDArray[np.float64], pooled: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Where a pooled value is as it was: limits that hold at the instance hold there too."""
        now = self.instance.pooled
        return np.asarray(np.abs(pooled - now) <= 1e-9 * (1.0 + np.abs(now)))

    def _scored(
        self,
        asked: Asked,
        places: list[int],
        points: Batch,
        rows: Int[NDArray[np.intp], " start"],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Margin with costs, and margin where nothing is broken (else infinite)."""
        tables = self._tables(places, points)
        margin = self.margins.values(tables)[np.arange(len(rows)), rows]
        cost, _ = self._cost(asked, tables)
        return margin + cost, np.where(cost > 0, np.inf, margin)

    def _descend(
        self,
        asked: Asked,
        places: list[int],
        points: Batch,
        rows: Int[NDArray[np.intp], " start"],
    ) -> tuple[Batch, NDArray[np.float64]]:
        """Projected subgradient descent; the best admissible points, and their margins."""
        head = self.instance.head
        score, margin = self._scored(asked, places, points, rows)
        best, found = points.copy(), margin
        pace = np.full(len(points), _FIRST)
        for _ in range(_STEPS * self.effort):
            tables = self._tables(places, points)
            _, slopes = self.margins.slopes(tables, rows)
            _, extra = self._cost(asked, tables)
            slopes = slopes + self.margins.shares(tables) * extra[:, None, :]
            if head.mask is not None:
                slopes = np.where(head.mask, slopes, 0.0)
            gradient = pulled(head, points, slopes[:, places])
            length = np.sqrt((gradient**2).sum(axis=(1, 2)))
            step = pace * self._size / np.where(length > 0, length, 1.0)
            trial = self._onto(asked, places, points - step[:, None, None] * gradient)
            new, value = self._scored(asked, places, trial, rows)
            better, wins = new < score - 1e-12, value < found
            points = np.where(better[:, None, None], trial, points)
            score = np.where(better, new, score)
            best = np.where(wins[:, None, None], trial, best)
            found = np.where(wins, value, found)
            pace = np.where(better, np.minimum(pace * _GROW, _LONGEST), pace * _SHRINK)
            if (found < -1e3 * _CLEAR).all() or not (pace > 1e-9).any():
                break
        return best, found

    def _onto(self, asked: Asked, places: list[int], points: Batch) -> Batch:
        result = points.copy()
        for index, place in enumerate(places):
            region = asked.regions[place]
            if region is not None:
                result[:, index] = region.onto(points[:, index])
        return result

    def _clear(
        self,
        places: list[int],
        points: Batch,
        rows: Int[NDArray[np.intp], " start"],
        margins: NDArray[np.float64],
    ) -> list[tuple[int, Latent]]:
        """What loses clearly, the clearest first, as whole latents."""
        found = []
        for index in np.argsort(margins, kind="stable").tolist():
            if not margins[index] < -_CLEAR:
                break
            latent = self.instance.latent.copy()
            latent[places] = points[index]
            found.append((int(rows[index]), latent))
        return found


def weakest(margins: NDArray[np.float64], rows: Iterable[int] | None = None) -> list[int]:
    """The rivals to try, those with the least margins first."""
    order: list[int] = np.argsort(margins, kind="stable").tolist()
    chosen = order if rows is None else [row for row in order if row in set(rows)]
    return chosen[:_RIVALS]
