"""Encoders of the zoo: a few convolutions from a picture or a signal to the latent."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from models.architecture import ReceptiveField

Ending = Literal["sigmoid", "relu", "none"]


class Trunk(nn.Module):
    """Normalisation, convolutions with batch norm, a 1x1 convolution to the latent's channels.

    ``steps`` holds (outputs, kernel, stride, padding) of every convolution; ``axes`` is 2 for
    pictures and 1 for signals; ``ending`` is what comes after the last convolution.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        inputs: int,
        steps: tuple[tuple[int, int, int, int], ...],
        channels: int,
        ending: Ending,
        axes: int = 2,
    ) -> None:
        super().__init__()
        convolution = nn.Conv2d if axes == 2 else nn.Conv1d
        norm = nn.BatchNorm2d if axes == 2 else nn.BatchNorm1d
        self.register_buffer("mean", torch.zeros(1, inputs, *[1] * axes))
        self.register_buffer("std", torch.ones(1, inputs, *[1] * axes))
        self.steps, self.axes = steps, axes
        layers: list[nn.Module] = []
        for outputs, kernel, stride, padding in steps:
            layers += [
                convolution(inputs, outputs, kernel, stride, padding, bias=False),
                norm(outputs),
                nn.ReLU(),
            ]
            inputs = outputs
        layers.append(convolution(inputs, channels, 1))
        if ending != "none":
            layers.append(nn.Sigmoid() if ending == "sigmoid" else nn.ReLU())
        self.layers = nn.Sequential(*layers)

    @torch.no_grad()
    def learn_scale(self, x: Tensor) -> None:
        """Normalise by the mean and deviation of every input channel of ``x``."""
        over = [0, *range(2, x.ndim)]
        self.mean.copy_(x.mean(dim=over, keepdim=True))
        self.std.copy_(x.std(dim=over, keepdim=True).clamp(min=0.01))

    def forward(self, x: Tensor) -> Tensor:
        """Latent [n, channel, *place]."""
        latent: Tensor = self.layers((x - self.mean) / self.std)
        return latent

    def receptive_field(self) -> ReceptiveField:
        """What a location sees; a signal has one row."""
        size, stride, start = 1, 1, 0
        for _, kernel, step, padding in self.steps:
            size += (kernel - 1) * stride
            start -= padding * stride
            stride *= step
        if self.axes == 1:
            return ReceptiveField(size=(1, size), stride=(1, stride), start=(0, start))
        return ReceptiveField(size=(size, size), stride=(stride, stride), start=(start, start))


class Network(nn.Module):
    """Encoder and head: what is exported."""

    def __init__(self, encoder: Trunk, head: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Scores [n, class]."""
        scores: Tensor = self.head(self.encoder(x))
        return scores
