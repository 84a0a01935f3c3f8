"""Exact measurements of latents: what every fact is compared with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from flint import arb, ctx, fmpz_mat
from numpy.typing import NDArray

from protoproof.certificate.schema import Move
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import float32_integers, float32_width
from protoproof.kernel.budget import OPERATION, hold, integer, product, spend, stored, width
from protoproof.kernel.latent.pooling import pooled
from protoproof.kernel.latent.value import Approximate, Exact, Value, least, ordered
from protoproof.kernel.model.head import Head
from protoproof.kernel.model.primitives import as_ball

# Products of a latent with prototypes that are computed at once.
_AT_ONCE = 1 << 16
_PER_BALL = 300  # bytes of one that is kept


@dataclass(frozen=True)
class Point:
    """The latent of one location: ``numerators[d] / (denominator * 2**shift)`` per channel.

    The shift is that of the :class:`Latent` it belongs to. ``known`` keeps the measurements that
    were computed.
    """

    numerators: list[int]
    denominator: int = 1
    known: dict[int, Exact] = field(default_factory=dict, compare=False)

    @cached_property
    def size(self) -> int:
        """Limbs of the longest number."""
        return width(self.numerators, [self.denominator])


class Measurer:
    """Measurements of points, all of whose coordinates are over denominators times ``2**shift``."""

    def __init__(self, head: Head, shift: int) -> None:
        self._head, self._shift = head, shift
        self._up = shift - head.shift

    def cost(self, size: int) -> int:
        """Steps of one measurement of a point of so many limbs."""
        each = self._head.channels * product(size, self._head.size)
        more = 2 if self._head.scales else 1
        return more * each + 10 * integer(2 * size + self._head.size)

    def numerators(
        self, points: Sequence[tuple[list[int], int]], chosen: Sequence[int] | None = None
    ) -> tuple[list[list[int]], list[int]]:
        """Per point and prototype (all unless chosen) a numerator, and per point its unit.

        They are those of the measurement, or (angular) of its square with the sign.
        """
        head, across = self._head, self._matrix("prototypes", chosen)
        z = fmpz_mat(len(points), head.channels, [n for point, _ in points for n in point])
        products = [list(map(int, row)) for row in (z * across).tolist()]
        squares = [sum(n * n for n in point) for point, _ in points]
        if head.geometry == "angular":
            return self._signed_squares(products, squares, [unit for _, unit in points])
        if head.geometry == "linear":
            units = [unit << (self._shift + head.shift) for _, unit in points]
            return [[-n for n in row] for row in products], units
        rows = []
        weighted: list[list[int]] = []
        if head.scales:
            squared = [n * n for point, _ in points for n in point]
            z = fmpz_mat(len(points), head.channels, squared)
            scaled = (z * self._matrix("scales", chosen)).tolist()
            weighted = [list(map(int, row)) for row in scaled]
        all_constants = head.constants
        constants = all_constants if chosen is None else [all_constants[j] for j in chosen]
        for index, (_, unit) in enumerate(points):
            twice, finer = 2 * unit << self._up, unit * unit << (2 * self._up)
            own = weighted[index] if weighted else [squares[index]] * len(constants)
            triples = zip(own, products[index], constants, strict=True)
            rows.append([n - twice * entry + finer * c for n, entry, c in triples])
        unit_shift = 2 * self._shift + head.scale_shift
        return rows, [unit * unit << unit_shift for _, unit in points]

    def _signed_squares(
        self, products: list[list[int]], squares: list[int], denominators: list[int]
    ) -> tuple[list[list[int]], list[int]]:
        """Of -n / max(sqrt(|z|^2 + added), floor): -n |n| over the larger square; 0 where z is
        0."""
        head, rows, units = self._head, [], []
        unit = math.lcm(head.floor.denominator**2, head.added.denominator)
        floor, added = int(head.floor**2 * unit), int(head.added * unit)
        for row, square, denominator in zip(products, squares, denominators, strict=True):
            one = denominator**2 << (2 * self._shift)
            size = max(square * unit + added * one, floor * one)  # over ``unit``
            if not size and not head.zero:
                raise CertificateError("a location is the zero vector, which has no direction")
            rows.append([-n * abs(n) * unit for n in row])
            units.append(max(size, 1) << (2 * head.shift))
        return rows, units

    def _matrix(self, which: str, chosen: Sequence[int] | None) -> fmpz_mat:
        """[D, P] of (weighted) prototypes, or of scales."""
        head = self._head
        if chosen is not None:
            row = head.weighted if which == "prototypes" else head.scales.__getitem__
            return fmpz_mat([row(j) for j in chosen]).transpose()
        if which == "scales":
            return fmpz_mat(head.scales).transpose()
        if not head.scales:
            return head.prototypes.transpose()
        return fmpz_mat([head.weighted(j) for j in range(head.prototype_count)]).transpose()


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
        self._nearest: dict[int, list[int]] = {}
        self.reached: dict[tuple[Move, bool], Point] = {}
        self._best: dict[int, Value] = {}
        self._levels: dict[int, Value] = {}

    def _measured(self) -> tuple[list[list[int]], list[int]]:
        head, what = self.head, "the measurements of the recorded latent"
        count = head.prototype_count
        spend(what, len(self.points) * count * self.measurer.cost(self.size))
        hold(what, stored(len(self.points) * count, 2 * self.size + head.size + 1))
        rows: list[list[int]] = []
        units: list[int] = []
        some = max(1, _AT_ONCE // count)
        for start in range(0, len(self.points), some):
            part = [(point, 1) for point in self.points[start : start + some]]
            found = self.measurer.numerators(part)
            rows += found[0]
            units += found[1]
        return rows, units

    def measurement(self, location: int, prototype: int) -> Exact:
        """m_lj."""
        root = self.head.geometry == "angular"
        return Exact(self._numerators[location][prototype], self._units[location], root)

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
            self._best[prototype] = Moved(self, {}).best(prototype)
        return self._best[prototype]

    def level(self, prototype: int) -> Value:
        """What a ceiling bounds, at v; see :meth:`Moved.level`."""
        if self.head.uniform:
            return self.best(prototype)
        if prototype not in self._levels:
            here = Moved(self, {})
            self._levels[prototype] = Approximate(lambda: -here.activation(prototype))
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
        size, what = point.size + latent.size, "the measurements of a moved location"
        spend(
            what,
            len(chosen) * latent.measurer.cost(size) + latent.head.channels * integer(point.size),
        )
        hold(what, stored(len(chosen), 2 * size))
        rows, units = latent.measurer.numerators([(point.numerators, point.denominator)], chosen)
        root = latent.head.geometry == "angular"
        for j, n in zip(chosen, rows[0], strict=True):
            point.known[j] = Exact(n, units[0], root)

    def measurement(self, location: int, prototype: int) -> Exact:
        """m_lj."""
        if location not in self.points:
            return self.latent.measurement(location, prototype)
        point = self.points[location]
        if prototype not in point.known:
            self.need(location, [prototype])
        return point.known[prototype]

    def best(self, prototype: int) -> Value:
        """t_j."""
        if prototype not in self._best:
            nearest = self.latent.head.nearest(prototype)
            find = self._least if nearest else self._pooled
            self._best[prototype] = find(prototype)
        return self._best[prototype]

    def _least(self, prototype: int) -> Value:
        places, head = self.latent.places(prototype), self.latent.head
        spend("the best measurements", OPERATION * 8 + len(self.points) * self._comparison)
        moved = [k for k in self.points if head.measures(k, prototype)]
        candidates = [self.measurement(k, prototype) for k in moved]
        unmoved = next((k for k in places if k not in self.points), None)
        if unmoved is not None:
            candidates.append(self.latent.measurement(unmoved, prototype))
        return least(candidates)

    def _pooled(self, prototype: int) -> Value:
        """The pooled value of inner_j(m_lj): exact where everything is rational."""
        head, places = self.latent.head, self.latent.places(prototype)
        if not any(k in self.points for k in places) and self.points:
            return self.latent.best(prototype)
        values = [self.measurement(k, prototype) for k in places]
        cost = len(places) * (head.inner.cost + self._comparison)

        def evaluate() -> arb:
            spend("pooled values", cost)
            numbers = [head.inner.number(prototype, value.number()) for value in values]
            return as_ball(pooled(head.pooling[prototype], numbers))

        if head.geometry != "angular":
            spend("pooled values", cost)
            numbers = [head.inner.number(prototype, value.number()) for value in values]
            total = pooled(head.pooling[prototype], numbers)
            if not isinstance(total, arb):
                return Exact(int(total.p), int(total.q))
        return Approximate(evaluate)

    def activation(self, prototype: int) -> arb:
        """A ball around a_j, at the working precision."""
        key = prototype, ctx.prec
        if key not in self._activations:
            chain = self.latent.head.chain
            spend("an activation", chain.cost)
            hold("the activations", _PER_BALL)
            value = self.best(prototype).number()
            self._activations[key] = chain.value(prototype, value)
        return self._activations[key]

    def level(self, prototype: int) -> Value:
        """What ceilings bound from below: t_j, or -a_j where t_j alone says too little."""
        if self.latent.head.uniform:
            return self.best(prototype)
        if not any(self.latent.head.measures(k, prototype) for k in self.points):
            return self.latent.level(prototype)
        return Approximate(lambda: -self.activation(prototype))
