"""What all heads share: a latent goes in, class scores come out; and how they are trained."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

OWN_CLASS, OTHER_CLASS = 1.0, -0.5
"""Initial votes of a prototype for its own class, and against any other class."""


class Head(nn.Module):
    """From a latent [n, channel, *place] to scores [n, class].

    ``owner[j]`` is the class of prototype j; it is empty where prototypes belong to no class.
    ``pulled`` and ``pushed`` weigh the published cluster and separation costs.
    """

    moves: ClassVar[bool] = True
    """Are prototypes moved onto latents of training samples (projection)?"""
    pulled: ClassVar[float] = 0.8
    pushed: ClassVar[float] = 0.08
    owner: Tensor

    def __init__(self, owner: Tensor) -> None:
        super().__init__()
        self.register_buffer("owner", owner)

    def banks(self, latent: Tensor) -> tuple[tuple[Tensor, nn.Parameter], ...]:
        """Per bank the vectors [n, channel, *place] and the prototypes [p, channel]."""
        raise NotImplementedError

    def near(self, vectors: Tensor, prototypes: Tensor) -> Tensor:
        """How close every location is to every prototype [n, prototype, *place]."""
        raise NotImplementedError

    def closeness(self, latent: Tensor) -> Tensor:
        """``near`` of all banks, one after the other [n, prototype, location]."""
        return torch.cat([self.near(*bank) for bank in self.banks(latent)], dim=1).flatten(2)

    def loss(self, x: Tensor, latent: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy, and the costs that keep prototypes near samples of their class."""
        scores = self(latent)
        return nn.functional.cross_entropy(scores, labels) + self.attraction(latent, labels)

    def attraction(self, latent: Tensor, labels: Tensor) -> Tensor:
        """Cluster cost minus separation cost, weighed; zero without owners.

        ``labels`` are class indices [n] or zeros and ones [n, class].
        """
        if len(self.owner) == 0:
            return latent.new_zeros(())
        best = self.closeness(latent).amax(dim=2)
        if labels.ndim == 1:
            mine = self.owner[None] == labels[:, None]
        else:
            mine = labels[:, self.owner] > 0
        low = torch.finfo(best.dtype).min
        own = best.masked_fill(~mine, low).amax(dim=1)
        other = best.masked_fill(mine, low).amax(dim=1)
        present = other > low
        return -self.pulled * own.mean() + self.pushed * other[present].sum() / len(best)

    def constrain(self) -> None:
        """Bring parameters back to where they may lie, after a step."""

    def advance(self, share: float) -> None:
        """Told before every epoch which share of the joint training is over."""

    def trim(self) -> None:
        """Told when the joint training is over: drop what is of no use."""

    def settling(self) -> list[nn.Parameter]:
        """What still learns when encoder and prototypes are fixed; nothing means no such stage."""
        return []

    def measured(self, latent: Tensor) -> Tensor:
        """What the last stage needs to know of a sample [n, value]."""
        raise NotImplementedError

    def settle(self, measured: Tensor, labels: Tensor) -> Tensor:
        """The loss of the last stage."""
        raise NotImplementedError

    def conclude(self) -> None:
        """Told when all training is over."""


class VotingHead(Head):
    """A head that ends in a linear layer over activations [n, activation]."""

    votes: nn.Linear

    def activations(self, latent: Tensor) -> Tensor:
        """What the linear layer sees."""
        raise NotImplementedError

    def forward(self, latent: Tensor) -> Tensor:
        """The class scores."""
        scores: Tensor = self.votes(self.activations(latent))
        return scores

    def settling(self) -> list[nn.Parameter]:
        return list(self.votes.parameters())

    def measured(self, latent: Tensor) -> Tensor:
        return self.activations(latent)

    def settle(self, measured: Tensor, labels: Tensor) -> Tensor:
        scores = self.votes(measured)
        return nn.functional.cross_entropy(scores, labels) + 1e-4 * self.foreign_votes()

    def foreign_votes(self) -> Tensor:
        """Sum of the absolute votes of prototypes for classes that are not theirs."""
        weight = self.votes.weight
        if weight.shape[1] != len(self.owner):
            return weight.abs().sum()
        foreign = torch.arange(len(weight))[:, None] != self.owner[None]
        return (weight * foreign).abs().sum()


def owners(classes: int, each: int) -> Tensor:
    """``each`` prototypes for every class, class after class."""
    return torch.arange(classes).repeat_interleave(each)


def class_votes(owner: Tensor, classes: int, bias: bool = False) -> nn.Linear:
    """A linear layer that starts with votes for the own class and against the others."""
    layer = nn.Linear(len(owner), classes, bias=bias)
    own = torch.arange(classes)[:, None] == owner[None]
    layer.weight.data = torch.where(own, OWN_CLASS, OTHER_CLASS)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def products(vectors: Tensor, prototypes: Tensor) -> Tensor:
    """z.p as a convolution with kernels of size one [n, prototype, *place]."""
    if vectors.ndim == 3:
        return nn.functional.conv1d(vectors, prototypes[:, :, None])
    return nn.functional.conv2d(vectors, prototypes[:, :, None, None])


def per_prototype(values: Tensor, vectors: Tensor) -> Tensor:
    """One value per prototype [p], in the shape that fits [n, prototype, *place]."""
    return values.view(1, -1, *[1] * (vectors.ndim - 2))


def squared_distances(vectors: Tensor, prototypes: Tensor) -> Tensor:
    """|z|^2 - 2 z.p + |p|^2 as in ProtoPNet, never negative [n, prototype, *place]."""
    z_norm = (vectors**2).sum(dim=1, keepdim=True)
    p_norm = per_prototype((prototypes**2).sum(dim=1), vectors)
    return torch.relu(z_norm - 2 * products(vectors, prototypes) + p_norm)
