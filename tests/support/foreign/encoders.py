"""Tiny encoders with the bits that real ones have: the head decides what is tested, not they."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LAST: dict[str, type[nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "none": nn.Identity,
}


class Network(nn.Module):
    """An encoder and a head, one after the other."""

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.head(self.encoder(x))


def plain(channels: int, last: str = "sigmoid", inputs: int = 1) -> nn.Module:
    """Two convolutions of stride 2: [N, inputs, 12, 12] to [N, channels, 3, 3]."""
    return nn.Sequential(
        nn.Conv2d(inputs, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, channels, 3, stride=2, padding=1),
        LAST[last](),
    )


class _Block(nn.Module):
    """What a residual network is made of."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(x + self.bn2(self.conv2(y)))


def residual(channels: int, inputs: int = 3) -> nn.Module:
    """Stem, max pooling, a residual block with batch normalisation, add-on: to [.., 3, 3]."""
    net = nn.Sequential(
        nn.Conv2d(inputs, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
        _Block(8),
        nn.Conv2d(8, channels, 1),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 1),
        nn.Sigmoid(),
    )
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):  # as after training, not the identity
            nn.init.normal_(module.running_mean, 0.0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0.0, 0.2)
    return net


class _NextBlock(nn.Module):
    """Depth-wise convolution, layer normalisation over channels, Gelu, layer scale, residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.wide = nn.Linear(channels, 4 * channels)
        self.narrow = nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(0.5 + torch.rand(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.narrow(nn.functional.gelu(self.wide(y)))
        return x + self.scale * y.permute(0, 3, 1, 2)


def convnext(channels: int, inputs: int = 3) -> nn.Module:
    """Patches of 4x4, then one block: [N, inputs, 12, 12] to [N, channels, 3, 3]."""
    return nn.Sequential(nn.Conv2d(inputs, channels, 4, stride=4), _NextBlock(channels))


def upsampled(channels: int, inputs: int = 3) -> nn.Module:
    """Features made twice as large by bilinear interpolation: to [N, channels, 4, 4]."""
    return nn.Sequential(
        nn.Conv2d(inputs, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=3),
        nn.ReLU(),
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        nn.Conv2d(8, channels, 1),
    )


def volume(channels: int) -> nn.Module:
    """[N, 1, 8, 8, 8] to [N, channels, 2, 2, 2]."""
    return nn.Sequential(
        nn.Conv3d(1, 4, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv3d(4, channels, 3, stride=2, padding=1),
    )


class Two(nn.Module):
    """Two add-ons over the same features: two latents."""

    def __init__(self, features: nn.Module, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.features, self.first, self.second = features, first, second

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.features(x)
        return self.first(y), self.second(y)


class Pyramid(nn.Module):
    """Three latents of different sizes, coarse to fine: [N, channels, 2, 2], 3x3 and 6x6."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(1, channels, 3, stride=2, padding=1), nn.ReLU())
        self.middle = nn.Sequential(nn.Conv2d(channels, channels, 3, 2, 1), nn.Sigmoid())
        self.coarse = nn.Sequential(nn.Conv2d(channels, channels, 2), nn.Sigmoid())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fine = self.fine(x)
        middle = self.middle(fine)
        return self.coarse(middle), middle, torch.sigmoid(fine)


def signal(channels: int, leads: int = 3) -> nn.Module:
    """[N, leads, 24] to [N, channels, 6]."""
    return nn.Sequential(
        nn.Conv1d(leads, 8, 5, stride=2, padding=2),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Conv1d(8, channels, 3, stride=2, padding=1),
        nn.Sigmoid(),
    )


class SignalVector(nn.Module):
    """[N, leads, 24] to [N, channels]: convolutions, mean over time, a sigmoid layer."""

    def __init__(self, channels: int, leads: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv1d(leads, 8, 5, stride=2, padding=2)
        self.layer = nn.Linear(8, channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.layer(torch.relu(self.conv(x)).mean(dim=-1)))


def vector(channels: int, features: int = 6, last: str = "none") -> nn.Module:
    """[N, features] to [N, channels]."""
    return nn.Sequential(nn.Linear(features, 16), nn.ReLU(), nn.Linear(16, channels), LAST[last]())


class Pooled(nn.Module):
    """Images to one vector: convolution, global mean, a linear layer."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.layer = nn.Linear(8, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.avg_pool2d(torch.relu(self.conv(x)), 6)
        return self.layer(y.view(y.size(0), -1))


class Tokens(nn.Module):
    """A vision transformer of one block: [N, 1, 12, 12] to [N, 1 + 9, channels], class first."""

    def __init__(self, channels: int, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.patches = nn.Conv2d(1, channels, 4, stride=4)
        self.first = nn.Parameter(torch.randn(1, 1, channels))
        self.position = nn.Parameter(0.1 * torch.randn(1, 10, channels))
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.first.expand(tokens.shape[0], -1, -1), tokens], 1)
        tokens = tokens + self.position
        tokens = tokens + self._attention(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))

    def _attention(self, x: Tensor) -> Tensor:
        batch, length, channels = x.shape
        width = channels // self.heads
        qkv = self.qkv(x).reshape(batch, length, 3, self.heads, width).permute(2, 0, 3, 1, 4)
        scores = torch.softmax(qkv[0] @ qkv[1].transpose(-2, -1) / width**0.5, dim=-1)
        return self.out((scores @ qkv[2]).transpose(1, 2).reshape(batch, length, channels))


class Transformer(nn.Module):
    """The library's encoder of several layers: [N, 1, 12, 12] to [N, 1 + 9, channels].

    One head each: for an even number the library has another path, which one exporter cannot write.
    """

    def __init__(self, channels: int, heads: int = 1, layers: int = 2) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, channels, 4, stride=4)
        self.first = nn.Parameter(torch.randn(1, 1, channels))
        self.position = nn.Parameter(0.1 * torch.randn(1, 10, channels))
        layer = nn.TransformerEncoderLayer(
            channels, heads, 2 * channels, activation="gelu", batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.last = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.first.expand(tokens.shape[0], -1, -1), tokens], 1)
        return self.last(self.body(tokens + self.position))
