"""Domains and extreme numbers."""

from __future__ import annotations

import numpy as np

from protoproof.kernel import check
from tests.support.kernel.builders import Scene, file, pair_core, topk_core
from tests.support.kernel.models import Tiny, random_tiny


def test_a_box_needs_an_operator_that_bounds_the_latent() -> None:
    tiny = random_tiny(4, operator="", classes=2)
    latent = np.random.default_rng(2).random((tiny.locations, tiny.prototypes.shape[1]))
    here = Scene(tiny, latent.astype(np.float32))
    free, box = (check(file(pair_core(here, box=box)), here.data) for box in (False, True))
    assert free.accepted
    assert [o.number for o in box.obligations if o.passed is False] == [5]


def test_the_recorded_latent_lies_in_the_box() -> None:
    tiny = random_tiny(5)
    latent = np.random.default_rng(2).random((tiny.locations, tiny.prototypes.shape[1]))
    latent[0, 0] = 1.0000001
    here = Scene(tiny, latent.astype(np.float32))
    report = check(file(pair_core(here, box=True)), here.data)
    assert [o.number for o in report.obligations if o.passed is False] == [5]
    assert "location 0, channel 0" in report.obligations[4].detail


def test_huge_and_tiny_weights_are_exact() -> None:
    """The full range of float32, denormal numbers included."""
    rng = np.random.default_rng(0)
    prototypes = (rng.random((3, 4)) * [[1e-42], [1.0], [1e18]]).astype(np.float32)
    weight = np.array([[1e-40, 2, 0], [0, -1, 1e-30]], dtype=np.float32)
    tiny = Tiny(prototypes, weight, operator="Relu")
    here = Scene(tiny, (rng.random((1, 4)) * 1e-3).astype(np.float32))
    for content in (topk_core(here), topk_core(here, box=True)):
        assert check(file(content), here.data).accepted
