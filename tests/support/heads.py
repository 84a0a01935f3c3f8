"""The one list of heads that the laws run over: a new similarity is one row here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from protoproof.network.head.chain import Chain, Step
from protoproof.network.head.decision import Linear
from protoproof.network.head.head import Head

CONSTANTS = {
    "log_ratio": float(np.float32(1e-4)),
    "exponential": 0.75,
    "negated": 1.0,
    "reciprocal": 1.0,
}
SIMILARITIES = tuple(CONSTANTS)


def step(name: str, *constants: float) -> Step:
    """A step with one constant for all prototypes, one for each, or none."""
    return Step(name, np.array(constants) if constants else None)


def similarity(kind: str, constant: float | None = None) -> Chain:
    """A similarity of one kind, with the constant that the lists give it or another."""
    c = CONSTANTS[kind] if constant is None else constant
    steps = {
        "log_ratio": (step("add", c), step("one_plus", 1.0 - c), step("log")),
        "exponential": (step("mul", -1.0 / c), step("exp")),
        "negated": (step("mul", -1.0),),
        "reciprocal": (step("add", 1.0), step("reciprocal")),
    }
    return Chain(steps[kind]).over(0.0)


def prototype_head(
    prototypes: NDArray[np.floating],
    chain: Chain,
    weight: NDArray[np.floating],
    bias: NDArray[np.floating],
    prototype_class: tuple[int, ...] | None,
    grid: tuple[int, int],
) -> Head:
    """A head over squared distances with a linear decision."""
    decision = Linear(np.asarray(weight), np.asarray(bias))
    return Head("euclidean", prototypes, chain, decision, grid, prototype_class)
