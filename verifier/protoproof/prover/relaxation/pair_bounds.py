"""What pair facts at one location say about every other squared distance there.

Theory, section 3: with A the affine hull of the prototypes that have a fact, pi the projection on
A, r the distance of the latent from A and beta_j = p_j - pi p_j,

    q_j in [ |pi p_j - pi v|^2 + (|beta_j| - r)^2 , |pi p_j - pi v|^2 + (|beta_j| + r)^2 ].

Everything is computed from squared distances alone (an incremental Cholesky factorisation of the
Gram matrix), so the cost of adding a fact does not depend on the number of channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.prover.latent.gram import (
    Gram,
    Vector,
)

Bounds = Float[NDArray[np.float64], "candidate prototype"]


# Below this share of its length a direction counts as already spanned: adding it would only
# amplify rounding. Leaving a direction out loosens the interval, which is always sound.
_RANK_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Hull:
    """The affine hull of some prototypes, seen from one latent.

    ``coordinates`` are those of all prototypes along an orthonormal basis of the hull with
    ``base`` as origin, ``[P, dim]``; ``centre`` those of the latent, ``[dim]``.
    ``off_plane[j]`` = |beta_j|^2, ``radius`` = r^2 (both squared L2).
    ``spanning`` are the prototypes that gave the basis, in order.
    """

    base: int
    spanning: tuple[int, ...]
    coordinates: Float[NDArray[np.float64], "prototype dim"]
    centre: Float[NDArray[np.float64], " dim"]
    off_plane: Vector
    radius: float

    @classmethod
    def of(cls, gram: Gram, measurement: Vector, facts: Sequence[int]) -> Hull:
        """Hull of ``facts`` (at least one), for a latent with squared distances ``measurement``."""
        base = facts[0]
        # one row per direction, so that each pass over the prototypes reads memory in order
        rows = np.empty((len(facts) - 1, len(gram)))
        centre = np.empty(len(rows))
        off_plane, radius = gram[base].copy(), float(measurement[base])
        spanning = [base]
        for prototype in facts[1:]:
            dim = len(spanning) - 1
            found = _direction(
                gram, measurement, base, rows[:dim].T, centre[:dim], off_plane, prototype
            )
            if found is None:
                continue
            rows[dim], centre[dim] = found
            off_plane = np.maximum(off_plane - rows[dim] ** 2, 0.0)
            radius = max(radius - float(centre[dim]) ** 2, 0.0)
            spanning.append(prototype)
        dim = len(spanning) - 1
        return cls(base, tuple(spanning), rows[:dim].T, centre[:dim], off_plane, radius)

    def adding(self, gram: Gram, measurement: Vector, prototype: int) -> Hull:
        """The hull with one more prototype; unchanged where the hull already contains it."""
        found = _direction(
            gram,
            measurement,
            self.base,
            self.coordinates,
            self.centre,
            self.off_plane,
            prototype,
        )
        if found is None:
            return self
        new, new_centre = found
        return Hull(
            self.base,
            (*self.spanning, prototype),
            np.vstack([self.coordinates.T, new]).T,
            np.append(self.centre, new_centre),
            np.maximum(self.off_plane - new**2, 0.0),
            max(self.radius - new_centre**2, 0.0),
        )

    def bounds(self) -> tuple[Vector, Vector]:
        """Lower and upper bounds of every q_j at this location."""
        in_plane = ((self.coordinates - self.centre) ** 2).sum(axis=1)
        beta = np.sqrt(self.off_plane)
        r = np.sqrt(self.radius)
        return in_plane + (beta - r) ** 2, in_plane + (beta + r) ** 2

    def bounds_with_each(
        self,
        gram: Gram,
        measurement: Vector,
        candidates: Int[NDArray[np.intp], " candidate"],
        columns: Int[NDArray[np.intp], " column"],
    ) -> tuple[Bounds, Bounds]:
        """:meth:`bounds` [candidate, column] of some measurements, of the hull with one more
        prototype, for each of several candidates.

        One step of the factorisation for all candidates at once; a candidate that the hull already
        contains changes nothing.
        """
        residual = self.off_plane[candidates]
        new = residual > _RANK_TOLERANCE * np.maximum(gram[self.base, candidates], 1e-30)
        scale = np.sqrt(np.where(new, residual, 1.0))
        own = self.coordinates[candidates]
        to_base = gram[self.base, candidates]
        across = gram[np.ix_(candidates, columns)]
        inner = 0.5 * (gram[self.base, columns] + to_base[:, None] - across)
        along = 0.5 * (measurement[self.base] + to_base - measurement[candidates])
        coordinates = self.coordinates[columns]
        row = (inner - own @ coordinates.T) / scale[:, None]
        row = np.where(new[:, None], row, 0.0)
        centre = np.where(new, (along - own @ self.centre) / scale, 0.0)
        beta = np.sqrt(np.maximum(self.off_plane[columns] - row**2, 0.0))
        r = np.sqrt(np.maximum(self.radius - centre**2, 0.0))[:, None]
        in_plane = ((coordinates - self.centre) ** 2).sum(axis=1)
        in_plane = in_plane + (row - centre[:, None]) ** 2
        return in_plane + (beta - r) ** 2, in_plane + (beta + r) ** 2

    def bounds_without_each(self) -> tuple[Bounds, Bounds]:
        """:meth:`bounds` of the hull without each of its two or more spanning prototypes.

        The others span a hyperplane of the hull. How far a point is from it, and on which side, is
        its affine coordinate of the prototype left out, which grows by 1 over the prototype's own
        distance: that much of it is in the plane no longer, but off it.
        """
        inverse = np.linalg.inv(self.coordinates[list(self.spanning[1:])])
        slopes = np.column_stack([-inverse.sum(axis=1), inverse])
        steep = np.sqrt((slopes**2).sum(axis=0))[:, None]
        first = np.zeros_like(steep)
        first[0] = 1.0  # the base has all of the affine coordinate of itself
        along = (slopes.T @ self.coordinates.T + first) / steep
        own = ((slopes.T @ self.centre)[:, None] + first) / steep
        in_plane = ((self.coordinates - self.centre) ** 2).sum(axis=1)
        in_plane = np.maximum(in_plane - (along - own) ** 2, 0.0)
        beta, r = np.sqrt(self.off_plane + along**2), np.sqrt(self.radius + own**2)
        return in_plane + (beta - r) ** 2, in_plane + (beta + r) ** 2

    def off(
        self, prototypes: Float[NDArray[np.float64], "prototype channel"]
    ) -> Float[NDArray[np.float64], "prototype channel"]:
        """beta_j = p_j - pi p_j for every prototype."""
        across = prototypes - prototypes[self.base] - self.coordinates @ self._basis(prototypes)
        return np.asarray(across)

    def _basis(
        self, prototypes: Float[NDArray[np.float64], "prototype channel"]
    ) -> Float[NDArray[np.float64], "dim channel"]:
        """The orthonormal basis that the coordinates refer to."""
        base, span = prototypes[self.base], self.spanning[1:]
        # forward substitution, a row at a time: a threaded solver costs more than these few rows
        basis = np.empty((len(span), len(base)))
        for row, prototype in enumerate(span):
            own = self.coordinates[prototype]
            along = prototypes[prototype] - base - own[:row] @ basis[:row]
            basis[row] = along / own[row]
        return basis

    def sphere(
        self,
        prototypes: Float[NDArray[np.float64], "prototype channel"],
        latent: Float[NDArray[np.float64], " channel"],
    ) -> tuple[
        Vector,
        Float[NDArray[np.float64], "prototype channel"],
        Float[NDArray[np.float64], " channel"],
    ]:
        """The sphere of latents that keep the facts, as q_j = alpha_j - <steep_j, u>, |u| = 1.

        Returns alpha (squared L2) and steep = 2 r beta_j for every prototype, and the unit
        vector u of the latent itself (zero where the facts leave it no freedom).
        """
        basis = self._basis(prototypes)
        off = prototypes - prototypes[self.base] - self.coordinates @ basis
        direction = latent - prototypes[self.base] - self.centre @ basis
        length = float(np.linalg.norm(direction))
        in_plane = ((self.coordinates - self.centre) ** 2).sum(axis=1)
        alpha = in_plane + (off**2).sum(axis=1) + self.radius
        unit = direction / length if length > 0 else np.zeros_like(direction)
        return alpha, 2.0 * np.sqrt(self.radius) * off, unit

    def affine(self) -> tuple[Float[NDArray[np.float64], "prototype fact"], Vector]:
        """Affine coordinates (each row sums to 1) of pi p_j and of pi v in the spanning points."""
        triangle = self.coordinates[list(self.spanning[1:])]  # lower triangular, one row per point
        rows = np.vstack([self.coordinates, self.centre])
        weights = np.linalg.solve(triangle.T, rows.T).T if len(triangle) else rows
        full = np.column_stack([1.0 - weights.sum(axis=1), weights])
        return full[:-1], full[-1]


def _direction(
    gram: Gram,
    measurement: Vector,
    base: int,
    coordinates: Float[NDArray[np.float64], "prototype dim"],
    centre: Float[NDArray[np.float64], " dim"],
    off_plane: Vector,
    prototype: int,
) -> tuple[Vector, float] | None:
    """Coordinates of all prototypes and of the latent along the direction that a fact adds.

    None where the hull already contains the prototype. One step of a Cholesky factorisation.
    """
    residual = off_plane[prototype]
    if residual <= _RANK_TOLERANCE * max(gram[base, prototype], 1e-30):
        return None
    scale = np.sqrt(residual)
    # inner products with the new point, relative to the base, from squared distances
    inner = 0.5 * (gram[base] + gram[base, prototype] - gram[prototype])
    along = 0.5 * (measurement[base] + gram[base, prototype] - measurement[prototype])
    own = coordinates[prototype]
    return (inner - coordinates @ own) / scale, float((along - centre @ own) / scale)
