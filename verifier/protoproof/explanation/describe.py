"""One fact as plain data for the JSON document of an explanation."""

from __future__ import annotations

import math
from typing import Any

from protoproof.explanation.quantities import UNBOUNDED, Ends, Numbers, Quantities
from protoproof.prover.latent.facts import CeilingFact, Fact, PairFact
from protoproof.prover.search.contrastive import Contrastive


def describe(fact: Fact, quantities: Quantities) -> dict[str, Any]:
    """One fact for the JSON document: indices, and numbers as people read them.

    ``between`` are the ends of ``quantity``, ``activation`` those of the activation; an end that
    nothing bounds is None. ``squared_distance`` is there where the quantity is one.
    """
    head = quantities.head
    if isinstance(fact, CeilingFact):
        found = quantities.ceiling(fact.bound)
        return {"kind": "ceiling", **_numbers(found), "exempt": list(fact.exempt)}
    prototype = fact.prototype
    pair = isinstance(fact, PairFact)
    measure = quantities.pair if pair else quantities.activation
    found = measure(prototype, fact.lower, fact.upper)
    body: dict[str, Any] = {"kind": "pair" if pair else "activation"}
    if isinstance(fact, PairFact):
        row, column = divmod(fact.location, head.grid[1])
        body |= {"location": fact.location, "row": row, "column": column}
    body |= {"prototype": prototype, **_numbers(found)}
    if head.geometry == "euclidean" and (pair or head.pooling_of.kinds[prototype] == "nearest"):
        body["squared_distance"] = _ends((fact.lower, fact.upper))
    if head.prototype_class is not None:
        body["class"] = head.prototype_class[prototype]
    return body


def _numbers(found: Numbers) -> dict[str, Any]:
    return {
        "quantity": None if found.quantity is None else found.quantity.name,
        "between": None if found.quantity is None else _ends(found.ends),
        "activation": None if found.activation is None else _ends(found.activation),
    }


def _ends(ends: Ends) -> list[float | None]:
    """Two numbers; None where an end is infinite, which JSON cannot say."""
    return [end if math.isfinite(end) and abs(end) < UNBOUNDED else None for end in ends]


def contrast_json(
    found: Contrastive, names: tuple[str, ...], quantities: Quantities
) -> dict[str, Any]:
    """A contrast as plain data."""
    return {
        "class": found.target,
        "class_name": names[found.target],
        "released": [describe(fact, quantities) for fact in found.released],
        "minimal": found.minimal,
        "changes": [
            {
                "prototype": change.prototype,
                "location": change.location,
                "activation": [change.before, change.after],
                "effect": change.effect,
            }
            for change in found.changes
        ],
        "nearest_prototypes": [
            {"location": location, "prototypes": list(near)} for location, near in found.nearest
        ],
    }
