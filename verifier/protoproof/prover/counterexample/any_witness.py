"""Witnesses and refutations for heads of every kind, by the general search of ``seek``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from protoproof.prover.counterexample.seek import Latent, Seeker, weakest
from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import ActivationFact, Fact, FactSet, PairFact
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.reach import refuting
from protoproof.prover.latent.replay import Move
from protoproof.prover.latent.replay_any import Judge, judge_of
from protoproof.prover.latent.time_limit import time_is_up
from protoproof.prover.oracle.interval import IntervalOracle

# Exact replays per set of facts.
_REPLAYS = 3


def witnesses(
    instance: Instance, domain: Domain, facts: FactSet, effort: int
) -> Iterator[tuple[int, tuple[int, tuple[Move, ...]] | None]]:
    """The number of every fact for which a witness is found in time, with rival and moves; and of
    every fact without which the interval oracle proves all margins, with None."""
    where = refuting(domain, instance.latent)
    seeker, judge = Seeker(instance, where, effort), judge_of(instance, where)
    state = IntervalOracle().prepare(instance, where)
    for number, fact in enumerate(facts):
        if time_is_up():
            return
        rest = facts.without(fact)
        margins = state.margins(rest)
        if state.proves(margins):
            yield number, None
            continue
        found = first_losing(seeker, judge, rest, weakest(margins), _released(instance, fact))
        if found is not None:
            row, moves, _ = found
            yield number, (instance.rivals[row], moves)


def first_losing(
    seeker: Seeker,
    judge: Judge,
    facts: FactSet,
    rows: Sequence[int],
    wanted: Sequence[int] = (),
    target: int | None = None,
) -> tuple[int, tuple[Move, ...], Latent] | None:
    """The first latent that meets the facts, loses and survives the exact replay.

    Args:
        target: the class that it has to be predicted as, if any.
    """
    for row, latent in seeker.losing(facts, rows, wanted)[:_REPLAYS]:
        moves = seeker.moves(facts, row, latent)
        rival = seeker.instance.rivals[row]
        if not moves or not judge.survives(facts, None, rival, moves):
            continue
        if target is None or judge.predicts(target, moves):
            return row, tuple(moves), latent
    return None


def _released(instance: Instance, fact: Fact) -> list[int]:
    """The locations that a fact leaves free when it is dropped."""
    match fact:
        case PairFact(location=location):
            return [location]
        case ActivationFact(prototype=prototype):
            return [int(np.argmin(instance.measurement[:, prototype]))]
    return []
