"""Heads that are not matched structurally: only numerical agreement, and they say so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from protoproof.errors import DescriptionError
from protoproof.network import load
from protoproof.network.head.declared import affordable, cut_model, probes
from protoproof.network.onnx.runtime import Session
from tests.support.network.builders import Draft, draft, node


def _stored_norm(parts: Draft) -> None:
    """|p|^2 as a stored constant, as many exporters fold it."""
    prototypes = parts.weights["prototypes"].astype(np.float64)
    parts.nodes = [n for n in parts.nodes if n.output[0] not in ("p_squared", "p_sum", "p_norm")]
    parts.weights["p_norm"] = (prototypes**2).sum(axis=1).reshape(1, -1, 1, 1).astype(np.float32)


def _matrix_product(parts: Draft) -> None:
    """logits = activation @ transposed weight."""
    parts.weights["head.weight"] = np.ascontiguousarray(parts.weights["head.weight"].T)
    parts.replace("logits", node("MatMul", ["activation", "head.weight"], "logits"))


def _no_relu(parts: Draft) -> None:
    parts.nodes.remove(parts.node("measurement"))
    parts.rename("expanded", "measurement")


def _no_transposed_weight(parts: Draft) -> None:
    parts.weights["head.weight"] = np.ascontiguousarray(parts.weights["head.weight"].T)
    parts.replace("logits", node("Gemm", ["activation", "head.weight"], "logits"))


def _difference_of_logs(parts: Draft) -> None:
    parts.replace(
        "activation",
        node("Log", ["numerator"], "log_above"),
        node("Log", ["denominator"], "log_below"),
        node("Sub", ["log_above", "log_below"], "activation"),
    )
    parts.nodes.remove(parts.node("ratio"))


def _dropout(parts: Draft) -> None:
    parts.rename("activation", "activation.raw")
    index = parts.nodes.index(parts.node("activation.raw"))
    parts.nodes.insert(index + 1, node("Dropout", ["activation.raw"], "activation"))
    parts.node("logits").input[0] = "activation"


def _logits_second(parts: Draft) -> None:
    parts.outputs = dict(sorted(parts.outputs.items(), key=lambda item: item[0] == "logits"))


AGREEING = {
    "not the first output": _logits_second,
    "p_norm": _stored_norm,
    "expected Gemm": _matrix_product,
    "expected Relu": _no_relu,
    "has other attributes": _no_transposed_weight,
    "expected Log, found node": _difference_of_logs,
    "found node 'activation.node' (Dropout": _dropout,
}


@pytest.mark.parametrize(("reason", "change"), AGREEING.items())
def test_agreeing_heads_are_declared(
    tmp_path: Path, reason: str, change: Callable[[Draft], None]
) -> None:
    parts = draft()
    change(parts)
    network = load(parts.save(tmp_path))
    assert network.binding == "declared"
    assert reason in network.reason
    original = load(draft().save(tmp_path)).head
    np.testing.assert_array_equal(network.head.weight, original.weight)
    np.testing.assert_array_equal(network.head.prototypes, original.prototypes)
    x = np.random.default_rng(0).random((1, 6, 6), dtype=np.float32)
    network.check_head(network.observe(x))


@pytest.mark.parametrize("factor", [0.5, 0.99, 1.001, 2.0])
def test_a_declared_head_must_agree(tmp_path: Path, factor: float) -> None:
    parts = draft()
    _stored_norm(parts)
    assert parts.description is not None
    parts.description["similarity"]["epsilon"] *= factor
    with pytest.raises(DescriptionError, match=r"activation.* in ONNX Runtime"):
        load(parts.save(tmp_path))


@pytest.mark.parametrize(
    ("field", "name", "message"),
    [
        ("weight", "nobody", "no float32 initializer"),
        ("weight", "axis_1", "no float32 initializer"),
        ("weight", "w1", "does not fit the description"),
        ("bias", "one", "no float32 initializer"),
    ],
)
def test_values_must_be_stored(tmp_path: Path, field: str, name: str, message: str) -> None:
    parts = draft()
    assert parts.description is not None
    parts.description["decision"][field] = name
    with pytest.raises(DescriptionError, match=message):
        load(parts.save(tmp_path))


def test_large_heads_get_fewer_probes(tmp_path: Path) -> None:
    head = load(draft().save(tmp_path)).head
    every = len(probes(head))
    assert len(affordable(head, 1)) == every
    assert 16 <= len(affordable(head, 1 << 26)) < every
    with pytest.raises(DescriptionError, match="too large to be compared numerically"):
        affordable(head, 1 << 40)


def test_the_cut_head_is_the_graph_s(tmp_path: Path) -> None:
    """On observed latents the cut model gives what the whole model gave."""
    parts = draft()
    network = load(parts.save(tmp_path))
    outputs = ("measurement", "activation", "logits")
    session = Session(cut_model(parts.build(), network.head_graph, outputs))
    rng = np.random.default_rng(1)
    for _ in range(5):
        seen = network.observe(rng.random((1, 6, 6), dtype=np.float32))
        latent = np.ascontiguousarray(seen.latent.T).reshape(1, 3, 2, 2)
        results = session.run(outputs, {"latent": latent})
        np.testing.assert_allclose(results[2][0], seen.logits, rtol=1e-5, atol=1e-5)


def test_probes_reach_every_scale_and_prototype(tmp_path: Path) -> None:
    head = load(draft().save(tmp_path)).head
    latents = probes(head)
    sizes = [float(np.abs(latent).max()) for latent in latents]
    assert min(sizes) == 0.0
    assert max(sizes) >= 1e3
    q = np.min([head.measurement(latent.astype(np.float64)).min(axis=0) for latent in latents], 0)
    assert (q < 1e-12).all()  # every prototype is met exactly by some probe
