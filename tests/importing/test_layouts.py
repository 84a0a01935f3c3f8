"""Every layout, saved by torch and imported without it: the same scores, and a proof."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from protoproof.explanation.certifiable import checkers_objection
from protoproof.explanation.explainer import explain
from protoproof.importing.answers import Answers
from protoproof.importing.encoders import planned
from protoproof.importing.encoders.encoder import Wish
from protoproof.importing.layouts.cabrnet_files import preprocessing
from protoproof.importing.pickled.checkpoint import read_checkpoint
from protoproof.importing.run import Imported, import_checkpoint
from protoproof.kernel import check
from protoproof.network import load
from protoproof.network.inspect import inspect_file
from protoproof.verdict import Status
from tests.support.importing import directories as d
from tests.support.importing import encoders as e
from tests.support.importing import families as f
from tests.support.importing.cases import ASKED, CASES, Case, recorded, state, whole
from tests.support.importing.saving import save_state


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, id=c.name, marks=pytest.mark.sweep if c.swept else ()) for c in CASES],
)
def test_the_scores_are_those_of_the_source_and_proofs_hold(case: Case, tmp_path: Path) -> None:
    net = case.build()
    pictures = recorded(net, tmp_path / "recorded.npz")
    out = tmp_path / "net.onnx"
    result = import_checkpoint(
        case.save(net, tmp_path), out, case.settings, tmp_path / "recorded.npz"
    )
    assert result.agreement is not None
    assert result.agreement.inputs == len(pictures)
    found = inspect_file(out, checker=checkers_objection)
    assert found.certifiable
    assert found.refusals == ()
    assert dict(found.head)["geometry"].startswith(case.head)
    explained = explain(load(out), pictures[0], vocabulary="topk", witnesses=False)
    assert explained.verdict.status is Status.PROVED
    explained.save(tmp_path / "net.cert.json")
    assert check(tmp_path / "net.cert.json", out).status == "accepted"


def imported(net: nn.Module, tmp_path: Path, **settings: str) -> Imported:
    """Tensors alone of a network of distances, compared with what it computes."""
    recorded(net, tmp_path / "recorded.npz", size=int(settings.get("size", 64)))
    path = state(net, tmp_path)
    answers = {**ASKED, "family": "protopnet", **settings}
    return import_checkpoint(path, tmp_path / "n.onnx", answers, tmp_path / "recorded.npz")


ENCODERS = {
    "bottlenecks": (lambda: e.ResNet((1, 2, 1, 1), bottleneck=True), "resnet of 1, 2, 1, 1 blocks"),
    "vgg11": (e.VGG, "vgg11"),
    "vgg13_bn": (lambda: e.VGG((2, 2, 2, 2, 2), normed=True), "vgg13_bn"),
    "densenet": (e.DenseNet, "densenet of 1, 2, 1, 1 layers"),
    "resnet18": (lambda: e.ResNet((2, 2, 2, 2)), "resnet18"),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=() if n in ("vgg13_bn", "bottlenecks") else pytest.mark.sweep)
        for n in ENCODERS
    ],
)
def test_encoders_are_found_by_their_tensors(name: str, tmp_path: Path) -> None:
    make, called = ENCODERS[name]
    result = imported(e.shaken(f.PPNet(make(), 64), 6), tmp_path)
    assert result.encoder == called


def test_efficientnet_lite(tmp_path: Path) -> None:
    net = e.shaken(f.PPNet(e.EfficientNetLite(), 64), 6)
    imported(net, tmp_path, backbone="tf_efficientnet_lite0", size="60")  # odd sizes on the way


NAMED = {
    "resnet18": lambda: e.ResNet((2, 2, 2, 2)),
    "resnet34": lambda: e.ResNet((3, 4, 6, 3)),
    "resnet50": lambda: e.ResNet((3, 4, 6, 3), bottleneck=True),
    "resnet101": lambda: e.ResNet((3, 4, 23, 3), bottleneck=True),
    "resnet152": lambda: e.ResNet((3, 8, 36, 3), bottleneck=True),
    "vgg11_bn": lambda: e.VGG((1, 1, 2, 2, 2), normed=True),
    "vgg13": lambda: e.VGG((2, 2, 2, 2, 2)),
    "vgg16": lambda: e.VGG((2, 2, 3, 3, 3)),
    "vgg16_bn": lambda: e.VGG((2, 2, 3, 3, 3), normed=True),
    "vgg19": lambda: e.VGG((2, 2, 4, 4, 4)),
    "vgg19_bn": lambda: e.VGG((2, 2, 4, 4, 4), normed=True),
    "densenet121": lambda: e.DenseNet((6, 12, 24, 16), 1, 64),
    "densenet161": lambda: e.DenseNet((6, 12, 36, 24), 1, 96),
    "densenet169": lambda: e.DenseNet((6, 12, 32, 32), 1, 64),
    "densenet201": lambda: e.DenseNet((6, 12, 48, 32), 1, 64),
    "convnext_tiny": lambda: e.ConvNeXt((3, 3, 9, 3)),
    "efficientnet_lite0": lambda: e.EfficientNetLite((1, 2, 2, 3, 3, 4, 1)),
}


@pytest.mark.sweep
@pytest.mark.parametrize("name", NAMED)
def test_depths_have_names(name: str, tmp_path: Path) -> None:
    with torch.device("meta"):
        net = NAMED[name]()
    torch.save({f"features.{k}": torch.zeros(v.shape) for k, v in net.state_dict().items()},
               tmp_path / "n.pth")  # fmt: skip
    found, _, channels = planned(
        read_checkpoint(tmp_path / "n.pth"), "features.", Wish(), Answers({})
    )
    assert (found, channels) == (name, 3)


def test_strides_of_a_whole_module_are_read(tmp_path: Path) -> None:

    net = e.shaken(f.PPNet(e.ResNet(strides=(1, 2, 1, 1)), 64), 6)
    recorded(net, tmp_path / "r.npz")
    settings = {"normalise": "imagenet"}
    import_checkpoint(whole(net, tmp_path), tmp_path / "n.onnx", settings, tmp_path / "r.npz")


def test_linear_similarity_and_layers_of_a_directory(tmp_path: Path) -> None:
    net = e.shaken(f.PPNet(e.ResNet(), 64), 6)
    net.prototype_activation_function = "linear"
    imported(net, tmp_path, activation="linear")


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("make", "layer", "more"),
    [
        (e.VGG, "features", {}),
        (lambda: e.DenseNet(final_relu=False), "features", {}),
        (
            lambda: e.ResNet(width=32, strides=(1, 2, 1, 1)),
            "layer4",
            {"postprocess": {"stride_divider": {"ratio": 2, "min_channels": 40}}},
        ),
    ],
    ids=["vgg", "densenet", "divided"],
)
def test_encoders_of_directories(
    make: object, layer: str, more: dict[str, object], tmp_path: Path
) -> None:
    assert callable(make)
    net = d.network(d.Distances(), make())
    recorded(net, tmp_path / "r.npz")
    folder = d.write(tmp_path / "run", net, layer, **more)
    import_checkpoint(folder, tmp_path / "n.onnx", {}, tmp_path / "r.npz")


RESIZE, CROP = ({"type": kind, "params": {"size": 9}} for kind in ("Resize", "CenterCrop"))


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([RESIZE, CROP], "resize=9,crop=9"),
        ([{"type": "Resize", "params": {"size": [7, 9]}}], "resize=7x9"),
        ([CROP], "crop=9"),
        ([CROP, RESIZE], ""),
        ([RESIZE, {"type": "Grayscale"}], ""),
        ([{"type": "Resize", "params": {"size": 9, "interpolation": 3}}], ""),
        ([{"type": "Resize", "params": {"size": [7, 8, 9]}}], ""),
        ([], ""),
    ],
)
def test_a_directory_says_how_pictures_are_resized(
    steps: list[dict[str, object]], words: str, tmp_path: Path
) -> None:
    """In words that are applied in this order; where something else is done too, in none."""
    every = {"to_tensor": {"type": "ToTensor"}} | {str(k): step for k, step in enumerate(steps)}
    content = {"test_set": {"params": {"transform": every}}}
    (tmp_path / "dataset.yml").write_text(yaml.dump(content, sort_keys=False))
    assert preprocessing(tmp_path)[2] == words


@pytest.mark.sweep
def test_full_size(tmp_path: Path) -> None:
    """ResNet-34 at 224 x 224 with 2,000 prototypes of 200 classes, as published."""
    net = f.PPNet(e.ResNet((3, 4, 6, 3), 64), 224)
    net.prototype_vectors = nn.Parameter(torch.rand(2000, f.CHANNELS, 1, 1))
    net.last_layer = nn.Linear(2000, 200, bias=False)
    del net.ones
    net = e.shaken(net, 6)
    save_state(net, tmp_path / "n.pth")
    recorded(net, tmp_path / "r.npz", 1, 224)
    answers = {**ASKED, "family": "protopnet", "size": "224"}
    result = import_checkpoint(tmp_path / "n.pth", tmp_path / "n.onnx", answers, tmp_path / "r.npz")
    assert result.encoder == "resnet34"
