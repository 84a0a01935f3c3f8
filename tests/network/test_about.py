"""What is said about a model gives names and nothing else, and is read strictly."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protoproof.errors import DescriptionError
from protoproof.network import load
from protoproof.network.head.about import json_schema, parse_about
from tests.support.network.builders import describe, draft

SCHEMA = Path(__file__).parents[2] / "specs" / "schema" / "head.schema.json"


def test_the_published_schema_is_the_one_that_is_read() -> None:
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == json_schema()


def changed(path: str, value: Any) -> str:
    """The text with one field set (or removed: value is Ellipsis)."""
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


def test_names_are_read(tmp_path: Path) -> None:
    parts = draft()
    parts.description = json.loads(changed("input.range", [-1.0, 2.0]))
    network = load(parts.save(tmp_path))
    about = network.about
    assert (about.name, about.family, about.producer) == ("tiny", "protopnet", "tests")
    assert network.class_names == ("no", "yes")
    assert network.input_range == (-1.0, 2.0)
    assert about.receptive_field is not None
    assert about.receptive_field.size == (3, 3)
    assert network.head.prototype_class == (0, 0, 1, 1)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", ...),
        ("schema", "protoproof.head/2"),
        ("surprise", 1),
        ("measurement.kind", "cosine"),
        ("measurement", ...),
        ("similarity", {"kind": "tanh"}),
        ("similarity.epsilon", 0.5),
        ("pooling.kind", "mean"),
        ("decision.weight", "nobody"),
        ("activation", 7),
        ("latent.tensor", "nobody"),
        ("latent.channels", 99),
        ("input.tensor", "image"),
    ],
)
def test_what_it_says_about_the_head_means_nothing(tmp_path: Path, path: str, value: Any) -> None:
    parts = draft()
    parts.description = json.loads(changed(path, value))
    network, plain = load(parts.save(tmp_path, "a.onnx")), load(draft().save(tmp_path, "b.onnx"))
    assert network.head.chain.words() == plain.head.chain.words()
    assert network.recognised.latents == plain.recognised.latents
    np.testing.assert_array_equal(network.head.prototypes, plain.head.prototypes)
    np.testing.assert_array_equal(network.head.weight, plain.head.weight)


def test_without_it_everything_is_found_and_counted(tmp_path: Path) -> None:
    parts = draft()
    parts.description = None
    network = load(parts.save(tmp_path))
    assert network.about.name == "tiny"
    assert network.class_names == ("class 0", "class 1")
    assert network.input_range == (0.0, 1.0)
    assert not network.about.range_stated
    assert network.head.prototype_class is None
    assert network.about.receptive_field is None


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("classes", ["a", "b", "c"], "classes has 3 names for 2 classes"),
        ("prototype_class", [0, 0, 1], "prototype_class has 3 entries for 4 prototypes"),
        ("prototype_class", [0, 0, 1, 2], "a class that the network does not have"),
        ("input.range", [1.0, 0.0], "low < high"),
    ],
)
def test_impossible_counts_are_refused(tmp_path: Path, path: str, value: Any, message: str) -> None:
    parts = draft()
    parts.description = json.loads(changed(path, value))
    with pytest.raises(DescriptionError, match=message):
        load(parts.save(tmp_path))


WRONG = [
    ("classes", [0, 1], "classes"),
    ("prototype_class", [0, 0, 1, -1], "prototype_class"),
    ("prototype_class", [True, 0, 0, 1], "prototype_class"),
    ("input.normalisation", {"mean": [0.1], "std": [0.0]}, "input.normalisation.std"),
    ("latent.receptive_field", {"size": [3], "stride": [1, 1], "start": [0, 0]}, "receptive_field"),
    ("training_data", {"name": "x", "sha256": "short"}, "training_data.sha256"),
    ("name", "x" * 5000, "name"),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG)
def test_malformed_names_are_named(path: str, value: Any, message: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        parse_about(changed(path, value), "somewhere")
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
        changed("latent.channels", 3).replace('"channels": 3', f'"channels": {"9" * 5000}'),
        "[" * 100_000,
        '{"a":' * 50_000,
        '"' + '\\"' * 2_000_000,
        "[" * 17 + "]" * 17,
        changed("name", "\ud800"),
    ],
)
def test_loose_json_is_refused(text: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        parse_about(text, "somewhere")
    assert str(caught.value).isprintable()


def test_too_long() -> None:
    with pytest.raises(DescriptionError, match="longer than"):
        parse_about(" " * ((1 << 24) + 1), "somewhere")


YAML = """
family: protopnet
name: tiny
input: {tensor: input, shape: [1, 6, 6], range: [0, 1]}
similarity:
  epsilon: 1e-4   # YAML 1.1 would read text here
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
    assert network.class_names == ("no", "yes")
    assert network.about.external


def test_metadata_wins_over_yaml(tmp_path: Path) -> None:
    path = draft().save(tmp_path)
    (tmp_path / "tiny.yaml").write_text("nonsense: [")
    about = load(path).about
    assert not about.external
    stored = json.dumps(describe()).encode()
    assert hashlib.sha256(about.text.encode()).digest() == hashlib.sha256(stored).digest()


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not an object"),
        (BOMB, "anchors and aliases are not allowed"),
        ("name: !!python/object/apply:os.system [echo]", "tags are not allowed"),
        ("name: !local x", "tags are not allowed"),
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
        (YAML.replace('["no", "yes"]', "[no, yes]"), "classes.0"),
        ("x" * (1 << 18), "larger than"),
    ],
)
@pytest.mark.trust(30)
def test_wild_yaml_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = saved(tmp_path, text)
    with pytest.raises(DescriptionError) as caught:
        load(path)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


def test_yaml_pipe_is_not_read(tmp_path: Path) -> None:
    parts = draft()
    parts.description = None
    os.mkfifo(tmp_path / "tiny.yaml")
    with pytest.raises(DescriptionError, match="not a regular file"):
        load(parts.save(tmp_path))


def test_a_chosen_head_takes_only_names_that_fit(tmp_path: Path) -> None:
    network = load(draft().save(tmp_path), output="activation")
    assert network.class_names == ("class 0", "class 1", "class 2", "class 3")
