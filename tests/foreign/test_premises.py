"""What is stated about an input is true of it, in the checker's exact numbers and as tight as can
be: whatever float64 made of the constants of the graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from protoproof.kernel import ModelFile
from protoproof.kernel.latent.facts import untrue
from protoproof.kernel.latent.measurement import Latent
from protoproof.prover.latent.enclosed import ranked
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import (
    activation_fact,
    ceiling_fact,
    ceilings_of,
    pair_fact,
)
from protoproof.prover.proof.encode import stored_fact
from tests.support.foreign.families import CERTIFIED
from tests.support.foreign.family import Family
from tests.support.foreign.found import explainer, loaded
from tests.support.foreign.running import inputs

Exported = Callable[[Family, str], Path]


@pytest.mark.parametrize(
    ("family", "exporter"),
    [pytest.param(family, e, id=f"{family.name}-{e}") for family, e in CERTIFIED],
)
@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.sweep) for s in (1, 2))])
def test_no_fact_is_false_or_loose(
    family: Family, exporter: str, seed: int, exported: Exported
) -> None:
    path = exported(family, exporter)
    network, _, output = loaded(path, family.output)
    head = ModelFile.read(path).bound(network.recognised.latents, output).head
    for x in inputs(family.shape, 3, seed):
        observation = network.observe(x[0])
        instance = explainer(path, family.output).instance(observation)
        stated = [stored_fact(fact) for fact in _every(instance)]
        core = cast(Any, SimpleNamespace(premises="exact", facts=stated))
        assert not list(untrue(core, Latent(head, observation.latent.astype(np.float32))))


def _every(instance: Instance) -> list[Any]:
    """Facts of every kind: some pairs, every name, every ceiling and those of the top k."""
    mask, order = instance.head.mask, ranked(instance)
    pairs = [
        pair_fact(instance, location, j)
        for j in range(min(4, len(order)))
        for location in (0, len(instance.latent) - 1)
        if mask is None or mask[location, j]
    ]
    names = [activation_fact(instance, j) for j in order]
    under = [ceiling_fact(instance, j, order[: k + 1]) for k, j in enumerate(order)]
    level = [ceiling_fact(instance, j, order[:k]) for k, j in enumerate(order)]
    return [*pairs, *names, *under, *level, *ceilings_of(instance)]
