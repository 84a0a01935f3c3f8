"""One fact as plain data for the JSON document of an explanation, and a table for notebooks."""

from __future__ import annotations

import html
from typing import Any

import numpy as np

from protoproof.prover.latent.facts import ActivationFact, CeilingFact, Fact
from protoproof.prover.latent.instance import Instance
from protoproof.prover.search.contrastive import Contrastive


def describe(fact: Fact, instance: Instance) -> dict[str, Any]:
    """One fact for the JSON document: indices, bounds in squared L2, similarity at the instance."""
    grid_columns = instance.head.grid[1]
    if isinstance(fact, CeilingFact):
        tau = float(instance.similarity(np.array([fact.bound]), [0])[0])
        return {
            "kind": "ceiling",
            "similarity_at_most": tau,
            "squared_distance_at_least": fact.bound,
            "exempt": list(fact.exempt),
        }
    body = {
        "prototype": fact.prototype,
        "squared_distance": [fact.lower, fact.upper],
        "similarity": float(instance.similarity(np.array([fact.upper]), [fact.prototype])[0]),
    }
    if instance.head.prototype_class is not None:
        body["class"] = instance.head.prototype_class[fact.prototype]
    if isinstance(fact, ActivationFact):
        return {"kind": "activation", **body}
    row, column = divmod(fact.location, grid_columns)
    return {"kind": "pair", "location": fact.location, "row": row, "column": column, **body}


def table(caption: str, **rows: str) -> str:
    """A short HTML table; everything in it is escaped."""
    cells = "".join(f"<tr><th>{k}</th><td>{html.escape(v)}</td></tr>" for k, v in rows.items())
    return f"<table><caption>{html.escape(caption)}</caption>{cells}</table>"


def contrast_json(found: Contrastive, names: tuple[str, ...], instance: Instance) -> dict[str, Any]:
    """A contrast as plain data."""
    return {
        "class": found.target,
        "class_name": names[found.target],
        "released": [describe(fact, instance) for fact in found.released],
        "minimal": found.minimal,
        "changes": [
            {
                "prototype": change.prototype,
                "location": change.location,
                "similarity": [change.before, change.after],
                "effect": change.effect,
            }
            for change in found.changes
        ],
        "nearest_prototypes": [
            {"location": location, "prototypes": list(near)} for location, near in found.nearest
        ],
    }
