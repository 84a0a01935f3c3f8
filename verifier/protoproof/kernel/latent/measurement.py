"""Exact measurements of latents: what every fact is compared with."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from operator import mul

import numpy as np
from flint import arb, ctx, fmpz_mat
from numpy.typing import NDArray

from protoproof.certificate.schema import Move
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import Ratio, ball, float32_integers, float32_width
from protoproof.kernel.budget import OPERATION, hold, integer, product, spend, stored, width
from protoproof.kernel.latent.pooling import pooled
from protoproof.kernel.latent.value import Approximate, Exact, Value, least, ordered
from protoproof.kernel.model.head import Head, Length
from protoproof.kernel.model.primitives import Number, as_ball

# Products of a latent with prototypes that are computed at once.
_AT_ONCE = 1 << 16
_PER_BALL = 300  # bytes of one that is kept
# One denominator for all prototypes, or one for each.
Unit = int | list[int]


@dataclass(frozen=True)
class Point:
    """The latent of one location: ``numerators[d] / (denominator * 2**shift)`` per channel.

    The shift is that of the :class:`Latent` it belongs to. ``known`` keeps the measurements that
    were computed.
    """

    numerators: list[int]
    denominator: int = 1
    known: dict[int, Value] = field(default_factory=dict, compare=False)

    @cached_property
    def size(self) -> int:
        """Limbs of the longest number."""
        return width(self.numerators, [self.denominator])

    @cached_property
    def square(self) -> int:
        """|z|^2, over ``(denominator * 2**shift)**2``."""
        return sum(map(mul, self.numerators, self.numerators))


class Measurer:
    """Measurements of points, all of whose coordinates are over denominators times ``2**shift``."""

    def __init__(self, head: Head, shift: int) -> None:
        self._head, self._shift = head, shift
        self._up = shift - head.shift
        self._chosen: dict[tuple[str, tuple[int, ...]], fmpz_mat] = {}
        self._whole: dict[str, fmpz_mat] = {}

    def cost(self, size: int) -> int:
        """Steps of one measurement of a point of so many limbs."""
        each = self._head.channels * product(size, self._head.size)
        more = 2 if self._head.scales else 1
        return more * each + 10 * integer(2 * size + self._head.size)

    def numerators(
        self, points: Sequence[Point], chosen: Sequence[int] | None = None
    ) -> tuple[list[list[int]], list[Unit]]:
        """Per point and prototype (all unless chosen) a numerator, and per point its unit, or one
        for each prototype.

        They are those of the measurement, or (angular) of its square with the sign.
        """
        head, across = self._head, self._matrix("prototypes", chosen)
        z = fmpz_mat(len(points), head.channels, [n for point in points for n in point.numerators])
        products = [list(map(int, row)) for row in (z * across).tolist()]
        denominators = [point.denominator for point in points]
        if head.geometry == "angular":
            lengths = head.lengths
            if chosen is not None and len(lengths) > 1:
                lengths = tuple(lengths[j] for j in chosen)
            squares = [point.square for point in points]
            return self._signed_squares(products, squares, denominators, lengths)
        if head.geometry == "linear":
            units: list[Unit] = [unit << (self._shift + head.shift) for unit in denominators]
            return [[-n for n in row] for row in products], units
        rows = []
        weighted: list[list[int]] = []
        if head.scales:
            squared = [n * n for point in points for n in point.numerators]
            z = fmpz_mat(len(points), head.channels, squared)
            scaled = (z * self._matrix("scales", chosen)).tolist()
            weighted = [list(map(int, row)) for row in scaled]
        all_constants = head.constants
        constants = all_constants if chosen is None else [all_constants[j] for j in chosen]
        finer, raised = 0, constants
        for index, point in enumerate(points):
            unit = point.denominator
            twice, up = 2 * unit << self._up, unit * unit << (2 * self._up)
            if up != finer:
                finer, raised = up, [up * c for c in constants]
            pairs = zip(products[index], raised, strict=True)
            if weighted:
                own = weighted[index]
                rows.append([n - twice * e + c for n, (e, c) in zip(own, pairs, strict=True)])
            else:
                n = point.square
                rows.append([n - twice * entry + c for entry, c in pairs])
        unit_shift = 2 * self._shift + head.scale_shift
        return rows, [unit * unit << unit_shift for unit in denominators]

    def _signed_squares(
        self,
        products: list[list[int]],
        squares: list[int],
        denominators: list[int],
        lengths: Sequence[Length],
    ) -> tuple[list[list[int]], list[Unit]]:
        """Of -n over sqrt(max(|z|^2 + added, floor)): -n |n| over its square; 0 where z is 0."""
        head, rows = self._head, []
        units: list[Unit] = []
        unit = math.lcm(*[n.denominator for length in set(lengths) for n in length[:2]])
        for row, square, denominator in zip(products, squares, denominators, strict=True):
            one = denominator**2 << (2 * self._shift)
            sizes = []
            for floor, added, beside in lengths:
                size = max(square * unit + int(added * unit) * one, int(floor * unit) * one)
                if not size and not beside and not head.zero:
                    raise CertificateError("a location is the zero vector, which has no direction")
                sizes.append(max(size, 1) << (2 * head.shift))
            rows.append([-n * abs(n) * unit for n in row])
            units.append(sizes[0] if len(set(sizes)) == 1 else sizes)
        return rows, units

    def value(self, prototype: int, numerator: int, unit: Unit, place: int, size: Ratio) -> Value:
        """One of :meth:`numerators`, the ``place``-th of its point, as the measurement that it is.

        Args:
            size: |z|^2 of the point.
        """
        here, head = unit[place] if isinstance(unit, list) else unit, self._head
        if head.geometry != "angular":
            exact = Exact(numerator, here)
            return self._widened(exact, prototype, size) if head.scale_slack else exact
        found, length = Exact(numerator, here, True), head.length(prototype)
        if not length.beside or not numerator:
            return found

        def evaluate() -> arb:
            """n / (a + b) = (n / a) / (1 + b / a), with b^2 = beside."""
            spend("an angle", 64 * OPERATION)
            under = max(Fraction(*size) + length.added, length.floor)
            ratio = length.beside / under
            share = ball((ratio.numerator, ratio.denominator)).sqrt()
            return as_ball(found.number()) / (1 + share)

        return Approximate(evaluate)

    def _widened(self, found: Exact, prototype: int, size: Ratio) -> Value:
        """A distance whose weights were rounded down: at most slack |z - p|^2 more, and |z - p|^2
        is at most 2 |z|^2 + 2 |p|^2."""
        head = self._head
        square = Fraction(*size) + Fraction(head.norms[prototype], 1 << 2 * head.shift)
        more = 2 * head.scale_slack * square

        def evaluate() -> arb:
            spend("a weighted distance", 16 * OPERATION)
            low = as_ball(found.number())
            return low.union(low + ball((more.numerator, more.denominator)))

        return Approximate(evaluate)

    def _matrix(self, which: str, chosen: Sequence[int] | None) -> fmpz_mat:
        """[D, P] of (weighted) prototypes, or of scales; those that were chosen last are kept."""
        head = self._head
        if chosen is not None:
            key = which, tuple(chosen)
            if key not in self._chosen:
                if not self._chosen:  # two at a time, each of no more than half of them all
                    hold("chosen prototypes", 16 * head.size * head.prototype_count * head.channels)
                elif len(self._chosen) > 1:
                    del self._chosen[next(iter(self._chosen))]
                row = head.weighted if which == "prototypes" else head.scales.__getitem__
                self._chosen[key] = fmpz_mat([row(j) for j in chosen]).transpose()
            return self._chosen[key]
        if which not in self._whole:
            entries = head.prototype_count * head.channels
            hold("the prototypes, turned", 16 * head.size * entries)
            if which == "scales":
                rows = fmpz_mat(head.scales)
            elif not head.scales:
                rows = head.prototypes
            else:
                rows = fmpz_mat([head.weighted(j) for j in range(head.prototype_count)])
            self._whole[which] = rows.transpose()
        return self._whole[which]


class Latent:
    """The recorded latent v and its measurements.

    Attributes:
        points: [L, D] integers over ``2**shift``.
        size: limbs of a coordinate.
        reached: points that moves lead to, by move; many witnesses share them.
    """

    def __init__(self, head: Head, values: NDArray[np.float32]) -> None:
        self.head = head
        flat, own = float32_integers(values)
        self.shift = max(own, head.shift)
        channels = head.channels
        spend(
            "the recorded latent",
            len(flat) * 32 * integer(5) + 64 * OPERATION * head.location_count,
        )
        hold(
            "the recorded latent",
            2 * stored(len(flat), float32_width(values)) + 128 * head.location_count,
        )
        flat = [n << (self.shift - own) for n in flat]
        self.size = max(width(flat), head.size + (self.shift - head.shift) // 64)
        self.points = [flat[i : i + channels] for i in range(0, len(flat), channels)]
        self.measurer = Measurer(head, self.shift)
        self._numerators, self._units = self._measured()
        self._sizes: dict[int, Ratio] = {}
        self._nearest: dict[int, list[int]] = {}
        self._first: dict[int, int] = {}
        self._activations: dict[tuple[int, int], arb] = {}
        self.reached: dict[tuple[Move, bool], Point] = {}
        self._best: dict[int, Value] = {}
        self._levels: dict[int, Value] = {}

    def _measured(self) -> tuple[list[list[int]], list[Unit]]:
        head, what = self.head, "the measurements of the recorded latent"
        count = head.prototype_count
        spend(what, len(self.points) * count * self.measurer.cost(self.size))
        hold(what, stored(len(self.points) * count, 2 * self.size + head.size + 1))
        rows: list[list[int]] = []
        units: list[Unit] = []
        some = max(1, _AT_ONCE // count)
        for start in range(0, len(self.points), some):
            part = [Point(point) for point in self.points[start : start + some]]
            found = self.measurer.numerators(part)
            rows += found[0]
            units += found[1]
        return rows, units

    def measurement(self, location: int, prototype: int) -> Value:
        """m_lj."""
        numerator, unit = self._numerators[location][prototype], self._units[location]
        return self.measurer.value(prototype, numerator, unit, prototype, self._size_at(location))

    def _size_at(self, location: int) -> Ratio:
        """|v_l|^2."""
        if location not in self._sizes:
            square = sum(n * n for n in self.points[location])
            self._sizes[location] = square, 1 << (2 * self.shift)
        return self._sizes[location]

    def places(self, prototype: int) -> list[int]:
        """The locations of the prototype's bank; where the nearest counts, the nearest first."""
        order = self._nearest.get(prototype)
        if order is None:
            count, head = len(self.points), self.head
            spend("the nearest locations", count * count.bit_length() * integer(2 * self.size))
            hold("the nearest locations", 64 + 8 * count)
            order = [k for k in range(count) if head.measures(k, prototype)]
            if not head.nearest(prototype):
                pass
            elif head.geometry == "angular":
                order = ordered(order, lambda k: self.measurement(k, prototype))
            else:  # over one unit
                order.sort(key=lambda k: self._numerators[k][prototype])
            self._nearest[prototype] = order
        return order

    def best(self, prototype: int) -> Value:
        """t_j at v."""
        if prototype not in self._best:
            self._best[prototype] = Moved(self, {}).found(prototype)
        return self._best[prototype]

    def first(self, prototype: int, apart: Container[int]) -> Value | None:
        """The least measurement at locations that are not ``apart``; None where there are none. Of
        prototypes whose measurements have a certain order."""
        if not apart:
            return self.measurement(self._closest(prototype), prototype)
        if self._closest(prototype) not in apart:
            return self.best(prototype)
        for place in self.places(prototype):
            if place not in apart:
                return self.measurement(place, prototype)
        return None

    def _closest(self, prototype: int) -> int:
        """The first of :meth:`places`, without the order of the others."""
        if prototype not in self._first:
            head, count = self.head, len(self.points)
            if prototype in self._nearest or head.geometry == "angular":
                self._first[prototype] = self.places(prototype)[0]
            else:  # over one unit
                spend("the nearest locations", count * integer(2 * self.size))
                bank = [k for k in range(count) if head.one_bank or head.measures(k, prototype)]
                column = [row[prototype] for row in self._numerators]
                self._first[prototype] = min(bank, key=column.__getitem__)
        return self._first[prototype]

    def activation(self, prototype: int) -> arb:
        """A ball around a_j at v, at the working precision."""
        key = prototype, ctx.prec
        if key not in self._activations:
            chain = self.head.chain
            spend("an activation", chain.cost)
            hold("the activations", _PER_BALL)
            self._activations[key] = chain.value(prototype, self.best(prototype).number())
        return self._activations[key]

    def level(self, prototype: int) -> Value:
        """What a ceiling bounds, at v; see :meth:`Moved.level`."""
        if self.head.uniform:
            return self.best(prototype)
        if prototype not in self._levels:
            self._levels[prototype] = Approximate(lambda: -self.activation(prototype))
        return self._levels[prototype]

    def moved(self, points: Mapping[int, Point]) -> Moved:
        """The measurements after some locations went elsewhere."""
        return Moved(self, points)


class Moved:
    """Measurements of a latent that is at ``points`` (by location), and at v everywhere else.

    They are computed where they are asked for: a witness is compared with few prototypes, its
    coordinates are long fractions, and witnesses share points. ``size``: limbs of a measurement.
    """

    def __init__(self, latent: Latent, points: Mapping[int, Point]) -> None:
        self.latent, self.points = latent, points
        self._best: dict[int, Value] = {}
        self._activations: dict[tuple[int, int], arb] = {}
        moved = max((point.size for point in points.values()), default=0)
        self.size = 2 * (latent.size + moved) + latent.head.size
        self._comparison = 4 * integer(self.size, self.size)

    def need(self, location: int, prototypes: Iterable[int]) -> None:
        """Compute the measurements of one moved location, all at once."""
        latent, point = self.latent, self.points[location]
        measures = latent.head.measures
        wanted = set(prototypes) - point.known.keys()
        chosen = sorted(j for j in wanted if measures(location, j))
        if not chosen:
            return
        # picking most rows of the stored matrix costs more than a product with all of them
        count = latent.head.prototype_count
        every = 2 * len(chosen) > count
        size, what = point.size + latent.size, "the measurements of a moved location"
        products = count if every else len(chosen)
        spend(
            what,
            products * latent.measurer.cost(size) + latent.head.channels * integer(point.size),
        )
        hold(what, stored(products, 2 * size))
        rows, units = latent.measurer.numerators([point], None if every else chosen)
        square = point.square, point.denominator**2 << (2 * latent.shift)
        places = {j: j if every else place for place, j in enumerate(chosen)}
        for j, place in places.items():
            point.known[j] = latent.measurer.value(j, rows[0][place], units[0], place, square)

    def measurement(self, location: int, prototype: int) -> Value:
        """m_lj."""
        if location not in self.points:
            return self.latent.measurement(location, prototype)
        point = self.points[location]
        if prototype not in point.known:
            self.need(location, [prototype])
        return point.known[prototype]

    def best(self, prototype: int) -> Value:
        """t_j."""
        if not self.points:
            return self.latent.best(prototype)
        if prototype not in self._best:
            self._best[prototype] = self.found(prototype)
        return self._best[prototype]

    def found(self, prototype: int) -> Value:
        """The same, without a look at what is known."""
        nearest = self.latent.head.nearest(prototype)
        return self._least(prototype) if nearest else self._pooled(prototype)

    def _least(self, prototype: int) -> Value:
        latent, head = self.latent, self.latent.head
        spend("the best measurements", OPERATION * 8 + len(self.points) * self._comparison)
        values = [
            self.measurement(k, prototype) for k in self.points if head.measures(k, prototype)
        ]
        if head.enclosed(prototype):
            unmoved = (k for k in latent.places(prototype) if k not in self.points)
            return least([*values, *(latent.measurement(k, prototype) for k in unmoved)])
        nearest = latent.first(prototype, self.points)
        return least(values if nearest is None else [nearest, *values])

    def _pooled(self, prototype: int) -> Value:
        """The pooled value of inner_j(m_lj): exact where everything is rational."""
        head, places = self.latent.head, self.latent.places(prototype)
        if not any(k in self.points for k in places) and self.points:
            return self.latent.best(prototype)
        values = [self.measurement(k, prototype) for k in places]
        cost = len(places) * (head.inner.cost + self._comparison) + 2 * head.common.cost

        def evaluated() -> Number:
            spend("pooled values", cost)
            numbers = [head.inner.number(prototype, value.number()) for value in values]
            common = partial(head.common.number, prototype)
            return pooled(head.pooling[prototype], numbers, common)

        if head.geometry != "angular":
            total = evaluated()
            if not isinstance(total, arb):
                return Exact(int(total.p), int(total.q))
        return Approximate(lambda: as_ball(evaluated()))

    def activation(self, prototype: int) -> arb:
        """A ball around a_j, at the working precision."""
        value = self.best(prototype)
        if value is self.latent.best(prototype):  # most moves change few of them
            return self.latent.activation(prototype)
        key = prototype, ctx.prec
        if key not in self._activations:
            chain = self.latent.head.chain
            spend("an activation", chain.cost)
            hold("the activations", _PER_BALL)
            self._activations[key] = chain.value(prototype, value.number())
        return self._activations[key]

    def level(self, prototype: int) -> Value:
        """What ceilings bound from below: t_j, or -a_j where t_j alone says too little."""
        if self.latent.head.uniform:
            return self.best(prototype)
        if not any(self.latent.head.measures(k, prototype) for k in self.points):
            return self.latent.level(prototype)
        return Approximate(lambda: -self.activation(prototype))
