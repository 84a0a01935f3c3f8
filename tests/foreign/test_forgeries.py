"""A graph that differs by one sign, one constant, one axis or one operator is not the same head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from protoproof.errors import InternalError, ProtoProofError
from protoproof.kernel import ModelFile
from protoproof.network import load
from tests.support.foreign import kernel
from tests.support.foreign.families import CERTIFIED
from tests.support.foreign.family import Family
from tests.support.foreign.found import loaded, scores
from tests.support.foreign.mutants import Mutant, some, wild
from tests.support.foreign.precise import Precise, random_latents
from tests.support.foreign.running import Floats, same_scores

Exported = Callable[[Family, str], Path]

COUNT = 4
WILD = 6
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.sweep) for seed in (1, 2))]


def files(first: str) -> list[Any]:
    """One file of every family, of that exporter where it has one; the others are swept."""
    kept = {family.name: exporter for family, exporter in CERTIFIED}
    kept |= {family.name: exporter for family, exporter in CERTIFIED if exporter == first}
    return [
        pytest.param(
            family,
            exporter,
            id=f"{family.name}-{exporter}",
            marks=() if kept[family.name] == exporter else pytest.mark.sweep,
        )
        for family, exporter in CERTIFIED
    ]


def written(mutant: Mutant, folder: Path) -> Path:
    path = folder / "mutant.onnx"
    onnx.save(mutant.model, path)
    return path


def agree(
    mutant: Mutant,
    output: str,
    cuts: Sequence[Any],
    scores_of: Callable[[Floats], Floats],
    labels: bool,
) -> bool:
    """Whether a reading gives what the changed graph does, for latents far and near.

    Graphs that give no numbers there (the root of what a changed sign made negative) say nothing.
    """
    shapes = {cut.tensor: tuple(cut.shape) for cut in cuts}
    behind = Precise(mutant.model, tuple(shapes), output)
    ours, theirs = [], []
    for tensors in random_latents(shapes, 8):
        result = behind(list(tensors.values()))
        if np.isfinite(result).all():
            parts = [tensors[cut.tensor].reshape(-1)[cut.sites] for cut in cuts]
            ours.append(scores_of(np.concatenate(parts)))
            theirs.append(result)
    return not ours or same_scores(np.stack(ours), np.stack(theirs), labels)


@pytest.mark.parametrize(("family", "exporter"), files("default"))
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_recognised_is_what_the_changed_graph_computes(
    family: Family, exporter: str, seed: int, exported: Exported, tmp_path: Path
) -> None:
    network, model, output = loaded(exported(family, exporter), family.output)
    for mutant in some(model, network.recognised.latents, output, COUNT, seed):
        try:
            other = load(written(mutant, tmp_path), output=output)
        except ProtoProofError:
            continue
        head, cuts = other.head, other.recognised.cuts
        labels = head.decision.kind == "labels"
        assert agree(mutant, output, cuts, partial(scores, head), labels), mutant.words


@pytest.mark.parametrize(("family", "exporter"), files("legacy"))
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_the_checker_reads_is_what_the_changed_graph_computes(
    family: Family, exporter: str, seed: int, exported: Exported, tmp_path: Path
) -> None:
    """From the cut of the graph before the change: nobody searches for the checker."""
    network, model, output = loaded(exported(family, exporter), family.output)
    latents = network.recognised.latents
    for mutant in some(model, latents, output, COUNT, 100 + seed):
        try:
            bound = ModelFile.read(written(mutant, tmp_path)).bound(latents, output)
        except ProtoProofError:
            continue
        head = bound.head
        labels = head.decision.kind == "labels"
        assert agree(mutant, output, bound.cuts, partial(kernel.scores, bound), labels), (
            mutant.words
        )


@pytest.mark.parametrize(("family", "exporter"), files("legacy"))
def test_a_changed_graph_is_another_head(family: Family, exporter: str, exported: Exported) -> None:
    """Changes are worth the name: some change what the graph computes, also by one number."""
    network, model, output = loaded(exported(family, exporter), family.output)
    latents = network.recognised.latents
    shapes = {cut.tensor: tuple(cut.shape) for cut in network.recognised.cuts}
    (tensors,) = random_latents(shapes, 1)
    before = Precise(model, latents, output)(list(tensors.values()))
    for mutant in some(model, latents, output, 20, 0):
        try:
            after = Precise(mutant.model, latents, output)(list(tensors.values()))
        except Exception:  # noqa: BLE001 - whatever the evaluator trips over is no network
            after = np.zeros(0)
        if after.shape != before.shape or not np.allclose(before, after, rtol=1e-12):
            return
    pytest.fail("no change changes anything")


@pytest.mark.parametrize(("family", "exporter"), files("default"))
@pytest.mark.parametrize("seed", SEEDS)
def test_a_graph_that_means_nothing_is_refused_in_one_line(
    family: Family, exporter: str, seed: int, exported: Exported, tmp_path: Path
) -> None:
    """Or read, where it means something after all; nothing else is ever raised."""
    network, model, output = loaded(exported(family, exporter), family.output)
    latents = network.recognised.latents
    for mutant in wild(model, latents, output, WILD, seed):
        path = written(mutant, tmp_path)
        for read in (
            lambda path=path: load(path, output=output),
            lambda path=path: ModelFile.read(path).bound(latents, output),
        ):
            said = refusal(read)
            assert not isinstance(said, InternalError), mutant.words
            assert "\n" not in str(said), mutant.words


def refusal(read: Callable[[], object]) -> ProtoProofError | None:
    """Why something is not read, or None."""
    try:
        read()
    except ProtoProofError as error:
        return error
    return None
