"""Case-based reasoning through prototypes (Li et al., AAAI 2018): prototypes that can be drawn.

The latent is that of an autoencoder, so a decoder turns every prototype into a picture. The linear
layer sees the raw squared distances; only the classifier is exported.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.heads.base import Head

DRAWN, NEAR_SAMPLES, NEAR_PROTOTYPES = 20.0, 1.0, 1.0
"""Weights of the reconstruction and of the two distance costs, against cross entropy."""


class CaseBasedHead(Head):
    """logits = W q, q_j the squared distance to prototype j; one location."""

    moves = False

    def __init__(self, channels: int, classes: int, prototypes: int) -> None:
        super().__init__(torch.empty(0, dtype=torch.int64))
        self.prototypes = nn.Parameter(torch.rand(prototypes, channels))
        self.votes = nn.Linear(prototypes, classes, bias=False)
        self.decoder = nn.Sequential(
            nn.Linear(channels, 32 * 7 * 7),
            nn.ReLU(),
            nn.Unflatten(1, (32, 7, 7)),
            nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def banks(self, latent: Tensor) -> tuple[tuple[Tensor, nn.Parameter], ...]:
        return ((latent, self.prototypes),)

    def near(self, vectors: Tensor, prototypes: Tensor) -> Tensor:
        apart = vectors.flatten(2)[:, None] - prototypes[None, :, :, None]
        return -(apart**2).sum(dim=2)

    def distances(self, latent: Tensor) -> Tensor:
        """|z|^2 + |p|^2 - 2 z.p [n, prototype], as published."""
        z = latent.flatten(1)
        z_norm = (z**2).sum(dim=1, keepdim=True)
        return z_norm + (self.prototypes**2).sum(dim=1)[None] - 2 * z @ self.prototypes.T

    def forward(self, latent: Tensor) -> Tensor:
        scores: Tensor = self.votes(self.distances(latent))
        return scores

    def loss(self, x: Tensor, latent: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy, reconstruction, samples near prototypes and prototypes near samples."""
        q = self.distances(latent)
        entropy = nn.functional.cross_entropy(self.votes(q), labels)
        drawn = ((self.decoder(latent.flatten(1)) - x) ** 2).mean()
        near = NEAR_PROTOTYPES * q.amin(dim=0).mean() + NEAR_SAMPLES * q.amin(dim=1).mean()
        return entropy + DRAWN * drawn + near

    @torch.no_grad()
    def pictures(self) -> Tensor:
        """The decoded prototypes [prototype, 1, row, column]."""
        drawn: Tensor = self.decoder(self.prototypes)
        return drawn
