"""What all minimal explanations say about single facts: core, irrelevant, and a fact's share.

Counts are exact where the enumeration was complete. Otherwise they are about the first N minimal
explanations that turned up, which is no random sample: a share then says nothing about the rest.
A fact is *core* where releasing it alone lets the class change: then it is in every explanation,
however few were found. It is *irrelevant* where it is in none, which only a complete enumeration
shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from protoproof.prover.latent.facts import Fact
from protoproof.prover.search.enumerate import Contrast, End, Minimal


@dataclass(frozen=True)
class Attribution:
    """See the module's docstring.

    Attributes:
        counts: how many of the explanations contain a fact, most first; facts in none are absent.
        explanations: how many there are.
        complete: whether these are all minimal explanations.
        core: facts that are in every minimal explanation, found or not.
        irrelevant: facts that are in none; None where that is not known.
    """

    counts: tuple[tuple[Fact, int], ...]
    explanations: int
    complete: bool
    core: tuple[Fact, ...]
    irrelevant: tuple[Fact, ...] | None

    def share(self, fact: Fact) -> float:
        """Share of the explanations that contain a fact; 0 where there are none."""
        return dict(self.counts).get(fact, 0) / max(self.explanations, 1)


def attribute(elements: Sequence[Fact], stream: Iterable[Minimal | Contrast | End]) -> Attribution:
    """Counts from a finished enumeration.

    Args:
        elements: all facts of the vocabulary, in order.
        stream: everything that the enumeration gave.
    """
    items = list(stream)
    sets = [frozenset(item.facts) for item in items if isinstance(item, Minimal)]
    complete = any(item.complete for item in items if isinstance(item, End))
    counts = Counter(fact for facts in sets for fact in facts)
    place = {fact: index for index, fact in enumerate(elements)}
    alone = {
        fact
        for item in items
        if isinstance(item, Contrast) and len(item.facts) == 1
        for fact in item.facts
    }
    if complete and sets:
        alone |= frozenset.intersection(*sets)
    return Attribution(
        tuple(sorted(counts.items(), key=lambda item: (-item[1], place[item[0]]))),
        len(sets),
        complete,
        tuple(fact for fact in elements if fact in alone),
        tuple(fact for fact in elements if fact not in counts) if complete else None,
    )
