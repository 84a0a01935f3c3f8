"""Encoders of today's networks from both exporters: executed, and the same head for both sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from protoproof.kernel import ModelFile
from protoproof.network import load
from tests.support.foreign.export import export

SHAPE = (1, 3, 16, 16)


class Head(nn.Module):
    """Six prototypes by squared distance."""

    def __init__(self) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.rand(6, 8))
        self.last = nn.Linear(6, 3, bias=False)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        tokens = z.flatten(2).transpose(1, 2)[:, :, None]
        nearest = ((tokens - self.prototypes) ** 2).sum(-1).amin(1)
        return self.last(torch.log((nearest + 1) / (nearest + 1e-4)))


class LastNorm(nn.Module):
    """Layer normalisation over the channels of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.depthwise, self.norm = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.LayerNorm(8)
        self.wide, self.narrow = nn.Linear(8, 32), nn.Linear(32, 8)
        self.scale = nn.Parameter(torch.full((8,), 0.1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.scale * self.narrow(functional.gelu(self.wide(y)))
        return x + y.permute(0, 3, 1, 2)


class ViTBlock(nn.Module):
    """Tokens with one for the class, positions, attention; back to a grid without that one."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.rand(1, 1, 8))
        self.place = nn.Parameter(torch.rand(1, 17, 8))
        self.first, self.second = nn.LayerNorm(8), nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.wide = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.place
        y = self.first(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        x = x + self.wide(self.second(x))
        return x[:, 1:].transpose(1, 2).unflatten(2, (4, 4))


def _upsampled(**options: object) -> nn.Module:
    return nn.Upsample(**options)  # type: ignore[arg-type]


ENCODERS: dict[str, Callable[[], nn.Module]] = {
    "layer norm": LastNorm,
    "gelu": nn.GELU,
    "gelu by tanh": lambda: nn.GELU(approximate="tanh"),
    "silu, hardswish, mish": lambda: nn.Sequential(nn.SiLU(), nn.Hardswish(), nn.Mish()),
    "group norm": lambda: nn.GroupNorm(2, 8),
    "instance norm": lambda: nn.InstanceNorm2d(8, affine=True),
    "resize": lambda: _upsampled(scale_factor=2, mode="bilinear"),
    "resize to a size": lambda: _upsampled(size=(3, 3), mode="nearest"),
    "adaptive pooling": lambda: nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.PReLU(), nn.ELU()),
    "ceil mode": lambda: nn.MaxPool2d(3, 2, ceil_mode=True),
    "ConvNeXt": ConvNeXtBlock,
    "ViT": ViTBlock,
}
# the default exporter takes seconds for each
BOTH = ("group norm", "resize", "ConvNeXt", "ViT")


def network_of(name: str) -> nn.Module:
    torch.manual_seed(0)
    parts = (nn.Conv2d(3, 8, 4, 4), ENCODERS[name](), nn.Conv2d(8, 8, 1), nn.Sigmoid(), Head())
    return nn.Sequential(*parts).eval()


@pytest.fixture(autouse=True)
def plain_attention() -> Iterator[None]:
    """Without gradients torch takes a fused attention, which the old exporter does not know."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(before)


@pytest.mark.parametrize(
    ("name", "exporter", "free"),
    [(name, "legacy", free) for name in ENCODERS for free in (False, True)]
    + [(name, "default", False) for name in BOTH],
)
def test_executed_and_read_alike(tmp_path: Path, name: str, exporter: str, free: bool) -> None:
    module = network_of(name)
    options = {"input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}} if free else {}
    path = export(module, SHAPE, tmp_path / "net.onnx", exporter, **options)
    network = load(path)
    assert len(network.files) == (exporter == "default")
    assert network.input_shape == SHAPE[1:]
    x = np.random.default_rng(1).random(SHAPE[1:]).astype(np.float32)
    with torch.no_grad():
        want = module(torch.from_numpy(x)[None])[0].numpy()
    np.testing.assert_allclose(network.observe(x).logits, want, rtol=1e-4, atol=1e-4)
    network.check_head(network.observe(x))
    found = network.recognised
    checked = ModelFile.read(path)
    assert checked.sha256 == network.sha256
    head = checked.bound(found.latents, found.output).head
    assert (head.location_count, head.channels) == network.observe(x).latent.shape
    assert head.prototype_count == 6
