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

from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.time_limit import time_is_up
from protoproof.prover.oracle.interval import IntervalState
from protoproof.prover.relaxation.intervals import SLACK
from protoproof.prover.search.greedy_cover import SPARE, Cover
from protoproof.prover.search.named import named_under_ceiling


def ceiling(state: IntervalState, slack: float = SLACK) -> FactSet | None:
    """A small sufficient set of activation facts and one ceiling, or None where there is none.

    No single activation fact of it can be dropped.
    """
    if not state.instance.atoms.linear:
        return named_under_ceiling(state)
    cover = Cover(state, slack)
    best: list[int] | None = None
    for level in cover.levels:
        if best is not None and time_is_up():
            break
        # the ceiling stays, even where the names alone would do
        most = 2 * cover.count if best is None else len(best) + SPARE
        start = cover.count + level
        found = cover.greedy([start], most, ceilings=False, limited=best is not None)
        if found is None:
            continue
        found = found if start in found else [*found, start]
        if best is None or len(found) < len(best):
            best = found
    return None if best is None else cover.facts(best)
