"""Heads that are knowingly not covered; each must be refused, never taken for another."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.support.foreign.parts import directions, expanded, last_layer, nearest, points


class GreedyMatching(nn.Module):
    """Sub-prototypes matched to distinct tokens in turn, each to the best that is left."""

    def __init__(self, channels: int, parts: int = 2, classes: int = 3, each: int = 1) -> None:
        super().__init__()
        self.parts = parts
        self.prototypes = directions(classes * each * parts, channels)
        self.last = last_layer(classes, each)

    def forward(self, tokens: Tensor) -> Tensor:
        patches = functional.normalize(tokens[:, 1:] - tokens[:, :1], dim=-1)
        score = patches @ functional.normalize(self.prototypes, dim=-1).t()
        score = score.transpose(1, 2).reshape(1, -1, self.parts * patches.shape[1])
        total = torch.zeros(score.shape[:2])
        numbers = torch.arange(self.parts * patches.shape[1])
        for _ in range(self.parts):
            best, index = score.max(dim=-1)
            total = total + best
            part = index.unsqueeze(-1) // patches.shape[1]
            place = index.unsqueeze(-1) % patches.shape[1]
            used = (numbers // patches.shape[1] == part) | (numbers % patches.shape[1] == place)
            score = torch.where(used, torch.full_like(score, -1e5), score)
        return self.last(total)


class Divergence(nn.Module):
    """An image's concept responses as a distribution; the class of smallest divergence."""

    def __init__(self, channels: int, classes: int = 3, concepts: int = 5) -> None:
        super().__init__()
        self.concepts = directions(concepts, channels, 1, 1)
        self.centres = nn.Parameter(torch.softmax(torch.randn(classes, concepts), dim=1))

    def forward(self, z: Tensor) -> Tensor:
        unit = functional.normalize(self.concepts, dim=1)
        cosine = functional.conv2d(functional.normalize(z, dim=1), unit).amax(dim=(-2, -1))
        response = (cosine + 1) / 2
        image = (response / response.sum(dim=1, keepdim=True)).unsqueeze(1)
        middle = (image + self.centres) / 2
        first = (image * (torch.log2(image.clamp(min=1e-8)) - torch.log2(middle))).sum(-1)
        second = (self.centres * (torch.log2(self.centres) - torch.log2(middle))).sum(-1)
        return -(first + second) / 2


class Ordinary(nn.Module):
    """No prototypes at all: mean over the grid, a hidden layer, a dense layer."""

    def __init__(self, channels: int, classes: int = 3) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(channels, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, classes)
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z.mean(dim=(-2, -1)))


class Attention(nn.Module):
    """Similarities to tokens, averaged with weights that are a softmax of themselves."""

    def __init__(self, channels: int, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = directions(classes * each, channels)
        self.last = last_layer(classes, each)

    def forward(self, tokens: Tensor) -> Tensor:
        score = tokens[:, 1:] @ self.prototypes.t()
        return self.last((torch.softmax(score, dim=1) * score).sum(dim=1))


class Greedy(nn.Module):
    """A tree whose branches the graph itself chooses, by comparing shares with 1/2."""

    def __init__(self, channels: int, right: bool, classes: int = 3) -> None:
        super().__init__()
        self.prototypes = points(3, channels, 1, 1)
        self.leaves, self.right = nn.Parameter(torch.randn(4, classes)), right

    def forward(self, z: Tensor) -> Tensor:
        share = torch.exp(-nearest(expanded(z, self.prototypes))).unsqueeze(-1)
        turns = (share > 0.5 if self.right else share < 0.5).unbind(1)
        first = torch.where(turns[1], self.leaves[0], self.leaves[1])
        return torch.where(turns[0], first, torch.where(turns[2], self.leaves[2], self.leaves[3]))


class AbsoluteVotes(nn.Module):
    """Votes over the sum of their absolute values."""

    def __init__(self, channels: int, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = points(classes * each, channels, 1, 1)
        self.last = last_layer(classes, each)

    def forward(self, z: Tensor) -> Tensor:
        votes = self.last(torch.exp(-nearest(expanded(z, self.prototypes))))
        return functional.normalize(votes, p=1, dim=1)


class Assembled(nn.Module):
    """Similarities of every column of the grid, written into a tensor one after the other."""

    def __init__(self, channels: int, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = points(classes * each, channels, 1, 1)
        self.last = last_layer(classes, each)

    def forward(self, z: Tensor) -> Tensor:
        scores = torch.zeros(1, self.prototypes.shape[0], z.shape[3])
        for column in range(z.shape[3]):
            near = nearest(expanded(z[..., column : column + 1], self.prototypes))
            scores[:, :, column] = torch.exp(-near)
        return self.last(scores.amax(dim=2))
