"""Random graphs: whatever the checker reads of a tensor is what a runtime computes."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from protoproof.errors import ModelError
from protoproof.kernel.budget import Budget, OutOfBudgetError
from protoproof.kernel.model.graph import Graph
from protoproof.kernel.model.symbolic.evaluator import Evaluation
from protoproof.kernel.model.symbolic.values import Value
from tests.support.examples import examples
from tests.support.kernel.random_graphs import LATENT, Growing, far, random_latent, run
from tests.support.kernel.symbols import Meaning


def read(grown: Growing) -> tuple[Evaluation, dict[str, Value]]:
    """Every tensor that the checker has a rule for."""
    latent = grown.values[LATENT]
    here = Evaluation(Graph(grown.model().SerializeToString()), {LATENT: latent.shape})
    found = {}
    with Budget().active():
        for name in (name for node in grown.nodes for name in node.output):
            try:
                found[name] = here.value(name)
            except (ModelError, OutOfBudgetError):  # no other exception
                continue
    return here, found


def differences(grown: Growing) -> tuple[list[str], int]:
    """Tensors that are not what the runtime computes, at two latents; and how many were read."""
    if not grown.nodes:
        return [], 0
    here, found = read(grown)
    model, latent = grown.model(), grown.values[LATENT]
    wrong = []
    for z in (latent, random_latent(grown.rng, latent.shape)):
        theirs = run(model, z)
        meaning, size = Meaning(here, z), 1.0
        for name, value in theirs.items():
            if not np.isfinite(np.asarray(value, dtype=float)).all():
                break  # what comes behind it means nothing over the reals
            size = max(size, float(np.abs(value.astype(float)).max()))
            if name in found and far(value.astype(float), meaning.of(found[name]), size):
                wrong.append(f"{name} at {z.ravel().tolist()}")
    return wrong, len(found)


@given(seed=st.integers(0, 2**40))
@examples(30, 600)
def test_what_is_read_is_what_a_runtime_computes(seed: int) -> None:
    grown = Growing(seed)
    grown.grow(2 + seed % 9)
    wrong, _ = differences(grown)
    assert not wrong, grown.model()


def test_many_operators_are_read_at_all() -> None:
    """Otherwise the test above would say nothing."""
    kinds: Counter[str] = Counter()
    for seed in range(25):
        grown = Growing(seed)
        grown.grow(8)
        if grown.nodes:
            _, found = read(grown)
            kinds.update(n.op_type for n in grown.nodes if n.output[0] in found)
    assert len(kinds) >= 20
    assert sum(kinds.values()) >= 60
