"""The worst latents that meet all facts of a set: what every search for a witness starts from."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.prover.counterexample.ascent import Descent, Task
from protoproof.prover.counterexample.candidates import Layout, Site
from protoproof.prover.counterexample.constraints import Demands
from protoproof.prover.counterexample.released import Released
from protoproof.prover.latent.domain import Domain

Latent = Float[NDArray[np.float64], "location channel"]


class Base:
    """Per rival (a row of ``weights`` and ``offset``), a latent that comes close to losing."""

    def __init__(
        self,
        released: Released,
        descent: Descent,
        domain: Domain,
        weights: Float[NDArray[np.float64], "rival prototype"],
        offset: Float[NDArray[np.float64], " rival"],
        steps: int,
    ) -> None:
        self._released, self._domain, self._steps = released, domain, steps
        self.descent, self.weights, self.offset = descent, weights, offset
        self.instance = released.instance
        self.locations = len(self.instance.latent)

    @property
    def about_activations(self) -> bool:
        """Whether places can be laid out: on a grid, with other facts than pairs."""
        return self.locations > 1 and len(self._released.facts.pairs) < len(self._released.facts)

    @cached_property
    def layout(self) -> Layout:
        """The stock of points for every site."""
        sites = [
            Site(location, demands, self._released.site(demands, location))
            for demands in (self._released.demands, *self._released.relaxed.values())
            for location in range(self.locations)
        ]
        return Layout(
            self.descent, self._domain, self._released.spheres, sites, self.weights, self.offset
        )

    @cached_property
    def latents(self) -> Float[NDArray[np.float64], "rival location channel"]:
        """Per rival, a latent that meets all facts and comes close to losing."""
        count = len(self.weights)
        if self.locations == 1:
            return np.tile(self.instance.latent, (count, 1, 1))
        if self.about_activations:
            laid = self.layout.latents(self._released.demands, range(count))
            return np.stack([latent for latent, _ in laid])
        spheres = self._released.spheres.take(np.arange(self.locations))
        start = [self._released.demands.spread(weights) for weights in self.weights]
        start += [self._released.demands.nearest(weights, spheres) for weights in self.weights]
        points, margin = self.joint(
            [self._released.demands] * 2 * count,
            np.tile(np.arange(count), 2),
            np.stack(start),
            self._steps,
        )
        chosen = np.argmin(margin.reshape(2, count), axis=0) * count + np.arange(count)
        known = np.isfinite(margin[chosen])
        return np.where(known[:, None, None], points[chosen], self.instance.latent)

    @cached_property
    def others(self) -> Float[NDArray[np.float64], "rival location prototype"]:
        """Per rival and location, the largest similarity at all *other* locations of the base."""
        similar = self.instance.similarity(self.descent.squared_distances(self.latents))
        if self.locations == 1:
            return np.full_like(similar, -np.inf)
        ranked = np.partition(similar, self.locations - 2, axis=1)
        first, second = ranked[:, -1:], ranked[:, -2:-1]
        return np.where(similar == first, second, first)

    def joint(
        self,
        demands: list[Demands],
        rows: Int[NDArray[np.intp], " start"],
        start: Latent,
        steps: int,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Descent of all locations together: where it leads, and the margins there."""
        locations = range(self.locations)
        sites = np.array(
            [[self._released.site(some, location) for location in locations] for some in demands]
        )
        limits = [some.limit for some in demands]
        task = Task(self._released.spheres, sites, self.weights, self.offset, rows, limits)
        return self.descent.solve(task, start, steps)
