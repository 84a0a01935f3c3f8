"""The descent: the same on every engine, and what it leaves out cannot matter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from protoproof.backend import PROCESSOR, Engine
from protoproof.data.dataset import load_data
from protoproof.explanation.explainer import Explainer
from protoproof.network import load
from protoproof.network.head.chain import Chain
from protoproof.prover.counterexample.ascent import Descent, Task, _Problem
from protoproof.prover.counterexample.feasible_set import Spheres
from protoproof.prover.latent.domain import Box, Domain, Free
from protoproof.prover.latent.instance import Instance
from protoproof.resources import zoo_path
from tests.support import heads
from tests.support.strategies import random_instance

TORCH = Engine("torch:cpu")
CUDA = Engine("cuda")
NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
ENGINES = pytest.mark.parametrize("engine", [TORCH, pytest.param(CUDA, marks=NEEDS_CUDA)])
# the box's edges are off the latents, where rounding decides what is inside
DOMAINS = pytest.mark.parametrize("domain", [Free(), Box(-0.1, 1.1)], ids=["free", "box"])


@cache
def explainer(name: str, engine: Engine) -> Explainer:
    return Explainer(load(zoo_path(name)), engine)


def task_of(instance: Instance, domain: Domain, seed: int, starts: int = 60) -> tuple[Task, Any]:
    """Random starts on the spheres of random facts, some with limits, some with fixed locations."""
    rng = np.random.default_rng(seed)
    locations, prototypes = instance.measurement.shape
    kept = [
        sorted(rng.permutation(prototypes)[: rng.integers(3)].tolist()) for _ in range(locations)
    ]
    bound = instance.measurement.min(axis=0) * rng.choice([0.0, 0.5, 1.0], size=prototypes)
    limit = np.tile(bound, (locations, 1))
    for location, keep in enumerate(kept):
        limit[location, keep] = 0.0
    none = np.zeros_like(limit)
    task = Task(
        Spheres.around(instance.head.prototypes, instance.latent, kept, domain),
        np.tile(np.arange(locations), (starts, 1)),
        instance.margin_weights,
        instance.margin_offset,
        rng.integers(len(instance.rivals), size=starts),
        [limit if number % 3 else none for number in range(starts)],
        rng.uniform(-1, 1, size=(starts, prototypes)) if seed % 2 else None,
    )
    points = instance.latent + rng.normal(scale=0.3, size=(starts, *instance.latent.shape))
    points[:5] = instance.head.prototypes[rng.integers(prototypes, size=(5, locations))]
    return task, points


@DOMAINS
@ENGINES
def test_every_engine_takes_the_same_steps(engine: Engine, domain: Domain) -> None:
    compared = 0
    for seed in range(12):
        instance = random_instance(seed)
        task, start = task_of(instance, domain, seed)
        here, margins = Descent(instance.head).solve(task, start, 25)
        there, others = Descent(instance.head, engine).solve(task, start, 25)
        found = np.isfinite(margins)
        np.testing.assert_array_equal(np.isfinite(others), found)
        np.testing.assert_allclose(others[found], margins[found], atol=1e-9)
        np.testing.assert_allclose(there[found], here[found], atol=1e-9)
        compared += int(found.sum())
    assert compared > 100


@ENGINES
@pytest.mark.parametrize(
    ("name", "images", "options"),
    [
        ("mnist-1x1", (1, 700), {"vocabulary": "pairs", "minimal": "minimum"}),
        ("mnist-7x7", (459,), {"vocabulary": "pairs", "oracle": "exact"}),
        ("mnist-7x7", (206,), {"vocabulary": "topk"}),
        ("mnist-7x7", (700,), {"vocabulary": "mixed", "oracle": "exact"}),
        pytest.param("mnist-7x7", (700,), {"vocabulary": "topk"}, marks=pytest.mark.sweep),
        pytest.param(
            *("mnist-7x7", (206,), {"vocabulary": "mixed", "oracle": "exact"}),
            marks=pytest.mark.sweep,
        ),
    ],
)
def test_explanations_are_the_same(
    name: str, images: tuple[int, ...], options: dict[str, Any], engine: Engine
) -> None:
    for image in images:
        x = load_data("mnist5k").x_test[image]
        here, there = (explainer(name, one).explain(x, **options) for one in (PROCESSOR, engine))
        assert here.certificate is not None
        assert there.certificate is not None
        assert there.check is not None
        assert there.check.accepted
        assert there.facts == here.facts
        assert there.necessary == here.necessary
        assert here.necessary


def test_prototypes_without_weight_and_limit_change_nothing() -> None:
    for seed in range(6):
        instance = random_instance(seed)
        task, start = task_of(instance, Free(), seed)
        rng = np.random.default_rng(seed)
        more = rng.normal(size=(7, instance.head.channels))
        weight = np.hstack([instance.head.weight, np.ones((len(instance.head.bias), 7))])
        wider = heads.prototype_head(
            np.vstack([instance.head.prototypes, more]),
            instance.head.chain,
            weight,
            instance.head.bias,
            None,
            instance.head.grid,
        )
        none = np.zeros((len(instance.rivals), 7))
        pad = np.zeros((len(instance.latent), 7))
        other = None if task.other is None else np.hstack([task.other, np.ones((len(start), 7))])
        padded = replace(
            task,
            weights=np.hstack([task.weights, none]),
            limits=[np.hstack([limit, pad]) for limit in task.limits],
            other=other,
        )
        descent = Descent(wider)
        descent.size = Descent(instance.head).size  # what a step is measured by
        expected, margins = Descent(instance.head).solve(task, start, 10)
        points, others = descent.solve(padded, start, 10)
        np.testing.assert_array_equal(others, margins)
        found = np.isfinite(margins)
        np.testing.assert_array_equal(points[found], expected[found])


@DOMAINS
def test_what_is_found_respects_limits_and_has_the_margin_that_is_said(domain: Domain) -> None:
    better = 0
    for seed in range(0, 12, 2):  # all locations move
        instance = random_instance(seed)
        task, start = task_of(instance, domain, seed)
        points, margins = Descent(instance.head).solve(task, start, 25)
        first = Descent(instance.head).solve(task, start, 0)[1]
        assert (margins <= first).all()
        better += int((margins < first - 1e-3).sum())
        for number in np.flatnonzero(np.isfinite(margins)):
            measured = instance.head.measurement(points[number])
            assert (measured >= task.limits[number]).all()
            row = task.rows[number]
            margin = task.weights[row] @ instance.head.activation(measured) + task.offset[row]
            assert margin == pytest.approx(margins[number], abs=1e-7)
    assert better > 50


def test_a_start_on_top_of_a_limited_prototype_leaves_it() -> None:
    """The penalty has no slope there: any way would do, and the search has to take one."""
    instance = random_instance(1)
    locations, prototypes = instance.measurement.shape
    limit = np.zeros((locations, prototypes))
    limit[:, 0] = 0.5 * instance.measurement[:, 0]
    start = instance.latent.copy()
    start[0] = instance.head.prototypes[0]
    weights = np.zeros_like(instance.margin_weights[:1])
    task = Task(
        Spheres.around(instance.head.prototypes, instance.latent, [[]] * locations, Free()),
        np.arange(locations)[None],
        weights,
        np.zeros(1),
        np.zeros(1, dtype=int),
        [limit],
    )
    assert Descent(instance.head).solve(task, start[None], 0)[1][0] == np.inf
    assert np.isfinite(Descent(instance.head).solve(task, start[None], 30)[1][0])


@contextmanager
def room_for(cells: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "cells", lambda self, alive: cells)
        yield


def test_the_size_of_batches_changes_rounding_only(monkeypatch: pytest.MonkeyPatch) -> None:
    instance = random_instance(4)
    task, start = task_of(instance, Free(), 4)
    expected, margins = Descent(instance.head).solve(task, start, 15)
    for cells in (1, 300):
        with room_for(cells, monkeypatch):
            points, others = Descent(instance.head).solve(task, start, 15)
        np.testing.assert_allclose(others, margins, atol=1e-9)
        found = np.isfinite(margins)
        np.testing.assert_allclose(points[found], expected[found], atol=1e-9)


def test_nothing_is_left_on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """On torch's device without data: arrays of two devices do not mix, with or without a GPU."""
    monkeypatch.setattr(Chain, "_within", lambda _, measured, prototypes: measured)
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda tensor: False)  # there is no data to ask

    def empty(*shape: int) -> torch.Tensor:
        return torch.empty(*shape, dtype=torch.float64, device="meta")

    starts, places, channels, weighed, all_ = 4, 3, 5, 6, 10
    box = empty(starts, places, channels), empty(starts, places, channels)
    spheres = Spheres(*box, empty(starts, places, 2, channels), empty(starts, places), box)  # type: ignore[arg-type]
    problem = _Problem(
        heads.similarity("log_ratio", 1e-4),
        np.arange(all_),
        spheres,
        empty(all_, channels),
        empty(starts, weighed),
        empty(starts),
        empty(starts, places, all_),
        empty(starts, weighed),
    )
    points, margins = problem.descend(empty(starts, places, channels), 2, 1.0)
    assert points.device.type == margins.device.type == "meta"
    assert points.shape == (starts, places, channels)
