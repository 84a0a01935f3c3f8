"""Workload ``foreign``: every kind of head of the list, from both exporters, to the checker.

One row per kind: whether each exporter's file is recognised as what it is, the facts of every
vocabulary, the smallest of them next to the comparison rules (``rules``), witnesses, what a checker
of its own accepts, and the times. Weights are random: the trained networks have ``heldout``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from protoproof.errors import ProtoProofError
from protoproof.explanation.explainer import Explainer
from tests.benchmarks.measure import Settings
from tests.benchmarks.tally import tally
from tests.support.foreign.export import EXPORTERS, export_family
from tests.support.foreign.families import RECOGNISED
from tests.support.foreign.family import Family
from tests.support.foreign.found import form_of, loaded
from tests.support.foreign.running import inputs


def foreign(settings: Settings) -> list[dict[str, Any]]:
    """A row per kind of head; times are processor seconds with one thread."""
    return [{"workload": "foreign", "rows": list(_rows(settings.foreign))}]


def _rows(count: int) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        for family in RECOGNISED:
            known = {exporter: recognised(family, exporter, Path(folder)) for exporter in EXPORTERS}
            path = next((path for path in known.values() if isinstance(path, Path)), None)
            words = {e: "yes" if isinstance(p, Path) else p for e, p in known.items()}
            row: dict[str, Any] = {"method": family.name, **words}
            if path is not None:
                network, _, _ = loaded(path, family.output)
                chosen = (x[0] for x in inputs(family.shape, count))
                row |= tally(Explainer(network), chosen, count).row()
            yield row


def recognised(family: Family, exporter: str, folder: Path) -> Path | str:
    """The exported file where it is recognised as what it is and can be certified, else ``no``,
    ``refused`` where the list says that the checker cannot read what is stored, or ``-``: no file.
    """
    if exporter in family.unexported:
        return "-"
    if exporter in family.uncertified:
        return "refused"
    path = export_family(family, folder, exporter)
    try:
        network, _, _ = loaded(path, family.output)
    except ProtoProofError:
        return "no"
    return path if form_of(network) == family.expected else "no"
