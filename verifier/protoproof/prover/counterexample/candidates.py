"""Latents that come close to losing: a place for every location, chosen from a stock of points.

A margin over a grid of locations is a matter of coverage: every prototype counts with the location
that is nearest to it, so each opposing prototype needs one location as near as the limits allow,
and the others had better be far from everything that supports the prediction. Gradients see only
the location that is nearest already; here whole points are chosen instead:

    stock = for every strong opponent, points at its limit, each improved alone
    locations that keep distances: in turn, the point of their own sphere that costs most margin
    free locations: again and again the point of the stock that costs most margin;
                    when none costs any, far away from every prototype

Every point respects all limits by itself, so every choice of points meets the facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.prover.counterexample.ascent import Descent, Task
from protoproof.prover.counterexample.constraints import Demands
from protoproof.prover.counterexample.feasible_set import Spheres
from protoproof.prover.latent.domain import Domain, Free
from protoproof.prover.latent.facts import CeilingFact

Vector = Float[NDArray[np.float64], " prototype"]
Latent = Float[NDArray[np.float64], "location channel"]
Key = tuple[int, tuple[int, ...], tuple[CeilingFact, ...]]

# Opponents aimed at (by a location that keeps distances, by a free one), steps that improve a
# point alone, passes over the locations.
_OPPONENTS, _OF_FREE, _STEPS, _PASSES = 6, 16, 6, 2
# How far "far away" is, in sizes of the set of prototypes: similarity there is next to nothing.
_FAR = 64.0


class Stock(NamedTuple):
    """Admissible points of one site, and their similarities; the last one is the fallback.

    Similarities are those to the prototypes that have a weight.
    """

    points: Float[NDArray[np.float64], "point channel"]
    similar: Float[NDArray[np.float64], "point column"]


@dataclass(frozen=True)
class Site:
    """A location, what it keeps there, and the demands that set its limits."""

    location: int
    demands: Demands
    sphere: int

    @property
    def key(self) -> Key:
        """All locations that keep nothing share one stock, under the same ceilings."""
        return _key(self.demands, self.location)


def _key(demands: Demands, location: int) -> Key:
    kept = demands.kept[location]
    # what an activation fact less allows one location is tried elsewhere; a ceiling less frees all
    return (location, kept, ()) if kept else (-1, kept, demands.facts.ceilings)


class Layout:
    """Chooses places for the locations of one instance, against some rivals.

    ``weights`` [R, P] and ``offset`` [R] are the rivals' margins; ``spheres`` are those of all
    sites. Stocks are made when they are first asked for: most facts have a witness before.
    """

    def __init__(
        self,
        descent: Descent,
        domain: Domain,
        spheres: Spheres,
        sites: list[Site],
        weights: Float[NDArray[np.float64], "rival prototype"],
        offset: Float[NDArray[np.float64], " rival"],
    ) -> None:
        self.descent, self.domain, self.spheres = descent, domain, spheres
        self.weights, self.offset = weights, offset
        self.instance = sites[0].demands.instance
        self.still = self.instance.similarity(self.instance.measurement)
        # prototypes that have a weight for any of the rivals: no other one costs a margin anything
        self.columns = np.flatnonzero((weights != 0).any(axis=0))
        self._sites = {site.key: site for site in reversed(sites)}
        self._stocks: dict[tuple[Key, int], Stock] = {}

    def latent(self, demands: Demands, row: int) -> Latent:
        """A latent that meets the demands and comes close to losing to one rival."""
        return self.latents(demands, [row])[0][0]

    def latents(self, demands: Demands, rows: Sequence[int]) -> list[tuple[Latent, float]]:
        """For some rivals, a latent each that meets the demands and comes close to losing, with the
        margin that it has."""
        keys = dict.fromkeys(_key(demands, place) for place in range(len(self.still)))
        for count, kept in ((_OPPONENTS, True), (_OF_FREE, False)):
            some = [key for key in keys if bool(key[1]) is kept]
            new = [row for row in rows if any((key, row) not in self._stocks for key in some)]
            asked = [key for key in some if any((key, row) not in self._stocks for row in new)]
            self._stock([self._sites[key] for key in asked], new, count)
        return [self._latent(demands, row) for row in rows]

    def _latent(self, demands: Demands, row: int) -> tuple[Latent, float]:
        weights, free = self.weights[row, self.columns], demands.free
        latent, similar = self.instance.latent.copy(), self.still[:, self.columns]
        bound = [location for location in range(len(latent)) if location not in free]
        similar[free] = -np.inf
        for _ in range(_PASSES if len(bound) > 1 else 1):
            for location in bound:
                stock = self._stocks[_key(demands, location), row]
                similar[location] = -np.inf
                costs = np.maximum(stock.similar, similar.max(axis=0)) @ weights
                best = int(np.argmin(costs))
                latent[location], similar[location] = stock.points[best], stock.similar[best]
        best_known = similar.max(axis=0)
        for number, location in enumerate(free):
            stock = self._stocks[_key(demands, location), row]  # the same for all of them
            covered = np.maximum(stock.similar, best_known)
            index, before = int(np.argmin(covered @ weights)), best_known
            if isinstance(self.domain, Free) and (covered[index] <= best_known).all():
                index = len(covered) - 1
            latent[location], best_known = stock.points[index], covered[index]
            if (best_known == before).all():  # so do the others
                latent[free[number:]] = stock.points[index]
                break
        return latent, float(best_known @ weights + self.offset[row])

    def _stock(self, sites: list[Site], against: Sequence[int], count: int) -> None:
        """Per site and rival, points at the limits of the opponents, each improved alone."""
        if not sites or not against:
            return
        count = min(count, self.weights.shape[1])
        each = np.argsort(self.weights[against], axis=1, kind="stable")[:, :count].ravel()
        rows = np.tile(np.repeat(against, count), len(sites))
        aims = np.tile(each, len(sites))
        which = np.repeat(np.arange(len(sites)), len(each))
        limits = [site.demands.limit[site.location][None] for site in sites]
        other = np.stack([self._elsewhere(site) for site in sites])
        task = Task(
            self.spheres,
            np.array([site.sphere for site in sites])[which][:, None],
            self.weights,
            self.offset,
            rows,
            [limits[number] for number in which],
            other[which],
        )
        start = self._aimed(rows, aims, np.vstack(limits)[which, aims])
        points, margins = self.descent.solve(task, start[:, None], _STEPS)
        similar = self._similar(points[:, 0])
        good = np.isfinite(margins)
        for number, site in enumerate(sites):
            last = self._fallback(site)
            at_last = self._similar(last[None])
            for row in against:
                mine = np.flatnonzero(good & (which == number) & (rows == row))
                self._stocks[site.key, row] = Stock(
                    np.vstack([points[mine, 0], last]),
                    np.vstack([similar[mine], at_last]),
                )

    def _similar(
        self, points: Float[NDArray[np.float64], "point channel"]
    ) -> Float[NDArray[np.float64], "point column"]:
        measured = self.descent.squared_distances(points, self.columns)
        return self.instance.similarity(measured, self.columns)

    def _elsewhere(self, site: Site) -> Vector:
        """The similarities at the locations that keep something, other than the site's."""
        free = {*site.demands.free, site.location}
        rest = [location for location in range(len(self.still)) if location not in free]
        most: Vector = self.still[rest].max(axis=0, initial=-np.inf)
        return most

    def _aimed(
        self,
        rows: Int[NDArray[np.intp], " start"],
        aims: Int[NDArray[np.intp], " start"],
        limit: Float[NDArray[np.float64], " start"],
    ) -> Float[NDArray[np.float64], "start channel"]:
        """Points at the limits of the opponents, on the side away from what supports."""
        prototypes = self.instance.head.prototypes
        support = np.maximum(self.weights, 0.0)
        mass = np.maximum(support.sum(axis=1, keepdims=True), 1e-12)
        away = prototypes[aims] - (support @ prototypes / mass)[rows]
        length = np.sqrt((away**2).sum(axis=1, keepdims=True))
        away = away / np.where(length > 0, length, 1.0)
        points: NDArray[np.float64] = prototypes[aims] + np.sqrt(1.01 * limit)[:, None] * away
        return points

    def _fallback(self, site: Site) -> Float[NDArray[np.float64], " channel"]:
        """Where a location goes that can do no harm: far away if it may, else where it is."""
        here = self.instance.latent[site.location]
        if site.demands.kept[site.location] or not isinstance(self.domain, Free):
            return np.asarray(here)
        middle = self.instance.head.prototypes.mean(axis=0)
        away = here - middle
        length = float(np.linalg.norm(away))
        unit = away / length if length > 0 else np.eye(1, len(here))[0]
        return np.asarray(middle + _FAR * self.descent.size * unit)
