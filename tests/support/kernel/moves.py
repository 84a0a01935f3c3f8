"""Moves of a witness: how one is written down, and where it leads."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate.schema import Core, Move, Witness
from tests.support.kernel.builders import Scene, core, few_pairs, project, scene

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


def losing(here: Scene, location: int, z: Vector) -> int | None:
    """The rival that clearly wins when one location moves to z, or None."""
    points = here.latent.astype(np.float64)
    points[location] = z
    p = here.tiny.prototypes.astype(np.float64)
    logits = here.logits(((points[:, None] - p[None]) ** 2).sum(axis=2).min(axis=0))
    rival = max(here.rivals, key=lambda k: logits[k])
    return rival if logits[rival] > logits[here.predicted] + 1e-6 else None


def search(here: Scene, named: list[list[int]], box: bool) -> list[Witness]:
    """Witnesses for as many facts as directions towards prototypes and random ones give."""
    rng = np.random.default_rng(0)
    found = []
    pairs = [(location, j) for location, chosen in enumerate(named) for j in chosen]
    for index, (location, prototype) in enumerate(pairs):
        keep = tuple(j for j in named[location] if j != prototype)
        towards = list(here.tiny.prototypes - here.latent[location])
        for direction in [*towards, *rng.normal(size=(100, here.latent.shape[1]))]:
            move = Move(location=location, keep=keep, direction=encode(direction))
            z = second_point(here, move)
            rival = losing(here, location, z)
            if rival is not None and (not box or (z.min() >= 0 and z.max() <= 1)):
                found.append(Witness(fact=index, rival=rival, moves=(move,)))
                break
    return found


def with_witnesses(seed: int, box: bool = False) -> tuple[Scene, Core]:
    here = scene(seed, grid=(1, 2), count=4, channels=5, classes=2)
    named = few_pairs(here, seed)
    facts = [here.pair(location, j) for location, chosen in enumerate(named) for j in chosen]
    return here, core(here, facts, "pairs", box=box, witnesses=tuple(search(here, named, box)))
