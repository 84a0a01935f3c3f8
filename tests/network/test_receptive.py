"""What a location sees, by the graph: never less than what changes it, and no more where known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from protoproof.network import Network, load
from protoproof.report.page.reading import ReceptiveField, reading_of
from tests.support.network.builders import Draft, draft, node
from tests.support.network.encoders import EXECUTED, executed
from tests.support.network.latents import LATENTS


def influence(network: Network) -> np.ndarray:
    """[location, row, column]: whether an input number there changes the location's latent."""
    shape = network.input_shape
    rng = np.random.default_rng(0)
    found: np.ndarray | None = None
    for _ in range(4):  # a dead unit may hide a pixel once
        x = rng.random(shape, dtype=np.float32)
        plain = network.observe(x).latent
        changed = []
        for place in np.ndindex(shape):
            other = x.copy()
            other[place] = 1 - other[place]
            changed.append((network.observe(other).latent != plain).any(axis=1))
        seen = np.array(changed).T.reshape(len(plain), *shape)
        found = seen if found is None else found | seen
    assert found is not None
    return found


def held(network: Network, changed: np.ndarray) -> ReceptiveField | None:
    """The field, which holds every place that changes a location: [L, rows, columns]."""
    x = np.zeros(network.input_shape, dtype=np.float32)
    reading = reading_of(network, network.observe(x).latent, 0)
    (field,) = reading.fields
    if field is None:
        return None
    for location, seen in enumerate(changed):
        y0, x0, y1, x1 = field.box(reading.place(location), *seen.shape)
        inside = np.zeros_like(seen)
        inside[y0:y1, x0:x1] = True
        assert not (seen & ~inside).any()
    return field


def unsaid(parts: Draft) -> Draft:
    parts.description = None
    return parts


def test_what_is_said_counts(tmp_path: Path) -> None:
    parts = draft()
    assert parts.description is not None
    parts.description["latent"]["receptive_field"]["size"] = [4, 4]
    (field,) = load(parts.save(tmp_path)).receptive_fields
    assert field is not None
    assert field.size == (4, 4)


@pytest.mark.parametrize("grid", [(1, 1), (2, 2), (3, 3)])
def test_a_plain_convolution(tmp_path: Path, grid: tuple[int, int]) -> None:
    network = load(unsaid(draft(grid=grid)).save(tmp_path))
    field = held(network, influence(network)[:, 0])
    stride = 6 // grid[0]
    assert field == ReceptiveField((3, 3), (stride, stride), (-1, -1))


@pytest.mark.parametrize("name", LATENTS)
def test_sums_and_concatenations(tmp_path: Path, name: str) -> None:
    parts = unsaid(draft())
    LATENTS[name](parts)
    network = load(parts.save(tmp_path))
    field = held(network, influence(network)[:, 0])
    assert field == ReceptiveField((3, 3), (3, 3), (-1, -1))


@pytest.mark.parametrize("name", EXECUTED)
def test_other_encoders_are_never_seen_too_narrow(tmp_path: Path, name: str) -> None:
    network = load(unsaid(executed(name)).save(tmp_path))
    field = held(network, influence(network)[:, 0])
    # what moves along rows and columns, or has no rule, may see everything
    entrywise = {"LayerNormalization", "Gelu", "Erf", "silu", "Mish", "Elu", "Softsign", "Split"}
    if name in entrywise | {"Reciprocal", "half precision", "quantised"}:
        assert field == ReceptiveField((3, 3), (3, 3), (-1, -1))
    if name in ("attention", "InstanceNormalization"):
        assert field is None


def _pooled(parts: Draft) -> None:
    """Windows that overlap, pads on one side, dilations."""
    parts.weights["wd"] = np.ones((5, 5, 2, 2), dtype=np.float32)
    parts.replace("c1", node("Conv", ["input", "w1", "b1"], "c1", pads=[1, 1, 1, 1]))
    parts.replace(
        "r1",
        node("MaxPool", ["c1"], "p1", kernel_shape=[2, 2], pads=[1, 0, 0, 1], strides=[1, 1]),
        node("Conv", ["p1", "wd"], "d1", dilations=[2, 1], strides=[2, 3]),
        node("Relu", ["d1"], "r1"),
    )
    parts.replace("closest", node("MaxPool", ["closeness"], "closest", kernel_shape=[2, 2]))


def _gated(parts: Draft) -> None:
    """A factor for every channel, from the mean of all: everything sees everything."""
    parts.replace(
        "r1",
        node("Relu", ["c1"], "r0"),
        node("GlobalAveragePool", ["r0"], "mean"),
        node("Mul", ["r0", "mean"], "r1"),
    )


def _two_strides(parts: Draft) -> None:
    """A sum of two ways that differ in what they see."""
    parts.weights["w5"] = np.full((5, 1, 5, 5), 0.2, dtype=np.float32)
    parts.replace(
        "r1",
        node("Conv", ["input", "w5"], "wide", strides=[3, 3], pads=[2, 2, 2, 2]),
        node("Add", ["c1", "wide"], "both"),
        node("Relu", ["both"], "r1"),
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_pooled, ReceptiveField((6, 5), (2, 3), (-2, -1))),
        (_gated, None),
        (_two_strides, ReceptiveField((5, 5), (3, 3), (-2, -2))),
    ],
)
def test_windows(
    tmp_path: Path, change: Callable[[Draft], None], expected: ReceptiveField | None
) -> None:
    parts = unsaid(draft())
    change(parts)
    network = load(parts.save(tmp_path))
    assert held(network, influence(network)[:, 0]) == expected
