"""Kinds of values and their rules: small heads of every kind, against ONNX Runtime.

Each case is a head on the latent [1, 3, 2, 2] of a tiny encoder: nodes, stored numbers, and what it
must be recognised as (geometry, pooling, decision).
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto

from protoproof.network import load
from protoproof.network.head.constants import Numbers, total, two_product
from protoproof.network.head.evaluate import Evaluation
from protoproof.network.head.layout import compact, condense, reshaped, view
from protoproof.network.head.normal_form import normal_form
from protoproof.network.head.view import read_view
from tests.support.network.builders import Draft, draft, node

RNG = np.random.default_rng(3)
P = RNG.random((4, 3)).astype(np.float32)
W = RNG.normal(size=(4, 2)).astype(np.float32)
Case = tuple[list[NodeProto], dict[str, Any], tuple[str, str, str]]


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def real(value: float) -> np.ndarray:
    return np.array(value, dtype=np.float32)


def products(output: str, prototypes: np.ndarray = P) -> tuple[list[NodeProto], dict[str, Any]]:
    return [node("Conv", ["latent", "p"], output)], {"p": prototypes.reshape(4, 3, 1, 1)}


def apart(output: str) -> tuple[list[NodeProto], dict[str, Any]]:
    """z - p as [1, 4, 3, 2, 2]."""
    nodes = [
        node("Unsqueeze", ["latent", "one_axis"], "wide"),
        node("Sub", ["wide", "p5"], output),
    ]
    return nodes, {"one_axis": ints(1), "p5": P.reshape(1, 4, 3, 1, 1)}


def last(source: str) -> list[NodeProto]:
    return [node("Flatten", [source], "flat"), node("MatMul", ["flat", "w"], "logits")]


def cosine() -> Case:
    nodes, stored = products("zp")
    nodes += [
        node("ReduceL2", ["latent"], "norm", axes=[1], keepdims=1),
        node("Clip", ["norm", "tiny"], "safe"),
        node("Div", ["zp", "safe"], "cos"),
        node("GlobalMaxPool", ["cos"], "best"),
        *last("best"),
    ]
    return nodes, {**stored, "tiny": real(1e-12), "w": W}, ("angular", "nearest", "linear")


def normalised() -> Case:
    nodes = [
        node("ReduceL2", ["latent"], "norm", axes=[1], keepdims=1),
        node("Clip", ["norm", "tiny"], "safe"),
        node("Div", ["latent", "safe"], "unit"),
        node("Conv", ["unit", "p"], "cos"),
        node("Relu", ["cos"], "kept"),
        node("GlobalMaxPool", ["kept"], "best"),
        *last("best"),
    ]
    stored = {"p": P.reshape(4, 3, 1, 1), "tiny": real(1e-12), "w": W}
    return nodes, stored, ("linear", "nearest", "linear")


def isotropic() -> Case:
    nodes, stored = apart("apart")
    nodes += [
        node("Mul", ["apart", "apart"], "square"),
        node("ReduceSum", ["square", "two_axis"], "q", keepdims=0),
        node("Mul", ["q", "scale"], "scaled"),
        node("ReduceMin", ["scaled"], "least", axes=[2, 3], keepdims=0),
        node("Neg", ["least"], "power"),
        node("Exp", ["power"], "a"),
        *last("a"),
    ]
    scale = np.array([0.3, 0.5, 1.7, 2.2], dtype=np.float32).reshape(1, 4, 1, 1)
    stored |= {"two_axis": ints(2), "scale": scale, "w": W}
    return nodes, stored, ("euclidean", "nearest", "linear")


def diagonal() -> Case:
    nodes, stored = apart("apart")
    nodes += [
        node("Pow", ["apart", "two"], "square"),
        node("Mul", ["square", "weights"], "weighted"),
        node("ReduceSum", ["weighted", "two_axis"], "q", keepdims=0),
        node("ReduceMin", ["q"], "least", axes=[2, 3], keepdims=0),
        node("Neg", ["least"], "a"),
        *last("a"),
    ]
    weights = RNG.random((1, 4, 3, 1, 1)).astype(np.float32) + np.float32(0.1)
    stored |= {"two": real(2), "two_axis": ints(2), "weights": weights, "w": W}
    return nodes, stored, ("diagonal", "nearest", "linear")


def windows() -> Case:
    nodes = [
        node("Mul", ["latent", "latent"], "square"),
        node("Conv", ["square", "ones"], "zz"),
        node("Conv", ["latent", "p"], "zp"),
        node("Mul", ["zp", "minus"], "cross"),
        node("Add", ["cross", "pp"], "half"),
        node("Add", ["zz", "half"], "q"),
        node("Neg", ["q"], "near"),
        node("ReduceMax", ["near"], "best", axes=[2, 3], keepdims=0),
        *last("best"),
    ]
    p = (np.round(RNG.random((4, 3, 2, 1)) * 8) / 8).astype(np.float32)
    stored = {
        "ones": np.ones((4, 3, 2, 1), np.float32), "p": p, "minus": real(-2), "w": W,
        "pp": (p**2).sum(axis=(1, 2, 3)).reshape(4, 1, 1).astype(np.float32),
    }  # fmt: skip
    return nodes, stored, ("euclidean", "nearest", "linear")


def written_out_cdist() -> Case:
    nodes = [
        node("Reshape", ["latent", "flat_shape"], "tokens"),
        node("Transpose", ["tokens"], "z", perm=[0, 2, 1]),
        node("Mul", ["z", "z"], "square"),
        node("ReduceSum", ["square", "last_axis"], "zz", keepdims=1),
        node("Mul", ["z", "minus"], "cross"),
        node("Concat", ["cross", "zz", "ones"], "left", axis=-1),
        node("MatMul", ["left", "right"], "q"),
        node("Clip", ["q", "zero"], "clipped"),
        node("Sqrt", ["clipped"], "distance"),
        node("ReduceMin", ["distance"], "least", axes=[1], keepdims=0),
        node("Neg", ["least"], "a"),
        *last("a"),
    ]
    p = (np.round(P * 8) / 8).astype(np.float32)
    right = np.concatenate([p.T, np.ones((1, 4)), (p**2).sum(axis=1)[None]]).astype(np.float32)
    stored = {
        "flat_shape": ints(1, 3, 4), "last_axis": ints(-1), "minus": real(-2), "zero": real(0),
        "ones": np.ones((1, 4, 1), np.float32), "right": right, "w": W,
    }  # fmt: skip
    return nodes, stored, ("euclidean", "nearest", "linear")


def k_largest() -> Case:
    nodes, stored = apart("apart")
    nodes += [
        node("ReduceSumSquare", ["apart"], "q", axes=[2], keepdims=0),
        node("Neg", ["q"], "power"),
        node("Exp", ["power"], "s"),
        node("Reshape", ["s", "rows"], "table"),
        NodeProto(),
        node("ReduceMean", ["top"], "a", axes=[2], keepdims=0),
        *last("a"),
    ]
    top = node("TopK", ["table", "k"], "top")
    top.output.append("places")
    nodes[nodes.index(NodeProto())] = top
    stored |= {"rows": ints(1, 4, 4), "k": ints(2), "w": W}
    return nodes, stored, ("euclidean", "k-largest mean", "linear")


def mean_of_similarities() -> Case:
    nodes, stored = products("zp")
    nodes += [
        node("Sigmoid", ["zp"], "s"),
        node("GlobalAveragePool", ["s"], "a"),
        *last("a"),
    ]
    return nodes, {**stored, "w": W}, ("linear", "mean", "linear")


def smooth_maximum() -> Case:
    nodes, stored = products("zp")
    nodes += [
        node("ReduceLogSumExp", ["zp"], "a", axes=[2, 3], keepdims=0),
        *last("a"),
    ]
    return nodes, {**stored, "w": W}, ("linear", "sum", "linear")


def best_of_class() -> Case:
    nodes, stored = apart("apart")
    nodes += [
        node("ReduceSumSquare", ["apart"], "q", axes=[2], keepdims=0),
        node("ReduceMin", ["q"], "least", axes=[2, 3], keepdims=0),
        node("Neg", ["least"], "a"),
        node("Reshape", ["a", "owners"], "owned"),
        node("ReduceMax", ["owned"], "logits", axes=[2], keepdims=0),
    ]
    return nodes, {**stored, "owners": ints(1, 2, 2)}, ("euclidean", "nearest", "best")


def clamped() -> Case:
    """Clip on both sides, then 0 below 1/4."""
    nodes, stored = products("zp")
    nodes += [
        node("GlobalMaxPool", ["zp"], "best"),
        node("Clip", ["best", "low", "high"], "clipped"),
        node("Less", ["clipped", "quarter"], "small"),
        node("Where", ["small", "zero", "clipped"], "a"),
        *last("a"),
    ]
    stored |= {"low": real(0.1), "high": real(1.0), "quarter": real(0.25), "zero": real(0), "w": W}
    return nodes, stored, ("linear", "nearest", "linear")


def own_sums() -> Case:
    """Einsum over each class's own prototypes, after slices that are put together again."""
    nodes, stored = products("zp")
    nodes += [
        node("GlobalMaxPool", ["zp"], "best"),
        node("Squeeze", ["best", "places"], "a"),
        node("Slice", ["a", "zero", "two", "one"], "front"),
        node("Gather", ["a", "back"], "rest", axis=1),
        node("Concat", ["front", "rest"], "all", axis=1),
        node("Reshape", ["all", "owners"], "owned"),
        node("Einsum", ["owned", "weights"], "logits", equation="bof,of->bo"),
    ]
    stored |= {
        "places": ints(2, 3), "zero": ints(0), "two": ints(2), "one": ints(1), "back": ints(2, 3),
        "owners": ints(1, 2, 2), "weights": W[:2],
    }  # fmt: skip
    return nodes, stored, ("linear", "nearest", "linear")


def soft_tree() -> Case:
    nodes, stored = apart("apart")
    split = node("Split", ["s"], "s0", axis=1)
    split.output.extend(["s1", "s2", "s3"])
    nodes += [
        node("ReduceSumSquare", ["apart"], "q", axes=[2], keepdims=0),
        node("ReduceMin", ["q"], "least", axes=[2, 3], keepdims=0),
        node("Neg", ["least"], "power"),
        node("Exp", ["power"], "s"),
        split,
    ]

    def join(name: str, share: str, left: str, right: str) -> None:
        nodes.extend(
            [
                node("Sub", ["unit", share], f"{name}.rest"),
                node("Mul", [f"{name}.rest", left], f"{name}.left"),
                node("Mul", [share, right], f"{name}.right"),
                node("Add", [f"{name}.left", f"{name}.right"], name),
            ]
        )

    join("below", "s1", "leaf0", "leaf1")
    join("above", "s2", "leaf2", "leaf3")
    join("logits", "s0", "below", "above")
    leaves = RNG.random((4, 1, 2)).astype(np.float32)
    stored |= {f"leaf{k}": leaf for k, leaf in enumerate(leaves)} | {"unit": real(1)}
    return nodes, stored, ("euclidean", "nearest", "tree")


def votes() -> Case:
    """A softmax over prototypes, then the mean of their values."""
    nodes, stored = apart("apart")
    nodes += [
        node("ReduceSumSquare", ["apart"], "q", axes=[2], keepdims=0),
        node("ReduceMin", ["q"], "least", axes=[2, 3], keepdims=0),
        node("Neg", ["least"], "power"),
        node("Softmax", ["power"], "share", axis=1),
        node("MatMul", ["share", "w"], "logits"),
    ]
    return nodes, {**stored, "w": W}, ("euclidean", "nearest", "linear")


CASES: list[Callable[[], Case]] = [
    cosine, normalised, isotropic, diagonal, windows, written_out_cdist, k_largest,
    mean_of_similarities, smooth_maximum, best_of_class, clamped, own_sums, soft_tree, votes,
]  # fmt: skip


def built(case: Callable[[], Case]) -> tuple[Draft, tuple[str, str, str]]:
    parts = draft()
    nodes, stored, expected = case()
    parts.description = None
    parts.nodes = [*parts.nodes[:4], *nodes]
    kept = {name: parts.weights[name] for name in ("w1", "b1", "w2")}
    parts.weights = {**kept, **stored}
    parts.outputs = {"logits": (2,)}
    parts.batch = 1
    return parts, expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_head_of_every_kind(tmp_path: Path, case: Callable[[], Case]) -> None:
    parts, expected = built(case)
    # products that are averaged are what every network is made of: such a head has to be chosen
    chosen = "latent" if expected[0] == "linear" and expected[1] != "nearest" else ()
    network = load(parts.save(tmp_path), latent=chosen)
    head = network.head
    (pooling,) = set(head.pooling_of.kinds)
    assert (head.geometry, pooling, head.decision.kind) == expected
    assert network.recognised.latents == (("unit",) if case is normalised else ("latent",))
    rng = np.random.default_rng(1)
    for _ in range(10):
        seen = network.observe(rng.random((1, 6, 6), dtype=np.float32))
        latent = seen.latent.astype(np.float64)
        scores = head.logits(head.activation(head.measurement(latent)))
        if network.recognised.ratio:
            scores = scores * (seen.logits @ scores) / (scores @ scores)
        np.testing.assert_allclose(scores, seen.logits, rtol=2e-4, atol=2e-5)
        assert int(np.argmax(scores)) == seen.predicted
        network.check_head(seen)


def test_sites_and_rows_are_never_written_out(tmp_path: Path) -> None:
    """L * P * D numbers would be 13 MB here; a factored head needs the prototypes a few times."""
    locations, count, channels = 100, 256, 64
    rng = np.random.default_rng(0)
    p = rng.random((count, channels)).astype(np.float32)
    nodes = [
        node("Unsqueeze", ["latent", "one_axis"], "wide"),
        node("Sub", ["wide", "p5"], "apart"),
        node("Mul", ["apart", "apart"], "square"),
        node("ReduceSum", ["square", "two_axis"], "q", keepdims=0),
        node("Neg", ["q"], "near"),
        node("GlobalMaxPool", ["near"], "best"),
        node("Flatten", ["best"], "a"),
        node("Gemm", ["a", "w"], "logits"),
    ]
    parts = draft()
    parts.nodes = [node("Sigmoid", ["input"], "latent"), *nodes]
    parts.weights = {
        "one_axis": ints(1), "two_axis": ints(2), "p5": p.reshape(1, count, channels, 1, 1),
        "w": rng.random((count, 3)).astype(np.float32),
    }  # fmt: skip
    parts.image, parts.outputs, parts.batch = (channels, 10, 10), {"logits": (3,)}, 1
    graph = read_view(parts.build())
    shapes = {"latent": (1, channels, 10, 10)}
    tracemalloc.start()
    evaluation = Evaluation(graph, shapes)
    form = normal_form(evaluation.tables, evaluation.output("logits"), shapes, False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert form.head.locations == locations
    np.testing.assert_array_equal(form.head.prototypes, p)
    assert peak < 8 * locations * count * channels / 2


def test_compact_arrays_are_views_of_what_varies() -> None:
    varied = np.arange(6).reshape(2, 1, 3)
    wide = view(varied, (2, 5, 3))
    assert compact(wide).shape == (2, 1, 3)
    np.testing.assert_array_equal(view(compact(wide), wide.shape), wide)
    np.testing.assert_array_equal(condense(np.array(wide)), varied)
    merged = reshaped(varied, (2, 5, 3), (10, 3))
    np.testing.assert_array_equal(view(merged, (10, 3)), np.array(wide).reshape(10, 3))


def test_pairs_of_numbers_are_exact() -> None:
    """|p|^2 of float32 numbers in pairs, against fractions."""
    from fractions import Fraction

    rng = np.random.default_rng(0)
    p = (rng.normal(size=(5, 40)) * 2.0 ** rng.integers(-12, 12, (5, 40))).astype(np.float32)
    high, low = total(*two_product(p.astype(np.float64), p.astype(np.float64)), (1,))
    for row, first, rest in zip(p, high[:, 0], low[:, 0], strict=True):
        exact = sum(Fraction(float(v)) ** 2 for v in row)
        assert abs(Fraction(float(first)) + Fraction(float(rest)) - exact) <= exact / 2**95
    assert Numbers(p).plain.dtype == np.float64
