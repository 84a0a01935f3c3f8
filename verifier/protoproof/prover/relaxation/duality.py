"""The Lagrangian bound over a box: the best multipliers for many forms at once (theory, section 4).

One location, seen from its recorded latent v: z = v + e with e in a box [lower, upper] that
contains 0. A form sum lambda_j q_j and every constraint are quadratics of one shape,

    form:        A |e|^2 - 2 <b, e>                       (relative to its value at v)
    constraint:  a_i |e|^2 - 2 <b_i, e>  in  [low_i, high_i],   low_i <= 0 <= high_i

(a pair fact has a_i = 1, b_i = p_i - v, both ends 0; a norm has a_i = 1, b_i = -v; a sum or a
linear bound has a_i = 0). For *any* multipliers x, the form loses at most

    V(x) = min over the box of (A + a.x) |e|^2 - 2 <b + sum x_i b_i, e>  -  sum x_i^+ high_i
           + sum x_i^- low_i

and the minimum is separable: one closed form per channel, whatever the sign of the leading
coefficient. V is concave. Its best x is sought by Newton steps on a smoothed V (the gradient is
the constraints' values at the minimiser); the best x that was met counts, so that stopping early
costs tightness and never soundness: any multipliers prove a bound (weak duality). Working relative
to v keeps rounding away: all constants vanish there.

Reference: S. Boyd, L. Vandenberghe, "Convex Optimization", Cambridge University Press 2004,
chapter 5 (the Lagrange dual).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

Matrix = Float[NDArray[np.float64], "row term"]
Points = Float[NDArray[np.float64], "row channel"]
Values = Float[NDArray[np.float64], " row"]

# Newton steps at most, and those that every form gets before it has to improve by _GAIN to go on.
STEPS, _SURE, _GAIN = 16, 4, 1e-5
# The smoothing starts at this share of (steepest slope / widest channel) and falls by _COOLING.
_SMOOTH, _COOLING = 0.5, 0.5
# Shares of the full curvature that damp a Newton step; all are tried.
_DAMPINGS = (1e-4, 1e-2, 1e-1, 1.0)
# How far multipliers go: what a case without any latent leaves open (V has no end there).
_FARTHEST = 2.0**60
_TINY = 1e-300
# Rows times channels times multipliers up to which a second search costs next to nothing.
_SMALL = 1 << 10
# No channel is treated as wider than this: an unbounded one still needs a finite smoothing.
_WIDEST = 4.0


@dataclass(frozen=True)
class Sites:
    """Boxes and constraints of several locations, padded to one number of constraints.

    ``lower``, ``upper`` [site, D] (ends may be infinite); ``square`` [site, term] the a_i;
    ``centre`` [site, term, D] the b_i; ``low``, ``high`` [site, term]. Padding has a = b = 0 and
    infinite ends, so that its multiplier stays 0.
    """

    lower: Float[NDArray[np.float64], "site channel"]
    upper: Float[NDArray[np.float64], "site channel"]
    square: Float[NDArray[np.float64], "site term"]
    centre: Float[NDArray[np.float64], "site term channel"]
    low: Float[NDArray[np.float64], "site term"]
    high: Float[NDArray[np.float64], "site term"]


@dataclass(frozen=True)
class Dual:
    """The problem of one batch of forms: leading [row], slope [row, D], and the site of each."""

    sites: Sites
    site: Int[NDArray[np.intp], " row"]
    leading: Values
    slope: Points

    def totals(self, x: Matrix) -> tuple[Values, Points]:
        """A + a.x and b + sum x_i b_i."""
        sites, site = self.sites, self.site
        if len(sites.square) == 1:
            return self.leading + x @ sites.square[0], self.slope + x @ sites.centre[0]
        return (
            self.leading + (x * sites.square[site]).sum(axis=1),
            self.slope + np.matmul(x[:, None, :], sites.centre[site])[:, 0],
        )

    def ends(self) -> tuple[Points, Points]:
        """Lower and upper ends of every row's box; one row where all share it."""
        if len(self.sites.lower) == 1:
            return self.sites.lower, self.sites.upper
        return self.sites.lower[self.site], self.sites.upper[self.site]

    def value(self, x: Matrix) -> Values:
        """V(x); minus infinity where the box leaves the bracket unbounded."""
        leading, slope = self.totals(x)
        return least(leading, slope, *self.ends()) - self.charges(x)

    def repeated(self, times: int) -> Dual:
        """The same problem several times over, for several multipliers at once."""
        return Dual(
            self.sites,
            np.tile(self.site, times),
            np.tile(self.leading, times),
            np.tile(self.slope, (times, 1)),
        )

    def ascend(self, x: Matrix, steps: int = STEPS) -> tuple[Matrix, Values, Points]:
        """Better multipliers than ``x``, V there (never worse), and a point near the minimiser.

        The point nearly meets the constraints; it only guides a search.

        A step smooths every channel by eps |e - anchor|^2, which makes the minimiser move
        continuously with x, and solves for the x at which all constraints would hold. Where the
        best leading coefficient is zero (a box so small that the sphere looks flat), V has a kink;
        the same steps within the plane A + a.x = 0 follow it. After ``_SURE`` steps a form goes on
        only while its bound improves.
        """
        best, value = x.copy(), self.value(x)
        anchor = np.zeros_like(self.slope)
        lower, upper = self.ends()
        width = np.minimum(upper - lower, _WIDEST).max(axis=1)
        _, slope = self.totals(x)
        eps = _SMOOTH * np.abs(slope).max(axis=1) / np.maximum(width, _TINY) + _TINY
        active, part = np.arange(len(x)), self
        for step in range(steps if x.shape[1] else 0):
            if not len(active):
                break
            found, bound, anchor[active] = part._step(best[active], eps[active], anchor[active])
            wins = bound > value[active]
            # from minus infinity, every finite bound is a gain
            gain = np.where(wins, bound, 0.0) - np.where(wins, value[active], 0.0)
            best[active[wins]], value[active[wins]] = found[wins], bound[wins]
            eps *= _COOLING
            if step + 1 >= _SURE:
                goes_on = (gain > _GAIN * np.abs(value[active])) | np.isinf(value[active])
                active = active[goes_on]
                part = self.part(active)
        return best, value, anchor

    def solve(self, x: Matrix) -> tuple[Matrix, Values]:
        """The best multipliers found from ``x``, and V there.

        With few channels there are few of them to smooth over, and a search may get stuck; small
        problems are therefore searched from zero too, and once more from the result.
        """
        best, value, _ = self.ascend(x)
        if self.slope.size * x.shape[1] > _SMALL:
            return best, value
        for start in (np.zeros_like(x), None):
            other, bound, _ = self.ascend(best if start is None else start)
            wins = bound > value
            best = np.where(wins[:, None], other, best)
            value = np.maximum(value, bound)
        return best, value

    def part(self, rows: Int[NDArray[np.intp], " row"]) -> Dual:
        """Some of the forms."""
        return Dual(self.sites, self.site[rows], self.leading[rows], self.slope[rows])

    def _step(self, x: Matrix, eps: Values, anchor: Points) -> tuple[Matrix, Values, Points]:
        """The best trial of one smoothed step, V there, and the smoothed minimiser."""
        point, trials = self._newton(x, eps, anchor)
        # the multiplier of an open end must be zero; over an empty set there is no largest one
        most = np.where(np.isfinite(self.sites.high), _FARTHEST, 0.0)[self.site]
        least = np.where(np.isfinite(self.sites.low), -_FARTHEST, 0.0)[self.site]
        trials = np.clip(trials, least, most)
        tried = self.repeated(len(trials)).value(trials.reshape(-1, x.shape[1]))
        tried = tried.reshape(len(trials), -1)
        chosen, rows = np.argmax(tried, axis=0), np.arange(len(x))
        return trials[chosen, rows], tried[chosen, rows], point

    def settled(self, x: Matrix) -> NDArray[np.bool_]:
        """Rows whose free minimiser at ``x`` lies in the box: there the box adds nothing."""
        leading, slope = self.totals(x)
        vertex = slope / np.where(leading > 0, leading, 1.0)[:, None]
        lower, upper = self.ends()
        inside = (vertex >= lower) & (vertex <= upper)
        return np.asarray((leading > 0) & inside.all(axis=1))

    def gain(self, x: Matrix) -> Values:
        """What the box adds to the bound at ``x``: V less its value in free space (there A > 0)."""
        leading, slope = self.totals(x)
        safe = np.where(leading > 0, leading, 1.0)
        free = np.where(leading > 0, -(slope**2).sum(axis=1) / safe, -np.inf)
        return least(leading, slope, *self.ends()) - free

    def _newton(
        self, x: Matrix, eps: Values, anchor: Points
    ) -> tuple[Points, Float[NDArray[np.float64], "trial row term"]]:
        """The smoothed minimiser, and Newton steps from there, damped more and more.

        Each comes twice: as it is, and within the plane A + a.x = 0.
        """
        leading, slope = self.totals(x)
        lower, upper = self.ends()
        hollow = np.where(np.isfinite(upper + lower), 0.5 * (upper + lower), 0.0)
        # a negative leading coefficient acts on the chord of e^2 over the channel, which is linear
        drop = np.minimum(leading, 0.0)[:, None]
        stiff = np.maximum(leading, 0.0)[:, None] + eps[:, None]
        raw = (slope - drop * hollow + eps[:, None] * anchor) / stiff
        point = np.minimum(np.maximum(raw, lower), upper)
        inner = (raw > lower) & (raw < upper)
        flat = (leading < 0)[:, None]
        with np.errstate(invalid="ignore"):
            corners = np.where(np.isfinite(lower * upper), lower * upper, 0.0)
        squares = np.where(flat, 2.0 * hollow * point - corners, point * point).sum(axis=1)
        square, centre = self.sites.square[self.site], self.sites.centre[self.site]
        residual = square * squares[:, None] - 2.0 * np.matmul(centre, point[:, :, None])[:, :, 0]
        residual -= np.clip(residual, self.sites.low[self.site], self.sites.high[self.site])
        turn = square[:, :, None] * np.where(flat, hollow, point)[:, None, :] - centre
        matrix = 2.0 * np.matmul(turn * (inner / stiff)[:, None, :], turn.transpose(0, 2, 1))
        # as if every channel could move: what damps directions that none of the inner ones feels
        full = 2.0 * (turn**2 / stiff[:, None, :]).sum(axis=2) + _TINY
        count = np.maximum((square**2).sum(axis=1), 1.0)
        plane = x - (leading / count)[:, None] * square
        trials = [plane]
        for damping in _DAMPINGS:
            inverse = np.linalg.inv(matrix + damping * full[:, :, None] * np.eye(x.shape[1]))
            step = np.matmul(inverse, residual[:, :, None])[:, :, 0]
            bent = np.matmul(inverse, square[:, :, None])[:, :, 0]
            share = (square * step).sum(axis=1) / np.maximum((square * bent).sum(axis=1), _TINY)
            trials += [x + step, plane + step - share[:, None] * bent]
        return point, np.stack(trials)

    def charges(self, x: Matrix) -> Values:
        """sum x_i^+ high_i - sum x_i^- low_i, infinite where an open end is charged."""
        high, low = self.sites.high[self.site], self.sites.low[self.site]
        with np.errstate(invalid="ignore"):
            part = np.where(x > 0, high, low) * x
        return np.asarray(np.where(x == 0, 0.0, part).sum(axis=1))


def least(leading: Values, slope: Points, lower: Points, upper: Points) -> Values:
    """min over the box of A |e|^2 - 2 <b, e>, one row each.

    For A > 0 a channel's minimum is at b / A or at the end next to it, else at one of its ends.
    ``lower`` and ``upper`` have one row or as many as there are forms.
    """
    bent = leading > 0
    curve, twice = leading[:, None], 2.0 * slope
    point = slope / np.where(bent, leading, 1.0)[:, None]
    np.clip(point, lower, upper, out=point)
    value = np.asarray(((curve * point - twice) * point).sum(axis=1))
    hollow = np.flatnonzero(~bent)
    if not len(hollow):
        return value
    curve, twice = curve[hollow], twice[hollow]
    if len(lower) > 1:
        lower, upper = lower[hollow], upper[hollow]
    at_low = (curve * lower - twice) * lower
    if np.isfinite(upper).all():
        at_high = (curve * upper - twice) * upper
    else:
        with np.errstate(invalid="ignore"):
            at_high = np.where(np.isfinite(upper), (curve * upper - twice) * upper, -np.inf)
        # towards infinity a flat bracket that does not fall stays at its lower end
        at_high = np.where(np.isinf(upper) & (curve == 0) & (twice <= 0), np.inf, at_high)
    value[hollow] = np.minimum(at_low, at_high).sum(axis=1)
    return value
