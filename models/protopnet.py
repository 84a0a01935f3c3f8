"""ProtoPNet (Chen et al., "This Looks Like That", NeurIPS 2019) for small images.

An encoder maps the image to a grid of latent vectors in [0,1]^D (the last add-on layer is a
sigmoid); each prototype is a point of that space; its measurement at a location is the squared L2
distance, its activation the largest similarity log((q+1)/(q+eps)) over the locations; a linear
layer without bias turns activations into logits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from models.architecture import Architecture, Layer

EPSILON = 1e-4
"""The similarity's constant, as published."""
OWN_CLASS, OTHER_CLASS = 1.0, -0.5
"""Initial last-layer weights between a prototype and its own class, and any other class."""


class Output(NamedTuple):
    """What a forward pass yields; the measurement is a squared L2 distance."""

    latent: Float[Tensor, "image channel row column"]
    measurement: Float[Tensor, "image prototype row column"]
    nearest: Float[Tensor, "image prototype"]
    activation: Float[Tensor, "image prototype"]
    logits: Float[Tensor, "image class_"]


class Block(nn.Module):
    """One planned layer: convolution, optional batch norm, activation.

    With ``keep_width`` the random weights are so small that an interval keeps its width from
    layer to layer (Shi et al., "Fast Certified Robust Training with Short Warmup", NeurIPS 2021).
    The bounds of a network with ordinary random weights cover the sigmoid's whole range, where
    its gradient vanishes: certified training would never start.
    """

    def __init__(self, layer: Layer, keep_width: bool) -> None:
        super().__init__()
        self.layer = layer
        self.convolution = nn.Conv2d(
            layer.inputs,
            layer.outputs,
            layer.kernel,
            stride=layer.stride,
            padding=layer.padding,
            bias=not layer.batch_norm,
        )
        self.norm = nn.BatchNorm2d(layer.outputs) if layer.batch_norm else None
        weight = self.convolution.weight
        if keep_width:
            nn.init.normal_(weight, std=math.sqrt(2 * math.pi) / weight[0].numel())
        else:
            nn.init.kaiming_normal_(weight, nonlinearity=layer.activation)
        if self.convolution.bias is not None:
            nn.init.zeros_(self.convolution.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.convolution(x)
        if self.norm is not None:
            x = self.norm(x)
        return torch.relu(x) if self.layer.activation == "relu" else torch.sigmoid(x)


class Encoder(nn.Module):
    """Normalisation and the planned blocks: an image in [0,1] to its latent."""

    mean: Tensor
    std: Tensor

    def __init__(self, architecture: Architecture, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.architecture = architecture
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))
        # Only encoders planned for certified training have no batch norm at all.
        keep_width = not any(layer.batch_norm for layer in architecture.layers)
        self.blocks = nn.ModuleList(Block(layer, keep_width) for layer in architecture.layers)

    def forward(
        self, x: Float[Tensor, "image input_channel height width"]
    ) -> Float[Tensor, "image channel row column"]:
        x = (x - self.mean) / self.std
        for block in self.blocks:
            x = block(x)
        return x


class ProtoPNet(nn.Module):
    """The whole network. ``prototype_class[j]`` is the class that prototype j belongs to."""

    prototype_class: Tensor

    def __init__(
        self,
        architecture: Architecture,
        classes: int,
        prototypes_per_class: int,
        mean: list[float],
        std: list[float],
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.encoder = Encoder(architecture, mean, std)
        prototypes = classes * prototypes_per_class
        self.prototypes = nn.Parameter(torch.rand(prototypes, architecture.channels, 1, 1))
        owner = torch.arange(classes).repeat_interleave(prototypes_per_class)
        self.register_buffer("prototype_class", owner)
        self.head = nn.Linear(prototypes, classes, bias=False)
        own = self.own_class()
        self.head.weight.data = torch.where(own, OWN_CLASS, OTHER_CLASS)

    def own_class(self) -> Tensor:
        """Boolean [class, prototype]: does the prototype belong to the class?"""
        classes = torch.arange(self.head.out_features, device=self.prototype_class.device)
        return classes[:, None] == self.prototype_class[None, :]

    def measure(
        self,
        latent: Float[Tensor, "image channel row column"],
        prototypes: Float[Tensor, "prototype channel 1 1"],
    ) -> Float[Tensor, "image prototype row column"]:
        """Squared L2 distances as |z|^2 - 2 z.p + |p|^2 (never negative over the reals)."""
        z_norm = (latent * latent).sum(dim=1, keepdim=True)
        p_norm = (prototypes * prototypes).sum(dim=1).view(1, -1, 1, 1)
        z_dot_p = nn.functional.conv2d(latent, prototypes)
        return torch.relu(z_norm - 2 * z_dot_p + p_norm)

    @torch.no_grad()
    def decide(
        self, latent: Float[Tensor, "image channel row column"]
    ) -> tuple[Float[Tensor, "image prototype"], Float[Tensor, "image class_"]]:
        """Nearest squared distances and logits in float64, from sums of squared differences."""
        apart = latent.double()[:, None] - self.prototypes.double()[None]
        nearest = (apart * apart).sum(dim=2).flatten(2).amin(dim=2)
        return nearest, similarity(nearest) @ self.head.weight.double().T

    def forward(self, x: Float[Tensor, "image input_channel height width"]) -> Output:
        """Run the whole network on images in [0,1]."""
        latent = self.encoder(x)
        measurement = self.measure(latent, self.prototypes)
        # The similarity decreases in q, so its maximum over locations sits at the smallest q.
        nearest = measurement.flatten(2).amin(dim=2)
        activation = similarity(nearest)
        return Output(latent, measurement, nearest, activation, self.head(activation))


def similarity(q: Tensor) -> Tensor:
    """log((q+1)/(q+eps)) of a squared distance q >= 0; decreasing in q."""
    return torch.log((q + 1) / (q + EPSILON))


def cluster_cost(nearest: Tensor, labels: Tensor, own: Tensor) -> Tensor:
    """Mean over images of the squared distance to the nearest prototype of the image's class."""
    mine = own[labels]
    return nearest.masked_fill(~mine, float("inf")).amin(dim=1).mean()


def separation_cost(nearest: Tensor, labels: Tensor, own: Tensor) -> Tensor:
    """Minus the mean squared distance to the nearest prototype of another class."""
    mine = own[labels]
    return -nearest.masked_fill(mine, float("inf")).amin(dim=1).mean()
