"""Where one location may go without any of its kept squared distances changing.

Keeping the distances to some prototypes leaves a sphere: with Q an orthonormal basis of the
directions between them, c the projection of v on their affine hull and r = |v - c|, it is
{ c + r u : |u| = 1, Q u = 0 }. Keeping none leaves the whole space. Everything here is float64 and
batched: the search may stray by rounding, because what it finds is rebuilt exactly afterwards.
Spheres are made in numpy; projections run wherever an engine puts them (``network.arrays``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.backend import Array, Engine, namespace
from protoproof.errors import InternalError
from protoproof.prover.latent.domain import Domain

Points = Float[NDArray[np.float64], "*batch channel"]

# A direction whose new part is below this share of its length counts as already spanned.
_RANK_TOLERANCE = 1e-7
# How far inside a box the search stays, so that rounding a direction to float32 stays inside too.
_INSET = 1e-6
# Alternating projections between sphere and box per step.
_ALTERNATIONS = 3


@dataclass(frozen=True)
class Spheres:
    """A batch of spheres (see above); ``radius`` is infinite where nothing is kept.

    ``home`` [..., D] are the latents themselves, which lie on their spheres; ``centre`` [..., D];
    ``basis`` [..., M, D], padded with zero rows; ``radius`` [...]; ``box`` [..., D] the ends that
    every coordinate has to respect.
    """

    home: Points
    centre: Points
    basis: Float[NDArray[np.float64], "*batch direction channel"]
    radius: Float[NDArray[np.float64], "*batch"]
    box: tuple[Points, Points] | None

    @classmethod
    def around(
        cls,
        prototypes: Float[NDArray[np.float64], "prototype channel"],
        latents: Float[NDArray[np.float64], "site channel"],
        kept: Sequence[Sequence[int]],
        domain: Domain,
        places: Sequence[int] | None = None,
        locations: int | None = None,
    ) -> Spheres:
        """The spheres of several sites: a latent each, with the prototypes that it keeps.

        ``places`` are the sites' locations, of ``locations`` in all; by default all, in order.
        """
        frames = [_frame(prototypes[list(keep)]) for keep in kept]
        most = max([len(frame) for frame in frames], default=0)
        basis = np.zeros((len(kept), most, latents.shape[1]))
        centre = latents.copy()
        radius = np.full(len(kept), np.inf)
        for site, (frame, keep) in enumerate(zip(frames, kept, strict=True)):
            if not keep:
                continue
            basis[site, : len(frame)] = frame
            base = prototypes[keep[0]]
            centre[site] = base + frame.T @ (frame @ (latents[site] - base))
            radius[site] = np.linalg.norm(latents[site] - centre[site])
        places = range(len(kept)) if places is None else places
        box = domain.box(len(kept) if locations is None else locations, latents.shape[1])
        if box is not None and places is not None:
            box = box[0][list(places)], box[1][list(places)]
        return cls(latents, centre, basis, radius, box)

    def on(self, engine: Engine) -> Spheres:
        """The same spheres where an engine computes."""
        box = None if self.box is None else (engine.put(self.box[0]), engine.put(self.box[1]))
        put = engine.put
        return Spheres(put(self.home), put(self.centre), put(self.basis), put(self.radius), box)

    def take(self, sites: Int[NDArray[np.intp], "..."]) -> Spheres:
        """The spheres at some indices, in the shape of the indices."""
        box = None if self.box is None else (self.box[0][sites], self.box[1][sites])
        return Spheres(
            self.home[sites], self.centre[sites], self.basis[sites], self.radius[sites], box
        )

    def onto(self, points: Points) -> Points:
        """The nearest points of the spheres; in a box, near points of both."""
        points = self._round(points)
        if self.box is not None:
            xp = namespace(points)
            low, high = self._ends(_INSET)
            for _ in range(_ALTERNATIONS):
                points = self._round(xp.minimum(xp.maximum(points, low), high))
        return points

    def polished(self, points: Points) -> Points:
        """As ``onto``, trying harder to end inside the box."""
        for _ in range(8 if self.box is not None else 1):
            points = self.onto(points)
        return points

    def inside(self, points: Points) -> NDArray[np.bool_]:
        """Which points respect the box, with half the inset to spare for rounding."""
        xp = namespace(points)
        if self.box is None:
            return xp.ones_like(points[..., 0], dtype=xp.bool)  # type: ignore[no-any-return]
        low, high = self._ends(_INSET / 2)
        return xp.all((points >= low) & (points <= high), axis=-1)  # type: ignore[no-any-return]

    def _ends(self, inset: float) -> tuple[Array, Array]:
        """The box, made smaller by ``inset`` but where that would exclude the latent itself."""
        if self.box is None:
            raise InternalError("no box to stay in")
        lower, upper = self.box
        xp = namespace(lower)
        return xp.minimum(lower + inset, self.home), xp.maximum(upper - inset, self.home)

    def across(self, directions: Points) -> Points:
        """The parts of some directions that are orthogonal to the kept prototypes' hull."""
        if not self.basis.shape[-2]:
            return directions
        if len(self.basis) == 1 and self.basis.ndim == 3 and directions.ndim == 2:
            basis = self.basis[0]  # one for all: a product of matrices
            result: Points = directions - directions @ basis.mT @ basis
        else:
            along = self.basis @ directions[..., None]
            result = directions - (along.mT @ self.basis)[..., 0, :]
        return result

    def _round(self, points: Points) -> Points:
        xp = namespace(points)
        free = xp.isinf(self.radius)
        radius = xp.where(free, 0.0, self.radius)
        straight = points - self.centre
        away = self.across(straight)
        length = xp.sqrt(xp.sum(away**2, axis=-1))
        # a point of the kept prototypes' hull has no nearest point on the sphere, and what rounding
        # leaves of it points nowhere: it goes home
        lost = length <= _RANK_TOLERANCE * xp.sqrt(xp.sum(straight**2, axis=-1))
        scale = radius / xp.where(lost, 1.0, length)
        ends = self.centre + scale[..., None] * away
        ends = xp.where(lost[..., None], self.home, ends)
        return xp.where(free[..., None], points, ends)  # type: ignore[no-any-return]


def _frame(points: Float[NDArray[np.float64], "point channel"]) -> Points:
    """An orthonormal basis of the directions between some points, ``[dim, D]``."""
    return _orthonormal(points)[1]


def independent(points: Float[NDArray[np.float64], "point channel"]) -> list[int]:
    """Indices of points that span the same affine hull, none of them redundant."""
    return _orthonormal(points)[0]


def _orthonormal(points: Float[NDArray[np.float64], "point channel"]) -> tuple[list[int], Points]:
    chosen = [0] if len(points) else []
    rows = np.empty((len(points), points.shape[1]))
    for index in range(1, len(points)):
        rest = difference = points[index] - points[0]
        basis = rows[: len(chosen) - 1]
        for _ in range(2):  # twice is enough for orthogonality to working precision
            rest = rest - (basis @ rest) @ basis
        length = float(np.sqrt(rest @ rest))
        if length > _RANK_TOLERANCE * max(float(np.sqrt(difference @ difference)), 1e-30):
            rows[len(chosen) - 1] = rest / length
            chosen.append(index)
    return chosen, rows[: max(len(chosen) - 1, 0)]
