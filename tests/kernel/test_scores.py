"""What a walk says about scores, against computed terms anywhere within their errors."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from protoproof.certificate.schema import Core
from protoproof.kernel.budget import Budget, OutOfBudgetError
from protoproof.kernel.float32 import scores as module
from protoproof.kernel.float32.scores import Allowance, Scores, Weights

CLASSES, TERMS = 4, 6


def about(predicted: int, labels: tuple[int, ...] | None = None) -> Core:
    """As much of a certificate as is asked for; ``labels``: those that are on."""
    kind = "linear" if labels is None else "labels"
    rivals = tuple(k for k in range(CLASSES) if labels is not None or k != predicted)
    core = SimpleNamespace(
        model=SimpleNamespace(decision=kind),
        instance=SimpleNamespace(predicted=predicted, labels=labels or ()),
        rivals=rivals,
    )
    return cast(Core, core)


class Drawn:
    """Scores of random terms; ``open_``: no term has an upper end, nor an error that is known."""

    def __init__(self, seed: int, open_: bool = False, shared: bool = False) -> None:
        rng = self.rng = np.random.default_rng(seed)
        weights = rng.integers(-8, 9, (CLASSES, TERMS)) / 4.0
        weights[:, 0] = weights[0, 0]  # a term that no difference has
        self.by = Weights(range(TERMS), weights, rng.normal(size=CLASSES), np.abs(weights).max())
        self.least = rng.normal(size=TERMS)
        self.most = self.least + rng.random(TERMS)
        self.r, self.a = rng.random(TERMS) * 2.0**-4, rng.random(TERMS) * 2.0**-6
        size = np.maximum(np.abs(self.least), np.abs(self.most))
        self.errors = self.r * size + self.a
        self.low, self.high = self.least - self.errors, self.most + self.errors
        self.fresh = rng.random(CLASSES) * 2.0**-6
        self.total = (np.abs(weights) @ self.errors + self.fresh) * (1 + 2.0**-40)
        self.shared = np.zeros(TERMS, dtype=bool)
        if shared:  # what cancels is computed twice
            self.shared[:] = True
        if open_:
            for piece in (self.most, self.high, self.errors, self.total):
                piece[:] = np.inf

    def scores(self, **changes: Any) -> Scores:
        names = (
            "by",
            "total",
            "fresh",
            "errors",
            "low",
            "high",
            "r",
            "a",
            "least",
            "most",
            "shared",
        )
        return Scores(**{name: getattr(self, name) for name in names} | changes)

    def found(self, core: Core, **changes: Any) -> dict[int, Allowance]:
        with Budget().active():
            return dict(self.scores(**changes).allowances(core))

    def seen(self) -> tuple[Any, Any]:
        """(exact, computed) scores: terms and errors at random, most of them at an end."""
        rng = self.rng
        share = rng.random(TERMS).round() if rng.random() < 0.7 else rng.random(TERMS)
        most = np.where(np.isfinite(self.most), self.most, self.least + 8 * rng.random(TERMS))
        x = self.least + (most - self.least) * share
        error = self.r * np.abs(x) + self.a
        signs = rng.choice([-1.0, 1.0], (CLASSES, TERMS))
        if not self.shared.any():
            signs[:] = signs[0]
        exact = self.by.weights @ x + self.by.constants
        computed = (self.by.weights * (x + signs * error)).sum(axis=1) + self.by.constants
        return exact, computed + rng.choice([-1.0, 1.0], CLASSES) * self.fresh


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("open_", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_no_computed_difference_is_farther_than_it_may_be(
    seed: int, open_: bool, shared: bool
) -> None:
    here, used = Drawn(seed, open_, shared), 0.0
    for c in range(CLASSES):
        found = here.found(about(c))
        assert list(found) == [k for k in range(CLASSES) if k != c]
        for _ in range(150):
            exact, computed = here.seen()
            for k, one in found.items():
                margin, there = exact[c] - exact[k], computed[c] - computed[k]
                assert abs(there - margin) <= one.apart
                assert there >= one.least
                assert there > 0 or not one.suffices(margin)
                if math.isfinite(one.apart):
                    used = max(used, abs(there - margin) / one.apart)
        if open_:  # of what has no end nothing is known but next to the margin
            assert all(math.isinf(one.apart) for one in found.values())
        assert all((one.least == -math.inf) == (open_ or shared) for one in found.values()) or (
            open_ and not shared
        )
    assert used > 0.6 or open_


@pytest.mark.parametrize("seed", range(6))
def test_errors_next_to_the_margin_are_a_budget_where_terms_are_open(seed: int) -> None:
    """Every weight of the predicted class is the larger one: terms only add to the margin."""
    here = Drawn(seed, open_=True)
    here.by.weights[0] = np.abs(here.by.weights).max(axis=0) + 0.25
    found, close = here.found(about(0)), 0
    assert all(math.isfinite(one.budget) for one in found.values())
    for _ in range(800):
        exact, computed = here.seen()
        for k, one in found.items():
            margin, there = exact[0] - exact[k], computed[0] - computed[k]
            assert there > 0 or not one.suffices(margin)
            close += 0 < margin - one.budget < 6
    assert close
    half = np.full(TERMS, 0.5)
    assert all(math.isinf(one.budget) for one in here.found(about(0), r=half).values())
    # without a lower end what a term takes has no bound
    open_ = np.full(TERMS, -np.inf)
    assert all(math.isinf(one.budget) for one in here.found(about(0), least=open_).values())


@pytest.mark.parametrize("seed", range(6))
def test_labels_are_decided_alone(seed: int) -> None:
    here, on = Drawn(seed), (0, 2)
    found = here.found(about(0, on))
    assert list(found) == list(range(CLASSES))
    for _ in range(150):
        exact, computed = here.seen()
        for k, one in found.items():
            sign = 1 if k in on else -1
            assert abs(computed[k] - exact[k]) <= one.budget == one.apart
            assert sign * computed[k] >= one.least


def nearly(found: float, wanted: float) -> bool:
    """Whether a bound is what it is defined as, but for its own rounding."""
    return wanted <= found <= wanted + abs(wanted) * 1e-11


@pytest.mark.parametrize("seed", range(4))
def test_bounds_are_what_they_are_defined_as(seed: int) -> None:
    here, unknown = Drawn(seed), np.full(TERMS, np.inf)
    weights, constants = here.by.weights, here.by.constants
    for c in range(CLASSES):
        known = here.found(about(c))
        relative = here.found(about(c), errors=unknown, total=np.full(CLASSES, np.inf))
        for k, one in known.items():
            apart = least = taken = rest = 0.0
            for j in np.flatnonzero(weights[c] != weights[k]):
                w = weights[c, j] - weights[k, j]
                apart += abs(w) * here.errors[j]
                least += min(w * here.low[j], w * here.high[j])
                taken -= min(w * here.least[j], w * here.most[j], 0.0)
                rest += abs(w) * here.a[j]
            rounding = here.fresh[c] + here.fresh[k]
            assert nearly(one.apart, min(apart + rounding, here.total[c] + here.total[k]))
            assert nearly(-one.least, rounding - least - constants[c] + constants[k])
            r = max(here.r[weights[c] != weights[k]])
            more = r * (2 * taken + abs(constants[c]) + abs(constants[k])) + rest + rounding
            assert nearly(relative[k].budget, more / (1 - r))
            assert one.budget == min(one.apart, relative[k].budget)


def test_an_allowance_suffices_by_its_budget_or_by_its_least() -> None:
    assert Allowance(1.0, -1.0, 1.0).suffices(1.5)
    assert not Allowance(1.0, 0.0, 1.0).suffices(1.0)
    assert Allowance(1.0, 0.5, 1.0).suffices(0.0)


def test_one_term_that_is_computed_twice_is_enough() -> None:
    here = Drawn(0)
    twice = np.arange(TERMS) == 0  # it cancels over the reals
    for k, one in here.found(about(1), shared=twice).items():
        assert one.least == -math.inf
        more = 2 * abs(here.by.weights[0, 0]) * here.errors[0]
        plain = here.found(about(1))[k].apart
        both = here.total[1] + here.total[k]
        assert nearly(one.apart, min(plain + more, both))


def test_what_is_computed_twice_does_not_cancel() -> None:
    here = Drawn(0)
    together, apart = here.found(about(1)), here.found(about(1), shared=np.ones(TERMS, dtype=bool))
    for k, one in together.items():
        assert one.apart < apart[k].apart
        assert apart[k].least == -math.inf < one.least


def test_no_least_without_ends_nor_without_knowing_the_rounding() -> None:
    here = Drawn(1)
    unknown = np.full(CLASSES, np.inf)
    for changes in (
        {"low": np.full(TERMS, -np.inf), "high": np.full(TERMS, np.inf)},
        {"fresh": unknown},
    ):
        for one in here.found(about(2), **changes).values():
            assert one.least == -math.inf
    for one in here.found(about(2), fresh=unknown, total=unknown).values():
        assert math.isinf(one.budget)


def test_rivals_in_blocks_are_those_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Drawn(2)
    whole = here.found(about(1))
    for at_once in (1, TERMS, 2 * TERMS):
        monkeypatch.setattr(module, "_AT_ONCE", at_once)
        assert here.found(about(1)) == whole
    with Budget(max_steps=10).active(), pytest.raises(OutOfBudgetError, match="all rivals"):
        dict(here.scores().allowances(about(1)))
