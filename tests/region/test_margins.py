"""Activations, margins and top-k sets over boxes of latents, by sampling and brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from protoproof.network.head.head import Head
from protoproof.region.bounds.interval import LatentBox
from protoproof.region.bounds.margins import activations, margin_ends, measurement_ends, top_k
from tests.support import heads


def random_head(seed: int, kind: str = "log_ratio") -> Head:
    rng = np.random.default_rng(seed)
    constant = {"log_ratio": 1e-4, "exponential": 0.7}.get(kind, 1.0)
    return heads.prototype_head(
        rng.random((6, 3)), heads.similarity(kind, constant), rng.normal(size=(4, 6)),
        rng.normal(size=4), None, (1, 2),
    )  # fmt: skip


def random_box(seed: int, width: float) -> LatentBox:
    rng = np.random.default_rng(seed)
    middle = rng.random((2, 2, 3))
    reach = width * rng.random(middle.shape)
    return LatentBox(middle - reach, middle + reach)


@pytest.mark.parametrize("kind", heads.SIMILARITIES)
@pytest.mark.parametrize("width", [0.0, 1e-6, 0.1, 2.0])
def test_samples_and_corners_are_contained(kind: str, width: float) -> None:
    head, box = random_head(1, kind), random_box(2, width)
    found = activations(head, box)
    low, high = margin_ends(head, found, 1)
    rng = np.random.default_rng(3)
    for _ in range(300):
        share = rng.random(box.lower.shape) if rng.random() < 0.5 else rng.integers(0, 2, (2, 2, 3))
        latent = box.lower + share * (box.upper - box.lower)
        for index in range(2):
            activation = head.activation(head.measurement(latent[index]))
            assert (found.low[index] <= activation).all()
            assert (activation <= found.high[index]).all()
            margins = head.margins(activation, 1)
            assert (low[index] <= margins).all()
            assert (margins <= high[index]).all()
    assert (low[:, 1] == 0).all()


def test_measurement_ends_are_attained() -> None:
    head, box = random_head(4), random_box(5, 0.3)
    low, high = measurement_ends(head, box)
    p = head.prototypes[2]
    nearest = np.clip(p, box.lower[0, 1], box.upper[0, 1])
    assert low[0, 1, 2] == pytest.approx(((nearest - p) ** 2).sum())
    corners = itertools.product(*zip(box.lower[0, 1], box.upper[0, 1], strict=True))
    assert high[0, 1, 2] == pytest.approx(max(((np.array(c) - p) ** 2).sum() for c in corners))


def test_top_k_against_brute_force() -> None:
    """Every choice of ends within small integer intervals, with ties in any order."""
    rng = np.random.default_rng(6)
    for _ in range(60):
        low = rng.integers(0, 4, 4).astype(float)
        high = low + rng.integers(0, 3, 4)
        k = int(rng.integers(1, 5))
        certain, possible = set(range(4)), set()
        for values in itertools.product(
            *(range(int(a), int(b) + 1) for a, b in zip(low, high, strict=True))
        ):
            ordered = sorted(values, reverse=True)
            must = {j for j in range(4) if sum(v >= values[j] for v in values) <= k}
            may = {j for j in range(4) if values[j] >= ordered[k - 1]}
            certain &= must
            possible |= may
        found = top_k(low, high, (low + high) / 2, k)
        assert set(found.certain) == certain
        assert set(found.possible) == possible
        assert set(found.certain) <= set(found.observed) <= set(found.possible)


@pytest.mark.trust(13)
def test_who_may_join_and_leave() -> None:
    found = top_k(np.array([3.0, 1, 0]), np.array([4.0, 2, 1.5]), np.array([3.5, 1.8, 0.5]), 2)
    assert found.observed == (0, 1)
    assert found.certain == (0,)
    assert found.may_join == (2,)
    assert found.may_leave == (1,)
