"""What the heads share: class weights and how prototypes are drawn."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def owners(classes: int, each: int) -> Tensor:
    """The class of every prototype, [classes * each]: 0, 0, .., 1, 1, .."""
    return torch.arange(classes).repeat_interleave(each)


def last_layer(classes: int, each: int, bias: bool = False, wrong: float = -0.5) -> nn.Linear:
    """A dense layer, 1 for the own class and ``wrong`` for others, a little trained."""
    layer = nn.Linear(classes * each, classes, bias=bias)
    own = torch.arange(classes)[:, None] == owners(classes, each)
    weight = torch.where(own, 1.0, wrong) + 0.1 * torch.randn(classes, classes * each)
    layer.weight = nn.Parameter(weight)
    if bias:
        layer.bias = nn.Parameter(0.1 * torch.randn(classes))
    return layer


def points(count: int, *shape: int) -> nn.Parameter:
    """Prototypes in the unit box."""
    return nn.Parameter(torch.rand(count, *shape))


def directions(count: int, *shape: int) -> nn.Parameter:
    """Prototypes anywhere."""
    return nn.Parameter(torch.randn(count, *shape))


def log_ratio(distance: Tensor, epsilon: float = 1e-4) -> Tensor:
    """log((d + 1) / (d + epsilon))."""
    return torch.log((distance + 1) / (distance + epsilon))


def expanded(z: Tensor, prototypes: Tensor) -> Tensor:
    """|z|^2 - 2 z.p + |p|^2 by convolutions: [N, D, H, W] and [P, D, h, w] to [N, P, .., ..]."""
    squared = nn.functional.conv2d(z**2, torch.ones_like(prototypes))
    length = (prototypes**2).sum(dim=(1, 2, 3)).view(-1, 1, 1)
    product = nn.functional.conv2d(z, prototypes)
    return torch.relu(squared + (-2 * product + length))


def nearest(distance: Tensor) -> Tensor:
    """The minimum over the grid, by a pooling window as large as the grid: [N, P]."""
    pooled = -nn.functional.max_pool2d(-distance, (distance.size(2), distance.size(3)))
    return pooled.view(-1, distance.size(1))
