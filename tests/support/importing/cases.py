"""One row per layout: a network, how it is saved, and the answers that its checkpoint lacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tests.support.importing import directories as d
from tests.support.importing import encoders as e
from tests.support.importing import families as f
from tests.support.importing.saving import save_state, save_whole

SIZE = 64
ASKED = {"activation": "log", "epsilon": "1e-4", "size": "64", "normalise": "imagenet"}
PLAIN = {"size": "64", "normalise": "imagenet"}
SCALE = {"normalise": "imagenet"}


Make = Callable[..., nn.Module]


@dataclass(frozen=True)
class Case:
    """``build`` a network, ``save`` it, import it with ``settings``.

    ``head``: words of the recognised head. ``swept``: one of many that are alike.
    """

    name: str
    build: Callable[[], nn.Module]
    save: Callable[[nn.Module, Path], Path]
    settings: Mapping[str, str]
    head: str
    swept: bool = False


def whole(net: nn.Module, folder: Path) -> Path:
    return save_whole(net, folder / "10_3push0.81.pth")


def whole_legacy(net: nn.Module, folder: Path) -> Path:
    return save_whole(net, folder / "model.pth", legacy=True)


def state(net: nn.Module, folder: Path) -> Path:
    return save_state(net, folder / "model_state.pth")


def state_legacy(net: nn.Module, folder: Path) -> Path:
    return save_state(net, folder / "old.pth", legacy=True)


def trained(net: nn.Module, folder: Path) -> Path:
    """Behind several devices, among other entries."""
    return save_state(nn.DataParallel(net), folder / "net_trained_last", epoch=3)


def argued(net: nn.Module, folder: Path) -> Path:
    """With the arguments of the training beside it."""
    arguments = f.namespace(num_classes=f.CLASSES, base_architecture="resnet18")
    return save_state(net, folder / "save_model.pth", key="model", epoch=9, args=arguments)


def directory(net: nn.Module, folder: Path) -> Path:
    assert isinstance(net, d.Whole)
    return d.write(folder / "final", net)


def _lineage(kind: type[f.Lineage], encoder: Callable[[], nn.Module], *more: object) -> nn.Module:
    torch.manual_seed(3)
    return e.shaken(kind(encoder(), SIZE, *more), 4)


def _other(kind: Make, encoder: Make, *more: object) -> nn.Module:
    torch.manual_seed(3)
    return e.shaken(kind(encoder(), *more), 4)


def _directory(head: Make) -> nn.Module:
    torch.manual_seed(3)
    return d.network(head())


PRODUCT, SQUARED = "dot product", "squared distance"
CASES = (
    Case("protopnet whole", lambda: _lineage(f.PPNet, e.ResNet), whole, SCALE, SQUARED),
    Case("protopnet older file", lambda: _lineage(f.PPNet, e.ResNet), whole_legacy, SCALE, SQUARED,
         swept=True),
    Case("protopnet tensors", lambda: _lineage(f.PPNet, e.VGG), state,
         {**ASKED, "family": "protopnet"}, SQUARED, swept=True),
    Case("protopnet bottleneck", lambda: _lineage(f.Halved, lambda: e.DenseNet(growth=8)),
         state_legacy, {**ASKED, "family": "protopnet"}, SQUARED),
    Case("tesnet", lambda: _lineage(f.TESNet, e.ResNet), whole_legacy, SCALE, PRODUCT),
    Case("tesnet tensors", lambda: _lineage(f.TESNet, e.ResNet), state,
         {**PLAIN, "family": "tesnet"}, PRODUCT, swept=True),
    Case("evalprotopnet", lambda: _lineage(f.OursNet, e.ResNet), argued, PLAIN, PRODUCT),
    Case("stprotopnet full", lambda: _lineage(f.STProtoPNet, e.ResNet, True), state, PLAIN,
         PRODUCT),
    Case("stprotopnet cropped", lambda: _lineage(f.STProtoPNet, e.VGG, False), state, PLAIN,
         PRODUCT, swept=True),
    Case("stprotopnet whole", lambda: _lineage(f.STProtoPNet, e.ResNet, True), whole,
         {**SCALE, "measure": "cosine", "ignore": "full"}, PRODUCT, swept=True),
    Case("pipnet", lambda: _other(f.PIPNet, lambda: e.ConvNeXt(strides=(2, 1, 1))), trained,
         {**PLAIN, "backbone": "convnext_tiny_26"}, PRODUCT),
    Case("pipnet resnet", lambda: _other(f.PIPNet, lambda: e.ResNet(strides=(1, 2, 1, 1)), 6, True),
         trained, PLAIN, PRODUCT, swept=True),
    Case("protopool", lambda: _other(f.PrototypeChooser, e.ResNet), trained, ASKED, SQUARED),
    Case("protopool sums", lambda: _other(f.PrototypeChooser, e.ResNet, False), trained, ASKED,
         SQUARED, swept=True),
    Case("prototree", lambda: _other(f.ProtoTree, e.ResNet), whole, PLAIN, SQUARED),
    Case("cabrnet distances", lambda: _directory(d.Distances), directory, {}, SQUARED),
    Case("cabrnet slots", lambda: _directory(d.Slots), directory, {}, SQUARED, swept=True),
    Case("cabrnet tree", lambda: _directory(d.Tree), directory, {}, SQUARED, swept=True),
    Case("cabrnet shares", lambda: _directory(d.Shares), directory, {}, PRODUCT, swept=True),
    Case("beyond_l2 isotropic", lambda: _directory(lambda: d.Gaussian("isotropic")), directory, {},
         SQUARED),
    Case("beyond_l2 diagonal", lambda: _directory(lambda: d.Gaussian("diagonal")), directory, {},
         "weighted squared distance", swept=True),
    Case("beyond_l2 density",
         lambda: _directory(lambda: d.Gaussian("isotropic", "MahalanobisLogDensity")), directory,
         {}, SQUARED, swept=True),
    Case("beyond_l2 cosines", lambda: _directory(d.Cosines), directory, {}, PRODUCT),
)  # fmt: skip


def recorded(net: nn.Module, path: Path, pictures: int = 2, size: int = SIZE) -> np.ndarray:
    """What the network computes of pictures in [0, 1], normalised outside of it, as an archive."""
    torch.manual_seed(8)
    x = torch.rand(pictures, 3, size, size)
    mean, std = (torch.tensor(part)[:, None, None] for part in d.IMAGENET.values())
    with torch.no_grad():
        logits = net((x - mean) / std).numpy()
    np.savez(path, pictures=x.numpy(), logits=logits)
    return x.numpy()
