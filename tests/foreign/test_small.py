"""Heads whose sizes coincide, and whose last layers do next to nothing: both readers, one head."""

from __future__ import annotations

from pathlib import Path

import pytest

from protoproof.errors import ModelError
from protoproof.explanation.certifiable import checkers_objection
from protoproof.network import load
from tests.support.foreign.export import export
from tests.support.foreign.found import computed
from tests.support.foreign.running import inputs, load_model, same_scores
from tests.support.foreign.small import IMAGE, Small, drawn

FOUND = {
    "the class alone, of one prototype each": Small("convolutions", end="class"),
    "the class without a batch": Small("products", "exp", end="class alone"),
    "a softmax without a batch": Small("cosine", "inverse", end="no batch", channels=4),
    "labels of logarithms": Small("differences", "log", end="labels"),
    "a temperature behind an identity": Small("products", decision="identity", end="temperature"),
    "a rate for each prototype": Small("convolutions", "exp", decision="dense", scaled=True),
    "rates under a quotient": Small("differences", "log", decision="dense", scaled=True),
    "the best of scaled ones": Small("differences", decision="best", each=2, scaled=True),
    "equal prototypes": Small("cosine", "inverse", decision="dense", equal=True),
    "equal prototypes, differences": Small("differences", decision="bias", equal=True, channels=4),
    "the lowest distances": Small("products", "log", "lowest", "dense"),
    "the lowest cosine distances": Small("quotient", "negative", "lowest", channels=4),
    "nearest less mean of plain distances": Small("products", "inverse", less=True, each=1),
    "nearest less mean of angles": Small("quotient", decision="identity", less=True),
    "the mean cosine distance": Small("quotient", pooling="mean", decision="scales"),
    "one place, one factor each": Small("cosine", decision="scales", grid=(1, 1), scaled=True),
    "one place, cosine distances": Small("cosine", "exp", grid=(1, 1), decision="dense"),
}


def _read_alike(head: Small, path: Path) -> None:
    network = load(export(head.build(), IMAGE, path, "legacy"))
    assert checkers_objection(network) == ""
    assert len(network.head.prototypes) == head.prototypes
    assert network.head.classes == head.classes
    scores = computed(network, load_model(path), inputs(IMAGE, 2), network.recognised.scores)
    assert same_scores(scores.ours, scores.precise, network.head.decision.kind == "labels")


@pytest.mark.parametrize("name", FOUND)
def test_both_readers_read_one_head(name: str, tmp_path: Path) -> None:
    _read_alike(FOUND[name], tmp_path / "net.onnx")


@pytest.mark.sweep
@pytest.mark.parametrize("number", range(150))
def test_both_readers_read_one_head_whatever_its_sizes(number: int, tmp_path: Path) -> None:
    _read_alike(drawn(150)[number], tmp_path / "net.onnx")


def test_scores_that_cancel_are_no_head(tmp_path: Path) -> None:
    """At one place the nearest is the mean."""
    nothing = Small("differences", "inverse", less=True, grid=(1, 1))
    path = export(nothing.build(), IMAGE, tmp_path / "net.onnx", "legacy")
    with pytest.raises(ModelError, match="the scores are the same whatever the latent"):
        load(path)
