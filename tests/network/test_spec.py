"""Reading head descriptions, strictly, from metadata and from YAML."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protoproof.errors import DescriptionError
from protoproof.network import load
from protoproof.network.head.description import (
    HeadDescription,
    described_similarity,
    json_schema,
    parse_description,
)
from tests.support.network.builders import SIMILARITIES, describe, draft

SCHEMA = Path(__file__).parents[2] / "specs" / "schema" / "head.schema.json"


def test_the_published_schema_is_the_model_s() -> None:
    assert json.loads(SCHEMA.read_text()) == json_schema()


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_round_trip(similarity: str) -> None:
    description = parse_description(json.dumps(describe(similarity, bias=True)), "here")
    assert parse_description(description.to_json(), "here") == description
    assert json.loads(description.to_json())["schema"] == "protoproof.head/1"
    assert described_similarity(description).kind == similarity


def test_constants_are_float32() -> None:
    description = parse_description(json.dumps(describe()), "here")
    assert described_similarity(description).constant == float(np.float32(1e-4))


def changed(path: str, value: Any) -> str:
    """The description's JSON with one field set (or removed: value is Ellipsis)."""
    content = copy.deepcopy(describe())
    target: Any = content
    *parents, last = path.split(".")
    for name in parents:
        target = target[name]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return json.dumps(content)


WRONG = [
    ("schema", "protoproof.head/2", "schema"),
    ("schema", ..., "schema"),
    ("surprise", 1, "surprise"),
    ("latent.surprise", 1, "latent.surprise"),
    ("latent.channels", 0, "latent.channels"),
    ("latent.channels", "64", "latent.channels"),
    ("latent.channels", 2.5, "latent.channels"),
    ("latent.grid", [7], "latent.grid"),
    ("latent.tensor", "", "latent.tensor"),
    ("latent.tensor", "x" * 2000, "latent.tensor"),
    ("input.shape", [1, 28], "input.shape"),
    ("input.shape", [1, 28, 1 << 60], "input.shape"),
    ("input.range", [1.0, 0.0], "low < high"),
    ("input.normalisation", {"mean": [0.1, 0.2], "std": [1.0, 1.0]}, "one mean and one std"),
    ("input.normalisation", {"mean": [0.1], "std": [0.0]}, "input.normalisation.std"),
    ("measurement.kind", "cosine", "measurement.kind"),
    ("similarity", {"kind": "tanh"}, "similarity"),
    ("similarity", {"kind": "log_ratio"}, "epsilon"),
    ("similarity", {"kind": "log_ratio", "epsilon": 0.0}, "epsilon"),
    ("similarity", {"kind": "log_ratio", "epsilon": 1.0}, "epsilon"),
    ("similarity", {"kind": "log_ratio", "epsilon": 0.999999999}, "made a float32"),
    ("similarity", {"kind": "log_ratio", "epsilon": 1e-60}, "made a float32"),
    ("similarity", {"kind": "exponential", "temperature": 1e300}, "made a float32"),
    ("similarity", {"kind": "negated", "epsilon": 0.1}, "epsilon"),
    ("pooling.kind", "mean", "pooling.kind"),
    ("decision.kind", "tree", "decision.kind"),
    ("decision.weight", None, "decision.weight"),
    ("classes", ["one"], "classes"),
    ("classes", [0, 1], "classes"),
    ("prototype_class", [0, 0, 1, 2], "prototype_class"),
    ("prototype_class", [0, 0, 1, -1], "prototype_class"),
    ("prototype_class", [True, 0, 0, 1], "prototype_class"),
    ("training_data", {"name": "x", "sha256": "short"}, "training_data.sha256"),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG)
def test_wrong_fields_are_named(path: str, value: Any, message: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        parse_description(changed(path, value), "somewhere")
    text = str(caught.value)
    assert text.startswith("somewhere: ")
    assert message in text
    assert "\n" not in text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"text"',
        json.dumps(describe()) + "x",
        json.dumps(describe())[:-1] + ', "name": "again"}',
        changed("similarity.epsilon", float("nan")),
        changed("similarity.epsilon", 0.5).replace("0.5", "1e999"),
        changed("latent.channels", 3).replace('"channels": 3', f'"channels": {"9" * 5000}'),
        "[" * 100_000,
        '{"a":' * 50_000,
        '"' + '\\"' * 2_000_000,
        "[" * 17 + "]" * 17,
        changed("name", "\ud800"),
    ],
)
def test_loose_json_is_refused(text: str) -> None:
    start = time.process_time()
    with pytest.raises(DescriptionError) as caught:
        parse_description(text, "somewhere")
    assert time.process_time() - start < 20
    assert str(caught.value).isprintable()


def test_too_long() -> None:
    with pytest.raises(DescriptionError, match="longer than"):
        parse_description(" " * ((1 << 24) + 1), "somewhere")


CONTRADICTIONS = [
    ("input.tensor", "image", "input.tensor is 'image'"),
    ("input.shape", [1, 5, 5], "input.shape"),
    ("latent.tensor", "nobody", "latent: the graph computes no tensor 'nobody'"),
    ("latent.tensor", "w1", "latent: the graph computes no tensor 'w1'"),
    ("latent.tensor", "r1", "latent: 'r1' has shape"),
    ("latent.channels", 4, "latent: 'latent' has shape"),
    ("latent.grid", [3, 3], "latent: 'latent' has shape"),
    ("measurement.tensor", "r1", "measurement.tensor: 'r1' has shape"),
    ("measurement.prototypes", "nobody", "no tensor 'nobody'"),
    ("measurement.prototypes", "w1", "measurement.tensor: 'measurement' has shape"),
    ("measurement.tensor", "expanded", "'expanded' is not a graph output"),
    ("activation", "ratio", "'ratio' is not a graph output"),
    ("activation", "logits", "activation: 'logits' has shape"),
    ("decision.logits", "activation", "decision.logits"),
    ("classes", ["a", "b", "c"], "decision.logits, classes"),
    ("prototype_class", [0, 0, 1], "prototype_class has 3 entries for 4 prototypes"),
]


@pytest.mark.parametrize(("path", "value", "message"), CONTRADICTIONS)
def test_contradictions_with_the_graph(tmp_path: Path, path: str, value: Any, message: str) -> None:
    parts = draft()
    parts.description = json.loads(changed(path, value))
    with pytest.raises(DescriptionError) as caught:
        load(parts.save(tmp_path))
    assert message in str(caught.value)


def test_no_description(tmp_path: Path) -> None:
    parts = draft()
    parts.description = None
    with pytest.raises(DescriptionError, match=r"no head description.*tiny\.yaml beside"):
        load(parts.save(tmp_path))


YAML = """
schema: protoproof.head/1
family: protopnet
name: tiny
input: {tensor: input, shape: [1, 6, 6], range: [0, 1]}
latent: {tensor: latent, channels: 3, grid: [2, 2]}
measurement: {kind: squared_l2, tensor: measurement, prototypes: prototypes}
similarity:
  kind: log_ratio
  epsilon: 1e-4   # YAML 1.1 would read text here
pooling: {kind: max}
activation: activation
decision: {kind: linear, weight: head.weight, logits: logits}
classes: ["no", "yes"]
"""


def saved(folder: Path, text: str | bytes, suffix: str = ".yaml") -> Path:
    parts = draft()
    parts.description = None
    (folder / f"tiny{suffix}").write_bytes(text if isinstance(text, bytes) else text.encode())
    return parts.save(folder)


@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_yaml_beside_the_model(tmp_path: Path, suffix: str) -> None:
    network = load(saved(tmp_path, YAML, suffix))
    assert network.binding == "recognised"
    text = network.description_external
    assert text is not None
    assert parse_description(text, "again") == network.description
    assert network.description_sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_metadata_wins_over_yaml(tmp_path: Path) -> None:
    path = draft().save(tmp_path)
    (tmp_path / "tiny.yaml").write_text("nonsense: [")
    network = load(path)
    assert network.description_external is None
    stored = json.dumps(describe()).encode()
    assert network.description_sha256 == hashlib.sha256(stored).hexdigest()


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "description"),
        (BOMB, "anchors and aliases are not allowed"),
        ("name: !!python/object/apply:os.system [echo]", "tags are not allowed"),
        ("name: !local x", "tags are not allowed"),
        ("name: !!str x", "tags are not allowed"),
        (YAML + "name: again\n", "at most once"),
        ("1: x\n", "keys must be strings"),
        ("[a, b]: x\n", "not plain YAML"),
        ("<<: {name: x}\n", "not plain YAML"),
        ("name: 2020-01-01\n", "not plain YAML"),
        ("epsilon: .nan\n", "not plain YAML"),
        ("name: [\n", "not plain YAML"),
        ("a: b\n---\nc: d\n", "not plain YAML"),
        (b"\xff\xfe\x00", "not plain YAML"),
        ("[" * 20_000, "not plain YAML"),
        (YAML.replace("1e-4", "tiny"), "similarity.log_ratio.epsilon"),
        (YAML.replace('["no", "yes"]', "[no, yes]"), "classes.0"),
        ("x" * (1 << 18), "larger than"),
    ],
)
def test_wild_yaml_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = saved(tmp_path, text)
    start = time.process_time()
    with pytest.raises(DescriptionError) as caught:
        load(path)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()
    assert time.process_time() - start < 60


def test_yaml_pipe_is_not_read(tmp_path: Path) -> None:
    parts = draft()
    parts.description = None
    os.mkfifo(tmp_path / "tiny.yaml")
    with pytest.raises(DescriptionError, match="not a regular file"):
        load(parts.save(tmp_path))


def test_descriptions_are_frozen() -> None:
    description = parse_description(json.dumps(describe()), "here")
    with pytest.raises(ValueError, match="frozen"):
        description.name = "other"  # type: ignore[misc]
    assert isinstance(hash(description.latent), int)
    assert isinstance(description, HeadDescription)
