"""Exact measurements of latents: what every fact is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from flint import fmpz_mat
from numpy.typing import NDArray

from protoproof.certificate.schema import Move
from protoproof.kernel.arithmetic.exact import Ratio, at_most, float32_integers
from protoproof.kernel.model.head import Head


@dataclass(frozen=True)
class Point:
    """The latent of one location: ``numerators[d] / (denominator * 2**shift)`` per channel.

    The shift is that of the :class:`Latent` it belongs to. ``known`` keeps the squared distances
    to prototypes that were computed, over ``(denominator * 2**shift)**2``.
    """

    numerators: list[int]
    denominator: int = 1
    known: dict[int, int] = field(default_factory=dict, compare=False)


class Latent:
    """The recorded latent v and its squared distances.

    Attributes:
        points: [L, D] integers over ``2**shift``.
        measurement: [L, P] integers over ``scale``: q_lj at v, exactly.
        best: [P], the least of them over the locations.
        reached: points that moves lead to, by move; many witnesses share them.
    """

    def __init__(self, head: Head, values: NDArray[np.float32]) -> None:
        self.head = head
        flat, own = float32_integers(values)
        self.shift = max(own, head.shift)
        self.scale = 1 << (2 * self.shift)
        channels = head.channels
        flat = [n << (self.shift - own) for n in flat]
        self.points = [flat[i : i + channels] for i in range(0, len(flat), channels)]
        self.measurement = self._squared_distances(self.points)
        self.best = [min(column) for column in zip(*self.measurement, strict=True)]
        self.reached: dict[Move, Point] = {}

    def _squared_distances(self, points: list[list[int]]) -> list[list[int]]:
        """|z - p_j|^2 over ``scale`` for every prototype, expanded into exact products."""
        head = self.head
        up = self.shift - head.shift
        z = fmpz_mat(len(points), head.channels, [n for point in points for n in point])
        products = (z * head.prototypes.transpose()).tolist()
        norms = [n << (2 * up) for n in head.norms]
        twice = 2 << up
        result = []
        for point, row in zip(points, products, strict=True):
            own = sum(n * n for n in point)
            pairs = zip(row, norms, strict=True)
            result.append([own - twice * int(product) + norm for product, norm in pairs])
        return result

    def moved(self, points: Mapping[int, Point]) -> Moved:
        """The measurements after some locations went elsewhere."""
        return Moved(self, points)


class Moved:
    """Measurements of a latent that is at ``points`` (by location), and at v everywhere else.

    They are computed where they are asked for: a witness is compared with few prototypes, its
    coordinates are long fractions, and witnesses share points.
    """

    def __init__(self, latent: Latent, points: Mapping[int, Point]) -> None:
        self.latent, self.points = latent, points
        self._best: dict[int, Ratio] = {}

    def need(self, location: int, prototypes: Iterable[int]) -> None:
        """Compute the distances of one moved location to some prototypes, all at once."""
        head, point = self.latent.head, self.points[location]
        chosen = sorted(set(prototypes) - point.known.keys())
        if not chosen:
            return
        rows = fmpz_mat([head.prototype(j) for j in chosen])
        products = (rows * fmpz_mat(head.channels, 1, point.numerators)).entries()
        up = self.latent.shift - head.shift
        square = sum(n * n for n in point.numerators)
        finer = point.denominator * point.denominator << (2 * up)
        twice = 2 * point.denominator << up
        for j, product in zip(chosen, products, strict=True):
            point.known[j] = square - twice * int(product) + finer * head.norms[j]

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
            candidates = [self.measurement(location, prototype) for location in self.points]
            unmoved = [
                row[prototype]
                for location, row in enumerate(latent.measurement)
                if location not in self.points
            ]
            if unmoved:
                candidates.append((min(unmoved), latent.scale))
            least = candidates[0]
            for candidate in candidates[1:]:
                if at_most(candidate, least):
                    least = candidate
            self._best[prototype] = least
        return self._best[prototype]
