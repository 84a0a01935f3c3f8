"""Exact measurements of latents: what every fact is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from flint import fmpz_mat
from numpy.typing import NDArray

from verifier.certificate.schema import BoxDomain, FreeDomain
from verifier.checker.arithmetic import Ratio, at_most, float32_integers, hex_ratio
from verifier.checker.head import Head


@dataclass(frozen=True)
class Point:
    """The latent of one location: ``numerators[d] / (denominator * 2**shift)`` per channel.

    The shift is that of the :class:`Latent` it belongs to.
    """

    numerators: list[int]
    denominator: int = 1


class Latent:
    """The recorded latent v and its squared distances.

    Attributes:
        points: [L, D] integers over ``2**shift``.
        measurement: [L, P] integers over ``scale``: q_lj at v, exactly.
        best: [P], the least of them over the locations.
    """

    def __init__(self, head: Head, values: NDArray[np.float32]) -> None:
        self.head = head
        flat, own = float32_integers(values)
        self.shift = max(own, head.shift)
        self.scale = 1 << (2 * self.shift)
        channels = head.channels
        flat = [n << (self.shift - own) for n in flat]
        self.points = [flat[i : i + channels] for i in range(0, len(flat), channels)]
        self.measurement = self._squared_distances(self.points, 1)
        self.best = [min(column) for column in zip(*self.measurement, strict=True)]

    def _squared_distances(self, points: list[list[int]], denominator: int) -> list[list[int]]:
        """|z - p_j|^2 over ``scale * denominator**2``, expanded into exact products."""
        head = self.head
        up = self.shift - head.shift
        z = fmpz_mat(len(points), head.channels, [n for point in points for n in point])
        products = (z * head.prototypes.transpose()).tolist()
        norms = [(n << (2 * up)) * denominator * denominator for n in head.norms]
        twice = 2 * denominator << up
        result = []
        for point, row in zip(points, products, strict=True):
            own = sum(n * n for n in point)
            pairs = zip(row, norms, strict=True)
            result.append([own - twice * int(product) + norm for product, norm in pairs])
        return result

    def moved(self, points: Mapping[int, Point]) -> Moved:
        """The measurements after some locations went elsewhere."""
        rows = {
            location: (
                self._squared_distances([point.numerators], point.denominator)[0],
                self.scale * point.denominator**2,
            )
            for location, point in points.items()
        }
        return Moved(self, rows)


@dataclass(frozen=True)
class Moved:
    """Measurements of a latent that differs from v at some locations.

    ``rows`` maps a location to its q_lj and their common denominator; other locations are at v.
    """

    latent: Latent
    rows: Mapping[int, tuple[list[int], int]]

    def measurement(self, location: int, prototype: int) -> Ratio:
        """q_lj."""
        row, denominator = self.rows.get(
            location, (self.latent.measurement[location], self.latent.scale)
        )
        return row[prototype], denominator

    @cached_property
    def best(self) -> list[Ratio]:
        """Per prototype, the least q_lj over all locations."""
        latent = self.latent
        if not self.rows:
            return [(least, latent.scale) for least in latent.best]
        unmoved = [
            row for location, row in enumerate(latent.measurement) if location not in self.rows
        ]
        result = []
        for prototype in range(latent.head.prototype_count):
            candidates = [(row[prototype], den) for row, den in self.rows.values()]
            if unmoved:
                candidates.append((min(row[prototype] for row in unmoved), latent.scale))
            least = candidates[0]
            for candidate in candidates[1:]:
                if at_most(candidate, least):
                    least = candidate
            result.append(least)
        return result


def domain_ends(domain: FreeDomain | BoxDomain) -> tuple[Ratio | None, Ratio | None]:
    """Lower and upper end of every latent unit; None where there is none."""
    if isinstance(domain, FreeDomain):
        return None, None
    return hex_ratio(domain.lower), None if domain.upper is None else hex_ratio(domain.upper)


def outside_domain(
    numerators: list[int], denominator: int, domain: FreeDomain | BoxDomain
) -> int | None:
    """The first channel whose value numerator / denominator leaves the domain, or None."""
    lower, upper = domain_ends(domain)
    for channel, numerator in enumerate(numerators):
        value = numerator, denominator
        if lower is not None and not at_most(lower, value):
            return channel
        if upper is not None and not at_most(value, upper):
            return channel
    return None
