"""In which order facts are tried for deletion: the least useful first.

The worth of a fact is the margin that is lost when it alone is dropped. Dropping cheap facts first
spends the available margin on as many facts as possible.
"""

from __future__ import annotations

from protoproof.prover.relaxation.intervals import ExactState

Pair = tuple[int, int]


def by_worth(state: ExactState) -> list[Pair]:
    """All pairs of ``state``, by the least margin that would be left without each, largest first.

    Ties are broken by (location, prototype), so equal runs agree.
    """

    def left(pair: Pair) -> float:
        location, prototype = pair
        rest = [j for j in state.places[location].facts if j != prototype]
        return float(state.margins_with(location, rest).min())

    return sorted(state.pairs, key=lambda pair: (-left(pair), pair))
