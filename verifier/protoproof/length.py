"""How long a set of facts is for whoever reads it: facts, and the numbers that they carry.

Two sets of equally many facts can differ tenfold in what has to be read: a ceiling is one fact,
whatever the number of prototypes that are exempt from it. So every size is told twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from protoproof.wording import plural


def numbers(facts: Iterable[Any], locations: int) -> int:
    """The numbers that a person must read: of every fact its value, the prototype that it is about
    and the location where it looks, and of a ceiling every prototype that is exempt from it.

    A value is one number, an interval too. A location is none where there is only one. A prototype
    that two facts name is read twice.

    Args:
        facts: of a certificate, or of a search: they have the same fields.
        locations: how many locations the latent has.
    """
    return sum(numbers_of(fact, locations) for fact in facts)


def numbers_of(fact: Any, locations: int) -> int:
    """Those of one fact; see :func:`numbers`."""
    exempt = getattr(fact, "exempt", None)
    if exempt is not None:
        return 1 + len(exempt)
    return of_pair(locations) if hasattr(fact, "location") else 2


def of_pair(locations: int) -> int:
    """Those of every pair fact."""
    return 3 if locations > 1 else 2


def size_words(facts: int, figures: int | None) -> str:
    """``9 facts with 147 numbers``; the facts alone where the numbers are not known."""
    said = plural(facts, "fact")
    return said if figures is None or not facts else f"{said} with {plural(figures, 'number')}"
