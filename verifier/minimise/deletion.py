"""Deletion: a set of pair facts from which the oracle can drop none.

Reference: deletion-based extraction of minimal unsatisfiable subsets (one pass suffices, because
the oracle is monotone: a fact that could not be dropped once can never be dropped later).

    for e in E, least useful first:
        if E - {e} is still proved: E = E - {e}
"""

from __future__ import annotations

from collections.abc import Iterable

from verifier.minimise.order import Pair
from verifier.oracle.exact import ExactState


def delete(state: ExactState, order: Iterable[Pair]) -> None:
    """Drop every pair fact of ``state`` that the oracle does not need, in the given order.

    A fact is dropped only where every margin stays proved; only its location is recomputed.
    """
    for location, prototype in order:
        rest = [j for j in state.places[location].facts if j != prototype]
        state.reduce(location, rest)
