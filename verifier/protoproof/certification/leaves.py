"""Cases of a region in the certificate's words: cuts, forms with their slopes, and evidence."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from protoproof.certificate import partition
from protoproof.certificate.schema import (
    Chord,
    IntervalEvidence,
    JointMultipliers,
    PlaceMultipliers,
    RivalForm,
    Tangent,
)
from protoproof.region.bounds.ascent import Ascent, Problem
from protoproof.region.bounds.dual import CURVED, crossing
from protoproof.region.bounds.splits import UnitCut


@dataclass(frozen=True, eq=False)
class Row:
    """What proves one rival's margin in a case: a form to be propagated, and the head's lines."""

    rival: int
    form: partition.PartForm
    supports: tuple[Tangent, ...]
    opposes: tuple[Chord, ...]


def row_of(problem: Problem, found: Ascent, row: int, rival: int) -> Row:
    """One row of an ascent; ``rival`` is its class."""
    lines, sides = problem.lines, problem.dual.sides[row]
    slopes, _ = lines.forms(found.free)
    at, place = lines.tangents(found.free)[row].tolist(), lines.place[row].tolist()
    supports = tuple(
        Tangent(prototype=j, location=place[j], at=float(at[j]).hex())
        for j in np.flatnonzero(lines.supporting[row].numpy()).tolist()
    )
    opposes = tuple(
        Chord(prototype=j, location=place[j])
        for j in np.flatnonzero(lines.opposing[row].numpy()).tolist()
    )
    duals = found.choice.duals[row, : len(sides)].tolist()
    form = partition.PartForm(
        coefficients=_text(slopes[row], np.float64),
        slopes=_slopes(problem, found, row),
        duals=tuple(float(dual).hex() for dual in duals),
    )
    return Row(rival, form, supports, opposes)


def _slopes(problem: Problem, found: Ascent, row: int) -> tuple[partition.Slopes, ...]:
    """Where the usual lines would not do: of curves, and of ReLUs on both sides of their kink."""
    stated = []
    for name, node in problem.dual.nodes.items():
        curved = node.op in CURVED
        if not curved and not bool(crossing(problem.dual.input_of(node)).any()):
            continue
        low = _text(found.choice.low[name][row], np.float16)
        high = _text(found.choice.high[name][row], np.float16) if curved else None
        stated.append(partition.Slopes(tensor=name, low=low, high=high))
    return tuple(stated)


def _text(values: Tensor, kind: type[np.float16] | type[np.float64]) -> str:
    numbers = values.detach().numpy().astype(np.dtype(kind).newbyteorder("<"))
    return base64.b64encode(numbers.tobytes()).decode()


def evidence_of(rows: tuple[Row, ...]) -> IntervalEvidence:
    """The margins of a case from its forms: that of row k uses the k-th."""
    forms = []
    for k, row in enumerate(rows):
        places = {e.location for e in row.supports} | {e.location for e in row.opposes}
        forms.append(
            RivalForm(
                rival=row.rival,
                supports=row.supports,
                opposes=row.opposes,
                multipliers=tuple(
                    PlaceMultipliers(location=place, facts=(), shift=0, mu=(), domain=True)
                    for place in sorted(places)
                ),
                joint=JointMultipliers(shift=0, nu=tuple(int(i == k) for i in range(len(rows)))),
            )
        )
    return IntervalEvidence(forms=tuple(forms))


def stored_cut(cut: UnitCut) -> partition.UnitCut:
    """A cut in the certificate's words."""
    return partition.UnitCut(tensor=cut.tensor, number=cut.number, at=cut.at.hex())
