"""ProtoTree (Nauta et al., CVPR 2021): a soft decision tree that asks for a prototype at each node.

The similarity exp(-d) of the nearest location is the probability to go right; the answer is the
mixture of the leaves over all paths (the published "distributed" form).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.heads.base import Head, per_prototype, products


class ProtoTreeHead(Head):
    """Probabilities [n, class]; node i has the children 2i+1 and 2i+2 and prototype i."""

    def __init__(self, channels: int, classes: int, depth: int) -> None:
        super().__init__(torch.empty(0, dtype=torch.int64))
        self.inner = 2**depth - 1
        self.prototypes = nn.Parameter(0.5 + 0.1 * torch.randn(self.inner, channels))
        self.leaves = nn.Parameter(torch.randn(self.inner + 1, classes))

    def banks(self, latent: Tensor) -> tuple[tuple[Tensor, nn.Parameter], ...]:
        return ((latent, self.prototypes),)

    def near(self, vectors: Tensor, prototypes: Tensor) -> Tensor:
        z_norm = (vectors**2).sum(dim=1, keepdim=True)
        p_norm = per_prototype((prototypes**2).sum(dim=1), vectors)
        squared = z_norm + p_norm - 2 * products(vectors, prototypes)
        return -torch.sqrt(torch.abs(squared) + 1e-14)

    def right(self, latent: Tensor) -> Tensor:
        """The probability to go right at every node [n, node]."""
        return torch.exp(self.closeness(latent).amax(dim=2))

    def forward(self, latent: Tensor) -> Tensor:
        """Mixture of the leaves: from the bottom up, every node mixes its two children."""
        return self.mix(self.right(latent))

    def mix(self, right: Tensor) -> Tensor:
        """The mixture for given probabilities to go right [n, node]."""
        answers = torch.softmax(self.leaves, dim=1)
        below = [answers[leaf : leaf + 1] for leaf in range(self.inner + 1)]
        goes = right.split(1, dim=1)
        first = self.inner
        while first:
            first = (first - 1) // 2
            nodes = range(first, 2 * first + 1)
            below = [
                (1 - goes[node]) * below[2 * place] + goes[node] * below[2 * place + 1]
                for place, node in enumerate(nodes)
            ]
        return below[0]

    def settling(self) -> list[nn.Parameter]:
        return [self.leaves]

    def measured(self, latent: Tensor) -> Tensor:
        return self.right(latent)

    def settle(self, measured: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.nll_loss(torch.log(self.mix(measured) + 1e-7), labels)

    def loss(self, x: Tensor, latent: Tensor, labels: Tensor) -> Tensor:
        """Negative log likelihood of the mixture."""
        return nn.functional.nll_loss(torch.log(self(latent) + 1e-7), labels)
