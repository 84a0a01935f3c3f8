"""Linear bounds through the encoder: lines, passages of every operator, and what is refused."""

from __future__ import annotations

import base64
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from flint import arb, ctx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from protoproof.certificate import canonical_bytes
from protoproof.certificate.schema import Core, Envelope, ReachDomain
from protoproof.data.dataset import load_data
from protoproof.errors import ModelError
from protoproof.kernel import CheckReport, check
from protoproof.kernel.arithmetic.exact import sigmoid
from protoproof.kernel.arithmetic.outward import Range
from protoproof.kernel.budget import Budget, OutOfBudgetError
from protoproof.kernel.claims import words
from protoproof.kernel.encoder import backward
from protoproof.kernel.encoder.activation import (
    RELAXATIONS,
    leaky_relaxation,
    sigmoid_relaxation,
    tanh_relaxation,
)
from protoproof.kernel.encoder.backward import LinearPropagation, least, least_of_forms
from protoproof.kernel.encoder.hull import Hull
from protoproof.kernel.encoder.input_region import Inputs
from protoproof.kernel.encoder.interval import IntervalPropagation
from protoproof.kernel.encoder.latents import escapes, latent_range
from protoproof.kernel.model.file import LatentTensor
from protoproof.kernel.model.graph import Graph
from protoproof.network import load
from protoproof.network.onnx.graph import build_graph
from protoproof.network.onnx.torch_graph import TorchGraph
from protoproof.region.bounds.linear import Passage, affordable, linear_bounds
from protoproof.region.sets.region import BoxRegion, InputBox, L2Ball, LinfBall, Region
from protoproof.region.sets.statement import statement
from protoproof.region.sets.transformations import Brightness
from protoproof.resources import zoo_path
from tests.support.certification import ADAPTER, certifier
from tests.support.kernel.encoders import MORE, graph_of, input_name
from tests.support.network.cases import Case, ints, weight
from tests.support.network.operators import call_of, run_torch

DOMAIN = (-2.0, 2.0)
ACTIVATIONS = {
    "relu": (lambda x: leaky_relaxation(x, 0.0), lambda v: max(v, arb(0))),
    "leaky": (lambda x: leaky_relaxation(x, 0.125), lambda v: max(v, v / 8)),
    "sigmoid": (sigmoid_relaxation, sigmoid),
    "tanh": (tanh_relaxation, lambda v: v.tanh()),
}


def intervals() -> Range:
    """Narrow and wide, on both sides of 0, at 0, and far out."""
    rng = np.random.default_rng(0)
    low = rng.normal(size=120) * rng.choice([1e-6, 0.1, 1.0, 5.0, 40.0], 120)
    high = low + rng.random(120) * rng.choice([0.0, 1e-9, 0.01, 1.0, 10.0, 60.0], 120)
    low[:4], high[:4] = [0.0, -1.0, 0.0, -3.0], [0.0, 0.0, 2.0, 3.0]
    return Range(low, high)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_lines_hold_at_every_point(name: str) -> None:
    """In balls of 200 bits, at ends, inner points and where the tangent is parallel."""
    lines_of, exact = ACTIVATIONS[name]
    x = intervals()
    lines = lines_of(x)
    loose = 0.0
    with ctx.workprec(200):
        for i, (low, high) in enumerate(zip(x.low.tolist(), x.high.tolist(), strict=True)):
            s, t, above, over = (arb(float(part[i])) for part in lines)
            for share in np.linspace(0, 1, 41).tolist():
                v = arb(min(max(low + share * (high - low), low), high))
                assert not s * v + t > exact(v)
                assert not above * v + over < exact(v)
            middle = arb((low + high) / 2)
            gap = float((above * middle + over - s * middle - t).mid())
            loose = max(loose, gap / max(high - low, 1e-6))
    assert loose < 1.1  # never wider than the interval's own image


OTHERS = [
    Case("Conv", [(1, 4, 7, 6), weight(5, 4, 3, 2), weight(5)], {"strides": [2, 1]}),
    *MORE,
]


@pytest.mark.parametrize("case", OTHERS, ids=lambda case: case.label)
@pytest.mark.parametrize("width", [0.0, 1e-3, 1.0])
def test_no_point_is_below_the_bound_of_a_form(case: Case, width: float) -> None:
    """Behind every operator of the walk: those with a passage, and those that end the form."""
    name = input_name(case)
    rng = np.random.default_rng(4)
    low = case.data(1)[name].astype(np.float64)
    high = low + width * rng.random(low.shape)
    walk = IntervalPropagation(graph_of(case), Range(low, high))
    shape = walk.reach("y").low.shape
    rows = rng.normal(size=(6, *shape[1:])) * (rng.random((6, *shape[1:])) < 0.4)
    found = least_of_forms(walk, "y", rows)
    assert (found >= least(rows, walk.known["y"]) - 1e-9).all()
    call = call_of(case, 17)
    size = 1 + np.abs(rows).reshape(6, -1) @ walk.known["y"].size.ravel()
    for share in (0.0, 1.0, 0.4, *["corner"] * 5):
        s = rng.integers(0, 2, low.shape) if share == "corner" else share
        x = np.clip(low + s * (high - low), low, high)  # type: ignore[operator]
        value = run_torch(call, {name: x}, torch.float64).numpy()
        assert (found <= rows.reshape(6, -1) @ value.ravel() + 2.0**-44 * size).all()


def encoder(seed: int) -> bytes:
    """A small network with every kind of passage: scaling, sums, two branches, four activations."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> NDArray[np.float32]:
        return rng.normal(0, 0.6, shape).astype(np.float32)

    constants: dict[str, NDArray[np.generic]] = {
        "mean": draw(2, 1, 1), "spread": np.array([0.5, -2.0], np.float32)[:, None, None],
        "k1": draw(4, 2, 3, 3), "b1": draw(4), "k2": draw(4, 4, 1, 1), "k3": draw(3, 4, 2, 2),
        "s": draw(4), "o": draw(4), "m": draw(4), "v": np.abs(draw(4)) + np.float32(0.1),
        "flat": ints(1, -1), "w": draw(27, 5), "c": draw(5), "to": ints(1, 5, 1, 1),
    }  # fmt: skip
    nodes = [
        helper.make_node("Sub", ["x", "mean"], ["x1"]),
        helper.make_node("Div", ["x1", "spread"], ["x2"]),
        helper.make_node("Conv", ["x2", "k1", "b1"], ["y1"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["y1", "s", "o", "m", "v"], ["y2"]),
        helper.make_node("Relu", ["y2"], ["y3"]),
        helper.make_node("Conv", ["y3", "k2"], ["y4"]),
        helper.make_node("LeakyRelu", ["y4"], ["y5"], alpha=0.1),
        helper.make_node("Add", ["y3", "y5"], ["y6"]),
        helper.make_node("Neg", ["y6"], ["y7"]),
        helper.make_node("Conv", ["y7", "k3"], ["y8"], strides=[1, 1]),
        helper.make_node("Tanh", ["y8"], ["y9"]),
        helper.make_node("Reshape", ["y9", "flat"], ["y10"]),
        helper.make_node("MatMul", ["y10", "w"], ["y11"]),
        helper.make_node("Add", ["y11", "c"], ["y12"]),
        helper.make_node("Reshape", ["y12", "to"], ["y13"]),
        helper.make_node("Sigmoid", ["y13"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 2, 4, 4))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    proto = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)])
    return bytes(proto.SerializeToString())


def around(x: NDArray[np.float32]) -> list[Region]:
    box = InputBox(x.astype(np.float64) - 0.1, x.astype(np.float64) + 0.05)
    return [
        LinfBall(x, DOMAIN, Fraction(1, 20)),
        L2Ball(x, DOMAIN, Fraction(1, 5)),
        Brightness(x, DOMAIN, Fraction(1, 10), Fraction(1, 10), 2),
        BoxRegion(x, DOMAIN, box),
    ]


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("seed", range(3))
def test_whole_encoders_against_samples_and_the_prover(seed: int, index: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1.5, 1.5, (2, 4, 4)).astype(np.float32)
    region = around(x)[index]
    data = encoder(seed)
    graph = build_graph(onnx.load_from_string(data))
    rows = rng.normal(size=(8, 5, 1, 1))
    images = torch.from_numpy(region.sample(rng, 300).astype(np.float64))
    torch_graph = TorchGraph(graph).double()
    with torch.no_grad():
        values = torch.cat([torch_graph(image[None]) for image in images]).flatten(1).numpy()
    stated = Inputs(ADAPTER.validate_python(dict(statement(region) or {})))
    whole: dict[int, list[NDArray[np.float64]]] = {0: [], 1000: []}
    for (start, cloud), box in zip(stated.starts(), region.cover(), strict=True):
        plain = LinearPropagation(Graph(data), start, cloud, 0)
        deep = LinearPropagation(Graph(data), start, cloud, 1000)
        ends, better = plain.reach("y"), deep.reach("y")
        assert (better.low >= ends.low - 1e-12).all()
        assert (better.high <= ends.high + 1e-12).all()
        for walk in (plain, deep):
            found = least_of_forms(walk, "y", rows)
            assert (found >= least(rows, walk.known["y"]) - 1e-12).all()
            passage = Passage(graph, box, walk.most)
            ours = passage.least(graph.outputs[0], torch.from_numpy(rows)).numpy()
            assert np.abs(found - ours).max() < 1e-5
            assert (ours <= found).all()
            whole[walk.most].append(found)
    for parts in whole.values():
        lowest = np.minimum.reduce(parts)
        # brightness samples are members rounded to float32
        assert (lowest[:, None] <= rows.reshape(8, 5) @ values.T + 1e-6).all()
    assert (np.minimum.reduce(whole[1000]) > np.minimum.reduce(whole[0]) - 1e-9).mean() > 0.5


def test_a_residual_form_is_bounded_as_a_whole() -> None:
    """x - x is 0 for a form that passes both branches, not for intervals."""
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["a"]),
        helper.make_node("Conv", ["x", "l"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "residual",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 1, 2, 2))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(np.full((1, 1, 1, 1), sign, dtype=np.float32), name)
            for name, sign in (("k", 1.0), ("l", -1.0))
        ],
    )
    proto = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)])
    walk = IntervalPropagation(
        Graph(proto.SerializeToString()), Range(-np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2)))
    )
    assert walk.reach("y").low.min() <= -2
    assert least_of_forms(walk, "y", np.ones((1, 1, 2, 2)))[0] > -1e-9


@pytest.mark.parametrize("copied", ["Identity", "Relu", "Neg", "Flatten"])
def test_what_is_computed_of_stored_numbers_alone_is_a_constant(copied: str) -> None:
    """It is added, and a form of it ends there."""
    number = np.array([[0.75]], np.float32)
    nodes = [
        helper.make_node(copied, ["c"], ["copy"]),
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Add", ["a", "copy"], ["b"]),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "copied",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 2))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(number, "c"),
            numpy_helper.from_array(np.array([[1.0], [-1.0]], np.float32), "w"),
        ],
    )
    proto = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)])
    low, high = np.array([[1.0, 0.0]]), np.array([[2.0, 0.5]])
    walk = LinearPropagation(Graph(proto.SerializeToString()), Range(low, high), None, 100)
    walk.reach("y")
    added = -0.75 if copied == "Neg" else 0.75
    rows = np.array([[1.0], [-1.0]])
    exact = max(0.5 + added, 0.0), -(2.0 + added)
    assert least_of_forms(walk, "y", rows) == pytest.approx(exact, abs=0.3)
    assert (least_of_forms(walk, "y", rows) <= exact).all()


@cache
def proved() -> Core:
    """A certificate over linear bounds where intervals do not suffice."""
    ball = LinfBall(load_data("mnist5k").x_test[1], (0.0, 1.0), Fraction(48, 300))
    assert not certifier().certify(ball, method="interval", falsify=False).certificates
    found = certifier().certify(ball, method="linear", falsify=False)
    return found.certificates[0].core


def examine(core: Core) -> CheckReport:
    model = certifier().explainer.model_file
    return check(canonical_bytes(Envelope(core=core)), model, core.instance.input_sha256)


def changed(core: Core, **changes: Any) -> Core:
    domain = core.domain
    assert isinstance(domain, ReachDomain)
    return core.model_copy(update={"domain": domain.model_copy(update=changes)})


def test_propagated_bounds_leave_no_assumption() -> None:
    report = examine(proved())
    assert report.accepted
    assert "robust" in words(report.claims)
    assert [a for a in report.assumptions if "level R" not in a] == []


def test_without_propagation_the_same_bounds_are_assumed() -> None:
    report = examine(changed(proved(), propagated=None))
    assert report.status != "accepted" or "robust" not in words(report.claims)
    domain = proved().domain
    assert isinstance(domain, ReachDomain)
    alone = examine(changed(proved(), propagated=None, region=None))
    assert alone.status == "conditional"
    assert "robust" not in words(alone.claims)
    assert any("linear bounds" in text and "vouched" in text for text in alone.assumptions)


def raised(core: Core, by: float) -> Core:
    """Every stated linear bound moved up, by a share of its distance to the recorded latent."""
    domain = core.domain
    assert isinstance(domain, ReachDomain)
    latent = np.frombuffer(base64.b64decode(core.instance.latent), dtype="<f4").astype(np.float64)
    bounds = []
    for bound in domain.bounds:
        row = np.frombuffer(base64.b64decode(bound.coefficients), dtype="<f8")
        value = float.fromhex(bound.bound)
        bounds.append(
            bound.model_copy(update={"bound": (value + by * (row @ latent - value)).hex()})
        )
    return changed(core, bounds=tuple(bounds))


@pytest.mark.parametrize("by", [0.001, 0.5])
def test_bounds_that_say_too_much_are_rejected(by: float) -> None:
    report = examine(raised(proved(), by))
    assert report.status == "rejected"
    assert "linear bound 0" in report.obligations[4].detail


def test_weaker_bounds_are_still_bounds() -> None:
    assert examine(raised(proved(), -1e-6)).obligations[4].passed is True


def test_another_region_or_fewer_layers_are_rejected() -> None:
    core = proved()
    assert isinstance(core.domain, ReachDomain)
    assert core.domain.region is not None
    wider = ADAPTER.validate_python(core.domain.region.model_dump() | {"radius": "1/4"})
    for one in (changed(core, region=wider), changed(core, propagated=0)):
        report = examine(one)
        assert report.status == "rejected"
        assert "may leave the stated box or bounds" in report.obligations[4].detail


def test_other_forms_than_the_stated_ones_are_rejected() -> None:
    """The sign of one coefficient turned: the bound is about another form."""
    core = proved()
    assert isinstance(core.domain, ReachDomain)
    bound = core.domain.bounds[0]
    row = np.frombuffer(base64.b64decode(bound.coefficients), dtype="<f8").copy()
    row[np.argmax(np.abs(row))] *= -1
    forged = bound.model_copy(update={"coefficients": base64.b64encode(row.tobytes()).decode()})
    report = examine(changed(core, bounds=(forged, *core.domain.bounds[1:])))
    assert report.status == "rejected"


def test_every_line_is_tested() -> None:
    assert set(RELAXATIONS) == {"Relu", "LeakyRelu", "Sigmoid", "Tanh"}


def test_layers_are_sharpened_as_far_as_the_work_allows() -> None:
    small = certifier().network.encoder_graph
    grid = load(zoo_path("mnist-7x7")).encoder_graph
    assert affordable(small, "linear") == 128
    assert affordable(small, "linear-deep") > 1000
    assert affordable(small, "linear-deep", 1 << 12) <= 128
    assert affordable(grid, "linear-deep") == 0


def test_the_prover_bounds_all_parts_together() -> None:
    network = certifier().network
    x = np.asarray(load_data("mnist5k").x_test[0])
    region = Brightness(x, (0.0, 1.0), Fraction(1, 20), parts=3)
    rows = np.random.default_rng(0).normal(size=(2, network.head.locations, network.head.channels))
    together = linear_bounds(network, region.cover(), rows, 0)
    alone = [linear_bounds(network, (box,), rows, 0) for box in region.cover()]
    assert np.array_equal(together.lower, np.minimum.reduce([part.lower for part in alone]))
    assert np.array_equal(together.box.upper, np.maximum.reduce([part.box.upper for part in alone]))


def reached(most: int = 1000) -> LinearPropagation:
    """A walk over a small encoder."""
    x = np.zeros((1, 2, 4, 4))
    walk = LinearPropagation(Graph(encoder(0)), Range(x - 0.5, x + 0.5), None, most)
    walk.reach("y")
    return walk


def test_many_rows_are_propagated_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded by the largest tensor, not by the number of forms; lines are found once."""
    found: list[str] = []
    for kind, lines in list(RELAXATIONS.items()):
        monkeypatch.setitem(
            RELAXATIONS, kind, lambda step, c, f=lines, k=kind: (found.append(k), f(step, c))[1]
        )
    rows = np.random.default_rng(2).normal(size=(50, 5, 1, 1))
    together = least_of_forms(reached(), "y", rows)
    sizes: list[int] = []
    plain = backward.least

    def recording(some: NDArray[np.float64], values: Range) -> NDArray[np.float64]:
        sizes.append(some.size)
        return plain(some, values)

    monkeypatch.setattr(backward, "least", recording)
    monkeypatch.setattr(backward, "_MANY", 100)  # the largest tensor has 64 numbers
    found.clear()
    apart = least_of_forms(reached(), "y", rows)
    assert np.abs(apart - together).max() < 1e-9
    assert max(sizes) <= 100
    assert sorted(found) == ["LeakyRelu", "Relu", "Sigmoid", "Tanh"]


SITES = np.arange(5)[None]  # one location of five channels


def test_everything_that_takes_time_is_charged() -> None:
    """Curves need balls, and pieces of a region fractions: far more than sums of products."""
    with Budget().active() as first:
        walk = reached()
        before = first.steps
        least_of_forms(walk, "y", np.ones((1, 5, 1, 1)))
    with Budget().active() as again:
        least_of_forms(walk, "y", np.ones((1, 5, 1, 1)))
    # the lines of five sigmoids, which are kept
    assert first.steps - before > again.steps + (5 << 16)
    x = np.random.default_rng(3).uniform(-1.5, 1.5, (2, 4, 4)).astype(np.float32)
    region = Brightness(x, DOMAIN, Fraction(1, 10), Fraction(1, 10), 3)
    inputs = Inputs(ADAPTER.validate_python(dict(statement(region) or {})))
    domain = ReachDomain(
        lower=base64.b64encode(np.full(5, -9.0).tobytes()).decode(),
        upper=base64.b64encode(np.full(5, 9.0).tobytes()).decode(),
        source="tests",
    )
    latent = LatentTensor("y", (1, 5, 1, 1), SITES)
    assert list(escapes(Graph(encoder(0)), latent, inputs, domain, Hull())) == []
    with (
        Budget(max_steps=8 * inputs.work).active(),
        pytest.raises(OutOfBudgetError, match="the pieces of the region"),
    ):
        list(escapes(Graph(encoder(0)), latent, inputs, domain, Hull()))


def test_a_network_without_any_product_is_charged_too() -> None:
    x = np.zeros((1, 2, 4, 4))
    graph = Graph(encoder(0))
    with Budget(max_steps=32).active(), pytest.raises(OutOfBudgetError, match="a walk"):
        IntervalPropagation(graph, Range(x, x)).reach("x2")


@pytest.mark.parametrize("shape", [(1, 5, 1), (1, 1, 5), (5, 1, 2), (4, 1, 1), (6, 1, 1)])
def test_a_latent_of_another_shape_than_the_heads_is_refused(shape: tuple[int, int, int]) -> None:
    """As many numbers in another order are another latent."""
    x = np.zeros((1, 2, 4, 4))
    walk = IntervalPropagation(Graph(encoder(0)), Range(x, x))
    assert latent_range(walk, LatentTensor("y", (1, 5, 1, 1), SITES))[0].shape == (1, 5)
    with pytest.raises(ModelError, match="the head takes"):
        latent_range(walk, LatentTensor("y", (1, *shape), SITES))
