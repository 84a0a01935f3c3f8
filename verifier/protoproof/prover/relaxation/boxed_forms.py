"""The relational oracle over bounded domains: linear forms bounded over facts and domain together.

As in ``relational``, a rival's margin becomes one linear form per location. Here each form is
bounded by the Lagrangian bound over the location's box, so that locations without any fact take
part too, and a leading coefficient may have either sign. Linear bounds over all locations enter
with multipliers nu >= 0 that every location shares: with <c, z> >= d,

    sum of forms  >=  nu d + sum over locations of min ( form_l - nu <c_l, z_l> ).

Tangents are moved to the point where the last forms were least, as in free space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.errors import InternalError
from protoproof.prover.relaxation.boxed import Bounded
from protoproof.prover.relaxation.duality import Dual, Sites
from protoproof.prover.relaxation.forms import Forms, Linearisation
from protoproof.prover.relaxation.intervals import Intervals, Margins
from protoproof.prover.relaxation.multipliers import minimising

Coefficients = Float[NDArray[np.float64], "rival prototype"]
Matrix = Float[NDArray[np.float64], "row term"]
Points = Float[NDArray[np.float64], "rival location channel"]

# Re-linearisations, the Newton steps in each, and those of the final multipliers; more of the
# first two for problems (rows times channels) so small that they cost next to nothing.
_STEPS, _INNER, _FINAL = 4, 2, 16
_SMALL, _THOROUGH = 1 << 10, 8
_DAMPING = 0.6
# Shares of the estimated multipliers of linear bounds that are tried.
_SHARES = (1.0, 0.7, 0.3)


@dataclass(frozen=True)
class Multipliers:
    """What proves one rival's forms: ``locations``, their multipliers [location, term], and nu [K].

    ``spans[i]`` are the prototypes whose facts the first columns of row i belong to; the domain's
    own constraints have the last ones.
    """

    locations: tuple[int, ...]
    spans: tuple[tuple[int, ...], ...]
    x: Matrix
    nu: Float[NDArray[np.float64], " bound"]


@dataclass(frozen=True)
class _Solution:
    """Bounds [R] of the forms less their value at the instance, points, and multipliers.

    ``settled``: the domain played no part, so that free space has the same to say.
    """

    bound: Margins
    point: Points
    x: Matrix
    nu: Float[NDArray[np.float64], "rival bound"]
    settled: bool = False


class _Locations:
    """The locations that take part, and the forms there: A [R, M] and b [R, M, D]."""

    def __init__(self, state: Intervals, bounded: Bounded, locations: Sequence[int]) -> None:
        self.instance, self.bounded = state.instance, bounded
        self.locations = list(locations)
        self.hulls = [state.known[location].hull for location in locations]
        self.spans = [() if hull is None else hull.spanning for hull in self.hulls]
        self.sites: Sites = bounded.sites(self.locations, self.spans, joint=True)
        self.most = max([len(span) for span in self.spans], default=0)
        self.affine = [None if hull is None else hull.affine() for hull in self.hulls]
        channels = self.sites.lower.shape[1]
        self.normals = np.zeros((0, len(self.locations), channels))
        self.spare = np.zeros(0)
        if bounded.coupling is not None:
            self.normals, self.spare = bounded.coupling  # then all locations take part

    def start(self, coefficients: Sequence[Coefficients]) -> Matrix:
        """The multipliers that are best in free space, [R * M, term]; see ``lagrangian``."""
        count = len(coefficients[0])
        x = np.zeros((count, len(self.locations), self.sites.square.shape[1]))
        prototypes = self.instance.head.prototypes
        for index, (hull, affine) in enumerate(zip(self.hulls, self.affine, strict=True)):
            if hull is None or affine is None:
                continue
            own, (of_prototype, of_latent) = coefficients[index], affine
            spanned = own @ of_prototype
            across = own @ prototypes - spanned @ prototypes[list(hull.spanning)]
            length = np.sqrt((across**2).sum(axis=1))
            leading = length / max(float(np.sqrt(hull.radius)), 1e-9)
            x[:, index, : len(hull.spanning)] = minimising(leading, of_latent, spanned)
        return x.reshape(count * len(self.locations), -1)

    def solve(
        self,
        coefficients: Sequence[Coefficients],
        start: Matrix,
        nu: Float[NDArray[np.float64], "rival bound"],
        steps: int,
    ) -> _Solution:
        """Bound every rival's forms; ``coefficients[m]`` [R, P] are those at location m."""
        head, latent = self.instance.head, self.instance.latent
        leading = np.stack([own.sum(axis=1) for own in coefficients], axis=1)
        slope = np.stack(
            [
                own @ head.prototypes - own.sum(axis=1, keepdims=True) * latent[location]
                for own, location in zip(coefficients, self.locations, strict=True)
            ],
            axis=1,
        )
        best = self._with(leading, slope, start, nu, steps)
        if not len(self.spare):
            return best
        estimate = self._estimate(leading, slope, best.x)
        for share in _SHARES:
            trial = self._with(leading, slope, best.x, share * estimate, steps)
            best = _better(best, trial)
        # the estimate does not know what a bound costs that is far from tight
        for bound in np.flatnonzero(best.nu.any(axis=0)).tolist():
            fewer = best.nu.copy()
            fewer[:, bound] = 0.0
            best = _better(best, self._with(leading, slope, best.x, fewer, steps))
        return best

    def _with(
        self,
        leading: Float[NDArray[np.float64], "rival location"],
        slope: Points,
        x: Matrix,
        nu: Float[NDArray[np.float64], "rival bound"],
        steps: int,
    ) -> _Solution:
        count, locations, channels = slope.shape
        # -nu <c, e> is -2 <nu c / 2, e>
        pushed = slope + 0.5 * np.einsum("rk,kmd->rmd", nu, self.normals)
        dual = Dual(
            self.sites,
            np.tile(np.arange(locations), count),
            leading.reshape(-1),
            pushed.reshape(-1, channels),
        )
        settled = not self.bounded.terms and bool(dual.settled(x).all())
        x, value, point = dual.ascend(x, 0 if settled else steps)
        bound = value.reshape(count, locations).sum(axis=1) - nu @ self.spare
        return _Solution(bound, point.reshape(slope.shape), x, nu, settled)

    def _estimate(
        self, leading: Float[NDArray[np.float64], "rival location"], slope: Points, x: Matrix
    ) -> Float[NDArray[np.float64], "rival bound"]:
        """The nu >= 0 that leave the least slope, weighted by the widths of the box."""
        count, locations, channels = slope.shape
        dual = Dual(
            self.sites, np.tile(np.arange(locations), count), leading.reshape(-1),
            slope.reshape(-1, channels),
        )  # fmt: skip
        _, total = dual.totals(x)
        width = np.minimum(self.sites.upper - self.sites.lower, 1.0).reshape(-1)
        normals = (self.normals.reshape(len(self.normals), -1) * width).T
        rows = total.reshape(count, -1) * width
        from scipy.optimize import nnls  # a fifth of what a worker would import, and rarely needed

        return np.stack([nnls(0.5 * normals, -row)[0] for row in rows])


def _better(one: _Solution, other: _Solution) -> _Solution:
    wins = other.bound > one.bound
    rows = np.repeat(wins, len(one.x) // len(wins))
    return _Solution(
        np.where(wins, other.bound, one.bound),
        np.where(wins[:, None, None], other.point, one.point),
        np.where(rows[:, None], other.x, one.x),
        np.where(wins[:, None], other.nu, one.nu),
    )


class BoxForms(Linearisation):
    """The relaxation of some margins over facts and domain, solved for all of them at once."""

    def __init__(self, state: Intervals, bounded: Bounded, rivals: Sequence[int]) -> None:
        super().__init__(state, rivals, state.instance.measurement, bare=True)
        index = np.arange(len(self.support.low))
        self.observed = self.instance.measurement[self.support.location, index]
        used = np.unique(self.location[self.linear])
        locations = range(len(state.known)) if bounded.coupling is not None else used.tolist()
        self.locations = _Locations(state, bounded, locations)

    def solve(self, enough: float = np.inf) -> Forms:
        """The best forms found; stops when every bound exceeds ``enough``."""
        tangent = np.tile(self.observed, (len(self.rivals), 1))
        best: Forms | None = None
        x: Matrix | None = None
        nu = np.zeros((len(self.rivals), len(self.locations.spare)))
        if not self.locations.locations:  # nothing moves
            return self._forms(np.clip(tangent, self.support.low, self.support.high))[0]
        small = len(self.rivals) * self.locations.sites.lower.size <= _SMALL
        steps, inner = (_THOROUGH, _THOROUGH) if small else (_STEPS, _INNER)
        for _ in range(steps):
            tangent = np.clip(tangent, self.support.low, self.support.high)
            forms, start = self._forms(tangent)
            parts = _by_location(forms, self.locations.locations)
            begin = self.locations.start(parts) if x is None else x
            solution = self.locations.solve(parts, begin, nu, inner)
            if small and not solution.settled:
                other = self.locations.solve(parts, np.zeros_like(begin), nu, inner)
                solution = _better(solution, other)
            forms = replace(forms, bound=start + solution.bound)
            best = forms if best is None else best.better(forms)
            if (best.bound > enough).all() or solution.settled:
                break
            x, nu = solution.x, solution.nu
            aim = self._measured(solution.point)
            tangent = (1 - _DAMPING) * tangent + _DAMPING * aim
        if best is None:  # the loop runs at least once
            raise InternalError("no relaxation step was taken")
        return best

    def _forms(self, tangent: Coefficients) -> tuple[Forms, Margins]:
        """Forms with these tangents, and their values at the instance."""
        slope = self.similarity.derivative(tangent)
        rising = np.where(self.positive, self.weights * slope, 0.0)
        at_instance = self.similarity.value(tangent) + slope * (self.observed - tangent)
        start = self.constant + np.where(self.positive, self.weights * at_instance, 0.0).sum(axis=1)
        return self.forms(tangent, rising, start, bounded=True), start

    def _measured(self, point: Points) -> Coefficients:
        """q_lj of the supporting prototypes at the points, [R, P]."""
        prototypes, latent = self.instance.head.prototypes, self.instance.latent
        result = np.tile(self.observed, (len(point), 1))
        supporting = self.positive.any(axis=0)
        for index, location in enumerate(self.locations.locations):
            own = np.flatnonzero(supporting & (self.support.location == location))
            e = point[:, index]
            inner = e @ (prototypes[own] - latent[location]).T
            result[:, own] = self.observed[own] + (e**2).sum(axis=1)[:, None] - 2.0 * inner
        return np.asarray(np.maximum(result, 0.0))


def _by_location(forms: Forms, locations: Sequence[int]) -> list[Coefficients]:
    """The coefficients of the measurements at each location."""
    return [
        np.where(forms.linear & (forms.location == location), forms.slope, 0.0)
        for location in locations
    ]


def multipliers(state: Intervals, bounded: Bounded, forms: Forms, row: int) -> Multipliers:
    """Multipliers that prove one rival's forms; recomputed from the coefficients alone."""
    linear = forms.linear[row]
    used = np.unique(forms.location[row][linear]).tolist()
    every = range(len(state.known))
    locations = _Locations(state, bounded, every if bounded.coupling is not None else used)
    slope = np.where(linear, forms.slope[row], 0.0)
    parts = [
        np.where(forms.location[row] == location, slope, 0.0)[None]
        for location in locations.locations
    ]
    nu = np.zeros((1, len(locations.spare)))
    found = locations.solve(parts, locations.start(parts), nu, _FINAL)
    return Multipliers(tuple(locations.locations), tuple(locations.spans), found.x, found.nu[0])
