"""What activation facts and ceilings say about every prototype's nearest distance.

An activation fact about prototype i says that some location lies at squared distance q_i from it,
wherever that is. By the triangle inequality this location is at most sqrt(q_i) + |p_i - p_j| away
from p_j, so the nearest squared distance to *every* prototype j is at most
``(sqrt(q_i) + |p_i - p_j|)^2``: prototypes that look alike cannot be seen apart. A ceiling bounds
the nearest distances from below, also of prototypes beside those that it binds (``apart``). Each
bound follows from one fact alone, so more facts never loosen any of them, and their order does not
matter.

Angles obey a triangle inequality too; of other measurements, and between banks, facts speak for
themselves. Ceilings bound pooled measurements where all prototypes are
treated alike, else activations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from protoproof.prover.latent.facts import ActivationFact, CeilingFact
from protoproof.prover.latent.gram import Gram
from protoproof.prover.latent.instance import Instance
from protoproof.prover.relaxation.apart import Apart

Vector = Float[NDArray[np.float64], " prototype"]

# Activations whose rows of the Gram matrix are looked at together.
_CHUNK = 256


@dataclass(frozen=True)
class Implied:
    """Bounds of the pooled measurement of every prototype j.

    ``via[j]`` is the prototype whose activation fact gives ``high[j]``; -1 where none does.
    ``top[j]`` is the greatest activation that ceilings about activations permit. ``stated[j]`` is
    what facts about j itself say from below, and ``off[j]`` the prototype whose ceiling gives
    ``low[j]`` where that is more; else -1.
    """

    low: Vector
    high: Vector
    via: Int[NDArray[np.intp], " prototype"]
    top: Vector
    stated: Vector
    off: Int[NDArray[np.intp], " prototype"]


def nothing_implied(count: int) -> Implied:
    """What no facts at all say about ``count`` prototypes."""
    none = np.full(count, -np.inf)
    nobody = np.full(count, -1)
    return Implied(none, -none, nobody, np.full(count, np.inf), none, nobody)


def implied(
    count: int,
    activations: Sequence[ActivationFact],
    ceilings: Sequence[CeilingFact],
    kin: Kin | None,
    *,
    uniform: bool = True,
    apart: Apart | None = None,
) -> Implied:
    """The bounds that the facts give; see the module's docstring.

    Args:
        count: the number of prototypes.
        activations, ceilings: the facts.
        kin: what one prototype's measurement says about another's; None: nothing.
        uniform: whether ceilings are about pooled measurements, else about activations.
        apart: what ceilings say about prototypes that they exempt; None: nothing.
    """
    found = nothing_implied(count)
    low, high, via, top = found.low, found.high, found.via, found.top
    if kin is not None:
        high, via = _nearby(kin, activations, high, via)
    for activation in () if kin is not None else activations:
        high[activation.prototype] = min(high[activation.prototype], activation.upper)
        via[activation.prototype] = activation.prototype
    for activation in activations:
        low[activation.prototype] = max(low[activation.prototype], activation.lower)
    for ceiling in ceilings:
        exempt = list(ceiling.exempt)
        if uniform:
            under = np.maximum(low, ceiling.bound)
            under[exempt] = low[exempt]
            low = under
        else:
            under = np.minimum(top, -ceiling.bound)
            under[exempt] = top[exempt]
            top = under
    stated, off = low, np.full(count, -1)
    if apart is not None and ceilings:
        low = low.copy()
        for ceiling in ceilings:
            apart.raised(low, ceiling, off)
    return Implied(low, high, via, top, stated, off)


def _nearby(
    kin: Kin,
    activations: Sequence[ActivationFact],
    high: Vector,
    via: Int[NDArray[np.intp], " prototype"],
) -> tuple[Vector, Int[NDArray[np.intp], " prototype"]]:
    """Upper bounds of nearest measurements, and whose facts give them."""
    for start in range(0, len(activations), _CHUNK):
        part = activations[start : start + _CHUNK]
        named = np.array([fact.prototype for fact in part])
        upper = np.array([fact.upper for fact in part])
        reach = kin.reach(named, upper)
        reach[np.arange(len(part)), named] = upper  # exactly, where a root and a square are not
        best = np.argmin(reach, axis=0)
        nearest = reach[best, np.arange(len(high))]
        via = np.where(nearest < high, named[best], via)
        high = np.minimum(high, nearest)
    return high, via


class Kin(Protocol):
    """What a location that is near one prototype says about its measurements of the others."""

    def reach(
        self, named: Int[NDArray[np.intp], " row"], nearest: Float[NDArray[np.float64], " row"]
    ) -> Float[NDArray[np.float64], "row prototype"]:
        """Upper bounds of the least measurement of every prototype, one row for each that has a
        least measurement of at most ``nearest``."""

    def stretch(self, prototype: int, via: int, nearest: float) -> float:
        """The multiplier that proves the bound of one prototype from another in a certificate."""


@dataclass(frozen=True, eq=False)
class Distances:
    """Squared distances: see the module's docstring."""

    gram: Gram

    def reach(
        self, named: Int[NDArray[np.intp], " row"], nearest: Float[NDArray[np.float64], " row"]
    ) -> Float[NDArray[np.float64], "row prototype"]:
        """See :class:`Kin`."""
        return farthest(self.gram[named], nearest)

    def stretch(self, prototype: int, via: int, nearest: float) -> float:
        """(1 + s) h + (1 + 1/s) g is least, and equal to (sqrt h + sqrt g)^2, at sqrt(g / h)."""
        apart = float(self.gram[via][prototype])
        return math.sqrt(apart / nearest) if nearest > 0 else math.inf


@dataclass(frozen=True, eq=False)
class Angles:
    """Negative cosines: for every s >= 0, -<p_j, u> <= s h + |p_j - s p_i| where -<p_i, u> <= h.

    With the angle of h, least at p_j - s p_i orthogonal to the farthest u; then it is the triangle
    inequality of angles.
    """

    gram: Gram
    norms: Vector

    def _between(self, via: Int[NDArray[np.intp], " row"]) -> NDArray[np.float64]:
        """Inner products of some prototypes with all."""
        squares = self.norms**2
        return np.asarray(0.5 * (squares[via][:, None] + squares - self.gram[via]))

    def _steps(
        self, named: Int[NDArray[np.intp], " row"], nearest: Float[NDArray[np.float64], " row"]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        own = np.where(self.norms[named] > 0, self.norms[named], 1.0)[:, None]
        along = self._between(named) / own
        across = np.sqrt(np.maximum(self.norms**2 - along**2, 0.0))
        share = np.clip(nearest[:, None] / own, -1.0, 1.0)
        sine = np.sqrt(np.maximum(1.0 - share**2, 1e-18))
        step = np.maximum((along - share * across / sine) / own, 0.0)
        value = step * nearest[:, None] + np.sqrt((step * own - along) ** 2 + across**2)
        return step, value

    def reach(
        self, named: Int[NDArray[np.intp], " row"], nearest: Float[NDArray[np.float64], " row"]
    ) -> Float[NDArray[np.float64], "row prototype"]:
        """See :class:`Kin`."""
        return self._steps(named, nearest)[1]

    def stretch(self, prototype: int, via: int, nearest: float) -> float:
        """The s of the bound."""
        return float(self._steps(np.array([via]), np.array([nearest]))[0][0, prototype])


@dataclass(frozen=True, eq=False)
class Banks:
    """Within each bank as ``within`` says; between banks no more than the range's end ``far``."""

    within: Kin
    bank: Int[NDArray[np.intp], " prototype"]
    far: Vector

    def reach(
        self, named: Int[NDArray[np.intp], " row"], nearest: Float[NDArray[np.float64], " row"]
    ) -> Float[NDArray[np.float64], "row prototype"]:
        """See :class:`Kin`."""
        same = self.bank[named][:, None] == self.bank
        return np.where(same, self.within.reach(named, nearest), self.far)

    def stretch(self, prototype: int, via: int, nearest: float) -> float:
        """See :class:`Kin`."""
        return self.within.stretch(prototype, via, nearest)


@dataclass(frozen=True, eq=False)
class Nearest:
    """Among the prototypes pooled by the ``nearest`` location as ``within`` says; the others, whose
    pooled values have the greatest ends ``far``, say nothing and are told nothing."""

    within: Kin
    nearest: Bool[NDArray[np.bool_], " prototype"]
    far: Vector

    def reach(
        self, named: Int[NDArray[np.intp], " row"], nearest: Float[NDArray[np.float64], " row"]
    ) -> Float[NDArray[np.float64], "row prototype"]:
        """See :class:`Kin`."""
        found = np.tile(self.far, (len(named), 1))
        rows = np.flatnonzero(self.nearest[named])
        if len(rows):
            told = self.within.reach(named[rows], nearest[rows])
            found[np.ix_(rows, self.nearest)] = told[:, self.nearest]
        return found

    def stretch(self, prototype: int, via: int, nearest: float) -> float:
        """See :class:`Kin`."""
        return self.within.stretch(prototype, via, nearest)


def kin_of(instance: Instance) -> Kin | None:
    """What one prototype's nearest measurement says about another's in an instance's head."""
    head = instance.head
    near = head.pooling_of.nearest
    if not near.any() or head.geometry not in ("euclidean", "angular"):
        return None
    if not head.one_length:
        return None
    kin: Kin = Distances(instance.gram)
    if head.geometry == "angular":
        kin = Angles(instance.gram, np.sqrt((head.prototypes**2).sum(axis=1)))
    if head.mask is not None and head.prototype_bank is not None:
        kin = Banks(kin, head.prototype_bank, head.range[1])
    if near.all():
        return kin
    ends = np.inf if head.chain.high is None else head.chain.high
    return Nearest(kin, near, np.broadcast_to(ends, near.shape))


def farthest(
    apart: Float[NDArray[np.float64], "row prototype"], nearest: Float[NDArray[np.float64], " row"]
) -> Float[NDArray[np.float64], "row prototype"]:
    """Upper bounds of the squared distance to p_j of a point that is sqrt(nearest) from p_i.

    ``apart`` [row, P]: squared distances between p_i and every p_j.
    """
    return np.asarray((np.sqrt(nearest)[:, None] + np.sqrt(apart)) ** 2)
