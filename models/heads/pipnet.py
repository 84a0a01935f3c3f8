"""PIP-Net (Nauta et al., CVPR 2023): a prototype is a channel, not a vector.

A softmax over the channels makes every location choose a prototype; activations below 0.1 count as
absent; weights are never negative, and most of them are zero.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.heads.base import VotingHead

PRESENT = 0.1
"""A prototype whose activation stays below is said not to occur (the deployed form)."""

SLIGHT = 0.1


class PipNetHead(VotingHead):
    """a_j = max over the locations of softmax_j(z), 0 where below 0.1; logits = relu(W) a."""

    moves = False

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(torch.empty(0, dtype=torch.int64))
        self.basis = nn.Parameter(torch.eye(channels), requires_grad=False)
        self.votes = nn.Linear(channels, classes, bias=False)
        nn.init.normal_(self.votes.weight, mean=1.0, std=0.1)

    def banks(self, latent: Tensor) -> tuple[tuple[Tensor, nn.Parameter], ...]:
        return ((torch.softmax(latent, dim=1), self.basis),)

    def near(self, vectors: Tensor, prototypes: Tensor) -> Tensor:
        return vectors

    def pooled(self, latent: Tensor) -> Tensor:
        """The largest share of every channel [n, channel]."""
        return torch.softmax(latent, dim=1).amax(dim=(2, 3))

    def activations(self, latent: Tensor) -> Tensor:
        pooled = self.pooled(latent)
        return torch.where(pooled < PRESENT, 0.0, pooled)

    def forward(self, latent: Tensor) -> Tensor:
        return nn.functional.linear(self.activations(latent), torch.relu(self.votes.weight))

    def loss(self, x: Tensor, latent: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy; every prototype shall occur in a batch; few votes; sharp choices."""
        pooled = self.pooled(latent)
        weight = torch.relu(self.votes.weight)
        used = -torch.log(torch.tanh(pooled.sum(dim=0)) + 1e-8).mean()
        shares = torch.softmax(latent, dim=1)
        blur = -(shares * torch.log(shares + 1e-8)).sum(dim=1).mean()
        scores = 4 * nn.functional.linear(pooled, weight)
        entropy = nn.functional.cross_entropy(scores, labels)
        return entropy + 0.5 * used + 0.1 * blur + 1e-3 * weight.sum()

    def settle(self, measured: Tensor, labels: Tensor) -> Tensor:
        weight = torch.relu(self.votes.weight)
        scores = nn.functional.linear(measured, weight)
        return nn.functional.cross_entropy(scores, labels) + 5e-3 * weight.sum()

    @torch.no_grad()
    def constrain(self) -> None:
        """Votes that do not count become exactly zero, as in the published code."""
        self.votes.weight.clamp_(min=0.0)

    @torch.no_grad()
    def conclude(self) -> None:
        """Drop votes that hardly count: explanations become shorter."""
        self.votes.weight[self.votes.weight < SLIGHT] = 0.0
