"""Train the zoo again: ``python -m models.build_zoo mnist_train.npz [NAME ...]``.

The file holds MNIST training images in the ``.npz`` form, none of them among ``mnist5k``, so that
all 5,000 images of ``mnist5k`` are unseen. Each network is measured on them and the numbers go into
its provenance.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.checkpoint import load_checkpoint
from models.evaluate import certified_accuracy
from models.export import write_provenance
from models.runtime import Runtime
from models.train import train_model
from protoproof.data.dataset import Dataset, load_data
from protoproof.errors import UsageError
from protoproof.resources import NAMES, zoo_path


@dataclass(frozen=True)
class Entry:
    """How one zoo network is trained; everything else is the default of ``train_model``."""

    grid: int
    epochs: int
    certified_eps: float | None = None


ENTRIES = {
    "mnist-7x7": Entry(grid=7, epochs=10),
    "mnist-1x1": Entry(grid=1, epochs=4),
    "mnist-certified": Entry(grid=1, epochs=20, certified_eps=0.1),
}


def build(data: str, names: tuple[str, ...] = NAMES, quiet: bool = False) -> None:
    """Train, export, measure on ``mnist5k`` and put the files into this folder."""
    for name in names:
        if name not in ENTRIES:
            raise UsageError(f"zoo network '{name}' does not exist: choose {', '.join(NAMES)}")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            entry = ENTRIES[name]
            train_model(
                "protopnet",
                data,
                Path(folder),
                grid=entry.grid,
                certified_eps=entry.certified_eps,
                epochs=entry.epochs,
                name=name,
                quiet=quiet,
            )
            measure(Path(folder), name)
            for suffix in (".prototypes.png", ".json", ".onnx"):
                shutil.copyfile(
                    Path(folder) / f"{name}{suffix}", zoo_path(name).with_name(name + suffix)
                )


def measure(folder: Path, name: str) -> None:
    """Add the accuracies on all 5,000 images of ``mnist5k`` to the provenance in ``folder``."""
    images, labels = everything(load_data("mnist5k"))
    predicted = Runtime((folder / f"{name}.onnx").read_bytes()).predict(images)
    path = folder / f"{name}.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["accuracy"]["mnist5k"] = round(float((predicted == labels).mean()), 4)
    radius = ENTRIES[name].certified_eps
    if radius is not None:
        _, model = load_checkpoint(folder)
        facts["accuracy"]["mnist5k_certified"] = certified_accuracy(
            model.double(), images.astype(np.float64), labels, radius
        )
    write_provenance(path, facts)


def everything(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Training and test part together: a network trained elsewhere has seen neither."""
    images = np.concatenate([dataset.x_train, dataset.x_test])
    return images, np.concatenate([dataset.y_train, dataset.y_test])


if __name__ == "__main__":
    build(sys.argv[1], tuple(sys.argv[2:]) or NAMES)
