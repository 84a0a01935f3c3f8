"""The least value of a linear function on a part of a sphere that half-spaces cut out.

See ``alternation`` for what the spheres and half-spaces are, and for the method.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

Units = Float[NDArray[np.float64], "problem channel"]
Table = Float[NDArray[np.float64], "problem column"]
Indices = Int[NDArray[np.intp], " problem"]

# Limits that hold with equality at a time; changes of the active set.
_ACTIVE, _CHANGES = 10, 14
TINY = 1e-12


@dataclass(frozen=True)
class Places:
    """B locations on spheres of their own: ``centre`` [B, D], ``radius`` [B], ``unit`` [B, D].

    ``basis`` [B, M, D]: directions that must not be taken. ``limit`` [B, C] (0: none); ``weights``
    [B, W] of the margins; ``others`` [B, W] the largest similarity elsewhere, ``most`` [B, W] the
    largest that limits allow.
    """

    centre: Units
    radius: Float[NDArray[np.float64], " problem"]
    basis: Float[NDArray[np.float64], "problem direction channel"]
    unit: Units
    limit: Table
    weights: Table
    others: Table
    most: Table

    def points(self, unit: Units) -> Units:
        """Where the unit vectors lead."""
        return np.asarray(self.centre + self.radius[:, None] * unit)

    def take(self, which: Indices) -> Places:
        """Some of them."""
        return Places(*(getattr(self, name)[which] for name in Places.__dataclass_fields__))

    def across(self, directions: Units) -> Units:
        """Without the directions that must not be taken."""
        along = self.basis @ directions[..., None]
        return np.asarray(directions - (np.swapaxes(along, -1, -2) @ self.basis)[..., 0, :])


def least_on(places: Places, slope: Units, prototypes: Units, norms: NDArray[np.float64]) -> Units:
    """Unit vectors that make <slope, e> least where the limits allow it, by active sets."""
    count = len(slope)
    radius = np.maximum(places.radius, TINY)
    apart = squared_distances(places.centre, prototypes, norms)
    # <c - p_k, e> >= bound_k
    bound = (places.limit - apart - radius[:, None] ** 2) / (2.0 * radius[:, None])
    bound = np.where(places.limit > 0, bound, -np.inf)
    chosen = np.full((count, _ACTIVE), -1)
    unit = -unit_of(slope)
    live = np.arange(count)
    for _ in range(_CHANGES):
        inner = (places.centre[live] * unit[live]).sum(axis=1)[:, None] - unit[live] @ prototypes.T
        short = bound[live] - inner
        worst = short.argmax(axis=1)
        active = chosen[live]
        add = short[np.arange(len(live)), worst] > 1e-7
        add &= (active < 0).any(axis=1) & ~(active == worst[:, None]).any(axis=1)
        if not add.any():
            break
        live, active, worst = live[add], active[add], worst[add]  # what holds all limits is done
        active[np.arange(len(live)), (active < 0).argmax(axis=1)] = worst
        unit[live], chosen[live] = _equal(
            places.centre[live], places.basis[live], slope[live], bound[live], active, prototypes
        )
    return unit


def _equal(
    centre: Units,
    basis: Float[NDArray[np.float64], "problem direction channel"],
    slope: Units,
    bound: Table,
    chosen: NDArray[np.intp],
    prototypes: Units,
) -> tuple[Units, NDArray[np.intp]]:
    """The least value with equality in the chosen limits, less those that do not hold it up."""
    rows = np.arange(len(slope))
    for _ in range(_ACTIVE):
        most = int((chosen >= 0).sum(axis=1).max(initial=1))
        order = np.argsort(chosen < 0, axis=1, kind="stable")[:, :most]
        some = chosen[rows[:, None], order]
        used = some >= 0
        named = np.where(used, some, 0)
        normals = centre[:, None, :] - prototypes[named]
        if basis.shape[1]:
            normals = normals - (normals @ np.swapaxes(basis, 1, 2)) @ basis
        normals = np.where(used[..., None], normals, 0.0)
        square = normals @ np.swapaxes(normals, 1, 2)
        diagonal = np.einsum("bkk->bk", square)
        size = diagonal.max(axis=1, initial=TINY)[:, None]
        diagonal += np.where(used, 1e-10 * size, 1.0)
        right = np.where(used, bound[rows[:, None], named], 0.0)
        product = (normals @ slope[..., None])[..., 0]
        solved = np.linalg.solve(square, np.stack([right, product], axis=2))
        both = np.swapaxes(solved, 1, 2) @ normals
        foot, free = both[:, 0], slope - both[:, 1]
        length = np.maximum(np.linalg.norm(free, axis=1), TINY)
        rest = np.sqrt(np.maximum(1.0 - (foot**2).sum(axis=1), TINY))
        multiplier = solved[..., 1] + (length / rest)[:, None] * solved[..., 0]
        multiplier = np.where(used, multiplier, np.inf)
        least = multiplier.argmin(axis=1)
        wrong = multiplier[rows, least] < -1e-12
        if not wrong.any():
            break
        chosen[rows[wrong], order[rows[wrong], least[wrong]]] = -1
    unit = foot - (rest / length)[:, None] * free
    return unit_of(unit), chosen


def squared_distances(points: Units, prototypes: Units, norms: NDArray[np.float64]) -> Table:
    """Squared distances of points to prototypes with these squared norms."""
    found = points @ (-2.0 * prototypes.T)
    found += (points**2).sum(axis=-1)[..., None]
    found += norms
    return np.maximum(found, 0.0, out=found)


def unit_of(vectors: Units) -> Units:
    """Vectors of length one; 0 stays 0."""
    length = np.sqrt((vectors**2).sum(axis=-1, keepdims=True))
    return np.asarray(vectors / np.maximum(length, TINY))
