"""Laws of the checker over heads of every kind, by sampling and local ascent in float64."""

from __future__ import annotations

import base64
import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from protoproof.certificate.schema import (
    ActivationFact,
    CeilingFact,
    Chord,
    Core,
    DomainBlock,
    Fact,
    ImpliedBound,
    Move,
    PairBlock,
    PairFact,
    PlaceMultipliers,
    RivalForm,
    Rows,
    Tangent,
    Witness,
)
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import GRID
from protoproof.kernel.latent.bounds import Bounds
from protoproof.kernel.latent.domain import read_domain
from protoproof.kernel.latent.facts import intervals, malformed, untrue, violated
from protoproof.kernel.latent.margins import Ends, Margin, margins, observed_margin, stated_score
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.latent.relaxation import Forms, entry_complaints
from protoproof.kernel.latent.rows import row_complaints
from protoproof.kernel.latent.size import _order, _said, violated_pairs
from protoproof.kernel.latent.value import Exact
from protoproof.kernel.latent.witness import departures, materialise, witness_complaints
from tests.support.kernel.algebra import CHANNELS, COUNT, NAMES, ROWS, Array, Made, made

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


def rows_of(here: Made, rng: np.random.Generator, columns: int) -> Rows:
    """Random multipliers over 2**8, of which those of a ball or a norm are large enough."""
    theta = rng.integers(-200, 300, (COUNT, columns))
    theta[:, -1] = np.abs(theta[:, -1]) + 1 + (456 if here.head.square else 0)
    return Rows(
        prototypes=tuple(range(COUNT)), theta=tuple(tuple(map(int, row)) for row in theta.tolist())
    )


BOUNDED_BY_ROWS = [
    name for name, row in ROWS.items()
    if row.geometry in ("euclidean", "angular") and row.banks == 1
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


def moves_of(here: Made, keep: tuple[int, ...], rng: np.random.Generator) -> tuple[Move, ...]:
    step = rng.normal(0, 0.3, CHANNELS).astype("<f4")
    text = base64.b64encode(step.tobytes()).decode()
    return (Move(location=0, keep=keep, direction=text),)


KEEPING = [name for name, row in ROWS.items() if row.geometry != "diagonal"]


@pytest.mark.parametrize("name", KEEPING)
def test_kept_measurements_stay_exactly(name: str) -> None:
    for seed in SEEDS:
        here, rng = made(name, seed), np.random.default_rng(seed)
        mine = [j for k, j in here.measured() if k == 0][:2]
        exact = here.exact
        points = materialise(exact, here.where, moves_of(here, tuple(mine), rng))
        moved = exact.moved(points)
        assert points[0].numerators
        z = [n / (points[0].denominator << exact.shift) for n in points[0].numerators]
        assert not np.allclose(z, here.latent[0])
        for j in mine:
            assert exact.measurement(0, j).same(moved.measurement(0, j))
        if here.kind.domain == "sphere" and here.kind.geometry == "linear":
            assert not [t for t in departures(here.where, exact, points) if "sphere" in t]
        changed = here.latent.astype(np.float64).copy()
        changed[0] = z
        for j in range(COUNT):
            assert (
                moved.best(j).down() - NEAR <= here.pooled(changed)[j] <= moved.best(j).up() + NEAR
            )
        # and what is violated is what is counted
        kept = {j for j in range(COUNT) if (0, j) in here.measured()} - {
            number % COUNT for number in violated_pairs(exact, moved)
        }
        assert set(mine) <= kept


def test_no_line_keeps_scaled_distances() -> None:
    here = made("scaled distances", 0)
    moves = moves_of(here, (0,), np.random.default_rng(0))
    with pytest.raises(CertificateError, match="weight per channel"):
        materialise(here.exact, here.where, moves)


def losing(here: Made, rng: np.random.Generator) -> Iterator[tuple[int, tuple[Move, ...]]]:
    """Moves that lose to a rival, in the domain."""
    z = here.latent.astype(np.float64)
    for _ in range(300):
        step = 10.0 ** rng.uniform(-1, 0.5) * rng.normal(size=z.shape)
        target = here.inside(z + step).astype(np.float32)
        step32 = (target - here.latent).astype("<f4")
        moves = tuple(
            Move(location=k, keep=(), direction=base64.b64encode(row.tobytes()).decode())
            for k, row in enumerate(step32)
        )
        there = (here.latent + step32).astype(np.float64)
        for rival in here.rivals:
            if here.margin(there, rival) < -1e-4:
                points = materialise(here.exact, here.where, moves)
                if not list(departures(here.where, here.exact, points)):
                    yield rival, moves


@pytest.mark.parametrize("name", NAMES)
def test_witnesses_are_evaluated_and_forged_ones_are_not_believed(name: str) -> None:
    found = 0
    for seed in SEEDS:
        here, rng = made(name, seed), np.random.default_rng(seed)
        facts: tuple[Fact, ...] = tuple(here.activation_fact(j, 5.0) for j in range(2))
        facts += (here.pair(0, next(j for k, j in here.measured() if k == 0), 0.0),)
        core = here.core(facts)
        for rival, moves in losing(here, rng):
            witness = Witness(fact=2, rival=rival, moves=moves)
            texts = list(witness_complaints(core, here.where, here.exact, witness))
            if texts:
                continue
            found += 1
            # the same latent says nothing about a fact that it keeps
            other = witness.model_copy(update={"fact": 0})
            assert any(
                "violates" in t for t in witness_complaints(core, here.where, here.exact, other)
            )
            # and none that wins against the rival is believed
            still = witness.model_copy(update={"moves": ()})
            assert any("lose" in t for t in witness_complaints(core, here.where, here.exact, still))
            break
    assert found


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


def test_facts_about_another_bank_are_malformed() -> None:
    here = made("two banks of distances", 0)
    wrong = next((k, j) for k in range(4) for j in range(COUNT) if (k, j) not in here.measured())
    fact = PairFact(location=wrong[0], prototype=wrong[1], lower=(0.0).hex(), upper=(1.0).hex())
    assert any("bank" in text for text in malformed(here.head, (fact,)))


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


def test_a_recorded_latent_lies_in_its_domain() -> None:
    for name in NAMES:
        here = made(name, 0)
        where = read_domain(here.domain, len(here.latent), CHANNELS)
        exact = here.exact
        for location, point in enumerate(exact.points):
            assert where.outside(location, point, 1 << exact.shift) is None


SIZED = [name for name, row in ROWS.items() if row.banks == 1]


@pytest.mark.parametrize("vocabulary", ["pairs", "ceiling", "mixed", "topk", "path"])
@pytest.mark.parametrize("name", SIZED)
def test_a_losing_latent_meets_every_tight_fact_outside_its_clause(
    name: str, vocabulary: str
) -> None:
    """So every set of true facts without any of the clause is met by it, and proves nothing."""
    here, rng = made(name, 0), np.random.default_rng(1)
    exact = here.exact
    for _, moves in itertools.islice(losing(here, rng), 3):
        moved = exact.moved(materialise(exact, here.where, moves))
        activations = [tight_activation(exact, j) for j in range(COUNT)]
        broken = frozenset(j for j, fact in enumerate(activations) if violated(fact, moved))
        core = here.core(()).model_copy(update={"vocabulary": vocabulary})
        clause = _said(core, exact, moved, broken)
        ceilings = [ceiling_of(exact, j) for j in _order(exact)]
        if vocabulary == "ceiling":
            assert all(not violated(ceilings[t], moved) for t in clause.ceilings)
        if vocabulary in ("ceiling", "path", "topk"):
            assert clause.facts == broken
        if vocabulary == "topk":
            for k in range(1, len(clause.ceilings) + 1):
                named = _order(exact)[:k]
                last = exact.level(named[-1]).down()
                roof = CeilingFact(bound=last.hex(), exempt=tuple(sorted(named)))
                assert not violated(roof, moved)
                assert not broken & set(named)
        if vocabulary in ("pairs", "mixed"):
            for location, j in here.measured():
                value = exact.measurement(location, j)
                ends = value.down().hex(), value.up().hex()
                fact = PairFact(location=location, prototype=j, lower=ends[0], upper=ends[1])
                if location * COUNT + j not in clause.facts:
                    assert not violated(fact, moved)
        if vocabulary == "mixed":
            first = len(here.latent) * COUNT
            for t, ceiling in enumerate(ceilings):
                if first + COUNT + t not in clause.facts:
                    assert not violated(ceiling, moved)


def tight_activation(exact: Latent, prototype: int) -> ActivationFact:
    value = exact.best(prototype)
    return ActivationFact(prototype=prototype, lower=value.down().hex(), upper=value.up().hex())


def ceiling_of(exact: Latent, prototype: int) -> CeilingFact:
    """The strongest ceiling that bounds by one prototype's level and exempts what measures less."""
    level = exact.level(prototype)
    less_ = tuple(j for j in range(COUNT) if exact.level(j).down() < level.down())
    return CeilingFact(bound=level.down().hex(), exempt=less_)
