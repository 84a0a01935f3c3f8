"""Locations in turn, each to the best point of its own sphere: where gradients get stuck.

A location that keeps distances lies on a sphere, and so does one that has come as near to a
prototype as its limit allows. On a sphere around c of radius r, z = c + r e, every squared distance
is a linear function of the unit vector e,

    |z - p_k|^2  =  |c - p_k|^2 + r^2 + 2 r <c - p_k, e>,

so that limits are half-spaces, and a margin that is linearised in the distances is a linear
function too. The least value of a linear function on a part of a sphere that half-spaces cut out is
found by a method of active sets:

    with equality in the limits S:  e = e0 - sqrt(1 - |e0|^2) g' / |g'|,
        e0 the shortest solution of the equations, g' the part of the slope g that they leave free
    add the limit that e breaks most, drop the one whose multiplier has the wrong sign, repeat

The step ends at the best admissible point on the way there (M. Frank, P. Wolfe, "An Algorithm for
Quadratic Programming", Naval Research Logistics Quarterly 3, 1956, with an arc in place of the
line). All locations of all latents take their steps at once; then each latent takes over, location
by location, what lowers its margin. Everything is float64 and a proposal: what it finds is
replayed exactly by whoever uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.counterexample.ascent import Descent
from protoproof.prover.counterexample.constraints import Demands
from protoproof.prover.counterexample.cut_spheres import (
    TINY,
    Indices,
    Places,
    Table,
    Units,
    least_on,
    squared_distances,
    unit_of,
)
from protoproof.prover.counterexample.feasible_set import Spheres
from protoproof.prover.counterexample.moves import CLEAR
from protoproof.prover.latent.time_limit import time_is_up

Latent = Float[NDArray[np.float64], "location channel"]

# Rounds over all locations; linearisations in each.
_ROUNDS, _STEPS = 8, 3
# Shares of the way to the end of a step.
_SHARES = np.array([1.0, 0.6, 0.3, 0.1, 0.03])
# A latent that gained less than this share of what is left in a round is given up.
_SHARE = 0.1
# Limits hold with this relative distance to spare, so that rounding to float32 keeps them.
_SPARE = 1e-5
_LEAST = 1e-6
# A location this close to a limit (relatively) moves along its sphere.
_NEAR = 0.05
# Opponents that idle locations are sent to, per latent and round.
_SENT = 2


@dataclass(frozen=True)
class Start:
    """A latent that meets ``demands``, to be made to lose against ``row``."""

    demands: Demands
    row: int
    latent: Latent


@dataclass
class _Walk:
    """A latent on its way; ``similar`` [L, W] to the prototypes that count, ``margin`` of it.

    ``most``: the largest similarities that the limits allow any location (see ``_reach``).
    ``broken``: locations that are nearer to some prototype than their limit, and move first.
    """

    start: Start
    limit: Float[NDArray[np.float64], "location column"]
    most: Float[NDArray[np.float64], " weighed"]
    points: Latent
    similar: Float[NDArray[np.float64], "location weighed"]
    margin: float
    broken: set[int]


class Alternation:
    """Improves latents against the margins ``weights`` [R, P], ``offset`` [R] of one instance.

    Only over latents that nothing else bounds: a box would cut the spheres.
    """

    def __init__(
        self,
        descent: Descent,
        spheres: Spheres,
        weights: Float[NDArray[np.float64], "rival prototype"],
        offset: Float[NDArray[np.float64], " rival"],
    ) -> None:
        self.descent, self.spheres = descent, spheres
        self.weights, self.offset = weights, offset
        weighed = (weights != 0).any(axis=0)
        self.weighed = np.flatnonzero(weighed)
        self.others = np.flatnonzero(~weighed)
        self._apart: NDArray[np.float64] | None = None  # between prototypes with weights and all

    def improved(
        self,
        starts: Sequence[Start],
        sites: Sequence[Sequence[int]],
        rounds: int = _ROUNDS,
        asked: Sequence[int] | None = None,
    ) -> list[tuple[Latent, float]]:
        """Latents that meet the same demands, and their margins.

        Args:
            starts: where to begin.
            sites: per start, the sphere of each location.
            rounds: over all locations.
            asked: per start, the question that it is about; by default each its own. Once a latent
                clearly loses, the others of its question stay as they are.
        """
        if not starts:
            return []
        # limits of prototypes without a weight count too, where there are any
        limits = [start.demands.limit for start in starts]
        limited = np.zeros(self.weights.shape[1], dtype=bool)
        for limit in limits:
            limited |= limit.any(axis=0)
        self.columns = np.concatenate([self.weighed, self.others[limited[self.others]]])
        self.prototypes = self.descent.prototypes[self.columns]
        self._apart = None
        self.norms = self.descent.norms[self.columns]
        walks = [self._walk(start, limit) for start, limit in zip(starts, limits, strict=True)]
        going = list(range(len(walks)))
        for _ in range(rounds):
            if not going or time_is_up():
                break
            moved = going
            going = self._round([walks[i] for i in going], [sites[i] for i in going], going)
            if asked is not None:
                lost = {asked[i] for i in moved if walks[i].margin < -CLEAR and not walks[i].broken}
                going = [i for i in going if asked[i] not in lost]
        return [(walk.points, np.inf if walk.broken else walk.margin) for walk in walks]

    def _walk(self, start: Start, limit: NDArray[np.float64]) -> _Walk:
        similar = self._similar(start.latent)
        points, limit = start.latent.copy(), limit[:, self.columns] * (1 + _SPARE)
        short = self._measured(points) < limit * (1 - 0.5 * _SPARE)
        # where nothing moved, a limit may hold with equality
        apart = np.abs(points - start.demands.instance.latent).max(axis=1)
        short &= apart[:, None] > 0
        broken = set(np.flatnonzero(short.any(axis=1)).tolist())
        walk = _Walk(start, limit, self._reach(limit.max(axis=0)), points, similar, 0.0, broken)
        walk.margin = self._margin(walk, similar.max(axis=0))
        return walk

    def _reach(self, limit: NDArray[np.float64]) -> NDArray[np.float64]:
        """The largest similarities of a location that respects limits to all prototypes.

        By the triangle inequality it is at least sqrt(limit_k) - |p_k - p_j| from p_j, besides its
        own limit.
        """
        count = len(self.weighed)
        near = np.flatnonzero(limit)
        if not len(near):
            return np.asarray(self.descent.similarity.value(limit[:count], self.weighed))
        if self._apart is None:
            own = self.prototypes[:count]
            square = self.norms[:count, None] - 2.0 * own @ self.prototypes.T + self.norms
            self._apart = np.sqrt(np.maximum(square, 0.0))
        inside = np.sqrt(limit[near]) - self._apart[:, near]
        least = np.maximum(inside.max(axis=1), 0.0) ** 2
        least = np.maximum(least, limit[:count])
        return np.asarray(self.descent.similarity.value(least, self.weighed))

    def _margin(self, walk: _Walk, activation: NDArray[np.float64]) -> float:
        row = walk.start.row
        return float(activation @ self.weights[row, self.weighed] + self.offset[row])

    def _similar(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        measured = self.descent.squared_distances(points, self.weighed)
        return self.descent.similarity.value(measured, self.weighed)

    def _measured(self, points: Units) -> Table:
        """Squared distances to the prototypes that count or have a limit."""
        return squared_distances(points, self.prototypes, self.norms)

    def _round(
        self, walks: list[_Walk], sites: list[Sequence[int]], numbers: list[int]
    ) -> list[int]:
        """One step of every location that counts; the numbers of those that gained."""
        found: list[tuple[int, int, int, NDArray[np.float64]]] = []
        for index, walk in enumerate(walks):
            found += [(index, *place) for place in self._chosen(walk, sites[index])]
        if not found:
            return []
        which = np.array([index for index, _, _, _ in found])
        where = np.array([location for _, location, _, _ in found])
        places = self._places(walks, found)
        for _ in range(_STEPS):
            places = replace(places, unit=self._stepped(places))
        points = places.points(places.unit)
        similar = self._similar(points)
        admissible = np.isfinite(self._valued(places, places.unit)[1])
        gained = []
        for index, walk in enumerate(walks):
            mine = np.flatnonzero((which == index) & admissible)
            before = np.inf if walk.broken else walk.margin
            self._take_over(walk, where[mine], points[mine], similar[mine])
            left = walk.margin + _LEAST
            # what gains less and less and has far to go would not arrive
            if not walk.broken and left > 0 and before - walk.margin > _SHARE * left:
                gained.append(numbers[index])
        return gained

    def _take_over(
        self,
        walk: _Walk,
        where: Indices,
        points: Units,
        similar: NDArray[np.float64],
    ) -> None:
        """Location by location, what lowers the margin, the largest gain first; before them what
        is broken, whatever that costs."""
        row = self.weights[walk.start.row, self.weighed]
        left = list(range(len(where)))
        while left:
            first, second, at = _two_best(walk.similar)
            others = np.where(at == where[left][:, None], second, first)
            values = np.maximum(others, similar[left]) @ row + self.offset[walk.start.row]
            mended = np.array([int(where[i]) in walk.broken for i in left])
            best = int(np.argmin(np.where(mended | ~mended.any(), values, np.inf)))
            if not (mended.any() or values[best] < walk.margin - TINY):
                return
            chosen = left.pop(best)
            walk.points[where[chosen]] = points[chosen]
            walk.similar[where[chosen]] = similar[chosen]
            walk.margin = float(values[best])
            walk.broken.discard(int(where[chosen]))
            left = [i for i in left if where[i] != where[chosen]]

    def _chosen(
        self, walk: _Walk, sites: Sequence[int]
    ) -> list[tuple[int, int, NDArray[np.float64]]]:
        """(location, sphere's prototype or -1 for its own, point) of the steps to take."""
        row = self.weights[walk.start.row, self.weighed]
        first, _, at = _two_best(walk.similar)
        counts = set(at[row != 0].tolist())
        kept = walk.start.demands.kept
        found = []
        measured = self._measured(walk.points)
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(walk.limit > 0, measured / walk.limit - 1.0, np.inf)
        for location in sorted(counts | walk.broken):
            if kept[location]:
                found.append((location, -1 - sites[location], walk.points[location]))
            else:
                nearest = int(np.argmin(room[location]))
                if room[location, nearest] < _NEAR:
                    found.append((location, nearest, walk.points[location]))
        return found + self._sent(walk, first, row)

    def _sent(
        self, walk: _Walk, first: NDArray[np.float64], row: NDArray[np.float64]
    ) -> list[tuple[int, int, NDArray[np.float64]]]:
        """A free location for each of the opponents that could gain most."""
        free = walk.start.demands.free
        if not free:
            return []
        idle = free[int(np.argmin(self._use(walk, free, row)))]
        limit = walk.limit[idle]
        gap = row * (walk.most - first)
        found = []
        for j in np.argsort(gap, kind="stable")[:_SENT].tolist():
            if not gap[j] < -_LEAST:
                break
            support = np.maximum(row, 0.0)
            own = self.prototypes[: len(row)]
            away = own[j] - support @ own / max(float(support.sum()), TINY)
            length = float(np.linalg.norm(away))
            point = own[j] + np.sqrt(limit[j]) * away / (length if length > 0 else 1.0)
            if limit[j] > 0:
                found.append((idle, j, point))
            # where another limit keeps it farther away, along that one's sphere
            apart = np.sqrt(((self.prototypes - own[j]) ** 2).sum(axis=1))
            inside = np.where(limit > 0, np.sqrt(limit) - apart, -np.inf)
            inside[j] = -np.inf
            worst = int(np.argmax(inside))
            if inside[worst] > -np.inf and (limit[j] <= 0 or inside[worst] ** 2 > limit[j]):
                found.append((idle, worst, point))
        return found

    def _use(
        self, walk: _Walk, free: Sequence[int], row: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """What the margin gains without each free location's similarities: 0 where of no use."""
        first, second, at = _two_best(walk.similar)
        rest = np.where(at == np.array(free)[:, None], second, first)
        if len(walk.similar) == 1:
            return np.full(len(free), np.inf)
        return np.asarray(rest @ row + self.offset[walk.start.row] - walk.margin)

    def _places(
        self, walks: list[_Walk], found: list[tuple[int, int, int, NDArray[np.float64]]]
    ) -> Places:
        channels, spheres = self.prototypes.shape[1], self.spheres
        count, most = len(found), spheres.basis.shape[-2]
        centre, radius = np.empty((count, channels)), np.empty(count)
        basis = np.zeros((count, most, channels))
        limit = np.empty((count, len(self.columns)))
        others = np.empty((count, len(self.weighed)))
        best = {
            index: _two_best(walks[index].similar) for index in sorted({i for i, _, _, _ in found})
        }
        for number, (index, location, sphere, _) in enumerate(found):
            walk = walks[index]
            limit[number] = walk.limit[location]
            first, second, at = best[index]
            others[number] = np.where(at == location, second, first)
            if sphere < 0:
                site = -1 - sphere
                centre[number], radius[number] = spheres.centre[site], spheres.radius[site]
                basis[number] = spheres.basis[site]
            else:
                centre[number] = self.prototypes[sphere]
                radius[number] = np.sqrt(limit[number, sphere])
                limit[number, sphere] = 0.0
        rows = [walks[index].start.row for index, _, _, _ in found]
        most = np.stack([walks[index].most for index, _, _, _ in found])
        points = np.stack([point for _, _, _, point in found])
        places = Places(
            centre, radius, basis, points, limit, self.weights[rows][:, self.weighed], others, most
        )
        return replace(places, unit=unit_of(places.across(points - centre)))

    def _stepped(self, places: Places) -> Units:
        """One linearisation: the best admissible unit vectors on the way to its least value."""
        measured, value = self._valued(places, places.unit)
        heads = len(self.weighed)
        near = np.maximum(measured[:, :heads], 0.0)
        similar = self.descent.similarity.value(near, self.weighed)
        slope = places.weights * self.descent.similarity.derivative(near, self.weighed)
        slope = np.nan_to_num(slope, nan=0.0, posinf=0.0, neginf=0.0)
        seen = similar > places.others
        # opponents that could come nearer here than anywhere else pull too
        able = (places.weights < 0) & (places.most > places.others + _LEAST)
        more = np.flatnonzero((able & ~seen & (slope != 0)).any(axis=1))
        # both goals of all places at once, and all shares of the ways there
        which = np.concatenate([np.arange(len(seen)), more])
        counted = np.concatenate([seen, (seen | able)[more]])
        tried = places.take(which)
        goal = self._goal(tried, np.where(counted, slope[which], 0.0))
        trials = unit_of(tried.unit + _SHARES[:, None, None] * (goal - tried.unit))
        reached = self._valued(tried, trials)[1]
        share = reached.argmin(axis=0)
        least, found = reached[share, np.arange(len(which))], trials[share, np.arange(len(which))]
        first, other = least[: len(seen)], np.full(len(seen), np.inf)
        other[more] = least[len(seen) :]
        best = np.where((first < value - TINY)[:, None], found[: len(seen)], places.unit)
        wins = np.flatnonzero(other < np.minimum(first, value) - TINY)
        best[wins] = found[len(seen) + np.searchsorted(more, wins)]
        return best

    def _goal(self, places: Places, slope: Table) -> Units:
        """Where sum_j slope_j |z - p_j|^2 is least; where they are where it is flat."""
        # its slope along e, but for the factor 2 r
        towards = slope.sum(axis=1)[:, None] * places.centre
        towards = towards - slope @ self.prototypes[: len(self.weighed)]
        goal = least_on(places, places.across(towards), self.prototypes, self.norms)
        flat = np.linalg.norm(goal, axis=1) < 0.5
        return np.where(flat[:, None], places.unit, goal)

    def _valued(self, places: Places, unit: Units) -> tuple[Table, NDArray[np.float64]]:
        """Squared distances, and the margins' parts: infinite where a limit is broken."""
        measured = self._measured(places.points(unit))
        near = measured[..., : len(self.weighed)]
        activation = np.maximum(self.descent.similarity.value(near, self.weighed), places.others)
        value = (places.weights * activation).sum(axis=-1)
        broken = (measured < places.limit * (1 - 0.5 * _SPARE)).any(axis=-1)
        broken |= (unit**2).sum(axis=-1) < 0.25  # of no direction: not on the sphere
        return measured, np.where(broken, np.inf, value)


def _two_best(
    similar: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Per prototype the largest similarity, the second one, and where the first is."""
    at = similar.argmax(axis=0)
    columns = np.arange(similar.shape[1])
    first = similar[at, columns]
    rest = similar.copy()
    rest[at, columns] = -np.inf
    return first, rest.max(axis=0), at
