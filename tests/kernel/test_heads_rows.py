"""Multipliers and forms over heads of every kind, whatever they are: no sampled latent that meets
the facts is outside of what they prove."""

from __future__ import annotations

import math

import numpy as np
import pytest

from protoproof.certificate.schema import (
    Chord,
    DomainBlock,
    Fact,
    ImpliedBound,
    PairBlock,
    PairFact,
    PlaceMultipliers,
    RivalForm,
    Rows,
    Tangent,
)
from protoproof.errors import CertificateError
from protoproof.kernel.latent.bounds import Bounds
from protoproof.kernel.latent.facts import intervals
from protoproof.kernel.latent.lagrangian import free_rule
from protoproof.kernel.latent.margins import Ends, stated_score
from protoproof.kernel.latent.relaxation import Forms, entry_complaints
from protoproof.kernel.latent.rows import implied_complaints, row_complaints
from tests.support.kernel.algebra import (
    COUNT,
    ROWS,
    Made,
    made,
)
from tests.support.kernel.sampling import NEAR, SEEDS, high, low, meeting


def rows_of(here: Made, rng: np.random.Generator, columns: int) -> Rows:
    """Random multipliers over 2**8, of which those of a ball or a norm are large enough."""
    theta = rng.integers(-200, 300, (COUNT, columns))
    theta[:, -1] = np.abs(theta[:, -1]) + 1 + (456 if here.head.square else 0)
    return Rows(
        prototypes=tuple(range(COUNT)), theta=tuple(tuple(map(int, row)) for row in theta.tolist())
    )


BOUNDED_BY_ROWS = [
    name for name, row in ROWS.items()
    if row.geometry in ("euclidean", "angular") and row.banks == 1 and not row.own
]  # fmt: skip


@pytest.mark.parametrize("name", BOUNDED_BY_ROWS)
def test_any_row_bounds_all_latents_that_meet_its_facts(name: str) -> None:
    for seed in SEEDS:
        here, rng = made(name, seed), np.random.default_rng(seed)
        facts = (here.pair(0, 1, 0.02), here.pair(0, 3, 0.03))
        columns = 2 + (here.kind.geometry == "angular")
        lower, upper = rows_of(here, rng, columns), rows_of(here, rng, columns)
        block = PairBlock(location=0, facts=(1, 3), shift=8, lower=lower, upper=upper)
        core = here.core(facts, blocks=(block,))
        assert not list(row_complaints(here.head, core, here.where))
        bounds = Bounds(here.head, core, here.where)
        z = meeting(here, facts, rng, 400)
        m = here.measurement(z)
        for j in range(COUNT):
            ends = bounds.at(0, j)
            assert low(ends[0]) - NEAR <= m[:, 0, j].min()
            assert m[:, 0, j].max() <= high(ends[1]) + NEAR


@pytest.mark.parametrize(
    "name", [name for name, row in ROWS.items() if row.geometry == "diagonal" or row.own]
)
def test_measurements_that_share_no_vector_do_not_bound_each_other(name: str) -> None:
    """With weights per channel, or lengths of their own, no sum of measurements is one form."""
    here = made(name, SEEDS[0])
    with pytest.raises(CertificateError, match="multipliers do not bound"):
        free_rule(here.head, here.where, 0, (0,), ((None, (1, 1)),))
    entry = ImpliedBound(prototype=1, via=0, stretch=(1.0).hex())
    assert any(
        "implies nothing" in text for text in implied_complaints(here.head, [entry], {0}, ())
    )


OVER_DOMAINS = [
    name for name, row in ROWS.items()
    if row.domain in ("box", "sphere", "ball", "simplex")
    and row.geometry in ("euclidean", "linear")
]  # fmt: skip


@pytest.mark.parametrize("name", OVER_DOMAINS)
def test_any_row_over_a_domain_bounds_its_latents(name: str) -> None:
    for seed in SEEDS:
        here, rng = made(name, seed), np.random.default_rng(seed)
        facts = (here.pair(0, 1, 0.02), here.pair(0, 3, 0.03))
        columns = 2 + len(here.where.local())
        sides = [rows_of(here, rng, columns) for _ in range(2)]
        block = DomainBlock(location=0, facts=(1, 3), shift=8, lower=sides[0], upper=sides[1])
        core = here.core(facts, domain_blocks=(block,))
        assert not list(row_complaints(here.head, core, here.where))
        bounds = Bounds(here.head, core, here.where)
        z = meeting(here, facts, rng, 400)
        m = here.measurement(z)
        for j in range(COUNT):
            ends = bounds.at(0, j)
            # the samples lie in the domain without its slack
            assert low(ends[0]) - NEAR <= m[:, 0, j].min()
            assert m[:, 0, j].max() <= high(ends[1]) + NEAR


@pytest.mark.parametrize("seed", range(6))
def test_good_multipliers_give_the_exact_interval_of_an_angle(seed: int) -> None:
    """With |u| = 1 and <p_i, u> known, <p_j, u> is between <pi p_j, pi u> -+ the two rests."""
    here = made("angles", seed)
    v = here.latent[0].astype(np.float64)
    u, p = v / np.linalg.norm(v), here.prototypes
    span = p[[1, 3]]
    onto = span.T @ np.linalg.pinv(span.T)
    rest_u, rest_p = u - onto @ u, p[0] - onto @ p[0]
    reach = float(np.linalg.norm(rest_u) * np.linalg.norm(rest_p))
    wanted = -float(onto @ p[0] @ u)
    scale = 2.0**40
    found = []
    for sign in (1, -1):
        # the bracket's slope is -sign p_0 - sum t p_i = -A z* 2: along -rest_p, and along rest_u
        ball = float(np.linalg.norm(rest_p) / np.linalg.norm(rest_u)) / 2
        slope = 2 * ball * (onto @ u) - sign * onto @ p[0]
        theta = np.linalg.lstsq(span.T, slope, rcond=None)[0]
        row = (*(round(t * scale) for t in theta.tolist()), round(ball * scale))
        found.append(Rows(prototypes=(0,), theta=(row,)))
    block = PairBlock(location=0, facts=(1, 3), shift=40, lower=found[0], upper=found[1])
    core = here.core((here.pair(0, 1, 1e-13), here.pair(0, 3, 1e-13)), blocks=(block,))
    ends = Bounds(here.head, core, here.where).at(0, 0)
    assert low(ends[0]) == pytest.approx(wanted - reach, abs=1e-9)
    assert high(ends[1]) == pytest.approx(wanted + reach, abs=1e-9)


@pytest.mark.parametrize(
    "name", ["distances", "angles", "two banks of angles", "own scales of angles"]
)
def test_implied_bounds_hold(name: str) -> None:
    for seed in SEEDS:
        here, rng = made(name, seed), np.random.default_rng(seed)
        bank = here.banks[1]
        via = int(rng.integers(COUNT))
        facts = (here.activation_fact(via, 0.05),)
        entries = tuple(
            ImpliedBound(prototype=j, via=via, stretch=float(10.0 ** rng.uniform(-2, 2)).hex())
            for j in range(COUNT)
            if bank[j] == bank[via] and j != via
        )
        core = here.core(facts, implied=entries)
        assert not list(row_complaints(here.head, core, here.where))
        bounds = Bounds(here.head, core, here.where)
        z = meeting(here, facts, rng, 400)
        for j in range(COUNT):
            assert here.pooled(z)[:, j].max() <= high(bounds.best[j][1]) + NEAR


FORMED = [
    name for name, row in ROWS.items()
    if row.pooling == "nearest" and row.decision in ("linear", "labels")
    and (row.geometry in ("euclidean", "angular") or row.domain not in ("free", "half"))
    and row.geometry != "diagonal"
    and not row.own
]  # fmt: skip


def random_form(
    here: Made, facts: tuple[Fact, ...], rival: int, rng: np.random.Generator
) -> RivalForm:
    """Tangents and chords at the observed locations, and random multipliers."""
    weights = stated_score(here.head, here.instance, rival).weights
    m = here.measurement(here.latent.astype(np.float64))
    apart = np.array(here.banks[0])[:, None] != np.array(here.banks[1])
    place = np.where(apart, np.inf, m).argmin(0).tolist()
    low_end = 0.0 if here.kind.geometry == "euclidean" else -math.inf
    supports = tuple(
        Tangent(
            prototype=j,
            location=place[j],
            at=max(low_end, float(m[place[j], j] + rng.normal(0, 0.01))).hex(),
        )
        for j in range(COUNT)
        if weights[j] > 0 and abs(m[place[j], j]) < 0.9 * np.linalg.norm(here.prototypes[j])
    )
    opposes = tuple(Chord(prototype=j, location=place[j]) for j in range(COUNT) if weights[j] < 0)
    used = sorted({e.location for e in supports} | {e.location for e in opposes})
    multipliers = []
    for k in used:
        named = tuple(f.prototype for f in facts if isinstance(f, PairFact) and f.location == k)
        domain = here.kind.domain != "free" and here.kind.geometry != "angular"
        own = len(here.where.local()) if domain else int(here.kind.geometry == "angular")
        mu = rng.integers(-20, 60, len(named) + own)
        if own or here.head.square:
            mu[-1] = abs(mu[-1]) + 400
        multipliers.append(
            PlaceMultipliers(
                location=k, facts=named, shift=6, mu=tuple(map(int, mu.tolist())), domain=domain
            )
        )
    return RivalForm(
        rival=rival, supports=supports, opposes=opposes, multipliers=tuple(multipliers)
    )


@pytest.mark.parametrize("name", FORMED)
def test_any_form_bounds_the_margin_of_all_latents_that_meet_the_facts(name: str) -> None:
    used = 0
    for seed in range(4):
        here, rng = made(name, seed), np.random.default_rng(seed)
        facts = tuple(here.pair(*pair, 0.02) for pair in here.measured())
        core = here.core(facts)
        bounds = Bounds(here.head, core, here.where)
        ends = Ends(here.head, bounds.best, bounds.caps)
        z = meeting(here, facts, rng, 400)
        forms = Forms(here.head, core, here.where, bounds, ends)
        for rival in here.rivals:
            form = random_form(here, facts, rival, rng)
            texts = list(entry_complaints(here.head, core, form, intervals(facts), here.where))
            assert not texts
            margin = forms.margin(form)
            used += margin.lower > -math.inf
            assert margin.lower - 1e-7 <= here.margin(z, rival).min()
    assert used


@pytest.mark.parametrize("name", ["angles", "angles of a box", "products", "scaled distances"])
def test_what_bounds_nothing_is_refused(name: str) -> None:
    """Boxes say nothing about angles, free space nothing about products, rows nothing about
    distances with a weight per channel."""
    here = made(name, 0)
    rows = Rows(prototypes=(1,), theta=((300, 0),))
    none = Rows(prototypes=(), theta=())
    facts = (here.pair(0, 0, 0.1),)
    block = DomainBlock(location=0, facts=(0,), shift=8, lower=rows, upper=none)
    core = here.core(facts, domain_blocks=(block,))
    if here.kind.geometry != "angular":
        pair = PairBlock(location=0, facts=(0,), shift=8, lower=rows, upper=none)
        core = here.core(facts, blocks=(pair,))
    texts: list[str] = []
    try:
        texts = list(row_complaints(here.head, core, here.where))
    except CertificateError as error:
        texts = [str(error)]
    assert texts


@pytest.mark.parametrize("name", ["two banks of distances", "two banks of angles"])
def test_a_row_about_another_bank_is_malformed(name: str) -> None:
    """It would bound a prototype's nearest location from above by one that it never sees."""
    here = made(name, 0)
    location, prototype = 0, here.measured()[-1][1]
    own = here.measured()[0][1]
    theta = (300, 300) if here.kind.geometry == "angular" else (300,)
    upper = Rows(prototypes=(prototype,), theta=(theta,))
    block = PairBlock(
        location=location, facts=(own,), shift=8, lower=Rows(prototypes=(), theta=()), upper=upper
    )
    core = here.core((here.pair(location, own, 0.1),), blocks=(block,))
    assert any("another bank" in t for t in row_complaints(here.head, core, here.where))
