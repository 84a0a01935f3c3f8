"""Latents that meet facts, sampled against what the checker proves about all of them."""

from __future__ import annotations

import numpy as np

from tests.support.kernel.algebra import made
from tests.support.kernel.sampling import meeting, proved, some_facts

NEAR = 1e-7


def sampled(name: str, seed: int, count: int) -> tuple[int, int]:
    """Random facts of one head: how many latents met them, and how many are below a margin."""
    here, rng = made(name, seed), np.random.default_rng(seed + 50)
    facts = some_facts(here, rng)
    z = meeting(here, facts, rng, count)
    violations = 0
    for rival, margin in proved(here, here.core(facts)).items():
        violations += int((here.margin(z, rival) < margin.lower - NEAR).sum())
    return len(z), violations
