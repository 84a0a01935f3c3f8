"""``protoproof.torch.export``: one file that is recognised, or one line that says why not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import protoproof
from protoproof.errors import ModelError, OutputError, UsageError
from protoproof.network import load


class Net(nn.Module):
    """A ProtoPNet as people write it: distances beside the scores, dropout, batch norm."""

    def __init__(self, distance: str = "squared") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5),
            nn.Conv2d(8, 6, 1), nn.Sigmoid(),
        )  # fmt: skip
        self.prototypes = nn.Parameter(torch.rand(4, 6, 1, 1))
        self.last = nn.Linear(4, 2, bias=False)
        self.distance = distance

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        z = self.features(x)
        apart = (z[:, None] - self.prototypes[None, :, :, 0, 0, None, None]) ** 2
        if self.distance == "cubed":
            apart = apart * torch.sin(z[:, None])
        nearest = apart.sum(2).flatten(2).min(-1).values
        return self.last(torch.log((nearest + 1) / (nearest + 1e-4))), nearest


def test_one_line_from_a_module_to_a_proof(tmp_path: Path) -> None:
    module, x = Net().train(), torch.rand(2, 3, 9, 9)
    path = tmp_path / "new" / "net.onnx"
    found = protoproof.torch.export(
        module, x, path, classes=["jay", "wren"], preprocess="resize=9x9,mean=0.5,std=0.5"
    )
    assert module.training  # the user's module is as it was
    assert list(path.parent.iterdir()) == [path]
    said = str(found)
    assert "squared distance" in said
    assert "model" in said
    assert "compared" in said
    network = load(path)
    assert network.class_names == ("jay", "wren")
    assert network.pixels.text == "resize=9x9,mean=0.5,std=0.5"
    image = x[0].numpy() * 2 - 1
    explanation = protoproof.explain(network, image, vocabulary="topk")
    with torch.no_grad():
        scores = module.eval()(torch.from_numpy(image)[None])[0]
    assert explanation.predicted == int(scores.argmax())
    explanation.save(tmp_path / "x.cert.json")
    assert protoproof.check(tmp_path / "x.cert.json", path).accepted


def test_nothing_is_written_over_unless_that_is_asked_for(tmp_path: Path) -> None:
    path, x = tmp_path / "net.onnx", torch.rand(1, 3, 9, 9)
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"exists already; .* overwrite=True"):
        protoproof.torch.export(Net(), x, path)
    assert path.read_bytes() == b"mine"
    assert protoproof.torch.export(Net(), x, path, overwrite=True).path == path


def test_what_is_not_recognised_is_one_line_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        protoproof.torch.export(Net("cubed"), torch.rand(1, 3, 9, 9), tmp_path / "net.onnx")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("net.onnx is not written: ")
    with pytest.raises(UsageError, match=r"must end in \.onnx"):
        protoproof.torch.export(Net(), torch.rand(1, 3, 9, 9), tmp_path / "net.pt")
    with pytest.raises(UsageError, match="'blur' is not understood"):
        protoproof.torch.export(
            Net(), torch.rand(1, 3, 9, 9), tmp_path / "net.onnx", preprocess="blur"
        )
    assert not list(tmp_path.iterdir())


def test_torch_is_not_loaded_before() -> None:
    code = "import protoproof.torch, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
