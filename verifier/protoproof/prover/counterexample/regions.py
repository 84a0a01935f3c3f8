"""Where locations may go without breaking facts, for measurements of every kind.

Keeping products with some prototypes leaves an affine space v + C C'(z - v); with a fixed norm
(angles, latents on a sphere) the sphere in it; keeping squared distances the sphere around the
kept prototypes' hull. A line back to v stays in every convex domain, so that points outside are
drawn back along it. Weighted distances are kept only by staying.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.latent.domain import Ball, Domain, Simplex, Sphere
from protoproof.prover.latent.instance import Instance
from protoproof.prover.relaxation.spans import Span

Point = Float[NDArray[np.float64], " channel"]

# How far inside a domain's ends the search stays, so that rounding to float32 stays inside too.
_INSET = 1e-6
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Region:
    """Where one location may go.

    ``keep``: prototypes that span what is kept; ``fixed`` [r, D] an orthonormal basis of the
    directions that must not be taken; ``round``: around ``centre`` with the distance of v.
    """

    home: Point
    keep: tuple[int, ...]
    fixed: Float[NDArray[np.float64], "direction channel"]
    round: bool
    centre: Point
    lower: Point
    upper: Point
    domain: Domain

    @classmethod
    def of(
        cls, instance: Instance, domain: Domain, location: int, keep: tuple[int, ...]
    ) -> Region | None:
        """The region of a location that keeps some measurements; None where it cannot move."""
        head, home = instance.head, instance.latent[location]
        if keep and head.geometry == "diagonal":
            return None
        points, origin = head.prototypes, np.zeros_like(home)
        sphere = isinstance(domain, Sphere) and not isinstance(domain, Ball)
        turned = head.geometry == "angular" or sphere
        if head.geometry == "euclidean" and keep:
            origin = points[keep[0]]
            span = Span.of(points - origin, keep[1:])
            members = (keep[0], *span.members)
        else:
            span = Span.of(points, keep)
            members = span.members
        around = bool(keep) and (turned or head.geometry == "euclidean")
        fixed = span.basis
        if isinstance(domain, Simplex):
            fixed = _with_sum(fixed)
        if len(fixed) >= len(home):
            return None
        centre = origin + (home - origin) @ span.basis.T @ span.basis
        box = domain.box(*instance.latent.shape)
        ends = np.full_like(home, -np.inf), np.full_like(home, np.inf)
        if box is not None:
            inset = _INSET if not isinstance(domain, Sphere | Simplex) else 0.0
            ends = (
                np.minimum(box[0][location] + inset, home),
                np.maximum(box[1][location] - inset, home),
            )
        return cls(home, members, fixed, around, centre, *ends, domain)

    def onto(self, points: Float[NDArray[np.float64], "*batch channel"]) -> NDArray[np.float64]:
        """Points of the region near some points."""
        away = points - self.home
        if len(self.fixed):
            away = away - away @ self.fixed.T @ self.fixed
        if self.round:
            return self._around(points)
        if not self.keep:
            return self._placed(self.home + away, points)
        return self._drawn_back(away)

    def _around(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        away = points - self.centre
        away = away - away @ self.fixed.T @ self.fixed
        length = np.linalg.norm(away, axis=-1, keepdims=True)
        radius = np.linalg.norm(self.home - self.centre)
        ends = self.centre + radius * away / np.maximum(length, _TINY)
        inside = ((ends >= self.lower) & (ends <= self.upper)).all(axis=-1, keepdims=True)
        good = inside & (length > _TINY)
        return np.where(good, ends, self.home)

    def _placed(
        self, moved: NDArray[np.float64], points: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Where nothing is kept: the domain's own nearest points, or nearly."""
        if isinstance(self.domain, Simplex):
            return self._on_simplex(points)
        if isinstance(self.domain, Sphere):
            length = np.maximum(np.linalg.norm(points, axis=-1, keepdims=True), _TINY)
            if isinstance(self.domain, Ball):
                return np.asarray(points / np.maximum(length, 1.0))
            return np.asarray(points / length)
        return np.clip(moved, self.lower, self.upper)

    def _on_simplex(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        ranked = -np.sort(-points, axis=-1)
        excess = (np.cumsum(ranked, axis=-1) - 1.0) / np.arange(1, points.shape[-1] + 1)
        count = (ranked > excess).sum(axis=-1)
        shift = np.take_along_axis(excess, count[..., None] - 1, axis=-1)
        return np.maximum(points - shift, 0.0)

    def _drawn_back(self, away: NDArray[np.float64]) -> NDArray[np.float64]:
        """v + s away with the largest s up to 1 that stays in the domain, which is convex."""
        with np.errstate(divide="ignore", invalid="ignore"):
            up = np.where(away > 0, (self.upper - self.home) / away, np.inf)
            down = np.where(away < 0, (self.lower - self.home) / away, np.inf)
        share = np.minimum(np.minimum(up, down).min(axis=-1, keepdims=True), 1.0)
        share = np.maximum(np.nan_to_num(share, nan=0.0), 0.0)
        if isinstance(self.domain, Ball):
            square = (away**2).sum(axis=-1, keepdims=True)
            inner = (away * self.home).sum(axis=-1, keepdims=True)
            room = max(1.0 - float(self.home @ self.home), 0.0)
            root = np.sqrt(np.maximum(inner**2 + square * room, 0.0))
            share = np.minimum(share, (root - inner) / np.maximum(square, _TINY))
        return np.asarray(self.home + np.maximum(share, 0.0) * (1 - _INSET) * away)


def _with_sum(fixed: NDArray[np.float64]) -> NDArray[np.float64]:
    """The directions, and that in which the sum changes."""
    channels = fixed.shape[1]
    ones = np.full(channels, 1.0 / np.sqrt(channels))
    rest = ones - ones @ fixed.T @ fixed
    length = float(np.linalg.norm(rest))
    return np.vstack([fixed, rest / length]) if length > 1e-9 else fixed
