"""Cases of any units in any graph, over boxes and balls, against what a runtime computes."""

from __future__ import annotations

import base64
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter

from protoproof.certificate.input_region import InputRegion
from protoproof.kernel.encoder.activation import Chosen
from protoproof.kernel.encoder.backward import LinearPropagation, Side, least_of_forms
from protoproof.kernel.encoder.cases import Case, ImpossibleCaseError
from protoproof.kernel.encoder.input_region import Inputs
from protoproof.kernel.model.graph import Graph
from tests.support.kernel.random_encoders import SHAPE, Encoder

Array = NDArray[np.float64]
ADAPTER: TypeAdapter[InputRegion] = TypeAdapter(InputRegion)
COUNT, NEAR = 1000, 1e-4  # samples; what a float32 runtime may be off by, relative to the largest


def members(rng: np.random.Generator, kind: str) -> tuple[Inputs, Array]:
    """A region around a random image, some numbers of which are at an end; and inputs of it."""
    x = rng.choice([0.0, 1.0, 0.5, 0.25], SHAPE) * rng.random(SHAPE).round(1)
    radius = Fraction(int(rng.integers(1, 8)), 8)
    text = base64.b64encode(x.astype("<f4").tobytes()).decode()
    stated: dict[str, Any] = {
        "shape": SHAPE, "centre": text, "low": (0.0).hex(), "high": (1.0).hex(),
        "kind": kind, "radius": str(radius),
    }  # fmt: skip
    moves = rng.uniform(-1, 1, (COUNT, x.size))
    if kind == "l2":
        moves *= rng.random(moves.shape) < rng.choice([0.05, 0.3, 1.0], (COUNT, 1))
        moves /= np.maximum(np.linalg.norm(moves, axis=1, keepdims=True), 1e-9)
    centre = x.astype(np.float32).astype(np.float64)
    inside = np.clip(centre + 0.999 * float(radius) * moves.reshape(-1, *SHAPE), 0, 1)
    return Inputs(ADAPTER.validate_python(stated)), inside.astype(np.float32).astype(np.float64)


def some_sides(rng: np.random.Generator, whole: LinearPropagation, seen: dict[str, Array]) -> Any:
    """Sides on which one of the samples is, of tensors of any operator, the input among them."""
    names, member = list(whole.known), int(rng.integers(COUNT))
    for _ in range(int(rng.integers(5))):
        name = names[int(rng.integers(len(names)))]
        own = seen[name]
        number = int(rng.integers(own.shape[1]))
        at = float(rng.choice([0.0, own[int(rng.integers(COUNT)), number]]))
        yield Side(name, number, at, bool(own[member, number] >= at))


def any_lines(rng: np.random.Generator, case: Case) -> dict[str, Chosen]:
    """Slopes of any activations: from its own to 1, and of curves any that binary16 has."""
    found = {}
    for name in case.known:
        kind = case.graph.producers[name][0].op_type if name != case.input else ""
        shape = case.known[name].low.shape
        if kind in ("Relu", "LeakyRelu"):
            least = 0.25 if kind == "LeakyRelu" else 0.0
            found[name] = Chosen(least + (1 - least) * rng.random(shape), None)
        elif kind in ("Sigmoid", "Tanh"):
            found[name] = Chosen(
                *rng.normal(0.2, 0.4, (2, *shape)).astype(np.float16).astype(float)
            )
    return found


@pytest.mark.parametrize("kind", ["linf", "l2"])
@pytest.mark.parametrize("seed", range(12))
def test_no_input_of_a_case_breaks_its_bounds(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    encoder, (inputs, samples) = Encoder(rng), members(rng, kind)
    seen = encoder.run(samples)
    ((box, parametric),) = inputs.starts()
    graph = Graph(encoder.model().SerializeToString())
    whole = LinearPropagation(graph, box, parametric, int(rng.choice([0, 1000])))
    whole.reach(encoder.last)
    for _ in range(5):
        sides = list(some_sides(rng, whole, seen))
        inside = np.ones(COUNT, dtype=bool)
        for side in sides:
            room = (seen[side.tensor][:, side.number] - side.at) * (1 if side.above else -1)
            inside &= room >= NEAR * (1 + abs(side.at))
        try:
            case = Case(whole, sides)
        except ImpossibleCaseError:
            assert not inside.any()
            continue
        if not inside.any():
            continue
        for name, (low, high) in case.known.items():
            off = NEAR * (1 + np.abs(seen[name]).max())
            assert (low.ravel() <= seen[name][inside] + off).all()
            assert (high.ravel() >= seen[name][inside] - off).all()
        name = sides[0].tensor if sides and rng.integers(2) else str(rng.choice(list(case.known)))
        rows = rng.normal(size=(4, *case.known[name].low.shape[1:]))
        duals = [(side, float(rng.choice([0.0, 10 * rng.exponential()]))) for side in sides]
        if sides and name == sides[0].tensor:  # the unit itself: its side alone says where it is
            rows[2:] = 0.0
            rows.reshape(4, -1)[2:, sides[0].number] = 1.0, -1.0
            duals = [(side, float(k == 0)) for k, (side, _) in enumerate(duals)]
        values = rows.reshape(4, -1) @ seen[name][inside].T
        off = NEAR * (1 + np.abs(rows).sum() * np.abs(seen[name]).max())
        for chosen in ({}, any_lines(rng, case)):
            found = least_of_forms(case, name, rows, chosen, duals)
            assert (found[:, None] <= values + off).all()
