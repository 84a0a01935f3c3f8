"""Hostile and malformed models: each refusal with its own message."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from protoproof.errors import InternalError, ModelError
from protoproof.kernel import ModelFile
from protoproof.network import load
from protoproof.network.inspect import inspect_file
from protoproof.network.onnx.limits import DEFAULT_LIMITS
from tests.support.network.builders import Draft, draft, node
from tests.support.network.crosscheck import cross_check, executed_only
from tests.support.network.hostile import (
    REFUSALS,
    TOLERATED,
    Change,
    added,
    nan,
    twice_initializer,
    two_inputs,
)


def broken(change: Change, folder: Path) -> Path:
    parts = draft()
    parts.extra.append(change)
    return parts.save(folder)


IDS = [f"{index}-{message[:40]}" for index, (_, _, message) in enumerate(REFUSALS)]


@pytest.mark.parametrize(("change", "kind", "message"), REFUSALS, ids=IDS)
@pytest.mark.trust(26)
def test_refusals(tmp_path: Path, change: Change, kind: type[ModelError], message: str) -> None:
    path = broken(change, tmp_path)
    start = time.process_time()
    with pytest.raises(ModelError) as caught:
        load(path)
    text = str(caught.value)
    assert message in text
    assert type(caught.value) is kind
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert time.process_time() - start < 60
    assert any(message in refusal for refusal in inspect_file(path).refusals)


def test_inspect_lists_every_refusal(tmp_path: Path) -> None:
    parts = draft()
    parts.extra += [nan, added("Bernoulli"), twice_initializer, two_inputs]
    refusals = "\n".join(inspect_file(parts.save(tmp_path)).refusals)
    for text in ("NaN", "Bernoulli", "defined twice", "2 inputs"):
        assert text in refusals


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nodes": 5}, "more than 5 operators"),
        ({"elements": 40}, "more than 40 numbers"),
        ({"activations": 100}, "too large"),
        ({"work": 100}, "too many operations"),
        ({"constant_work": 10}, "node 'p_squared.node' .* too many operations"),
        ({"file_bytes": 100}, "larger than 100 bytes"),
        ({"fields": 50}, "more than 50 protobuf fields"),
    ],
)
@pytest.mark.trust(25)
def test_limits(tmp_path: Path, change: dict[str, int], message: str) -> None:
    path = draft().save(tmp_path)
    with pytest.raises(ModelError, match=message):
        load(path, dataclasses.replace(DEFAULT_LIMITS, **change))


def _merged_batch(parts: Draft) -> None:
    parts.weights["shape"] = np.array([-1, 1, 6, 3], dtype=np.int64)
    parts.weights["back"] = np.array([-1, 1, 6, 6], dtype=np.int64)
    parts.nodes[0].input[0] = "whole"
    parts.nodes.insert(0, node("Reshape", ["input", "shape"], "half"))
    parts.nodes.insert(1, node("Reshape", ["half", "back"], "whole"))


def _reduced_batch(parts: Draft) -> None:
    parts.weights["axis_0"] = np.array([0], dtype=np.int64)
    parts.nodes[0].input[0] = "sum"
    parts.nodes.insert(0, node("ReduceSum", ["input", "axis_0"], "sum"))


def _fixed_batch(parts: Draft) -> None:
    parts.weights["shape"] = np.array([1, 1, 6, 6], dtype=np.int64)
    parts.nodes[0].input[0] = "one_image"
    parts.nodes.insert(0, node("Reshape", ["input", "shape"], "one_image"))


@pytest.mark.parametrize("change", [_merged_batch, _reduced_batch, _fixed_batch])
def test_images_do_not_mix(tmp_path: Path, change: Callable[[Draft], None]) -> None:
    """Where a graph mixes images or fixes their number, they are run one at a time."""
    parts = draft()
    plain = load(parts.save(tmp_path))
    change(parts)
    network = load(parts.save(tmp_path, "mixing.onnx"))
    assert plain.graph.free_batch
    assert not network.graph.free_batch
    assert not network.encoder_graph.free_batch
    with pytest.raises(InternalError, match="one image"):
        network.encoder(torch.zeros(2, 1, 6, 6))
    x = np.random.default_rng(0).random((2, 1, 6, 6)).astype(np.float32)
    for seen, image in zip(network.observe_batch(x), x, strict=True):
        assert seen.logits.tobytes() == plain.observe(image).logits.tobytes()


@pytest.mark.parametrize("change", TOLERATED.values(), ids=TOLERATED)
def test_what_changes_nothing_is_read_over(tmp_path: Path, change: Change) -> None:
    x = np.random.default_rng(0).random((1, 6, 6)).astype(np.float32)
    plain, network = load(draft().save(tmp_path)), load(broken(change, tmp_path))
    assert network.observe(x).logits.tobytes() == plain.observe(x).logits.tobytes()
    assert executed_only(network.encoder_graph) == ()
    cross_check(network, x)
    found = network.recognised
    assert ModelFile.read(network.path).bound(found.latents, found.output).head.channels == 3


@pytest.mark.parametrize("op", ["Add", "Mul", "Where"])
def test_infinite_constants_may_be_masks(tmp_path: Path, op: str) -> None:
    """In attention they are; nothing is multiplied with one."""
    parts = draft()
    parts.weights["mask"] = np.full((1, 1, 2, 2), -np.inf, np.float32)
    parts.weights["off"] = np.zeros((1, 1, 2, 2), np.bool_)
    inputs = ["off", "mask", "c1"] if op == "Where" else ["c1", "mask"]
    parts.nodes.insert(1, node(op, inputs, "masked"))
    parts.node("r1").input[0] = "masked"
    path = parts.save(tmp_path)
    if op == "Mul":
        with pytest.raises(ModelError, match="tensor 'mask': a weight is infinite"):
            load(path)
        return
    seen = load(path).observe(np.zeros((1, 6, 6), np.float32))
    assert np.isfinite(seen.logits).all()


def test_a_batch_fixed_to_one_is_fine(tmp_path: Path) -> None:
    parts = draft()
    parts.batch = 1
    _fixed_batch(parts)
    network = load(parts.save(tmp_path))
    assert not network.graph.free_batch
    cross_check(network, np.zeros((1, 6, 6), dtype=np.float32))
