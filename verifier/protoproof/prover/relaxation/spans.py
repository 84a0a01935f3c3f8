"""What pair facts at one location say about other measurements there, beyond squared distances.

*angular*: the facts <g_i, u> = v_i fix the part of u in the span of the g_i; with pi the projection
on it, and |u| <= 1,

    <g_j, u>  in  <pi g_j, pi u> -+ sqrt(1 - |pi u|^2) |g_j - pi g_j|,

both ends attained where at least two dimensions are left and |u| = 1 is possible. Order-free and
monotone, as for squared distances. The same by multipliers, which is what a certificate holds: for
|u| <= 1, any tau > 0 and any t on the facts,

    <g, u>  >=  -tau - |g + sum t_i g_i|^2 / 4 tau - sum t_i v_i,

with equality for sum t_i g_i = -pi g + 2 tau pi u and tau = |g - pi g| / 2 sqrt(1 - |pi u|^2).

*linear*: with multipliers on the facts, and on the domain's own constraints, what is left of
-<g_j, z> is bounded over the domain's box (``duality``). Multipliers are those that cancel what of
g_j lies in the span of the facts, and those that cancel nothing; over a simplex with the sum, whose
multiplier makes every coefficient that is left point into it. Where the g are rows of the identity,
the second is the sum rule: z_j <= 1 - sum of the known others.

*diagonal*: facts say nothing beyond themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.prover.latent.domain import Domain, Simplex, Sphere
from protoproof.prover.latent.instance import Instance
from protoproof.prover.relaxation.boxed import constrained
from protoproof.prover.relaxation.duality import Dual

Vector = Float[NDArray[np.float64], " prototype"]
Matrix = Float[NDArray[np.float64], "row term"]
Chosen = Int[NDArray[np.intp], " row"]

# Below this share of its length a direction counts as already spanned.
_RANK = 1e-9
# The multiplier of a ball stays between these: its rounding costs next to nothing there.
_LEAST, _MOST = 2.0**-20, 2.0**20


@dataclass(frozen=True)
class SpanRows:
    """Lower bounds of sign * m_lj for some prototypes, and the multipliers that prove them.

    ``theta`` [row, term]: of the facts ``span``, then of constraints: of the ball for angles, else
    of the domain; ``domain``: whether the proof needs the domain.
    """

    span: tuple[int, ...]
    theta: Matrix
    bound: Float[NDArray[np.float64], " row"]
    domain: bool


class Told(Protocol):
    """What the facts at a location say about all measurements there."""

    def rows(
        self, location: int, facts: tuple[int, ...], prototypes: Chosen, sign: float
    ) -> SpanRows | None:
        """Lower bounds of sign * m_lj; None where nothing can be said. The facts are as the
        instance has them."""


def told_bounds(
    told: Told, location: int, facts: tuple[int, ...], count: int
) -> tuple[Vector, Vector]:
    """[P] lower and upper bounds of m_lj."""
    every = np.arange(count)
    low, high = (told.rows(location, facts, every, sign) for sign in (1.0, -1.0))
    if low is None or high is None:
        return np.full(count, -np.inf), np.full(count, np.inf)
    return low.bound, -high.bound


def geometry_of(instance: Instance, domain: Domain) -> Told | None:
    """The rule for a head; None for squared distances, which have hulls."""
    match instance.head.geometry:
        case "euclidean":
            return None
        case "angular":
            return Angular(instance)
        case "linear" if domain.box(*instance.latent.shape) is not None:
            return Linear(instance, domain)
    return Alone()


class Alone:
    """Facts say nothing beyond themselves."""

    def rows(
        self, location: int, facts: tuple[int, ...], prototypes: Chosen, sign: float
    ) -> SpanRows | None:
        """None."""
        return None


@dataclass(frozen=True, eq=False)
class Angular:
    """See the module's docstring."""

    instance: Instance

    def rows(
        self, location: int, facts: tuple[int, ...], prototypes: Chosen, sign: float
    ) -> SpanRows:
        """See :class:`Told`."""
        head, z = self.instance.head, self.instance.latent[location]
        unit = z / head.length(z)
        found = Span.of(head.prototypes, facts)
        own = sign * head.prototypes[prototypes]
        along, centre = own @ found.basis.T, found.basis @ unit
        beta = np.sqrt(np.maximum((own**2).sum(axis=1) - (along**2).sum(axis=1), 0.0))
        radius = np.sqrt(max(1.0 - float(centre @ centre), 0.0))
        tau = np.clip(beta / (2.0 * max(radius, _RANK)), _LEAST, _MOST)
        wanted = 2.0 * tau[:, None] * centre - along
        theta = np.column_stack([wanted @ found.inverse, tau])
        # the value of these multipliers, which rounding and the limits of tau make a little less
        bound = -(along @ centre) - tau * radius**2 - beta**2 / (4.0 * tau)
        return SpanRows(found.members, theta, bound, False)


class Linear:
    """See the module's docstring."""

    def __init__(self, instance: Instance, domain: Domain) -> None:
        self.instance, self.domain = instance, domain
        latent = instance.latent
        box = domain.box(*latent.shape)
        if box is None:
            raise ValueError("a linear form needs a bounded domain")
        self._lower = np.minimum(box[0] - latent, 0.0)
        self._upper = np.maximum(box[1] - latent, 0.0)
        self._extra = domain.constraints(latent)
        self._terms = 0 if self._extra is None else self._extra.square.shape[1]

    def rows(
        self, location: int, facts: tuple[int, ...], prototypes: Chosen, sign: float
    ) -> SpanRows:
        """See :class:`Told`."""
        points = self.instance.head.prototypes
        found = Span.of(points, facts)
        dual = self._dual(location, found.members, sign * points[prototypes])
        theta, value = self._best(dual, self._starts(location, found, sign * points[prototypes]))
        at_instance = sign * self.instance.measurement[location, prototypes]
        return SpanRows(found.members, theta, at_instance + value, True)

    def _dual(self, location: int, span: tuple[int, ...], forms: Matrix) -> Dual:
        """-<g, e> as -2 <g / 2, e>, with the facts -<g_i, e> = 0 at this location."""
        own = slice(location, location + 1)
        none = np.zeros(len(span))
        centre = 0.5 * self.instance.head.prototypes[list(span)]
        sites = constrained(
            self._lower[own], self._upper[own], [(centre, none, none)], self._extra, [location]
        )
        sites.square[:, : len(span)] = 0.0
        count = len(forms)
        return Dual(sites, np.zeros(count, dtype=np.intp), np.zeros(count), 0.5 * forms)

    def _starts(self, location: int, found: Span, forms: Matrix) -> list[Matrix]:
        """Multipliers: none; those that cancel the span; over a simplex those of the sum rule."""
        count = len(found.members)
        along = forms @ found.basis.T
        cancel = -along @ found.inverse
        starts = [
            self._with_domain(location, np.zeros_like(cancel), forms),
            self._with_domain(location, cancel, forms - along @ found.basis),
        ]
        if isinstance(self.domain, Simplex) and count:
            # the facts raised to the largest coefficient, so that only the rest has to be summed
            top = np.maximum(forms.max(axis=1), 0.0)
            bottom = np.minimum(forms.min(axis=1), 0.0)
            for level in (top, bottom):
                x = self._levelled(found, forms, level)
                starts.append(x)
        return starts

    def _levelled(self, found: Span, forms: Matrix, level: Vector) -> Matrix:
        """For single channels: facts with the multiplier that lifts their coefficient to level."""
        points = self.instance.head.prototypes[list(found.members)]
        channel = np.argmax(np.abs(points), axis=1)
        size = points[np.arange(len(points)), channel]
        lifted = (level[:, None] - forms[:, channel]) / size
        rest = forms + lifted @ points
        return np.column_stack([lifted, rest.max(axis=1)])

    def _with_domain(self, location: int, theta: Matrix, rest: Matrix) -> Matrix:
        """Multipliers of the domain's own constraints for what is left of the forms."""
        more = np.zeros((len(theta), self._terms))
        if isinstance(self.domain, Simplex):
            more[:, 0] = rest.max(axis=1)
        elif isinstance(self.domain, Sphere):
            z = self.instance.latent[location]
            size = np.sqrt((rest**2).sum(axis=1))
            more[:, 0] = np.clip(0.5 * size / max(float(np.sqrt(z @ z)), _RANK), _LEAST, _MOST)
        return np.column_stack([theta, more])

    def _best(self, dual: Dual, starts: list[Matrix]) -> tuple[Matrix, Vector]:
        best, value = starts[0], dual.value(starts[0])
        for x in starts[1:]:
            bound = dual.value(x)
            wins = bound > value
            best, value = np.where(wins[:, None], x, best), np.where(wins, bound, value)
        found, bound = dual.solve(best)
        wins = bound > value
        return np.where(wins[:, None], found, best), np.where(wins, bound, value)


@dataclass(frozen=True)
class Span:
    """The span of some prototypes: an orthonormal ``basis`` [r, D], the ``members`` that gave it,
    and ``inverse`` [r, r]: coordinates along the basis times it are multipliers of the members."""

    members: tuple[int, ...]
    basis: Float[NDArray[np.float64], "direction channel"]
    inverse: Float[NDArray[np.float64], "direction direction"]

    @classmethod
    def of(
        cls, points: Float[NDArray[np.float64], "prototype channel"], facts: tuple[int, ...]
    ) -> Span:
        """Of the rows ``facts``; what is nearly dependent on those before it is left out."""
        rows: list[NDArray[np.float64]] = []
        members: list[int] = []
        for prototype in facts:
            row = points[prototype].copy()
            length = float(np.sqrt(row @ row))
            for _ in range(2):  # twice is enough (Kahan)
                for other in rows:
                    row -= (other @ row) * other
            left = float(np.sqrt(row @ row))
            if left > _RANK * length:
                rows.append(row / left)
                members.append(prototype)
        count = len(rows)
        basis = np.array(rows).reshape(count, points.shape[1])
        # member_i = sum_k triangle[i, k] basis_k, so that coordinates c are c inverse(triangle)
        triangle = np.asarray(points[members] @ basis.T, dtype=np.float64).reshape(count, count)
        return cls(tuple(members), basis, np.asarray(np.linalg.inv(triangle), dtype=np.float64))
