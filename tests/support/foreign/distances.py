"""Heads that compare by squared or plain Euclidean distance."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.support.foreign.parts import expanded, last_layer, log_ratio, nearest, points


class ProtoPNet(nn.Module):
    """q by convolutions, min over the grid, log ratio or negation, a dense layer without bias."""

    def __init__(
        self,
        channels: int,
        classes: int = 3,
        each: int = 2,
        similarity: str = "log",
        size: tuple[int, int] = (1, 1),
        both: bool = True,
    ) -> None:
        super().__init__()
        self.prototype_vectors = points(classes * each, channels, *size)
        self.ones = nn.Parameter(torch.ones(classes * each, channels, *size), requires_grad=False)
        self.last_layer = last_layer(classes, each)
        self.similarity, self.both = similarity, both

    def forward(self, z: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        squared = nn.functional.conv2d(z**2, self.ones)
        length = torch.sum(self.prototype_vectors**2, dim=(1, 2, 3)).view(-1, 1, 1)
        product = nn.functional.conv2d(z, self.prototype_vectors)
        closest = nearest(torch.relu(squared + (-2 * product + length)))
        activation = -closest if self.similarity == "linear" else log_ratio(closest)
        logits = self.last_layer(activation)
        return (logits, closest) if self.both else logits


class SimilarityThenPool(nn.Module):
    """The similarity map first, its maximum over the grid afterwards."""

    def __init__(self, channels: int, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = points(classes * each, channels, 1, 1)
        self.last = last_layer(classes, each)

    def forward(self, z: Tensor) -> Tensor:
        similarity = log_ratio(expanded(z, self.prototypes))
        return self.last(torch.amax(similarity.flatten(2), dim=2))


class Pairwise(nn.Module):
    """Differences written out, min over both axes of the grid, negated distances."""

    def __init__(self, channels: int, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = points(classes * each, channels, 1, 1)
        self.last = last_layer(classes, each)

    def forward(self, z: Tensor) -> Tensor:
        difference = z.unsqueeze(1) - self.prototypes.expand(-1, -1, z.size(2), z.size(3))
        return self.last(-torch.amin((difference**2).sum(dim=2), dim=(-2, -1)))


class TopK(nn.Module):
    """The mean of the k largest similarities of each prototype."""

    def __init__(self, channels: int, k: int = 3, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = points(classes * each, channels, 1, 1)
        self.last, self.k = last_layer(classes, each), k

    def forward(self, z: Tensor) -> Tensor:
        similarity = log_ratio(expanded(z, self.prototypes)).flatten(2)
        return self.last(torch.topk(similarity, self.k, dim=-1)[0].mean(dim=-1))


class PlainDistance(nn.Module):
    """Euclidean distance that is not squared, log ratio, the mean of the k largest."""

    def __init__(self, channels: int, k: int = 2, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = points(classes * each, channels)
        self.last, self.k = last_layer(classes, each), k

    def forward(self, z: Tensor) -> Tensor:
        patches = z.flatten(2).transpose(1, 2)
        difference = patches.unsqueeze(2) - self.prototypes
        similarity = log_ratio(torch.sqrt((difference**2).sum(-1)))
        return self.last(torch.topk(similarity, self.k, dim=1)[0].mean(dim=1))


class Cdist(nn.Module):
    """The library's pairwise distance, squared, min over the flattened grid, relu, log ratio."""

    def __init__(self, channels: int, classes: int = 3, each: int = 10) -> None:
        super().__init__()
        self.prototypes = points(classes * each, channels)  # above 25: matrix product inside
        self.last = last_layer(classes, each)

    def forward(self, z: Tensor) -> Tensor:
        distance = torch.cdist(z.flatten(2).transpose(1, 2), self.prototypes) ** 2
        return self.last(log_ratio(torch.relu(torch.min(distance, dim=1)[0])))


class RawDistances(nn.Module):
    """One latent vector; the squared distances themselves go into the dense layer."""

    def __init__(self, channels: int, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = points(classes * each, channels)
        self.weight = nn.Parameter(-last_layer(classes, each).weight.detach().T.contiguous())

    def forward(self, z: Tensor) -> Tensor:
        flat = z.reshape(z.shape[0], -1)
        mine = (flat**2).sum(dim=1).view(-1, 1)
        theirs = (self.prototypes**2).sum(dim=1).view(1, -1)
        distance = mine + theirs - 2 * torch.matmul(flat, self.prototypes.t())
        return torch.softmax(torch.matmul(distance, self.weight), dim=1)


class NearestMean(nn.Module):
    """log softmax of negated squared distances to one mean per class."""

    def __init__(self, channels: int, classes: int = 4) -> None:
        super().__init__()
        self.means = nn.Parameter(torch.randn(classes, channels))

    def forward(self, z: Tensor) -> Tensor:
        difference = z.unsqueeze(1) - self.means.unsqueeze(0)
        return torch.log_softmax(-(difference**2).sum(2), dim=1)


class OneEach(nn.Module):
    """One prototype for each class, and as many as channels: exp(-g_j q) of the smallest distance,
    a layer that changes nothing, a softmax without the axis of the batch."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.prototypes = points(classes, classes, 1, 1)
        self.rates = nn.Parameter(0.5 + torch.rand(classes))
        self.last = nn.Linear(classes, classes)
        self.last.weight = nn.Parameter(torch.eye(classes))

    def forward(self, z: Tensor) -> Tensor:
        near = nearest(expanded(z, self.prototypes))
        logits = self.last(torch.exp(-self.rates * near))
        return torch.softmax(logits / 0.3, dim=1).squeeze(0)


class Flat(nn.Module):
    """Channels last: [N, H, W, D] latents, differences along the last axis."""

    def __init__(self, channels: int, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = points(classes * each, channels)
        self.last = last_layer(classes, each)

    def forward(self, z: Tensor) -> Tensor:
        z = torch.sigmoid(z.permute(0, 2, 3, 1))  # the latent itself is channels-last
        distance = ((z.unsqueeze(3) - self.prototypes) ** 2).sum(-1)
        return self.last(log_ratio(distance.amin(dim=(1, 2))))


class Pixels(nn.Module):
    """No pooling: every location has its own logits, [N, H, W, K], or those of one place."""

    def __init__(
        self,
        channels: int,
        place: tuple[int, int] | None,
        classes: int = 3,
        each: int = 2,
    ) -> None:
        super().__init__()
        self.prototypes = points(classes * each, channels, 1, 1)
        self.last, self.place = last_layer(classes, each), place

    def forward(self, z: Tensor) -> Tensor:
        distance = expanded(z, self.prototypes).permute(0, 2, 3, 1)
        logits = self.last(log_ratio(distance.reshape(-1, distance.shape[-1])))
        maps = logits.reshape(distance.shape[0], z.shape[2], z.shape[3], -1)
        return maps if self.place is None else maps[:, self.place[0], self.place[1]]


class Levels(nn.Module):
    """Several latents, each with its prototypes and its layer; the logits are added."""

    def __init__(self, channels: int, levels: int = 3, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = nn.ParameterList(
            points(classes * each, channels, 1, 1) for _ in range(levels)
        )
        self.last = nn.ModuleList(last_layer(classes, each) for _ in range(levels))

    def forward(self, latents: tuple[Tensor, ...]) -> Tensor:
        total = torch.zeros(())
        for z, prototypes, last in zip(latents, self.prototypes, self.last, strict=True):
            total = total + last(torch.exp(-nearest(expanded(z, prototypes)) / 256))
        return total


class ChannelsAsPlaces(nn.Module):
    """Prototypes are maps over the grid, every channel is a place; best of class, then linear."""

    def __init__(self, grid: int = 9, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = points(classes * each, grid)
        self.last, self.shape = last_layer(classes, 1), (classes, each)

    def forward(self, z: Tensor) -> Tensor:
        maps = z.reshape(z.shape[0], 1, z.shape[1], -1)
        distance = ((maps - self.prototypes[None, :, None, :]) ** 2).sum(-1)
        activation = log_ratio(torch.relu(distance).amin(-1))
        return self.last(activation.reshape(-1, *self.shape).amax(2))


class Lvq(nn.Module):
    """Learning vector quantisation: minus the smallest distance to a prototype of the class."""

    def __init__(self, channels: int, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(classes * each, channels))
        self.shape = (classes, each)

    def forward(self, x: Tensor) -> Tensor:
        distance = ((x.unsqueeze(1) - self.prototypes) ** 2).sum(-1)
        return -distance.reshape(-1, *self.shape).amin(-1)


class MatrixLvq(nn.Module):
    """Learning vector quantisation with a matrix, which latent and prototypes (or their
    differences) are multiplied by."""

    def __init__(self, channels: int, differences: bool, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(classes * each, channels))
        self.matrix = nn.Parameter(torch.eye(channels) + torch.randn(channels, channels) / 4)
        self.shape, self.differences = (classes, each), differences

    def forward(self, x: Tensor) -> Tensor:
        if self.differences:
            difference = (x.unsqueeze(1) - self.prototypes) @ self.matrix
        else:
            difference = (x @ self.matrix).unsqueeze(1) - self.prototypes @ self.matrix
        distance = (difference**2).sum(-1)
        return -distance.reshape(-1, *self.shape).amin(-1)


class Labels(nn.Module):
    """Over a signal [N, D, T]: max over time, one sigmoid per label."""

    def __init__(self, channels: int, labels: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = points(labels * each, channels, 1)
        self.last = last_layer(labels, each, bias=True)

    def forward(self, z: Tensor) -> Tensor:
        squared = nn.functional.conv1d(z**2, torch.ones_like(self.prototypes))
        length = (self.prototypes**2).sum(dim=(1, 2)).view(-1, 1)
        distance = squared - 2 * nn.functional.conv1d(z, self.prototypes) + length
        closest = -nn.functional.max_pool1d(-torch.relu(distance), distance.shape[-1]).squeeze(-1)
        return torch.sigmoid(self.last(log_ratio(closest)))


class SignalDistance(nn.Module):
    """One vector: log((d+1)/(d+1e-4)) of plain distances, one sigmoid per label."""

    def __init__(self, channels: int, labels: int = 3, each: int = 10) -> None:
        super().__init__()
        self.prototypes = points(labels * each, channels)  # above 25: matrix product inside
        self.last = last_layer(labels, each)

    def forward(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.last(log_ratio(torch.cdist(z, self.prototypes))))
