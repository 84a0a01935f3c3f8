"""Projected descent of a margin over the spheres that facts leave, for many starts at once.

The margin over one rival is minimised by steps along its (sub)gradient, each followed by a
projection on the spheres. Every start has its own step length, which grows while the margin falls
and shrinks where it does not. Facts that are inequalities (a prototype may not come nearer than
some distance) are paid for by an exact penalty: beyond the limit the similarity counts against
the start with a weight that no margin weight reaches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from verifier.minimise.spheres import Spheres
from verifier.network.head import Head

Points = Float[NDArray[np.float64], "start location channel"]
Scores = Float[NDArray[np.float64], " start"]

# Limits hold with this relative distance to spare in the search, and with the next one at the end.
_SOFT, _HARD = 1e-5, 1e-9
_GROW, _SHRINK, _FIRST, _LONGEST = 1.6, 0.4, 0.4, 2.0


@dataclass(frozen=True)
class Task:
    """A batch of margins to make negative; one entry of everything per start.

    ``spheres`` [B, N]: where each of N locations may go. ``other`` [B, P]: the largest similarity
    at the locations that do not move (minus infinity for none). ``weights`` [B, P] and ``offset``
    [B]: the margin. ``limit`` [B, N, P]: the least squared distance that is allowed (0: any).
    """

    spheres: Spheres
    other: Float[NDArray[np.float64], "start prototype"]
    weights: Float[NDArray[np.float64], "start prototype"]
    offset: Scores
    limit: Float[NDArray[np.float64], "start location prototype"]


@dataclass
class _Value:
    score: Scores
    margin: Scores
    gradient: Points


class Descent:
    """The head in the form that the search needs; shared by all tasks."""

    def __init__(self, head: Head) -> None:
        self.similarity = head.similarity
        self.prototypes = head.prototypes
        self.norms = (head.prototypes**2).sum(axis=1)
        spread = self.prototypes - self.prototypes.mean(axis=0)
        self.size = float(np.sqrt((spread**2).sum(axis=1).mean())) or 1.0

    def squared_distances(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """|z - p_j|^2 for a batch of points, expanded: fast, and precise enough for a search."""
        own = (points**2).sum(axis=-1)[..., None]
        products = self._times(points, self.prototypes.T)
        return np.asarray(np.maximum(own - 2.0 * products + self.norms, 0.0))

    @staticmethod
    def _times(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
        """``left @ right`` as one product of two matrices, not one product per entry of a batch."""
        flat = left.reshape(-1, left.shape[-1]) @ right
        return flat.reshape(*left.shape[:-1], right.shape[1])

    def solve(self, task: Task, start: Points, steps: int) -> tuple[Points, Scores]:
        """The best admissible points that were met, and their margins (infinite for none)."""
        points = task.spheres.onto(start)
        value = self._value(task, points)
        best, found = points.copy(), value.margin.copy()
        radius = np.where(np.isinf(task.spheres.radius), self.size, task.spheres.radius)
        scale = radius.max(axis=1)
        pace = np.full(len(points), _FIRST)
        for _ in range(steps):
            length = np.sqrt((value.gradient**2).sum(axis=2)).max(axis=1)
            step = pace * scale / np.where(length > 0, length, 1.0)
            trial = task.spheres.onto(points - step[:, None, None] * value.gradient)
            new = self._value(task, trial)
            better = new.score < value.score
            points = np.where(better[:, None, None], trial, points)
            value = _Value(
                np.where(better, new.score, value.score),
                new.margin,
                np.where(better[:, None, None], new.gradient, value.gradient),
            )
            wins = new.margin < found
            best[wins], found[wins] = trial[wins], new.margin[wins]
            pace = np.where(better, np.minimum(pace * _GROW, _LONGEST), pace * _SHRINK)
        return best, found

    def admissible(
        self, measured: NDArray[np.float64], limit: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Which distances respect their limits, with a little to spare."""
        return np.asarray((limit == 0) | (measured >= limit * (1 + _HARD)))

    def _value(self, task: Task, points: Points) -> _Value:
        measured = self.squared_distances(points)
        similar = self.similarity.value(measured)
        slope = self.similarity.derivative(measured)
        nearest = similar.argmax(axis=1)
        most = similar.max(axis=1)
        active = most > task.other
        activation = np.where(active, most, task.other)
        margin = (task.weights * activation).sum(axis=1) + task.offset
        falling = np.zeros_like(measured)
        index = np.ogrid[: len(points), : measured.shape[2]]
        chosen = index[0], nearest, index[1]
        falling[chosen] = np.where(active, task.weights, 0.0) * slope[chosen]
        allowed = self.similarity.value(task.limit * (1 + _SOFT))
        excess = np.where(task.limit > 0, np.maximum(similar - allowed, 0.0), 0.0)
        weight = 4.0 * np.abs(task.weights).max(axis=1)[:, None, None] + 1.0
        score = margin + (weight * excess).sum(axis=(1, 2))
        falling += np.where(excess > 0, weight * slope, 0.0)
        pulled = self._times(falling, self.prototypes)
        gradient = 2.0 * (falling.sum(axis=2)[:, :, None] * points - pulled)
        good = self.admissible(measured, task.limit).all(axis=(1, 2))
        good &= task.spheres.inside(points).all(axis=1)
        margin = np.where(good, margin, np.inf)
        return _Value(score, margin, self._tangent(task.spheres, points, gradient))

    @staticmethod
    def _tangent(spheres: Spheres, points: Points, gradient: Points) -> Points:
        """The gradient less what the projection on the spheres would undo."""
        gradient = spheres.across(gradient)
        finite = ~np.isinf(spheres.radius)
        radius = np.where(finite & (spheres.radius > 0), spheres.radius, 1.0)
        unit = (points - spheres.centre) / radius[..., None]
        inward = (gradient * unit).sum(axis=-1) * finite
        return np.asarray(gradient - inward[..., None] * unit)
