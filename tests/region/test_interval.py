"""The interval walk: one rule per operator, containment by sampling, whole encoders."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from protoproof.arithmetic.interval import Interval, point
from protoproof.data.dataset import load_data
from protoproof.errors import BoundsError
from protoproof.network import Network, load
from protoproof.network.onnx.graph import build_graph, part
from protoproof.network.onnx.node import Call
from protoproof.network.onnx.ops import OPERATORS, lookup
from protoproof.region.bounds.interval import LatentBox, encoder_bounds, rule_of
from protoproof.region.sets.region import LinfBall
from protoproof.region.sets.transformations import Brightness
from protoproof.resources import zoo_path
from tests.support.network.cases import CASES, Case
from tests.support.network.operators import call_of, run_torch

WIDTHS = (0.0, 1e-7, 0.1, 10.0)
ROWS = [
    pytest.param(case, opset, id=f"{i}-{case.label}-{opset}")
    for i, case in enumerate(CASES)
    for opset in case.opsets
]


@cache
def network(name: str) -> Network:
    return load(zoo_path(name))


@cache
def images() -> NDArray[np.float32]:
    return load_data("mnist5k").x_test[::100]


def test_every_operator_has_a_rule() -> None:
    for name in OPERATORS:
        assert callable(rule_of(name))


def intervals(call: Call, boxes: dict[str, Interval]) -> list[Interval | None]:
    values = dict(zip(call.node.inputs, call.constants, strict=True))
    found: list[Interval | None] = []
    for name in lookup(call.node).data_inputs(call.node):
        constant = values.get(name)
        given = None if constant is None else point(torch.tensor(constant, dtype=torch.float64))
        found.append(boxes.get(name, given))
    return found


@pytest.mark.parametrize(("case", "opset"), ROWS)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.trust(1)
def test_every_rule_contains_its_operator(case: Case, opset: int, width: float) -> None:
    """Ends, corners and inner points of boxes, in float64 with what float64 may err by."""
    call = call_of(case, opset)
    low = {name: value.astype(np.float64) for name, value in case.data(1).items()}
    rng = np.random.default_rng(4)
    high = {name: value + width * rng.random(value.shape) for name, value in low.items()}
    boxes = {
        name: Interval(torch.from_numpy(low[name]), torch.from_numpy(high[name])) for name in low
    }
    found = rule_of(case.op)(call, intervals(call, boxes))
    assert found.lower.shape == lookup(call.node).shape(call)
    for share in (0.0, 1.0, *rng.random(3), "corner", "corner"):
        data = {}
        for name in low:
            s = rng.integers(0, 2, low[name].shape) if share == "corner" else share
            data[name] = np.clip(low[name] + s * (high[name] - low[name]), low[name], high[name])
        value = run_torch(call, data, torch.float64)
        # the value is computed itself: at most 100 products, each sum at most this large
        slack = 256 * 2.0**-53 * (1 + float(found.magnitude.max()))
        assert bool((found.lower - slack <= value).all())
        assert bool((value <= found.upper + slack).all())
    if width == 0:
        assert float((found.upper - found.lower).max()) < 1e-10 * (1 + float(value.abs().max()))


def test_two_variable_factors() -> None:
    """MatMul, Conv and Mul of two data tensors, as no case of the shared table has them."""
    rng = np.random.default_rng(0)
    case = Case("MatMul", [(2, 3), (3, 2)])
    call = call_of(case, 17)
    low = {name: value.astype(np.float64) for name, value in case.data(0).items()}
    boxes = {n: Interval(torch.from_numpy(v), torch.from_numpy(v + 0.5)) for n, v in low.items()}
    found = rule_of("MatMul")(call, intervals(call, boxes))
    for _ in range(50):
        data = {n: v + 0.5 * rng.integers(0, 2, v.shape) for n, v in low.items()}
        value = run_torch(call, data, torch.float64)
        assert bool(((found.lower <= value) & (value <= found.upper)).all())


def test_a_square_knows_its_sign() -> None:
    call = call_of(Case("Mul", [(1, 3), (1, 3)]), 17)
    node = call.node.__class__("square", "Mul", 17, ("x", "x"), "y")
    x = Interval(torch.tensor([-1.0, 1.0, -3.0]).double(), torch.tensor([2.0, 2.0, -2.0]).double())
    found = rule_of("Mul")(Call(node, call.shapes, call.constants), [x, x])
    assert found.lower[0] == 0
    assert found.lower[1:].tolist() == pytest.approx([1.0, 4.0])
    assert found.upper.tolist() == pytest.approx([4.0, 4.0, 9.0])


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        (Case("Div", [(2, 2), (2, 2)], low=-1.0, high=1.0), "divisor may be 0"),
        (Case("Log", [(2, 2)], low=-1.0, high=0.0), "domain"),
        (Case("Sqrt", [(2, 2)], low=-2.0, high=-1.0), "domain"),
    ],
)
def test_undefined_values_are_refused(case: Case, problem: str) -> None:
    call = call_of(case, 17)
    boxes = {
        n: Interval(torch.from_numpy(v).double() - 1, torch.from_numpy(v).double() + 1)
        for n, v in case.data(0).items()
    }
    with pytest.raises(BoundsError, match=problem):
        rule_of(case.op)(call, intervals(call, boxes))


def test_overflow_is_refused() -> None:
    graph = build_graph(Case("Exp", [(1, 4, 7, 6)]).model(17))
    from protoproof.region.bounds.interval import walk

    wide = torch.full((1, 4, 7, 6), 1e3, dtype=torch.float64)
    with pytest.raises(BoundsError, match="not finite"):
        walk(part(graph, graph.input, graph.outputs), Interval(-wide, wide))


@pytest.mark.parametrize("name", ["mnist-1x1", "mnist-7x7", "mnist-certified"])
@pytest.mark.parametrize("radius", ["0", "1/1000", "1/50", "1/10"])
def test_encoders_of_the_zoo(name: str, radius: str) -> None:
    """No sampled image of the ball leaves the box: the runtime's float32 latents least of all."""
    net = network(name)
    chosen = images()[:4]
    balls = [LinfBall(x, (0.0, 1.0), Fraction(radius)) for x in chosen]
    found = encoder_bounds(net, [ball.cover()[0] for ball in balls])
    rng = np.random.default_rng(3)
    for index, ball in enumerate(balls):
        for x in ball.sample(rng, 6):
            latent = net.observe(x).latent
            # float32 execution errs by far more than float64 intervals of one point are wide
            assert (found.lower[index] - 1e-4 <= latent).all()
            assert (latent <= found.upper[index] + 1e-4).all()
        with torch.no_grad():
            exact = net.encoder_double(torch.from_numpy(ball.sample(rng, 16)).double())
        exact = exact.flatten(2).transpose(1, 2).numpy()
        assert (found.lower[index] - 1e-12 <= exact).all()
        assert (exact <= found.upper[index] + 1e-12).all()
    if radius == "0":
        assert (found.upper - found.lower).max() < 1e-8


def test_smaller_regions_have_smaller_boxes() -> None:
    net = network("mnist-certified")
    x = images()[0]
    boxes = [LinfBall(x, (0.0, 1.0), Fraction(r, 100)).cover()[0] for r in (0, 1, 5, 10, 30)]
    found = encoder_bounds(net, boxes)
    assert (np.diff(found.lower, axis=0) <= 0).all()
    assert (np.diff(found.upper, axis=0) >= 0).all()


def test_batches_equal_single_boxes_up_to_rounding() -> None:
    net = network("mnist-7x7")
    region = Brightness(images()[1], (0.0, 1.0), Fraction(1, 10), parts=5)
    together = encoder_bounds(net, region.cover())
    for index, box in enumerate(region.cover()):
        alone = encoder_bounds(net, [box])
        assert np.abs(alone.lower[0] - together.lower[index]).max() < 1e-12
        assert np.abs(alone.upper[0] - together.upper[index]).max() < 1e-12


@pytest.mark.trust(2)
def test_crossed_and_infinite_bounds_are_refused() -> None:
    one = np.ones((1, 2, 3))
    with pytest.raises(BoundsError, match="cross"):
        LatentBox(one, one - 1e-9)
    with pytest.raises(BoundsError, match="NaN"):
        LatentBox(one * np.nan, one)
