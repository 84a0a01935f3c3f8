"""Where a refutation starts: one location moved to the most promising point near a prototype."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.counterexample.ascent import Descent
from protoproof.prover.counterexample.constraints import Demands
from protoproof.prover.counterexample.feasible_set import Spheres
from protoproof.prover.counterexample.moves import CLEAR
from protoproof.prover.latent.instance import Instance

Latent = Float[NDArray[np.float64], "location channel"]

# Starts per set of facts.
STARTS = 8
# Limits on distances are respected with this share to spare where a start is chosen.
SPARE = 1e-4


class Starts:
    """The starting points of one instance, against the rivals whose margins are given."""

    def __init__(
        self,
        instance: Instance,
        descent: Descent,
        weights: Float[NDArray[np.float64], "rival prototype"],
        offset: Float[NDArray[np.float64], " rival"],
    ) -> None:
        self._instance, self._descent = instance, descent
        self._weights, self._offset = weights, offset
        measured = instance.similarity(instance.measurement)
        ranked = np.sort(np.vstack([np.full_like(measured[:1], -np.inf), measured]), axis=0)
        first, second = ranked[-1], ranked[-2]
        # the largest similarity at all other locations, per location
        self._others = np.where(measured == first, second, first)

    def of(
        self, demands: Demands, spheres: Spheres, sites: NDArray[np.intp]
    ) -> list[tuple[int, Latent]]:
        """The best points nearest to some prototype, one location moved: (rival's row, latent)."""
        instance = self._instance
        scored: list[tuple[bool, float, int, int, NDArray[np.float64]]] = []
        aims = instance.head.prototypes
        for location in range(len(instance.latent)):
            keep = demands.kept[location]
            if len(keep) > instance.head.channels:
                continue
            sphere = spheres.take(sites[location : location + 1])
            limit = demands.limit[location]
            targets = [aims, self._lifted(limit)] if limit.any() else [aims]
            points = sphere.onto(np.vstack(targets))
            measured = self._descent.squared_distances(points)
            similar = instance.similarity(measured)
            allowed = instance.similarity(np.maximum(limit, 0.0))
            excess = np.where(limit > 0, np.maximum(similar - allowed, 0.0), 0.0).sum(axis=1)
            margins = np.maximum(similar, self._others[location]) @ self._weights.T + self._offset
            scores = margins + 4.0 * np.abs(self._weights).max() * excess[:, None]
            good = (measured >= limit * (1 + SPARE / 2)).all(axis=1) & sphere.inside(points)
            admitted = np.where(good[:, None], margins, np.inf)
            for row in range(len(self._weights)):
                for table in (admitted, scores):
                    best = int(np.argmin(table[:, row]))
                    loses = bool(admitted[best, row] < -CLEAR)
                    scored.append((not loses, float(table[best, row]), row, location, points[best]))
        scored.sort(key=lambda item: item[:4])
        result = []
        for _, _, row, location, point in scored[:STARTS]:
            latent = instance.latent.copy()
            latent[location] = point
            result.append((row, latent))
        return result

    @cached_property
    def _aside(self) -> NDArray[np.float64]:
        """The direction in which the prototypes differ least (not at all, where channels abound).

        Going there adds about the same to every squared distance.
        """
        points = self._instance.head.prototypes
        centred = points - points.mean(axis=0)
        if len(points) < points.shape[1]:
            centred = np.vstack(
                [centred, np.zeros((points.shape[1] - len(points), len(centred[0])))]
            )
        return np.asarray(np.linalg.svd(centred, full_matrices=False)[2][-1])

    @cached_property
    def _apart(self) -> NDArray[np.float64]:
        """Squared distances between prototypes."""
        return self._descent.squared_distances(self._instance.head.prototypes)

    def _lifted(self, limit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Above every prototype, as far aside as the limits of all others ask."""
        prototypes = self._instance.head.prototypes
        missing = np.maximum(limit * (1 + SPARE) - self._apart, 0.0).max(axis=1)
        return np.asarray(prototypes + np.sqrt(missing)[:, None] * self._aside)
