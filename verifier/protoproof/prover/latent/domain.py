"""The latents that are quantified over: all of them, or those that something guarantees.

``box``, ``sphere`` and ``simplex`` follow from the operator that outputs the latent; the checker
reads that operator from the graph. ``reach`` is handed in from outside, an assumption that every
certificate names together with its source.

Every bounded domain is a box per latent unit plus a few further constraints per location, each of
the form low <= a |z|^2 - 2 <b, z> <= high: the norm of a sphere, the sum of a simplex, linear
bounds. That is all the Lagrangian bound needs to know (see ``duality``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.errors import UsageError
from protoproof.prover.latent.ranges import (
    Ends,
    Latent,
    Prototypes,
    around,
    box_range,
    check_slack,
    distance_to_simplex,
    require_box,
    require_near_one,
)

# Ranges of the operators an encoder can end in; the checker reads the operator from the graph.
OUTPUT_RANGES = {"sigmoid": (0.0, 1.0), "relu": (0.0, math.inf)}
# The operator that a named domain needs, in the words of ``Network.latent_range``.
_NEEDS = {"sphere": "normalised", "ball": "ball", "simplex": "softmax"}
NAMES = ("free", "box", "sphere", "ball", "simplex")
# What bounds a dot product, which is unbounded over all latents.
GUARANTEED = {
    "sigmoid": "box",
    "relu": "box",
    "normalised": "sphere",
    "ball": "ball",
    "softmax": "simplex",
}


class Constraints(NamedTuple):
    """K constraints per location on e = z - v: low <= a |e|^2 - 2 <b, e> <= high.

    ``square`` [L, K] the a; ``centre`` [L, K, D] the b; ``low`` <= 0 <= ``high`` [L, K].
    """

    square: Float[NDArray[np.float64], "location term"]
    centre: Float[NDArray[np.float64], "location term channel"]
    low: Float[NDArray[np.float64], "location term"]
    high: Float[NDArray[np.float64], "location term"]


class Coupling(NamedTuple):
    """K linear bounds on all units of e = z - v: <normals_k, e> >= -spare_k.

    ``normals`` [K, L, D]; ``spare`` [K], not negative. ``constraints`` has them too, as each
    location sees them alone; a bound uses either.
    """

    normals: Float[NDArray[np.float64], "bound location channel"]
    spare: Float[NDArray[np.float64], " bound"]


class Domain(Protocol):
    """What every domain answers. All bounds are rounded by float64 only: a prover's numbers."""

    @property
    def name(self) -> str:
        """The domain's word in certificates, options and pages."""

    def measurement_range(self, prototypes: Prototypes) -> tuple[Ends, Ends]:
        """Bounds of q_lj over the domain: [P] where all locations are alike, else [L, P]."""

    def box(self, locations: int, channels: int) -> tuple[Latent, Latent] | None:
        """Ends of every latent unit, [L, D]; None where the domain does not bound any."""

    def constraints(self, latent: Latent) -> Constraints | None:
        """The further constraints as seen from a latent of the domain; None for none."""

    def coupling(self, latent: Latent) -> Coupling | None:
        """Linear bounds that tie locations together; None for none."""

    def require(self, latent: Latent) -> None:
        """Raise unless a latent lies in the domain (over an empty one everything would be true).

        Raises:
            UsageError: it does not; the message says where.
        """


class _Alone:
    """A domain that bounds every unit, or every location, by itself and in no other way."""

    def constraints(self, latent: Latent) -> Constraints | None:
        """None."""
        return None

    def coupling(self, latent: Latent) -> Coupling | None:
        """None."""
        return None


@dataclass(frozen=True)
class Free(_Alone):
    """All of R^(L x D)."""

    name: str = "free"

    def measurement_range(self, prototypes: Prototypes) -> tuple[Ends, Ends]:
        """Nothing is known but that squares are not negative."""
        count = len(prototypes)
        return np.zeros(count), np.full(count, math.inf)

    def box(self, locations: int, channels: int) -> None:
        """No unit has an end."""
        return

    def require(self, latent: Latent) -> None:
        """Every latent does."""


@dataclass(frozen=True)
class Box(_Alone):
    """``lower <= z <= upper`` for every latent unit; ``upper`` may be infinite.

    Raises:
        UsageError: NaN, crossed ends, or an infinite lower end.
    """

    lower: float
    upper: float
    name: str = "box"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lower) and self.lower <= self.upper):
            raise UsageError(
                f"box domain: [{self.lower}, {self.upper}] is no interval; the lower end must be "
                "finite and at most the upper one"
            )

    def measurement_range(self, prototypes: Prototypes) -> tuple[Ends, Ends]:
        """Squared distance from each prototype to the box, and to its farthest corner."""
        return box_range(prototypes, np.full(1, self.lower), np.full(1, self.upper))

    def box(self, locations: int, channels: int) -> tuple[Latent, Latent]:
        """The same ends for every unit."""
        shape = locations, channels
        return np.full(shape, self.lower), np.full(shape, self.upper)

    def require(self, latent: Latent) -> None:
        """See :class:`Domain`."""
        require_box(self.name, latent, *self.box(*latent.shape))


def rounding_slack(channels: int) -> float:
    """How far from 1 the squared norm or the sum of a float32 normalisation may lie: 2^-22 (D + 8).

    Over the reals both are exactly 1. A float32 sum of D terms errs by D u, the division and the
    square root by a few u more, with u = 2^-24; the doubled constants leave room for any order of
    summation. A domain that is larger than what the operator guarantees is sound.
    """
    return math.ldexp(channels + 8, -22)


@dataclass(frozen=True)
class Sphere(_Alone):
    """1 - slack <= |z_l|^2 <= 1 + slack at every location: latents normalised over channels.

    Raises:
        UsageError: a slack outside [0, 1).
    """

    slack: float
    name: str = "sphere"

    def __post_init__(self) -> None:
        check_slack(self.slack, self.name)

    def measurement_range(self, prototypes: Prototypes) -> tuple[Ends, Ends]:
        """Squared distances to the nearest and the farthest point of the shell."""
        norm = np.sqrt((prototypes**2).sum(axis=1))
        inner, outer = math.sqrt(1 - self.slack), math.sqrt(1 + self.slack)
        gap = np.maximum(np.maximum(norm - outer, inner - norm), 0.0)
        return gap**2, (norm + outer) ** 2

    def box(self, locations: int, channels: int) -> tuple[Latent, Latent]:
        """No channel exceeds the norm, and sqrt(1 + slack) <= 1 + slack."""
        shape = locations, channels
        return np.full(shape, -1.0 - self.slack), np.full(shape, 1.0 + self.slack)

    def constraints(self, latent: Latent) -> Constraints:
        """|v + e|^2 = |e|^2 - 2 <-v, e> + |v|^2."""
        norm = (latent**2).sum(axis=1)[:, None]
        low, high = around(norm, 1 - self.slack, 1 + self.slack)
        return Constraints(np.ones_like(norm), -latent[:, None, :], low, high)

    def require(self, latent: Latent) -> None:
        """See :class:`Domain`."""
        require_near_one(self.name, "squared norm", (latent**2).sum(axis=1), self.slack)


@dataclass(frozen=True)
class Ball(Sphere):
    """|z_l|^2 <= 1 + slack at every location: latents divided by no less than their norm.

    Raises:
        UsageError: a slack outside [0, 1).
    """

    name: str = "ball"

    def measurement_range(self, prototypes: Prototypes) -> tuple[Ends, Ends]:
        """Squared distances to the nearest and the farthest point of the ball."""
        norm, outer = np.sqrt((prototypes**2).sum(axis=1)), math.sqrt(1 + self.slack)
        return np.maximum(norm - outer, 0.0) ** 2, (norm + outer) ** 2

    def constraints(self, latent: Latent) -> Constraints:
        """As of a sphere, without the inner end."""
        found = super().constraints(latent)
        low = np.minimum(-((latent**2).sum(axis=1)[:, None]), 0.0)
        return found._replace(low=low)

    def require(self, latent: Latent) -> None:
        """See :class:`Domain`."""
        square = (latent**2).sum(axis=1)
        require_near_one(self.name, "squared norm", np.maximum(square, 1.0), self.slack)


@dataclass(frozen=True)
class Simplex(_Alone):
    """z >= 0 and 1 - slack <= sum over channels <= 1 + slack at every location: softmax latents.

    Raises:
        UsageError: a slack outside [0, 1).
    """

    slack: float
    name: str = "simplex"

    def __post_init__(self) -> None:
        check_slack(self.slack, self.name)

    def measurement_range(self, prototypes: Prototypes) -> tuple[Ends, Ends]:
        """Squared distances to the projection, and to the farthest corner.

        A convex function is largest at a corner: all of the sum, at its largest or smallest, in
        the channel where the prototype is least.
        """
        low = np.full(len(prototypes), math.inf)
        high = np.zeros(len(prototypes))
        least, norm = prototypes.min(axis=1), (prototypes**2).sum(axis=1)
        for total in (1 - self.slack, 1 + self.slack):
            low = np.minimum(low, distance_to_simplex(prototypes, total))
            high = np.maximum(high, norm - 2.0 * total * least + total * total)
        inside = np.maximum(prototypes, 0.0).sum(axis=1)
        outside = (np.minimum(prototypes, 0.0) ** 2).sum(axis=1)
        between = (inside >= 1 - self.slack) & (inside <= 1 + self.slack)
        return np.where(between, outside, low), high

    def box(self, locations: int, channels: int) -> tuple[Latent, Latent]:
        """No channel exceeds the sum."""
        shape = locations, channels
        return np.zeros(shape), np.full(shape, 1.0 + self.slack)

    def constraints(self, latent: Latent) -> Constraints:
        """sum (v + e) = -2 <-1/2, e> + sum v."""
        total = latent.sum(axis=1)[:, None]
        low, high = around(total, 1 - self.slack, 1 + self.slack)
        return Constraints(np.zeros_like(total), np.full_like(latent, -0.5)[:, None, :], low, high)

    def require(self, latent: Latent) -> None:
        """See :class:`Domain`."""
        require_box(self.name, latent, *self.box(*latent.shape))
        require_near_one(self.name, "sum", latent.sum(axis=1), self.slack)


def domain_from_name(name: str | Domain, latent_range: str, channels: int) -> Domain:
    """The domain called ``free``, ``box``, ``sphere`` or ``simplex``; a domain is itself.

    Args:
        name: what the user asked for.
        latent_range: what the operator that outputs the latent guarantees (``sigmoid``, ``relu``,
            ``normalised``, ``softmax`` or ``free``).
        channels: D, on which the rounding slack of a normalisation depends.

    Raises:
        UsageError: an unknown name, or a domain that the operator does not guarantee.
    """
    if not isinstance(name, str):
        return name
    if name == "free":
        return Free()
    if name == "box":
        if latent_range not in OUTPUT_RANGES:
            raise UsageError(
                "--domain box: the encoder does not end in a sigmoid or ReLU, so nothing bounds "
                "its latent; use --domain free"
            )
        return Box(*OUTPUT_RANGES[latent_range])
    if name not in _NEEDS:
        raise UsageError(
            f"--domain {name}: unknown domain; use {', '.join(NAMES)}, or a region of inputs such "
            "as linf:0.02"
        )
    if latent_range != _NEEDS[name]:
        operator = {
            "sphere": "LpNormalization (p=2)",
            "ball": "a division by its norm",
            "simplex": "Softmax",
        }[name]
        raise UsageError(
            f"--domain {name}: the encoder does not end in {operator} over its channels, so "
            "nothing puts its latent there; use --domain free"
        )
    slack = rounding_slack(channels)
    if name == "simplex":
        return Simplex(slack)
    return Sphere(slack) if name == "sphere" else Ball(slack)


def bounding_name(name: str, latent_range: str, geometry: str) -> str:
    """The domain that stands for ``free``: a dot product is unbounded over all latents, so for
    linear measurements it is what the operator that outputs the latent guarantees."""
    if name != "free" or geometry != "linear":
        return name
    return GUARANTEED.get(latent_range, name)
