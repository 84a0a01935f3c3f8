"""One family of the zoo, from its row to its files: NAME.onnx, NAME.json, NAME.prototypes.png."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from models.corpora import corpus
from models.corpora.corpus import Corpus
from models.deterministic import deterministic, versions
from models.export import PROVENANCE, write_provenance
from models.families import FAMILIES, Family
from models.fit import fit
from models.heads.base import Head
from models.origins import Place
from models.pictures import prototype_sheet
from models.plain_export import add_names, export_plain
from models.sheet import COLUMNS
from models.trunk import Network
from protoproof.errors import TrainingError
from protoproof.files import write_atomic
from protoproof.version import TOOL

TOLERANCE = 2e-2
"""Largest difference between torch and ONNX Runtime scores. Log similarities near a prototype turn
float32 rounding of |z|^2 - 2 z.p + |p|^2 into up to about 0.01."""


def build_family(name: str, folder: Path, quiet: bool = False) -> dict[str, Any]:
    """Train, export, compare and measure; write three files; return the provenance."""
    family = FAMILIES[name]
    data = corpus(family.corpus)
    with deterministic(family.seed):
        encoder, head = family.encoder(), family.head()
        network = Network(encoder, head)
        places = fit(network, head, data, family.schedule, family.seed, quiet)
        model = export_plain(network, data.shape, family.exporter)
        content = add_names(model, _names(name, network, head, data))
        accuracy, gap = _measure(network, content, data)
    sheet, tile = prototype_sheet(head, data, places)
    facts = {
        "schema": PROVENANCE,
        "name": name,
        "family": type(head).__name__.removesuffix("Head"),
        "title": family.title,
        "command": f"python -m models.build_zoo {name}",
        "seed": family.seed,
        "data": _data(data),
        "recipe": _recipe(family, head),
        "head": _sizes(network, head, data),
        "accuracy": accuracy,
        "agreement": {"samples": len(data.x_test), "largest_score_difference": gap},
        "versions": versions("onnxscript"),
        "model": {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)},
        "sheet": {"file": f"{name}.prototypes.png", "tile": list(tile), "columns": COLUMNS},
        "prototypes": _origins(places),
    }
    write_atomic(folder / f"{name}.prototypes.png", sheet)
    write_atomic(folder / f"{name}.onnx", content)
    write_provenance(folder / f"{name}.json", facts)
    return facts


def name_again(name: str, folder: Path) -> None:
    """Write what is said about an existing file again: its names, its data, its new sha256."""
    family = FAMILIES[name]
    data, path = corpus(family.corpus), folder / f"{name}.onnx"
    encoder, head = family.encoder(), family.head()
    model = onnx.load(path)
    content = add_names(model, _names(name, Network(encoder, head), head, data))
    facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    facts["data"] = _data(data)
    facts["model"] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    write_atomic(path, content)
    write_provenance(path.with_suffix(".json"), facts)


def scores(content: bytes, x: np.ndarray) -> np.ndarray:
    """The first output of an ONNX file for samples, one at a time."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    feed, wanted = session.get_inputs()[0].name, [session.get_outputs()[0].name]
    rows = [session.run(wanted, {feed: x[i : i + 1]})[0][0] for i in range(len(x))]
    return np.stack(rows)


def share_right(found: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The share of right classes; for labels that of right labels and of samples all right."""
    if labels.ndim == 1:
        return {"test": round(float((found.argmax(axis=1) == labels).mean()), 4)}
    right = (found > 0.5) == (labels > 0)
    return {
        "test": round(float(right.mean()), 4),
        "test_all_labels": round(float(right.all(axis=1).mean()), 4),
    }


def _measure(network: Network, content: bytes, data: Corpus) -> tuple[dict[str, float], float]:
    """Accuracies (held out: by ONNX Runtime), and the largest difference to torch's scores."""
    with torch.no_grad():
        twin = network(torch.from_numpy(data.x_test)).numpy()
        first = len(data.x_train) - data.support if data.support else 0
        seen = network(torch.from_numpy(data.x_train[first:])).numpy()
    found = scores(content, data.x_test)
    gap = float(np.abs(found - twin).max())
    if not gap <= TOLERANCE:
        raise TrainingError(f"torch and ONNX Runtime disagree by {gap:.3g}: nothing was exported")
    train = share_right(seen, data.y_train[first:])["test"]
    return {"train": train, **share_right(found, data.y_test)}, gap


def _names(name: str, network: Network, head: Head, data: Corpus) -> dict[str, Any]:
    """What the ONNX file says about itself: names and places, nothing that a proof reads."""
    names: dict[str, Any] = {
        "schema": "protoproof.head/1",
        "name": name,
        "family": type(head).__name__.removesuffix("Head"),
        "input": {"range": list(data.value_range)},
        "latent": {"receptive_field": network.encoder.receptive_field().model_dump()},
        "classes": list(data.classes),
        "training_data": {"name": data.name, "sha256": data.sha256},
        "producer": TOOL,
    }
    if len(head.owner):
        names["prototype_class"] = head.owner.tolist()
    return names


def _data(data: Corpus) -> dict[str, Any]:
    return {
        "name": data.name,
        "sha256": data.sha256,
        "train": len(data.x_train),
        "test": len(data.x_test),
        "source": data.source,
        "licence": data.licence,
        "prepared": data.prepared,
    }


def _recipe(family: Family, head: Head) -> dict[str, Any]:
    schedule = family.schedule
    return {
        "epochs": schedule.epochs,
        "last_layer_epochs": schedule.settle_epochs,
        "batch": schedule.batch,
        "learning_rate": schedule.rate,
        "prototypes_are_samples": head.moves,
        "exporter": family.exporter,
    }


@torch.no_grad()
def _sizes(network: Network, head: Head, data: Corpus) -> dict[str, Any]:
    """Shape of the (first) latent, number of banks and of prototypes in all banks."""
    banks = head.banks(network.encoder(torch.from_numpy(data.x_train[:1])))
    return {
        "latent": list(banks[0][0].shape[1:]),
        "banks": len(banks),
        "prototypes": sum(len(prototypes) for _, prototypes in banks),
        "classes": len(data.classes),
    }


def _origins(places: tuple[Place, ...]) -> list[dict[str, Any]]:
    return [
        {
            "prototype": index,
            "class": place.label,
            "image": place.sample,
            "location": list(place.location),
            "box": list(place.box),
        }
        for index, place in enumerate(places)
    ]
