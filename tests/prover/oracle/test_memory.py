"""Memory is estimated before it is asked for, and grows linearly with locations x prototypes."""

from __future__ import annotations

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from protoproof.errors import UsageError
from protoproof.prover.latent.domain import Free
from protoproof.prover.latent.gram import GramRows
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.oracle.memory import machine_bytes, needed_bytes, require_memory
from protoproof.prover.oracle.slack import SHARE, loosened
from protoproof.prover.relaxation.intervals import margins_between
from protoproof.prover.search.lookahead import facts_to_try
from tests.benchmarks.cub import prove
from tests.benchmarks.synthetic import Shape, make_head, make_instance
from tests.support.strategies import random_instance


def shaped(prototypes: int, locations: int = 49) -> SimpleNamespace:
    return SimpleNamespace(
        locations=locations, channels=128, prototypes=range(prototypes), classes=200
    )


def test_what_does_not_fit_is_refused_in_one_line() -> None:
    head = shaped(100_000)
    with pytest.raises(UsageError, match="100000 prototypes at 49 locations need about") as refusal:
        require_memory(head, "pairs", "auto", available=12 << 30)
    assert "use --oracle interval" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    with pytest.raises(UsageError, match="fewer prototypes"):
        require_memory(head, "pairs", "exact", available=1 << 30)
    require_memory(head, "pairs", "exact", available=64 << 30)
    require_memory(shaped(2_000), "pairs", "auto", available=1 << 30)
    assert machine_bytes() > 1 << 20


def test_the_estimate_is_linear() -> None:
    def need(prototypes: int, locations: int = 49) -> int:
        return needed_bytes(shaped(prototypes, locations), relational=True)

    assert need(40_000) - need(20_000) == need(60_000) - need(40_000)
    assert need(1_000, 200) - need(1_000, 100) == need(1_000, 300) - need(1_000, 200)


def test_measured_memory_stays_below_the_estimate_and_grows_linearly() -> None:
    """For a fixed number of facts: four times the prototypes, about four times the memory."""
    peaks = []
    for count in (1000, 4000):
        head = make_head(Shape(prototypes=count, channels=24, classes=20, grid=(3, 3)))
        instance = make_instance(head, 0, GramRows(head.prototypes, kept=2))  # type: ignore[arg-type]
        tracemalloc.start()
        state = IntervalOracle().prepare(instance, Free())
        for location in range(9):
            state.set_location(location, [0, 7, 31])
        state.margins()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert peaks[-1] < needed_bytes(head, relational=False)
    assert peaks[1] < 6 * peaks[0]  # a matrix would make it sixteen times


def test_an_explanation_asks_for_a_few_rows_per_fact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of its facts and of the ones tried with them: a bounded number of rows per fact.

    So its cost is linear in the number of prototypes for a given number of facts.
    """
    head = make_head(Shape(prototypes=1600, channels=16, classes=40, grid=(2, 2)))
    asked: set[int] = set()
    row = GramRows.row

    def counted(self: GramRows, index: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        asked.add(index)
        return row(self, index)

    monkeypatch.setattr(GramRows, "row", counted)
    instance = make_instance(head, 0, GramRows(head.prototypes))  # type: ignore[arg-type]
    state = IntervalOracle().prepare(instance, Free())
    run = prove(instance)
    tried = len(facts_to_try(state, 0))
    assert tried <= 16
    assert 0 < len(asked) <= (tried + 1) * run.forward < 1600


@pytest.mark.parametrize("seed", range(5))
def test_loosened_bounds_still_prove_every_margin(seed: int) -> None:
    instance = random_instance(seed, prototypes=12, channels=8, grid=(1, 2), near=0.05)
    state = IntervalOracle().prepare(instance, Free())
    for location in range(2):
        state.set_location(location, list(range(6)))
    margins = state.margins()
    low, high = state.nearest()
    weaker = loosened(state)
    assert (weaker <= low).all()
    spare = np.maximum(margins - state.slack, 0)
    assert (margins_between(instance, weaker, high) >= margins - SHARE * spare - 1e-9).all()
    fixed = list(range(len(margins)))
    opposing = (instance.opposing < 0).any(axis=0)
    np.testing.assert_allclose(loosened(state, fixed)[opposing], low[opposing], rtol=1e-12)
