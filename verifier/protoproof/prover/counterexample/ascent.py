"""Projected descent of a margin over the spheres that facts leave, for many starts at once.

The margin over one rival is minimised by steps along its (sub)gradient, each followed by a
projection on the spheres. Every start has its own step length, which grows while the margin falls
and shrinks where it does not. Facts that are inequalities (a prototype may not come nearer than
some distance) are paid for by an exact penalty: beyond the limit the similarity counts against
the start with a weight that no margin weight reaches.

Tasks and results are numpy arrays; the descent itself runs on the instance's engine
(``network.arrays``), as many starts at a time as have room there. What it finds is a proposal:
whoever uses it replays it exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.backend import PROCESSOR, Array, Engine, namespace
from protoproof.network.head.chain import Chain
from protoproof.network.head.head import Head
from protoproof.prover.counterexample.feasible_set import Spheres
from protoproof.prover.latent.time_limit import time_is_up

Points = Float[NDArray[np.float64], "start location channel"]
Scores = Float[NDArray[np.float64], " start"]
Columns = Int[NDArray[np.intp], " column"]

# Limits hold with this relative distance to spare in the search, and with the next one at the end.
_SOFT, _HARD = 1e-5, 1e-9
_GROW, _SHRINK, _FIRST, _LONGEST = 1.6, 0.4, 0.4, 2.0
# A step has to gain this much of the score: where rounding decides, every engine stays.
_LEAST = 1e-9
# What is left of a gradient when all but this share of its terms cancel points anywhere.
_NOISE = 1e-12
# Arrays [start, location, column] that one step has alive at once.
_ALIVE = 12


@dataclass(frozen=True)
class Task:
    """A batch of margins to make negative, B starts of N locations each.

    ``spheres`` [S]: where locations may go; ``sites`` [B, N]: which of them is whose. ``weights``
    [R, P] and ``offset`` [R]: the margins; ``rows`` [B]: the margin of every start. ``limits``: per
    start [N, P] the least squared distance that is allowed (0: any). ``other`` [B, P]: the largest
    similarity at the locations that do not move; None where all move.
    """

    spheres: Spheres
    sites: Int[NDArray[np.intp], "start location"]
    weights: Float[NDArray[np.float64], "rival prototype"]
    offset: Float[NDArray[np.float64], " rival"]
    rows: Int[NDArray[np.intp], " start"]
    limits: Sequence[Float[NDArray[np.float64], "location prototype"]]
    other: Float[NDArray[np.float64], "start prototype"] | None = None

    def columns(self) -> tuple[Columns, Columns]:
        """The prototypes that have a weight, and the others that have a limit.

        All others change neither a margin nor what is allowed. (Two classes share the weights of
        most prototypes, so of a large head few are left.)
        """
        weighed = (self.weights[np.unique(self.rows)] != 0).any(axis=0)
        limited = np.zeros_like(weighed)
        for limit in self.limits:
            limited |= limit.any(axis=0)
        return np.flatnonzero(weighed), np.flatnonzero(limited & ~weighed)

    def limit(
        self, starts: slice, columns: Columns
    ) -> Float[NDArray[np.float64], "start location column"] | None:
        """The limits of some starts; None where they have none."""
        limit = np.stack([some[:, columns] for some in self.limits[starts]])
        return limit if limit.any() else None


class Descent:
    """The head in the form that the search needs; shared by all tasks."""

    def __init__(self, head: Head, engine: Engine = PROCESSOR) -> None:
        self.similarity = head.chain
        self.prototypes = head.prototypes
        self.engine = engine
        self.norms = (head.prototypes**2).sum(axis=1)
        spread = self.prototypes - self.prototypes.mean(axis=0)
        self.size = float(np.sqrt((spread**2).sum(axis=1).mean())) or 1.0

    def squared_distances(
        self, points: NDArray[np.float64], columns: Columns | None = None
    ) -> NDArray[np.float64]:
        """|z - p_j|^2 for a batch of points, expanded: fast, and precise enough for a search.

        ``columns``: the prototypes j; all by default.
        """
        prototypes, norms = self.prototypes, self.norms
        if columns is not None and len(columns) < len(norms):
            prototypes, norms = prototypes[columns], norms[columns]
        own = (points**2).sum(axis=-1)[..., None]
        # one product of two matrices, not one per entry of a batch
        products = points.reshape(-1, points.shape[-1]) @ prototypes.T
        products = products.reshape(*points.shape[:-1], len(norms))
        return np.asarray(np.maximum(own - 2.0 * products + norms, 0.0))

    def solve(self, task: Task, start: Points, steps: int) -> tuple[Points, Scores]:
        """The best admissible points that were met, and their margins (infinite for none)."""
        put, get = self.engine.put, self.engine.get
        best, found = np.empty_like(start), np.empty(len(start))
        weighed, limited = task.columns()
        columns = np.concatenate([weighed, limited])
        prototypes, spheres = put(self.prototypes[columns]), task.spheres.on(self.engine)
        weights, offset = put(task.weights[:, weighed]), put(task.offset)
        # per location: distances, or coordinates, or a basis (of which there are fewer at a time)
        directions, channels = task.spheres.basis.shape[-2:]
        cells = start.shape[1] * max(len(columns), channels, directions * channels // 4)
        size = max(1, self.engine.cells(_ALIVE) // cells)
        for first in range(0, len(start), size):
            part = slice(first, first + size)
            rows, limit = put(task.rows[part]), task.limit(part, columns)
            problem = _Problem(
                self.similarity,
                columns,
                spheres.take(put(task.sites[part])),
                prototypes,
                weights[rows],
                offset[rows],
                None if limit is None else put(limit),
                None if task.other is None else put(task.other[part][:, weighed]),
            )
            points, margins = problem.descend(put(start[part]), steps, self.size)
            best[part], found[part] = get(points), get(margins)
        return best, found

    def admissible(
        self, measured: NDArray[np.float64], limit: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Which distances respect their limits, with a little to spare."""
        return np.asarray((limit == 0) | (measured >= limit * (1 + _HARD)))


@dataclass
class _Value:
    """Of every start: margin with penalties, margin (infinite if not admissible), gradient."""

    score: Array
    margin: Array
    gradient: Array


class _Problem:
    """Some starts of a task on an engine, against C prototypes, of which the first W have weights.

    ``columns`` [C] their indices; ``spheres`` [B, N]; ``prototypes`` [C, D]; ``weights`` [B, W];
    ``offset`` [B]; ``limit`` [B, N, C] or None; ``other`` [B, W] or None.
    """

    def __init__(
        self,
        similarity: Chain,
        columns: Columns,
        spheres: Spheres,
        prototypes: Array,
        weights: Array,
        offset: Array,
        limit: Array | None,
        other: Array | None,
    ) -> None:
        xp = namespace(prototypes)
        self.similarity, self.spheres = similarity, spheres
        self.columns, self.heads = columns, columns[: weights.shape[1]]
        self.weights, self.offset, self.other = weights, offset, other
        self.prototypes, self.weighed = prototypes, prototypes[: weights.shape[1]]
        if limit is None:
            self.prototypes, self.soft = self.weighed, None
        else:
            flat = xp.reshape(limit, (-1, limit.shape[2]))
            self.soft = xp.where(flat > 0, flat * (1 + _SOFT), -np.inf)
        # what a unit of similarity beyond a limit costs: no margin weight reaches it
        fine = xp.ones_like(offset)
        if weights.shape[1]:
            fine = 4.0 * xp.max(xp.abs(weights), axis=1) + fine
        self.fine = xp.broadcast_to(fine[:, None], spheres.radius.shape)
        self.norms = xp.sum(self.prototypes**2, axis=1)
        self.inner = -2.0 * self.prototypes.T
        self._round = ~xp.isinf(spheres.radius)
        self._length = xp.where(self._round & (spheres.radius > 0), spheres.radius, 1.0)

    def descend(self, start: Array, steps: int, size: float) -> tuple[Array, Array]:
        """See :meth:`Descent.solve`; ``size`` is a step's scale where nothing is kept."""
        xp = namespace(start)
        points = self.spheres.onto(start)
        value = self._value(points)
        best, found = points, value.margin
        scale = xp.max(xp.where(self._round, self.spheres.radius, size), axis=1)
        pace = xp.full_like(found, _FIRST)
        for _ in range(steps):
            if time_is_up():
                break
            length = xp.max(xp.sqrt(xp.sum(value.gradient**2, axis=2)), axis=1)
            step = pace * scale / xp.where(length > 0, length, 1.0)
            trial = self.spheres.onto(points - step[:, None, None] * value.gradient)
            new = self._value(trial)
            least = _LEAST * xp.maximum(xp.abs(value.score), 1.0)
            better, wins = new.score < value.score - least, new.margin < found - least
            points = xp.where(better[:, None, None], trial, points)
            value = _Value(
                xp.where(better, new.score, value.score),
                new.margin,
                xp.where(better[:, None, None], new.gradient, value.gradient),
            )
            best = xp.where(wins[:, None, None], trial, best)
            found = xp.where(wins, new.margin, found)
            pace = xp.where(better, xp.minimum(pace * _GROW, _LONGEST), pace * _SHRINK)
        return best, found

    # a similarity may be steep without end where a measurement is 0: such a point is not taken
    @np.errstate(invalid="ignore", over="ignore", divide="ignore")
    def _value(self, points: Array) -> _Value:
        xp = namespace(points)
        count, locations, channels = points.shape
        # one product for all starts and locations; what rounding leaves below zero is cut off later
        flat = xp.reshape(points, (-1, channels))
        measured = flat @ self.inner
        own = xp.sum(flat**2, axis=1)
        measured += own[:, None]
        measured += self.norms
        # the similarity decreases: the nearest location is the one that counts
        seen = xp.reshape(measured[:, : len(self.weighed)], (count, locations, -1))
        least = xp.maximum(xp.min(seen, axis=1), 0.0)
        activation, slope = self.similarity.with_slope(least, self.heads)
        pull = self.weights * slope
        if self.other is not None:
            active = activation > self.other
            activation = xp.where(active, activation, self.other)
            pull = xp.where(active, pull, 0.0)
        margin = score = xp.sum(self.weights * activation, axis=1) + self.offset
        falling = pull[:, None, :]
        if locations > 1:
            here = xp.argmin(seen, axis=1)[:, None, :] == self._places(seen)
            falling = xp.where(here, falling, 0.0)
        falling = xp.reshape(falling, (count * locations, -1))
        total, pulled = xp.sum(falling, axis=1), falling @ self.weighed
        noise = _NOISE * xp.sqrt(own) * xp.sum(xp.abs(falling), axis=1)
        good, broken = xp.all(self.spheres.inside(points), axis=1), None
        if self.soft is not None:
            low = measured < self.soft
            if xp.any(low):
                penalty, broken = self._penalise(measured, low, total, pulled)
                score = margin + xp.sum(xp.reshape(penalty, (count, locations)), axis=1)
                broken = xp.reshape(broken, (count, locations))
                good &= ~xp.any(broken, axis=1)
        gradient = 2.0 * (total[:, None] * flat - pulled)
        gradient = self._tangent(points, xp.reshape(gradient, points.shape))
        steep = xp.sqrt(xp.sum(gradient**2, axis=2)) > xp.reshape(noise, (count, locations))
        gradient = xp.where(steep[..., None], gradient, 0.0)
        if broken is not None and xp.any(broken & ~steep):
            # on top of what a penalty keeps away, every way is down: towards v, which is admissible
            back = self._tangent(points, points - self.spheres.home)
            gradient = xp.where((broken & ~steep)[..., None], back, gradient)
        return _Value(score, xp.where(good, margin, np.inf), gradient)

    def _penalise(
        self, measured: Array, low: Array, total: Array, pulled: Array
    ) -> tuple[Array, Array]:
        """What it costs each point to be nearer than it should, and which points are too near.

        ``low`` [B N, C] marks the distances. Adds the costs' slopes to ``total`` [B N] and
        ``pulled`` [B N, D]. Works on the points and prototypes concerned, which are few.
        """
        xp = namespace(measured)
        rows, columns = xp.any(low, axis=1), xp.any(low, axis=0)
        low = low[rows, :][:, columns]
        near = xp.maximum(measured[rows, :][:, columns][low], 0.0)
        soft = self.soft[rows, :][:, columns][low]  # type: ignore[index]
        weight = xp.reshape(self.fine, (-1,))[rows][:, None]
        cost, steep = (xp.zeros_like(low, dtype=measured.dtype) for _ in range(2))
        whose = None
        if not self.similarity.uniform:  # the prototype of every entry that is too near
            named = self.columns[_mask(columns)]
            whose = np.broadcast_to(named, tuple(low.shape))[_mask(low)]
        cost[low] = self.similarity.value(near, whose) - self.similarity.value(soft, whose)
        steep[low] = self.similarity.derivative(near, whose)
        steep *= weight
        broken, penalty = xp.zeros_like(rows), xp.zeros_like(total)
        over = xp.zeros_like(low)
        over[low] = near < soft / (1 + _SOFT) * (1 + _HARD)
        broken[rows] = xp.any(over, axis=1)
        penalty[rows] = xp.sum(weight * cost, axis=1)
        total[rows] += xp.sum(steep, axis=1)
        pulled[rows, :] += steep @ self.prototypes[columns, :]
        return penalty, broken

    @staticmethod
    def _places(like: Array) -> Array:
        """The numbers of the locations, as a column."""
        xp = namespace(like)
        return xp.arange(like.shape[1], dtype=xp.int64, device=like.device)[:, None]

    def _tangent(self, points: Array, gradient: Array) -> Array:
        """The gradient less what the projection on the spheres would undo."""
        xp = namespace(points)
        gradient = self.spheres.across(gradient)
        unit = (points - self.spheres.centre) / self._length[..., None]
        inward = xp.where(self._round, xp.sum(gradient * unit, axis=-1), 0.0)
        return gradient - inward[..., None] * unit


def _mask(array: Array) -> NDArray[np.bool_]:
    """A mask in numpy, wherever it is."""
    return np.asarray(array if isinstance(array, np.ndarray) else array.cpu().numpy())
