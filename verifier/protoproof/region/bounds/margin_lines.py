"""Margins over boxes of latents as linear forms of the latent, with choices that can be optimised.

Supporting prototypes (of positive weight in a margin) enter by a tangent of their similarity at a
measurement that is free to choose, opposing ones by the chord over the interval of theirs, as in
``prover.relaxation.forms``. That makes a margin, location by location, A |z|^2 + <b, z> plus a
constant. Per channel this is below its tangent at any point where A >= 0 (free again), and above
the chord over the box where A < 0. So <c, z> plus a constant bounds the margin from below.

Differentiable in what is free; torch float64, to nearest. The checker proves the same margin from
the same tangents, chords and c, by numbers of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from protoproof.prover.latent.instance import Instance

_OPEN = 1e-12  # narrower intervals of measurements are constants


@dataclass(frozen=True, eq=False)
class Free:
    """``tangent`` [row, P], as measurements, and ``point`` [row, L, D] of the latent."""

    tangent: Tensor
    point: Tensor


class MarginLines:
    """The margins over rivals, one row each, over a box of latents that each row has.

    Args:
        instance: the centre's.
        rivals: indices of its margin rows, one per row.
        low, high: ends of the latents, [row, L, D].
    """

    def __init__(self, instance: Instance, rivals: list[int], low: Tensor, high: Tensor) -> None:
        self.head, self.low, self.high = instance.head, low, high
        self.prototypes = torch.from_numpy(np.array(self.head.prototypes))
        self.weight = torch.from_numpy(np.array(instance.margin_weights[rivals]))
        self.offset = torch.from_numpy(np.array(instance.margin_offset[rivals]))
        below, above = _measured(low, high, self.prototypes)
        seen = np.argmin(instance.measurement, axis=0)
        self.support = torch.from_numpy(seen).expand(len(low), -1)
        self.oppose = below.argmin(1)
        place = torch.where(self.weight > 0, self.support, self.oppose)
        self.least, self.most = (ends.gather(1, place[:, None])[:, 0] for ends in (below, above))
        others = below.scatter(1, self.oppose[:, None], torch.inf).amin(1)
        self.place = place
        self._lines(below, above, others)

    def _lines(self, below: Tensor, above: Tensor, others: Tensor) -> None:
        """What no choice changes: which prototypes are linear, chords, constants of the others."""
        value = self.head.chain.value
        known = self.most > self.least + _OPEN
        if not self.head.chain.convex.all():
            index = np.arange(len(self.prototypes))
            convex = self.head.chain.convex_between(self.least.numpy(), self.most.numpy(), index)
            known &= torch.from_numpy(np.array(convex))
        self.supporting, self.opposing = (self.weight > 0) & known, (self.weight < 0) & known
        elsewhere = value(torch.where(others.isinf(), self.most, others))
        at_least, at_most = (value(ends) for ends in (self.least, self.most))
        if below.shape[1] > 1:
            at_least, at_most = (torch.maximum(v, elsewhere) for v in (at_least, at_most))
        width = torch.where(known, self.most - self.least, 1.0)
        self.chord = torch.where(self.opposing, (at_most - at_least) / width, 0.0)
        self.at_least = at_least
        ends = value(torch.where(self.weight > 0, above.amin(1), below.amin(1)))
        fixed = ~(self.supporting | self.opposing) & (self.weight != 0)
        self.constant = self.offset + torch.where(fixed, self.weight * ends, 0.0).sum(1)

    def start(self, latent: Tensor) -> Free:
        """Choices at a latent [L, D]."""
        point = latent.expand(len(self.low), -1, -1).clone()
        return Free(self.measurement(point), point)

    def measurement(self, point: Tensor) -> Tensor:
        """Of every prototype at its place, [row, P]."""
        apart = torch.cdist(point, self.prototypes.expand(len(point), -1, -1)).square()
        return apart.gather(1, self.place[:, None])[:, 0]

    def tangents(self, free: Free) -> Tensor:
        """Where tangents touch: inside the intervals."""
        return torch.maximum(torch.minimum(free.tangent, self.most), self.least)

    def forms(self, free: Free) -> tuple[Tensor, Tensor]:
        """c [row, L, D] and constants [row]: <c, z> + constant is at most the margin."""
        at = self.tangents(free)
        slope = torch.where(self.supporting, self.head.chain.derivative(at), self.chord)
        from_tangent = self.head.chain.value(at) - slope * at
        from_chord = self.at_least - self.chord * self.least
        fixed = torch.where(self.supporting, from_tangent, from_chord)
        linear = self.supporting | self.opposing
        factor = torch.where(linear, self.weight * slope, 0.0)
        constant = self.constant + torch.where(linear, self.weight * fixed, 0.0).sum(1)
        constant = constant + factor @ self.prototypes.square().sum(1)
        spread = torch.zeros(len(at), self.low.shape[1], at.shape[1], dtype=at.dtype)
        spread = spread.scatter(1, self.place[:, None], factor[:, None])
        leading = spread.sum(2, keepdim=True)
        slopes = -2.0 * spread @ self.prototypes
        point = torch.maximum(torch.minimum(free.point, self.high), self.low)
        rising = leading >= 0
        slopes = slopes + torch.where(rising, 2.0 * point, self.low + self.high) * leading
        away = torch.where(rising, point.square(), self.low * self.high)
        return slopes, constant - (leading * away).sum((1, 2))

    def margins(self, latent: Tensor) -> Tensor:
        """The margins at latents [row, L, D]."""
        apart = torch.cdist(latent, self.prototypes.expand(len(latent), -1, -1)).square()
        activation = self.head.chain.value(apart.amin(1))
        return (self.weight * activation).sum(1) + self.offset

    def gaps(self, free: Free, latent: Tensor) -> Tensor:
        """How far the forms are below the margins at latents [row, L, D], shared out among the
        channels: by how much of a measurement's interval, or of the square's, each makes up."""
        at, seen = self.tangents(free), self.measurement(latent)
        value, slope = self.head.chain.value, self.head.chain.derivative(at)
        tangent = self.weight * (value(seen) - value(at) - slope * (seen - at))
        chord = -self.weight * (self.at_least + self.chord * (seen - self.least) - value(seen))
        gap = torch.where(self.supporting, tangent, torch.where(self.opposing, chord, 0.0))
        shares = torch.zeros_like(latent)
        rows = torch.arange(len(latent))
        for j, point in enumerate(self.prototypes):
            place = self.place[:, j]
            low, high = self.low[rows, place] - point, self.high[rows, place] - point
            least = low.clamp(min=0.0) + (-high).clamp(min=0.0)
            spread = torch.maximum(low.abs(), high.abs()).square() - least.square()
            part = spread / spread.sum(1, keepdim=True).clamp(min=1e-300)
            shares[rows, place] += gap[:, j, None].clamp(min=0.0) * part
        return shares


def _measured(low: Tensor, high: Tensor, prototypes: Tensor) -> tuple[Tensor, Tensor]:
    """Ends of every squared distance over boxes, [row, L, P]."""
    least, most = [], []
    for point in prototypes:
        below, above = low - point, point - high
        gap = below.clamp(min=0.0) + above.clamp(min=0.0)
        least.append(gap.square().sum(2))
        most.append(torch.maximum(below.abs(), above.abs()).square().sum(2))
    return torch.stack(least, 2), torch.stack(most, 2)
