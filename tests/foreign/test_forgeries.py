"""A graph that differs by one sign, one constant, one axis or one operator is not the same head."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    RuntimeException,
)
from onnxruntime.capi.onnxruntime_pybind11_state import (
    NotImplemented as NotAnOperator,
)

from protoproof.errors import ProtoProofError
from protoproof.kernel import ModelFile
from protoproof.network import Network, load
from tests.support.foreign import kernel
from tests.support.foreign.export import EXPORTERS
from tests.support.foreign.families import FAMILIES
from tests.support.foreign.family import Family, Form
from tests.support.foreign.found import computed, loaded, scores
from tests.support.foreign.mutants import Mutant, some
from tests.support.foreign.running import Floats, inputs, run, same_scores

Exported = Callable[[Family, str], Path]

COUNT = 6
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.sweep) for seed in range(1, 9))]
# what the runtime says of graphs that are no networks: invalid ones, or shapes that do not fit
REFUSED = (RuntimeError, Fail, InvalidArgument, InvalidGraph, NotAnOperator, RuntimeException)
FILES = [
    pytest.param(family, exporter, id=f"{family.name}-{exporter}")
    for family in FAMILIES
    for exporter in EXPORTERS
    if exporter not in family.unexported and isinstance(family.expected, Form)
]


def outcome(mutant: Mutant, output: str, images: list[np.ndarray]) -> Floats | None:
    """What the runtime makes of a changed graph; None where it refuses it or gives no numbers."""
    try:
        seen = run(mutant.model, [output], images)
    except REFUSED:
        return None
    result = np.stack([one[0].reshape(-1) for one in seen]).astype(np.float64)
    return result if np.isfinite(result).all() else None


def written(mutant: Mutant, folder: Path) -> Path:
    path = folder / "mutant.onnx"
    onnx.save(mutant.model, path)
    return path


def same_head(one: Network, other: Network) -> bool:
    """Whether two recognised heads are equal, number by number."""
    first, second = one.head, other.head
    latent = np.random.default_rng(0).uniform(0.05, 1, (first.locations, first.channels))
    if (first.locations, first.channels, first.classes) != (
        second.locations,
        second.channels,
        second.classes,
    ):
        return False
    return bool(np.allclose(scores(first, latent), scores(second, latent), rtol=1e-9, atol=0))


@pytest.mark.parametrize(("family", "exporter"), FILES)
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(k, marks=pytest.mark.sweep) for k in range(1, 9))]
)
def test_whatever_is_recognised_is_what_the_changed_graph_computes(
    family: Family, exporter: str, seed: int, exported: Exported, tmp_path: Path
) -> None:
    network, model, output = loaded(exported(family, exporter), family.output)
    cuts = network.recognised.latents
    images = inputs(family.shape, 3)
    before = np.stack([one[0].reshape(-1) for one in run(model, [output], images)])
    for mutant in some(model, cuts, output, COUNT, seed):
        after = outcome(mutant, output, images)
        path = written(mutant, tmp_path)
        try:
            other = load(path, output=output)
        except ProtoProofError:
            continue
        if after is None:  # not even numbers reach the latent, or the head is at a pole
            continue
        ours, theirs = computed(other, mutant.model, images, output)
        labels = other.head.decision.kind == "labels"
        assert same_scores(ours, theirs, labels), mutant.words
        changed = after.shape != before.shape or np.abs(after - before).max() > 1e-4
        if changed and not same_scores(before, after, labels):
            assert not same_head(network, other), mutant.words


@pytest.mark.parametrize(("family", "exporter"), FILES)
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(k, marks=pytest.mark.sweep) for k in range(1, 9))]
)
def test_whatever_the_checker_reads_is_what_the_changed_graph_computes(
    family: Family, exporter: str, seed: int, exported: Exported, tmp_path: Path
) -> None:
    """From the cut of the graph before the change: nobody searches for the checker."""
    network, model, output = loaded(exported(family, exporter), family.output)
    cuts = network.recognised.latents
    images = inputs(family.shape, 3)
    for mutant in some(model, cuts, output, COUNT, 100 + seed):
        path = written(mutant, tmp_path)
        try:
            bound = ModelFile.read(path).bound(cuts, output)
        except ProtoProofError:
            continue
        after = outcome(mutant, output, images)
        if after is None:
            continue
        seen = run(mutant.model, list(cuts), images)
        ours = np.stack([kernel.scores(bound.head, _of(bound, network, one)) for one in seen])
        assert same_scores(ours, after, bound.head.decision.kind == "labels"), mutant.words


def _of(bound: kernel.BoundHead, network: Network, tensors: list[np.ndarray]) -> Floats:
    """The latent by the checker's own sites."""
    parts = [t.reshape(-1)[cut.sites] for cut, t in zip(bound.cuts, tensors, strict=True)]
    return np.concatenate(parts).astype(np.float64)
