"""Observations: valid inputs only, bit for bit repeatable, compared with torch and the head."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from protoproof.errors import FragileError, InputError, ModelError
from protoproof.network import Network, load
from protoproof.network.onnx.runtime import Session
from tests.support.network.builders import draft, node
from tests.support.network.crosscheck import cross_check


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return load(draft().save(tmp_path))


def image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((1, 6, 6), dtype=np.float32)


def test_observation(network: Network) -> None:
    x = image()
    seen = network.observe(x)
    assert seen.latent.shape == (4, 3)
    assert seen.logits.shape == (2,)
    for array in (seen.latent, seen.logits):
        assert array.dtype == np.float32
    assert seen.predicted == int(seen.logits.argmax())
    np.testing.assert_array_equal(seen.x, x)
    # location index is row * W + column
    raw = network.session.run(("latent",), {"input": x[None]})[0]
    np.testing.assert_array_equal(seen.latent[1 * 2 + 0], raw[0, :, 1, 0])


def test_observations_cannot_change(network: Network) -> None:
    x = image()
    seen = network.observe(x)
    x[0, 0, 0] = 0.25
    assert seen.x[0, 0, 0] != 0.25
    for array in (seen.x, seen.latent, seen.logits):
        with pytest.raises(ValueError, match="read-only"):
            array.flat[0] = 0


def test_same_bits_every_time(network: Network, tmp_path: Path) -> None:
    again = load(draft().save(tmp_path))
    for seed in range(20):
        first, second = network.observe(image(seed)), again.observe(image(seed))
        np.testing.assert_array_equal(first.latent, second.latent)
        np.testing.assert_array_equal(first.logits, second.logits)


def test_neighbours_do_not_matter(network: Network) -> None:
    batch = np.stack([image(seed) for seed in range(7)])
    for seen, x in zip(network.observe_batch(batch), batch, strict=True):
        alone = network.observe(x)
        for name in ("latent", "logits"):
            np.testing.assert_array_equal(getattr(seen, name), getattr(alone, name))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((1, 6, 6)), "input is float64"),
        (np.zeros((1, 6, 6), dtype=np.uint8), "input is uint8"),
        ([[0.0]], "input is list"),
        (np.zeros((6, 6), dtype=np.float32), r"shape \[6, 6\]; this model needs \[1, 6, 6\]"),
        (np.zeros((1, 6, 7), dtype=np.float32), "this model needs"),
        (np.full((1, 6, 6), np.nan, dtype=np.float32), "NaN or infinity"),
        (np.full((1, 6, 6), np.inf, dtype=np.float32), "NaN or infinity"),
        (np.full((1, 6, 6), 255, dtype=np.float32), "declares"),
        (np.full((1, 6, 6), np.nextafter(np.float32(1), np.float32(2))), "declares"),
        (np.full((1, 6, 6), -1e-30, dtype=np.float32), "declares"),
    ],
)
def test_wrong_inputs(network: Network, x: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        network.observe(x)


def test_results_must_be_finite(tmp_path: Path) -> None:
    parts = draft(last="Relu")
    parts.weights["w1"] = np.abs(parts.weights["w1"]) * np.float32(1e30)
    parts.weights["w2"] = np.abs(parts.weights["w2"]) * np.float32(1e30)
    network = load(parts.save(tmp_path))
    with pytest.raises(FragileError, match="'latent' is NaN or infinite"):
        network.observe(image())


def test_runtime_refusal_is_one_line() -> None:
    with pytest.raises(ModelError, match="ONNX Runtime refuses the model") as caught:
        Session(b"\x08\x09")
    assert str(caught.value).isprintable()


def test_runtime_failure_is_one_line(network: Network) -> None:
    with pytest.raises(ModelError, match="ONNX Runtime fails"):
        network.session.run(("latent",), {"input": np.zeros((2, 2), dtype=np.float32)})


def test_cross_check_accepts_the_truth(network: Network) -> None:
    for seed in range(10):
        cross_check(network, image(seed))
    for value in (0.0, 1.0):
        cross_check(network, np.full((1, 6, 6), value, dtype=np.float32))


@pytest.mark.parametrize("attribute", ["pads", "strides"])
def test_cross_check_notices_a_wrong_encoder(
    network: Network, tmp_path: Path, attribute: str
) -> None:
    """As if the translation misread one attribute."""
    parts = draft()
    conv = parts.node("c1")
    for entry in conv.attribute:
        if entry.name == attribute:
            entry.ints[:] = [0, 0, 2, 2] if attribute == "pads" else [4, 4]
    other = load(parts.save(tmp_path))
    wrong = dataclasses.replace(network, graph=other.graph)
    with pytest.raises(AssertionError, match="rounding explains about"):
        cross_check(wrong, image())


def test_cross_check_notices_a_small_wrong_weight(network: Network, tmp_path: Path) -> None:
    parts = draft()
    parts.weights["w1"] *= np.float32(1.001)
    other = load(parts.save(tmp_path))
    wrong = dataclasses.replace(network, graph=other.graph)
    with pytest.raises(AssertionError):
        cross_check(wrong, image())


@pytest.mark.parametrize("factor", [0.999, 1.001])
def test_check_head_notices_wrong_scores(network: Network, factor: float) -> None:
    seen = network.observe(image())
    network.check_head(seen)
    moved = seen.logits * np.float32(factor)
    with pytest.raises(FragileError, match=r"score . is"):
        network.check_head(dataclasses.replace(seen, logits=moved))
    broken = np.full_like(moved, np.nan)
    with pytest.raises(FragileError):
        network.check_head(dataclasses.replace(seen, logits=broken))


def test_check_head_notices_another_latent(network: Network) -> None:
    seen = network.observe(image())
    with pytest.raises(FragileError, match="rounding explains at most"):
        network.check_head(dataclasses.replace(seen, latent=seen.latent * np.float32(1.01)))


def test_dropout_in_the_encoder_is_the_identity(tmp_path: Path) -> None:
    parts = draft()
    parts.rename("r1", "r1.raw")
    index = parts.nodes.index(parts.node("r1.raw"))
    parts.nodes.insert(index + 1, node("Dropout", ["r1.raw"], "r1"))
    parts.node("c2").input[0] = "r1"
    network = load(parts.save(tmp_path))
    cross_check(network, image())
