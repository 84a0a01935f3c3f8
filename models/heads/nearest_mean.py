"""Prototypical networks (Snell et al., NeurIPS 2017): a prototype is the mean of samples."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.heads.base import Head, owners


class NearestMeanHead(Head):
    """log softmax of minus the squared distance to each class's mean; one location."""

    moves = False

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(owners(classes, 1))
        self.means = nn.Parameter(torch.zeros(classes, channels), requires_grad=False)

    def banks(self, latent: Tensor) -> tuple[tuple[Tensor, nn.Parameter], ...]:
        return ((latent, self.means),)

    def near(self, vectors: Tensor, prototypes: Tensor) -> Tensor:
        apart = vectors.flatten(2)[:, None] - prototypes[None, :, :, None]
        return -(apart**2).sum(dim=2)

    def forward(self, latent: Tensor) -> Tensor:
        apart = latent.flatten(1)[:, None] - self.means[None]
        return torch.log_softmax(-(apart**2).sum(dim=2), dim=1)

    def loss(self, x: Tensor, latent: Tensor, labels: Tensor) -> Tensor:
        """An episode: the first half of the batch is the support set of the second half."""
        half = len(labels) // 2
        points, known = latent.flatten(1), labels[:half]
        present = torch.unique(known)
        means = torch.stack([points[:half][known == k].mean(dim=0) for k in present])
        apart = ((points[half:, None] - means[None]) ** 2).sum(dim=2)
        asked = torch.isin(labels[half:], present)
        wanted = torch.searchsorted(present, labels[half:][asked])
        return nn.functional.cross_entropy(-apart[asked], wanted)

    @torch.no_grad()
    def learn_means(self, latent: Tensor, labels: Tensor) -> None:
        """Set the means from the support set."""
        rows = [latent.flatten(1)[labels == k].mean(dim=0) for k in range(len(self.means))]
        self.means.copy_(torch.stack(rows))
