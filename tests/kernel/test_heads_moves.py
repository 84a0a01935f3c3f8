"""Moves, witnesses and clauses over heads of every kind."""

from __future__ import annotations

import base64
import itertools

import numpy as np
import pytest

from protoproof.certificate.schema import (
    CeilingFact,
    Fact,
    Move,
    PairFact,
    Witness,
)
from protoproof.errors import CertificateError
from protoproof.kernel.latent.facts import violated
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.latent.size import _said, ranked, violated_pairs
from protoproof.kernel.latent.witness import departures, materialise, witness_complaints
from tests.support.kernel.algebra import (
    CHANNELS,
    COUNT,
    NAMES,
    ROWS,
    Made,
    losing,
    made,
    tight_activation,
)
from tests.support.kernel.sampling import NEAR, SEEDS


def moves_of(here: Made, keep: tuple[int, ...], rng: np.random.Generator) -> tuple[Move, ...]:
    step = rng.normal(0, 0.3, CHANNELS).astype("<f4")
    text = base64.b64encode(step.tobytes()).decode()
    return (Move(location=0, keep=keep, direction=text),)


KEEPING = [name for name, row in ROWS.items() if row.geometry != "diagonal" and not row.beside]


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
        ceilings = [ceiling_of(exact, j) for j in ranked(exact)]
        if vocabulary == "ceiling":
            assert all(not violated(ceilings[t], moved) for t in clause.ceilings)
        if vocabulary in ("ceiling", "path", "topk"):
            assert clause.facts == broken
        if vocabulary == "topk":
            for k in range(1, len(clause.ceilings) + 1):
                named = ranked(exact)[:k]
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


def ceiling_of(exact: Latent, prototype: int) -> CeilingFact:
    """The strongest ceiling that bounds by one prototype's level and exempts what measures less."""
    level = exact.level(prototype)
    less_ = tuple(j for j in range(COUNT) if exact.level(j).down() < level.down())
    return CeilingFact(bound=level.down().hex(), exempt=less_)
