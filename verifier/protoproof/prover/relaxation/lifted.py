"""One location in free space, as a convex set: the relaxation of a margin that is tight there.

Let x be the part of a latent z along the prototypes' affine hull and t = |z|^2. Every squared
distance is q_j = t - 2 <x, p_j> + |p_j|^2, linear in (x, t); and the pairs (x, t) that occur are
those with t >= |x|^2, all of them where space has a dimension besides the hull (the rest of z is a
vector across it, of any length). So pair facts, ceilings and the bounds of a case cut a polyhedron
out of a paraboloid, which is convex. The only thing that is relaxed is the similarity: convex where
a prototype supports, below its chord where it opposes.

    minimise  sum of weight * similarity + sum of chords   over the polyhedron and the paraboloid

A primal-dual interior-point method finds the least value with its
multipliers, which prove it by weak duality, and the point where it is least, which is a latent that
meets all that is asked. A variable that every bound may borrow from, at a price, makes a start of
any point. Everything is float64: multipliers are offered to the checker, points to the replay.

Reference: S. Boyd, L. Vandenberghe, "Convex Optimization", Cambridge University Press 2004,
chapters 5 and 11.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from protoproof.prover.latent.instance import Instance

Vector = Float[NDArray[np.float64], " prototype"]
Unknowns = Float[NDArray[np.float64], " unknown"]
Matrix = NDArray[np.float64]

# Directions shorter than this share of the longest one are none.
_SPANNED = 1e-9
# The gap at which the search ends; its steps; the share of the gap that a step aims at.
_GAP, _STEPS, _CENTRE = 1e-6, 80, 0.1
# Where the search has left everything of interest.
_FARTHEST = 1e8
# How far to the edge a step goes; backtracking.
_EDGE, _BACK, _SHORTEST = 0.99, 0.5, 1e-6
# A least value that is below zero by this share of the gap cannot be proved: no need for more.
_HOPELESS = 4.0
# What borrowing costs, over the sum of all slopes; below this nothing is borrowed.
_PRICE, _NOTHING = 4.0, 1e-6
# Width of the difference quotient for the similarity's second derivative.
_QUOTIENT = 1e-4


@dataclass(frozen=True)
class Asked:
    """A margin and what is known: all [P] but ``equal``.

    ``rising`` weights of similarities that enter as they are (at least 0); ``falling`` the slopes
    of chords; ``constant`` is all else, ``equal`` included: those distances are ``given``.
    ``lower`` (0 for none) and ``upper`` (infinite for none) bound the others.
    """

    rising: Vector
    falling: Vector
    constant: float
    lower: Vector
    upper: Vector
    equal: tuple[int, ...]
    given: Float[NDArray[np.float64], " equal"]


@dataclass(frozen=True)
class Found:
    """The least value, nearly.

    ``multipliers`` [P]: of the bounds, positive where an upper and negative where a lower one is
    charged; ``tangents`` [P] the distances where it is least, ``point`` e = z - v there; ``met``
    whether the point meets everything.
    """

    multipliers: Vector
    tangents: Vector
    point: Float[NDArray[np.float64], " channel"]
    met: bool


class Lifted:
    """The only location of an instance, seen from its latent: unknowns are (x, t) less those."""

    def __init__(self, instance: Instance) -> None:
        self.instance, self.chain = instance, instance.head.chain
        prototypes, latent = instance.head.prototypes, instance.latent[0]
        self.middle = prototypes.mean(axis=0)
        spread = prototypes - self.middle
        _, size, rows = np.linalg.svd(spread, full_matrices=False)
        self.basis = rows[: int((size > _SPANNED * max(float(size[0]), 1e-30)).sum())]
        own = latent - self.middle
        self.along = self.basis @ own
        self.square = float(own @ own)
        self.measured = instance.measurement[0]
        ones = np.ones((len(spread), 1))
        self.slopes = np.hstack([-2.0 * spread @ self.basis.T, ones])
        self.across = self._across(own - self.along @ self.basis)
        self._free: dict[tuple[int, ...], Matrix] = {}

    def _across(self, rest: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """A direction across the hull: the latent's own, or any; None where there is none."""
        if len(self.basis) == len(rest):
            return None
        if float(rest @ rest) <= _SPANNED**2 * max(self.square, 1e-30):
            tried = np.eye(len(rest)) - self.basis.T @ self.basis
            rest = tried[int(np.argmax((tried**2).sum(axis=1)))]
        return np.asarray(rest / np.linalg.norm(rest))

    def free(self, equal: Sequence[int]) -> Matrix:
        """An orthonormal basis [unknown, direction] of what leaves some distances as they are."""
        key = tuple(equal)
        if key not in self._free:
            if not key:
                return np.eye(self.slopes.shape[1])
            _, size, rows = np.linalg.svd(self.slopes[list(key)])
            self._free[key] = rows[int((size > _SPANNED * size[0]).sum()) :].T
        return self._free[key]

    def point(self, unknowns: Unknowns) -> Float[NDArray[np.float64], " channel"]:
        """A latent, less the instance's, with the given coordinates."""
        along = self.along + unknowns[:-1]
        height = np.sqrt(max(self.square + float(unknowns[-1]) - float(along @ along), 0.0))
        rest = 0.0 if self.across is None else height * self.across
        return np.asarray(self.middle + along @ self.basis + rest - self.instance.latent[0])

    def least(self, asked: Asked, enough: float) -> Iterator[Found]:
        """Where the relaxed margin is least, ever nearer, from where it seems to exceed ``enough``.

        The last one is as near as it gets, or shows that the margin exceeds nothing there.
        """
        with contextlib.suppress(LinAlgError):
            yield from _Descent(self, asked).run(enough)


@dataclass(frozen=True)
class _State:
    """A point, multipliers of all that bounds it, the height over the paraboloid, and whether no
    further step was found."""

    w: Unknowns
    charges: NDArray[np.float64]
    height: float
    short: bool = False


class _Descent:
    """One run of the interior-point method: w are directions of ``free``, then what is borrowed."""

    def __init__(self, lifted: Lifted, asked: Asked) -> None:
        self.lifted, self.asked = lifted, asked
        equal = list(asked.equal)
        self.start = np.zeros(lifted.slopes.shape[1])
        if equal:
            change = asked.given - lifted.measured[equal]
            if np.abs(change).max() > 0:
                self.start = np.linalg.lstsq(lifted.slopes[equal], change, rcond=None)[0]
        free = lifted.free(equal)
        self.free = np.hstack([free, np.zeros((len(free), 1))])
        self.base = lifted.measured + lifted.slopes @ self.start
        self.turn = lifted.slopes @ self.free
        open_ = np.ones(len(self.base), dtype=bool)
        open_[equal] = False
        self.curved = np.flatnonzero((asked.rising > 0) & open_)
        self.below = np.flatnonzero((asked.lower > 0) & open_)
        self.above = np.flatnonzero(np.isfinite(asked.upper) & open_)
        self.sides = np.vstack([self.turn[self.below], -self.turn[self.above]])
        self.sides[:, -1] = 1.0
        lower = asked.lower[self.below] - self.base[self.below]
        upper = asked.upper[self.above] - self.base[self.above]
        self.ends = np.concatenate([lower, -upper])
        now = np.maximum(self.base[self.curved], 1e-12)
        steep = asked.rising[self.curved] * lifted.chain.derivative(now, self.curved)
        self.price = _PRICE * (1.0 + float(np.abs(steep).sum() + np.abs(asked.falling).sum()))
        self.linear = asked.falling @ self.turn
        self.linear[-1] = self.price
        self.constant = asked.constant + float(asked.falling @ self.base)
        inner = self.free[:-1]
        self.bowl = 2.0 * inner.T @ inner

    def run(self, enough: float) -> Iterator[Found]:
        w = np.zeros(self.free.shape[1])
        most = max(float((self.ends - self.sides @ w).max(initial=0.0)), -self._height(w)[0], 0.0)
        w[-1] = most + 1.0
        inside, _, _ = self._inside(_State(w, np.zeros(0), max(self._height(w)[0], 1.0)))
        state = _State(w, 1.0 / inside, float(inside[-2]))
        for _ in range(_STEPS):
            state = self._step(state)
            if not np.abs(state.w).max() < _FARTHEST:
                return  # nothing is least: it gets ever smaller far away
            inside, _, apart = self._inside(state)
            value, gap = self._value(state.w), float(inside @ state.charges)
            on = abs(apart) < _NOTHING
            sure = on and state.w[-1] < _NOTHING
            last = (on and gap < _GAP) or (sure and value < -_HOPELESS * gap) or state.short
            if last or value - 2.0 * gap > enough:
                yield self._found(state, met=sure)
            if last:
                return

    def _height(self, w: Unknowns) -> tuple[float, Unknowns]:
        """How far t is above |x|^2, with what is borrowed, and the slope of that."""
        unknowns = self.start + self.free @ w
        along = self.lifted.along + unknowns[:-1]
        height = self.lifted.square + float(unknowns[-1]) - float(along @ along) + float(w[-1])
        slope = self.free[-1] - 2.0 * along @ self.free[:-1]
        slope[-1] = 1.0
        return height, slope

    def _value(self, w: Unknowns) -> float:
        q = self.base[self.curved] + self.turn[self.curved] @ w
        if (q <= 0).any():
            return np.inf
        similar = self.lifted.chain.value(q, self.curved)
        return float(self.asked.rising[self.curved] @ similar + self.linear @ w + self.constant)

    def _inside(self, state: _State) -> tuple[NDArray[np.float64], Matrix, float]:
        """How far inside every bound, the paraboloid and "nothing borrowed" a state is, and slopes.

        Of the paraboloid that is a number of its own, which comes near to what it should be step by
        step (steps along a curved edge would be short); at last, by how much it is too small.
        """
        height, rise = self._height(state.w)
        last = np.zeros_like(state.w)
        last[-1] = 1.0
        inside = np.concatenate(
            [self.sides @ state.w - self.ends, [state.height, float(state.w[-1])]]
        )
        return inside, np.vstack([self.sides, rise, last]), height - state.height

    def _gradient(self, q: NDArray[np.float64]) -> Unknowns:
        rising = self.asked.rising[self.curved]
        return np.asarray((rising * self._slope(q)) @ self.turn[self.curved] + self.linear)

    def _step(self, state: _State) -> _State:
        """Newton's step for point and multipliers together, as far as both stay positive."""
        inside, slopes, apart = self._inside(state)
        target = _CENTRE * float(inside @ state.charges) / len(inside)
        turn, rising = self.turn[self.curved], self.asked.rising[self.curved]
        q = self.base[self.curved] + turn @ state.w
        bend = np.maximum(rising * self._second(q), 0.0)
        stiff = state.charges / inside
        matrix = (turn.T * bend) @ turn + (slopes.T * stiff) @ slopes
        matrix += state.charges[-2] * self.bowl
        matrix[np.diag_indices_from(matrix)] *= 1 + 1e-11
        late = np.zeros(len(inside))
        late[-2] = apart
        right = (target / inside - stiff * late) @ slopes - self._gradient(q)
        step = cho_solve(cho_factor(matrix), right)
        moved = slopes @ step + late
        turned = target / inside - state.charges - stiff * moved
        far = np.concatenate([-state.charges / turned, -inside / moved])
        length = min(1.0, _EDGE * float(far[far > 0].min(initial=np.inf)))
        while length > _SHORTEST:
            w = state.w + length * step
            if ((self.base + self.turn @ w)[self.curved] > 0).all():
                height = state.height + length * float(moved[-2])
                return _State(w, state.charges + length * turned, height)
            length *= _BACK
        return _State(state.w, state.charges, state.height, short=True)

    def _slope(self, q: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self.lifted.chain.derivative(q, self.curved))

    def _second(self, q: NDArray[np.float64]) -> NDArray[np.float64]:
        """The similarity's second derivative, by a difference quotient."""
        width = _QUOTIENT * q
        ahead, behind = (self._slope(q + sign * width) for sign in (1, -1))
        return np.asarray((ahead - behind) / (2.0 * width))

    def _found(self, state: _State, *, met: bool) -> Found:
        multipliers = np.zeros(len(self.base))
        multipliers[self.below] -= state.charges[: len(self.below)]
        multipliers[self.above] += state.charges[len(self.below) : -2]
        distances = np.maximum(self.base + self.turn @ state.w, 0.0)
        point = self.lifted.point(self.start + self.free @ state.w)
        return Found(multipliers, distances, point, met and self.lifted.across is not None)
