"""The Lagrangian bounds of one case: forms at a location, over its given bounds and its box.

Where only given distances play a part in free space, the best multipliers are known; elsewhere they
are searched as in ``relaxation.duality``, from there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.relaxation.boxed import Bounded, constrained
from protoproof.prover.relaxation.case import Matrix, Node, Vector
from protoproof.prover.relaxation.duality import Dual, Sites
from protoproof.prover.relaxation.intervals import Intervals
from protoproof.prover.relaxation.lifted import Lifted
from protoproof.prover.relaxation.multipliers import minimising
from protoproof.prover.relaxation.pair_bounds import Hull

Affine = tuple[Float[NDArray[np.float64], "prototype fact"], Vector]
Coefficients = Float[NDArray[np.float64], "row prototype"]
Point = Float[NDArray[np.float64], " channel"]

# Curvatures of multipliers stay above this; rounding of float64 enclosures. See ``lagrangian``.
_FLAT, _ULP = 2.0**-30, 2.0**-52
# Half-width of the box in which multipliers are sought where nothing bounds a location.
_WIDE = 8.0


class CaseDuals:
    """The forms of one instance under one set of facts, for the margins over ``rows``."""

    def __init__(self, state: Intervals, facts: FactSet, rows: Sequence[int]) -> None:
        self.state, self.facts, self.rows = state, facts, list(rows)
        self.instance: Instance = state.instance
        self.bounded = state.bounded
        self.lifted = _lifted(self.instance, self.bounded)
        self._hulls: dict[tuple[int, tuple[int, ...], bytes], tuple[Hull, Affine]] = {}
        self.offsets = self.instance.head.prototypes[None] - self.instance.latent[:, None]

    def hull(self, node: Node, location: int) -> tuple[Hull, Affine] | None:
        """The hull of the prototypes whose distance is given at a location, and its coordinates."""
        facts = node.equal[location]
        if not facts:
            return None
        given = node.given_low[location, list(facts)]
        key = location, facts, given.tobytes()
        if key not in self._hulls:
            # where a prototype is placed, its distance may differ from the instance's
            seen = self.instance.measurement[location].copy()
            seen[list(facts)] = given
            hull = Hull.of(self.instance.gram, seen, facts)
            self._hulls[key] = hull, hull.affine()
        return self._hulls[key]

    def terms(self, node: Node, location: int) -> tuple[int, ...]:
        """The prototypes that the multipliers of a location belong to, in order."""
        hull = self.hull(node, location)
        return (*(() if hull is None else hull[0].spanning), *node.extra[location])

    def start(self, node: Node, location: int, coefficients: Matrix) -> NDArray[np.float64]:
        """The best multipliers [row, term] of the given distances alone, in free space."""
        known = self.hull(node, location)
        x = np.zeros((len(coefficients), len(self.terms(node, location))))
        if known is None:
            return x
        hull, (of_prototype, of_latent) = known
        spanning = list(hull.spanning)
        spanned = coefficients @ of_prototype
        prototypes = self.instance.head.prototypes
        across = coefficients @ prototypes - spanned @ prototypes[spanning]
        length = np.sqrt((across**2).sum(axis=1))
        # facts are float64 enclosures: what they leave open acts as a little more radius
        seen = node.given_high[location, spanning]
        radius = math.sqrt(hull.radius + _ULP * float(np.abs(of_latent) @ seen))
        least = _FLAT * np.maximum(1.0, np.abs(coefficients).sum(axis=1))
        leading = np.maximum(length / max(radius, _FLAT), least)
        x[:, : len(spanning)] = minimising(leading, of_latent, spanned)
        return x

    def box(self, node: Node, location: int) -> tuple[Point, Point]:
        """The box of e at a location: the domain's, and the ones around prototypes."""
        half = np.sqrt(np.maximum(node.given_high[location], 0.0))[:, None]
        known = np.isfinite(half[:, 0])
        centre = self.offsets[location][known]
        lower, upper = node.lower[location], node.upper[location]
        if known.any():
            lower = np.maximum(lower, (centre - half[known]).max(axis=0))
            upper = np.minimum(upper, (centre + half[known]).min(axis=0))
        return lower, upper

    def boxed(self, node: Node, location: int) -> bool:
        """Whether multipliers at a location use its box."""
        return self.bounded is not None or location in node.cut

    def sites(
        self, node: Node, locations: list[int], *, alone: bool
    ) -> tuple[Sites, list[tuple[int, ...]]]:
        """Boxes and constraints of some locations, and their terms.

        Terms come first, the domain's own constraints last. With ``alone``, linear bounds over all
        locations take part, as each location sees them.
        """
        extra = None if self.bounded is None else self.bounded.extra
        if self.bounded is not None and self.bounded.coupling is not None and not alone:
            extra = None
        spans = [self.terms(node, location) for location in locations]
        ends = [self._ends(node, location) for location in locations]
        given = []
        for location, span in zip(locations, spans, strict=True):
            named = list(span)
            seen = self.instance.measurement[location, named]
            low = node.given_low[location, named] - seen
            given.append(
                (self.offsets[location, named], low, node.given_high[location, named] - seen)
            )
        lower, upper = np.stack([e[0] for e in ends]), np.stack([e[1] for e in ends])
        return constrained(lower, upper, given, extra, locations), spans

    def _ends(self, node: Node, location: int) -> tuple[Point, Point]:
        """The box of a location; in free space one that holds everything of interest."""
        if self.boxed(node, location):
            return node.lower[location], node.upper[location]
        lower, upper = self.box(node, location)
        reach = _WIDE * (1.0 + math.sqrt(float(self.instance.measurement[location].max())))
        return np.maximum(lower - reach, -9 * reach), np.minimum(upper + reach, 9 * reach)

    def _dual(
        self, node: Node, locations: list[int], parts: Coefficients, *, alone: bool
    ) -> tuple[Dual, list[tuple[int, ...]]]:
        """The problem of some forms, one for each location or all at one; and its terms."""
        sites, spans = self.sites(node, locations, alone=alone)
        if len(locations) == 1:
            site, slope = np.zeros(len(parts), dtype=np.intp), parts @ self.offsets[locations[0]]
        else:
            site = np.arange(len(parts))
            slope = np.matmul(parts[:, None], self.offsets[np.array(locations)])[:, 0]
        return Dual(sites, site, parts.sum(axis=1), slope), spans

    def proved(
        self, node: Node, parts: Coefficients, multipliers: Vector
    ) -> tuple[NDArray[np.float64], float]:
        """Of a single location in free space: the multipliers of all terms, and what they prove.

        Args:
            parts: [1, P] the coefficients of the form.
            multipliers: of every prototype's given bounds; those of given distances are the best.
        """
        charged = list(node.extra[0])
        x = self.start(node, 0, parts + multipliers)
        x[0, x.shape[1] - len(charged) :] = multipliers[charged]
        dual, _ = self._dual(node, [0], parts, alone=False)
        return x, float(_free_value(dual, x)[0])

    def solve(
        self,
        node: Node,
        locations: list[int],
        parts: Coefficients,
        *,
        alone: bool = False,
        start: NDArray[np.float64] | None = None,
        steps: int = 16,
    ) -> tuple[NDArray[np.float64], Vector, NDArray[np.float64]]:
        """The best multipliers found for some forms, their bounds, and points near the minimisers.

        In free space a bound holds for all of it, whatever box the search used; where only given
        distances play a part there, the best multipliers are known.

        Args:
            locations: the location of every form, or one for all of them.
            parts: [row, P] the coefficients of the forms.
            start: multipliers to go on from.

        Returns:
            Multipliers [row, term] padded as in :meth:`sites`, bounds relative to v, points of e.
        """
        dual, spans = self._dual(node, locations, parts, alone=alone)
        sites, site = dual.sites, dual.site
        x = np.zeros((len(parts), sites.square.shape[1])) if start is None else start
        if start is None:
            for index, location in enumerate(locations):
                rows = site == index
                x[rows, : len(spans[index])] = self.start(node, location, parts[rows])
        free = np.array([not self.boxed(node, location) for location in locations])[site]
        idle = np.array([not node.extra[location] for location in locations])[site] & free
        value = np.full(len(x), -np.inf)
        point = np.zeros_like(dual.slope)
        if idle.any():
            part = dual.part(np.flatnonzero(idle))
            value[idle] = _free_value(part, x[idle])
            leading, pull = part.totals(x[idle])
            point[idle] = pull / np.where(leading > 0, leading, 1.0)[:, None]
        if not idle.all():
            busy = np.flatnonzero(~idle)
            part = dual.part(busy)
            # far outside of all that is possible, a step may overflow; its result is not used
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                found, bound, where = part.ascend(x[busy], steps)
            bound = np.where(free[busy], _free_value(part, found), bound)
            sound = np.isfinite(found).all(axis=1) & ~np.isnan(bound)
            x[busy] = np.where(sound[:, None], found, 0.0)
            value[busy] = np.where(sound, bound, -np.inf)
            point[busy] = np.where(np.isfinite(where), where, 0.0)
        return x, value, point


def _lifted(instance: Instance, bounded: Bounded | None) -> Lifted | None:
    """The instance's only location, where that is all there is to see."""
    single = len(instance.latent) == 1 and bounded is None and instance.head.all_nearest
    return Lifted(instance) if single and instance.head.plain else None


def _free_value(dual: Dual, x: NDArray[np.float64]) -> Vector:
    """What multipliers prove over all of space."""
    leading, slope = dual.totals(x)
    size = np.abs(x).sum(axis=1) + np.abs(dual.leading)
    bent = leading > 2.0**-30 * np.maximum(size, 1e-9)
    with np.errstate(over="ignore", invalid="ignore"):
        value = -(slope**2).sum(axis=1) / np.where(bent, leading, 1.0)
        return np.asarray(np.where(bent, value, -np.inf) - dual.charges(x))
