"""Inflation: intervals instead of recorded values, as wide as the proof allows.

A certificate of equalities is about one latent; a person can use intervals ("as long as the
similarity to prototype 7 stays above 0.81"). The ends may move outwards until some margin is used
up:

    reach[end] = how far the end could move alone
    share      = the largest s in [0, 1] such that all ends at s * reach keep every margin proved
    then, in order: every end moves on as far as the margins that are left allow

The first pass is fair (everybody gets the same share of what it could have alone), the second makes
the result maximal: no end can move any further by itself. What an end may do is written in
``ends`` (sets without pair facts: the proof follows the facts) and ``ends_of_proof`` (sets with
pair facts: the multipliers of a proof are held fixed, and only its bounds get looser).

Reference: Y. Izza, A. Ignatiev, P. J. Stuckey, J. Marques-Silva, "Delivering Inflated
Explanations", AAAI 2024.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.certificate import schema
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.proof.ends import SimilarityEnds
from protoproof.prover.proof.ends_of_proof import ProofEnds
from protoproof.prover.proof.level_ends import LevelEnds
from protoproof.prover.relaxation.intervals import Intervals

Position = Float[NDArray[np.float64], " end"]


class Ends(Protocol):
    """All ends that can move; a position gives each of them a place on a scale of its own.

    ``start``: where they are recorded. ``steps``: halvings of a bisection when an end moves alone,
    when all move together, and when an end moves last.
    """

    start: Position
    steps: tuple[int, int, int]

    def least(self, position: Position, index: int) -> float:
        """The share of its way that an end has gone already."""

    def moved(self, position: Position, index: int, share: float) -> float:
        """The place of an end at a share of its way, from where it is to where nothing stops it."""

    def proves(self, position: Position) -> bool:
        """Whether every margin is proved with the facts that ``facts_at`` gives."""

    def facts_at(self, position: Position) -> FactSet:
        """The facts with their ends at a position."""


def inflate(state: Intervals, facts: FactSet) -> FactSet:
    """Facts with the widest intervals found that intervals still prove; pair facts stay.

    ``state`` describes the pair facts of ``facts`` (usually none). A set that the interval margins
    do not prove is returned unchanged.
    """
    head = state.instance.head
    ends = SimilarityEnds if head.plain and head.uniform else LevelEnds
    return _inflated(ends(state, facts), facts)


def widest(state: Intervals, facts: FactSet, core: schema.Core) -> FactSet:
    """``facts`` with the widest intervals found that the evidence of ``core`` still proves.

    Args:
        state: gives the instance, the domain's bounds and the least margin that counts as proved.
        facts: those that ``core`` states, as recorded.
        core: a certificate whose multipliers are kept.

    A set that float64 does not confirm is returned unchanged.
    """
    return _inflated(ProofEnds(state, facts, core), facts)


def _inflated(ends: Ends, facts: FactSet) -> FactSet:
    start = ends.start
    if not ends.proves(start):
        return facts
    alone_steps, together, last = ends.steps
    alone = np.array([_alone(ends, start, index, alone_steps) for index in range(len(start))])
    share = _largest(lambda s: ends.proves(_between(start, alone, s)), 0.0, together)
    position = _between(start, alone, share)
    for index in range(len(position)):
        position[index] = _alone(ends, position, index, last)
    return ends.facts_at(position)


def _alone(ends: Ends, position: Position, index: int, steps: int) -> float:
    """Where one end can go while all others stay where they are."""

    def proves(share: float) -> bool:
        trial = position.copy()
        trial[index] = ends.moved(position, index, share)
        return ends.proves(trial)

    share = _largest(proves, ends.least(position, index), steps)
    return ends.moved(position, index, share)


def _between(start: Position, end: Position, share: float) -> Position:
    return end.copy() if share == 1.0 else start + share * (end - start)


def _largest(holds: Callable[[float], bool], start: float, steps: int) -> float:
    """The largest share found by bisection on [start, 1]; ``start`` is known to hold."""
    if holds(1.0):
        return 1.0
    low, high = start, 1.0
    for _ in range(steps):
        middle = (low + high) / 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low
