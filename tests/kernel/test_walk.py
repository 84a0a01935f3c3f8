"""The checker's walk over an encoder: contains what the encoder computes, refuses the unknown."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from protoproof.errors import ModelError
from protoproof.kernel.arithmetic.outward import Range
from protoproof.kernel.budget import Budget, OutOfBudgetError
from protoproof.kernel.encoder.operators import RULES
from protoproof.kernel.encoder.step import ReplayError
from protoproof.kernel.model.graph import Graph
from protoproof.network import Network, load
from protoproof.region.bounds.interval import encoder_bounds
from protoproof.region.sets.region import InputBox
from protoproof.resources import ZOO, zoo_path
from tests.support.kernel.encoders import MORE, encoder_range, graph_of, input_name
from tests.support.network.cases import CASES, Case, ints, number, weight
from tests.support.network.operators import call_of, run_torch

WIDTHS = (0.0, 1e-7, 1e-3, 1.0)


def test_every_rule_has_a_case() -> None:
    assert {case.op for case in MORE} == set(RULES)


@pytest.mark.parametrize("case", MORE, ids=lambda case: case.label)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.trust(1)
def test_every_rule_contains_its_operator(case: Case, width: float) -> None:
    name = input_name(case)
    rng = np.random.default_rng(4)
    low = case.data(1)[name].astype(np.float64)
    high = low + width * rng.random(low.shape)
    found = encoder_range(graph_of(case), "y", Range(low, high))
    call = call_of(case, 17)
    for share in (0.0, 1.0, 0.4, "corner", "corner", "corner"):
        s = rng.integers(0, 2, low.shape) if share == "corner" else share
        x = np.clip(low + s * (high - low), low, high)
        value = run_torch(call, {name: x}, torch.float64).numpy()
        assert value.shape == found.low.shape
        slack = 256 * 2.0**-53 * (1 + float(found.size.max()))  # the value is computed itself
        assert (found.low - slack <= value).all()
        assert (value <= found.high + slack).all()


def test_a_small_encoder_against_exact_rationals() -> None:
    """Convolution, bias, ReLU and a second convolution at corners, in fractions."""
    rng = np.random.default_rng(6)
    kernel = rng.normal(size=(2, 1, 2, 2)).astype(np.float32)
    bias = rng.normal(size=2).astype(np.float32)
    last = rng.normal(size=(3, 2, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "k", "b"], ["c"], pads=[0, 0, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "l"], ["y"]),
    ]
    data = model(nodes, {"k": kernel, "b": bias, "l": last}, (1, 1, 3, 3))
    low = rng.normal(size=(1, 1, 3, 3))
    high = low + rng.random(low.shape) * 0.1
    found = encoder_range(Graph(data), "y", Range(low, high))
    exact = np.vectorize(Fraction, otypes=[object])
    for _ in range(40):
        x = exact(np.where(rng.random(low.shape) < 0.5, low, high))
        padded = np.full((4, 4), Fraction(0), dtype=object)
        padded[:3, :3] = x[0, 0]
        hidden = np.zeros((2, 3, 3), dtype=object)
        for m, row, column in np.ndindex(2, 3, 3):
            patch = padded[row : row + 2, column : column + 2]
            total = (exact(kernel[m, 0]) * patch).sum() + Fraction(float(bias[m]))
            hidden[m, row, column] = max(total, Fraction(0))
        value = np.tensordot(exact(last[:, :, 0, 0]), hidden, axes=1)[None]
        assert (exact(found.low) <= value).all()
        assert (value <= exact(found.high)).all()


@cache
def network(name: str) -> Network:
    return load(zoo_path(name))


# encoders that end in what has no rule, or that read no image
UNWALKED = {
    "digits-hyperspherical": "Expand",
    "emoji-pipnet": "Softmax",
    "mnist-two-banks": "Expand",
    "motion-labels": "Conv",
}


@pytest.mark.parametrize("name", sorted(UNWALKED))
def test_what_cannot_be_walked_is_refused_by_name(name: str) -> None:
    net = network(name)
    ends = Range(*(np.full((1, *net.input_shape), end) for end in net.input_range))
    with pytest.raises(ReplayError, match=UNWALKED[name]):
        encoder_range(Graph(net.data), net.recognised.latents[0], ends)


@pytest.mark.parametrize(
    ("name", "radius"),
    [
        *((name, 1e-3) for name in ZOO if name not in UNWALKED),
        ("mnist-certified", 0.0),
        ("mnist-certified", 0.1),
    ],
)
def test_two_walks_agree_on_the_zoo(name: str, radius: float) -> None:
    """The prover's and the checker's walks are written apart; they differ by rounding alone."""
    net = network(name)
    least, most = net.input_range
    x = np.random.default_rng(0).uniform(least, most, net.input_shape).astype(np.float32)
    moved = (x + way * radius * (most - least) for way in (-1, 1))
    ends = Range(*(np.clip(end, least, most)[None].astype(np.float64) for end in moved))
    found = encoder_range(Graph(net.data), net.recognised.latents[0], ends)
    ours = encoder_bounds(net, [InputBox(ends.low[0], ends.high[0])])
    channels = net.head.channels
    for end, other in ((found.low, ours.lower[0]), (found.high, ours.upper[0])):
        assert np.abs(end.reshape(channels, -1).T - other).max() < 1e-8
    latent = net.observe(x).latent.T.reshape(found.low.shape)
    assert (found.low - 1e-4 <= latent).all()
    assert (latent <= found.high + 1e-4).all()


def model(
    nodes: list[onnx.NodeProto], constants: dict[str, NDArray[np.generic]], shape: tuple[int, ...]
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "walked",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    proto = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)])
    return bytes(proto.SerializeToString())


def box(shape: tuple[int, ...], width: float = 0.0) -> Range:
    middle = np.zeros(shape)
    return Range(middle - width, middle + width)


REFUSED = [
    (Case("Exp", [(1, 4, 7, 6)]), "cannot be replayed"),
    (Case("Conv", [(1, 4, 7, 6), weight(6, 2, 3, 3)], {"group": 2}), "several groups"),
    (Case("Conv", [(1, 4, 7, 6), weight(5, 4, 3, 3)], {"auto_pad": "SAME_UPPER"}), "padding"),
    (Case("Conv", [(1, 4, 7, 6), weight(5, 3, 3, 3)]), "do not fit"),
    (Case("Conv", [(1, 4, 7, 6), weight(5, 4, 9, 9)]), "larger than its input"),
    (Case("Gemm", [(1, 5), weight(5, 4)], {"alpha": 0.5}), "alpha"),
    (Case("Gemm", [(1, 5), weight(4, 4)]), "do not fit"),
    (Case("Flatten", [(1, 4, 7, 6)], {"axis": 2}), "axis 1"),
    (Case("Flatten", [(1, 4, 7, 6)], {"axis": 1.0}), "another type"),
    (Case("Gemm", [(1, 5), weight(5, 4)], {"alpha": 1}), "another type"),
    (Case("Gemm", [(1, 5), weight(4, 5)], {"transB": 1.0}), "another type"),
    (Case("LeakyRelu", [(1, 4)], {"alpha": 0}), "another type"),
    (Case("LeakyRelu", [(1, 4)], {"alpha": [0.5]}), "another type"),
    (Case("Conv", [(1, 4, 7, 6), weight(5, 4, 3, 3)], {"group": 1.0}), "another type"),
    (Case("Conv", [(1, 4, 7, 6), weight(5, 4, 3, 3)], {"strides": 1}), "another type"),
    (Case("Conv", [(1, 4, 7, 6), weight(5, 4, 3, 3)], {"pads": [0.5] * 4}), "another type"),
    (Case("Conv", [(1, 4, 7, 6), weight(5, 4, 3, 3)], {"auto_pad": ["NOTSET"]}), "another type"),
    (Case("MaxPool", [(1, 4, 7, 6)], {"kernel_shape": 2}), "another type"),
    (Case("MaxPool", [(1, 4, 7, 6)], {"kernel_shape": [2, 2], "ceil_mode": 0.0}), "another type"),
    (Case("Transpose", [(1, 4, 7, 6)]), "first axis"),
    (Case("Reshape", [(1, 4, 6), ints(2, 12)]), "reshape"),
    (Case("LeakyRelu", [(1, 4)], {"alpha": 1.5}), "slope"),
    (Case("MaxPool", [(1, 4, 7, 6)], {"kernel_shape": [2, 2], "ceil_mode": 1}), "plain windows"),
    (
        Case("AveragePool", [(1, 4, 7, 6)], {"kernel_shape": [2, 2], "pads": [1, 1, 1, 1]}),
        "padding",
    ),
]


@pytest.mark.parametrize(
    ("case", "problem"), REFUSED, ids=lambda value: getattr(value, "label", "")
)
def test_other_forms_are_refused(case: Case, problem: str) -> None:
    shape = case.data(0)[input_name(case)].shape
    with pytest.raises(ReplayError, match=problem):
        encoder_range(graph_of(case), "y", box(shape))


def test_a_divisor_that_may_be_zero_is_refused() -> None:
    nodes = [helper.make_node("Div", ["one", "x"], ["y"])]
    data = model(nodes, {"one": number(1.0)}, (1, 2))
    with pytest.raises(ReplayError, match="may be 0"):
        encoder_range(Graph(data), "y", box((1, 2), 0.5))


def test_computed_weights_are_refused() -> None:
    nodes = [
        helper.make_node("Relu", ["w"], ["v"]),
        helper.make_node("MatMul", ["x", "v"], ["y"]),
    ]
    data = model(nodes, {"w": weight(2, 2)}, (1, 2))
    with pytest.raises(ReplayError, match="computed"):
        encoder_range(Graph(data), "y", box((1, 2)))


def cycle() -> list[onnx.NodeProto]:
    return [
        helper.make_node("Add", ["x", "y"], ["a"]),
        helper.make_node("Relu", ["a"], ["y"]),
    ]


BROKEN: list[tuple[Callable[[], list[onnx.NodeProto]], str]] = [
    (cycle, "depends on itself"),
    (lambda: [helper.make_node("Relu", ["nothing"], ["y"])], "nothing known computes"),
    (lambda: [helper.make_node("Relu", ["x"], ["y"], domain="foreign")], "nothing known computes"),
    (lambda: [helper.make_node("Relu", ["x"], ["y"], speed=3)], "speed"),
    (lambda: [helper.make_node("Relu", ["x", "x"], ["y"])], "2 inputs"),
    (lambda: [helper.make_node("Dropout", ["x"], ["y", "mask"])], "more than one output"),
    (lambda: [helper.make_node("Dropout", ["x", "x", "x"], ["y"])], "3 inputs"),
]


@pytest.mark.parametrize(("nodes", "problem"), BROKEN)
def test_broken_graphs_are_refused(nodes: Callable[[], list[onnx.NodeProto]], problem: str) -> None:
    with pytest.raises(ModelError, match=problem):
        encoder_range(Graph(model(nodes(), {}, (1, 2))), "y", box((1, 2)))


def test_another_input_shape_is_refused() -> None:
    data = model([helper.make_node("Relu", ["x"], ["y"])], {}, (1, 2))
    with pytest.raises(ModelError, match="input has shape"):
        encoder_range(Graph(data), "y", box((1, 3)))


@pytest.mark.trust(2)
def test_overflow_is_refused() -> None:
    nodes = [helper.make_node("Mul", ["x", "x"], ["y"])]
    data = model(nodes, {}, (1, 2))
    with pytest.raises(ReplayError, match="not finite"):
        encoder_range(Graph(data), "y", box((1, 2), 1e200))


def test_a_bomb_is_refused_quickly() -> None:
    """A tensor that doubles with every node ends the walk long before memory does."""
    nodes = [helper.make_node("Add", ["x", "ones"], ["a0"])]
    nodes += [helper.make_node("Add", [f"a{i}", f"c{i}"], [f"a{i + 1}"]) for i in range(3)]
    nodes.append(helper.make_node("Identity", ["a3"], ["y"]))
    constants = {"ones": weight(1, 2)}
    for i in range(3):
        shape = [1] * 8
        shape[i] = 1 << 10
        constants[f"c{i}"] = np.zeros(shape, dtype=np.float32)
    pads = helper.make_node("Conv", ["x", "k"], ["y"], pads=[1 << 20] * 4)
    padded = model([pads], {"k": weight(1, 1, 1, 1)}, (1, 1, 2, 2))
    with pytest.raises(OutOfBudgetError, match="a window asks for"):
        encoder_range(Graph(padded), "y", box((1, 1, 2, 2)))
    with Budget().active() as budget, pytest.raises(OutOfBudgetError, match="Add asks for"):
        encoder_range(Graph(model(nodes, constants, (1, 2))), "y", box((1, 2)))
    assert budget.alive < 1 << 27  # the first 2**21 numbers, and nothing of the next 2**31


def test_cases_are_shared() -> None:
    """The shared table has every operator that the walk knows."""
    assert set(RULES) <= {case.op for case in CASES}
