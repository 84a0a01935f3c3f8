"""Heads whose prototypes are channels of a softmax."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Concepts(nn.Module):
    """Softmax over the channels, max over the grid, (0 below 0.1), non-negative weights."""

    def __init__(self, channels: int, clamped: bool, classes: int = 3, bias: bool = False) -> None:
        super().__init__()
        self.softmax = nn.Softmax(dim=1)
        self.pool = nn.AdaptiveMaxPool2d(output_size=(1, 1))
        self.weight = nn.Parameter(torch.randn(classes, channels))
        self.bias = nn.Parameter(0.1 * torch.randn(classes)) if bias else None
        self.clamped = clamped

    def forward(self, z: Tensor) -> Tensor:
        present = self.pool(self.softmax(z)).flatten(1)
        if self.clamped:
            present = torch.where(present < 0.1, 0.0, present)
        return nn.functional.linear(present, torch.relu(self.weight), self.bias)


class Components(nn.Module):
    """As above, with reasons for and against: a (R+ - R-) + sum R-."""

    def __init__(self, channels: int, classes: int = 3) -> None:
        super().__init__()
        self.reasons = nn.Parameter(torch.randn(2 * channels, classes))

    def forward(self, z: Tensor) -> Tensor:
        present = torch.softmax(z, dim=1).amax(dim=(-2, -1))
        present = torch.where(present < 0.1, torch.zeros_like(present), present)
        share = torch.softmax(self.reasons, dim=0)
        positive, negative = share.chunk(2)
        return present @ (positive - negative) + negative.sum(0)


class Detections(nn.Module):
    """exp(-q / s) for components, reasons for, against and of no matter, a ratio per class."""

    def __init__(self, channels: int, classes: int = 3, components: int = 5) -> None:
        super().__init__()
        self.components = nn.Parameter(torch.rand(components, channels))
        self.reasons = nn.Parameter(torch.rand(2, components, classes))

    def forward(self, z: Tensor) -> Tensor:
        distance = ((z.unsqueeze(1) - self.components) ** 2).sum(-1)
        detected = torch.exp(-distance / 0.5)
        positive = self.reasons[0]
        negative = (1 - self.reasons[0]) * self.reasons[1]
        share = detected @ (positive - negative) + negative.sum(0)
        return share / ((positive + negative).sum(0) + 1e-6)


class Volume(nn.Module):
    """The same over a volume: softmax over the channels, max over three axes."""

    def __init__(self, channels: int, classes: int = 3) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, channels))

    def forward(self, z: Tensor) -> Tensor:
        present = nn.functional.adaptive_max_pool3d(torch.softmax(z, dim=1), 1).flatten(1)
        return present @ torch.relu(self.weight).t()
