"""Vocabulary *ceiling*: choose the ceiling and the named prototypes together.

For a ceiling at the t-th largest activation, the prototypes above it are exempt; every other one
lies below. The fewest names that close every margin under it are a covering problem (theory,
section 5); over all t the smallest cover found wins. Solving each problem to the end does not pay:
where the margin is small, branch and bound runs for minutes to gain one fact.

Exempt prototypes need not be named: one that is exempt and unnamed may take any activation that
the domain and the named ones leave it, and its worst case is charged. (A supporting prototype often
costs nothing that way.)
"""

from __future__ import annotations

from collections.abc import Callable

from protoproof.prover.latent.facts import FactSet
from protoproof.prover.oracle.interval import IntervalState
from protoproof.prover.relaxation.intervals import SLACK
from protoproof.prover.search.greedy_cover import Cover
from protoproof.prover.search.named import named_under_ceiling
from protoproof.prover.search.reading import length_of, shortest_under_one


def ceiling(
    state: IntervalState,
    slack: float = SLACK,
    cover: Callable[[float], Cover] | None = None,
    limit: int | None = None,
    *,
    reading: bool = False,
) -> FactSet | None:
    """A small sufficient set of activation facts and one ceiling, or None where there is none.

    No single activation fact of it can be dropped.

    Args:
        state: of the instance.
        slack: what every margin has to exceed.
        cover: makes one for a slack, or has it already; by default from the state.
        limit: only sets of fewer facts count, or of fewer numbers.
        reading: whether numbers count before facts.
    """
    if not state.instance.atoms.linear:
        return named_under_ceiling(
            state, length_of(len(state.instance.measurement), reading=reading)
        )
    made = Cover(state, slack) if cover is None else cover(slack)
    best = made.smallest(made.levels, ceilings=False, limit=None if reading else limit)
    if reading and best is not None:
        best = shortest_under_one(made, best)
    return None if best is None else made.facts(best)
