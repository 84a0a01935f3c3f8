"""Exact measurements of latents: what every fact is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from flint import fmpz_mat
from numpy.typing import NDArray

from protoproof.certificate.schema import Move
from protoproof.kernel.arithmetic.exact import Ratio, at_most, float32_integers, float32_width
from protoproof.kernel.budget import OPERATION, hold, integer, product, spend, stored, width
from protoproof.kernel.model.head import Head

# Products of a latent with prototypes that are computed at once.
_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Point:
    """The latent of one location: ``numerators[d] / (denominator * 2**shift)`` per channel.

    The shift is that of the :class:`Latent` it belongs to. ``known`` keeps the squared distances
    to prototypes that were computed, over ``(denominator * 2**shift)**2``.
    """

    numerators: list[int]
    denominator: int = 1
    known: dict[int, int] = field(default_factory=dict, compare=False)

    @cached_property
    def size(self) -> int:
        """Limbs of the longest number."""
        return width(self.numerators, [self.denominator])


class Latent:
    """The recorded latent v and its squared distances.

    Attributes:
        points: [L, D] integers over ``2**shift``.
        measurement: [L, P] integers over ``scale``: q_lj at v, exactly.
        best: [P], the least of them over the locations.
        size: limbs of a coordinate.
        reached: points that moves lead to, by move; many witnesses share them.
    """

    def __init__(self, head: Head, values: NDArray[np.float32]) -> None:
        self.head = head
        flat, own = float32_integers(values)
        self.shift = max(own, head.shift)
        self.scale = 1 << (2 * self.shift)
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
        self.measurement = self._squared_distances(self.points)
        self.best = [min(column) for column in zip(*self.measurement, strict=True)]
        self.reached: dict[Move, Point] = {}
        self._nearest: dict[int, list[int]] = {}

    def _squared_distances(self, points: list[list[int]]) -> list[list[int]]:
        """|z - p_j|^2 over ``scale`` for every prototype, expanded into exact products."""
        head = self.head
        count, channels = head.prototype_count, head.channels
        spend(
            "the measurements of the recorded latent",
            len(points)
            * count
            * (channels * product(self.size, head.size) + 8 * integer(2 * self.size)),
        )
        hold(
            "the measurements of the recorded latent",
            stored(len(points) * count, 2 * self.size + 1),
        )
        up = self.shift - head.shift
        norms = [n << (2 * up) for n in head.norms]
        twice = 2 << up
        across = head.prototypes.transpose()
        result = []
        some = max(1, _AT_ONCE // count)
        for start in range(0, len(points), some):
            part = points[start : start + some]
            z = fmpz_mat(len(part), channels, [n for point in part for n in point])
            for point, row in zip(part, (z * across).tolist(), strict=True):
                own = sum(n * n for n in point)
                pairs = zip(row, norms, strict=True)
                result.append([own - twice * int(entry) + norm for entry, norm in pairs])
        return result

    def least_elsewhere(self, prototype: int, moved: Mapping[int, Point]) -> int | None:
        """The least q_lj at v over all locations that are not moved; None where all are.

        Locations are sorted once per prototype: the first that is not moved has it.
        """
        order = self._nearest.get(prototype)
        if order is None:
            count = len(self.points)
            spend("the nearest locations", count * count.bit_length() * integer(2 * self.size))
            hold("the nearest locations", 64 + 8 * count)
            column = [row[prototype] for row in self.measurement]
            order = self._nearest[prototype] = sorted(range(count), key=column.__getitem__)
        for location in order:
            if location not in moved:
                return self.measurement[location][prototype]
        return None

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
        self._best: dict[int, Ratio] = {}
        self.size = 2 * (latent.size + max((point.size for point in points.values()), default=0))
        self._comparison = 4 * integer(self.size, self.size)

    def need(self, location: int, prototypes: Iterable[int]) -> None:
        """Compute the distances of one moved location to some prototypes, all at once."""
        head, point = self.latent.head, self.points[location]
        chosen = sorted(set(prototypes) - point.known.keys())
        if not chosen:
            return
        latent, size = self.latent, point.size + self.latent.size
        spend(
            "the measurements of a moved location",
            len(chosen) * (head.channels * product(point.size, head.size) + 6 * integer(2 * size))
            + head.channels * integer(point.size),
        )
        hold("the measurements of a moved location", stored(len(chosen), 2 * size))
        rows = fmpz_mat([head.prototype(j) for j in chosen])
        products = (rows * fmpz_mat(head.channels, 1, point.numerators)).entries()
        up = latent.shift - head.shift
        square = sum(n * n for n in point.numerators)
        finer = point.denominator * point.denominator << (2 * up)
        twice = 2 * point.denominator << up
        for j, entry in zip(chosen, products, strict=True):
            point.known[j] = square - twice * int(entry) + finer * head.norms[j]

    def measurement(self, location: int, prototype: int) -> Ratio:
        """q_lj."""
        if location not in self.points:
            return self.latent.measurement[location][prototype], self.latent.scale
        point = self.points[location]
        if prototype not in point.known:
            self.need(location, [prototype])
        return point.known[prototype], self.latent.scale * point.denominator**2

    def best(self, prototype: int) -> Ratio:
        """The least q_lj over all locations."""
        if prototype not in self._best:
            latent = self.latent
            if not self.points:
                return latent.best[prototype], latent.scale
            spend("the best measurements", OPERATION * 8 + len(self.points) * self._comparison)
            candidates = [self.measurement(location, prototype) for location in self.points]
            unmoved = latent.least_elsewhere(prototype, self.points)
            if unmoved is not None:
                candidates.append((unmoved, latent.scale))
            least = candidates[0]
            for candidate in candidates[1:]:
                if at_most(candidate, least):
                    least = candidate
            self._best[prototype] = least
        return self._best[prototype]
