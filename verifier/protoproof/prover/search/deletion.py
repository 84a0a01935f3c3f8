"""Deletion: a set of facts from which the oracle can drop none.

    for e in E, least useful first:
        if E - {e} is still proved: E = E - {e}

One pass suffices, because oracles are monotone: a fact that could not be dropped once can never be
dropped later. What is useful is told by the margin that is left without it: dropping cheap facts
first spends the margins on as many facts as possible.

Reference: J. W. Chinneck, E. W. Dravnieks, "Locating Minimal Infeasible Constraint Sets in Linear
Programs", ORSA Journal on Computing 3(2), 1991 (the deletion filter).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from protoproof.prover.latent.facts import Fact, FactSet, PairFact
from protoproof.prover.latent.time_limit import time_is_up
from protoproof.prover.oracle.interval import IntervalState
from protoproof.prover.oracle.oracle import Decision, State
from protoproof.verdict import Status

# Facts that may turn out to be needed before a search of the cheapest ones ends.
_MISSES = 2

Item = TypeVar("Item")
Kept = TypeVar("Kept")
_Item = TypeVar("_Item", contravariant=True)

# By how much margins that are computed in different ways may differ.
_ROUNDING = 1e-6


class Shrinking(Protocol[_Item]):
    """A set that can lose its members one at a time: a :class:`State`, or a :class:`Subset`."""

    def drop(self, item: _Item, /) -> bool:
        """Leave a member out if the rest suffices; whether it does."""


@dataclass
class Subset(Generic[Kept, Item]):
    """A set of any kind, what it is ``without`` a member, and when it ``suffices``."""

    kept: Kept
    without: Callable[[Kept, Item], Kept]
    suffices: Callable[[Kept], bool]

    def drop(self, item: Item) -> bool:
        """See :class:`Shrinking`."""
        rest = self.without(self.kept, item)
        if not self.suffices(rest):
            return False
        self.kept = rest
        return True


def delete(what: Shrinking[Item], order: Iterable[Item], patience: float = math.inf) -> None:
    """Drop every member that is not needed, in the given order; see the module's docstring.

    What is left when the time is up stays, needed or not; so is what is left once so many members
    in a row (``patience``) could not be dropped.
    """
    failed = 0
    for item in order:
        if time_is_up() or failed >= patience:
            return
        failed = 0 if what.drop(item) else failed + 1


def least_useful_first(
    items: Iterable[Item], left: Callable[[Item], NDArray[np.float64]]
) -> list[Item]:
    """Those first without which the least of the margins ``left`` is largest; ties as they come.

    In no order where the time is up: then nothing is dropped any more.
    """
    every = list(items)
    least = {}
    for item in every:
        if time_is_up():
            return every
        least[item] = float(left(item).min())
    return sorted(least, key=lambda item: -least[item])


def by_worth(state: State) -> list[Fact]:
    """All facts of ``state``, least useful first; ties by their canonical order."""
    return least_useful_first(state.facts, _left(state))


def spare(state: IntervalState) -> list[Fact]:
    """Those of :func:`by_worth` that are worth an attempt to drop them.

    Where all others do not suffice, fewer never will.
    """
    left = _left(state)
    order = least_useful_first(state.facts, left)
    return [fact for fact in order if float(left(fact).min()) > state.slack - _ROUNDING]


def _left(state: State) -> Callable[[Fact], Any]:
    """The margins without a fact, or their least; computed together for those of a location."""
    if not isinstance(state, IntervalState):
        return state.margins_without
    at: dict[int, dict[int, np.float64]] = {}

    def left(fact: Fact) -> Any:
        if not isinstance(fact, PairFact):
            return state.margins_without(fact)
        place = fact.location
        if place not in at:
            least = state.least_without_each(place)
            at[place] = dict(zip(state.known[place].facts, least, strict=True))
        return at[place][fact.prototype]

    return left


def delete_facts(state: State, facts: FactSet) -> FactSet:
    """``facts``, which the state proves, less every fact of any kind that it does not need."""
    return drop_facts(facts, facts, state.decide)


def drop_facts(
    facts: FactSet, tried: Iterable[Fact], decide: Callable[[FactSet], Decision]
) -> FactSet:
    """``facts``, which ``decide`` proves, less every one of ``tried`` that it does not need."""

    def suffices(some: FactSet) -> bool:
        return decide(some).verdict.status is Status.PROVED

    subset = Subset(facts, FactSet.without, suffices)
    delete(subset, least_useful_first(tried, lambda fact: decide(facts.without(fact)).margins))
    return subset.kept


def without_cheapest(
    facts: FactSet, order: State, decide: Callable[[FactSet], Decision], misses: int = _MISSES
) -> FactSet:
    """``facts`` less those that ``decide`` does not need, of which only the cheapest are tried.

    Args:
        order: says which facts are cheap: those without which its margins are largest.
        decide: proves sets; it need not be monotone.
        misses: the search ends after so many that are needed.
    """
    cheap = least_useful_first(facts, lambda fact: order.decide(facts.without(fact)).margins)
    for fact in cheap:
        if not misses or len(facts) == 1 or time_is_up():
            break
        rest = facts.without(fact)
        if decide(rest).verdict.status is Status.PROVED:
            facts = rest
        else:
            misses -= 1
    return facts
