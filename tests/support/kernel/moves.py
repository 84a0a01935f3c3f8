"""Moves of a witness: how one is written down, and where it leads."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate.schema import Move
from tests.support.kernel.builders import Scene, project

Vector = NDArray[np.float64]


def encode(direction: Any) -> str:
    return base64.b64encode(np.asarray(direction, dtype="<f4").tobytes()).decode()


def second_point(here: Scene, move: Move) -> Vector:
    """Where the move leads, in float64."""
    v = here.latent[move.location].astype(np.float64)
    d = np.frombuffer(base64.b64decode(move.direction), "<f4").astype(np.float64)
    if not move.keep:
        return v + d
    p = here.tiny.prototypes.astype(np.float64)[list(move.keep)]
    along = v + d - project(v + d, p) - (v - project(v, p))
    return v - 2 * along * (along @ (v - p[0])) / (along @ along)
