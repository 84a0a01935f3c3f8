"""Certificates with linear forms for tiny networks, built naively: least squares and float64.

Nothing of the prover is used. Tangents touch at the recorded distances, chords span the exact
intervals, multipliers put the minimiser of the form on the sphere that the facts leave.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate.schema import (
    Chord,
    Core,
    IntervalEvidence,
    PlaceMultipliers,
    RivalForm,
    Tangent,
)
from protoproof.kernel import check
from tests.support.kernel.builders import SHIFT, Scene, core, file, pair_core, project, scene

Named = Sequence[Sequence[int]]

DERIVATIVES: dict[str, Callable[[float, float], float]] = {
    "log_ratio": lambda q, c: 1 / (q + 1) - 1 / (q + c),
    "exponential": lambda q, c: -math.exp(-q / c) / c,
    "negated": lambda q, c: -1.0,
    "reciprocal": lambda q, c: -1 / (q + 1) ** 2,
}


def form(here: Scene, named: Named, rival: int) -> RivalForm:
    """The form of one margin; lists every prototype that facts leave open at its location."""
    weight = here.tiny.weight.astype(np.float64)
    supports, opposes = [], []
    linear: dict[int, dict[int, float]] = {}
    for j, w in enumerate(weight[here.predicted] - weight[rival]):
        column = [here.interval(i, chosen, j) for i, chosen in enumerate(named)]
        side = [high for _, high in column] if w > 0 else [low for low, _ in column]
        location = int(np.argmin(side))
        low, high = column[location]
        if w == 0 or j in named[location] or not low < high < math.inf:
            continue
        if w > 0:
            at = float(here.measurement[location][j])
            slope = DERIVATIVES[here.tiny.similarity](at, here.tiny.constant)
            supports.append(Tangent(prototype=j, location=location, at=at.hex()))
        else:
            others = [least for i, (least, _) in enumerate(column) if i != location]
            floor = here.similarity(min(others)) if others else -math.inf
            ends = [max(floor, here.similarity(q)) for q in (low, high)]
            slope = (ends[1] - ends[0]) / (high - low)
            opposes.append(Chord(prototype=j, location=location))
        linear.setdefault(location, {})[j] = float(w * slope)
    return RivalForm(
        rival=rival,
        supports=tuple(supports),
        opposes=tuple(opposes),
        multipliers=tuple(
            multipliers(here, location, named[location], linear[location])
            for location in sorted(linear)
        ),
    )


def multipliers(
    here: Scene, location: int, named: Sequence[int], linear: dict[int, float]
) -> PlaceMultipliers:
    """The bracket's minimum lies at A z* = sum lambda_j p_j + sum mu_i p_i, wanted on the sphere.

    There the form is least at z* = foot + radius B / |B|, B the part of sum lambda_j p_j that is
    orthogonal to the facts.
    """
    p = here.tiny.prototypes.astype(np.float64)
    hull = p[list(named)]
    foot, radius = here.hull(location, named)
    pull = sum(
        (value * (p[j] - project(p[j], hull)) for j, value in linear.items()), np.zeros(p.shape[1])
    )
    size = max(float(np.linalg.norm(pull)), 1e-6)
    leading = size / max(radius, 1e-6)
    given = sum((value * p[j] for j, value in linear.items()), np.zeros(p.shape[1]))
    target = leading * (foot + radius * pull / size) - given
    system = np.vstack([hull.T, np.ones(len(hull))])
    mu = np.linalg.lstsq(system, np.append(target, leading - sum(linear.values())), rcond=None)[0]
    integers = tuple(round(value * 2**SHIFT) for value in mu.tolist())
    return PlaceMultipliers(location=location, facts=tuple(named), shift=SHIFT, mu=integers)


def relational_core(here: Scene, named: Named, *, box: bool = False, forms: bool = True) -> Core:
    """The certificate of pair facts with a form for every rival."""
    facts = [here.pair(location, j) for location, chosen in enumerate(named) for j in chosen]
    blocks = tuple(here.block(location, c) for location, c in enumerate(named) if c)
    evidence = IntervalEvidence(
        blocks=blocks, forms=tuple(form(here, named, k) for k in here.rivals) if forms else ()
    )
    return core(here, facts, "pairs", box=box, evidence=evidence)


def fewest(here: Scene, seed: int = 0) -> list[list[int]]:
    """Pair facts, dropped in random order while the checker accepts what is left."""
    content = pair_core(here, seed)
    pairs = [(f.location, f.prototype) for f in content.facts if f.kind == "pair"]
    named: list[list[int]] = [[] for _ in range(here.tiny.locations)]
    for location, j in pairs:
        named[location].append(j)
    for location, j in np.random.default_rng(seed).permutation(pairs).tolist():
        fewer = [[i for i in c if (k, i) != (location, j)] for k, c in enumerate(named)]
        if any(fewer) and check(file(relational_core(here, fewer)), here.data).accepted:
            named = fewer
    return named


def needs_forms(
    start: int, similarity: str = "log_ratio", grid: tuple[int, int] = (1, 2)
) -> tuple[Scene, list[list[int]]]:
    """A scene and facts that forms prove sufficient and intervals do not."""
    for seed in range(start, start + 200):
        here = scene(seed, similarity=similarity, grid=grid, count=6, channels=5, classes=3)
        named = fewest(here, seed)
        if not check(file(relational_core(here, named, forms=False)), here.data).accepted:
            return here, named
    raise AssertionError


def latents(here: Scene, named: Named, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Random latents that meet all pair facts, up to rounding."""
    p = here.tiny.prototypes.astype(np.float64)
    result = rng.normal(0.5, 1.0, (count, len(named), p.shape[1]))
    for location, chosen in enumerate(named):
        if chosen:
            foot, radius = here.hull(location, chosen)
            for row in result[:, location]:
                away = row - project(row, p[list(chosen)])
                row[:] = foot + radius * away / max(float(np.linalg.norm(away)), 1e-9)
    return result
