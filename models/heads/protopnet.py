"""ProtoPNet (Chen et al., "This Looks Like That", NeurIPS 2019): log similarity of distances."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.heads.base import VotingHead, class_votes, owners, squared_distances

EPSILON = 1e-4


class ProtoPNetHead(VotingHead):
    """a_j = log((q+1)/(q+eps)) of the smallest squared distance q over the locations."""

    pulled = 0.3
    pushed = 0.03

    def __init__(self, channels: int, classes: int, each: int) -> None:
        super().__init__(owners(classes, each))
        self.prototypes = nn.Parameter(torch.rand(classes * each, channels))
        self.votes = class_votes(self.owner, classes)

    def banks(self, latent: Tensor) -> tuple[tuple[Tensor, nn.Parameter], ...]:
        return ((latent, self.prototypes),)

    def near(self, vectors: Tensor, prototypes: Tensor) -> Tensor:
        return -squared_distances(vectors, prototypes)

    def activations(self, latent: Tensor) -> Tensor:
        nearest = -self.closeness(latent).amax(dim=2)
        return torch.log((nearest + 1) / (nearest + EPSILON))
