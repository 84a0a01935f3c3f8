"""What is kept of a model for all its certificates changes no verdict and nothing of the charge."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from protoproof.certificate.schema import Core
from protoproof.kernel import ModelFile, check
from protoproof.kernel.budget import MAX_BYTES, MAX_STEPS, Budget, OutOfBudgetError
from protoproof.kernel.float32.budget import rounding
from protoproof.kernel.float32.measured import Measuring
from protoproof.kernel.float32.record import Record
from protoproof.kernel.float32.rows import Line
from protoproof.kernel.latent.measurer import Measurer, Point
from protoproof.kernel.model.symbolic.tables import Program
from tests.support.kernel.algebra import made
from tests.support.kernel.builders import Scene, file, pair_core, scene, topk_core
from tests.support.kernel.float32 import at_f
from tests.support.kernel.forms import Small
from tests.support.level_f import Trial

MAKERS: tuple[Callable[[Scene], Core], ...] = (at_f, topk_core, pair_core)


def _checked(
    certificate: bytes, model: bytes | ModelFile, monkeypatch: pytest.MonkeyPatch, steps: int
) -> tuple[Any, ...]:
    """All that a check says, and what it spent."""
    budget = Budget(steps, MAX_BYTES)
    monkeypatch.setattr(import_module("protoproof.kernel.check"), "Budget", lambda: budget)
    found = check(certificate, model)
    whole = found.obligations, found.claims, found.margins, budget.steps, budget.alive, budget.peak
    return (found.status, *(whole if steps == MAX_STEPS else ()))


@pytest.mark.parametrize("form", ["direct", "expanded"])
def test_in_any_order_certificates_say_and_cost_the_same(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after a check whose budget ended anywhere."""
    here, rng = scene(2, grid=(2, 2), bias=None, distance=form), np.random.default_rng(3)
    files = [file(make(here)) for make in MAKERS]
    alone = [_checked(one, here.data, monkeypatch, MAX_STEPS) for one in files]
    assert alone[0][0] == "accepted"
    for _ in range(4):
        shared = ModelFile(here.data)
        for _ in range(5):
            k, fewer = int(rng.integers(len(files))), rng.random() < 0.3
            steps = int(alone[k][4] * rng.random()) if fewer else MAX_STEPS
            assert _checked(files[k], shared, monkeypatch, steps) == (
                ("incomplete",) if fewer else alone[k]
            )


def test_what_a_reading_takes_for_a_moment_has_to_fit_again() -> None:
    budget = Budget(max_steps=100, max_bytes=100)
    with budget.recorded() as cost, cost.scope():
        cost.hold("a moment", 60)
    budget.repeat("fits", cost)
    budget.hold("what else there is", 50)
    with pytest.raises(OutOfBudgetError, match="60 bytes, 50 of 100"):
        budget.repeat("does not fit", cost)
    assert (budget.alive, budget.peak) == (50, 60)


def _programs(count: int) -> Trial:
    """The distance to one prototype, of which there are many functions before it is pooled."""
    rng = np.random.default_rng(0)
    p = rng.normal(0, 1, (1, 3, 1, 1)).astype(np.float32)
    nodes = """
        z2 = Mul(z, z) zn = ReduceSum<keepdims=1>(z2, axis1) zp = Conv(z, conv) t = Mul(zp, two)
        s = Sub(zn, t) q = Add(s, norm) d = Add(q, own) n = Neg(d) mx = GlobalMaxPool(n)
        a = Flatten(mx) y = Gemm<transB=1>(a, w, bias)"""
    constants = {
        "axis1": [1], "conv": p, "two": 2.0, "norm": float((p**2).sum()), "bias": np.zeros(3),
        "own": (np.arange(count) / 1024)[None, :, None, None], "w": rng.normal(0, 1, (3, count)),
    }  # fmt: skip
    small = Small(nodes, ("euclidean", ("nearest",), "linear"), constants, (1, 3, 2, 2))
    return Trial.of(small.model(), ("z",), "y")


def test_lines_of_one_row_are_charged_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row may be of as many measurements as it has programs: a file of one kilobyte would ask for
    their square, which nobody paid for."""
    composed: list[int] = []
    compose = Measuring._composed

    def counted(rules: Measuring, number: int, through: Program, program: int) -> Line | None:
        composed.append(number)
        return compose(rules, number, through, program)

    monkeypatch.setattr(Measuring, "_composed", counted)
    with Budget().active() as plain:
        made_ = sum(len(p.lines) for p in rounding(_programs(24).bound).kept.plans.values())
    assert made_ >= 24**2
    assert plain.steps > made_ << 16
    assert plain.alive > made_ << 9
    composed.clear()
    trial = _programs(24)
    with (
        pytest.raises(OutOfBudgetError, match="the lines of measurements"),
        Budget(plain.steps // 3).active(),  # most is paid for them, more than once
    ):
        rounding(trial.bound)
    assert len(composed) < 24**2
    assert trial.known.execution is not None
    count = len(composed)
    support = import_module("tests.support.level_f")
    budgets: list[Budget] = []
    monkeypatch.setattr(support, "Budget", lambda: budgets[-1])
    for _ in range(2):  # whoever made them
        budgets.append(Budget())
        trial.allowed(0, ())
    assert budgets[0].steps > plain.steps + (made_ << 16)
    assert (budgets[0].steps, budgets[0].alive) == (budgets[1].steps, budgets[1].alive)
    assert len(composed) == count


def test_what_is_no_number_is_not_known() -> None:
    """Nothing times infinity, say. No comparison would say so: it would pass for exact."""
    nan = np.array([np.nan, 0.25])
    errors = dict.fromkeys(("r", "a2", "a1", "a0", "fresh"), nan)
    ends = dict.fromkeys(("low", "high", "least", "most", "floor", "roof"), nan)
    found = Record((2,), **errors, **ends)
    for name in errors | ends:
        below = name in ("low", "least", "floor")
        assert getattr(found, name).tolist() == [-np.inf if below else np.inf, 0.25]
    assert not Record((), a0=np.asarray(np.nan)).exact
    assert Record((), a1=np.asarray(np.nan)).curved


def test_two_selections_of_prototypes_are_kept_at_a_time() -> None:
    here = made("distances", 0)
    measurer = Measurer(here.head, here.head.shift)
    point = Point([1, 2, 3, 4])
    whole = measurer.numerators([point])[0][0]
    with Budget().active() as budget:
        for chosen in ([0], [1, 2], [3], [0, 4], [0]):
            found, _ = measurer.numerators([point], chosen)
            assert found[0] == [whole[j] for j in chosen]
        assert len(measurer._chosen) == 2
        once = 16 * here.head.size * here.head.prototype_count * here.head.channels
        assert budget.alive == once
