"""One rival's margin in one case: linear forms as in ``relational``, and what they lose where.

Supporting prototypes enter by tangents, opposing ones by chords; the linear terms of a location are
bounded together, and the multipliers may charge all given bounds of the case (``case``). A
prototype that its interval serves better enters by its interval.

At the points where the forms are least, the relaxed margin is compared with the true one,
prototype by prototype: the largest differences say where a split pays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.prover.relaxation.case import Cut, Node
from protoproof.prover.relaxation.case_split import Cases
from protoproof.prover.relaxation.forms import chord, elsewhere
from protoproof.prover.relaxation.lifted import Asked, Found, Lifted

Vector = Float[NDArray[np.float64], " prototype"]

# Re-linearisations; given bounds that join the multipliers of a location in each, and altogether.
_STEPS, _ADDED, _TERMS = 6, 3, 24
_DAMPING = 0.7
# Chords narrower than this are left to intervals.
_NARROW = 1e-9
# Multipliers of a single location's given bounds; tangents are no nearer to zero than this.
_CHARGED, _NEAREST = 200, 1e-9
# Locations that a split by place lists one by one.
_LISTED = 3
# A threshold keeps this share of the interval away from its ends.
_INSIDE = 0.1


@dataclass(frozen=True)
class Entry:
    """The multipliers of one location: of ``terms``, then of the domain's own constraints."""

    location: int
    terms: tuple[int, ...]
    x: Float[NDArray[np.float64], " term"]
    domain: bool


@dataclass(frozen=True)
class CaseForm:
    """A proof of one margin in one case; the bound is float64.

    ``location`` [P]; ``support``, ``oppose`` mark the prototypes that enter linearly; ``points``
    [L, D] are e = z - v near the minimum.
    """

    bound: float
    location: Int[NDArray[np.intp], " prototype"]
    support: NDArray[np.bool_]
    oppose: NDArray[np.bool_]
    tangent: Vector
    entries: tuple[Entry, ...]
    points: Float[NDArray[np.float64], "location channel"]


@dataclass(frozen=True)
class Leaf:
    """A case that is proved, or impossible (``form`` None)."""

    node: Node
    form: CaseForm | None


@dataclass(frozen=True)
class Branch:
    """A split and its cases, in order."""

    cut: Cut
    children: tuple[Branch | Leaf, ...]


Tree = Branch | Leaf


class CaseRelaxation:
    """The relaxation of the margin ``row`` in one case."""

    def __init__(self, cases: Cases, node: Node, row: int) -> None:
        self.cases, self.node, self.row = cases, node, row
        instance = cases.instance
        self.measured = instance.measurement
        self.weights = instance.margin_weights[row]
        self.sigma = instance.head.chain
        self.index = np.arange(len(self.weights))
        alone = node.among.sum(axis=0) == 1
        seen = np.where(node.among, self.measured, np.inf)
        only = np.argmax(node.among, axis=0)
        self.support_at = np.where(alone, only, np.argmin(seen, axis=0))
        low = np.where(node.among, node.low, np.inf)
        self.oppose_at = np.where(alone, only, np.argmin(low, axis=0))
        self._chords()
        self.lifted = None if node.cut else cases.lifted
        usable = np.array(
            [
                bool(self.lifted or cases.terms(node, k)) or cases.boxed(node, k)
                for k in range(len(low))
            ]
        )
        known = node.far - node.near > _NARROW
        if not self.sigma.convex.all():  # tangents only where they are bounds
            at = self.support_at, self.index
            known &= self.sigma.convex_between(node.low[at], node.high[at], self.index)
        self.support = (self.weights > 0) & known & usable[self.support_at]
        self.oppose = (self.weights < 0) & self.chorded & usable[self.oppose_at]
        with np.errstate(invalid="ignore"):
            ends = np.where(self.weights > 0, node.far, node.near)
            charged = self.weights * self.sigma.value(ends)
        self.by_interval = np.where(self.weights == 0, 0.0, charged)
        self.offset = float(instance.margin_offset[row])

    def _chords(self) -> None:
        """Slope, and value at the lower end, of a majorant of every activation."""
        node, at = self.node, self.oppose_at
        low, high = node.low[at, self.index], node.high[at, self.index]
        self.chorded = np.isfinite(high) & (high - low > _NARROW)
        if not self.sigma.convex.all():
            self.chorded &= self.sigma.convex_between(low, high, self.index)
        others = elsewhere(np.where(node.among, node.low, np.inf), at)
        self.chord_slope, self.at_low = chord(self.sigma.value, low, high, self.chorded, others)
        self.chord_low = low

    def intervals(self) -> CaseForm:
        """Every prototype by its interval."""
        none = np.zeros(len(self.weights), dtype=bool)
        bound = float(self.by_interval.sum()) + self.offset
        bound = bound if np.isfinite(bound) else -np.inf
        points = np.zeros_like(self.cases.instance.latent)
        return CaseForm(bound, self.oppose_at, none, none, np.ones(len(none)), (), points)

    def solve(self, enough: float) -> CaseForm:
        """The best form found; stops above ``enough``."""
        best = self.intervals()
        if best.bound > enough:
            return best
        if self.lifted is not None:
            return self._least(self.lifted, best, enough)
        points = np.zeros_like(self.cases.instance.latent)
        measured = self.measured[self.support_at, self.index]
        tangent = np.maximum(measured, 0.0)
        support, oppose = self.support.copy(), self.oppose.copy()
        for step in range(_STEPS):
            form = self._bound(tangent, support, oppose, final=step == _STEPS - 1)
            points = form.points
            if form.bound > best.bound or not best.entries:
                best = form
            if best.bound > enough or not form.entries:
                break
            self._attend(form, points)
            aim = self._distances(points)[self.support_at, self.index]
            tangent = np.maximum((1 - _DAMPING) * tangent + _DAMPING * aim, 0.0)
            support, oppose = self._choice(points, tangent)
        return best

    def _least(self, lifted: Lifted, best: CaseForm, enough: float) -> CaseForm:
        """The best form of a single location in free space; see ``lifted``."""
        linear = self.support | self.oppose
        level = self.at_low - self.chord_slope * self.chord_low
        with np.errstate(invalid="ignore"):
            known = np.where(self.oppose, self.weights * level, self.by_interval)
        constant = float(known[~self.support].sum()) + self.offset
        if not linear.any() or not np.isfinite(constant):
            return best
        falling = np.where(self.oppose, self.weights * self.chord_slope, 0.0)
        asked = self._asked(falling, constant)
        for found in lifted.least(asked, enough):
            form = self._charged(asked, found)
            if form.bound > best.bound or not best.entries:
                best = form
            if best.bound > enough:
                break
        return best

    def _asked(self, falling: Vector, constant: float) -> Asked:
        """The relaxed margin over the given bounds of a single location."""
        node, equal = self.node, self.node.equal[0]
        return Asked(
            np.where(self.support, self.weights, 0.0),
            falling,
            constant,
            node.given_low[0],
            node.given_high[0],
            equal,
            node.given_low[0, list(equal)],
        )

    def descent(self, points: NDArray[np.float64], steps: int) -> Iterator[NDArray[np.float64]]:
        """From a point of a single location in free space, others with ever smaller margins.

        Opposing similarities are replaced by their tangents, which lie above what they take off:
        where that is least, the margin is no larger (the convex-concave procedure).
        """
        if self.lifted is None:
            return
        rest = ~(self.support | self.oppose)
        for _ in range(steps):
            q = np.clip(self._distances(points)[0], _NEAREST, None)
            slope = np.where(self.oppose, self.weights * self.sigma.derivative(q), 0.0)
            at = np.where(self.oppose, self.weights * self.sigma.value(q), 0.0) - slope * q
            constant = float(at.sum() + self.by_interval[rest].sum()) + self.offset
            for found in self.lifted.least(self._asked(slope, constant), np.inf):
                points = found.point[None]
            yield points

    def _charged(self, asked: Asked, found: Found) -> CaseForm:
        """The form that multipliers and tangents prove."""
        node = self.node
        charged = np.argsort(-np.abs(found.multipliers), kind="stable")[:_CHARGED]
        node.extra = (tuple(j for j in charged.tolist() if found.multipliers[j] != 0.0),)
        tangent = np.clip(found.tangents, np.maximum(node.low[0], _NEAREST), node.high[0])
        slope = self.sigma.derivative(tangent)
        coefficient = np.where(self.support, slope * self.weights, asked.falling)
        tangents = self.weights * (self.sigma.value(tangent) - slope * tangent)
        x, value = self.cases.proved(node, coefficient[None], found.multipliers)
        bound = asked.constant + float(tangents[self.support].sum())
        bound += float(coefficient @ self.measured[0]) + value
        used = coefficient != 0
        return CaseForm(
            bound if np.isfinite(bound) else -np.inf,
            np.zeros(len(used), dtype=np.intp),
            self.support & used,
            self.oppose & used,
            tangent,
            (Entry(0, self.cases.terms(node, 0), x[0], False),),
            found.point[None],
        )

    def _choice(
        self, points: NDArray[np.float64], tangent: Vector
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Linear terms but where the interval is better at the present points."""
        q = self._distances(points)
        slope = self.sigma.derivative(tangent)
        rising = self.sigma.value(tangent) + slope * (q[self.support_at, self.index] - tangent)
        falling = self.at_low + self.chord_slope * (q[self.oppose_at, self.index] - self.chord_low)
        linear = np.where(self.weights > 0, rising, falling) * self.weights
        with np.errstate(invalid="ignore"):
            better = ~(self.by_interval > linear + 1e-12)
        return self.support & better, self.oppose & better

    def _attend(self, form: CaseForm, points: NDArray[np.float64]) -> None:
        for entry in form.entries:
            if len(self.node.extra[entry.location]) < _TERMS:
                self.cases.attend_to(self.node, entry.location, _ADDED, points[entry.location])

    def _distances(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """q_lj at the points, [L, P]."""
        square = (points**2).sum(axis=1)[:, None]
        cross = np.einsum("lpd,ld->lp", self.cases.offsets, points)
        return np.asarray(np.maximum(self.measured + square - 2.0 * cross, 0.0))

    def _bound(
        self,
        tangent: Vector,
        support: NDArray[np.bool_],
        oppose: NDArray[np.bool_],
        *,
        final: bool,
    ) -> CaseForm:
        slope = self.sigma.derivative(tangent)
        coefficient = np.where(support, slope, self.chord_slope) * self.weights
        support, oppose = support & (coefficient != 0), oppose & (coefficient != 0)
        linear = support | oppose
        chosen = np.where(support, self.support_at, self.oppose_at)
        level = np.where(
            support,
            self.sigma.value(tangent) - slope * tangent,
            self.at_low - self.chord_slope * self.chord_low,
        )
        coefficient = np.where(linear, coefficient, 0.0)
        with np.errstate(invalid="ignore"):
            constant = np.where(linear, self.weights * level, self.by_interval).sum()
        constant += self.offset
        locations = sorted(set(chosen[linear].tolist()))
        points = np.zeros_like(self.cases.instance.latent)
        if not locations or not np.isfinite(constant):
            bound = float(constant) if not locations and np.isfinite(constant) else -np.inf
            return CaseForm(bound, chosen, support, oppose, tangent, (), points)
        parts = np.stack([np.where(chosen == location, coefficient, 0.0) for location in locations])
        x, value, found = self.cases.solve(self.node, locations, parts, steps=16 if final else 10)
        points[locations] = found
        at_instance = (parts * self.measured[locations]).sum()
        bound = float(constant + at_instance + value.sum())
        terms = [self.cases.terms(self.node, location) for location in locations]
        most = max(len(own) for own in terms)
        entries = tuple(
            Entry(
                location,
                terms[m],
                np.concatenate([x[m, : len(terms[m])], x[m, most:]]),
                self.cases.boxed(self.node, location),
            )
            for m, location in enumerate(locations)
        )
        bound = bound if np.isfinite(bound) else -np.inf
        return CaseForm(bound, chosen, support, oppose, tangent, entries, points)

    def cuts(self, form: CaseForm, deep: bool) -> list[tuple[float, Cut]]:
        """Splits by what the form loses there at its points, the largest first.

        With ``deep``, splits of channels and of places that only facts speak about join them.
        """
        node, q = self.node, self._distances(form.points)
        among = np.where(node.among, q, np.inf)
        true = self.weights * self.sigma.value(np.maximum(among.min(axis=0), 0.0))
        slope = self.sigma.derivative(form.tangent)
        rising = self.sigma.value(form.tangent) + slope * (
            q[self.support_at, self.index] - form.tangent
        )
        falling = self.at_low + self.chord_slope * (q[self.oppose_at, self.index] - self.chord_low)
        charged = np.where(form.support, self.weights * rising, self.by_interval)
        charged = np.where(form.oppose, self.weights * falling, charged)
        with np.errstate(invalid="ignore"):
            gap = np.nan_to_num(true - charged, nan=0.0, posinf=1e6, neginf=0.0)
        found: list[tuple[float, Cut]] = []
        for j in np.argsort(-gap, kind="stable")[:8].tolist():
            if gap[j] <= 1e-9:
                break
            cut = self._cut(j, form, among)
            if cut is not None:
                found.append((float(gap[j]), cut))
        if deep:
            found += self._deep(found)
        return sorted(found, key=lambda pair: -pair[0])

    def _cut(self, j: int, form: CaseForm, among: NDArray[np.float64]) -> Cut | None:
        """How to split by prototype j: by the place it is nearest to, else by its distance."""
        node = self.node
        at = int(form.location[j]) if form.support[j] or form.oppose[j] else int(self.oppose_at[j])
        nearest = int(np.argmin(among[:, j]))
        open_ = node.among[:, j] & (node.low[:, j] <= node.far[j])
        if open_.sum() > 1 and (nearest != at or not form.support[j]):
            order = [nearest, at, *np.argsort(node.low[:, j], kind="stable").tolist()]
            listed = [k for k in dict.fromkeys(order) if open_[k]][:_LISTED]
            return Cut("place", j, locations=tuple(sorted(listed)))
        return self._distance(at, j, float(among[at, j]) if node.among[at, j] else float("nan"))

    def _distance(self, location: int, j: int, wished: float) -> Cut | None:
        """A threshold near the wished one, well inside the interval."""
        low, high = float(self.node.low[location, j]), float(self.node.high[location, j])
        if not high - low > 1e-7 * (1.0 + low):
            return None
        if not np.isfinite(high):
            high = max(2.0 * low, 2.0 * wished if wished > 0 else 0.0, 1.0)
        edge = _INSIDE * (high - low)
        wished = wished if np.isfinite(wished) else 0.5 * (low + high)
        at = min(max(wished, low + edge), high - edge)
        return Cut("distance", j, location, float(at))

    def _deep(self, found: list[tuple[float, Cut]]) -> list[tuple[float, Cut]]:
        """Places of named prototypes, then the widest channel, ranked before or after the rest."""
        node, cases = self.node, self.cases
        result: list[tuple[float, Cut]] = []
        locations = len(node.among)
        for fact in cases.facts.activations:
            open_ = np.flatnonzero(node.among[:, fact.prototype])
            if len(open_) > 1:
                listed = tuple(int(k) for k in open_[: min(locations, 4)])
                result.append((1e3, Cut("place", fact.prototype, locations=listed)))
        if cases.bounded is not None and cases.bounded.coupling is not None:
            return result
        for location in range(locations):
            lower, upper = node.lower[location], node.upper[location]
            if not (np.isfinite(lower).all() and np.isfinite(upper).all()):
                lower, upper = cases.box(node, location)
            width = upper - lower
            if not np.isfinite(width).all() or not width.max() > 1e-4:
                continue
            channel = int(np.argmax(width))
            middle = 0.5 * (lower[channel] + upper[channel])
            at = float(middle + cases.instance.latent[location, channel])
            share = float(width[channel]) * (1e-2 if found else 1.0)
            result.append((share, Cut("channel", channel, location, at)))
        return result
