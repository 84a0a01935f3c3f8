"""Training a prototype network from a data set to a checked ONNX file.

Deterministic: the same data, options and seed give the same file on the same kind of processor
with the same package versions, which are recorded.
"""

from __future__ import annotations

import re
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.absorbing import absorb, chosen_ramp
from models.architecture import Architecture, plan
from models.checkpoint import Checkpoint, DataRecord, save_checkpoint
from models.deterministic import deterministic, versions
from models.evaluate import accuracy, certified_accuracy, explained_accuracy
from models.export import ExportResult, export_model
from models.progress import Progress
from models.projection import Origin, project
from models.protopnet import ProtoPNet
from models.recipe import Recipe
from models.stages import Samples, joint, last_layer
from protoproof.data.dataset import Dataset, load_data
from protoproof.errors import InputError, UsageError
from protoproof.files import make_directory, write_atomic

FAMILIES = ("protopnet",)


@dataclass(frozen=True)
class TrainResult:
    """What ``train`` wrote and how good the network is.

    ``accuracy`` holds ``train`` and ``test`` (shares of correct images, of the exported network's
    torch twin) and, after certified training, ``certified_eps`` and ``certified``: the share of
    test images that keep their label over the whole L-infinity ball by interval bounds; after
    training for explanations also ``explained``: the share for which, by the same bounds, one fact
    about a prototype of the label holds over the ball and forces the label, whatever the latent.
    """

    checkpoint: Path
    export: ExportResult
    accuracy: dict[str, float]
    origins: tuple[Origin, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The document of ``train --json``."""
        return self.export.to_json() | {
            "checkpoint": str(self.checkpoint),
            "accuracy": self.accuracy,
            "time_s": round(self.seconds, 1),
        }


def train_model(
    family: str,
    data: str,
    out: Path,
    *,
    grid: int = 7,
    certified_eps: float | None = None,
    certify_facts: bool = False,
    seed: int = 0,
    epochs: int | None = None,
    prototypes_per_class: int | None = None,
    channels: int | None = None,
    name: str | None = None,
    quiet: bool = False,
) -> TrainResult:
    """Train on ``data`` and write checkpoint, NAME.onnx, NAME.json and NAME.prototypes.png to out.

    NAME defaults to ``model`` for the files, and to family and data for the network (which must not
    depend on where it was written: the same seed gives the same file). The defaults of the other
    options depend on the size of the data.
    Raises InputError for bad data, UsageError for options that do not fit it, OutputError when
    ``out`` is not writable (found out first), TrainingError when training or export fails.
    """
    began = time.monotonic()
    _refuse(family, certified_eps, seed, epochs, prototypes_per_class, name)
    if certify_facts:
        _refuse_facts(grid, certified_eps)
    dataset = load_data(data)
    if not dataset.divided:
        raise InputError(
            f"data '{data}': has no training part; give x_train and y_train, or train/CLASS"
        )
    certified = certified_eps is not None
    per_class = prototypes_per_class or (5 if certified else 10)
    width = channels or (32 if certify_facts else 128 if grid == 1 and not certified else 64)
    architecture = plan(dataset.input_shape, grid, width, certified, certify_facts)
    recipe = Recipe.for_data(len(dataset.x_train), epochs, certified_eps, certify_facts)
    _require_writable(out)
    with deterministic(seed):
        model, origins = _fit(dataset, architecture, recipe, per_class, seed, quiet)
        scores = _scores(model, dataset, recipe)
    record = _record(
        dataset, model, recipe, seed, per_class, origins, scores, name or _named(family, data)
    )
    checkpoint = save_checkpoint(out, record, model)
    export = export_model(record, model, dataset, out / f"{name or 'model'}.onnx")
    return TrainResult(checkpoint, export, scores, origins, time.monotonic() - began)


def _named(family: str, data: str) -> str:
    """What a network is called that nobody named, such as ``protopnet-mnist5k``."""
    stem = re.sub(r"[^A-Za-z0-9._]+", "-", Path(data).stem).strip("-.")
    return f"{family}-{stem}"[:64] if stem else family


def _record(
    dataset: Dataset,
    model: ProtoPNet,
    recipe: Recipe,
    seed: int,
    per_class: int,
    origins: tuple[Origin, ...],
    scores: dict[str, float],
    name: str,
) -> Checkpoint:
    """What the checkpoint says about a trained network."""
    data = DataRecord(
        name=dataset.name,
        sha256=dataset.sha256,
        train=len(dataset.x_train),
        test=len(dataset.x_test),
    )
    return Checkpoint(
        family="protopnet",
        name=name,
        command=_command(dataset.name, model.architecture, recipe, seed, per_class),
        seed=seed,
        data=data,
        recipe=recipe,
        architecture=model.architecture,
        classes=dataset.classes,
        prototypes_per_class=per_class,
        mean=tuple(model.encoder.mean.flatten().tolist()),
        std=tuple(model.encoder.std.flatten().tolist()),
        origins=origins,
        accuracy=scores,
        versions=versions(),
    )


def _require_writable(folder: Path) -> None:
    """Find out before a long run that its results cannot be written. Raises OutputError."""
    make_directory(folder)
    probe = folder / ".writable"
    write_atomic(probe, b"")
    probe.unlink(missing_ok=True)


def _fit(
    dataset: Dataset,
    architecture: Architecture,
    recipe: Recipe,
    per_class: int,
    seed: int,
    quiet: bool,
) -> tuple[ProtoPNet, tuple[Origin, ...]]:
    """All stages, from random weights to a projected network with an optimised last layer."""
    mean, std = _normalisation(dataset.x_train)
    model = ProtoPNet(architecture, len(dataset.classes), per_class, mean, std)
    if recipe.fact_share > 0 and recipe.training_eps is not None:
        absorb(model.encoder, *chosen_ramp(dataset.x_train, recipe.training_eps))
    samples = Samples(torch.from_numpy(dataset.x_train), torch.from_numpy(dataset.y_train))
    generator = torch.Generator().manual_seed(seed)
    epochs = recipe.epochs + recipe.last_layer_epochs
    with Progress(epochs, quiet) as progress:
        progress.stage("joint")
        joint(model, samples, recipe, generator, progress)
        progress.stage("projection")
        origins = project(model, samples.images, samples.labels)
        progress.stage("last layer")
        last_layer(model, samples, recipe, generator, progress)
    return model, origins


def _scores(model: ProtoPNet, dataset: Dataset, recipe: Recipe) -> dict[str, float]:
    radius, unseen = recipe.certified_eps, (dataset.x_test, dataset.y_test)
    scores = {
        "train": accuracy(model, dataset.x_train, dataset.y_train),
        "test": accuracy(model, *unseen),
    }
    if radius is not None:
        scores["certified_eps"] = radius
        scores["certified"] = certified_accuracy(model, *unseen, radius)
        if recipe.fact_share > 0:
            scores["explained"] = explained_accuracy(model, *unseen, radius)
    return scores


def _normalisation(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per channel, rounded so that every file shows the same number."""
    mean = images.mean(axis=(0, 2, 3), dtype=np.float64)
    std = images.std(axis=(0, 2, 3), dtype=np.float64)
    # A constant channel carries nothing; its deviation must only not divide by zero.
    return [round(float(m), 4) for m in mean], [round(max(float(s), 0.01), 4) for s in std]


def _refuse(
    family: str,
    certified_eps: float | None,
    seed: int,
    epochs: int | None,
    prototypes_per_class: int | None,
    name: str | None,
) -> None:
    """Options that make no sense, found before any data is read."""
    if family not in FAMILIES:
        raise UsageError(f"family '{family}' is unknown: choose {', '.join(FAMILIES)}")
    if certified_eps is not None and not 0.0 < certified_eps <= 0.5:
        raise UsageError(
            f"certified eps {certified_eps} is outside (0, 0.5]: it is a radius on the [0,1] scale"
        )
    if not 0 <= seed < 1 << 63:
        raise UsageError(f"seed {seed} is out of range: choose 0 or a positive integer")
    if epochs is not None and not 1 <= epochs <= 10_000:
        raise UsageError(f"{epochs} epochs: choose 1 to 10000")
    if prototypes_per_class is not None and not 1 <= prototypes_per_class <= 100:
        raise UsageError(f"{prototypes_per_class} prototypes per class: choose 1 to 100")
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise UsageError(f"name '{name}' is not a plain file name: use letters, digits, . _ -")


def _refuse_facts(grid: int, certified_eps: float | None) -> None:
    """Training for explanations needs a radius, and a latent of one location."""
    if certified_eps is None:
        raise UsageError("--certify-facts needs --certified-eps: the radius that facts hold over")
    if grid != 1:
        raise UsageError(
            f"--certify-facts needs --grid 1, not {grid}: one fact says nothing of other locations"
        )


def _command(
    data: str, architecture: Architecture, recipe: Recipe, seed: int, per_class: int
) -> str:
    """The command that repeats this run, with the data set's name in place of its path."""
    radius = recipe.certified_eps
    certified = "" if radius is None else f" --certified-eps {radius:g}"
    if recipe.fact_share > 0:
        certified += " --certify-facts"
    return (
        f"protoproof train --family protopnet --data {shlex.quote(data)} "
        f"--grid {architecture.grid[0]}{certified} --seed {seed} --epochs {recipe.epochs} "
        f"--prototypes-per-class {per_class} --channels {architecture.channels}"
    )
