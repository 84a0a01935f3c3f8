"""Balls and families of parameters through the first layer: nothing escapes, and it is tight."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter

from protoproof.arithmetic.interval import Interval
from protoproof.certificate.input_region import InputRegion
from protoproof.kernel.encoder.input_region import Inputs
from protoproof.kernel.model.graph import Graph
from protoproof.network.onnx.graph import Graph as ProverGraph
from protoproof.network.onnx.graph import build_graph
from protoproof.network.onnx.torch_graph import TorchGraph
from protoproof.region.bounds.interval import walk
from protoproof.region.sets.region import InputBox, L2Ball, Region
from protoproof.region.sets.statement import statement
from protoproof.region.sets.transformations import Brightness
from tests.support.kernel.encoders import encoder_range
from tests.support.network.cases import Case, weight

DOMAIN = (0.0, 1.0)
ADAPTER: TypeAdapter[InputRegion] = TypeAdapter(InputRegion)


def grey(shape: tuple[int, ...] = (1, 4, 7, 6)) -> NDArray[np.float32]:
    """Random numbers, some of them at the ends of the domain."""
    x = np.random.default_rng(2).uniform(-0.3, 1.3, shape[1:]).clip(0.0, 1.0)
    return x.astype(np.float32)


def regions(x: NDArray[np.float32]) -> list[Region]:
    return [
        L2Ball(x, DOMAIN, Fraction(1, 3)),
        L2Ball(x, DOMAIN, Fraction(5)),
        L2Ball(x, DOMAIN, Fraction(0)),
        Brightness(x, DOMAIN, Fraction(1, 9)),
        Brightness(x, DOMAIN, Fraction(0), Fraction(1, 5), 3),
        Brightness(x, DOMAIN, Fraction(1, 10), Fraction(1, 7), 4),
    ]


def checked(region: Region) -> Inputs:
    return Inputs(ADAPTER.validate_python(dict(statement(region) or {})))


SHAPE = (1, 4, 7, 6)
FIRST = [
    Case("Conv", [SHAPE, weight(5, 4, 3, 2), weight(5)], {"strides": [2, 1]}),
    Case("Conv", [SHAPE, weight(5, 4, 3, 3)], {"pads": [0, 1, 2, 0], "dilations": [2, 1]}),
]
BEFORE = [
    Case("Sub", [SHAPE, weight(4, 1, 1)]),
    Case("Sub", [weight(1), SHAPE]),
    Case("Add", [SHAPE, weight(1, 4, 1, 1)]),
    Case("Mul", [SHAPE, weight(4, 1, 1)]),
    Case("Div", [SHAPE, np.array([0.3, -2.0, 5.0, 1.0], dtype=np.float32)[:, None, None]]),
    Case("Neg", [SHAPE]),
    Case("Identity", [SHAPE]),
    Case(
        "BatchNormalization",
        [SHAPE, weight(4), weight(4, seed=4), weight(4, seed=5), np.abs(weight(4, seed=6))],
        {"epsilon": 1e-3},
    ),
]


def chained(before: Case | None, first: Case) -> bytes:
    """A model of one or two nodes, y = first(before(x0))."""
    model = first.model(17)
    if before is not None:
        other = before.model(17)
        node, inner = model.graph.node[0], other.graph.node[0]
        data = next(i for i, e in enumerate(before.inputs) if isinstance(e, tuple))
        for stored in other.graph.initializer:
            stored.name = f"before_{stored.name}"
        names = [n if i == data or not n else f"before_{n}" for i, n in enumerate(inner.input)]
        inner.input[:] = ["x0" if i == data else n for i, n in enumerate(names)]
        inner.output[:] = ["between"]
        node.input[0] = "between"
        model.graph.initializer.extend(other.graph.initializer)
        model.graph.node.insert(0, inner)
    return bytes(model.SerializeToString())


PAIRS = [(None, FIRST[1]), *((before, first) for before in BEFORE for first in FIRST[:1])]


@pytest.mark.parametrize("index", range(6))
@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: p[0].label if p[0] else "none")
def test_both_walks_contain_members_and_agree(pair: tuple[Case | None, Case], index: int) -> None:
    """Behind every operator that a cloud passes; members are drawn, and steepest ones built."""
    region = regions(grey())[index]
    data = chained(*pair)
    graph = Graph(data)
    ours = [prover(data, box) for box in region.cover()]
    theirs = [encoder_range(graph, "y", box, cloud) for box, cloud in checked(region).starts()]
    boxed = [encoder_range(graph, "y", box) for box in checked(region).boxes()]
    tighter = 0
    for one, other, alone in zip(ours, theirs, boxed, strict=True):
        size = 1 + float(np.abs(alone.low).max())
        assert np.abs(one.lower.numpy() - other.low).max() < 1e-9 * size
        assert np.abs(one.upper.numpy() - other.high).max() < 1e-9 * size
        assert (other.low >= alone.low).all()
        assert (other.high <= alone.high).all()
        tighter += int((other.high < alone.high - 1e-9).sum())
    if index not in (1, 2):
        assert tighter > 0
    for x in members(region):
        value = forward(data, x)
        slack = 256 * 2.0**-53 * (1 + np.abs(value).max())  # the value is computed itself
        assert any(
            (part.low - slack <= value).all() and (value <= part.high + slack).all()
            for part in theirs
        )


def members(region: Region) -> list[NDArray[np.float64]]:
    """Members in float64, exact but for one rounding: far out in random directions, and corners."""
    rng = np.random.default_rng(7)
    x = region.centre.astype(np.float64)
    found = []
    for index in range(40):
        if isinstance(region, L2Ball):
            away = rng.normal(size=x.shape) * (rng.random(x.shape) < rng.choice([0.05, 0.3, 1.0]))
            away /= max(float(np.linalg.norm(away)), 1e-9)
            found.append(np.clip(x + away * float(region.radius) * (1 - 1e-12), *DOMAIN))
        else:
            assert isinstance(region, Brightness)
            ends = rng.choice([-1.0, 1.0], 2) if index % 2 else rng.uniform(-1, 1, 2)
            s, t = ends * (1 - 1e-12) * [float(region.brightness), float(region.contrast)]
            found.append(np.clip((1 + t) * x + s, *DOMAIN))
    return found


def small(data: bytes) -> ProverGraph:
    return build_graph(onnx.load_from_string(data))


def forward(data: bytes, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The value in float64."""
    graph = small(data)
    with torch.no_grad():
        found = TorchGraph(graph).double()(torch.from_numpy(x)[None])
    return np.asarray(found.numpy())


def prover(data: bytes, box: InputBox) -> Interval:
    """The prover's walk over one box of a small model."""
    graph = small(data)
    lower, upper = (torch.from_numpy(np.array(end))[None] for end in (box.lower, box.upper))
    return walk(graph, Interval(lower, upper), box.cloud)[graph.outputs[0]]


def test_a_row_over_a_ball_is_bounded_by_cauchy_and_schwarz() -> None:
    """Exact rationals: the steepest member lies inside the bound, and close to it."""
    rng = np.random.default_rng(0)
    x = np.full((1, 3, 3), 0.5, dtype=np.float32)
    kernel = rng.normal(size=(1, 1, 3, 3)).astype(np.float32)
    data = chained(None, Case("Conv", [(1, 1, 3, 3), kernel]))
    radius = Fraction(1, 4)
    box, cloud = next(checked(L2Ball(x, DOMAIN, radius)).starts())
    found = encoder_range(Graph(data), "y", box, cloud)
    weights = [Fraction(float(w)) for w in kernel.ravel()]
    centre = sum(w / 2 for w in weights)
    square = sum(w * w for w in weights) * radius**2  # of the reach
    for end in (found.low, found.high):
        apart = Fraction(float(end.ravel()[0])) - centre
        assert apart**2 >= square
        assert apart**2 <= square * (1 + Fraction(1, 10**12))


def test_white_and_black_pixels_move_one_way_only() -> None:
    x = np.array([[[0.0, 1.0]]], dtype=np.float32)
    kernel = np.array([[[[3.0, 4.0]]]], dtype=np.float32)
    data = chained(None, Case("Conv", [(1, 1, 1, 2), kernel]))
    region = L2Ball(x, DOMAIN, Fraction(1, 2))
    box, cloud = next(checked(region).starts())
    found = encoder_range(Graph(data), "y", box, cloud)
    ours = prover(data, region.cover()[0])
    for low, high in ((found.low, found.high), (ours.lower.numpy(), ours.upper.numpy())):
        assert low.ravel()[0] == pytest.approx(4.0 - 2.0)
        assert high.ravel()[0] == pytest.approx(4.0 + 1.5)


def test_one_parameter_is_followed_exactly() -> None:
    """A kernel that cancels every shift sees no change of brightness at all."""
    x = np.full((1, 1, 2), 0.5, dtype=np.float32)
    kernel = np.array([[[[1.0, -1.0]]]], dtype=np.float32)
    data = chained(None, Case("Conv", [(1, 1, 1, 2), kernel]))
    region = Brightness(x, DOMAIN, Fraction(1, 4))
    box, cloud = next(checked(region).starts())
    found = encoder_range(Graph(data), "y", box, cloud)
    ours = prover(data, region.cover()[0])
    assert max(np.abs(found.low).max(), np.abs(found.high).max()) < 1e-12
    assert float(ours.magnitude.max()) < 1e-11
