"""What pair facts at one location say about other measurements there, beyond squared distances.

*angular*: the facts <g_i, u> = v_i fix the part of u in the span of the g_i; with pi the projection
on it, and |u| <= 1,

    <g_j, u>  in  <pi g_j, pi u> -+ sqrt(1 - |pi u|^2) |g_j - pi g_j|,

both ends attained where at least two dimensions are left and |u| = 1 is possible. Order-free and
monotone, as for squared distances.

*linear*: with any multipliers theta on the facts, <g_j, z> = sum theta_i v_i + <g_j - sum theta_i
g_i, z>, and the last form is bounded over the domain. Taken are those that cancel what of g_j lies
in the span, and over a simplex the sum rule: where the g are rows of the identity,

    z_j in [ 1 - sum of all others' upper ends, 1 - sum of all others' lower ends ].

Each bound follows from the set of facts alone; for more facts the best of both is not always
tighter, but every bound from fewer facts still holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.network.head.head import Head
from protoproof.prover.latent.domain import Domain, Simplex
from protoproof.prover.latent.geometry import form_range
from protoproof.prover.latent.instance import Instance

Vector = Float[NDArray[np.float64], " prototype"]

# Below this share of its length a direction counts as already spanned.
_RANK = 1e-9


class Told(Protocol):
    """Bounds of all measurements at a location from the facts there."""

    def bounds(self, location: int, facts: tuple[int, ...]) -> tuple[Vector, Vector]:
        """[P] lower and upper bounds of m_lj; the facts are as the instance has them."""


def geometry_of(instance: Instance, domain: Domain) -> Told | None:
    """The rule for a head; None for squared distances, which have hulls."""
    match instance.head.geometry:
        case "euclidean":
            return None
        case "angular":
            return Angular(instance)
        case "linear":
            return Linear(instance, domain)
    return Alone(instance)


@dataclass(frozen=True, eq=False)
class Alone:
    """Facts say nothing beyond themselves."""

    instance: Instance

    def bounds(self, location: int, facts: tuple[int, ...]) -> tuple[Vector, Vector]:
        """See :class:`Told`."""
        count = len(self.instance.head.prototypes)
        return np.full(count, -np.inf), np.full(count, np.inf)


@dataclass(frozen=True, eq=False)
class Angular:
    """See the module's docstring."""

    instance: Instance

    def bounds(self, location: int, facts: tuple[int, ...]) -> tuple[Vector, Vector]:
        """See :class:`Told`."""
        points = self.instance.head.prototypes
        basis = span(points, facts)
        along = points @ basis.T
        direction = _unit(self.instance, location)
        centre = basis @ direction
        off = np.sqrt(np.maximum((points**2).sum(axis=1) - (along**2).sum(axis=1), 0.0))
        radius = np.sqrt(max(1.0 - float(centre @ centre), 0.0))
        middle = -(along @ centre)
        return middle - radius * off, middle + radius * off


@dataclass(frozen=True, eq=False)
class Linear:
    """See the module's docstring."""

    instance: Instance
    domain: Domain

    def bounds(self, location: int, facts: tuple[int, ...]) -> tuple[Vector, Vector]:
        """See :class:`Told`."""
        head, z = self.instance.head, self.instance.latent[location]
        basis = span(head.prototypes, facts)
        rest = head.prototypes - (head.prototypes @ basis.T) @ basis
        size = np.sqrt((head.prototypes**2).sum(axis=1))
        rest[np.sqrt((rest**2).sum(axis=1)) <= _RANK * size] = 0.0
        fixed = -((head.prototypes - rest) @ z)
        low, high = form_range(-rest, self.domain, head.locations)
        at = location if len(low) > 1 else 0
        low, high = fixed + low[at], fixed + high[at]
        channels = channel_of(head)
        if channels is not None and isinstance(self.domain, Simplex):
            known = self._sum(location, facts, channels, self.domain.slack)
            low, high = np.maximum(low, known[0]), np.minimum(high, known[1])
        return low, high

    def _sum(
        self, location: int, facts: tuple[int, ...], channels: list[int], slack: float
    ) -> tuple[Vector, Vector]:
        """What is left of the sum for every other channel; measurements are -z_d."""
        z = self.instance.latent[location]
        named = sorted({channels[j] for j in facts})
        left = 1.0 + slack - z[named].sum()
        low = np.full(len(channels), -np.inf)
        others = np.array([channel not in named for channel in channels])
        low[others] = -max(left, 0.0)
        high = np.full(len(channels), np.inf)
        if len(z) - len(named) == 1:
            high[others] = -max(1.0 - slack - z[named].sum(), 0.0)
        return low, high


def channel_of(head: Head) -> list[int] | None:
    """Of every prototype the one channel that it reads, where all are rows of the identity."""
    ones = (head.prototypes == 1.0).sum(axis=1) == 1
    zeros = (head.prototypes == 0.0).sum(axis=1) == head.channels - 1
    if not (ones & zeros).all():
        return None
    found: list[int] = np.argmax(head.prototypes, axis=1).tolist()
    return found


def span(
    points: Float[NDArray[np.float64], "prototype channel"], facts: tuple[int, ...]
) -> Float[NDArray[np.float64], "direction channel"]:
    """An orthonormal basis of the span of some rows; what is nearly dependent is left out."""
    rows: list[NDArray[np.float64]] = []
    for prototype in facts:
        row = points[prototype].copy()
        length = float(np.sqrt(row @ row))
        for _ in range(2):  # twice is enough (Kahan)
            for other in rows:
                row -= (other @ row) * other
        left = float(np.sqrt(row @ row))
        if left > _RANK * length and left > 0:
            rows.append(row / left)
    return np.array(rows).reshape(len(rows), points.shape[1])


def _unit(instance: Instance, location: int) -> NDArray[np.float64]:
    z = instance.latent[location]
    norm = max(float(np.sqrt(z @ z)), instance.head.epsilon)
    return z / norm if norm > 0 else np.zeros_like(z)
