"""Facts in plain words.

Words say what a fact fixes and no more: an activation fact fixes *how strongly* a prototype is
seen, not *where*, so its place is given as an observation ("here at").
"""

from __future__ import annotations

import math

from protoproof.certificate.schema import ActivationFact, CeilingFact, Fact, PairFact
from protoproof.explanation.quantities import Ends, Numbers, is_value
from protoproof.report.page.reading import Reading
from protoproof.report.page.text import at_least, at_most, label, nearest
from protoproof.wording import plural

_EXEMPT = 6  # exempt prototypes that the sentence of a ceiling names


def prototype_words(prototype: int, reading: Reading) -> str:
    """``Prototype 37 (a “7”)``; a channel that stands for itself is a concept."""
    owner = reading.owner(prototype)
    name = f"{reading.words.noun.capitalize()} {prototype}"
    return name + ("" if owner is None else f" (a “{label(owner)}”)")


def place_words(location: int, reading: Reading) -> str:
    """``row 2, column 5``: rows and columns of the latent grid, counted from 0."""
    return reading.place_words(location)


def fact_words(fact: Fact, reading: Reading) -> str:
    """One sentence for a fact; an equality in the premises reads as a value, else as a range."""
    match fact:
        case PairFact():
            name = prototype_words(fact.prototype, reading)
            place = place_words(fact.location, reading)
            place = f"The location at {place}" if "row" in place else place
            what = reading.words.measured(fact.prototype)
            kept = "distance to" if what.is_distance else f"{what.name} with"
            return (
                f"{'The latent' if reading.single else place[0].upper() + place[1:]} keeps its "
                f"{kept} {name[0].lower()}{name[1:]}: {_values(numbers(fact, reading))}."
            )
        case ActivationFact():
            here = ""
            if not reading.single and reading.has_place(fact.prototype):
                where = reading.best_location(fact.prototype)
                here = f", here at {place_words(where, reading)}"
            name = prototype_words(fact.prototype, reading)
            return f"{name} is seen with {_values(numbers(fact, reading))}{here}."
        case CeilingFact():
            return _ceiling_words(fact, reading)


def brief_words(fact: Fact, reading: Reading) -> str:
    """The sentence of a fact where its location is already named, as in a list by location."""
    if not isinstance(fact, PairFact):
        return fact_words(fact, reading)
    name = prototype_words(fact.prototype, reading)
    return f"{name}: {_values(numbers(fact, reading))}."


def seen_words(fact: PairFact | ActivationFact, reading: Reading) -> str:
    """How strongly a prototype was seen: one number with its name."""
    words, prototype = reading.words, fact.prototype
    if isinstance(fact, PairFact):
        stored = float(reading.measurement[fact.location, prototype])
        found = words.pair(prototype, stored, stored)
    else:
        stored = float(reading.pooled[prototype])
        found = words.activation(prototype, stored, stored)
    return _values(found).partition(" (")[0]


def range_words(fact: PairFact, reading: Reading) -> str:
    """What a pair fact says of its measurement: ``similarity between 0.3 and 4.9 (...)``."""
    return _values(numbers(fact, reading))


def numbers(fact: Fact, reading: Reading) -> Numbers:
    """The numbers of a stored fact, as people read them."""
    if isinstance(fact, CeilingFact):
        return reading.words.ceiling(float.fromhex(fact.bound))
    lower, upper = float.fromhex(fact.lower), float.fromhex(fact.upper)
    if isinstance(fact, PairFact):
        return reading.words.pair(fact.prototype, lower, upper)
    return reading.words.activation(fact.prototype, lower, upper)


def _values(found: Numbers) -> str:
    """The activation first, and what was measured behind it; once where they say the same."""
    name = "" if found.quantity is None else found.quantity.name
    if found.activation is None:
        return f"{name} {_range(found.ends)}"
    if found.word == name:
        return f"{name} {_range(found.activation)}"
    beside = "" if found.quantity is None else f" ({name} {_short(found.ends)})"
    # what is measured as one value has one activation, whatever its rounding
    one = found.quantity is not None and is_value(*found.ends)
    return f"{found.word} {_range(found.activation, one)}{beside}"


def _range(ends: Ends, one: bool = False) -> str:
    """Ends that are proved, so rounded outwards; one value is an observation."""
    least, most = ends
    if one or is_value(least, most):
        return nearest((least + most) / 2)
    if math.isinf(least):
        return "of any size" if math.isinf(most) else f"of at most {at_most(most)}"
    if math.isinf(most):
        return f"of at least {at_least(least)}"
    return f"between {at_least(least)} and {at_most(most)}"


def _short(ends: Ends) -> str:
    least, most = ends
    if is_value(least, most):
        return nearest((least + most) / 2)
    if math.isinf(least):
        return "of any size" if math.isinf(most) else f"up to {at_most(most)}"
    return (
        f"from {at_least(least)}" if math.isinf(most) else f"{at_least(least)} to {at_most(most)}"
    )


def _ceiling_words(fact: CeilingFact, reading: Reading) -> str:
    exceeds = _exceeds(numbers(fact, reading), "" if reading.single else " anywhere")
    noun = reading.words.noun
    if not fact.exempt:
        return f"No {noun} {exceeds}."
    others = reading.prototypes - len(fact.exempt)
    named = ", ".join(map(str, fact.exempt[:_EXEMPT])) + (
        f" and {len(fact.exempt) - _EXEMPT} more" if len(fact.exempt) > _EXEMPT else ""
    )
    return (
        f"No {noun} but {plural(len(fact.exempt), 'exempt one', 'exempt ones')} ({named}) "
        f"{exceeds}: {plural(others, f'{noun} is', f'{noun}s are')} under "
        "this ceiling."
    )


def _exceeds(found: Numbers, anywhere: str) -> str:
    """What nothing under a ceiling does."""
    if found.activation is not None or found.quantity is None:
        limit = (found.activation or found.ends)[1]
        return f"exceeds {found.word} {at_most(limit)}{anywhere}"
    least, most = found.ends
    if found.quantity.is_distance:
        return f"comes nearer than {found.quantity.name} {at_least(least)}{anywhere}"
    return f"exceeds {found.quantity.name} {at_most(most)}{anywhere}"
