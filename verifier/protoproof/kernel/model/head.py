"""The head as exact numbers: prototypes, similarities, pooling, decision."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from math import isqrt
from operator import mul
from typing import Literal, NamedTuple

from flint import fmpq, fmpz, fmpz_mat

from protoproof.errors import DescriptionError, ModelError
from protoproof.kernel.arithmetic.exact import GRID
from protoproof.kernel.budget import (
    OPERATION,
    current,
    hold,
    integer,
    product,
    spend,
    stored,
    width,
)
from protoproof.kernel.model.chain import Chain
from protoproof.kernel.model.decision import Decision, Routing
from protoproof.kernel.model.primitives import ONE, ZERO, End, at_least, at_most

# Inner products of prototypes that are kept between certificates.
_KEPT = 1 << 23

Geometry = Literal["euclidean", "diagonal", "linear", "angular"]
PoolingKind = Literal["nearest", "mean", "sum", "k-largest mean", "focal", "nearest less mean"]


class Length(NamedTuple):
    """sqrt(max(|z|^2 + added, floor)) + sqrt(beside), of a latent z: never less than |z|."""

    floor: Fraction = Fraction(0)
    added: Fraction = Fraction(0)
    beside: Fraction = Fraction(0)


class Pooling(NamedTuple):
    """How a prototype's values at all its locations become one.

    ``largest``: k, for the mean of the k largest; else 0.
    """

    kind: PoolingKind = "nearest"
    largest: int = 0


class Head:
    """Everything is an integer over a power of two, bit for bit what the file stores.

    ``m[l, j]``, the measurement of prototype j at location l with latent z, is by geometry

    * euclidean: |z - p_j|^2
    * diagonal: sum over channels of w_j (z - p_j)^2, w_j >= 0
    * linear: -<p_j, z>
    * angular: -<p_j, z> / length_j(z), and 0 where z = 0 (if not ``zero``, it is not defined where
      the length is 0)

    at the locations of the prototype's bank. It is pooled to t[j], the least m[l, j] over these
    locations, or a mean, sum, mean of the k largest, or largest less mean of s = inner_j(m[l, j]),
    or (nearest less mean) common_j(least s) - common_j(mean s), where inner_j never falls and
    common_j never rises. The activation is chain_j(t[j]).

    Attributes:
        prototypes: [P, D] integers over ``2**shift``.
        scales: [P][D] integers over ``2**scale_shift``; empty unless diagonal.
        scale_slack: a scale is what is stated, and at most so much more: it is irrational, or a
            quotient. 0 where all are exact.
        norms: |p_j|^2 over ``2**(2 * shift)``.
        lengths: what divides angles, for each prototype; one for all where they are equal.
        size: limbs of a coordinate (and of a scale).
        square, factor: m_j = square |z|^2 + factor <p_j, z> + constants_j, where the angular one
            takes z over this length, which is then no longer than 1. Not diagonal.
        constants: those, over ``2**(2 * shift)``; if diagonal the sum of w_j p_j^2, over
            ``2**(2 * shift + scale_shift)``.
        boxes: the ranges of all measurements over boxes (see ``latent.ranges``), by their ends.
        uniform: whether all prototypes are pooled by the nearest and have equal similarities, so
            that the one with the lesser t is the more activated one.

    Raises:
        ModelError: sizes that do not fit, a negative scale, or a bank without a location.
        DescriptionError: a similarity that is not decreasing, or not within [0, 1] for a tree.
    """

    def __init__(
        self,
        geometry: Geometry,
        prototypes: tuple[Sequence[int], int],
        scales: tuple[Sequence[int], int] | None,
        chain: Chain,
        inner: Chain | None,
        pooling: Sequence[Pooling],
        decision: Decision,
        location_bank: Sequence[int],
        prototype_bank: Sequence[int],
        channels: int,
        lengths: Sequence[Length] = (),
        scale_slack: Fraction = Fraction(0),
        zero: bool = True,
        common: Chain | None = None,
    ) -> None:
        flat, self.shift = prototypes
        self.geometry, self.channels = geometry, channels
        self.scale_slack, self.zero = scale_slack, zero
        stated = tuple(lengths) or (Length(),)
        self.lengths = stated if len(set(stated)) > 1 else stated[:1]
        self.chain = chain
        self.inner, self.common = inner or Chain(), common or Chain()
        self.pooling, self.decision = tuple(pooling), decision
        self.location_bank, self.prototype_bank = tuple(location_bank), tuple(prototype_bank)
        self._require_sizes(len(flat), scales)
        self.prototypes = fmpz_mat(self.prototype_count, channels, list(flat))
        spend("the prototypes", 4 * len(flat) * integer(1))
        self._rows = [
            list(flat[start : start + channels]) for start in range(0, len(flat), channels)
        ]
        self.norms = [sum(map(mul, row, row)) for row in self._rows]
        weights, self.scale_shift = ([], 0) if scales is None else scales
        self.scales = [
            list(weights[start : start + channels]) for start in range(0, len(weights), channels)
        ]
        self.size = max(width(flat), width(weights))
        # a matrix of FLINT, and a list of each prototype
        entries = len(flat) + len(weights)
        hold("the prototypes", stored(entries, self.size) + 8 * self.size * entries)
        self.square = 1 if geometry == "euclidean" else 0
        self.factor = -2 if geometry == "euclidean" else -1
        self.constants = self._constants()
        self.uniform = chain.uniform and set(self.pooling) == {Pooling()}
        self._gram: dict[int, list[fmpz]] = {}
        self.boxes: dict[tuple[int, int | None, int], list[tuple[int | None, int | None]]] = {}
        self._require_traits()

    def routed(self, routing: Routing) -> Head:
        """The same head, whose tree is read in another way; what was computed is shared.

        Raises:
            ModelError: the decision is no tree.
        """
        if routing == self.decision.routing:
            return self
        other = copy(self)
        other.decision = replace(self.decision, routing=routing)
        return other

    @property
    def prototype_count(self) -> int:
        """P; prototypes that two features share count twice."""
        return len(self.prototype_bank)

    @property
    def location_count(self) -> int:
        """L, of all banks together."""
        return len(self.location_bank)

    @property
    def class_count(self) -> int:
        """K, or the number of labels."""
        return self.decision.class_count

    @property
    def weight_shift(self) -> int:
        """Scores are integers over ``2**weight_shift`` times activations."""
        return self.decision.shift

    @cached_property
    def one_bank(self) -> bool:
        """Whether every location measures every prototype."""
        return len(set(self.prototype_bank)) == 1 == len(set(self.location_bank))

    def measures(self, location: int, prototype: int) -> bool:
        """Whether a location is of the prototype's bank."""
        return self.location_bank[location] == self.prototype_bank[prototype]

    @property
    def related(self) -> bool:
        """Whether measurements at one location are forms of one vector, so that they bound each
        other: not with weights per channel, nor where each angle is divided by another length."""
        return self.geometry != "diagonal" and len(self.lengths) == 1

    def length(self, prototype: int) -> Length:
        """What divides an angle with a prototype."""
        return self.lengths[prototype if len(self.lengths) > 1 else 0]

    def enclosed(self, prototype: int) -> bool:
        """Whether measurements are known in balls only, however precise, so that their order may
        stay open."""
        return bool(self.scale_slack or self.length(prototype).beside)

    def nearest(self, prototype: int) -> bool:
        """Whether t[j] is the least measurement."""
        return self.pooling[prototype].kind == "nearest"

    @cached_property
    def all_nearest(self) -> bool:
        """Whether every t[j] is."""
        return {one.kind for one in self.pooling} == {"nearest"}

    def _require_sizes(self, numbers: int, scales: tuple[Sequence[int], int] | None) -> None:
        count, scaled = self.prototype_count, self.geometry == "diagonal"
        entries = count * self.channels
        if numbers != entries or not entries or len(self.pooling) != count:
            raise ModelError(f"model: the prototypes are not {count} x {self.channels}")
        if scaled != (scales is not None) or (scales is not None and len(scales[0]) != entries):
            raise ModelError("model: the scales do not fit the prototypes")
        lengths = self.lengths
        if min(map(min, lengths)) < 0 or len(lengths) not in (1, count):
            raise ModelError("model: a length that is negative, or of no prototype")
        if any(map(any, lengths)) and self.geometry != "angular":
            raise ModelError("model: a length is divided out that is not")
        if self.scale_slack < 0 or (self.scale_slack and scales is None):
            raise ModelError("model: scales that are rounded, and none")
        if scales is not None and min(scales[0]) < 0:
            raise ModelError("model: a scale of a distance is negative")
        if self.decision.prototypes != count or not self.chain.fits(count):
            raise ModelError("model: the similarity or the decision is about other prototypes")
        if not (self.inner.fits(count) and self.common.fits(count)) or set(
            self.prototype_bank
        ) != set(self.location_bank):
            raise ModelError("model: a bank without a location, or without a prototype")
        where = {bank: self.location_bank.count(bank) for bank in set(self.location_bank)}
        for bank, (kind, largest) in zip(self.prototype_bank, self.pooling, strict=True):
            if (kind == "k-largest mean") != bool(largest) or not 0 <= largest <= where[bank]:
                raise ModelError(f"model: pools the {largest} largest of {where[bank]} locations")

    def _require_traits(self) -> None:
        """Similarities never rise (see ``chain``); shares of a tree lie in [0, 1]."""
        count = range(self.prototype_count)
        near = [j for j in count if self.nearest(j)]
        self.chain.require_decreasing({j: self.free_range(j) for j in near})
        less = [j for j in count if self.pooling[j].kind == "nearest less mean"]
        pooled = {}
        for j in less:
            if not self.inner.never_falls(j, *self.free_range(j)):
                raise DescriptionError(
                    f"what prototype {j} pools, nearest less mean, may fall as its measurement "
                    "rises"
                )
            pooled[j] = self.inner.range(j, *self.free_range(j))
        self.common.require_decreasing(pooled)
        if self.decision.kind == "tree":
            for node in self.decision.nodes:
                low, high = self._activation_range(node.prototype)
                if not at_least(low, ZERO) or not at_most(high, ONE):
                    raise DescriptionError(
                        f"the activation of prototype {node.prototype} routes in a tree, and is "
                        "not certainly in [0, 1]"
                    )

    def _activation_range(self, prototype: int) -> tuple[End, End]:
        low, high = self.free_range(prototype)
        if self.nearest(prototype):
            return self.chain.range(prototype, low, high)
        raise DescriptionError("a tree routes by the nearest location only")

    def free_range(self, prototype: int) -> tuple[End, End]:
        """Bounds of m_j over all latents whatsoever."""
        if self.geometry in ("euclidean", "diagonal"):
            return ZERO, math.inf
        if not self.norms[prototype]:
            return ZERO, ZERO
        if self.geometry == "linear":
            return -math.inf, math.inf
        end = fmpq(self.norm_above(prototype), 1 << GRID)
        return -end, end

    def norm_above(self, prototype: int) -> int:
        """At least |p_j|, over ``2**GRID``; exact where that is a whole number of them."""
        square = self.norms[prototype] << (2 * GRID)
        unit = 1 << (2 * self.shift)
        root = isqrt(square // unit)
        return root if root * root * unit == square else root + 1

    def prototype(self, index: int) -> list[int]:
        """One prototype, over ``2**shift``."""
        return self._rows[index]

    def weighted(self, index: int) -> list[int]:
        """w_j p_j of a diagonal geometry, over ``2**(shift + scale_shift)``; else p_j itself."""
        point = self.prototype(index)
        if not self.scales:
            return point
        return list(map(mul, self.scales[index], point))

    def _constants(self) -> list[int]:
        if self.geometry == "euclidean":
            return self.norms
        if self.geometry == "diagonal":
            return [
                sum(map(mul, self.weighted(j), self.prototype(j)))
                for j in range(self.prototype_count)
            ]
        return [0] * self.prototype_count

    def gram_rows(self, indices: Iterable[int]) -> dict[int, list[fmpz]]:
        """p_i . p_j for the given i and every j, over ``2**(2 * shift)``; computed once each."""
        wanted = set(indices)
        missing = sorted(wanted - set(self._gram))
        self._pay(wanted)
        if missing:
            if (len(self._gram) + len(missing)) * self.prototype_count > _KEPT:
                # certificate after certificate must not fill the memory; what this one paid for
                # stays, so that no row is computed twice in one check
                paid = current().paid
                self._gram = {
                    i: row for i, row in self._gram.items() if i in wanted or paid(("row", i))
                }
            chosen = fmpz_mat([self.prototype(i) for i in missing])
            rows = (chosen * self.prototypes.transpose()).tolist()
            self._gram.update(zip(missing, rows, strict=True))
        return self._gram

    def _pay(self, wanted: set[int]) -> None:
        """Charge rows of inner products, also those that an earlier check left here."""
        budget = current()
        count = sum(budget.first(("row", i)) for i in wanted)
        entries = count * self.prototype_count
        each = self.channels * product(self.size, self.size) + 2 * OPERATION
        budget.spend("inner products of prototypes", entries * each)
        budget.hold("inner products of prototypes", stored(entries, 2 * self.size))
