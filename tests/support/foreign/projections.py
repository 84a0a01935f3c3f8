"""Heads that compare by a projection or an angle."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.support.foreign.parts import directions, last_layer, points


def _largest(score: Tensor) -> Tensor:
    """The maximum over the grid by a pooling window as large as the grid: [N, P]."""
    pooled = functional.max_pool2d(score, (score.size(2), score.size(3)))
    return pooled.view(-1, score.size(1))


class Projection(nn.Module):
    """z . p/|p|, its maximum, a dense layer; ``both``: also the smallest cosine distance."""

    def __init__(self, channels: int, both: bool = False, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = points(classes * each, channels, 1, 1)
        self.last, self.both = last_layer(classes, each), both

    def forward(self, z: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        unit = functional.normalize(self.prototypes, p=2, dim=1)
        logits = self.last(_largest(functional.conv2d(z, unit)))
        if not self.both:
            return logits
        cosine = functional.conv2d(functional.normalize(z, p=2, dim=1), unit)
        return logits, -_largest(cosine)


class Cosine(nn.Module):
    """The product divided by both norms, 1 - (1 - cosine), the adaptive maximum."""

    def __init__(self, channels: int, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = directions(classes * each, channels, 1, 1)
        self.last = last_layer(classes, each)

    def forward(self, z: Tensor) -> Tensor:
        length = torch.norm(z, dim=1, keepdim=True)
        own = torch.norm(self.prototypes, dim=1).view(1, -1, 1, 1)
        cosine = functional.conv2d(z, self.prototypes) / (length * own + 1e-8)
        similarity = 1 - (1 - cosine)
        return self.last(torch.flatten(functional.adaptive_max_pool2d(similarity, 1), 1))


class Directions(nn.Module):
    """z . p/|p| with one p for each class, its maximum, and nothing behind it."""

    def __init__(self, channels: int, classes: int = 3) -> None:
        super().__init__()
        self.prototypes = points(classes, channels, 1, 1)

    def forward(self, z: Tensor) -> Tensor:
        return _largest(functional.conv2d(z, functional.normalize(self.prototypes, dim=1)))


class CosineDistance(nn.Module):
    """Minus the mean cosine distance to one prototype for each class, over a temperature."""

    def __init__(self, channels: int, classes: int = 3) -> None:
        super().__init__()
        self.prototypes = directions(classes, channels)

    def forward(self, z: Tensor) -> Tensor:
        tokens = z.flatten(2).transpose(1, 2)
        length = torch.norm(tokens, dim=-1, keepdim=True) * torch.norm(self.prototypes, dim=-1)
        distance = 1 - tokens @ self.prototypes.t() / (length + 1e-6)
        return -distance.mean(dim=1) / 0.1


class CosineFunction(nn.Module):
    """``cosine_similarity`` of every token with every prototype; the maximum over the tokens."""

    def __init__(self, channels: int, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = directions(classes * each, channels)
        self.last = last_layer(classes, each)

    def forward(self, z: Tensor) -> Tensor:
        tokens = z.flatten(2).transpose(1, 2).unsqueeze(2)
        score = functional.cosine_similarity(tokens, self.prototypes[None, None], dim=-1)
        return self.last(score.amax(dim=1))


class CosineBeside(nn.Module):
    """Tokens and prototypes, each divided by its norm and a little more; the best token."""

    def __init__(self, channels: int, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = directions(classes * each, channels)
        self.last = last_layer(classes, each)

    def forward(self, z: Tensor) -> Tensor:
        tokens = self._unit(z.flatten(2).transpose(1, 2))
        return self.last((tokens @ self._unit(self.prototypes).t()).amax(dim=1))

    @staticmethod
    def _unit(x: Tensor) -> Tensor:
        return x / (torch.norm(x, dim=-1, keepdim=True) + 1e-3)


class TwoBanks(nn.Module):
    """Two latents, each with its own prototypes and layer; the logits are added, or not."""

    def __init__(self, channels: int, added: bool = True, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.trivial = directions(classes * each, channels, 1, 1)
        self.support = directions(classes * each, channels, 1, 1)
        self.last_trivial, self.last_support = (last_layer(classes, each) for _ in range(2))
        self.added = added

    def forward(self, latents: tuple[Tensor, Tensor]) -> Tensor | tuple[Tensor, Tensor]:
        logits = [
            layer(_largest(torch.relu(self._cosine(z, prototypes))))
            for z, prototypes, layer in (
                (latents[0], self.trivial, self.last_trivial),
                (latents[1], self.support, self.last_support),
            )
        ]
        return logits[0] + logits[1] if self.added else (logits[0], logits[1])

    @staticmethod
    def _cosine(z: Tensor, prototypes: Tensor) -> Tensor:
        unit = functional.normalize(prototypes, p=2, dim=1)
        return functional.conv2d(functional.normalize(z, p=2, dim=1), unit)


class ClassWeights(nn.Module):
    """Projections weighted by a softmax over the prototypes of the class, then summed."""

    def __init__(self, channels: int, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = points(classes * each, channels, 1, 1)
        self.weight = nn.Parameter(torch.randn(classes, each))
        self.shape = (classes, each)

    def forward(self, z: Tensor) -> Tensor:
        unit = functional.normalize(self.prototypes, p=2, dim=1)
        share = self.shape[1] * torch.softmax(self.weight, dim=1)
        activation = _largest(functional.conv2d(z, unit)) * share.flatten()
        return activation.reshape(-1, *self.shape).sum(-1)


class Parts(nn.Module):
    """Two small constant channels, norms with a constant under the root, relu, top-1.

    ``weights``: the dense layer of the deformable network; else one weight per own prototype,
    made positive, and a bias.
    """

    def __init__(self, channels: int, dense: bool, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = points(classes * each, channels, 1, 1)
        self.last = last_layer(classes, each) if dense else None
        self.weight = nn.Parameter(torch.randn(classes, each) + 1)
        self.bias = nn.Parameter(torch.full((classes,), -2.0))
        self.shape, self.epsilon = (classes, each), 1e-4

    def forward(self, z: Tensor) -> Tensor:
        z = 64 * self._unit(self._longer(z), dim=-3)
        own = self._longer(self.prototypes)
        length = torch.sqrt((own**2).sum(dim=-3, keepdim=True) + self.epsilon)
        score = functional.conv2d(z, own / (length + self.epsilon)) / (64 * 1.01)
        places = torch.relu(score).view(score.shape[0], score.shape[1], -1)
        activation = torch.topk(places, k=1, dim=-1)[0].mean(dim=-1)
        if self.last is not None:
            return self.last(activation)
        grouped = activation.reshape(-1, *self.shape)
        return torch.einsum("bof,of->bo", grouped, torch.relu(self.weight)) + self.bias

    def _longer(self, x: Tensor) -> Tensor:
        more = torch.full((x.shape[0], 2, x.shape[2], x.shape[3]), self.epsilon)
        return torch.cat([x, more], dim=-3)

    def _unit(self, x: Tensor, dim: int) -> Tensor:
        return x / torch.sqrt((x**2).sum(dim=dim, keepdim=True) + self.epsilon)


class Poles(nn.Module):
    """One vector, normalised, against one fixed unit vector per class."""

    def __init__(self, channels: int, classes: int = 4) -> None:
        super().__init__()
        self.polars = functional.normalize(torch.randn(classes, channels), dim=1)

    def forward(self, z: Tensor) -> Tensor:
        return torch.matmul(functional.normalize(z, p=2, dim=1), self.polars.t())


class Arc(nn.Module):
    """One vector: the cosine to every prototype, a dense layer, a sigmoid per label."""

    def __init__(self, channels: int, labels: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = points(labels * each, channels)
        self.last = last_layer(labels, each)

    def forward(self, z: Tensor) -> Tensor:
        unit = functional.normalize(self.prototypes, p=2, dim=1)
        cosine = torch.matmul(functional.normalize(z, p=2, dim=1), unit.t())
        return torch.sigmoid(self.last(cosine))


class Stretches(nn.Module):
    """Prototypes of several time steps; each window is normalised; the mean over windows."""

    def __init__(self, channels: int, width: int = 3, labels: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = points(labels * each, channels, width)
        self.last, self.width = last_layer(labels, each), width
        self.size = (channels * width) ** 0.5

    def forward(self, z: Tensor) -> Tensor:
        own = self.prototypes / torch.sqrt((self.prototypes**2).sum((1, 2), True) + 1e-4)
        scores = []
        for start in range(z.shape[-1] - self.width + 1):
            window = z[:, :, start : start + self.width]
            window = self.size * window / torch.sqrt((window**2).sum((1, 2), True) + 1e-4)
            scores.append((window.unsqueeze(1) * own).sum((2, 3)) / self.width)
        return torch.sigmoid(self.last(torch.stack(scores, dim=-1).mean(-1)))


class TokenCosine(nn.Module):
    """Patch tokens less the class token, normalised, against prototypes; max over the tokens."""

    def __init__(self, channels: int, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = directions(classes * each, channels)
        self.last = last_layer(classes, each)

    def forward(self, tokens: Tensor) -> Tensor:
        patches = functional.normalize(tokens[:, 1:] - tokens[:, :1], dim=-1)
        score = patches @ functional.normalize(self.prototypes, dim=-1).t()
        return self.last(score.amax(dim=1))


class TokenDistance(nn.Module):
    """Patch tokens against prototypes by squared distance; the nearest token."""

    def __init__(self, channels: int, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.prototypes = directions(classes * each, channels)
        self.last = last_layer(classes, each)

    def forward(self, tokens: Tensor) -> Tensor:
        patches = tokens[:, 1:]
        product = patches @ self.prototypes.t()
        length = (self.prototypes**2).sum(-1)
        distance = (patches**2).sum(-1, keepdim=True) - 2 * product + length
        return self.last(-distance.amin(dim=1))


class GlobalAndLocal(nn.Module):
    """Prototypes of the class token and of patch tokens by squared differences, logits added."""

    def __init__(self, channels: int, classes: int = 3, each: int = 2) -> None:
        super().__init__()
        self.whole, self.parts = (points(classes * each, channels) for _ in range(2))
        self.last_whole, self.last_parts = (last_layer(classes, each) for _ in range(2))

    def forward(self, tokens: Tensor) -> Tensor:
        near = self._distance(tokens[:, 1:], self.parts).amin(dim=1)
        whole = self._distance(tokens[:, :1], self.whole).amin(dim=1)
        return self.last_parts(-near) + self.last_whole(-whole)

    @staticmethod
    def _distance(tokens: Tensor, prototypes: Tensor) -> Tensor:
        return ((tokens.unsqueeze(2) - prototypes) ** 2).sum(-1)
