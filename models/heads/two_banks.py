"""Two kinds of prototypes (ST-ProtoPNet, Wang et al., ICCV 2023): trivial and support.

Each bank has its own latent of the same number of channels, made from the same features. Support
prototypes lie close to the border between classes: they are pushed towards the nearest prototypes
of other classes, trivial ones away from them. The scores of both banks are added.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.heads.base import Head, class_votes, owners, products


class TwoBanksHead(Head):
    """logits = W_T relu(max cos(z_T, p)) + W_S relu(max cos(z_S, p))."""

    pulled = 4.0
    pushed = 0.0
    TEMPER = 4.0

    def __init__(self, features: int, channels: int, classes: int, each: int) -> None:
        super().__init__(owners(classes, each).repeat(2))
        self.trivial_layer = nn.Conv2d(features, channels, 1)
        self.support_layer = nn.Conv2d(features, channels, 1)
        self.trivial = nn.Parameter(torch.randn(classes * each, channels))
        self.support = nn.Parameter(torch.randn(classes * each, channels))
        self.trivial_votes = class_votes(owners(classes, each), classes)
        self.support_votes = class_votes(owners(classes, each), classes)
        self.trivial_votes.weight.data *= self.TEMPER
        self.support_votes.weight.data *= self.TEMPER

    def banks(self, latent: Tensor) -> tuple[tuple[Tensor, nn.Parameter], ...]:
        return (
            (self.trivial_layer(latent), self.trivial),
            (self.support_layer(latent), self.support),
        )

    def near(self, vectors: Tensor, prototypes: Tensor) -> Tensor:
        unit = nn.functional.normalize(prototypes, dim=1)
        return products(nn.functional.normalize(vectors, dim=1), unit)

    def forward(self, latent: Tensor) -> Tensor:
        """The added scores of both banks."""
        first, second = self.pooled(latent)
        scores: Tensor = self.trivial_votes(first) + self.support_votes(second)
        return scores

    def pooled(self, latent: Tensor) -> list[Tensor]:
        """The activations of each bank [n, prototype]."""
        return [torch.relu(self.near(*bank)).amax(dim=(2, 3)) for bank in self.banks(latent)]

    def settling(self) -> list[nn.Parameter]:
        return [self.trivial_votes.weight, self.support_votes.weight]

    def measured(self, latent: Tensor) -> Tensor:
        return torch.cat(self.pooled(latent), dim=1)

    def settle(self, measured: Tensor, labels: Tensor) -> Tensor:
        weight = torch.cat(self.settling(), dim=1)
        foreign = torch.arange(len(weight))[:, None] != self.owner[None]
        scores = nn.functional.linear(measured, weight)
        return nn.functional.cross_entropy(scores, labels) + 1e-4 * (weight * foreign).abs().sum()

    def loss(self, x: Tensor, latent: Tensor, labels: Tensor) -> Tensor:
        """The common loss, and opposite costs for the distance between prototypes of classes."""
        half = len(self.trivial)
        other = self.owner[:half, None] != self.owner[None, :half]
        apart = []
        for prototypes in (self.trivial, self.support):
            unit = nn.functional.normalize(prototypes, dim=1)
            apart.append((unit @ unit.T).masked_fill(~other, -1.0).amax(dim=1).mean())
        return super().loss(x, latent, labels) + 0.5 * apart[0] - 0.5 * apart[1]
