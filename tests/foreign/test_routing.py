"""Greedy and sample-max readings of exported soft trees, from the command line to the checker."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from protoproof.certificate.canonical import canonical_bytes
from protoproof.errors import UsageError
from protoproof.explanation.explainer import Explainer
from protoproof.kernel import ModelFile, check
from protoproof.network import load
from protoproof.network.head.decision import ROUTINGS, Tree
from protoproof.verdict import Status
from tests.support.cli import protoproof
from tests.support.foreign.families import BY_NAME
from tests.support.foreign.family import Family
from tests.support.foreign.running import inputs

Exported = Callable[[Family, str], Path]
TREES = ("tree", "tree-pruned")


def walked(tree: Tree, activation: np.ndarray, routing: str) -> int:
    """The class by one reading, leaf by leaf."""

    def visit(node: int, share: float, sure: bool) -> list[tuple[int, float, bool]]:
        if node < 0:
            return [(-1 - node, share, sure)]
        a = float(activation[tree.feature[node]])
        return [
            *visit(int(tree.left[node]), share * (1 - a), sure and a <= 0.5),
            *visit(int(tree.right[node]), share * a, sure and a > 0.5),
        ]

    leaves = visit(0, 1.0, True)
    if routing == "greedy":
        (leaf,) = [leaf for leaf, _, sure in leaves if sure]
        return int(np.argmax(tree.leaf[leaf]))
    if routing == "sample-max":
        return int(np.argmax(tree.leaf[max(leaves, key=lambda one: one[1])[0]]))
    return int(np.argmax(sum(share * tree.leaf[leaf] for leaf, share, _ in leaves)))


@pytest.mark.parametrize("routing", ROUTINGS)
@pytest.mark.parametrize("name", TREES)
def test_every_reading_is_explained_and_certified(
    name: str, routing: str, exported: Exported
) -> None:
    family = BY_NAME[name]
    path = exported(family, "default")
    network = load(path, routing=routing)
    explainer, tree = Explainer(network), network.head.decision
    assert isinstance(tree, Tree)
    result = explainer.explain(inputs(family.shape, 1)[0][0])
    head = network.head
    activation = head.activation(head.measurement(result.observation.latent.astype(float)))
    assert result.predicted == walked(tree, activation, routing)
    assert result.verdict.status is Status.PROVED, result.verdict
    assert result.certificate is not None
    assert result.certificate.core.model.routing == routing
    report = check(canonical_bytes(result.certificate), ModelFile.read(path))
    assert report.accepted
    assert routing in dict(report.subject)["decision"]
    sizes = {attempt.vocabulary: attempt.size for attempt in result.attempts}
    taken = {int(tree.feature[node]) for node in tree.path(activation)}
    if routing == "greedy":  # the way alone forces where it ends
        assert min(size for size in sizes.values() if size is not None) <= len(taken)


@pytest.mark.parametrize("routing", ["greedy", "sample-max"])
def test_no_latent_that_meets_the_facts_is_read_otherwise(routing: str, exported: Exported) -> None:
    family = BY_NAME["tree"]
    network = load(exported(family, "default"), routing=routing)
    result = Explainer(network).explain(
        inputs(family.shape, 1)[0][0], vocabulary="path", widen=True, witnesses=False
    )
    assert result.verdict.status is Status.PROVED
    head, rng = network.head, np.random.default_rng(0)
    low, high = np.zeros(len(head.prototypes)), np.full(len(head.prototypes), np.inf)
    for fact in result.facts.activations:
        low[fact.prototype], high[fact.prototype] = fact.lower, fact.upper
    top = np.where(np.isfinite(high), high, low + 50)
    assert isinstance(head.decision, Tree)
    for _ in range(500):  # pooled values move freely within the facts
        power = rng.choice([0.2, 1.0, 5.0])
        pooled = low + (top - low) * rng.random(len(low)) ** power
        activation = head.chain.value(pooled)
        assert walked(head.decision, activation, routing) == result.predicted


def test_witnesses_of_other_readings_are_accepted(exported: Exported) -> None:
    """A share at a node on the way changes sides: found, replayed, and checked again."""
    family, proved = BY_NAME["tree"], 0
    path = exported(family, "default")
    for routing in ("greedy", "sample-max"):
        explainer = Explainer(load(path, routing=routing))
        for image in inputs(family.shape, 3):
            result = explainer.explain(image[0], vocabulary="path")
            assert result.certificate is not None
            assert check(canonical_bytes(result.certificate), path).accepted
            proved += len(result.necessary)
    assert proved


def test_the_command_line_says_which_reading(exported: Exported, tmp_path: Path) -> None:
    family = BY_NAME["tree"]
    path = exported(family, "default")
    np.save(tmp_path / "x.npy", inputs(family.shape, 1)[0][0])
    done = protoproof(
        *("explain", path, "--input", tmp_path / "x.npy", "--out", tmp_path / "x.json"),
        *("--routing", "greedy", "--json", "--no-witnesses"),
    )
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["model"]["routing"] == "greedy"
    assert set(document["alike"]) <= {"distributed", "sample-max"}
    assert "by the greedy decision" in (tmp_path / "x.html").read_text()
    checked = protoproof("check", tmp_path / "x.json", path, "--input", tmp_path / "x.npy")
    assert checked.code == 0, checked.err
    assert "(greedy)" in checked.out


def test_readings_that_cannot_be(exported: Exported) -> None:
    with pytest.raises(UsageError, match="routes a soft tree, and this network's decision"):
        load(exported(BY_NAME["cosine"], "default"), routing="greedy")
    with pytest.raises(UsageError, match="--routing best: unknown; use distributed"):
        load(exported(BY_NAME["tree"], "default"), routing="best")


def test_scores_are_those_of_the_leaf_that_counts() -> None:
    """A left-leaning tree by hand: the larger shares go one way, the largest product another."""
    tree = Tree(
        np.array([0, 1]), np.array([1, -1]), np.array([-3, -2]), np.eye(3), 2, "distributed"
    )
    shares = np.array([0.45, 0.5 + 1e-9])  # 0.275 and 0.275 to the left, 0.45 to the right
    assert int(np.argmax(replace(tree, routing="greedy").scores(shares))) == 1
    assert int(np.argmax(replace(tree, routing="sample-max").scores(shares))) == 2
