"""One row per similarity: how a squared distance becomes a similarity.

Every similarity here is decreasing and convex in the squared distance q >= 0; later stages rely on
both (interval ends, tangents, chords), and the tests check both on every row. Values are float64
and *not* outward-rounded: the prover searches with them, the checker proves with its own balls.
The rows take arrays of numpy or of a device (``arrays``) and give arrays of the same kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from protoproof.backend import Array, namespace
from protoproof.errors import InternalError
from protoproof.network.head.chain import Chain, Step

# an array of numpy, or of a device
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Row:
    """The definition of one similarity; ``constant`` is its parameter (1 where it has none).

    ``value`` and ``derivative`` take q and the constant. ``infimum`` is the limit for q to
    infinity, ``supremum`` the value at q = 0. ``least`` and ``most`` bound the constant, both
    excluded.
    """

    kind: str
    parameter: str | None
    value: Callable[[Array, float], Array]
    derivative: Callable[[Array, float], Array]
    infimum: float
    supremum: Callable[[float], float]
    decreasing: bool = True
    convex: bool = True
    least: float = 0.0
    most: float = math.inf


def _log_ratio(q: Array, epsilon: float) -> Array:
    # (q + 1) / (q + eps) = 1 + (1 - eps) / (q + eps): no cancellation for large q
    return namespace(q).log1p((1.0 - epsilon) / (q + epsilon))


def _log_ratio_slope(q: Array, epsilon: float) -> Array:
    return (epsilon - 1.0) / (q + 1.0) / (q + epsilon)


def _exponential(q: Array, temperature: float) -> Array:
    return namespace(q).exp(-q / temperature)


def _exponential_slope(q: Array, temperature: float) -> Array:
    return -namespace(q).exp(-q / temperature) / temperature


def _reciprocal_slope(q: Array, _: float) -> Array:
    return -1.0 / (q + 1.0) / (q + 1.0)


ROWS: dict[str, Row] = {
    row.kind: row
    for row in (
        # log((q + 1) / (q + epsilon)); decreasing because epsilon < 1
        Row(
            kind="log_ratio",
            parameter="epsilon",
            value=_log_ratio,
            derivative=_log_ratio_slope,
            infimum=0.0,
            supremum=lambda epsilon: -math.log(epsilon),
            most=1.0,
        ),
        # exp(-q / temperature)
        Row(
            kind="exponential",
            parameter="temperature",
            value=_exponential,
            derivative=_exponential_slope,
            infimum=0.0,
            supremum=lambda _: 1.0,
        ),
        # -q
        Row(
            kind="negated",
            parameter=None,
            value=lambda q, _: -q,
            derivative=lambda q, _: namespace(q).full_like(q, -1.0),
            infimum=-math.inf,
            supremum=lambda _: 0.0,
        ),
        # 1 / (q + 1)
        Row(
            kind="reciprocal",
            parameter=None,
            value=lambda q, _: 1.0 / (q + 1.0),
            derivative=_reciprocal_slope,
            infimum=0.0,
            supremum=lambda _: 1.0,
        ),
    )
}


@dataclass(frozen=True)
class Similarity:
    """A similarity with its constant: a float32 value held exactly, as the graph has it.

    Raises:
        InternalError: an unknown kind, or a constant outside the row's range (callers check both).
    """

    kind: str
    constant: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in ROWS:
            raise InternalError(f"similarity '{self.kind}' has no row in the similarity table")
        if not self.row.least < self.constant < self.row.most:
            raise InternalError(f"similarity constant {self.constant!r} is outside the row's range")

    @property
    def row(self) -> Row:
        """The row of the table."""
        return ROWS[self.kind]

    @property
    def chain(self) -> Chain:
        """The same similarity, made of primitives."""

        def step(name: str, constant: float | None = None) -> Step:
            return Step(name, None if constant is None else np.array([constant]))

        c = self.constant
        return Chain(
            {
                "log_ratio": (step("add", c), step("one_plus", 1.0 - c), step("log")),
                "exponential": (step("mul", -1.0 / c), step("exp")),
                "negated": (step("mul", -1.0),),
                "reciprocal": (step("add", 1.0), step("reciprocal")),
            }[self.kind]
        ).over(0.0)

    def value(self, measurement: Kind) -> Kind:
        """Similarity of squared distances, elementwise; infinity gives the infimum.

        Raises:
            InternalError: a negative or NaN squared distance.
        """
        result: Kind = self.row.value(_squared_distance(measurement), self.constant)
        return result

    def derivative(self, measurement: Kind) -> Kind:
        """d similarity / d q, elementwise; never positive.

        Raises:
            InternalError: a negative or NaN squared distance.
        """
        result: Kind = self.row.derivative(_squared_distance(measurement), self.constant)
        return result

    @property
    def infimum(self) -> float:
        """Limit for q to infinity (minus infinity for ``negated``)."""
        return self.row.infimum

    @property
    def supremum(self) -> float:
        """Value at q = 0."""
        return self.row.supremum(self.constant)

    @property
    def decreasing(self) -> bool:
        """Whether the similarity never grows with q."""
        return self.row.decreasing

    @property
    def convex(self) -> bool:
        """Whether the similarity is convex in q."""
        return self.row.convex


def _squared_distance(measurement: Array) -> Array:
    if isinstance(measurement, np.ndarray | np.generic | float | int | list):
        measurement = np.asarray(measurement, dtype=np.float64)
    if not (measurement >= 0).all():  # also False for NaN
        raise InternalError("a squared distance is negative or NaN")
    return measurement
