"""The latent is found, whatever makes it; where nothing is one, the line says what is true."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from protoproof.errors import ModelError
from protoproof.explanation.certifiable import checkers_objection
from protoproof.network import load
from protoproof.network.inspect import inspect_file
from tests.support.cli import protoproof
from tests.support.network.builders import DISTANCES, Draft, draft, node
from tests.support.network.latents import LATENTS, Change, real


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("name", LATENTS)
def test_the_latent_is_found(tmp_path: Path, name: str, distance: str) -> None:
    parts = draft(distance=distance)
    parts.description = None
    parts.outputs = {"logits": (2,)}
    LATENTS[name](parts)
    network = load(parts.save(tmp_path))
    assert network.recognised.latents == ("latent",)
    assert (network.head.geometry, network.head.grid) == ("euclidean", (2, 2))
    assert checkers_objection(network) == ""
    x = np.random.default_rng(0).random((1, 6, 6), dtype=np.float32)
    network.check_head(network.observe(x))


def test_locations_of_two_scales_are_one_latent(tmp_path: Path) -> None:
    """A fine grid and a coarse one, as one row of locations."""
    parts = draft(distance="direct", pooling="reduce_min")
    parts.description = None
    parts.outputs = {"logits": (2,)}
    parts.nodes.remove(parts.node("c2"))
    parts.weights |= {
        "wa": real(3, 5, 1, 1), "wb": real(3, 5, 2, 2), "flat": np.array([1, 3, -1]),
        "axis_2": np.array([2]), "prototypes": parts.weights["prototypes"][..., 0],
    }  # fmt: skip
    parts.replace(
        "latent",
        node("Conv", ["r1", "wa"], "fine"),
        node("Conv", ["r1", "wb"], "coarse"),
        node("Reshape", ["fine", "flat"], "f"),
        node("Reshape", ["coarse", "flat"], "c"),
        node("Concat", ["f", "c"], "latent", axis=2),
    )
    parts.replace("nearest", node("ReduceMin", ["measurement"], "nearest", keepdims=0, axes=[2]))
    parts.batch = 1
    network = load(parts.save(tmp_path))
    assert network.recognised.latents == ("latent",)
    assert (network.head.grid, network.head.channels) == ((1, 5), 3)
    assert checkers_objection(network) == ""


def _plain(parts: Draft, *nodes: onnx.NodeProto) -> None:
    """No prototypes: ``nodes`` between ``r1`` ([N, 5, 2, 2]) and ``logits``."""
    parts.description = None
    parts.nodes = parts.nodes[:2]
    parts.nodes += nodes
    parts.weights |= {"w": real(5, 2), "v": real(20, 2), "u": real(20, 7), "t": real(7, 2)}
    parts.outputs = {"logits": (2,)}


def _averaged(parts: Draft) -> None:
    pool = node("GlobalAveragePool", ["r1"], "gap")
    _plain(parts, pool, node("Flatten", ["gap"], "flat"), node("MatMul", ["flat", "w"], "logits"))


def _flattened(parts: Draft) -> None:
    _plain(parts, node("Flatten", ["r1"], "flat"), node("MatMul", ["flat", "v"], "logits"))


def _hidden(parts: Draft, op: str = "Relu") -> None:
    _plain(
        parts,
        node("Flatten", ["r1"], "flat"),
        node("MatMul", ["flat", "u"], "hidden"),
        node(op, ["hidden"], "rh"),
        node("MatMul", ["rh", "t"], "logits"),
    )


def _stopped(path: Path) -> str:
    """The refusal, of which every part holds by itself."""
    with pytest.raises(ModelError) as refused:
        load(path)
    line = str(refused.value)
    assert "no prototype head is recognised" in line
    found = re.search(r"with '([^']+)' as the latent, node '([^']+)'", line)
    assert found is not None, line
    with pytest.raises(ModelError, match=re.escape(f"node '{found[2]}'")):
        load(path, latent=found[1])
    return line


@pytest.mark.parametrize("change", [_averaged, _flattened, _hidden])
def test_without_prototypes_the_line_is_true(tmp_path: Path, change: Change) -> None:
    parts = draft()
    change(parts)
    path = parts.save(tmp_path)
    assert "dense layers alone compare nothing with a prototype" in _stopped(path)
    for name in ("c1", "r1", "flat", "gap", "hidden", "rh"):
        found = inspect_file(path, latent=name, checker=checkers_objection)
        assert len(found.refusals) == 1  # nothing would have been explained
        if found.binding:
            assert "explanations cannot be certified" in found.refusals[0]
            assert found.certifiable is False


def test_what_the_checker_refuses_is_no_success(tmp_path: Path) -> None:
    """One meaning of exit code 2: ``explain`` would refuse the network in the same words."""
    parts = draft()
    _averaged(parts)
    path = parts.save(tmp_path)
    np.save(tmp_path / "x.npy", np.zeros((1, 6, 6), dtype=np.float32))
    chosen = ("--latent", "gap")
    seen = protoproof("inspect", path, *chosen)
    asked = protoproof("explain", path, "--input", tmp_path / "x.npy", *chosen)
    assert (seen.code, asked.code) == (2, 2)
    (line,) = [line for line in seen.out.splitlines() if line.startswith("refused")]
    assert line.removeprefix("refused").strip() in asked.err


def test_a_layer_that_could_be_explained_is_named(tmp_path: Path) -> None:
    """Dense layers on values that a Sigmoid bounds: what the line offers can be had."""
    parts = draft()
    _hidden(parts, "Sigmoid")
    path = parts.save(tmp_path)
    with pytest.raises(ModelError, match="a layer whose own weights would be the proto") as refused:
        load(path)
    assert "(--latent 'rh')" in str(refused.value)
    found = inspect_file(path, latent="rh", checker=checkers_objection)
    assert (found.refusals, found.certifiable) == ((), True)


def test_another_output_that_is_a_head_is_named(tmp_path: Path) -> None:
    """The logits are none; the second output is, and the line says how to ask for it."""
    parts = draft()
    parts.description = None
    parts.replace(
        "logits",
        node("Cos", ["activation"], "wave"),
        node("Gemm", ["wave", "head.weight"], "logits", transB=1),
    )
    parts.outputs = {"logits": (2,), "activation": (4,)}
    path = parts.save(tmp_path)
    with pytest.raises(ModelError, match=r"node 'wave\.node' \(Cos\)") as refused:
        load(path)
    assert "another output is a head" in str(refused.value)
    assert "--output 'activation'" in str(refused.value)
    found = load(path, latent="latent", output="activation")
    assert found.recognised.output == "activation"
