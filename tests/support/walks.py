"""What readers of the documents bring along: a network of their own, pictures, a checkpoint.

The files are called as the documents call them, so that their commands can be typed as they stand.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from PIL import Image
from torch import Tensor, nn

from tests.support.cli import Result, protoproof
from tests.support.console import Command, commands
from tests.support.foreign.export import quiet
from tests.support.importing import cases
from tests.support.sources import ROOT

CLASSES = ("red", "green", "blue")
EACH = 2  # prototypes of a class
CHANNELS = 6
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class ProtoPNet(nn.Module):
    """As people write it: convolutions, a sigmoid, distances, the least, a logarithm, weights."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 16, 16), nn.ReLU(), nn.MaxPool2d(2))
        self.add_on = nn.Sequential(nn.Conv2d(8, CHANNELS, 1), nn.Sigmoid())
        self.prototypes = nn.Parameter(torch.rand(len(CLASSES) * EACH, CHANNELS, 1, 1))
        self.last_layer = nn.Linear(len(CLASSES) * EACH, len(CLASSES), bias=False)

    def latent(self, x: Tensor) -> Tensor:
        return self.add_on(self.features(x))

    def forward(self, x: Tensor) -> Tensor:
        difference = self.latent(x)[:, None] - self.prototypes.view(1, -1, CHANNELS, 1, 1)
        nearest = (difference**2).sum(dim=2).amin(dim=(2, 3))
        return self.last_layer(torch.log((nearest + 1) / (nearest + 1e-4)))


def picture(class_: int, seed: int, rows: int = 240, columns: int = 260) -> np.ndarray:
    """Mostly of the colour of a class."""
    rng = np.random.default_rng([class_, seed])
    pixels = rng.integers(0, 90, (rows, columns, 3))
    pixels[:, :, class_] += 130
    return pixels.astype(np.uint8)


def trained() -> ProtoPNet:
    """Every prototype is what the encoder makes of a patch of a picture of its class."""
    torch.manual_seed(0)
    module = ProtoPNet()
    mean, std = (torch.tensor(values)[:, None, None] for values in cases.d.IMAGENET.values())
    owner = torch.arange(len(CLASSES) * EACH) // EACH
    with torch.no_grad():
        for j, class_ in enumerate(owner.tolist()):
            image = torch.from_numpy(picture(class_, 100 + j, 224, 224)).permute(2, 0, 1) / 255
            module.prototypes[j] = module.latent(((image - mean) / std)[None])[0, :, j : j + 1, 3:4]
        right = owner[None] == torch.arange(len(CLASSES))[:, None]
        module.last_layer.weight.copy_(torch.where(right, 1.0, -0.5))
    return module


def make_pictures(folder: Path) -> None:
    """``birds``, with a folder of two pictures per class, and ``bird.jpg``, of the first class."""
    for class_, name in enumerate(CLASSES):
        (folder / "birds" / name).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(picture(class_, number)).save(folder / f"birds/{name}/{number}.png")
    Image.fromarray(picture(0, 9)).save(folder / "bird.jpg", quality=95)


def python_of(page: str) -> str:
    """The first program of a page."""
    found = _PYTHON.search((ROOT / "docs" / page).read_text(encoding="utf-8"))
    assert found
    return found[1]


def exported(module: nn.Module, folder: Path) -> None:
    """As the page tells to: ``net.onnx``, with its weights beside it."""
    program = python_of("your-network.md").replace('"net.onnx"', repr(str(folder / "net.onnx")))
    with quiet():
        exec(program, {"torch": torch, "module": module, "x": torch.zeros(1, 3, 224, 224)})  # noqa: S102


def prepared(source: Path, target: Path) -> None:
    """The model with its weights, the names of its classes and what is done to pictures inside."""
    named = ("--classes", ",".join(CLASSES), "--preprocess", "imagenet")
    done = protoproof("prepare", source, "--out", target, *named)
    assert done.code == 0, done.err


def without_its_proofs(source: Path, target: Path) -> None:
    """A network whose last two classes have become the same: nobody can tell which is larger."""
    model = onnx.load(source)
    shape = [len(CLASSES), len(CLASSES) * EACH]
    (stored,) = (part for part in model.graph.initializer if list(part.dims) == shape)
    weight = numpy_helper.to_array(stored).copy()
    weight[2] = weight[1]
    stored.CopyFrom(numpy_helper.from_array(weight, stored.name))
    onnx.save(model, target)


def make_checkpoint(case: str, folder: Path, size: int) -> dict[str, str]:
    """The checkpoint of a public project, ``outputs.npz``, and a picture; what has to be set."""
    chosen = next(each for each in cases.CASES if each.name == case)
    network = chosen.build()
    cases.recorded(network, folder / "outputs.npz", size=size)
    chosen.save(network, folder)
    Image.fromarray(picture(0, 9)).save(folder / "bird.jpg", quality=95)
    return dict(chosen.settings)


def walked(page: str, title: str, folder: Path) -> list[tuple[Command, Result]]:
    """Type what a page tells readers with such files to type; each does what the page says."""
    done = []
    for command in commands(ROOT / "docs" / page, title):
        result = typed(command, folder)
        said(page, command, result)
        done.append((command, result))
    assert done, f"docs/{page} has no block '{title}'"
    return done


def typed(command: Command, folder: Path) -> Result:
    """One line; the tool itself runs in this process, which is quicker."""
    words = shlex.split(command.text)
    if words[0] == "protoproof":
        return protoproof(*words[1:], cwd=folder)
    done = subprocess.run(  # noqa: S602  # a line of our own documents
        command.text, shell=True, capture_output=True, text=True, check=False, cwd=folder
    )
    return Result(done.returncode, done.stdout, done.stderr)


def said(page: str, command: Command, result: Result) -> None:
    """Whether a line did what the page says."""
    where = f"docs/{page}:{command.line}: {command.text}\n{result.out}{result.err}"
    assert result.code == command.exit, where
    assert command.prints(result.out + result.err), where
