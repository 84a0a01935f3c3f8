"""Laws of the checker over heads of every kind, by sampling and local ascent in float64."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from protoproof.certificate.schema import (
    ActivationFact,
    CeilingFact,
    PairFact,
)
from protoproof.kernel.latent.bounds import Bounds
from protoproof.kernel.latent.domain import read_domain
from protoproof.kernel.latent.facts import malformed, untrue
from protoproof.kernel.latent.margins import observed_margin, stated_score
from protoproof.kernel.latent.value import Exact
from tests.support.kernel.algebra import (
    CHANNELS,
    COUNT,
    NAMES,
    made,
)
from tests.support.kernel.sampling import NEAR, SEEDS, high, low, meeting, proved, some_facts


@pytest.mark.parametrize("name", NAMES)
def test_values_are_those_of_the_definitions(name: str) -> None:
    for seed in SEEDS:
        here = made(name, seed)
        exact, z = here.exact, here.latent.astype(np.float64)
        m, t, levels = here.measurement(z), here.pooled(z), here.levels(z)
        for location, j in here.measured():
            value = exact.measurement(location, j)
            assert value.down() - NEAR <= m[location, j] <= value.up() + NEAR
        for j in range(COUNT):
            assert exact.best(j).down() - NEAR <= t[j] <= exact.best(j).up() + NEAR
            assert exact.level(j).down() - NEAR <= levels[j] <= exact.level(j).up() + NEAR
        at = exact.moved({})
        for rival in here.rivals:
            score = stated_score(here.head, here.instance, rival)
            found = observed_margin(here.head, score, rival, at)
            assert abs(found.lower - here.margin(z, rival)) <= 1e-6
            assert found.sign == 1


@pytest.mark.parametrize("name", NAMES)
def test_no_latent_leaves_the_bounds(name: str) -> None:
    """Of the domain alone, and with facts."""
    for seed in SEEDS:
        here, rng = made(name, seed), np.random.default_rng(seed)
        for facts in ((), some_facts(here, rng)):
            bounds = Bounds(here.head, here.core(facts), here.where)
            z = meeting(here, facts, rng, 400)
            m, t = here.measurement(z), here.pooled(z)
            for location, j in here.measured():
                ends = bounds.at(location, j)
                assert low(ends[0]) - NEAR <= m[:, location, j].min()
                assert m[:, location, j].max() <= high(ends[1]) + NEAR
            for j in range(COUNT):
                ends = bounds.best[j]
                assert low(ends[0]) - NEAR <= t[:, j].min()
                assert t[:, j].max() <= high(ends[1]) + NEAR


@pytest.mark.parametrize("name", NAMES)
def test_no_latent_that_meets_the_facts_beats_a_proved_margin(name: str) -> None:
    for seed in SEEDS:
        here, rng = made(name, seed), np.random.default_rng(seed + 50)
        facts = some_facts(here, rng)
        core = here.core(facts)
        assert not list(malformed(here.head, facts))
        assert not list(untrue(core, here.exact))
        z = meeting(here, facts, rng, 600)
        for rival, margin in proved(here, core).items():
            assert margin.lower - 1e-7 <= here.margin(z, rival).min()


@pytest.mark.parametrize("name", NAMES)
def test_all_activations_prove_the_margin_that_is_observed(name: str) -> None:
    """The least vocabulary of every head: with a tiny room around each pooled value."""
    for seed in SEEDS:
        here = made(name, seed)
        core = here.core(tuple(here.activation_fact(j, 1e-12) for j in range(COUNT)))
        z = here.latent.astype(np.float64)
        for rival, margin in proved(here, core).items():
            assert margin.sign == 1
            assert abs(margin.lower - here.margin(z, rival)) <= 1e-6


EXACT_ENDS = {
    "distances in a box", "scaled distances in a box", "products in a box", "angles",
    "angles of a box", "products on a sphere", "products in a ball", "channels",
    "distances on a sphere", "distances in a ball", "folded norms",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(EXACT_ENDS))
def test_ends_over_a_domain_are_attained(name: str) -> None:
    """At corners, or at the ends of the prototype's own direction."""
    for seed in SEEDS:
        here = made(name, seed)
        bounds = Bounds(here.head, here.core(()), here.where)
        for j in range(COUNT):
            p = here.prototypes[j]
            corners = np.array(np.meshgrid(*[[0.0, 1.0]] * CHANNELS)).reshape(CHANNELS, -1).T
            signed = [p, -p, np.maximum(p, 0), np.maximum(-p, 0), np.eye(CHANNELS)[p.argmax()]]
            signed += [np.eye(CHANNELS)[p.argmin()], p * 0]
            signed += [p / np.linalg.norm(p), -p / np.linalg.norm(p)]
            points = np.concatenate([corners, np.array(signed)])[:, None, :]
            points = points[np.linalg.norm(points, axis=(1, 2)) > 0] if "sphere" in name else points
            z = here.inside(np.repeat(points, len(here.latent), axis=1))
            m = here.measurement(z)[:, 0, j]
            ends = bounds.at(0, j)
            assert m.min() - low(ends[0]) <= 20 * 2.0**-16
            if ends[1] is not None:
                assert high(ends[1]) - m.max() <= 20 * 2.0**-16


@pytest.mark.parametrize("name", NAMES)
def test_exact_premises_are_tight_and_one_step_outside_is_false(name: str) -> None:
    for seed in SEEDS:
        here = made(name, seed)
        exact = here.exact
        for j in range(COUNT):
            value = exact.best(j)
            ends = value.down(), value.up()
            good = ActivationFact(prototype=j, lower=ends[0].hex(), upper=ends[1].hex())
            core = here.core((good,)).model_copy(update={"premises": "exact"})
            assert not list(untrue(core, exact))
            wide = good.model_copy(update={"lower": (ends[0] - 1e-3).hex()})
            widened = core.model_copy(update={"facts": (wide,)})
            assert any("widened" in text for text in untrue(widened, exact))
            if ends[0] < ends[1]:
                false = good.model_copy(update={"upper": ends[0].hex()})
                assert any(
                    "false" in t for t in untrue(core.model_copy(update={"facts": (false,)}), exact)
                )
            ceiling = here.ceiling((), 0.0)
            least = min((exact.level(k) for k in range(COUNT)), key=lambda v: v.down())
            tight = CeilingFact(bound=least.down().hex(), exempt=())
            whole = core.model_copy(update={"facts": (tight,)})
            assert not list(untrue(whole, exact))
            above = math.nextafter(least.up(), math.inf)
            broken = core.model_copy(
                update={"facts": (ceiling.model_copy(update={"bound": above.hex()}),)}
            )
            assert any("false" in text for text in untrue(broken, exact))


def test_angles_are_compared_by_signed_squares() -> None:
    here = made("angles", 0)
    value = here.exact.measurement(0, 0)
    assert isinstance(value, Exact)
    assert value.root
    root = math.copysign(math.sqrt(abs(value.numerator / value.unit)), value.numerator)
    assert value.down() <= root <= value.up()
    assert math.nextafter(value.down(), math.inf) >= value.up()
    for end in (value.down(), value.up()):
        ratio = end.as_integer_ratio()
        assert value.at_least(ratio) == (end == value.down())
        assert value.at_most(ratio) == (end == value.up())


def test_a_zero_vector_has_no_angle_and_is_in_every_range() -> None:
    here = made("angles", 1)
    zero = replace(here, latent=np.zeros_like(here.latent))
    for j in range(COUNT):
        value = zero.exact.measurement(0, j)
        assert (value.down(), value.up()) == (0.0, 0.0)


def test_facts_about_another_bank_are_malformed() -> None:
    here = made("two banks of distances", 0)
    wrong = next((k, j) for k in range(4) for j in range(COUNT) if (k, j) not in here.measured())
    fact = PairFact(location=wrong[0], prototype=wrong[1], lower=(0.0).hex(), upper=(1.0).hex())
    assert any("bank" in text for text in malformed(here.head, (fact,)))


def test_a_recorded_latent_lies_in_its_domain() -> None:
    for name in NAMES:
        here = made(name, 0)
        where = read_domain(here.domain, len(here.latent), CHANNELS)
        exact = here.exact
        for location, point in enumerate(exact.points):
            assert where.outside(location, point, 1 << exact.shift) is None
