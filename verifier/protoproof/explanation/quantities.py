"""How the numbers of facts read: the one place that knows what a measurement is called.

Inside, a smaller measurement is nearer, so products and cosines are stored as their negatives.
People see the product or the cosine itself, a squared distance only where it is one, and the
activation beside it where that is another number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from protoproof.network.head.chain import Chain
from protoproof.network.head.head import Head
from protoproof.network.head.latent_range import LatentRange

# The end of an interval that nothing bounds, as widened facts write it: files hold finite numbers.
UNBOUNDED = 2.0**500
# How far from 1 the length of a float32 row is that was normalised.
_UNIT = 1e-3

Ends = tuple[float, float]


@dataclass(frozen=True)
class Quantity:
    """What is measured, and whether what is shown is the stored number (1) or its negative (-1)."""

    name: str
    sign: int = 1

    @property
    def is_distance(self) -> bool:
        """Whether smaller is nearer."""
        return self.sign > 0

    def shown(self, lower: float, upper: float) -> Ends:
        """The ends as people see them, ascending."""
        return (lower, upper) if self.sign > 0 else (0.0 - upper, 0.0 - lower)


@dataclass(frozen=True)
class Numbers:
    """The numbers of one fact, as people see them; an end that nothing bounds is infinite.

    Attributes:
        quantity: what ``ends`` are about; None where only the activation is bounded.
        ends: the least and greatest value that the fact permits.
        activation: the same of the activation; None where that says nothing new.
        word: what the activation is called.
    """

    quantity: Quantity | None
    ends: Ends
    activation: Ends | None
    word: str


@dataclass(frozen=True, eq=False)
class Quantities:
    """The words for one head.

    ``latent_range`` is what the latent's operator guarantees: a product of vectors of length 1 is a
    cosine.
    """

    head: Head
    latent_range: LatentRange = "free"

    @cached_property
    def concepts(self) -> bool:
        """Whether every prototype is one channel of the latent by itself."""
        rows = self.head.prototypes
        alone = ((rows != 0).sum(axis=1) == 1) & (rows.sum(axis=1) == 1)
        return self.head.geometry == "linear" and bool(alone.all())

    @property
    def noun(self) -> str:
        """What a row of the head is called."""
        return "concept" if self.concepts else "prototype"

    @cached_property
    def measured(self) -> Quantity:
        """What a location measures to a prototype."""
        geometry = self.head.geometry
        if geometry == "euclidean":
            return Quantity("squared distance")
        if geometry == "diagonal":
            return Quantity("weighted squared distance")
        if self.concepts:
            return Quantity("presence" if self.latent_range == "softmax" else "value", -1)
        lengths = np.sqrt((self.head.prototypes**2).sum(axis=1))
        unit = bool((abs(lengths - 1) < _UNIT).all())
        if geometry == "angular":
            return Quantity("cosine" if unit else "cosine times length", -1)
        normalised = unit and self.latent_range in ("normalised", "ball")
        return Quantity("cosine" if normalised else "dot product", -1)

    def pooled(self, prototype: int) -> Quantity:
        """What an activation fact about a prototype bounds."""
        kind = self.head.pooling_of.kinds[prototype]
        if kind == "nearest":
            return self.measured
        what = self._inner
        pool = {"mean": "mean", "sum": "summed", "focal": "focal"}.get(kind)
        if pool is None:
            count = self.head.pooling_of.count[prototype]
            return Quantity(f"mean of the {count} largest: {what.name}", what.sign)
        return Quantity(f"{pool} {what.name}", what.sign)

    @cached_property
    def _inner(self) -> Quantity:
        """What is pooled where not the nearest location counts."""
        inner = self.head.inner_chain
        sign = _sign(inner)
        if sign is not None:
            return Quantity(self.measured.name, self.measured.sign * sign)
        return Quantity("similarity" if inner.decreasing else "dissimilarity")

    @property
    def word(self) -> str:
        """What an activation is called."""
        return "similarity" if self.head.all_nearest else "activation"

    @cached_property
    def plain(self) -> bool:
        """Whether an activation is what is pooled itself, or its negative."""
        return _sign(self.head.chain) is not None

    def similarity(self, pooled: float, prototype: int) -> float:
        """The activation of a prototype whose pooled value is this; limits at infinite ones."""
        with np.errstate(all="ignore"):
            return float(self.head.chain.value(np.array([pooled]), [prototype])[0])

    def pair(self, prototype: int, lower: float, upper: float) -> Numbers:
        """The numbers of a fact about a location and a prototype."""
        low, high = (float(end[prototype]) for end in self.head.range)
        ends = _opened(lower, upper, low, high)
        nearest = self.head.pooling_of.kinds[prototype] == "nearest"
        activation = self._activation(ends, prototype) if nearest else None
        return Numbers(self.measured, self.measured.shown(*ends), activation, self.word)

    def activation(self, prototype: int, lower: float, upper: float) -> Numbers:
        """The numbers of a fact about a prototype, wherever it is seen."""
        ends = _opened(lower, upper, *self._pooled_ends(prototype))
        quantity = self.pooled(prototype)
        return Numbers(
            quantity, quantity.shown(*ends), self._activation(ends, prototype), self.word
        )

    def ceiling(self, bound: float) -> Numbers:
        """The numbers of a ceiling."""
        nearest = self.head.all_nearest
        sign = _sign(self.head.chain)
        if self.head.uniform:
            ends = bound, math.inf
            limit = None if sign is not None else (-math.inf, self.similarity(bound, 0))
            return Numbers(self.measured, self.measured.shown(*ends), limit, self.word)
        if sign is not None and not nearest:
            named = {self.pooled(j) for j in range(len(self.head.prototypes))}
            if len(named) == 1:
                quantity = next(iter(named))
                # a = sign * t is at most -bound
                ends = (bound, math.inf) if sign < 0 else (-math.inf, -bound)
                return Numbers(quantity, quantity.shown(*ends), None, self.word)
        return Numbers(None, (-math.inf, math.inf), (-math.inf, 0.0 - bound), self.word)

    def _activation(self, ends: Ends, prototype: int) -> Ends | None:
        if self.plain:
            return None
        found = [self.similarity(end, prototype) for end in self._inside(ends, prototype)]
        return min(found), max(found)

    def _inside(self, ends: Ends, prototype: int) -> Ends:
        """Open ends where the chain's own are: an argument is never outside of those."""
        low, high = self._pooled_ends(prototype)
        return max(ends[0], low), min(ends[1], high)

    def _pooled_ends(self, prototype: int) -> Ends:
        chain, count = self.head.chain, len(self.head.prototypes)
        return _end(chain.low, -math.inf, count, prototype), _end(
            chain.high, math.inf, count, prototype
        )


def is_value(lower: float, upper: float) -> bool:
    """Whether an interval only encloses one value's rounding (relative width up to 1e-9)."""
    return upper - lower <= 1e-9 * max(abs(lower), abs(upper), 1e-9)


def _opened(lower: float, upper: float, low: float, high: float) -> Ends:
    """The ends, infinite where they say nothing that is not true anyway."""
    if is_value(lower, upper):
        return lower, upper
    return (
        -math.inf if lower <= max(low, -UNBOUNDED) else lower,
        math.inf if upper >= min(high, UNBOUNDED) else upper,
    )


def _sign(chain: Chain) -> int | None:
    """1 for a chain that changes nothing, -1 for the negative, None for any other."""
    if not chain.steps:
        return 1
    step = chain.steps[0]
    if len(chain.steps) > 1 or step.name != "mul" or step.constant is None:
        return None
    factors = set(step.constant.tolist())
    return -1 if factors == {-1.0} else None


def _end(ends: NDArray[np.float64] | None, nothing: float, count: int, prototype: int) -> float:
    return nothing if ends is None else float(np.broadcast_to(ends, count)[prototype])
