"""Soft decision trees over prototypes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tests.support.foreign.parts import expanded, nearest, points

Shape = int | tuple["Shape", "Shape"]  # a leaf, or two branches; nodes are numbered as they come
BALANCED: Shape = (((0, 1), (2, 3)), ((4, 5), (6, 7)))
PRUNED: Shape = ((0, (1, 2)), (3, 4))


def count(shape: Shape) -> int:
    """How many inner nodes a tree has."""
    return 0 if isinstance(shape, int) else 1 + count(shape[0]) + count(shape[1])


class ByLevel(nn.Module):
    """Every level multiplies the shares that arrive by s and 1 - s, then the leaves are mixed."""

    def __init__(self, channels: int, depth: int = 3, classes: int = 3) -> None:
        super().__init__()
        self.prototypes = points(2**depth - 1, channels, 1, 1)
        self.leaves, self.depth = nn.Parameter(torch.randn(2**depth, classes)), depth

    def forward(self, z: Tensor) -> Tensor:
        similarity = torch.sigmoid(2 - 2 * nearest(expanded(z, self.prototypes)))
        arriving, start = torch.ones(z.shape[0], 1), 0
        for level in range(self.depth):
            right = similarity[:, start : start + 2**level]
            start += 2**level
            both = torch.stack([arriving * (1 - right), arriving * right], dim=2)
            arriving = both.reshape(z.shape[0], -1)
        return arriving @ torch.softmax(self.leaves, dim=1)


class ByLeaf(nn.Module):
    """The product of the shares on the way to each leaf; nodes of one level share a prototype."""

    def __init__(self, channels: int, depth: int = 3, classes: int = 3) -> None:
        super().__init__()
        self.prototypes = points(depth, channels, 1, 1)
        self.leaves, self.depth = nn.Parameter(torch.randn(2**depth, classes)), depth

    def forward(self, z: Tensor) -> Tensor:
        right = torch.exp(-nearest(expanded(z, self.prototypes)))
        arriving = []
        for leaf in range(2**self.depth):
            share = torch.ones(z.shape[0])
            for level in range(self.depth):
                step = right[:, level]
                share = share * (step if leaf >> level & 1 else 1 - step)
            arriving.append(share)
        return torch.stack(arriving, dim=1) @ torch.softmax(self.leaves, dim=1)


class Tree(nn.Module):
    """exp(-distance) routes to the right; leaves are distributions; log space or not."""

    def __init__(
        self,
        channels: int,
        shape: Shape = BALANCED,
        logged: bool = False,
        split: bool = False,
        classes: int = 3,
    ) -> None:
        super().__init__()
        self.prototypes = points(count(shape), channels, 1, 1)
        self.leaves = nn.ParameterList(2 * torch.randn(classes) for _ in range(count(shape) + 1))
        self.shape, self.logged, self.split = shape, logged, split

    def forward(self, z: Tensor) -> Tensor:
        ones = torch.ones_like(self.prototypes)
        squared = nn.functional.conv2d(z**2, ones)
        length = (self.prototypes**2).sum(dim=(1, 2, 3)).view(-1, 1, 1)
        product = nn.functional.conv2d(z, self.prototypes)
        distance = torch.sqrt(torch.abs(squared + length - 2 * product) + 1e-14)
        grid = (distance.size(2), distance.size(3))
        nearest = -nn.functional.max_pool2d(-distance, grid)
        nearest = nearest.view(distance.shape[0], self.prototypes.shape[0])
        similarity = -nearest if self.logged else torch.exp(-nearest)
        if self.split:  # exporters make sequences of this one
            return self._walk(self.shape, iter(similarity.split(1, dim=1)))
        return self._walk(self.shape, iter(torch.chunk(similarity, count(self.shape), 1)))

    def _walk(self, shape: Shape, routed: Iterator[Tensor]) -> Tensor:
        if isinstance(shape, int):
            leaf = self.leaves[shape]
            if self.logged:
                return torch.log_softmax(leaf, 0).view(1, -1)
            return torch.softmax(leaf - leaf.max(), 0).view(1, -1)
        right = next(routed)
        first, second = self._walk(shape[0], routed), self._walk(shape[1], routed)
        if not self.logged:
            return (1 - right) * first + right * second
        size = torch.abs(right) + 1e-7
        near = torch.log(-torch.expm1(-size))
        far = torch.log1p(-torch.exp(-size))
        left = torch.where(size < 0.6931471805599453, near, far)
        return torch.logsumexp(torch.stack([left + first, right + second]), dim=0)
