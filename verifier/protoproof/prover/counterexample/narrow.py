"""Losing latents that break few facts, where all that moves is one location in free space.

Keeping the measurements of a set K of prototypes leaves the location a sphere (``feasible_set``).
A latent that loses there is made to keep more, measurement by measurement:

    while measurements are open:
        for each, bound the margin on the smaller sphere: linear in the latent, so in closed form
        keep those that cost least; descend on the sphere that is left
        where nothing there loses: keep fewer at once; at last, call a measurement needed

The estimate takes one product of matrices for all open measurements, so that hundreds of trials
cost what one search from scratch does. Everything is float64; what is found is replayed exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.time_limit import time_is_up

Vector = Float[NDArray[np.float64], " prototype"]
Point = Float[NDArray[np.float64], " channel"]
Points = Float[NDArray[np.float64], "start channel"]

# A direction whose new part is below this share of its length counts as already spanned.
_SPANNED = 1e-7
# A margin has to be below minus this, so that rounding does not save it.
_CLEAR = 1e-6
# Steps of descent from scratch (stage by stage); on a smaller sphere, where the estimate says that
# something loses there, and where not; at the end.
_STAGES, _AGAIN, _BRIEF, _LAST = (0, 10, 40), 16, 4, 20
# Opponents that are aimed at, per rival.
_AIMS = 12
# Failures in a row after which the remaining measurements, which look worse, are given up.
_FAILURES = 4
# Limits on distances hold with this relative distance to spare.
_SPARE = 1e-6


@dataclass(frozen=True)
class Sphere:
    """Where the location keeps its distances to ``kept``: see ``feasible_set``.

    ``basis`` [M, D] spans the directions between them; ``radius`` is infinite for none.
    """

    home: Point
    kept: tuple[int, ...]
    centre: Point
    basis: Float[NDArray[np.float64], "direction channel"]
    radius: float

    @classmethod
    def around(cls, home: Point) -> Sphere:
        """The whole space."""
        return cls(home, (), home, np.zeros((0, len(home))), np.inf)

    def keeping(
        self, prototypes: Float[NDArray[np.float64], "prototype channel"], more: Iterable[int]
    ) -> Sphere:
        """The part on which some more distances are kept."""
        kept, centre, rows = list(self.kept), self.centre, [self.basis]
        for j in more:
            if not kept:
                centre = prototypes[j]
            else:
                rest = along = prototypes[j] - prototypes[kept[0]]
                basis = np.vstack(rows)
                for _ in range(2):  # twice is enough for orthogonality to working precision
                    rest = rest - (rest @ basis.T) @ basis
                length = float(np.sqrt(rest @ rest))
                if length > _SPANNED * max(float(np.sqrt(along @ along)), 1e-30):
                    unit = rest / length
                    rows = [basis, unit[None]]
                    centre = centre + (unit @ (self.home - centre)) * unit
            kept.append(j)
        radius = float(np.linalg.norm(self.home - centre)) if kept else np.inf
        return Sphere(self.home, tuple(kept), centre, np.vstack(rows), radius)

    def across(self, directions: Points) -> Points:
        """The parts that are orthogonal to the basis."""
        return directions - (directions @ self.basis.T) @ self.basis

    def onto(self, points: Points) -> Points:
        """The nearest points of the sphere; what has none goes home."""
        if not self.kept:
            return points
        away = self.across(points - self.centre)
        length = np.sqrt((away**2).sum(axis=1, keepdims=True))
        lost = length <= _SPANNED * max(self.radius, 1e-30)
        ends = self.centre + self.radius * away / np.where(lost, 1.0, length)
        return np.where(lost, self.home, ends)


@dataclass(frozen=True, eq=False)
class Losing:
    """A point at which the margin of ``row`` is negative, on a sphere."""

    row: int
    point: Point
    sphere: Sphere


class Narrowing:
    """Searches for one location of an instance, against the rivals whose margins are given.

    Args:
        weights: of the margins, [R, P]; the most promising rival first.
        limit: least squared distances that are allowed; 0 for any.
    """

    def __init__(
        self,
        instance: Instance,
        location: int,
        weights: Float[NDArray[np.float64], "rival prototype"],
        offset: Float[NDArray[np.float64], " rival"],
        limit: Vector | None = None,
    ) -> None:
        self.prototypes = instance.head.prototypes
        self.chain = instance.head.chain
        self.weights, self.offset = weights, offset
        self.home = instance.latent[location]
        self.norms = (self.prototypes**2).sum(axis=1)
        rest = np.delete(instance.similarity(instance.measurement), location, axis=0)
        self.other = rest.max(axis=0) if len(rest) else None
        spread = self.prototypes - self.prototypes.mean(axis=0)
        self.size = float(np.sqrt((spread**2).sum(axis=1).mean())) or 1.0
        self.limit = None if limit is None or not limit.any() else limit * (1 + _SPARE)
        self.fine = 4.0 * float(np.abs(weights).max(initial=0.0)) + 1.0

    def free(self) -> Sphere:
        """Where the location may go when it keeps nothing."""
        return Sphere.around(self.home)

    @np.errstate(invalid="ignore", over="ignore", divide="ignore")
    def losing(self, sphere: Sphere) -> Losing | None:
        """A point of a sphere that loses, from scratch: from v, and from beside the opponents."""
        starts, rows = [], []
        for row, weight in enumerate(self.weights):
            support = np.maximum(weight, 0.0)
            middle = support @ self.prototypes / max(float(support.sum()), 1e-30)
            aims = self.prototypes[np.argsort(weight, kind="stable")[:_AIMS]]
            some = [self.home[None], aims, 2 * aims - middle, 2 * self.home[None] - middle]
            starts.append(np.vstack(some))
            rows.append(np.full(len(starts[-1]), row))
        points, row_of = np.vstack(starts), np.concatenate(rows)
        for steps in _STAGES:
            points, margins = self._descend(points, row_of, sphere, steps)
            best = int(np.argmin(margins))
            if margins[best] < -_CLEAR:
                return Losing(int(row_of[best]), points[best], sphere)
            if time_is_up():
                break
        return None

    @np.errstate(invalid="ignore", over="ignore", divide="ignore")
    def from_(self, row: int, point: Point, sphere: Sphere) -> Losing:
        """A point that is known to lose, further below zero where that is near."""
        return self._clearer(Losing(row, sphere.onto(point[None])[0], sphere))

    @np.errstate(invalid="ignore", over="ignore", divide="ignore")
    def narrowed(self, found: Losing, dear: Vector) -> Losing:
        """A losing point that keeps as many measurements as it can.

        Args:
            dear: per prototype, how much it should be kept, in standard deviations of what it costs
                to keep one.
        """
        open_ = [j for j in range(len(self.prototypes)) if j not in set(found.sphere.kept)]
        size, failures = max(1, len(open_) // 4), 0
        while len(open_) > 1 and failures < _FAILURES and not time_is_up():
            least = self._estimates(found, open_)
            cost = least - float(least.std()) * dear[open_]
            order = np.argsort(cost, kind="stable")
            size = min(size, len(open_) - 1)
            chosen = [open_[index] for index in order[:size].tolist()]
            likely = bool((least[order[:size]] < 0).all())
            trial = self._kept(found, chosen, _AGAIN if likely else _BRIEF)
            if trial is not None:
                found, failures = trial, 0
                open_ = [j for j in open_ if j not in set(chosen)]
                size = min(size, max(1, len(open_) // 4))
            elif size > 1:
                size //= 2
            else:
                failures += 1
                open_.remove(chosen[0])
        return self._clearer(found)

    def _kept(self, found: Losing, more: list[int], steps: int) -> Losing | None:
        """A losing point on the sphere that keeps some more, near a known one."""
        sphere = found.sphere.keeping(self.prototypes, more)
        rows = np.array([found.row])
        _, gradient, _ = self._score(found.point[None], rows, sphere)
        down = sphere.across(gradient)[0]
        length = float(np.linalg.norm(down))
        least = sphere.centre - sphere.radius * down / (length or 1.0)
        starts = np.vstack([found.point, least, (found.point + least) / 2])
        points, margins = self._descend(starts, np.repeat(rows, 3), sphere, steps)
        best = int(np.argmin(margins))
        return Losing(found.row, points[best], sphere) if margins[best] < -_CLEAR else None

    def _clearer(self, found: Losing) -> Losing:
        """The same sphere, a margin that is further below zero."""
        points, margins = self._descend(
            found.point[None], np.array([found.row]), found.sphere, _LAST, -np.inf
        )
        return Losing(found.row, points[0], found.sphere) if margins[0] < -_CLEAR else found

    def _estimates(self, found: Losing, among: list[int]) -> Vector:
        """Per measurement, the least margin if it is kept too, linear around the point."""
        sphere, point = found.sphere, found.point
        score, gradients, _ = self._score(point[None], np.array([found.row]), sphere)
        slope = gradients[0]
        if not sphere.kept:
            centres = self.prototypes[among]
            radius = np.sqrt(((self.home - centres) ** 2).sum(axis=1))
            steep = float(np.linalg.norm(slope))
            return np.asarray(score[0] + (centres - point) @ slope - radius * steep)
        raw = self.prototypes[among] - self.prototypes[sphere.kept[0]]
        away = sphere.across(raw)
        length = np.sqrt((away**2).sum(axis=1))
        spanned = length <= _SPANNED * np.maximum(np.sqrt((raw**2).sum(axis=1)), 1e-30)
        away = np.where(spanned[:, None], 0.0, away / np.where(spanned, 1.0, length)[:, None])
        along, fall = away @ (self.home - sphere.centre), away @ slope
        down = sphere.across(slope[None])[0]
        radius = np.sqrt(np.maximum(sphere.radius**2 - along**2, 0.0))
        steep = np.sqrt(np.maximum(down @ down - fall**2, 0.0))
        least = score[0] + slope @ (sphere.centre - point) + along * fall - radius * steep
        return np.asarray(least)

    def _descend(
        self,
        points: Points,
        rows: NDArray[np.intp],
        sphere: Sphere,
        steps: int,
        enough: float = -_CLEAR,
    ) -> tuple[Points, NDArray[np.float64]]:
        """Projected descent; margins are infinite where a limit is broken."""
        points = sphere.onto(points)
        score, gradient, margins = self._score(points, rows, sphere)
        scale = sphere.radius if sphere.kept else self.size
        pace = np.full(len(points), 0.4)
        for _ in range(steps):
            if margins.min() < enough:
                break
            gradient = self._tangent(sphere, points, gradient)
            length = np.sqrt(_dots(gradient, gradient))
            step = pace * scale / np.where(length > 0, length, 1.0)
            trial = sphere.onto(points - step[:, None] * gradient)
            new, slope, there = self._score(trial, rows, sphere)
            better = new < score
            points = np.where(better[:, None], trial, points)
            gradient = np.where(better[:, None], slope, gradient)
            margins, score = np.where(better, there, margins), np.where(better, new, score)
            pace = np.where(better, np.minimum(pace * 1.6, 2.0), pace * 0.4)
        return points, margins

    @staticmethod
    def _tangent(sphere: Sphere, points: Points, gradient: Points) -> Points:
        """The gradient less what the projection would undo."""
        if not sphere.kept:
            return gradient
        gradient = sphere.across(gradient)
        unit = (points - sphere.centre) / (sphere.radius or 1.0)
        return np.asarray(gradient - _dots(gradient, unit)[:, None] * unit)

    def _score(
        self, points: Points, rows: NDArray[np.intp], sphere: Sphere
    ) -> tuple[NDArray[np.float64], Points, NDArray[np.float64]]:
        """Margins with what broken limits cost, their gradients, and margins.

        What the sphere keeps is as it was, and respects every limit that is true at the start.
        """
        own = _dots(points, points)[:, None]
        measured = np.maximum(own - 2.0 * (points @ self.prototypes.T) + self.norms, 0.0)
        similar, slope = self.chain.with_slope(measured)
        weight = self.weights[rows]
        pull, seen = weight * slope, similar
        if self.other is not None:
            ahead = similar > self.other
            pull, seen = np.where(ahead, pull, 0.0), np.where(ahead, similar, self.other)
        margins = _dots(weight, seen) + self.offset[rows]
        score = margins
        if self.limit is not None:
            near = measured < self.limit
            near[:, list(sphere.kept)] = False
            if near.any():
                over = np.where(near, similar - self.chain.value(self.limit), 0.0)
                score = margins + self.fine * over.sum(axis=1)
                pull = pull + np.where(near, self.fine * slope, 0.0)
                margins = np.where(near.any(axis=1), np.inf, margins)
        gradient = 2.0 * (pull.sum(axis=1)[:, None] * points - pull @ self.prototypes)
        return score, gradient, margins


def _dots(
    left: Float[NDArray[np.float64], "row column"], right: Float[NDArray[np.float64], "row column"]
) -> NDArray[np.float64]:
    """Inner products, row by row."""
    return np.asarray(np.einsum("rc,rc->r", left, right))
