"""Which spellings of a head are recognised, what they are recognised as, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

from protoproof.errors import ModelError
from protoproof.network import Network, load
from protoproof.network.head.trials import Search
from protoproof.network.head.view import read_view
from tests.support import heads
from tests.support.network.builders import (
    DISTANCES,
    EPSILON,
    POOLINGS,
    SIMILARITIES,
    Draft,
    draft,
    node,
)

Change = Callable[[Draft], None]


def after(parts: Draft, name: str, reader: str, op: str, *more: str, **attributes: object) -> None:
    """A node between the one that makes a tensor and one that reads it."""
    index = parts.nodes.index(parts.node(name))
    parts.nodes.insert(index + 1, node(op, [name, *more], f"{name}.{op}", **attributes))
    inputs = parts.node(reader).input
    inputs[:] = [f"{name}.{op}" if given == name else given for given in inputs]


def image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((1, 6, 6), dtype=np.float32)


def agrees(network: Network) -> None:
    """The recognised head computes what the runtime does."""
    for seed in range(5):
        seen = network.observe(image(seed))
        head, latent = network.head, seen.latent.astype(np.float64)
        scores = head.logits(head.activation(head.measurement(latent)))
        np.testing.assert_allclose(scores, seen.logits, rtol=1e-3, atol=1e-3)
        network.check_head(seen)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("bias", [False, True])
def test_spellings(
    tmp_path: Path, similarity: str, distance: str, pooling: str, bias: bool
) -> None:
    parts = draft(similarity, pooling, distance, bias)
    network = load(parts.save(tmp_path))
    head = network.head
    assert (head.geometry, head.decision.kind, head.all_nearest) == ("euclidean", "linear", True)
    np.testing.assert_array_equal(head.prototypes, parts.weights["prototypes"][:, :, 0, 0])
    np.testing.assert_array_equal(head.weight, parts.weights["head.weight"])
    np.testing.assert_array_equal(head.bias, [0.25, -0.25] if bias else [0, 0])
    constant = next(iter(SIMILARITIES[similarity].values()), 1.0)
    expected = heads.similarity(similarity, float(np.float32(constant)))
    q = np.geomspace(1e-6, 1e3, 50)
    found = head.chain.value(q[:, None] * np.ones(4))
    np.testing.assert_allclose(found, np.tile(expected.value(q)[:, None], 4), rtol=1e-14)
    assert (head.grid, head.uniform) == ((2, 2), True)
    assert network.recognised.latents == ("latent",)
    agrees(network)


@pytest.mark.parametrize("opset", [13, 17, 18, 21])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_opsets(tmp_path: Path, opset: int, pooling: str) -> None:
    agrees(load(draft(pooling=pooling, opset=opset).save(tmp_path)))


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
    for name, payload in (("one", "value_float"), ("epsilon", "value"), ("axis_1", "value_ints")):
        stored = parts.weights.pop(name)
        value: object = numpy_helper.from_array(stored)
        if payload == "value_float":
            value = float(stored)
        elif payload == "value_ints":
            value = [int(v) for v in stored]
        constant = node("Constant", [], name)
        constant.attribute.append(helper.make_attribute(payload, value))
        parts.nodes.insert(0, constant)


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
    parts.node("closest").attribute.append(helper.make_attribute("strides", [2, 2]))


def _powers(parts: Draft) -> None:
    parts.weights["square"] = np.array(2, dtype=np.float32)
    parts.replace("z_squared", node("Pow", ["latent", "square"], "z_squared"))
    parts.replace("p_squared", node("Pow", ["prototypes", "square"], "p_squared"))


def _sum_of_squares(parts: Draft) -> None:
    parts.nodes.remove(parts.node("z_squared"))
    parts.replace("z_norm", node("ReduceSumSquare", ["latent"], "z_norm", axes=[1], keepdims=1))


def _ones(parts: Draft) -> None:
    """|z|^2 by a convolution with ones."""
    parts.weights["ones"] = np.ones((4, 3, 1, 1), dtype=np.float32)
    parts.replace("z_norm", node("Conv", ["z_squared", "ones"], "z_norm"))


def _other_order(parts: Draft) -> None:
    """(|p|^2 - 2 z.p) + |z|^2, with the factor -2."""
    parts.weights["two"] = np.array([-2], dtype=np.float32)
    parts.replace("difference", node("Add", ["p_norm", "twice"], "difference"))
    parts.replace("expanded", node("Add", ["difference", "z_norm"], "expanded"))


def _folded_square(parts: Draft) -> None:
    """|p|^2 stored, exactly: a sum of squares of few bits."""
    parts.weights["prototypes"] = np.round(parts.weights["prototypes"] * 16) / np.float32(16)
    square = (parts.weights["prototypes"] ** 2).sum(axis=1).reshape(1, 4, 1, 1)
    parts.nodes = [n for n in parts.nodes if n.output[0] not in ("p_squared", "p_sum", "p_norm")]
    parts.weights["p_norm"] = square.astype(np.float32)


def _dropout(parts: Draft) -> None:
    after(parts, "activation", "logits", "Dropout")


def _reshape(parts: Draft) -> None:
    parts.weights["flat"] = np.array([-1, 4], dtype=np.int64)
    parts.replace("nearest", node("Reshape", ["nearest_map", "flat"], "nearest"))


def _squeeze(parts: Draft) -> None:
    parts.replace("nearest", node("Squeeze", ["nearest_map", "grid_axes"], "nearest"))


def _matmul(parts: Draft) -> None:
    parts.weights["turned"] = np.ascontiguousarray(parts.weights["head.weight"].T)
    parts.replace("logits", node("MatMul", ["activation", "turned"], "logits"))


def _straight_gemm(parts: Draft) -> None:
    parts.weights["turned"] = np.ascontiguousarray(parts.weights["head.weight"].T)
    parts.replace("logits", node("Gemm", ["activation", "turned"], "logits"))


def _global_pool(parts: Draft) -> None:
    parts.replace("closest", node("GlobalMaxPool", ["closeness"], "closest"))


def _largest(parts: Draft) -> None:
    parts.replace("closest", node("ReduceMax", ["closeness"], "closest", axes=[2, 3], keepdims=1))


def _cast(parts: Draft) -> None:
    after(parts, "activation", "logits", "Cast", to=1)


HARMLESS = [
    _swapped, _renamed, _identities, _shared_weights, _constant_nodes, _spelled_defaults, _powers,
    _sum_of_squares, _ones, _other_order, _folded_square, _dropout, _reshape, _squeeze, _matmul,
    _straight_gemm, _global_pool, _largest, _cast,
]  # fmt: skip


@pytest.mark.parametrize("change", HARMLESS)
def test_harmless_changes_are_recognised(tmp_path: Path, change: Change) -> None:
    parts = draft()
    change(parts)
    network = load(parts.save(tmp_path))
    original = load(draft().save(tmp_path)).head
    head = network.head
    assert head.uniform
    assert network.latent_range in ("sigmoid", "free")
    q = np.geomspace(1e-4, 10, 20)[:, None] * np.ones(4)
    np.testing.assert_array_equal(head.chain.value(q), original.chain.value(q))
    np.testing.assert_array_equal(head.weight, original.weight)
    if change is not _folded_square:
        np.testing.assert_array_equal(head.prototypes, original.prototypes)
    agrees(network)


@pytest.mark.trust(50)
def test_a_rounded_square_stays_in_the_similarity(tmp_path: Path) -> None:
    """|p|^2 folded to float32: q = |z - p|^2 + delta, and Relu really clamps."""
    parts = draft(distance="expanded")
    parts.replace("measurement", node("Relu", ["expanded"], "measurement"))
    prototypes = parts.weights["prototypes"][:, :, 0, 0].astype(np.float64)
    parts.nodes = [n for n in parts.nodes if n.output[0] not in ("p_squared", "p_sum", "p_norm")]
    stored = (prototypes**2).sum(axis=1).astype(np.float32)
    parts.weights["p_norm"] = stored.reshape(1, 4, 1, 1)
    head = load(parts.save(tmp_path)).head
    delta = stored.astype(np.float64) - (prototypes**2).sum(axis=1)
    assert (np.abs(delta) > 1e-12).any()
    first, clamp = head.chain.steps[0], head.chain.steps[1]
    assert (first.name, clamp.name) == ("add", "max")
    assert first.constant is not None
    np.testing.assert_allclose(first.constant, delta, rtol=1e-6, atol=1e-16)
    assert not head.uniform


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


# Changes after which the graph is another head: it is read as what it is.


def _three(parts: Draft) -> None:
    parts.weights["two"] = np.array([3], dtype=np.float32)


def _other_one(parts: Draft) -> None:
    parts.weights["half"] = np.array(0.5, dtype=np.float32)
    parts.node("numerator").input[1] = "half"


def _wrong_sign(parts: Draft) -> None:
    parts.replace("difference", node("Add", ["z_norm", "twice"], "difference"))


def _scaled_logits(parts: Draft) -> None:
    parts.node("logits").attribute.append(helper.make_attribute("alpha", 1.5))


def _scaled_activation(parts: Draft) -> None:
    parts.weights["scale"] = np.array(-1.01, dtype=np.float32)
    after(parts, "activation", "logits", "Mul", "scale")


def _shifted_norm(parts: Draft) -> None:
    """A stored |p|^2 that is not the prototypes'."""
    parts.nodes = [n for n in parts.nodes if n.output[0] not in ("p_squared", "p_sum", "p_norm")]
    parts.weights["p_norm"] = np.full((1, 4, 1, 1), 2.5, dtype=np.float32)


def _other_weight(parts: Draft) -> None:
    parts.weights["fooled"] = -parts.weights["head.weight"]
    parts.node("logits").input[1] = "fooled"


def _hidden_bias(parts: Draft) -> None:
    parts.weights["hidden"] = np.array([[0.5, 0.0]], dtype=np.float32)
    parts.node("logits").input.append("hidden")


def _mean_instead_of_max(parts: Draft) -> None:
    parts.replace("closest", node("GlobalAveragePool", ["closeness"], "closest"))


def _epsilon(parts: Draft) -> None:
    parts.weights["epsilon"] = np.nextafter(np.float32(EPSILON), np.float32(1))


OTHER = [
    _three, _other_one, _wrong_sign, _scaled_logits, _scaled_activation, _shifted_norm,
    _other_weight, _hidden_bias, _mean_instead_of_max, _epsilon,
]  # fmt: skip


def _formed(network: Network) -> list[object]:
    """Everything that makes the head what it is."""
    head = network.head
    steps = [
        (s.name, None if s.constant is None else s.constant.tolist()) for s in head.chain.steps
    ]
    arrays = [head.prototypes.tolist(), head.weight.tolist(), head.bias.tolist()]
    return [head.geometry, head.pooling_of.kinds, steps, *arrays]


@pytest.mark.parametrize("change", OTHER)
def test_another_head_is_not_taken_for_the_first(tmp_path: Path, change: Change) -> None:
    parts = draft()
    change(parts)
    network = load(parts.save(tmp_path))
    assert _formed(network) != _formed(load(draft().save(tmp_path)))
    agrees(network)


# Changes after which there is no head that this knows.


def _part_of_the_grid(parts: Draft) -> None:
    parts.replace(
        "closest",
        node("MaxPool", ["closeness"], "pooled", kernel_shape=[1, 2]),
        node("AveragePool", ["pooled"], "closest", kernel_shape=[2, 1]),
    )


def _farthest(parts: Draft) -> None:
    parts.replace("closest", node("MaxPool", ["measurement"], "closest", kernel_shape=[2, 2]))


def _bump(parts: Draft) -> None:
    """A similarity that rises and falls."""
    parts.weights["centre"] = np.array(1, dtype=np.float32)
    after(parts, "nearest", "numerator", "Sub", "centre")
    parts.replace("numerator", node("Mul", ["nearest.Sub", "nearest.Sub"], "numerator"))
    parts.replace("ratio", node("Neg", ["numerator"], "ratio"))
    parts.replace("activation", node("Exp", ["ratio"], "activation"))


def _product(parts: Draft) -> None:
    after(parts, "activation", "logits", "Mul", "activation")
    parts.nodes.insert(-1, node("Mul", ["activation.Mul", "nearest"], "product"))
    parts.node("logits").input[0] = "product"


REFUSED = [
    (_part_of_the_grid, r"node 'pooled\.node' \(MaxPool\): a pool over \[1, 2\] of a grid"),
    (_farthest, "farthest"),
    (_bump, "'square' neither rises nor falls"),
    (_product, r"node 'product\.node' \(Mul\): a product of functions of measurements"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_what_is_no_head_is_refused_by_name(tmp_path: Path, change: Change, message: str) -> None:
    parts = draft()
    change(parts)
    with pytest.raises(ModelError, match=message) as caught:
        load(parts.save(tmp_path))
    assert str(caught.value).isprintable()


def test_a_way_around_the_latent_is_refused(tmp_path: Path) -> None:
    parts = draft()
    parts.weights["flat"] = np.zeros((36, 2), dtype=np.float32)
    parts.rename("logits", "logits.raw")
    parts.nodes += [
        node("Flatten", ["input"], "pixels"),
        node("MatMul", ["pixels", "flat"], "shortcut"),
        node("Add", ["logits.raw", "shortcut"], "logits"),
    ]
    with pytest.raises(ModelError, match="no prototype head is recognised"):
        load(parts.save(tmp_path), output="logits")


def test_a_last_layer_alone_is_no_head_unless_chosen(tmp_path: Path) -> None:
    """Every classifier ends in products with rows of a matrix; that is not a prototype network."""
    parts = draft()
    parts.description = None
    parts.nodes = parts.nodes[:4]
    parts.weights["w"] = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
    parts.nodes += [node("Flatten", ["latent"], "flat"), node("Gemm", ["flat", "w"], "logits")]
    parts.outputs = {"logits": (2,)}
    path = parts.save(tmp_path)
    with pytest.raises(ModelError, match="a layer whose own weights would be the prototypes"):
        load(path)
    chosen = load(path, latent="latent")
    assert (chosen.head.geometry, chosen.head.locations) == ("linear", 1)
    agrees(chosen)


@pytest.mark.parametrize("final", ["Softmax", "LogSoftmax", "Sigmoid", "ArgMax"])
def test_what_changes_no_decision_is_taken_off(tmp_path: Path, final: str) -> None:
    parts = draft()
    parts.rename("logits", "scores")
    parts.nodes.append(node(final, ["scores"], "logits"))
    parts.outputs = {"logits": (2,)} if final != "ArgMax" else {}
    if final == "ArgMax":
        parts.nodes[-1].attribute.append(helper.make_attribute("axis", 1))
        parts.extra.append(
            lambda model: model.graph.output.append(
                helper.make_tensor_value_info("logits", 7, ["N", 1])
            )
        )
    network = load(parts.save(tmp_path))
    found = network.recognised
    assert (found.output, found.scores, found.stripped) == ("logits", "scores", (final,))
    assert network.head.decision.kind == ("labels" if final == "Sigmoid" else "linear")
    agrees(network)


def test_a_softmax_over_the_batch_is_not_taken_off(tmp_path: Path) -> None:
    parts = draft()
    parts.rename("logits", "scores")
    parts.nodes.append(node("Softmax", ["scores"], "logits", axis=0))
    parts.outputs = {"logits": (2,)}
    with pytest.raises(ModelError, match="no prototype head"):
        load(parts.save(tmp_path))


def test_another_domains_operator_is_not_onnxs_of_that_name() -> None:
    graph = helper.make_graph(
        [node("Relu", ["x"], "y"), node("Relu", ["y"], "z", domain="com.example")],
        "g",
        [helper.make_tensor_value_info("x", 1, [1, 2])],
        [helper.make_tensor_value_info("z", 1, [1, 2])],
    )
    view = read_view(helper.make_model(graph))
    assert [one.op for one in view.nodes] == ["Relu", "com.example.Relu"]


def test_what_the_latent_is_spread_out_to_is_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    one = Search.tried

    def spy(self: Search, cuts: tuple[str, ...], scores: str, labels: bool) -> object:
        tried.extend(cuts)
        return one(self, cuts, scores, labels)

    monkeypatch.setattr(Search, "tried", spy)
    network = load(draft(distance="direct").save(tmp_path))
    sizes = network.graph.shapes
    assert network.recognised.latents == ("latent",)
    assert "latent" in tried
    # differences from every prototype, and the distances at every location
    wide = [name for name in sizes if np.prod(sizes[name]) > np.prod(sizes["latent"])]
    behind = {name for node in network.view.needed("logits", ["latent"]) for name in node.outputs}
    assert behind & set(wide)
    assert not behind & set(wide) & set(tried)
