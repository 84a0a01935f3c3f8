"""Small heads put together of parts, with sizes that coincide: what a reader could mistake.

As many prototypes as classes, channels or places, one place, one prototype for each class without
a layer behind it, equal prototypes, one scale for each of them, outputs without a batch.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.support.foreign.encoders import LAST, Network
from tests.support.foreign.parts import expanded, last_layer, log_ratio

IMAGE = (1, 1, 12, 12)


def _flat(z: Tensor) -> Tensor:
    return z.flatten(2).transpose(1, 2)


def _map(table: Tensor, z: Tensor) -> Tensor:
    """[N, L, P] as [N, P, H, W]."""
    return table.transpose(1, 2).reshape(z.shape[0], -1, z.shape[2], z.shape[3])


def _direct(z: Tensor, p: Tensor) -> Tensor:
    return ((z.unsqueeze(1) - p[:, :, None, None]) ** 2).sum(2)


def _products(z: Tensor, p: Tensor) -> Tensor:
    tokens = _flat(z)
    distance = (tokens**2).sum(-1, keepdim=True) - 2 * tokens @ p.t() + (p**2).sum(-1)
    return _map(distance, z)


def _cosine(z: Tensor, p: Tensor) -> Tensor:
    unit = functional.normalize(p, dim=1)[:, :, None, None]
    return functional.conv2d(functional.normalize(z, dim=1), unit)


def _quotient(z: Tensor, p: Tensor) -> Tensor:
    tokens = _flat(z)
    lengths = tokens.norm(dim=-1, keepdim=True) * p.norm(dim=-1)
    return _map(tokens @ p.t() / (lengths + 1e-6), z)


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "convolutions": lambda z, p: expanded(z, p[:, :, None, None]),
    "differences": _direct,
    "products": _products,
}
ANGLES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cosine": _cosine,
    "quotient": _quotient,
}
# of a distance, or of minus an angle: what is small where something is near
SIMILARITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "negative": lambda q: -q,
    "log": log_ratio,
    "exp": lambda q: torch.exp(-q),
    "inverse": lambda q: 1 / (q + 1),
}


def _least(q: Tensor) -> Tensor:
    return -functional.max_pool2d(-q, (q.size(2), q.size(3))).flatten(1)


def _mean(q: Tensor) -> Tensor:
    return functional.avg_pool2d(q, (q.size(2), q.size(3))).flatten(1)


def _lowest(q: Tensor) -> Tensor:
    return q.flatten(2).topk(min(2, q[0, 0].numel()), dim=-1, largest=False)[0].mean(-1)


POOLINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "windows": _least,
    "minimum": lambda q: q.flatten(2).min(-1)[0],
    "adaptive": lambda q: -functional.adaptive_max_pool2d(-q, 1).squeeze(-1).squeeze(-1),
    "mean": _mean,
    "lowest": _lowest,
}
DECISIONS = ("none", "identity", "diagonal", "dense", "bias", "scales", "best", "sum")
ENDS: dict[str, Callable[[Tensor], Tensor]] = {
    "logits": lambda y: y,
    "temperature": lambda y: torch.softmax(y / 0.3, dim=1),
    "log softmax": lambda y: torch.log_softmax(y, dim=1),
    "class": lambda y: y.argmax(1),
    "class alone": lambda y: y.argmax(1).squeeze(0),
    "no batch": lambda y: torch.softmax(y, dim=1).squeeze(0),
    "labels": torch.sigmoid,
}


@dataclass(frozen=True)
class Small:
    """One head. ``scaled``: a factor for each prototype before the similarity; ``less``: the mean's
    similarity is taken off; ``equal``: two prototypes are the same."""

    measure: str
    similarity: str = "negative"
    pooling: str = "windows"
    decision: str = "none"
    end: str = "logits"
    classes: int = 3
    each: int = 1
    channels: int = 3
    grid: tuple[int, int] = (2, 2)
    scaled: bool = False
    less: bool = False
    equal: bool = False
    last: str = "sigmoid"

    @property
    def prototypes(self) -> int:
        """P."""
        return self.classes * self.each

    def build(self) -> nn.Module:
        """The network, the same every time."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return Network(_Encoder(self.channels, self.grid, self.last), _Head(self)).eval()


class _Encoder(nn.Module):
    """[N, 1, 12, 12] to [N, channels, *grid]."""

    def __init__(self, channels: int, grid: tuple[int, int], last: str) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.pool = nn.AvgPool2d((6 // grid[0], 6 // grid[1]))
        self.second = nn.Conv2d(8, channels, 3, padding=1)
        self.last = LAST[last]()

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.second(self.pool(torch.relu(self.first(x)))))
        return found


class _Head(nn.Module):
    def __init__(self, of: Small) -> None:
        super().__init__()
        points = torch.rand(of.prototypes, of.channels)
        if of.equal:
            points[1] = points[0]
        self.prototypes = nn.Parameter(points)
        self.rates = nn.Parameter(0.5 + torch.rand(of.prototypes))
        self.bias = nn.Parameter(0.1 * torch.randn(of.classes))
        self.layer = last_layer(of.classes, of.each)
        if of.decision in ("identity", "diagonal"):
            scale = torch.ones(of.classes) if of.decision == "identity" else 0.5 + self.rates
            self.layer.weight = nn.Parameter(torch.diag(scale.detach()))
        self.of = of

    def forward(self, z: Tensor) -> Tensor:
        of, known = self.of, {**DISTANCES, **ANGLES}[self.of.measure](z, self.prototypes)
        near = known if of.measure in DISTANCES else 1 - known
        activation = self._similar(POOLINGS[of.pooling](near))
        if of.less:
            activation = activation - self._similar(_mean(near))
        return ENDS[of.end](self._decided(activation))

    def _similar(self, near: Tensor) -> Tensor:
        return SIMILARITIES[self.of.similarity](near * self.rates if self.of.scaled else near)

    def _decided(self, a: Tensor) -> Tensor:
        decision, groups = self.of.decision, (self.of.classes, self.of.each)
        if decision in ("identity", "diagonal", "dense"):
            found: Tensor = self.layer(a)
            return found
        if decision == "best":
            return a.reshape(-1, *groups).amax(-1)
        if decision == "sum":
            return a.reshape(-1, *groups).sum(-1)
        if decision == "scales":
            return a * self.rates
        return a + self.bias if decision == "bias" else a


def drawn(count: int, seed: int = 0) -> list[Small]:
    """Heads at random, whose scores depend on the latent and are of one kind of similarity."""
    rng = random.Random(seed)  # noqa: S311
    found: list[Small] = []
    while len(found) < count:
        classes = rng.choice((2, 3, 4))
        each = rng.choice((1, 1, 1, 2, 3))
        grid = rng.choice(((1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (3, 3)))
        sizes = (classes, classes * each, grid[0] * grid[1], 2, 5)
        one = Small(
            measure=rng.choice((*DISTANCES, *ANGLES)),
            similarity=rng.choice(tuple(SIMILARITIES)),
            pooling=rng.choice(tuple(POOLINGS)),
            decision=rng.choice(DECISIONS if each == 1 else ("dense", "best", "sum")),
            end=rng.choice(tuple(ENDS)),
            classes=classes,
            each=each,
            channels=max(2, rng.choice(sizes)),
            grid=grid,
            scaled=rng.random() < 0.3,
            less=rng.random() < 0.3,
            equal=rng.random() < 0.2,
            last=rng.choice(("sigmoid", "none")),
        )
        if not _beyond(one):
            found.append(one)
    return found


def _beyond(one: Small) -> bool:
    """What no reader takes for a head: no difference at one place or of a mean and itself, labels
    or differences of the best of a class, and a mean of the lowest less the mean of all."""
    nothing = one.less and (one.grid == (1, 1) or one.pooling in ("mean", "lowest"))
    return nothing or (one.decision == "best" and (one.end == "labels" or one.less))
