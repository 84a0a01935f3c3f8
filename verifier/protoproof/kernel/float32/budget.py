"""How far differences of scores of a float32 execution can be from those of the head.

*Theorem* (``docs/level-f.md``). A margin that is certainly greater than its budget, over all
latents of the domain that meet the facts and against every rival, is positive in every float32
execution of the head on such a latent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from protoproof.certificate.schema import Core, Execution, FunctionError
from protoproof.kernel.arithmetic.exact import GRID
from protoproof.kernel.budget import current, spend
from protoproof.kernel.float32.kept import Kept
from protoproof.kernel.float32.measured import Measuring, Ranges, UnroundableError
from protoproof.kernel.float32.record import FUNCTIONS, SHORTEST, up
from protoproof.kernel.float32.scores import Allowance, Scores, Weights
from protoproof.kernel.float32.walk import Walk
from protoproof.kernel.latent.bounded import BoundedDomain
from protoproof.kernel.latent.bounds import Bounds, Interval, over_domain
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.model.file import BoundHead
from protoproof.kernel.model.head import Head, Length
from protoproof.kernel.model.reading import Evaluated, evaluated

_KEPT = "float32"  # where a head keeps what does not depend on a certificate


@dataclass(frozen=True)
class Rounding:
    """What a graph's float32 executions have in common.

    Attributes:
        execution: what certificates state of them; None where some step has no rule.
        reason: which, and why.
        anywhere: what is known about the scores of all latents whatsoever; None without execution.
    """

    known: Evaluated
    execution: Execution | None
    reason: str = ""
    kept: Kept = field(default_factory=Kept)
    anywhere: Scores | None = None


def rounding(bound: BoundHead) -> Rounding:
    """How a graph computes its head in float32; computed once for a model, paid by every check."""
    found = bound.kept.get(_KEPT)
    if found is None:
        current().first(_KEPT)
        with current().recorded() as cost:
            found = bound.kept[_KEPT] = _described(bound), cost
    elif isinstance(found, tuple) and current().first(_KEPT):
        current().repeat("the head in float32", found[1])
    if not isinstance(found, tuple) or not isinstance(found[0], Rounding):
        raise TypeError("no rounding of a head")
    return found[0]


def _described(bound: BoundHead) -> Rounding:
    known = bound.evaluated or evaluated(bound.graph, bound.latents, bound.output)
    head = bound.head
    tree = head.decision.kind == "tree" and head.decision.routing != "distributed"
    if tree:
        return Rounding(known, None, f"a tree read {head.decision.routing} is not what it computes")
    kept = Kept()
    free = LatentDomain(head.location_count, head.channels)
    walk = _walk(known, head, _ranges(known, head, over_domain(head, free)[0]), math.inf, kept)
    try:
        walk.run(known.here.done)
        anywhere = Scores.of(Weights.of(known), walk, walk.score(known.logits))
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
        kept=kept,
        anywhere=anywhere,
    )


def _unfloored(head: Head) -> bool:
    """Whether angles are divided by what nothing keeps from 0."""
    return head.geometry == "angular" and Length() in head.lengths


def _walk(
    known: Evaluated,
    head: Head,
    ranges: Ranges,
    longest: float,
    kept: Kept,
) -> Walk:
    angular = head.geometry == "angular"
    shortest = SHORTEST if _unfloored(head) else 0.0
    rules = Measuring(known.here.tables, ranges, angular, longest, shortest, kept)
    return Walk(known.here, rules, known.reading.features)


def allowances_anywhere(bound: BoundHead, core: Core) -> dict[int, Allowance]:
    """Per rival, over all latents whatsoever: no more is known of those that meet facts.

    Raises:
        UnroundableError: a step of the head has no rule; it says which.
    """
    return _in_units(bound.head, _required(bound)[1], core)


def allowances(
    bound: BoundHead, core: Core, bounds: Bounds, where: LatentDomain
) -> dict[int, Allowance]:
    """Per rival.

    Args:
        bounds: of all measurements, over the latents of ``where`` that meet the facts of ``core``.

    Raises:
        UnroundableError: a step of the head has no rule; it says which.
    """
    found, anywhere = _required(bound)
    known, head = found.known, bound.head
    ranges = _ranges_within(known, head, bounds)
    walk = _walk(known, head, ranges, _longest(where), found.kept)
    walk.run(known.here.done)
    return _in_units(head, Scores.of(anywhere.by, walk, walk.score(known.logits)), core)


def _required(bound: BoundHead) -> tuple[Rounding, Scores]:
    found = rounding(bound)
    if found.anywhere is None:
        raise UnroundableError(found.reason)
    return found, found.anywhere


def _in_units(head: Head, scores: Scores, core: Core) -> dict[int, Allowance]:
    """With budgets in the units of the head's decision."""
    scale = float(head.decision.scale)
    slack = 4 * head.decision.slack / (1 << head.decision.shift)
    return {
        rival: Allowance(float(up(np.asarray(one.budget * scale + slack))), one.least, one.apart)
        for rival, one in scores.allowances(core)
    }


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
        worst = max(
            worst, sum(max(abs(a), abs(b or 0)) ** 2 for a, b in zip(low, high, strict=True))
        )
    return float(up(np.sqrt(np.asarray(float(Fraction(worst, 1 << 2 * where.shift))))))


def _ranges(known: Evaluated, head: Head, alone: Sequence[Interval]) -> Ranges:
    """Of the rows that measure prototypes, the ranges of measurements, which are the same at all
    locations."""
    result: Ranges = {}
    spend("the ranges of measurements", 2048 * len(known.reading.rows))
    for j, (row, program) in enumerate(known.reading.rows):
        ends = _ends(*alone[j])
        result.setdefault(row, []).append((j, program, (*ends, *ends)))
    return result


def _ranges_within(known: Evaluated, head: Head, bounds: Bounds) -> Ranges:
    """The same of the latents that meet the facts.

    Everywhere a measurement is at least the least one; at most, what the domain alone says.
    """
    result: Ranges = {}
    spend("the ranges of measurements", 2048 * len(known.reading.rows) * head.location_count)
    for j, (row, program) in enumerate(known.reading.rows):
        places = bounds.places(j)
        if head.nearest(j):
            near = bounds.best[j]
            # where all locations are alike, one says it
            some = places[:1] if bounds.uniform else places
            everywhere = near[0], _highest([bounds.alone(k, j)[1] for k in some])
        else:
            local = [bounds.at(k, j) for k in places]
            near = everywhere = _lowest([a for a, _ in local]), _highest([b for _, b in local])
        result.setdefault(row, []).append((j, program, (*_ends(*everywhere), *_ends(*near))))
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
