"""Collisions against brute force, on real networks, on the page and on the command line."""

from __future__ import annotations

import itertools
import json
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from protoproof.data.dataset import load_data
from protoproof.errors import OutputError, UsageError
from protoproof.network import Network, Observation, load
from protoproof.report.ambiguity import Ambiguity, ambiguity, ambiguity_to_files, spread
from protoproof.resources import zoo_path
from tests.support.cli import protoproof

COUNT = 150


@cache
def network() -> Network:
    return load(zoo_path("mnist-7x7"))


@cache
def seen() -> tuple[list[Observation], Ambiguity]:
    observations = network().observe_batch(load_data("mnist5k").x_test[:COUNT])
    return observations, ambiguity(network(), observations, 4)


def test_counts_against_brute_force() -> None:
    observations, found = seen()
    head = network().head
    top = []
    for observation in observations:
        similar = head.activation(head.measurement(observation.latent.astype(np.float64)))
        top.append(sorted(range(len(similar)), key=lambda j: (-similar[j], j)))
    for level in found.levels:
        sets = [frozenset(order[: level.k]) for order in top]
        same = [(a, b) for a, b in itertools.combinations(range(COUNT), 2) if sets[a] == sets[b]]
        apart = [(a, b) for a, b in same if observations[a].predicted != observations[b].predicted]
        assert level.explanations == len(set(sets))
        assert level.same == len(same)
        assert level.colliding == len(apart)
        assert level.inputs == len({index for pair in apart for index in pair})
        assert level.rate == (len(apart) / len(same) if same else None)
    # nothing would be compared where no pair collides
    assert found.levels[0].colliding > 0


def test_the_example_is_a_collision() -> None:
    observations, found = seen()
    example = found.example
    assert example is not None
    assert example.k == max(level.k for level in found.levels if level.colliding)
    assert example.predicted[0] != example.predicted[1]
    head = network().head
    for index in (example.first, example.second):
        similar = head.activation(head.measurement(observations[index].latent.astype(np.float64)))
        assert set(np.argsort(-similar, kind="stable")[: example.k]) == set(example.prototypes)


def test_equal_inputs_share_everything_and_never_collide() -> None:
    (first, *_), _ = seen()
    found = ambiguity(network(), [first] * 3, 2)
    assert [(level.same, level.colliding, level.explanations) for level in found.levels] == [
        (3, 0, 1)
    ] * 2
    assert found.example is None
    assert found.to_json()["example"] is None


def test_too_little_is_refused(tmp_path: Path) -> None:
    observations, _ = seen()
    with pytest.raises(UsageError, match="two inputs"):
        ambiguity(network(), observations[:1])
    with pytest.raises(UsageError, match="at least 1"):
        ambiguity(network(), observations, 0)
    for out in (tmp_path / "x.txt", network().path.with_suffix(".json.onnx")):
        with pytest.raises(OutputError):
            ambiguity_to_files(network(), np.zeros((2, 1, 28, 28), "f4"), out=out, data_name="d")


def test_page_and_numbers(tmp_path: Path) -> None:
    images = load_data("mnist5k").x_test[:COUNT]
    files = ambiguity_to_files(
        network(), images, out=tmp_path / "a.json", data_name="<script>alert(1)</script>", most=4
    )
    numbers = json.loads(files.numbers.read_text())
    assert numbers["model"] == network().sha256
    assert [level["k"] for level in numbers["levels"]] == [1, 2, 3, 4]
    page = files.page.read_text()
    example = files.result.example
    assert example is not None
    assert f"Input {example.first}" in page
    assert f"Input {example.second}" in page
    assert all(f"Prototype {j}" in page for j in example.prototypes)
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=\"(?!data:)", page)


def test_a_page_without_a_collision(tmp_path: Path) -> None:
    images = np.repeat(load_data("mnist5k").x_test[:1], 2, axis=0)
    files = ambiguity_to_files(network(), images, out=tmp_path / "a.json", data_name="twice")
    page = files.page.read_text()
    assert "No explanation was shared across classes" in page
    assert f"{datetime.now(UTC):%Y}, " in page  # a page says when it was made


def test_the_command(tmp_path: Path) -> None:
    done = protoproof(
        *("ambiguity", zoo_path("mnist-certified"), "--data", "mnist5k"),
        *("--limit", "40", "--most", "2", "--json", "--out", tmp_path / "a.json"),
    )
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["inputs"] == 40
    assert len(document["levels"]) == 2
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "Model file mnist-certified.onnx, sha256" in page
    assert "Command <code>protoproof ambiguity mnist-certified.onnx --data mnist5k" in page


def test_a_part_of_the_data_is_spread_over_all_of_it() -> None:
    assert spread(10, None) == spread(10, 99) == tuple(range(10))
    assert spread(1000, 4) == (0, 250, 500, 750)
    labels = np.repeat(np.arange(10), 100)  # sorted by class, as folders are
    assert set(labels[list(spread(1000, 30))]) == set(range(10))


def test_the_page_names_inputs_by_their_place_in_the_data(tmp_path: Path) -> None:
    small = load(zoo_path("mnist-1x1"))
    data = load_data("mnist5k").x_test
    chosen = spread(len(data), 300)
    files = ambiguity_to_files(
        small,
        data[list(chosen)],
        out=tmp_path / "a.json",
        data_name="mnist5k",
        most=1,
        indices=chosen,
        of=len(data),
    )
    assert files.used == "300 of 1,000 inputs, spread evenly"
    found = files.result.example
    assert found is not None
    assert {found.first, found.second} <= set(chosen)
    assert found.second > 300
    for index, predicted in zip((found.first, found.second), found.predicted, strict=True):
        assert small.observe(data[index]).predicted == predicted
    page = files.page.read_text()
    assert files.used in page
    assert f"Input {found.second}" in page
