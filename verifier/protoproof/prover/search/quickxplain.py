"""QuickXplain: a minimal sufficient set by halving, for many facts of which few are needed.

Reference: U. Junker, "QUICKXPLAIN: Preferred Explanations and Relaxations for Over-Constrained
Problems", AAAI 2004.

    qx(background, added, facts):
        if something was added and the background suffices: return {}
        if facts is one fact: return it
        split facts into first, second half
        kept2 = qx(background + first, first, second)
        kept1 = qx(background + kept2, kept2, first)
        return kept1 + kept2

With k of n facts kept it asks the oracle about 2k log2(n / k) + 2k times, linear deletion n times:
it wins where k is below about a tenth of n. As with deletion, a fact is left out only where the
oracle called a set without it sufficient, and for a monotone oracle no fact of the result can go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def quickxplain(facts: Sequence[Item], suffices: Callable[[Sequence[Item]], bool]) -> list[Item]:
    """A minimal sufficient subset of ``facts``, in their order; the first ones are preferred.

    Args:
        facts: a sufficient set, the facts to be kept rather than others first.
        suffices: the oracle, monotone: a superset of a sufficient set suffices.
    """
    position = {fact: index for index, fact in enumerate(facts)}

    def reduced(background: list[Item], added: bool, rest: list[Item]) -> list[Item]:
        if added and suffices(background):
            return []
        if len(rest) == 1:
            return rest
        middle = len(rest) // 2
        first, second = rest[:middle], rest[middle:]
        later = reduced(background + first, True, second)
        sooner = reduced(background + later, bool(later), first)
        return sooner + later

    if not facts or suffices([]):
        return []
    return sorted(reduced([], False, list(facts)), key=position.__getitem__)
