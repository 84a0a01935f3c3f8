"""Scores as sums of computed terms, and how far differences of them may be off.

Rivals are asked about in blocks: weights are [R, X], of so many rivals and terms, and what is found
is [R].
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate.schema import Core
from protoproof.kernel.budget import hold, spend
from protoproof.kernel.float32.record import Array, Record, up
from protoproof.kernel.float32.tensors import UNKNOWN
from protoproof.kernel.float32.walk import Walk
from protoproof.kernel.model.reading import Evaluated

_AT_ONCE = 1 << 15  # numbers of a block
_PIECES = 10  # numbers that are known about a term


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


@dataclass(frozen=True)
class Weights:
    """The scores as sums of terms: the same for every certificate of a head.

    Attributes:
        terms: the expressions, X of them.
        weights, constants: [K, X] and [K].
        largest: the largest size of a weight.
    """

    terms: Sequence[int]
    weights: Array
    constants: Array
    largest: float

    @classmethod
    def of(cls, known: Evaluated) -> Weights:
        all_ = known.here.known
        scores = [all_.as_sum(int(t)) for t in known.scores.term.ravel().tolist()]
        # most scores are sums of the same terms
        terms = sorted({t for some in {one.terms for one in scores} for t in some})
        spend("the terms of scores", 512 * (len(terms) + sum(len(s.terms) for s in scores)))
        hold("the terms of scores", 8 * (len(scores) + _PIECES) * len(terms))
        place = {t: k for k, t in enumerate(terms)}
        weights = np.zeros((len(scores), len(terms)))
        last: tuple[int, ...] = ()
        places: list[int] = []
        for row, one in zip(weights, scores, strict=True):
            if one.terms != last:
                last, places = one.terms, [place[term] for term in one.terms]
            row[places] = _quotients(one.weights, one.denominator)
        constants = np.array([s.constant / s.denominator for s in scores])
        return cls(terms, weights, constants, float(np.abs(weights).max(initial=0)))


@dataclass(frozen=True)
class Scores:
    """What a walk found out about the scores.

    Attributes:
        by: the sums that they are.
        total: how far each score may be off; ``fresh``: from the sum of the *computed* terms.
        errors: how far each term may be off; infinite where that is not known.
        low, high: between what it lies, as it is computed; ``least``, ``most``: as it is.
        r, a: its error, relative and absolute.
        shared: whether several tensors hold it, each with an error of its own.
    """

    by: Weights
    total: Array
    fresh: Array
    errors: Array
    low: Array
    high: Array
    r: Array
    a: Array
    least: Array
    most: Array
    shared: NDArray[np.bool_]

    @classmethod
    def of(cls, by: Weights, walk: Walk, found: Record) -> Scores:
        atoms = [walk.atoms.get(term, UNKNOWN) for term in by.terms]
        rows = [(a.error, a.low, a.high, a.r, a.a, a.least, a.most) for a in atoms]
        errors, low, high, r, a, least, most = np.array(rows, dtype=np.float64).reshape(-1, 7).T
        shared = np.array([atom.tensor is None for atom in atoms], dtype=bool)
        total = np.broadcast_to(found.error, found.shape).ravel()
        fresh = found.spread("fresh").ravel()
        return cls(by, total, fresh, errors, low, high, r, a, least, most, shared)

    def allowances(self, core: Core) -> Iterator[tuple[int, Allowance]]:
        """Per rival, for a decision in units of its own."""
        spend("the budgets of all rivals", 256 * self.by.weights.size)
        some = max(1, _AT_ONCE // max(1, len(self.by.terms)))
        for start in range(0, len(core.rivals), some):
            rivals = core.rivals[start : start + some]
            find = self._of_labels if core.model.decision == "labels" else self._of_rivals
            rows = zip(*(part.tolist() for part in find(core, list(rivals))), strict=True)
            for rival, one in zip(rivals, rows, strict=True):
                yield rival, Allowance(*one)

    def _of_labels(self, core: Core, labels: list[int]) -> Iterable[Array]:
        on = set(core.instance.labels)
        signs = np.array([1.0 if k in on else -1.0 for k in labels])
        weights = signs[:, None] * self.by.weights[labels]
        least = self._least(weights, signs * self.by.constants[labels], self.fresh[labels])
        return self.total[labels], least, self.total[labels]

    def _of_rivals(self, core: Core, rivals: list[int]) -> Iterable[Array]:
        c, weights, constants = core.instance.predicted, self.by.weights, self.by.constants
        first, second = weights[c], weights[rivals]
        rounding = up(self.fresh[c] + self.fresh[rivals])
        both = up(self.total[c] + self.total[rivals])
        with np.errstate(invalid="ignore"):
            apart = self._apart(first, second) + rounding
        difference, offset = first - second, constants[c] - constants[rivals]
        least = np.full(len(rivals), -math.inf)
        beside = np.full(len(rivals), math.inf)
        if not self.shared.any():
            least = self._least(difference, offset, rounding)
            sizes = np.abs(constants[c]) + np.abs(constants[rivals])
            beside = self._relative(difference, sizes, rounding)
        budget = np.where(np.isnan(apart), both, np.minimum(both, apart))
        return np.minimum(budget, beside), least, budget

    def _apart(self, first: Array, second: Array) -> Array:
        """How far the difference of two scores is from that of the sums of computed terms."""
        wide = np.where(self.shared, np.abs(first) + np.abs(second), np.abs(first - second))
        # differences of weights were rounded
        wide = wide + (np.abs(first) + np.abs(second)) * 2.0**-50 * (wide > 0)
        errors = np.where(wide > 0, self.errors, 0.0)
        return up((wide * errors).sum(axis=1), wide.shape[1])

    def _relative(self, weights: Array, constants: Array, rounding: Array) -> Array:
        """A budget where terms may be unbounded: errors r |x| add up to r (M + 2 N + |b|), with M
        the margin, N what the terms take from it at most, and b the constant; so that
        M > (r (2 N + |b|) + the rest) / (1 - r) is enough."""
        used = weights != 0
        ends = np.where(weights > 0, self.least, self.most)
        with np.errstate(invalid="ignore"):
            taken = np.where(used, np.maximum(-weights * ends, 0.0), 0.0).sum(axis=1)
            r = np.where(used, self.r, 0.0).max(axis=1, initial=0.0) * (1 + 2.0**-40)
            absolute = np.where(used, np.abs(weights) * self.a, 0.0).sum(axis=1)
            rest = up(absolute, weights.shape[1]) + rounding
            whole = r * (2 * taken + constants) + rest
            found = up(whole / (1 - np.minimum(r, 0.5)), weights.shape[1])
        known = (r < 0.5) & np.isfinite(taken) & np.isfinite(rest) & used.any(axis=1)
        return np.where(known, found, math.inf)

    def _least(self, weights: Array, constants: Array, rounding: Array) -> Array:
        """The least of a sum of computed terms, as it is computed; -infinity where unknown."""
        used = weights != 0
        ends = np.where(used, np.where(weights > 0, self.low, self.high), 0.0)
        with np.errstate(invalid="ignore"):
            found = weights * ends
            size = up(np.abs(found).sum(axis=1) + np.abs(constants) + self.by.largest * 1e-12)
            taken = rounding + size * (used.sum(axis=1) + 64) * 2.0**-50
            least = found.sum(axis=1) + constants - taken
        return np.where(np.isfinite(ends).all(axis=1) & np.isfinite(rounding), least, -math.inf)


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
