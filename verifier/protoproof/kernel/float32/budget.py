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
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate.schema import Core, Execution, FunctionError
from protoproof.kernel.arithmetic.exact import GRID
from protoproof.kernel.budget import current, spend
from protoproof.kernel.float32.kept import Kept
from protoproof.kernel.float32.measured import Measuring, Ranges, UnroundableError
from protoproof.kernel.float32.record import FUNCTIONS, SHORTEST, Array, Record, up
from protoproof.kernel.float32.walk import Walk
from protoproof.kernel.latent.bounded import BoundedDomain
from protoproof.kernel.latent.bounds import Bounds
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
    """

    known: Evaluated
    execution: Execution | None
    reason: str = ""
    kept: Kept = field(default_factory=Kept)


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
    walk = _walk(known, head, {}, math.inf, kept)
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
        kept=kept,
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


@dataclass(frozen=True)
class Allowance:
    """What float32 may do to the margin over one rival.

    Attributes:
        budget: what the margin has to exceed, in the units of the head's decision.
        least: a lower bound of every computed margin, from the ranges of computed activations.
        apart: how far a computed margin is from the exact one at most, in the graph's units;
            infinite where it is only bounded next to the margin.
    """

    budget: float
    least: float
    apart: float

    def suffices(self, margin: float) -> bool:
        """Whether a proved margin over the reals is positive in every execution."""
        return margin > self.budget or self.least > 0


def allowances(
    bound: BoundHead, core: Core, bounds: Bounds, where: LatentDomain
) -> dict[int, Allowance]:
    """Per rival.

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
    walk = _walk(known, head, ranges, _longest(where), found.kept)
    walk.run(known.here.done)
    scores = walk.score(known.logits)
    scale = float(head.decision.scale)
    slack = 4 * head.decision.slack / (1 << head.decision.shift)
    return {
        rival: Allowance(float(up(np.asarray(one.budget * scale + slack))), one.least, one.apart)
        for rival, one in _of_scores(known, walk, scores, core).items()
    }


def _of_scores(known: Evaluated, walk: Walk, scores: Record, core: Core) -> dict[int, Allowance]:
    total = np.broadcast_to(scores.error, scores.shape).ravel()
    fresh = scores.spread("fresh").ravel()
    sums = _Sums.of(known, walk)
    c, result = core.instance.predicted, {}
    spend("the budgets of all rivals", 256 * sums.weights.size)
    for k in core.rivals:
        if core.model.decision == "labels":
            sign = 1 if k in core.instance.labels else -1
            least = sums.least(sign * sums.weights[k], sign * sums.constants[k], fresh[k])
            result[k] = Allowance(float(total[k]), least, float(total[k]))
            continue
        rounding_ = float(up(fresh[c] + fresh[k]))
        both = float(up(total[c] + total[k]))
        with np.errstate(invalid="ignore"):
            apart = sums.apart(c, k) + rounding_
        least = sums.least(
            sums.weights[c] - sums.weights[k], sums.constants[c] - sums.constants[k], rounding_
        )
        if sums.shared.any():
            least = -math.inf
        budget = min(both, apart) if not math.isnan(apart) else both
        result[k] = Allowance(min(budget, sums.relative(c, k, rounding_)), least, budget)
    return result


@dataclass(frozen=True)
class _Sums:
    """The scores as sums of computed terms.

    Attributes:
        weights, constants: [K, X] and [K].
        errors: how far each term may be off; infinite where that is not known.
        low, high: between what it lies.
        shared: whether several tensors hold it, each with an error of its own.
        r, a: its error, relative and absolute; ``least_``, ``most_``: what it is between.
    """

    weights: Array
    constants: Array
    errors: Array
    low: Array
    high: Array
    shared: NDArray[np.bool_]
    r: Array
    a: Array
    least_: Array
    most_: Array

    @classmethod
    def of(cls, known: Evaluated, walk: Walk) -> _Sums:
        all_ = known.here.known
        scores = [all_.as_sum(int(t)) for t in known.scores.term.ravel().tolist()]
        terms = sorted({t for one in scores for t in one.terms})
        place = {t: k for k, t in enumerate(terms)}
        spend("the terms of scores", 512 * (len(terms) + sum(len(s.terms) for s in scores)))
        weights = np.zeros((len(scores), len(terms)))
        last: tuple[int, ...] = ()
        places: list[int] = []
        for row, one in zip(weights, scores, strict=True):
            if one.terms != last:
                last, places = one.terms, [place[term] for term in one.terms]
            row[places] = _quotients(one.weights, one.denominator)
        atoms = [walk.atoms.get(t) for t in terms]
        return cls(
            weights,
            np.array([s.constant / s.denominator for s in scores]),
            np.array([math.inf if a is None else a.error for a in atoms]),
            np.array([-math.inf if a is None else a.low for a in atoms]),
            np.array([math.inf if a is None else a.high for a in atoms]),
            np.array([a is None or a.tensor is None for a in atoms], dtype=bool),
            np.array([math.inf if a is None else a.r for a in atoms]),
            np.array([math.inf if a is None else a.a for a in atoms]),
            np.array([-math.inf if a is None else a.least for a in atoms]),
            np.array([math.inf if a is None else a.most for a in atoms]),
        )

    @cached_property
    def largest(self) -> float:
        """The largest size of a weight."""
        return float(np.abs(self.weights).max(initial=0))

    def apart(self, c: int, k: int) -> float:
        """How far the difference of two scores is from that of the sums of computed terms."""
        first, second = self.weights[c], self.weights[k]
        wide = np.where(self.shared, np.abs(first) + np.abs(second), np.abs(first - second))
        # differences of weights were rounded
        wide = wide + (np.abs(first) + np.abs(second)) * 2.0**-50 * (wide > 0)
        used = wide > 0
        return float(up((wide[used] * self.errors[used]).sum(), wide.size))

    def relative(self, c: int, k: int, rounding_: float) -> float:
        """A budget where terms may be unbounded: errors r |x| add up to r (M + 2 N + |b|), with M
        the margin, N what the terms take from it at most, and b the constant; so that
        M > (r (2 N + |b|) + the rest) / (1 - r) is enough."""
        weights = self.weights[c] - self.weights[k]
        used = weights != 0
        if self.shared.any() or not used.any():
            return math.inf
        weights = weights[used]
        ends = np.where(weights > 0, self.least_[used], self.most_[used])
        with np.errstate(invalid="ignore"):
            taken = np.maximum(-weights * ends, 0.0)
        r = float(self.r[used].max()) * (1 + 2.0**-40)
        rest = float(up((np.abs(weights) * self.a[used]).sum(), weights.size)) + rounding_
        constant = abs(self.constants[c]) + abs(self.constants[k])
        if not r < 0.5 or not np.isfinite(taken).all() or not math.isfinite(rest):
            return math.inf
        whole = r * (2 * float(taken.sum()) + constant) + rest
        return float(up(np.asarray(whole / (1 - r)), weights.size))

    def least(self, weights: Array, constant: float, rounding_: float) -> float:
        """The least of a sum of computed terms, as it is computed; -infinity where unknown."""
        used = weights != 0
        ends = np.where(weights > 0, self.low, self.high)[used]
        if not np.isfinite(ends).all() or not math.isfinite(rounding_):
            return -math.inf
        found = weights[used] * ends
        size = float(up(np.abs(found).sum() + abs(constant) + self.largest * 1e-12))
        return float(found.sum() + constant - rounding_ - size * (used.sum() + 64) * 2.0**-50)


def _quotients(numbers: Sequence[int], under: int) -> Array:
    """numbers / under, each rounded to the nearest float64."""
    if not under & (under - 1) and under.bit_length() < 512:
        try:
            whole = np.array(numbers, dtype=np.int64)
        except OverflowError:
            pass
        else:
            if not whole.size or max(int(whole.max()), -int(whole.min())) < 1 << 53:
                return np.asarray(whole / float(under))  # exact: no quotient underflows
    return np.array([n / under for n in numbers])


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
