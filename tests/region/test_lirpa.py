"""auto_LiRPA behind its one file: containment per operator, fallbacks, refusals."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from onnx import helper

from protoproof.data.dataset import load_data
from protoproof.errors import BoundsError, UnsupportedOperatorError
from protoproof.network import Network, load
from protoproof.region.bounds.lirpa import ALLOWED, Lirpa, available
from protoproof.region.bounds.names import METHODS
from protoproof.region.sets.region import InputBox, L2Ball, LinfBall
from protoproof.region.sets.transformations import Brightness
from protoproof.resources import zoo_path
from tests.support.network.builders import Draft, draft, node

pytestmark = pytest.mark.skipif(not available(), reason="auto_LiRPA is not installed")

WIDTHS = (1e-7, 1e-2, 1.0)

# one block between a first convolution (5 channels, 6 x 6) and the last one, per operator
BLOCKS: dict[str, tuple[list[tuple[str, list[str], dict[str, Any]]], dict[str, Any]]] = {
    "Relu": ([("Relu", ["h"], {})], {}),
    "Sigmoid": ([("Sigmoid", ["h"], {})], {}),
    "Tanh": ([("Tanh", ["h"], {})], {}),
    "Neg": ([("Neg", ["h"], {})], {}),
    "Identity": ([("Identity", ["h"], {})], {}),
    "Dropout": ([("Dropout", ["h"], {})], {}),
    "AveragePool": (
        [
            ("Relu", ["h"], {}),
            ("AveragePool", ["block0"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ],
        {},
    ),
    "Add": ([("Relu", ["h"], {}), ("Add", ["block0", "h"], {})], {}),
    "Sub": ([("Relu", ["h"], {}), ("Sub", ["block0", "h"], {})], {}),
    "Mul": ([("Sigmoid", ["h"], {}), ("Mul", ["block0", "c"], {})], {"c": [[[[-1.5]]]]}),
}


def network(folder: Path, op: str) -> Network:
    """The tiny model with one more block; the grid is what the block leaves of 6 x 6."""
    rng = np.random.default_rng(8)
    dense = op in ("Gemm", "MatMul", "Flatten", "Reshape")
    grid = (1, 1) if dense else (3, 3) if op == "AveragePool" else (6, 6)
    model: Draft = draft(grid=(6, 6) if grid == (6, 6) else grid)
    at = model.nodes.index(model.node("r1"))
    first = model.node("c1")
    model.nodes.remove(first)
    model.nodes[at - 1] = node("Conv", ["input", "w1", "b1"], "h", pads=[1, 1, 1, 1])
    if dense:
        flat = node("Flatten", ["h"], "flat") if op != "Reshape" else None
        flat = flat or node("Reshape", ["h", "to"], "flat")
        model.weights["dense"] = rng.normal(0, 0.2, (180, 3)).astype(np.float32)
        model.weights["to"] = np.array([0, -1], dtype=np.int64)
        model.weights["back"] = np.array([0, 3, 1, 1], dtype=np.int64)
        product = "MatMul" if op == "MatMul" else "Gemm"
        steps = [
            flat,
            node(product, ["flat", "dense"], "d"),
            node("Reshape", ["d", "back"], "c2"),
        ]
        if op != "Reshape":
            model.weights.pop("to")
    else:
        blocks, weights = BLOCKS[op]
        model.weights |= {k: np.array(v, dtype=np.float32) for k, v in weights.items()}
        steps = [
            node(kind, names, f"block{i}", **more) for i, (kind, names, more) in enumerate(blocks)
        ]
        steps.append(node("Conv", [steps[-1].output[0], "w2"], "c2"))
    model.replace("c2", *steps)
    return load(model.save(folder))


@pytest.mark.parametrize("op", sorted(ALLOWED - {"Conv"}))
@pytest.mark.trust(1)
def test_every_allowed_operator_is_contained(op: str, tmp_path: Path) -> None:
    net = network(tmp_path, op)
    engine = Lirpa(net)
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(3, net.head.locations, net.head.channels))
    for width in WIDTHS:
        middle = rng.random((1, 6, 6))
        low, high = np.clip(middle - width, 0, 1), np.clip(middle + width, 0, 1)
        share = rng.random((300, 1, 6, 6))
        share[:150] = np.round(share[:150])
        x = torch.from_numpy(low + share * (high - low))
        with torch.no_grad():
            latent = net.encoder_double(x).flatten(2).transpose(1, 2).numpy()
        value = np.einsum("rld,nld->nr", rows, latent)
        for method in METHODS[:3]:
            found = engine.forms(InputBox(low, high), rows, method)
            assert found.method == method, found.fallbacks
            assert (found.lower <= value).all()
            assert (value <= found.upper).all()


def test_the_allow_list_is_covered() -> None:
    assert set(BLOCKS) | {"Conv", "Gemm", "MatMul", "Flatten", "Reshape"} == ALLOWED


@cache
def certified() -> tuple[Network, Lirpa]:
    net = load(zoo_path("mnist-certified"))
    return net, Lirpa(net)


@cache
def image() -> NDArray[np.float32]:
    return np.asarray(load_data("mnist5k").x_test[0])


@pytest.mark.parametrize(
    "region",
    [
        LinfBall(image(), (0.0, 1.0), Fraction(1, 10)),
        L2Ball(image(), (0.0, 1.0), Fraction(1, 10)),
        Brightness(image(), (0.0, 1.0), Fraction(1, 20), parts=4),
    ],
    ids=str,
)
def test_real_regions_are_contained_and_tighter(region: Any) -> None:
    net, engine = certified()
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(4, net.head.locations, net.head.channels))
    x = torch.from_numpy(region.sample(rng, 200)).double()
    with torch.no_grad():
        latent = net.encoder_double(x).flatten(2).transpose(1, 2).numpy()
    value = np.einsum("rld,nld->nr", rows, latent)
    widths = []
    slack = 1e-5 if isinstance(region, Brightness) else 0.0  # members rounded to float32
    for method in METHODS[:3]:
        found = engine.forms(region, rows, method)
        assert (found.lower - slack <= value).all()
        assert (value <= found.upper + slack).all()
        widths.append(float((found.upper - found.lower).mean()))
    assert widths[2] < widths[0]


def test_alpha_crown_is_contained_on_a_small_network(tmp_path: Path) -> None:
    net = load(draft().save(tmp_path))
    engine = Lirpa(net)
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(3, net.head.locations, net.head.channels))
    low, high = np.full((1, 6, 6), 0.2), np.full((1, 6, 6), 0.7)
    found = engine.forms(InputBox(low, high), rows, "alpha-crown")
    assert found.method == "alpha-crown", found.fallbacks
    x = torch.from_numpy(low + rng.random((500, 1, 6, 6)) * (high - low))
    with torch.no_grad():
        latent = net.encoder_double(x).flatten(2).transpose(1, 2).numpy()
    value = np.einsum("rld,nld->nr", rows, latent)
    assert (found.lower <= value).all()
    assert (value <= found.upper).all()


def test_latent_bounds_lie_inside_the_intervals() -> None:
    net, engine = certified()
    region = LinfBall(image(), (0.0, 1.0), Fraction(1, 20))
    found, method = engine.latent(region, "crown-ibp")
    by_intervals = engine.latent_interval(region)
    assert method == "crown-ibp"
    assert (found.lower >= by_intervals.lower - 1e-8).all()
    assert (found.upper <= by_intervals.upper + 1e-8).all()
    latent = net.observe(image()).latent
    assert ((found.lower[0] - 1e-5 <= latent) & (latent <= found.upper[0] + 1e-5)).all()


def test_too_little_memory_falls_back_and_says_so() -> None:
    net, _ = certified()
    engine = Lirpa(net, memory=1 << 20)
    rows = np.ones((1, net.head.locations, net.head.channels))
    found = engine.forms(LinfBall(image(), (0.0, 1.0), Fraction(1, 10)), rows, "crown")
    assert found.method == "crown-ibp"
    assert "MiB" in found.fallbacks[0]
    assert Lirpa(net, memory=8).forms(
        LinfBall(image(), (0.0, 1.0), Fraction(1, 10)), rows, "crown"
    ).method == "interval"  # fmt: skip


@pytest.mark.parametrize("lie", ["nan", "crossed", "wrong", "raises"])
@pytest.mark.trust(2, 3)
def test_an_engine_that_lies_is_not_believed(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net, _ = certified()
    engine = Lirpa(net)
    honest = engine._bounds

    def lying(*args: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        lower, upper = honest(*args)
        if lie == "raises":
            raise RuntimeError("broken")
        if lie == "nan":
            return lower * np.nan, upper
        return (upper + 1, lower - 1) if lie == "crossed" else (upper + 1, upper + 2)

    monkeypatch.setattr(engine, "_bounds", lying)
    rows = np.ones((1, net.head.locations, net.head.channels))
    found = engine.forms(LinfBall(image(), (0.0, 1.0), Fraction(1, 10)), rows, "crown")
    assert found.method == "interval"
    assert len(found.fallbacks) == 2


@pytest.mark.trust(11)
def test_engines_that_contradict_each_other_stop_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net, _ = certified()
    engine = Lirpa(net)
    far = np.array([1e6]), np.array([1e6 + 1])
    monkeypatch.setattr(engine, "_run", lambda *_: far)
    rows = np.ones((1, net.head.locations, net.head.channels))
    with pytest.raises(BoundsError, match="cross"):
        engine.forms(LinfBall(image(), (0.0, 1.0), Fraction(1, 10)), rows, "crown")


def test_other_operators_are_refused_by_name(tmp_path: Path) -> None:
    model = draft()
    model.replace("r1", helper.make_node("LeakyRelu", ["c1"], ["r1"], name="leaky"))
    with pytest.raises(UnsupportedOperatorError, match=r"leaky.*auto_LiRPA"):
        Lirpa(load(model.save(tmp_path)))


def test_the_assumption_names_release_and_method() -> None:
    _, engine = certified()
    assert engine.assumption("crown").startswith("encoder bound: auto_LiRPA 0.")
    assert "CROWN float64, not replayed" in engine.assumption("crown")


def test_torch_s_default_type_is_left_alone() -> None:
    certified()[1].forms(
        LinfBall(image(), (0.0, 1.0), Fraction(1, 100)), np.ones((1, 1, 64)), "crown"
    )
    assert torch.get_default_dtype() == torch.float32
