"""The one list of heads that the laws run over: a new similarity is one row here."""

from __future__ import annotations

import numpy as np

from protoproof.network.head.similarity import Similarity

CONSTANTS = {
    "log_ratio": float(np.float32(1e-4)),
    "exponential": 0.75,
    "negated": 1.0,
    "reciprocal": 1.0,
}
SIMILARITIES = tuple(CONSTANTS)


def similarity(kind: str, constant: float | None = None) -> Similarity:
    """A similarity of one kind, with the constant that the lists give it or another."""
    return Similarity(kind, CONSTANTS[kind] if constant is None else constant)
