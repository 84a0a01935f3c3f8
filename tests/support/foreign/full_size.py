"""The size that the field trains: 34 layers, 224 x 224, 2,000 prototypes, 200 classes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.support.foreign.distances import ProtoPNet
from tests.support.foreign.encoders import Network

SHAPE = (1, 3, 224, 224)
CHANNELS, CLASSES, EACH = 128, 200, 10
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))  # channels and blocks


class Block(nn.Module):
    """Two convolutions beside the identity, or beside a projection where the shape changes."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.beside: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            self.beside = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.beside(x))


def full_size(seed: int = 0) -> nn.Module:
    """The network with random weights: [1, 3, 224, 224] to a latent of 128 x 7 x 7."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = [
            nn.Conv2d(3, 64, 7, 2, 3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        ]
        before = 64
        for stage, (channels, blocks) in enumerate(STAGES):
            for number in range(blocks):
                layers.append(Block(before, channels, 2 if stage and not number else 1))
                before = channels
        layers += [
            nn.Conv2d(before, CHANNELS, 1),
            nn.ReLU(),
            nn.Conv2d(CHANNELS, CHANNELS, 1),
            nn.Sigmoid(),
        ]
        head = ProtoPNet(CHANNELS, CLASSES, EACH)
        return Network(nn.Sequential(*layers), head).eval()
