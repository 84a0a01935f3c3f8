"""Several labels at once (as ProtoECGNet): a label is on where its probability exceeds 0.5."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.heads.base import VotingHead, class_votes, owners, squared_distances

EPSILON = 1e-4


class LabelsHead(VotingHead):
    """sigmoid(W a + b) per label, a the log similarity of the nearest moment of a signal."""

    pulled = 0.4
    pushed = 0.04

    def __init__(self, channels: int, classes: int, each: int) -> None:
        super().__init__(owners(classes, each))
        self.prototypes = nn.Parameter(torch.rand(classes * each, channels))
        self.votes = class_votes(self.owner, classes, bias=True)

    def banks(self, latent: Tensor) -> tuple[tuple[Tensor, nn.Parameter], ...]:
        return ((latent, self.prototypes),)

    def near(self, vectors: Tensor, prototypes: Tensor) -> Tensor:
        return -squared_distances(vectors, prototypes)

    def activations(self, latent: Tensor) -> Tensor:
        nearest = -self.closeness(latent).amax(dim=2)
        return torch.log((nearest + 1) / (nearest + EPSILON))

    def forward(self, latent: Tensor) -> Tensor:
        return torch.sigmoid(self.votes(self.activations(latent)))

    def loss(self, x: Tensor, latent: Tensor, labels: Tensor) -> Tensor:
        """Binary cross entropy of every label, and the common costs."""
        return self.settle(self.activations(latent), labels) + self.attraction(latent, labels)

    def settle(self, measured: Tensor, labels: Tensor) -> Tensor:
        scores = self.votes(measured)
        entropy = nn.functional.binary_cross_entropy_with_logits(scores, labels.float())
        return entropy + 1e-4 * self.foreign_votes()
