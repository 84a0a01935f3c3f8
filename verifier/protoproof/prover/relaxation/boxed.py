"""What a bounded domain adds at every location: facts and domain together (theory, section 4).

A hull's interval knows the facts and not the domain; a box's interval knows the domain and not the
facts. The Lagrangian bound knows both. It starts from the hull's own multipliers, where it equals
the hull's bound, so that it is never looser; the box's bound is compared afterwards.

The work is spent where it can matter to a margin: a lower bound of q_lj only up to the least
measurement of prototype j, an upper bound only at the location where the instance attains it.
Which rows these are does not depend on the facts, so one more fact never loses a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.prover.latent.domain import Constraints, Domain
from protoproof.prover.latent.instance import Instance
from protoproof.prover.relaxation.duality import Dual, Sites
from protoproof.prover.relaxation.multipliers import optimal
from protoproof.prover.relaxation.pair_bounds import Hull

Vector = Float[NDArray[np.float64], " prototype"]
Matrix = Float[NDArray[np.float64], "row term"]

# A bound that is within this share of the value at the instance cannot be improved by much.
_CLOSE = 1e-9
# Where the box alone, with the hull's multipliers, gains less than this share of what the bound
# loses against the value at the instance, better multipliers gain little more.
_WORTH = 1e-3


@dataclass(frozen=True)
class Rows:
    """Bounds of sign * q_lj for some prototypes at one location, with their multipliers.

    ``x`` [row, term]: of ``hull.spanning``, then of the domain's constraints. A ``bound`` of minus
    infinity: the box plays no part, and the hull's own bound (which ``x`` proves) is the best.
    """

    x: Matrix
    bound: Float[NDArray[np.float64], " row"]


def constrained(
    lower: Matrix,
    upper: Matrix,
    given: Sequence[tuple[Matrix, Vector, Vector]],
    extra: Constraints | None,
    locations: Sequence[int],
) -> Sites:
    """Boxes and constraints of some locations: given distances first, the domain's own last.

    Padded to the most distances that a location has; padding comes between the two.

    Args:
        lower, upper: [location, D] the boxes of e = z - v.
        given: per location, p - v [term, D] of some prototypes, and between which ends the squared
            distances from them may differ from those of v.
        extra: the domain's own constraints at all locations, or None.
        locations: theirs.
    """
    most = max([len(centre) for centre, _, _ in given], default=0)
    shape = len(locations), most + (0 if extra is None else extra.square.shape[1])
    square, centres = np.zeros(shape), np.zeros((*shape, lower.shape[1]))
    low, high = np.full(shape, -np.inf), np.full(shape, np.inf)
    for site, (centre, least, greatest) in enumerate(given):
        count = len(centre)
        square[site, :count] = 1.0
        centres[site, :count] = centre
        low[site, :count], high[site, :count] = least, greatest
    if extra is not None:
        for own, part in zip((square, centres, low, high), extra, strict=True):
            own[:, most:] = part[list(locations)]
    return Sites(lower, upper, square, centres, low, high)


class Bounded:
    """A bounded domain seen from one instance.

    ``lower``, ``upper`` [L, D]: the box of e = z - v; ``extra`` the domain's
    constraints there, ``coupling`` those that tie locations together.
    """

    def __init__(self, instance: Instance, domain: Domain, box: tuple[Matrix, Matrix]) -> None:
        self.instance = instance
        # rounding must not exclude the instance itself
        self.lower = np.minimum(box[0] - instance.latent, 0.0)
        self.upper = np.maximum(box[1] - instance.latent, 0.0)
        self.extra = domain.constraints(instance.latent)
        self.coupling = domain.coupling(instance.latent)
        self.used = (instance.margin_weights != 0).any(axis=0)
        self.nearest = instance.measurement.min(axis=0)
        self.attained = np.argmin(instance.measurement, axis=0)

    @classmethod
    def of(cls, instance: Instance, domain: Domain) -> Bounded | None:
        """None for a domain that does not bound any latent unit."""
        box = domain.box(*instance.latent.shape)
        return None if box is None else cls(instance, domain, box)

    @property
    def terms(self) -> int:
        """Number of the domain's own constraints per location."""
        return 0 if self.extra is None else self.extra.square.shape[1]

    def sites(
        self, locations: Sequence[int], spans: Sequence[tuple[int, ...]], *, joint: bool = False
    ) -> Sites:
        """Boxes and constraints of some locations: the facts about ``spans``, then the domain's.

        Padded to the longest span; padding comes between the two. With ``joint``, linear bounds
        over several locations are left out: they get multipliers of their own.
        """
        extra = None if joint and self.coupling is not None else self.extra
        given = []
        for location, span in zip(locations, spans, strict=True):
            centre = self.instance.head.prototypes[list(span)] - self.instance.latent[location]
            given.append((centre, np.zeros(len(span)), np.zeros(len(span))))
        index = list(locations)
        return constrained(self.lower[index], self.upper[index], given, extra, index)

    def tighten(
        self, location: int, hull: Hull | None, low: Vector, high: Vector
    ) -> tuple[Vector, Vector]:
        """Bounds of all q_lj at a location from its facts and the domain together.

        Args:
            hull: of the facts there. Without any, the ranges of the domain are already the best,
                except for linear bounds, which they do not know.
            low, high: bounds from facts and domain apart; the result is never looser.
        """
        if hull is None and self.coupling is None:
            return low, high
        measured = self.instance.measurement[location]
        below = np.flatnonzero(self.used & (low < self.nearest * (1 - _CLOSE)))
        here = self.used & (self.attained == location)
        above = np.flatnonzero(here & (high > measured * (1 + _CLOSE)))
        sign = np.repeat([1.0, -1.0], [len(below), len(above)])
        bound = self.rows(location, hull, np.concatenate([below, above]), sign).bound
        low, high = low.copy(), high.copy()
        low[below] = np.maximum(low[below], bound[: len(below)])
        high[above] = np.minimum(high[above], -bound[len(below) :])
        return low, high

    def rows(
        self,
        location: int,
        hull: Hull | None,
        prototypes: Int[NDArray[np.intp], " row"],
        sign: Float[NDArray[np.float64], " row"],
    ) -> Rows:
        """Lower bounds of sign * q_lj, with a sign of 1 or -1 for each row."""
        head, latent = self.instance.head, self.instance.latent[location]
        count = len(prototypes)
        span = () if hull is None else hull.spanning
        dual = Dual(
            self.sites([location], [span]),
            np.zeros(count, dtype=np.intp),
            sign,
            sign[:, None] * (head.prototypes[prototypes] - latent),
        )
        x = np.zeros((count, len(span) + self.terms))
        if hull is not None:
            x[:, : len(span)] = optimal(hull, prototypes, sign)
        # where the box plays no part, the hull has said all there is to say
        value = np.full(count, -np.inf)
        open_ = np.arange(count) if self.terms else np.flatnonzero(~dual.settled(x))
        if len(open_):
            part = dual.part(open_)
            value[open_] = part.value(x[open_])
            if not self.terms:
                worth = part.gain(x[open_]) > _WORTH * np.abs(value[open_])
                open_ = open_[worth]
                part = part.part(np.flatnonzero(worth))
            x[open_], value[open_] = part.solve(x[open_])
        return Rows(x, sign * self.instance.measurement[location, prototypes] + value)
