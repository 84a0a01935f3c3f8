"""Facts about random heads, and latents that meet them: sampled, then moved towards low margins."""

from __future__ import annotations

import math

import numpy as np

from protoproof.certificate.schema import (
    Core,
    Fact,
)
from protoproof.kernel.arithmetic.exact import GRID
from protoproof.kernel.latent.bounds import Bounds
from protoproof.kernel.latent.margins import Ends, Margin, margins
from tests.support.kernel.algebra import (
    COUNT,
    Array,
    Made,
)

UNIT = float(1 << GRID)
SEEDS = range(3)
NEAR = 1e-9


def low(end: int | None) -> float:
    return -math.inf if end is None else end / UNIT


def high(end: int | None) -> float:
    return math.inf if end is None else end / UNIT


def proved(here: Made, core: Core) -> dict[int, Margin]:
    bounds = Bounds(here.head, core, here.where)
    ends = Ends(here.head, bounds.best, bounds.caps)
    return {m.rival: m for m in margins(here.head, core.instance, core.rivals, ends)}


def some_facts(here: Made, rng: np.random.Generator) -> tuple[Fact, ...]:
    """Random facts with room around the recorded latent, so that samples can meet them."""
    room = float(10.0 ** rng.uniform(-3, -0.5))
    facts: list[Fact] = []
    named = rng.permutation(COUNT)[: rng.integers(0, COUNT + 1)].tolist()
    facts += [here.activation_fact(j, room) for j in named]
    pairs = here.measured()
    chosen = rng.permutation(len(pairs))[: rng.integers(0, len(pairs) + 1)].tolist()
    facts += [here.pair(*pairs[index], room) for index in chosen]
    if rng.random() < 0.7:
        exempt = tuple(sorted(rng.permutation(COUNT)[: rng.integers(0, COUNT)].tolist()))
        facts.append(here.ceiling(exempt, room))
    return tuple(facts)


def meeting(here: Made, facts: tuple[Fact, ...], rng: np.random.Generator, count: int) -> Array:
    """Latents of the domain that meet the facts: sampled, then moved towards low margins."""
    z = here.samples(rng, count)
    z = np.concatenate([z[here.meets(facts, z)], here.latent.astype(np.float64)[None]])
    for rival in here.rivals:
        best = z[np.argsort(here.margin(z, rival))[:4]]
        step = np.full((len(best), 1, 1), 0.1)
        for _ in range(60):
            new = here.inside(best + step * rng.normal(size=best.shape))
            good = here.meets(facts, new) & (here.margin(new, rival) < here.margin(best, rival))
            best = np.where(good[:, None, None], new, best)
            step = np.where(good[:, None, None], step * 1.3, step * 0.85)
        z = np.concatenate([z, best])
    return z
