"""The prover's exact replay, compared with fractions and with the checker's own construction."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings

from protoproof.network.head.unrounded import integers
from protoproof.prover.latent.domain import Box, Free
from protoproof.prover.latent.facts import CeilingFact, FactSet, PairFact
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import activation_fact, ceiling_fact, pair_fact
from protoproof.prover.latent.replay import Move, Replay
from protoproof.prover.latent.replay_any import judge_of
from protoproof.prover.latent.replay_near import NearFirst, NearReplay
from tests.support.strategies import random_instance, seeds


def fractions(values: object) -> list[Fraction]:
    return [Fraction(float(value)) for value in np.ravel(np.asarray(values))]


def dot(a: list[Fraction], b: list[Fraction]) -> Fraction:
    return sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0))


def minus(a: list[Fraction], b: list[Fraction], share: Fraction = Fraction(1)) -> list[Fraction]:
    return [x - share * y for x, y in zip(a, b, strict=True)]


def reflected(instance: Instance, move: Move) -> list[Fraction]:
    """The schema's construction by Gram-Schmidt over fractions."""
    here = fractions(instance.latent[move.location])
    along = fractions(move.direction)
    if not move.keep:
        return [v + d for v, d in zip(here, along, strict=True)]
    points = [fractions(instance.head.prototypes[i]) for i in move.keep]
    basis: list[list[Fraction]] = []
    for point in points[1:]:
        row = minus(point, points[0])
        for other in basis:
            row = minus(row, other, dot(row, other) / dot(other, other))
        basis.append(row)
    for row in basis:
        along = minus(along, row, dot(along, row) / dot(row, row))
    step = -2 * dot(along, minus(here, points[0])) / dot(along, along)
    return [v + step * d for v, d in zip(here, along, strict=True)]


def random_move(instance: Instance, seed: int, kept: int) -> Move:
    rng = np.random.default_rng(seed)
    keep = rng.permutation(len(instance.activation))[:kept]
    direction = rng.normal(size=instance.head.channels).astype(np.float32)
    return Move(int(rng.integers(len(instance.latent))), tuple(keep.tolist()), direction)


@settings(max_examples=25)
@given(seeds)
@pytest.mark.parametrize("kept", [0, 1, 2, 4])
def test_measurements_are_those_of_the_construction(kept: int, seed: int) -> None:
    instance = random_instance(seed)
    move = random_move(instance, seed, kept)
    row = Replay(instance, Free())._row(move)
    assert row is not None
    row.require(range(len(instance.head.prototypes)))
    point = reflected(instance, move)
    for j, prototype in enumerate(instance.head.prototypes):
        apart = minus(point, fractions(prototype))
        assert Fraction(int(row.numerators[j]), int(row.denominator)) == dot(apart, apart)
    for j in move.keep:
        here = fractions(instance.latent[move.location])
        apart = minus(here, fractions(instance.head.prototypes[j]))
        assert Fraction(int(row.numerators[j]), int(row.denominator)) == dot(apart, apart)
    lowest, highest = float(min(point)), float(max(point))
    inside = Replay(instance, Box(lowest - 1e-9, highest + 1e-9))._row(move)
    outside = Replay(instance, Box(lowest + 1e-9, highest + 1e-9))._row(move)
    above = Replay(instance, Box(lowest - 1e-9, highest - 1e-9))._row(move)
    assert inside is not None
    assert outside is not None
    assert above is not None
    assert (inside.inside, outside.inside, above.inside) == (True, False, False)


def losing(seed: int = 0) -> tuple[Instance, FactSet, PairFact, int, Move]:
    """One location put on a rival's prototype, with nothing but the dropped fact in the way."""
    for number in range(seed, seed + 200):
        instance = random_instance(number, grid=(1, 1))
        for j, prototype in enumerate(instance.head.prototypes):
            apart = ((instance.head.prototypes - prototype) ** 2).sum(axis=1)
            rival = int(np.argmax(instance.head.logits(instance.similarity(apart))))
            if rival != instance.predicted:
                fact = pair_fact(instance, 0, j)
                direction = (prototype - instance.latent[0]).astype(np.float32)
                return instance, FactSet(pairs=(fact,)), fact, rival, Move(0, (), direction)
    raise AssertionError("no random head has a rival")


def test_a_losing_latent_survives() -> None:
    instance, facts, fact, rival, move = losing()
    replay = Replay(instance, Free())
    assert replay.survives(facts, fact, rival, [move])
    assert not replay.survives(facts, fact, rival, [])  # v itself does not lose
    assert not replay.survives(facts, fact, rival, [move, move])  # one location, twice


@settings(max_examples=20)
@given(seeds)
@pytest.mark.parametrize("kept", [0, 1, 3])
def test_float64_says_yes_only_where_the_exact_replay_does(kept: int, seed: int) -> None:
    """Latents around the one that a fact is exact about, many of them on the wrong side of it."""
    instance = random_instance(seed)
    near, exact = NearReplay(instance), Replay(instance, Free())
    move = random_move(instance, seed, kept)
    row = exact._row(move)
    assert row is not None
    row.require(range(len(instance.head.prototypes)))
    measured = np.array([int(n) / int(row.denominator) for n in row.numerators.values()])
    seen = np.argmin(instance.measurement, axis=0)
    facts: list[FactSet] = [FactSet()]
    for j in range(len(measured)):
        low, free = (
            activation_fact(instance, j).lower,
            tuple(np.delete(np.arange(len(measured)), j)),
        )
        bound = min(low, float(measured[j]))
        ends = (bound, np.nextafter(bound, np.inf), bound * (1 - 1e-12), bound * (1 + 1e-12))
        facts += [FactSet(ceilings=(CeilingFact(float(end), free),)) for end in ends if end <= low]
        facts.append(FactSet(activations=(activation_fact(instance, j),)))
        facts.append(FactSet(pairs=(pair_fact(instance, int(seen[j]), j),)))
        facts.append(FactSet(pairs=(pair_fact(instance, move.location, j),)))
    for rival in instance.rivals:
        for some in facts:
            if near.survives(list(some), rival, [move]):
                assert exact.survives(some, None, rival, [move])


def test_float64_knows_that_a_clear_loss_is_one() -> None:
    instance, facts, fact, rival, move = losing()
    assert NearReplay(instance).survives([], rival, [move])
    judge = judge_of(instance, Free())
    assert isinstance(judge, NearFirst)
    assert judge.survives(facts, fact, rival, [move])
    assert not judge.survives(facts, None, rival, [move])
    assert not judge.survives(facts, fact, rival, [move, move])


def test_a_fact_that_is_not_dropped_has_to_hold() -> None:
    instance, facts, fact, rival, move = losing()
    other = pair_fact(instance, 0, (fact.prototype + 1) % len(instance.activation))
    both = FactSet(pairs=(*facts.pairs, other))
    assert not Replay(instance, Free()).survives(both, fact, rival, [move])


@pytest.mark.trust(8)
def test_one_ulp_is_too_much() -> None:
    instance, _, fact, rival, move = losing()
    replay = Replay(instance, Free())
    row = replay._row(move)
    assert row is not None
    other = (fact.prototype + 1) % len(instance.activation)
    row.require([other])
    value = Fraction(int(row.numerators[other]), int(row.denominator))
    nearest = float(value)
    low = nearest if Fraction(nearest) <= value else float(np.nextafter(nearest, -np.inf))
    high = float(np.nextafter(low, np.inf))
    holds = PairFact(0, other, low, high)
    above = PairFact(0, other, high, float(np.nextafter(high, np.inf)))
    below = PairFact(0, other, 0.0, float(np.nextafter(low, -np.inf)))
    for fact_, expected in ((holds, True), (above, value == Fraction(high)), (below, False)):
        facts = FactSet(pairs=(fact, fact_))
        assert replay.survives(facts, fact, rival, [move]) is expected


def test_activations_and_ceilings_have_to_hold() -> None:
    instance, _, fact, rival, move = losing()
    replay = Replay(instance, Free())
    named = FactSet(pairs=(fact,), activations=(activation_fact(instance, fact.prototype),))
    assert not replay.survives(named, fact, rival, [move])
    capped = FactSet(pairs=(fact,), ceilings=(ceiling_fact(instance, fact.prototype, []),))
    assert not replay.survives(capped, fact, rival, [move])
    exempt = ceiling_fact(instance, fact.prototype, range(len(instance.activation)))
    assert replay.survives(FactSet(pairs=(fact,), ceilings=(exempt,)), fact, rival, [move])


def test_nonsense_does_not_survive() -> None:
    instance, facts, fact, rival, move = losing()
    replay = Replay(instance, Free())
    nothing = np.zeros_like(move.direction)
    assert not replay.survives(facts, fact, rival, [Move(0, (0,), nothing)])
    assert not replay.survives(facts, fact, rival, [Move(0, (0, 1, 1), move.direction)])


@given(seeds)
def test_integers_are_exact(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = (rng.normal(size=(2, 3)) * 2.0 ** rng.integers(-140, 100, size=(2, 3))).astype("f4")
    values[0, 0] = 0.0
    whole, shift = integers(values)
    assert [[Fraction(n, 1 << shift) for n in row] for row in whole] == [
        fractions(row) for row in values
    ]
