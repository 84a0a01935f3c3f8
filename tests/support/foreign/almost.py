"""Networks that are nearly heads of the algebra, each with one thing that no rule covers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from tests.support.foreign import encoders
from tests.support.foreign.parts import expanded, last_layer, log_ratio, nearest, points


class Almost(nn.Module):
    """A head whose activations [N, P] are some function of the latent and the prototypes."""

    def __init__(self, activation: Callable[[Tensor, Tensor], Tensor], channels: int = 8) -> None:
        super().__init__()
        self.prototypes = points(6, channels, 1, 1)
        self.last, self.activation = last_layer(3, 2), activation

    def forward(self, z: Tensor) -> Tensor:
        return self.last(self.activation(z, self.prototypes))


class Gated(nn.Module):
    """A proper head whose logits are shifted by the raw image."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = encoders.plain(8)
        self.head = Almost(_proper)
        self.gate = nn.Linear(1, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x)) + self.gate(x.mean(dim=(-2, -1)))


def _closest(z: Tensor, prototypes: Tensor) -> Tensor:
    return nearest(expanded(z, prototypes))


def _proper(z: Tensor, prototypes: Tensor) -> Tensor:
    return log_ratio(_closest(z, prototypes))


def _wave(z: Tensor, prototypes: Tensor) -> Tensor:
    return torch.sin(_closest(z, prototypes))


def _bump(z: Tensor, prototypes: Tensor) -> Tensor:
    return torch.exp(-((_closest(z, prototypes) - 1) ** 2))


def _products(z: Tensor, prototypes: Tensor) -> Tensor:
    activation = _proper(z, prototypes)
    return activation * activation.flip(1)


def _weighted_by_latent(z: Tensor, prototypes: Tensor) -> Tensor:
    return nearest(expanded(z, prototypes) * z.mean(dim=1, keepdim=True))


def _attention_pooling(z: Tensor, prototypes: Tensor) -> Tensor:
    distance = expanded(z, prototypes).flatten(2)
    return (torch.softmax(-distance, dim=2) * distance).sum(dim=2)


def _moving_prototypes(z: Tensor, prototypes: Tensor) -> Tensor:
    moved = prototypes[None, :, :, 0, 0] + z.mean(dim=(-2, -1)).unsqueeze(1)
    difference = z.flatten(2).unsqueeze(1) - moved.unsqueeze(-1)
    return log_ratio((difference**2).sum(2).amin(-1))


def _cubes(z: Tensor, prototypes: Tensor) -> Tensor:
    difference = z.flatten(2).unsqueeze(1) - prototypes[None, :, :, :, 0]
    return -(torch.abs(difference) ** 3).sum(2).amin(-1)


ALMOST: dict[str, Callable[[], nn.Module]] = {
    "a wave of the distance": partial(Almost, _wave),
    "a bump of the distance": partial(Almost, _bump),
    "products of activations": partial(Almost, _products),
    "distances weighted by the latent": partial(Almost, _weighted_by_latent),
    "attention over places": partial(Almost, _attention_pooling),
    "prototypes that move with the image": partial(Almost, _moving_prototypes),
    "cubes of differences": partial(Almost, _cubes),
}


def almost(name: str) -> nn.Module:
    """One of them behind a small encoder, the same every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return encoders.Network(encoders.plain(8), ALMOST[name]()).eval()


def gated() -> nn.Module:
    """See ``Gated``; the same every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Gated().eval()
