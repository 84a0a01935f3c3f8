"""Heads with variances: Gaussian prototypes, radial functions, weighted votes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tests.support.foreign.parts import last_layer, log_ratio, points


class Mahalanobis(nn.Module):
    """Distances in units of a variance: one per prototype, one per channel, or a full matrix."""

    def __init__(self, channels: int, kind: str, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        count = classes * each
        self.prototypes = points(count, channels)
        shape = {"isotropic": (count, 1), "diagonal": (count, channels)}.get(kind)
        self.log_variance = nn.Parameter(torch.randn(*(shape or (count, 1))) / 2)
        self.factor = nn.Parameter(torch.eye(channels) + torch.randn(count, channels, channels) / 8)
        self.last, self.kind = last_layer(classes, each), kind

    def forward(self, z: Tensor) -> Tensor:
        patches = z.reshape(z.shape[0], z.shape[1], -1).transpose(1, 2).unsqueeze(2)
        difference = patches - self.prototypes.unsqueeze(0).unsqueeze(0)
        if self.kind == "general":
            difference = torch.einsum("blpd,pde->blpe", difference, self.factor)
            distance = (difference**2).sum(-1)
        else:
            distance = (torch.exp(-self.log_variance) * difference**2).sum(-1)
        return self.last(log_ratio(torch.relu(distance.transpose(1, 2).amin(-1))))


class LogDensity(nn.Module):
    """The log density of each Gaussian; the largest over the grid."""

    def __init__(self, channels: int, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = points(classes * each, channels)
        self.log_variance = nn.Parameter(torch.randn(classes * each, channels) / 2)
        self.last = last_layer(classes, each)

    def forward(self, z: Tensor) -> Tensor:
        patches = z.flatten(2).transpose(1, 2).unsqueeze(2)
        distance = (torch.exp(-self.log_variance) * (patches - self.prototypes) ** 2).sum(-1)
        constant = z.shape[1] * math.log(2 * math.pi) + self.log_variance.sum(-1)
        density = -0.5 * torch.relu(distance.amin(dim=1)) - 0.5 * constant
        return self.last(density)


class Mixture(nn.Module):
    """Mixtures of Gaussians per class on normalised latents; log of the weighted densities."""

    def __init__(self, channels: int, logged: bool, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.means = nn.Parameter(nn.functional.normalize(torch.randn(classes * each, channels)))
        self.deviations = nn.Parameter(0.4 + 0.4 * torch.rand(classes * each, channels))
        share = torch.softmax(torch.randn(classes, each), dim=1)
        self.weight = nn.Parameter(torch.block_diag(*share))
        self.logged = logged

    def forward(self, z: Tensor) -> Tensor:
        z = nn.functional.normalize(z, p=2, dim=1).flatten(2).transpose(1, 2)
        scaled = (z.unsqueeze(2) - self.means) / self.deviations
        constant = z.shape[2] * 0.5 * math.log(2 * math.pi) + torch.log(self.deviations).sum(-1)
        density = torch.exp(-constant - 0.5 * (scaled**2).sum(-1)).amax(dim=1)
        score = density @ self.weight.t()
        return torch.log(score) if self.logged else score


class Radial(nn.Module):
    """A radial basis network: exp(-gamma_j q), a dense layer with bias."""

    def __init__(self, channels: int, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(classes * each, channels))
        self.log_gamma = nn.Parameter(torch.randn(classes * each) / 4 - 1)
        self.last = last_layer(classes, each, bias=True)

    def forward(self, z: Tensor) -> Tensor:
        distance = ((z[:, None] - self.centres[None]) ** 2).sum(-1)
        return self.last(torch.exp(-self.log_gamma.exp() * distance))


class Votes(nn.Module):
    """Every prototype votes for classes with a weight that falls with its distance.

    ``kind``: a softmax of minus distances, a ratio of two sums, or weights that are divided by
    their sum before they vote.
    """

    def __init__(self, channels: int, kind: str, classes: int = 3, each: int = 3) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(classes * each, channels))
        self.values = nn.Parameter(torch.softmax(torch.randn(classes * each, classes), dim=1))
        self.kind = kind

    def forward(self, z: Tensor) -> Tensor:
        distance = ((z.unsqueeze(1) - self.prototypes) ** 2).sum(-1)
        if self.kind == "softmax":
            return torch.softmax(-distance / 2, dim=1) @ self.values
        weight = torch.exp(-distance / 2)
        if self.kind == "normalised":
            return (weight / weight.sum(dim=1, keepdim=True)) @ self.values
        return (weight @ self.values) / weight.sum(dim=1, keepdim=True)


class Focal(nn.Module):
    """Similarities exp(-d): the largest less their mean."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.prototypes = points(6, channels, 1, 1)
        self.last = last_layer(3, 2)

    def forward(self, z: Tensor) -> Tensor:
        squared = nn.functional.conv2d(z**2, torch.ones_like(self.prototypes))
        length = (self.prototypes**2).sum(dim=(1, 2, 3)).view(-1, 1, 1)
        product = nn.functional.conv2d(z, self.prototypes)
        similarity = torch.exp(-torch.relu(squared - 2 * product + length))
        return self.last(similarity.amax(dim=(2, 3))) - self.last(similarity.mean(dim=(2, 3)))


class Slots(nn.Module):
    """Classes choose prototypes by slots; the activation is the nearest less the mean."""

    def __init__(
        self, channels: int, similarity: str, hard: bool = True, dense: bool = True
    ) -> None:
        super().__init__()
        self.prototypes = points(5, channels, 1, 1)
        chosen = torch.tensor([[0, 1], [2, 3], [4, 0]])  # [class, slot]: prototype 0 is shared
        presence = nn.functional.one_hot(chosen, 5).transpose(1, 2).float()
        soft = torch.softmax(2 * presence + torch.randn(3, 5, 2), dim=1)
        self.slots = nn.Parameter(presence if hard else soft)
        self.last = last_layer(3, 2) if dense else None
        self.similarity = similarity

    def forward(self, z: Tensor) -> Tensor:
        squared = nn.functional.conv2d(z**2, torch.ones_like(self.prototypes))
        length = (self.prototypes**2).sum(dim=(1, 2, 3)).view(-1, 1, 1)
        product = nn.functional.conv2d(z, self.prototypes)
        distance = torch.relu(squared + (-2 * product + length))
        size = (distance.size(2), distance.size(3))
        smallest = -nn.functional.max_pool2d(-distance, size).flatten(1)
        average = nn.functional.avg_pool2d(distance, size).flatten(1)
        near = self._similar(torch.einsum("bp,cpn->bcn", smallest, self.slots))
        usual = self._similar(torch.einsum("bp,cpn->bcn", average, self.slots))
        focal = near - usual
        return focal.sum(-1) if self.last is None else self.last(focal.flatten(1))

    def _similar(self, distance: Tensor) -> Tensor:
        return log_ratio(distance) if self.similarity == "log" else 1 / (distance + 1)


class Plain(nn.Module):
    """Nearest less mean of distances that nothing cuts off: Neg, MaxPool, Neg beside AveragePool,
    1/(d+1) of both, one prototype for each class."""

    def __init__(self, channels: int, classes: int = 4) -> None:
        super().__init__()
        self.prototypes = points(classes, channels, 1, 1)

    def forward(self, z: Tensor) -> Tensor:
        distance = ((z.unsqueeze(1) - self.prototypes) ** 2).sum(2)
        size = (distance.size(2), distance.size(3))
        smallest = -nn.functional.max_pool2d(-distance, size).flatten(1)
        average = nn.functional.avg_pool2d(distance, size).flatten(1)
        return 1 / (smallest + 1) - 1 / (average + 1)
