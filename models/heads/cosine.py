"""Cosine similarity (the TesNet of Wang et al., ICCV 2021, as cabrnet writes it)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.heads.base import VotingHead, class_votes, owners, per_prototype, products


class CosineHead(VotingHead):
    """a_j = max over the locations of z.p / (|z| |p|): the norms are divided out at the end."""

    pulled = 4.0
    pushed = 1.0

    def __init__(self, channels: int, classes: int, each: int) -> None:
        super().__init__(owners(classes, each))
        self.prototypes = nn.Parameter(torch.randn(classes * each, channels))
        self.votes = class_votes(self.owner, classes)
        self.votes.weight.data *= 4

    def banks(self, latent: Tensor) -> tuple[tuple[Tensor, nn.Parameter], ...]:
        return ((latent, self.prototypes),)

    def near(self, vectors: Tensor, prototypes: Tensor) -> Tensor:
        norms = vectors.norm(dim=1, keepdim=True) * per_prototype(prototypes.norm(dim=1), vectors)
        return products(vectors, prototypes) / (norms + 1e-8)

    def activations(self, latent: Tensor) -> Tensor:
        return self.closeness(latent).amax(dim=2)
