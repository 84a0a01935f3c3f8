"""Train networks of the zoo again: ``python -m models.build_zoo [--data MNIST.npz] [NAME ...]``.

Without names all families of ``models.families`` are trained, on data that lies in this folder or
inside packages; each takes a minute or less. The networks that ``protoproof train`` makes
(``mnist-7x7`` and its like) need ``--data``: MNIST training images in the ``.npz`` form, none of
them among ``mnist5k``, so that all 5,000 images of ``mnist5k`` are unseen. ``--names-only`` trains
nothing and writes the families' metadata again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.checkpoint import load_checkpoint
from models.evaluate import certified_accuracy, explained_accuracy
from models.export import write_provenance
from models.families import FAMILIES
from models.runtime import Runtime
from models.train import train_model
from models.zoo_entry import build_family, name_again
from protoproof.data.dataset import Dataset, load_data
from protoproof.errors import UsageError
from protoproof.resources import zoo_path

ZOO = Path(__file__).with_name("zoo")


@dataclass(frozen=True)
class Entry:
    """How one zoo network is trained; everything else is the default of ``train_model``."""

    grid: int
    epochs: int
    certified_eps: float | None = None
    certify_facts: bool = False


ENTRIES = {
    "mnist-7x7": Entry(grid=7, epochs=10),
    "mnist-1x1": Entry(grid=1, epochs=4),
    "mnist-certified": Entry(grid=1, epochs=20, certified_eps=0.1),
    "mnist-explained": Entry(grid=1, epochs=22, certified_eps=0.1, certify_facts=True),
}


def build(names: tuple[str, ...] = (), data: str | None = None, quiet: bool = False) -> None:
    """Train, export, measure on held-out samples and put the files into ``models/zoo``.

    Without names: all families, and the networks of ``ENTRIES`` where ``data`` is given.
    Raises UsageError for a name that does not exist, and for one that needs data.
    """
    known = (*ENTRIES, *FAMILIES)
    chosen = names or (known if data is not None else tuple(FAMILIES))
    for name in chosen:
        if name not in known:
            raise UsageError(f"zoo network '{name}' does not exist: choose {', '.join(known)}")
        if name in ENTRIES and data is None:
            raise UsageError(f"zoo network '{name}' needs --data: MNIST training images as .npz")
    for name in chosen:
        if name in FAMILIES:
            build_family(name, ZOO, quiet)
        elif data is not None:
            _build_protopnet(name, data, quiet)


def _build_protopnet(name: str, data: str, quiet: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        entry = ENTRIES[name]
        train_model(
            "protopnet",
            data,
            Path(folder),
            grid=entry.grid,
            certified_eps=entry.certified_eps,
            certify_facts=entry.certify_facts,
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
        given = model.double(), images.astype(np.float64), labels, radius
        facts["accuracy"]["mnist5k_certified"] = certified_accuracy(*given)
        if ENTRIES[name].certify_facts:
            facts["accuracy"]["mnist5k_explained"] = explained_accuracy(*given)
    write_provenance(path, facts)


def everything(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Training and test part together: a network trained elsewhere has seen neither."""
    images = np.concatenate([dataset.x_train, dataset.x_test])
    return images, np.concatenate([dataset.y_train, dataset.y_test])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m models.build_zoo")
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all families")
    parser.add_argument("--data", help="MNIST training images, for the networks of `train`")
    parser.add_argument("--names-only", action="store_true", help="no training: metadata again")
    given = parser.parse_args()
    if given.names_only:
        for family in given.names or FAMILIES:
            name_again(family, ZOO)
    else:
        build(tuple(given.names), given.data)
