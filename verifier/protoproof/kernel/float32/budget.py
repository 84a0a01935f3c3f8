"""How far differences of scores of a float32 execution can be from those of the head.

*Theorem* (``docs/level-f.md``). A margin that is certainly greater than its budget over all latents of
the domain that meet the facts, against every rival, is positive in every float32 execution of the
head on such a latent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from protoproof.certificate.schema import Core, Execution, FunctionError
from protoproof.kernel.arithmetic.exact import GRID
from protoproof.kernel.budget import current, spend
from protoproof.kernel.float32.measured import Measuring, Ranges, UnroundableError
from protoproof.kernel.float32.record import FUNCTIONS, SHORTEST, Array, Record, up
from protoproof.kernel.float32.walk import Walk
from protoproof.kernel.latent.bounded import BoundedDomain
from protoproof.kernel.latent.bounds import Bounds
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.model.file import BoundHead
from protoproof.kernel.model.head import Head, Length
from protoproof.kernel.model.reading import Evaluated, evaluated
from protoproof.kernel.model.symbolic.expressions import Sum
from protoproof.kernel.model.symbolic.tables import Program

_KEPT = "float32"  # where a head keeps what does not depend on a certificate


@dataclass(frozen=True)
class Rounding:
    """What a graph's float32 executions have in common.

    Attributes:
        execution: what certificates state of them; None where some step has no rule.
        reason: which, and why.
    """

    known: Evaluated
    execution: Execution | None
    reason: str = ""
    lines: dict[tuple[Program, int], tuple[Fraction, Fraction] | None] = field(default_factory=dict)


def rounding(bound: BoundHead) -> Rounding:
    """How a graph computes its head in float32; computed once for a model, paid by every check."""
    found = bound.kept.get(_KEPT)
    if found is None:
        with current().recorded() as cost:
            found = bound.kept[_KEPT] = _described(bound), cost
    elif isinstance(found, tuple) and current().first(_KEPT):
        current().repeat("the head in float32", found[1])
    if not isinstance(found, tuple) or not isinstance(found[0], Rounding):
        raise TypeError("no rounding of a head")
    return found[0]


def _described(bound: BoundHead) -> Rounding:
    known = evaluated(bound.graph, bound.latents, bound.output)
    head = bound.head
    tree = head.decision.kind == "tree" and head.decision.routing != "distributed"
    if tree:
        return Rounding(known, None, f"a tree read {head.decision.routing} is not what it computes")
    walk = _walk(known, head, {}, math.inf, {})
    try:
        walk.run(known.here.done)
        walk.score(known.logits)
    except UnroundableError as error:
        return Rounding(known, None, str(error))
    form = {"linear": "product", "angular": "angle"}.get(
        head.geometry, "expanded" if walk.curved else "direct"
    )
    errors = tuple(
        FunctionError(function=name, relative=FUNCTIONS[name][0], absolute=FUNCTIONS[name][1])  # type: ignore[arg-type]
        for name in sorted(walk.functions)
    )
    shortest = SHORTEST.hex() if _unfloored(head) else None
    return Rounding(
        known,
        Execution(form=form, functions=errors, shortest=shortest),  # type: ignore[arg-type]
    )


def _unfloored(head: Head) -> bool:
    """Whether angles are divided by what nothing keeps from 0."""
    return head.geometry == "angular" and Length() in head.lengths


def _walk(
    known: Evaluated,
    head: Head,
    ranges: Ranges,
    longest: float,
    lines: dict[tuple[Program, int], tuple[Fraction, Fraction] | None],
) -> Walk:
    angular = head.geometry == "angular"
    shortest = SHORTEST if _unfloored(head) else 0.0
    return Walk(known.here, Measuring(known.here.tables, ranges, angular, longest, shortest, lines))


def budgets(bound: BoundHead, core: Core, bounds: Bounds, where: LatentDomain) -> dict[int, float]:
    """Per rival, what its margin has to exceed, in the units of the head's decision.

    Args:
        bounds: of all measurements, over the latents of ``where`` that meet the facts of ``core``.

    Raises:
        UnroundableError: a step of the head has no rule; it says which.
    """
    found, head = rounding(bound), bound.head
    if found.execution is None:
        raise UnroundableError(found.reason)
    known = found.known
    ranges = _ranges(known, head, bounds)
    walk = _walk(known, head, ranges, _longest(where), found.lines)
    walk.run(known.here.done)
    scores = walk.score(known.logits)
    result = _of_scores(known, walk, scores, core)
    scale = float(head.decision.scale)
    slack = 4 * head.decision.slack / (1 << head.decision.shift)
    return {rival: float(up(np.asarray(b * scale + slack))) for rival, b in result.items()}


def _of_scores(known: Evaluated, walk: Walk, scores: Record, core: Core) -> dict[int, float]:
    total = np.broadcast_to(scores.error, scores.shape).ravel()
    fresh = scores.spread("fresh").ravel()
    sums, errors, alike = _sums(known, walk)
    labels = core.model.decision == "labels"
    c = core.instance.predicted
    result = {}
    spend("the budgets of all rivals", 64 * sums.size)
    for k in core.rivals:
        if labels:
            result[k] = float(total[k])
            continue
        both = float(total[c] + total[k])
        if alike:
            apart = np.abs(sums[c] - sums[k])
            worst = np.where(errors.shared, np.abs(sums[c]) + np.abs(sums[k]), apart)
            used = worst > 0
            with np.errstate(invalid="ignore"):
                part = float(up((worst[used] * errors.size[used]).sum(), worst.size))
            one = part + float(fresh[c] + fresh[k])
            both = min(both, one) if not math.isnan(one) else both
        result[k] = float(up(np.asarray(both)))
    return result


@dataclass(frozen=True)
class _Errors:
    """Of the computed terms of sums: how far each may be off, and whether several tensors hold it
    (each with an error of its own)."""

    size: Array
    shared: Array


def _sums(known: Evaluated, walk: Walk) -> tuple[Array, _Errors, bool]:
    """The scores as sums of computed terms; whether all of those are known."""
    all_ = known.here.known
    scores = [all_.as_sum(int(t)) for t in known.scores.term.ravel().tolist()]
    terms = sorted({t for one in scores for t in one.terms})
    place = {t: k for k, t in enumerate(terms)}
    spend("the terms of scores", 512 * (len(terms) + sum(len(s.terms) for s in scores)))
    weights = np.zeros((len(scores), len(terms)))
    for row, one in zip(weights, scores, strict=True):
        for term, weight in zip(one.terms, one.weights, strict=True):
            row[place[term]] = float(Fraction(weight) / one.denominator)
    atoms = [walk.atoms.get(t) for t in terms]
    errors = _Errors(
        np.array([math.inf if a is None else a.error for a in atoms]),
        np.array([a is None or a.tensor is None for a in atoms], dtype=bool),
    )
    return weights, errors, all(a is not None for a in atoms)


def _longest(where: LatentDomain) -> float:
    """At least the length of a latent at any location; infinite where nothing bounds it."""
    if not where.bounded or not isinstance(where, BoundedDomain):
        return math.inf
    if where.kind in ("sphere", "ball", "simplex"):
        return 1 + 2 * float(Fraction(*where.slack))
    worst = 0
    places = 1 if where.uniform else where.locations
    spend("the lengths of latents", 2048 * places * where.channels)
    for location in range(places):
        low, high = where.ends(location)
        if any(n is None for n in high):
            return math.inf
        worst = max(worst, sum(max(abs(a), abs(b or 0)) ** 2 for a, b in zip(low, high, strict=True)))
    return float(up(np.sqrt(np.asarray(float(Fraction(worst, 1 << 2 * where.shift))))))


def _ranges(known: Evaluated, head: Head, bounds: Bounds) -> Ranges:
    """Of the rows that measure prototypes, the ranges of measurements.

    Everywhere a measurement is at least the least one; at most, what the domain alone says.
    """
    result: Ranges = {}
    spend("the ranges of measurements", 2048 * len(known.reading.rows) * head.location_count)
    for j, (row, program) in enumerate(known.reading.rows):
        places = [k for k in range(head.location_count) if head.measures(k, j)]
        if head.nearest(j):
            near = bounds.best[j]
            everywhere = near[0], _highest([bounds.alone(k, j)[1] for k in places])
        else:
            local = [bounds.at(k, j) for k in places]
            near = everywhere = _lowest([a for a, _ in local]), _highest([b for _, b in local])
        result.setdefault(row, []).append((program, (*_ends(*everywhere), *_ends(*near))))
    return result


def _lowest(ends: list[int | None]) -> int | None:
    return None if None in ends else min(n for n in ends if n is not None)


def _highest(ends: list[int | None]) -> int | None:
    return None if None in ends else max(n for n in ends if n is not None)


def _ends(low: int | None, high: int | None) -> tuple[float, float]:
    """An interval over ``2**GRID``, rounded outwards; 0 is 0."""
    a = -math.inf if low is None else float(Fraction(low, 1 << GRID))
    b = math.inf if high is None else float(Fraction(high, 1 << GRID))
    return a - abs(a) * 2.0**-52, b + abs(b) * 2.0**-52
