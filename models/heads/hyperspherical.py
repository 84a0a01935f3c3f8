"""Hyperspherical prototypes (Mettes et al., NeurIPS 2019): fixed class directions, spread evenly.

The prototypes (polars) are chosen before training so that the largest cosine between two of them is
as small as possible, and never learn; the encoder learns to point at the polar of the class.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.heads.base import Head, owners, products

STEPS = 2000


class HypersphericalHead(Head):
    """logits = z/|z| . polar; one location."""

    moves = False

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(owners(classes, 1))
        self.polars = nn.Parameter(spread(classes, channels), requires_grad=False)

    def banks(self, latent: Tensor) -> tuple[tuple[Tensor, nn.Parameter], ...]:
        return ((latent, self.polars),)

    def near(self, vectors: Tensor, prototypes: Tensor) -> Tensor:
        return products(nn.functional.normalize(vectors, dim=1), prototypes)

    def forward(self, latent: Tensor) -> Tensor:
        return nn.functional.normalize(latent.flatten(1), dim=1) @ self.polars.T

    def loss(self, x: Tensor, latent: Tensor, labels: Tensor) -> Tensor:
        """The squared cosine loss of the paper."""
        own = self(latent).gather(1, labels[:, None])
        return ((1 - own) ** 2).mean()


def spread(count: int, channels: int) -> Tensor:
    """Unit vectors [count, channels] whose largest mutual cosine was made small by descent."""
    points = nn.Parameter(nn.functional.normalize(torch.randn(count, channels), dim=1))
    optimiser = torch.optim.SGD([points], lr=0.1, momentum=0.9)
    for _ in range(STEPS):
        unit = nn.functional.normalize(points, dim=1)
        cosines = unit @ unit.T - 2 * torch.eye(count)
        largest = cosines.amax(dim=1).mean()
        optimiser.zero_grad()
        torch.autograd.backward(largest)
        optimiser.step()
    return nn.functional.normalize(points.detach(), dim=1)
