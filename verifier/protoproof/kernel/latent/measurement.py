"""Exact measurements of latents: what every fact is compared with."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray

from protoproof.certificate.schema import Move
from protoproof.kernel.arithmetic.exact import Ratio, float32_integers, float32_width
from protoproof.kernel.budget import OPERATION, hold, integer, spend, stored, width
from protoproof.kernel.latent.measurer import Measurer, Point, Unit
from protoproof.kernel.latent.pooling import pooled
from protoproof.kernel.latent.value import Approximate, Exact, Value, least, ordered
from protoproof.kernel.model.head import Head
from protoproof.kernel.model.primitives import Number, as_ball

# Products of a latent with prototypes that are computed at once.
_AT_ONCE = 1 << 16
_PER_BALL = 300  # bytes of one that is kept


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
        self._activations: dict[tuple[int, int], arb] = {}
        self.reached: dict[tuple[Move, bool], Point] = {}
        self._best: dict[int, Value] = {}
        self._levels: dict[int, Value] = {}

    def _measured(self) -> tuple[list[list[int]], list[Unit]]:
        head, what = self.head, "the measurements of the recorded latent"
        count = head.prototype_count
        spend(what, len(self.points) * count * self.measurer.cost(self.size))
        spend("the best measurements", 8 * OPERATION * count)
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
        found = self._best.get(prototype)
        if found is None:
            if self.head.nearest(prototype) and not self.head.enclosed(prototype):
                found = self.measurement(self._closest(prototype), prototype)
            else:
                found = Moved(self, {}).found(prototype)
            self._best[prototype] = found
        return found

    def first(self, prototype: int, apart: Container[int]) -> Value | None:
        """The least measurement at locations that are not ``apart``; None where there are none. Of
        prototypes whose measurements have a certain order."""
        if self._closest(prototype) not in apart:
            return self.best(prototype)
        for place in self.places(prototype):
            if place not in apart:
                return self.measurement(place, prototype)
        return None

    def _closest(self, prototype: int) -> int:
        """The first of :meth:`places`, without the order of the others."""
        if prototype in self._nearest or self.head.geometry == "angular":
            return self.places(prototype)[0]
        return self._firsts[prototype]

    @cached_property
    def _firsts(self) -> list[int]:
        """The first of :meth:`places` of every prototype, where measurements are over one unit."""
        head, count = self.head, len(self.points)
        spend("the nearest locations", head.prototype_count * count * integer(2 * self.size))
        columns = zip(*self._numerators, strict=True)
        if head.one_bank:
            return [column.index(min(column)) for column in columns]
        banks: dict[int, list[int]] = {}
        for location, bank in enumerate(head.location_bank):
            banks.setdefault(bank, []).append(location)
        return [
            min(banks[bank], key=column.__getitem__)
            for bank, column in zip(head.prototype_bank, columns, strict=True)
        ]

    @cached_property
    def lowest(self) -> list[int]:
        """All t_j of one bank and one unit, over ``2**GRID`` and rounded down."""
        count = self.head.prototype_count
        spend("the best measurements", count * integer(2 * self.size))
        return [self.best(j).floor() for j in range(count)]

    def stays(self, prototype: int, apart: Container[int]) -> bool:
        """Whether the first of :meth:`places` is not ``apart``."""
        return self._closest(prototype) not in apart

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


class _Nearby(NamedTuple):
    """Of every prototype the least measurement at moved locations, rounded down, and by location
    all of them; ``same``: the prototypes whose t_j certainly is that of v."""

    low: list[int]
    rows: dict[int, list[int]]
    same: frozenset[int]


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

    def need(self, wanted: Mapping[int, Iterable[int]]) -> None:
        """Compute measurements of moved locations, all at once.

        Args:
            wanted: prototypes, by location.
        """
        latent, head = self.latent, self.latent.head
        # picking most rows of the stored matrix costs more than a product with all of them
        whole: list[Point] = []
        for location, prototypes in wanted.items():
            point = self.points[location]
            if point.whole is not None:
                continue
            chosen = set(prototypes) - point.known.keys()
            if not head.one_bank:
                chosen = {j for j in chosen if head.measures(location, j)}
            if 2 * len(chosen) > head.prototype_count:
                self._charge(point, head.prototype_count)
                whole.append(point)
            elif chosen:
                some = sorted(chosen)
                self._charge(point, len(some))
                rows, units = latent.measurer.numerators([point], some)
                for place, j in enumerate(some):
                    point.known[j] = self._value(point, j, rows[0][place], units[0], place)
        at_once = max(1, _AT_ONCE // head.prototype_count)
        for start in range(0, len(whole), at_once):
            part = whole[start : start + at_once]
            rows, units = latent.measurer.numerators(part)
            for point, row, unit in zip(part, rows, units, strict=True):
                point.whole, point.floors = (row, unit), latent.measurer.floors(row, unit)

    def _charge(self, point: Point, count: int) -> None:
        """Charge the measurements of a moved location by so many prototypes."""
        latent, size = self.latent, point.size + self.latent.size
        what = "the measurements of a moved location"
        spend(
            what,
            count * (latent.measurer.cost(size) + integer(2 * size))
            + latent.head.channels * integer(point.size),
        )
        hold(what, stored(count, 2 * size) + stored(count, 2))

    def _value(self, point: Point, prototype: int, numerator: int, unit: Unit, place: int) -> Value:
        square = point.square, point.denominator**2 << (2 * self.latent.shift)
        return self.latent.measurer.value(prototype, numerator, unit, place, square)

    def measurement(self, location: int, prototype: int) -> Value:
        """m_lj."""
        if location not in self.points:
            return self.latent.measurement(location, prototype)
        point = self.points[location]
        found = point.known.get(prototype)
        if found is None:
            self.need({location: [prototype]})
            if point.whole is not None:
                row, unit = point.whole
                value = self._value(point, prototype, row[prototype], unit, prototype)
                point.known[prototype] = value
            found = point.known[prototype]
        return found

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
        latent, head, known = self.latent, self.latent.head, self._nearby
        if known is not None:
            if prototype in known.same:
                return latent.best(prototype)
            low, unmoved = known.low[prototype], latent.first(prototype, self.points)
            near = [k for k, row in known.rows.items() if row[prototype] == low]
            values = [self.measurement(k, prototype) for k in near]
            return least(values if unmoved is None else [unmoved, *values])
        spend("the best measurements", OPERATION * 8 + len(self.points) * self._comparison)
        values = [
            self.measurement(k, prototype) for k in self.points if head.measures(k, prototype)
        ]
        if head.enclosed(prototype):
            others = (k for k in latent.places(prototype) if k not in self.points)
            return least([*values, *(latent.measurement(k, prototype) for k in others)])
        nearest = latent.first(prototype, self.points)
        return least(values if nearest is None else [nearest, *values])

    @cached_property
    def _nearby(self) -> _Nearby | None:
        """What moved and what did not, for all prototypes at once; None where it is not known."""
        latent, head = self.latent, self.latent.head
        rows = {k: point.floors for k, point in self.points.items() if point.floors is not None}
        if not rows or len(rows) < len(self.points) or not (head.one_bank and head.all_nearest):
            return None
        each = OPERATION * 8 + len(latent.points) * self._comparison
        spend("the best measurements", head.prototype_count * each)
        low = [min(column) for column in zip(*rows.values(), strict=True)]
        pairs = enumerate(zip(latent.lowest, low, strict=True))
        less = [j for j, (here, there) in pairs if here < there]
        return _Nearby(low, rows, frozenset(j for j in less if latent.stays(j, rows)))

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
        known = self._nearby
        if known is not None and prototype in known.same:
            return self.latent.activation(prototype)
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
