"""Export: a checkpoint becomes MODEL.onnx, MODEL.json (provenance) and MODEL.prototypes.png.

The exported prototypes are recomputed as the latents that ONNX Runtime yields for their patches,
so that each prototype is, bit for bit on this machine, an output of the exported encoder.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.agreement import Agreement, compare
from models.checkpoint import Checkpoint, load_checkpoint
from models.onnx_graph import build_graph
from models.projection import Origin
from models.protopnet import EPSILON, ProtoPNet
from models.runtime import Runtime
from models.sheet import COLUMNS, contact_sheet
from protoproof.data.dataset import Dataset, load_data
from protoproof.errors import InputError, TrainingError, UsageError
from protoproof.files import make_directory, write_atomic
from protoproof.version import TOOL

PROVENANCE = "protoproof.provenance/1"


@dataclass(frozen=True)
class ExportResult:
    """The three files, the model's sha256, and how well torch and ONNX Runtime agree."""

    model: Path
    provenance: Path
    sheet: Path
    sha256: str
    agreement: Agreement
    accuracy: float

    def to_json(self) -> dict[str, Any]:
        """The document of ``export --json``."""
        return {
            "model": str(self.model),
            "provenance": str(self.provenance),
            "prototypes": str(self.sheet),
            "sha256": self.sha256,
            "test_accuracy": self.accuracy,
            "largest_latent_difference": self.agreement.latent,
            "largest_logit_difference": self.agreement.logits,
        }


def export_checkpoint(checkpoint: Path, out: Path, data: str) -> ExportResult:
    """Export a checkpoint (folder or JSON file) to ``out`` (a .onnx file).

    ``data`` must be the data set of the training, which the fingerprint decides: the prototypes
    are patches of its images. Raises TrainingError for a bad checkpoint or when torch and ONNX
    Runtime disagree, InputError for other data, UsageError or OutputError for a bad ``out``.
    """
    if out.suffix != ".onnx":
        raise UsageError(f"output {out} must be a file name that ends in .onnx")
    record, model = load_checkpoint(checkpoint)
    dataset = load_data(data)
    if dataset.sha256 != record.data.sha256:
        raise InputError(
            f"data '{data}' is not what {checkpoint} was trained on ({record.data.name}, sha256 "
            f"{record.data.sha256[:12]}...): give that data set, its images hold the prototypes"
        )
    return export_model(record, model, dataset, out)


def export_model(record: Checkpoint, model: ProtoPNet, dataset: Dataset, out: Path) -> ExportResult:
    """Build, check and write. The model's prototypes become ONNX Runtime's latents.

    Raises TrainingError unless torch and ONNX Runtime agree on the test set; then nothing is
    written.
    """
    model.eval()
    description = describe(record)
    content = _with_runtime_prototypes(model, dataset.x_train, record.origins, description)
    runtime = Runtime(content)
    agreement = compare(model, runtime, dataset.x_test)
    predicted = runtime.predict(dataset.x_test)
    accuracy = round(float((predicted == dataset.y_test).mean()), 4)
    tile = _tile(record)
    sheet = out.with_name(f"{out.stem}.prototypes.png")
    provenance = out.with_name(f"{out.stem}.json")
    facts = _provenance(record, agreement, accuracy, sheet.name, tile)
    make_directory(out.parent)
    write_atomic(sheet, contact_sheet(dataset.x_train, record.origins, tile))
    write_provenance(provenance, facts)
    write_atomic(out, content)
    digest = sha256(content).hexdigest()
    return ExportResult(out, provenance, sheet, digest, agreement, accuracy)


def describe(record: Checkpoint) -> str:
    """The names that travel inside the ONNX file, as canonical JSON text."""
    architecture = record.architecture
    field = architecture.receptive_field()
    owners = np.arange(len(record.classes)).repeat(record.prototypes_per_class).tolist()
    content = {
        "schema": "protoproof.head/1",
        "family": record.family,
        "name": record.name,
        "input": {
            "tensor": "input",
            "shape": architecture.input_shape,
            "range": [0.0, 1.0],
            "normalisation": {"mean": record.mean, "std": record.std},
        },
        "latent": {
            "tensor": "latent",
            "channels": architecture.channels,
            "grid": architecture.grid,
            "receptive_field": field.model_dump(),
        },
        "measurement": {"kind": "squared_l2", "tensor": "measurement", "prototypes": "prototypes"},
        "similarity": {"kind": "log_ratio", "epsilon": EPSILON},
        "pooling": {"kind": "max"},
        "activation": "activation",
        "decision": {
            "kind": "linear",
            "weight": "head.weight",
            "bias": None,
            "logits": "logits",
        },
        "classes": record.classes,
        "prototype_class": owners,
        "training_data": {"name": record.data.name, "sha256": record.data.sha256},
        "producer": TOOL,
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def write_provenance(path: Path, facts: dict[str, Any]) -> None:
    """Write a provenance document. Raises OutputError."""
    text = json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(path, text.encode() + b"\n")


def _with_runtime_prototypes(
    model: ProtoPNet, images: np.ndarray, origins: tuple[Origin, ...], description: str
) -> bytes:
    """The ONNX bytes whose prototypes are latents of their own encoder, checked bit for bit."""
    draft = build_graph(model, model.prototypes.detach().numpy(), description)
    prototypes = _runtime_latents(draft.SerializeToString(deterministic=True), images, origins)
    moved = np.abs(prototypes - model.prototypes.detach().numpy()).max()
    if not moved <= 1e-3:
        raise TrainingError(
            f"prototypes are not latents of their recorded patches (off by {moved:.3g}): "
            "train the network again"
        )
    with torch.no_grad():
        model.prototypes.copy_(torch.from_numpy(prototypes))
    content = build_graph(model, prototypes, description).SerializeToString(deterministic=True)
    if not np.array_equal(_runtime_latents(content, images, origins), prototypes):
        raise TrainingError(
            "ONNX Runtime computes different latents in two runs of one encoder: "
            "nothing was exported; report this with the package versions"
        )
    return bytes(content)


def _runtime_latents(content: bytes, images: np.ndarray, origins: tuple[Origin, ...]) -> np.ndarray:
    """Latents of the origins' patches, image by image (batch 1), as [prototype, channel, 1, 1]."""
    runtime = Runtime(content)
    latents = []
    for origin in origins:
        latent = runtime.observe(images[origin.image : origin.image + 1]).latent[0]
        latents.append(latent[:, origin.location[0], origin.location[1]])
    return np.stack(latents)[:, :, None, None]


def _tile(record: Checkpoint) -> tuple[int, int]:
    """Tile size of the contact sheet: the receptive field, at most the image."""
    field = record.architecture.receptive_field()
    _, rows, columns = record.architecture.input_shape
    return min(field.size[0], rows), min(field.size[1], columns)


def _provenance(
    record: Checkpoint,
    agreement: Agreement,
    accuracy: float,
    sheet: str,
    tile: tuple[int, int],
) -> dict[str, Any]:
    return {
        "schema": PROVENANCE,
        "name": record.name,
        "command": record.command,
        "seed": record.seed,
        "data": record.data.model_dump(),
        "recipe": record.recipe.model_dump(),
        # The test accuracy is ONNX Runtime's: the exported file is what people use.
        "accuracy": {**record.accuracy, "test": accuracy},
        "agreement": {
            "images": agreement.images,
            "largest_latent_difference": agreement.latent,
            "largest_logit_difference": agreement.logits,
        },
        "versions": record.versions,
        "sheet": {"file": sheet, "tile": list(tile), "columns": COLUMNS},
        "prototypes": [
            {
                "prototype": origin.prototype,
                "class": origin.class_,
                "image": origin.image,
                "location": list(origin.location),
                "box": list(origin.box),
            }
            for origin in record.origins
        ],
    }
