"""Gaussian prototypes: a prototype has a variance of its own, for all directions or for each.

The distance is Mahalanobis', q_j = sum_d exp(-v_jd) (z_d - p_jd)^2, its similarity the log ratio of
ProtoPNet ("beyond L2": isotropic and diagonal covariance).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.heads.base import VotingHead, class_votes, owners

EPSILON = 1e-4


class GaussianHead(VotingHead):
    """``diagonal`` chooses a variance per channel instead of one per prototype."""

    def __init__(self, channels: int, classes: int, each: int, diagonal: bool) -> None:
        super().__init__(owners(classes, each))
        self.prototypes = nn.Parameter(torch.rand(classes * each, channels))
        self.log_variance = nn.Parameter(torch.zeros(classes * each, channels if diagonal else 1))
        self.diagonal = diagonal
        self.votes = class_votes(self.owner, classes)

    def banks(self, latent: Tensor) -> tuple[tuple[Tensor, nn.Parameter], ...]:
        return ((latent, self.prototypes),)

    def near(self, vectors: Tensor, prototypes: Tensor) -> Tensor:
        places = vectors.flatten(2).transpose(1, 2)
        apart = (places[:, :, None] - prototypes[None, None]) ** 2
        precision = torch.exp(-self.log_variance)
        if self.diagonal:
            return -(apart * precision).sum(dim=3).transpose(1, 2)
        return -(apart.sum(dim=3) * precision[:, 0]).transpose(1, 2)

    def activations(self, latent: Tensor) -> Tensor:
        nearest = torch.relu(-self.closeness(latent).amax(dim=2))
        return torch.log((nearest + 1) / (nearest + EPSILON))

    @torch.no_grad()
    def constrain(self) -> None:
        """Variances stay between a tenth and ten times the unit."""
        self.log_variance.clamp_(-2.3, 2.3)
