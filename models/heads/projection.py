"""Projection onto unit prototypes (TesNet, Wang et al., ICCV 2021, as published)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.heads.base import VotingHead, class_votes, owners, products


class ProjectionHead(VotingHead):
    """a_j = max over the locations of z.p / |p|; the latent is not normalised."""

    pulled = 0.8
    pushed = 0.4

    def __init__(self, channels: int, classes: int, each: int) -> None:
        super().__init__(owners(classes, each))
        self.prototypes = nn.Parameter(torch.rand(classes * each, channels))
        self.votes = class_votes(self.owner, classes)

    def banks(self, latent: Tensor) -> tuple[tuple[Tensor, nn.Parameter], ...]:
        return ((latent, self.prototypes),)

    def near(self, vectors: Tensor, prototypes: Tensor) -> Tensor:
        return products(vectors, nn.functional.normalize(prototypes, dim=1))

    def activations(self, latent: Tensor) -> Tensor:
        return self.closeness(latent).amax(dim=2)
