"""How the numbers of facts read: the one place that knows what a measurement is called.

Inside, a smaller measurement is nearer, so products and cosines are stored as their negatives.
People see the product or the cosine itself, a squared distance only where it is one, and the
activation beside it where that is another number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from protoproof.network.head.chain import Chain, Step
from protoproof.network.head.head import Head
from protoproof.network.head.latent_range import LatentRange

# The end of an interval that nothing bounds, as widened facts write it: files hold finite numbers.
UNBOUNDED = 2.0**500
# How far from 1 the length of a float32 row is that was normalised.
_UNIT = 1e-3
# How far folded constants of an expanded distance may be off, relative to the largest |p|^2 + 1.
_ROUNDED = 1e-5

Ends = tuple[float, float]


@dataclass(frozen=True)
class Quantity:
    """What is measured, and how what is shown comes from the stored number.

    It is ``sign`` (1 or -1) times the stored number, over ``scale``: a cosine is a product over the
    lengths. ``rising``: stored as it is, and larger is nearer all the same.
    """

    name: str
    sign: int = 1
    scale: float = 1.0
    rising: bool = False

    @property
    def is_distance(self) -> bool:
        """Whether smaller is nearer."""
        return self.sign > 0 and not self.rising

    def shown(self, lower: float, upper: float) -> Ends:
        """The ends as people see them, ascending; rounded outwards where that rounds."""
        least, most = (lower, upper) if self.sign > 0 else (0.0 - upper, 0.0 - lower)
        if self.scale == 1.0:
            return least, most
        if lower == upper:
            return least / self.scale, most / self.scale
        down, up = math.nextafter(least, -math.inf), math.nextafter(most, math.inf)
        return (
            math.nextafter(down / self.scale, -math.inf),
            math.nextafter(up / self.scale, math.inf),
        )


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
    def _lengths(self) -> NDArray[np.float64]:
        """Lengths of the rows; 1 where they were normalised in float32."""
        found = np.sqrt((self.head.prototypes**2).sum(axis=1))
        return np.where((abs(found - 1) < _UNIT) | (found == 0), 1.0, found)

    @cached_property
    def cosines(self) -> bool:
        """Whether a measurement is a cosine, but for the length of the prototype."""
        geometry, bounded = self.head.geometry, self.latent_range in ("normalised", "ball")
        return geometry == "angular" or (geometry == "linear" and bounded and not self.concepts)

    def measured(self, prototype: int) -> Quantity:
        """What a location measures to a prototype."""
        if self.cosines:
            return Quantity("cosine", -1, float(self._lengths[prototype]))
        return self._raw

    @property
    def _raw(self) -> Quantity:
        """The measurement as it is stored, but for its sign."""
        geometry = self.head.geometry
        if geometry == "euclidean":
            return Quantity("squared distance")
        if geometry == "diagonal":
            return Quantity("weighted squared distance")
        if self.concepts:
            return Quantity("presence" if self.latent_range == "softmax" else "value", -1)
        unit = self.cosines and bool((self._lengths == 1).all())
        return Quantity("cosine" if unit else "product" if self.cosines else "dot product", -1)

    def pooled(self, prototype: int) -> Quantity:
        """What an activation fact about a prototype bounds."""
        kind = self.head.pooling_of.kinds[prototype]
        if kind == "nearest":
            return self.measured(prototype)
        if kind == "nearest less mean":
            return Quantity("nearest less mean similarity", rising=True)
        what = self._inner(prototype)
        pool = {"mean": "mean", "sum": "summed", "focal": "focal"}.get(kind)
        if pool is None:
            count = self.head.pooling_of.count[prototype]
            # the largest of what is stored; people see its negative where the sign is turned
            which = "largest" if what.sign > 0 else "smallest"
            return replace(what, name=f"mean of the {count} {which} {_many(what.name)}")
        return replace(what, name=f"{pool} {what.name}")

    def _inner(self, prototype: int) -> Quantity:
        """What is pooled where not the nearest location counts."""
        inner = self.head.inner_chain
        own = self.measured(prototype)
        sign = _sign(inner.steps)
        near = not own.is_distance
        if sign is not None:
            turned = own.sign * sign
            return replace(own, sign=turned, rising=near and turned > 0)
        sign = _sign(self._without_rounding(inner))
        if sign is not None:
            return Quantity(f"computed {own.name}", own.sign * sign)
        if inner.decreasing:
            return Quantity("similarity", rising=True)
        return Quantity("dissimilarity")

    @property
    def word(self) -> str:
        """What an activation is called."""
        if self._are_cosines:
            return "cosine"
        return "similarity" if not self.concepts and self.head.all_nearest else "activation"

    @cached_property
    def plain(self) -> bool:
        """Whether an activation is what is pooled itself, or its negative, but for rounding."""
        chain = self.head.chain
        if _sign(chain.steps) is not None:
            return True
        return self.head.all_nearest and _sign(self._without_rounding(chain)) is not None

    @cached_property
    def _are_cosines(self) -> bool:
        """Whether activations are the cosines themselves, as the graph computes them."""
        chain = self.head.chain
        if not (self.cosines and self.head.all_nearest):
            return False
        if {step.name for step in chain.steps} - {"mul", "div_root"}:
            return False  # a product with a number of the prototype's is linear
        ends = np.clip(-self._lengths, *self.head.range)  # the rows were normalised in float32
        return bool((abs(chain.value(ends) - 1) < _UNIT).all())

    def similarity(self, pooled: float, prototype: int) -> float:
        """The activation of a prototype whose pooled value is this; limits at infinite ones."""
        with np.errstate(all="ignore"):
            return float(self.head.chain.value(np.array([pooled]), [prototype])[0])

    def pair(self, prototype: int, lower: float, upper: float) -> Numbers:
        """The numbers of a fact about a location and a prototype."""
        low, high = (float(end[prototype]) for end in self.head.range)
        ends = _opened(lower, upper, low, high)
        nearest = self.head.pooling_of.kinds[prototype] == "nearest"
        return self._both(prototype, self.measured(prototype), ends, nearest)

    def activation(self, prototype: int, lower: float, upper: float) -> Numbers:
        """The numbers of a fact about a prototype, wherever it is seen."""
        ends = _opened(lower, upper, *self._pooled_ends(prototype))
        return self._both(prototype, self.pooled(prototype), ends, True)

    def _both(self, prototype: int, quantity: Quantity, ends: Ends, activates: bool) -> Numbers:
        # the same number would be said twice
        same = self.plain and quantity.scale == 1.0
        activation = self._activation(ends, prototype) if activates and not same else None
        return Numbers(quantity, quantity.shown(*ends), activation, self.word)

    def ceiling(self, bound: float) -> Numbers:
        """The numbers of a ceiling."""
        sign = _sign(self.head.chain.steps)
        quantities = {self.pooled(j) for j in range(len(self.head.prototypes))}
        if self.head.uniform:
            quantity = next(iter(quantities)) if len(quantities) == 1 else self._raw
            ends = bound, math.inf
            same = sign is not None and len(quantities) == 1 and quantity.scale == 1.0
            limit = None if same else (-math.inf, self._ceiling_of(bound))
            return Numbers(quantity, quantity.shown(*ends), limit, self.word)
        if sign is not None and len(quantities) == 1 and next(iter(quantities)).scale == 1.0:
            quantity = next(iter(quantities))
            # a = sign * t is at most -bound
            ends = (bound, math.inf) if sign < 0 else (-math.inf, 0.0 - bound)
            return Numbers(quantity, quantity.shown(*ends), None, self.word)
        if self.head.all_nearest and _sign(self._without_rounding(self.head.chain)) == -1:
            # the negative of the activation is the distance that the network computes
            quantity = Quantity(f"computed {self._raw.name}")
            if self._raw.is_distance:
                return Numbers(quantity, (bound, math.inf), None, self.word)
        return Numbers(None, (-math.inf, math.inf), (-math.inf, 0.0 - bound), self.word)

    def _ceiling_of(self, bound: float) -> float:
        """The activation at a level of a uniform head, by the prototype that reaches furthest."""
        count = len(self.head.prototypes)
        widest = int(np.argmin([self._pooled_ends(j)[0] for j in range(count)]))
        return self.similarity(self._inside((bound, bound), widest)[0], widest)

    def _without_rounding(self, chain: Chain) -> tuple[Step, ...]:
        """The steps less those that only make up for rounded constants of expanded distances."""
        if not self._raw.is_distance:
            return chain.steps
        slack = _ROUNDED * (1.0 + float((self.head.prototypes**2).sum(axis=1).max()))
        kept: list[Step] = []
        for step in chain.steps:
            constant = 0.0 if step.constant is None else float(abs(step.constant).max())
            if step.name == "abs" or (step.name in ("add", "max") and constant <= slack):
                continue
            kept.append(step)
        return tuple(kept)

    def _activation(self, ends: Ends, prototype: int) -> Ends:
        found = [self.similarity(end, prototype) for end in self._inside(ends, prototype)]
        return min(found), max(found)

    def _inside(self, ends: Ends, prototype: int) -> Ends:
        """Open ends where the chain's own are: an argument is never outside of those."""
        low, high = self._pooled_ends(prototype)
        return min(max(ends[0], low), high), max(min(ends[1], high), low)

    def _pooled_ends(self, prototype: int) -> Ends:
        chain, count = self.head.chain, len(self.head.prototypes)
        return _end(chain.low, -math.inf, count, prototype), _end(
            chain.high, math.inf, count, prototype
        )


def is_value(lower: float, upper: float) -> bool:
    """Whether an interval only encloses one value's rounding (relative width up to 1e-9)."""
    width = upper - lower  # infinite for an open end, which is no rounding
    return math.isfinite(width) and width <= 1e-9 * max(abs(lower), abs(upper), 1e-9)


def _many(name: str) -> str:
    """The plural of a quantity's name."""
    return f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"


def _opened(lower: float, upper: float, low: float, high: float) -> Ends:
    """The ends, infinite where they say nothing that is not true anyway."""
    if is_value(lower, upper):
        return lower, upper
    return (
        -math.inf if lower <= max(low, -UNBOUNDED) else lower,
        math.inf if upper >= min(high, UNBOUNDED) else upper,
    )


def _sign(steps: Sequence[Step]) -> int | None:
    """1 for steps that change nothing, -1 for the negative, None for any other."""
    if not steps:
        return 1
    step = steps[0]
    if len(steps) > 1 or step.name != "mul" or step.constant is None:
        return None
    factors = set(step.constant.tolist())
    return -1 if factors == {-1.0} else None


def _end(ends: NDArray[np.float64] | None, nothing: float, count: int, prototype: int) -> float:
    return nothing if ends is None else float(np.broadcast_to(ends, count)[prototype])
