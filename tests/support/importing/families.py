"""Heads of public projects in torch, from their formulas, with their names of tensors."""

from __future__ import annotations

import argparse
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

CLASSES, EACH, CHANNELS = 3, 2, 8
COUNT = CLASSES * EACH


def squared(z: Tensor, p: Tensor) -> Tensor:
    """Squared distances [n, prototype, row, column]."""
    return ((z[:, None] - p) ** 2).sum(dim=2)


def log_ratio(d: Tensor, epsilon: float = 1e-4) -> Tensor:
    return torch.log((d + 1) / (d + epsilon))


def projected(z: Tensor, p: Tensor) -> Tensor:
    return torch.conv2d(z, normalize(p, dim=1))


class Lineage(nn.Module):
    """What the descendants of one code base share."""

    def __init__(self, features: nn.Module, size: int) -> None:
        super().__init__()
        self.img_size = size
        self.prototype_shape = (COUNT, CHANNELS, 1, 1)
        self.num_prototypes, self.num_classes, self.epsilon = COUNT, CLASSES, 1e-4
        self.prototype_activation_function = "log"
        owner = torch.arange(COUNT) // EACH
        self.prototype_class_identity = torch.eye(CLASSES)[owner]
        self.proto_layer_rf_info = [2, 32, 64, 0.5]
        self.features = features
        self.add_on_layers = self.between(features.channels)
        self.prototype_vectors = nn.Parameter(torch.rand(self.prototype_shape))
        self.ones = nn.Parameter(torch.ones(self.prototype_shape), requires_grad=False)
        self.last_layer = nn.Linear(COUNT, CLASSES, bias=False)

    def between(self, channels: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(channels, CHANNELS, 1),
            nn.ReLU(),
            nn.Conv2d(CHANNELS, CHANNELS, 1),
            nn.Sigmoid(),
        )

    def latent(self, x: Tensor) -> Tensor:
        return self.add_on_layers(self.features(x))


class PPNet(Lineage):
    def forward(self, x: Tensor) -> Tensor:
        nearest = squared(self.latent(x), self.prototype_vectors).amin(dim=(2, 3))
        similar = -nearest
        if self.prototype_activation_function == "log":
            similar = log_ratio(nearest, self.epsilon)
        return self.last_layer(similar)


class Halved(PPNet):
    """The add-on layers that halve the channels step by step."""

    def between(self, channels: int) -> nn.Module:
        layers: list[nn.Module] = []
        while channels > CHANNELS or not layers:
            outputs = max(CHANNELS, channels // 2)
            layers += [nn.Conv2d(channels, outputs, 1), nn.ReLU(), nn.Conv2d(outputs, outputs, 1)]
            layers.append(nn.ReLU() if outputs > CHANNELS else nn.Sigmoid())
            channels //= 2
        return nn.Sequential(*layers)


class TESNet(Lineage):
    def forward(self, x: Tensor) -> Tensor:
        return self.last_layer(projected(self.latent(x), self.prototype_vectors).amax(dim=(2, 3)))


class OursNet(Lineage):
    """Weighed projections; no last layer."""

    def __init__(self, features: nn.Module, size: int) -> None:
        super().__init__(features, size)
        del self.last_layer
        self.activation_weight = nn.Parameter(torch.randn(COUNT))
        self.num_prototypes_per_class, self.shallow_layer_idx = EACH, 0

    def between(self, channels: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(channels, CHANNELS, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        best = projected(self.latent(x), self.prototype_vectors).amax(dim=(2, 3))
        share = torch.softmax(self.activation_weight.view(CLASSES, EACH), dim=1) * EACH
        return (best.view(-1, CLASSES, EACH) * share).sum(dim=2)


class STProtoPNet(Lineage):
    """``full``: cosines behind an upsampling; else projections behind tanh."""

    def __init__(self, features: nn.Module, size: int, full: bool) -> None:
        super().__init__(features, size)
        del self.add_on_layers, self.prototype_vectors, self.last_layer
        self.full = full
        for kind in ("trivial", "support"):
            self.add_module(f"add_on_layers_{kind}", self.doubled(features.channels, full))
            vectors = nn.Parameter(torch.randn(self.prototype_shape))
            self.register_parameter(f"prototype_vectors_{kind}", vectors)
            self.add_module(f"last_layer_{kind}", nn.Linear(COUNT, CLASSES, bias=False))

    @staticmethod
    def doubled(channels: int, full: bool) -> nn.Module:
        first, second = nn.Conv2d(channels, CHANNELS, 1), nn.Conv2d(CHANNELS, CHANNELS, 1)
        if full:
            return nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), first, second)
        return nn.Sequential(first, nn.Tanh(), second, nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        features = self.features(x)
        scores = 0
        for kind in ("trivial", "support"):
            z = getattr(self, f"add_on_layers_{kind}")(features)
            if self.full:
                z = normalize(z, dim=1)
            near = projected(z, getattr(self, f"prototype_vectors_{kind}"))
            near = torch.relu(near) if self.full else near
            scores = scores + getattr(self, f"last_layer_{kind}")(near.amax(dim=(2, 3)))
        return scores


class NonNegLinear(nn.Linear):
    def __init__(self, inputs: int, outputs: int, bias: bool) -> None:
        super().__init__(inputs, outputs, bias)
        self.normalization_multiplier = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, torch.relu(self.weight), self.bias)


class PIPNet(nn.Module):
    def __init__(self, features: nn.Module, added: int = 0, bias: bool = False) -> None:
        super().__init__()
        width = added or features.channels
        self._num_features, self._num_classes, self._num_prototypes = added, CLASSES, width
        self._net = features
        before = [nn.Conv2d(features.channels, added, 1)] if added else []
        self._add_on = nn.Sequential(*before, nn.Softmax(dim=1))
        self._classification = NonNegLinear(width, CLASSES, bias)
        self._multiplier = self._classification.normalization_multiplier

    def forward(self, x: Tensor) -> Tensor:
        best = self._add_on(self._net(x)).amax(dim=(2, 3))
        return self._classification(torch.where(best < 0.1, 0.0, best))


class PrototypeChooser(Lineage):
    """A pool of prototypes in slots; a slot holds its most probable one."""

    def __init__(self, features: nn.Module, last_layer: bool = True) -> None:
        super().__init__(features, 0)
        self.num_descriptive, self.use_last_layer = EACH, last_layer
        self.proto_presence = nn.Parameter(torch.randn(CLASSES, COUNT, EACH))
        if not last_layer:
            self.last_layer = nn.Identity()

    def between(self, channels: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(channels, CHANNELS, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        distances = squared(self.latent(x), self.prototype_vectors)
        chosen = self.proto_presence.argmax(dim=1).flatten()
        near, mean = distances.amin(dim=(2, 3))[:, chosen], distances.mean(dim=(2, 3))[:, chosen]
        focal = log_ratio(near) - log_ratio(mean)
        if self.use_last_layer:
            return self.last_layer(focal)
        return focal.view(-1, CLASSES, EACH).sum(dim=2)


class Leaf(nn.Module):
    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index
        self._dist_params = nn.Parameter(torch.randn(CLASSES), requires_grad=False)

    def forward(self, similar: Tensor, place: dict[nn.Module, int]) -> Tensor:
        return torch.softmax(self._dist_params, dim=0)[None]


class Branch(nn.Module):
    def __init__(self, index: int, left: nn.Module, right: nn.Module) -> None:
        super().__init__()
        self.index, self.l, self.r = index, left, right

    def forward(self, similar: Tensor, place: dict[nn.Module, int]) -> Tensor:
        goes = similar[:, place[self], None]
        return (1 - goes) * self.l(similar, place) + goes * self.r(similar, place)


class L2Conv2D(nn.Module):
    def __init__(self, prototypes: int) -> None:
        super().__init__()
        self.prototype_vectors = nn.Parameter(torch.randn(prototypes, CHANNELS, 1, 1))


class ProtoTree(nn.Module):
    """Of depth two, the map from nodes to prototypes in an order of its own."""

    def __init__(self, features: nn.Module, order: tuple[int, ...] = (2, 0, 1)) -> None:
        super().__init__()
        numbers = count()
        below = [Branch(next(numbers), Leaf(10 + 2 * k), Leaf(11 + 2 * k)) for k in range(2)]
        self._root = Branch(next(numbers), *below)
        self._out_map = dict(zip([self._root, *below], order, strict=True))
        self._parents = {self._root: None, below[0]: self._root, below[1]: self._root}
        self._log_probabilities = self._kontschieder_normalization = False
        self._kontschieder_train = False
        self._num_classes, self.num_features, self.num_prototypes = CLASSES, CHANNELS, 3
        self.prototype_shape = (1, 1, CHANNELS)
        self._net = features
        self._add_on = nn.Sequential(
            nn.Conv2d(features.channels, CHANNELS, 1, bias=False), nn.Sigmoid()
        )
        self.prototype_layer = L2Conv2D(3)

    def forward(self, x: Tensor) -> Tensor:
        distances = squared(self._add_on(self._net(x)), self.prototype_layer.prototype_vectors)
        similar = torch.exp(-torch.sqrt(distances + 1e-14).amin(dim=(2, 3)))
        return self._root(similar, self._out_map)


def namespace(**values: Any) -> argparse.Namespace:
    """Arguments of a training, as they lie beside the tensors."""
    return argparse.Namespace(**values)
