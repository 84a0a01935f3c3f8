"""Balls and families of parameters through the first layer: nothing escapes, and it is tight."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter

from models.data import load_data
from models.zoo import zoo_path
from tests.network.cases import Case, weight
from verifier.bounds.enclosure import Interval
from verifier.bounds.interval import walk
from verifier.bounds.region import InputBox, L2Ball, Region
from verifier.bounds.region_maps import Brightness
from verifier.bounds.statement import statement
from verifier.certificate.inputs import InputRegion
from verifier.checker.graph import Graph
from verifier.checker.input_region import Inputs
from verifier.checker.walk import encoder_range
from verifier.network import Network, load
from verifier.network.graph import build_graph

DOMAIN = (0.0, 1.0)
ADAPTER: TypeAdapter[InputRegion] = TypeAdapter(InputRegion)


@cache
def network(name: str = "mnist-certified") -> Network:
    return load(zoo_path(name))


@cache
def image() -> NDArray[np.float32]:
    return np.asarray(load_data("mnist5k").x_test[3])


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
    slack = 1e-6  # members are float32 images, values float64
    for x in members(region, data):
        value = point_value(data, x)
        assert any(
            (part.low - slack <= value).all() and (value <= part.high + slack).all()
            for part in theirs
        )


def prover(data: bytes, box: InputBox) -> Interval:
    """The prover's walk over one box of a small model."""
    import onnx

    graph = build_graph(onnx.load_from_string(data))
    ends = (torch.from_numpy(np.array(end))[None] for end in (box.lower, box.upper))
    return walk(graph, Interval(*ends), box.cloud)[graph.outputs[0]]
