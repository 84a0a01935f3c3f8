"""Sabotaged copies of a zoo network, policies in a few lines, and campaigns that never ran."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from protoproof.campaign import Confirmed, Instances, Record, Row
from protoproof.campaign.model_identity import ModelFacts, model_facts
from protoproof.campaign.recheck import Complaint
from protoproof.campaign.regions import RegionRecord
from protoproof.gate import GateResult, run_gate
from tests.support.campaign import MODEL, InlineEngine, network, some

RNG_SEED = 0
HEADER = "schema: protoproof.policy/1\nname: test\n"


def weights_perturbed(values: dict[str, np.ndarray]) -> None:
    rng = np.random.default_rng(RNG_SEED)
    values["weight"] += rng.normal(0, 2 * np.abs(values["weight"]).std(), values["weight"].shape)


def prototype_duplicated(values: dict[str, np.ndarray]) -> None:
    values["prototypes"][7] = values["prototypes"][6]


def classes_swapped(values: dict[str, np.ndarray]) -> None:
    """The prototypes of two classes change places; weights stay."""
    owner = np.array(network().head.prototype_class)
    first, second = np.flatnonzero(owner == 3), np.flatnonzero(owner == 8)
    values["prototypes"][[*first, *second]] = values["prototypes"][[*second, *first]]


def nothing(values: dict[str, np.ndarray]) -> None:
    """The same values in another file."""


def sabotaged(path: Path, harm: Any) -> Path:
    """A copy of the certified zoo network with changed initializers."""
    model = onnx.load(MODEL)
    names = {"prototypes": "prototypes", "weight": "head.weight"}
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    values = {word: numpy_helper.to_array(tensors[name]).copy() for word, name in names.items()}
    shapes = {word: value.shape for word, value in values.items()}
    classes, prototypes = network().head.weight.shape
    values["prototypes"] = values["prototypes"].reshape(prototypes, -1)
    transposed = shapes["weight"] != (classes, prototypes)
    harm(values)
    assert not transposed
    for word, name in names.items():
        changed = values[word].reshape(shapes[word]).astype(np.float32)
        tensors[name].CopyFrom(numpy_helper.from_array(changed, name))
    model.producer_version = harm.__name__
    onnx.save(model, path)
    return path


def gate(
    directory: Path, rules: str, model: Path = MODEL, data: Instances | None = None, **more: Any
) -> GateResult:
    """Run a gate on few instances, in this process."""
    directory.mkdir(parents=True, exist_ok=True)
    policy = directory / "policy.yaml"
    policy.write_text(HEADER + rules)
    return run_gate(policy, model, data or some(20), directory / "out", engine=InlineEngine, **more)


def facts(**changes: Any) -> ModelFacts:
    return model_facts(network()).model_copy(update=changes)


def row(index: int, label: int = 0, **record: Any) -> Row:
    """A planned instance; proved and right unless said otherwise."""
    base: dict[str, Any] = {
        "state": "proved",
        "predicted": label,
        "size": 2,
        "possible": 51,
        "necessary": 1,
        "sizes": {"topk": {"status": "proved", "reason": "", "size": 2}},
        "prototypes": (index,),
        "signature": f"s{index}",
        "vocabulary": "topk",
    }
    return Row(index, label, f"{index:064x}", f"k{index}", Record(**base | record))


def campaign(
    rows: Sequence[Row],
    model: ModelFacts | None = None,
    regions: dict[str, dict[str, RegionRecord]] | None = None,
    directory: Path = Path("nowhere"),
    complaints: dict[str, Complaint] | None = None,
) -> Confirmed:
    """A campaign with these rows, as if they had been found out again."""
    about = {
        "data": {"name": "made up", "sha256": "0" * 64},
        "selection": {},
        "options": {},
        "versions": {},
        "domain": "free",
        "regions": {name: name for name in regions or {}},
    }
    found = regions or {}
    return Confirmed(
        directory, about, model or facts(), tuple(rows), found, complaints=complaints or {}
    )


def without_proof(one: Row, state: Any = "undecided") -> Row:
    """The same instance, not proved."""
    return replace(one, record=Record(state, "because", predicted=one.record.predicted))
