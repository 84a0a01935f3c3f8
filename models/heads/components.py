"""Classification by components (Saralajew et al., NeurIPS 2019): positive and negative reasoning.

A component is detected with the probability exp(-q / t) of its nearest location (an RBF). Each
class reasons over the components: it wants some to be present (R+), some to be absent (R-), and
does not care about others; the score is the share of its wishes that comes true.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.heads.base import Head, squared_distances

SHARPNESS = 12.0
"""Scores are probabilities; training multiplies them by this before the softmax."""


class ComponentsHead(Head):
    """p_k = (a (R+ - R-) + sum R-) / sum (R+ + R-), a_j = exp(-min q_j / t)."""

    def __init__(self, channels: int, classes: int, components: int, width: float) -> None:
        super().__init__(torch.empty(0, dtype=torch.int64))
        self.width = width
        self.components = nn.Parameter(torch.rand(components, channels))
        self.reasoning = nn.Parameter(torch.randn(3, components, classes))

    def banks(self, latent: Tensor) -> tuple[tuple[Tensor, nn.Parameter], ...]:
        return ((latent, self.components),)

    def near(self, vectors: Tensor, prototypes: Tensor) -> Tensor:
        return -squared_distances(vectors, prototypes)

    def forward(self, latent: Tensor) -> Tensor:
        return self.reason(self.measured(latent))

    def settling(self) -> list[nn.Parameter]:
        return [self.reasoning]

    def measured(self, latent: Tensor) -> Tensor:
        """Detection probabilities [n, component]."""
        return torch.exp(self.closeness(latent).amax(dim=2) / self.width)

    def settle(self, measured: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(SHARPNESS * self.reason(measured), labels)

    def reason(self, detected: Tensor) -> Tensor:
        """Class probabilities from detection probabilities [n, component]."""
        wants, avoids, _ = torch.softmax(self.reasoning, dim=0)
        hits = detected @ (wants - avoids) + avoids.sum(dim=0)
        return hits / (wants + avoids).sum(dim=0)

    def loss(self, x: Tensor, latent: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy of sharpened scores; every component near some sample of the batch."""
        near = self.closeness(latent).amax(dim=2)
        scores = self.reason(torch.exp(near / self.width))
        return nn.functional.cross_entropy(SHARPNESS * scores, labels) - 0.2 * near.amax(0).mean()
