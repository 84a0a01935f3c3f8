"""Which spellings of a head are recognised, and that nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from protoproof.errors import DescriptionError
from protoproof.network import load
from tests.support import heads
from tests.support.network.builders import (
    DISTANCES,
    EPSILON,
    SIMILARITIES,
    Draft,
    draft,
    node,
)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("bias", [False, True])
def test_spellings(tmp_path: Path, similarity: str, distance: str, bias: bool) -> None:
    parts = draft(similarity, "max_pool", distance, bias)
    network = load(parts.save(tmp_path))
    assert (network.binding, network.reason) == ("recognised", "")
    head = network.head
    np.testing.assert_array_equal(head.prototypes, parts.weights["prototypes"][:, :, 0, 0])
    np.testing.assert_array_equal(head.weight, parts.weights["head.weight"])
    np.testing.assert_array_equal(head.bias, [0.25, -0.25] if bias else [0, 0])
    constant = next(iter(SIMILARITIES[similarity].values()), 1.0)
    expected = heads.similarity(similarity, float(np.float32(constant)))
    assert head.chain.words() == expected.words()
    q = np.geomspace(1e-6, 1e3, 50)
    np.testing.assert_array_equal(head.chain.value(q), expected.value(q))
    assert (head.grid, head.prototype_class) == ((2, 2), (0, 0, 1, 1))


@pytest.mark.parametrize("opset", [13, 17, 18, 21])
def test_opsets(tmp_path: Path, opset: int) -> None:
    assert load(draft(opset=opset).save(tmp_path)).binding == "recognised"


@pytest.mark.parametrize("opset", [13, 17, 18, 21])
def test_a_reduction_is_only_declared(tmp_path: Path, opset: int) -> None:
    """It would take a grid of any size, so the checker could not tell the grid from the graph."""
    network = load(draft(pooling="reduce_min", opset=opset).save(tmp_path))
    assert network.binding == "declared"
    assert network.reason


@pytest.mark.parametrize("grid", [(1, 1), (2, 2), (3, 3)])
def test_grids(tmp_path: Path, grid: tuple[int, int]) -> None:
    assert load(draft(grid=grid).save(tmp_path)).head.grid == grid


def _swapped(parts: Draft) -> None:
    for name in ("expanded", "numerator", "denominator", "twice"):
        inputs = parts.node(name).input
        inputs[:] = list(inputs)[::-1]


def _renamed(parts: Draft) -> None:
    for old in ("z_norm", "twice", "nearest", "ratio", "two", "one", "axis_1", "epsilon"):
        parts.rename(old, f"other/{old}")


def _identities(parts: Draft) -> None:
    for name in ("nearest", "z_dot_p", "expanded", "logits", "latent"):
        parts.rename(name, f"{name}.raw")
        index = parts.nodes.index(parts.node(f"{name}.raw"))
        parts.nodes.insert(index + 1, node("Identity", [f"{name}.raw"], name))


def _shared_weights(parts: Draft) -> None:
    """Prototypes and weight behind Identity, as exporters write shared parameters."""
    for name in ("prototypes", "head.weight"):
        parts.weights[f"{name}.stored"] = parts.weights.pop(name)
        parts.nodes.insert(0, node("Identity", [f"{name}.stored"], name))


def _constant_nodes(parts: Draft) -> None:
    for name in ("one", "epsilon", "axis_1"):
        value = helper.make_attribute("value", _tensor(parts.weights.pop(name)))
        constant = node("Constant", [], name)
        constant.attribute.append(value)
        parts.nodes.insert(0, constant)


def _tensor(value: np.ndarray) -> object:
    from onnx import numpy_helper

    return numpy_helper.from_array(value)


def _spelled_defaults(parts: Draft) -> None:
    parts.node("logits").attribute.extend(
        [helper.make_attribute("alpha", 1.0), helper.make_attribute("transA", 0)]
    )
    parts.node("z_dot_p").attribute.extend(
        [
            helper.make_attribute("strides", [1, 1]),
            helper.make_attribute("pads", [0, 0, 0, 0]),
            helper.make_attribute("group", 1),
        ]
    )
    parts.node("closest").attribute.append(helper.make_attribute("strides", [1, 1]))


HARMLESS = [
    _swapped, _renamed, _identities, _shared_weights, _constant_nodes, _spelled_defaults
]  # fmt: skip


@pytest.mark.parametrize("change", HARMLESS)
def test_harmless_changes_are_recognised(tmp_path: Path, change: Callable[[Draft], None]) -> None:
    parts = draft()
    change(parts)
    network = load(parts.save(tmp_path))
    assert (network.binding, network.reason) == ("recognised", "")
    assert network.latent_range == "sigmoid"
    x = np.random.default_rng(0).random((1, 6, 6), dtype=np.float32)
    original = load(draft().save(tmp_path))
    np.testing.assert_array_equal(network.observe(x).logits, original.observe(x).logits)


@pytest.mark.parametrize(
    ("last", "range_"), [("Sigmoid", "sigmoid"), ("Relu", "relu"), ("Tanh", "free")]
)
def test_latent_range(tmp_path: Path, last: str, range_: str) -> None:
    assert load(draft(last=last).save(tmp_path)).latent_range == range_


@pytest.mark.parametrize(
    ("last", "range_"), [("LpNormalization", "normalised"), ("Softmax", "softmax")]
)
def test_a_norm_counts_over_channels_only(tmp_path: Path, last: str, range_: str) -> None:
    for axis, wanted in ((1, range_), (-3, range_), (-1, "free"), (2, "free")):
        parts = draft(last=last)
        parts.node("latent").attribute.append(helper.make_attribute("axis", axis))
        assert load(parts.save(tmp_path)).latent_range == wanted


# Changes after which graph and description define different functions.


def _wrong_sign(parts: Draft) -> None:
    parts.replace("difference", node("Add", ["z_norm", "twice"], "difference"))


def _three(parts: Draft) -> None:
    parts.weights["two"] = np.array([3], dtype=np.float32)


def _other_one(parts: Draft) -> None:
    parts.weights["half"] = np.array(0.5, dtype=np.float32)
    parts.node("numerator").input[1] = "half"


def _scaled_logits(parts: Draft) -> None:
    parts.node("logits").attribute.append(helper.make_attribute("alpha", 1.01))


def _scaled_activation(parts: Draft) -> None:
    parts.rename("activation", "activation.raw")
    parts.weights["scale"] = np.array(1.01, dtype=np.float32)
    index = parts.nodes.index(parts.node("activation.raw"))
    parts.nodes.insert(index + 1, node("Mul", ["activation.raw", "scale"], "activation"))


def _shifted_norm(parts: Draft) -> None:
    """A stored |p|^2 that is not the prototypes'."""
    parts.nodes = [n for n in parts.nodes if n.output[0] not in ("p_squared", "p_sum", "p_norm")]
    parts.weights["p_norm"] = np.full((1, 4, 1, 1), 0.9, dtype=np.float32)


def _other_prototypes(parts: Draft) -> None:
    parts.weights["swapped"] = parts.weights["prototypes"][::-1].copy()
    parts.node("z_dot_p").input[1] = "swapped"


def _all_other_prototypes(parts: Draft) -> None:
    parts.weights["moved"] = parts.weights["prototypes"] + np.float32(0.1)
    parts.node("z_dot_p").input[1] = "moved"
    parts.node("p_squared").input[:] = ["moved", "moved"]


def _part_of_the_grid(parts: Draft) -> None:
    parts.weights["first"] = np.array([2], dtype=np.int64)
    parts.replace(
        "closest",
        node("MaxPool", ["closeness"], "pooled", kernel_shape=[1, 2]),
        node("AveragePool", ["pooled"], "closest", kernel_shape=[2, 1]),
    )


def _mean_instead_of_max(parts: Draft) -> None:
    parts.replace("closest", node("GlobalAveragePool", ["closeness"], "closest"))


def _other_weight(parts: Draft) -> None:
    parts.weights["fooled"] = -parts.weights["head.weight"]
    parts.node("logits").input[1] = "fooled"


def _hidden_bias(parts: Draft) -> None:
    parts.weights["hidden"] = np.array([0.5, 0.0], dtype=np.float32)
    parts.node("logits").input.append("hidden")


TAMPERED = [
    _wrong_sign, _three, _other_one, _scaled_logits, _scaled_activation, _shifted_norm,
    _other_prototypes, _all_other_prototypes, _part_of_the_grid, _mean_instead_of_max,
    _other_weight, _hidden_bias,
]  # fmt: skip


@pytest.mark.parametrize("change", TAMPERED)
def test_tampered_heads_are_refused(tmp_path: Path, change: Callable[[Draft], None]) -> None:
    parts = draft()
    change(parts)
    with pytest.raises(DescriptionError, match="described head is not the graph's"):
        load(parts.save(tmp_path))


@pytest.mark.parametrize("epsilon", [1e-3, np.nextafter(np.float32(EPSILON), 1).item()])
def test_another_epsilon_is_refused(tmp_path: Path, epsilon: float) -> None:
    parts = draft()
    assert parts.description is not None
    parts.description["similarity"]["epsilon"] = epsilon
    with pytest.raises(DescriptionError, match=r"similarity\.epsilon is .* by the description"):
        load(parts.save(tmp_path))


def test_epsilon_is_compared_after_rounding(tmp_path: Path) -> None:
    parts = draft()
    assert parts.description is not None
    parts.description["similarity"]["epsilon"] = float(np.float32(EPSILON))
    assert load(parts.save(tmp_path)).binding == "recognised"


def test_a_way_around_the_latent_is_refused(tmp_path: Path) -> None:
    parts = draft()
    parts.weights["flat"] = np.zeros((36, 2), dtype=np.float32)
    parts.rename("logits", "logits.raw")
    parts.nodes += [
        node("Flatten", ["input"], "pixels"),
        node("MatMul", ["pixels", "flat"], "shortcut"),
        node("Add", ["logits.raw", "shortcut"], "logits"),
    ]
    with pytest.raises(DescriptionError, match="by a way around the latent"):
        load(parts.save(tmp_path))
