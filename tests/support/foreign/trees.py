"""Soft decision trees over prototypes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tests.support.foreign.parts import points

Shape = int | tuple["Shape", "Shape"]  # a leaf, or two branches; nodes are numbered as they come
BALANCED: Shape = (((0, 1), (2, 3)), ((4, 5), (6, 7)))
PRUNED: Shape = ((0, (1, 2)), (3, 4))


def count(shape: Shape) -> int:
    """How many inner nodes a tree has."""
    return 0 if isinstance(shape, int) else 1 + count(shape[0]) + count(shape[1])


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
