"""What a conjunction of comparisons says about inputs, the latent and scores.

Everything here only has to follow *from* the conjunction: what is not understood is left out, and
what is rounded is rounded outwards, so that a proof from these premises is one from the query. That
an input satisfies the query is never concluded here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from protoproof.arithmetic.rounding import float_above, float_below
from protoproof.prover.latent.domain import GUARANTEED, Box, Domain, Free, domain_from_name
from protoproof.prover.latent.facts import ActivationFact, CeilingFact, FactSet, PairFact
from protoproof.prover.latent.reach import Reach
from protoproof.query.binding import Bound
from protoproof.query.formula import Atom, Disjunct, Either, Element, Polynomial
from protoproof.query.order import contradictory, linear_among
from protoproof.query.reading import Function, Score, Unit

SOURCE = "the query, whose own condition it is"
_MOST = 2.0**60  # a latent unit or a measurement that is bounded by more is not bounded


@dataclass
class Ends:
    """Bounds so far, by what is bounded; the tightest counts. ``never``: ends not attained."""

    lower: dict[object, Fraction] = field(default_factory=dict)
    upper: dict[object, Fraction] = field(default_factory=dict)
    never: set[tuple[object, Fraction]] = field(default_factory=set)

    def add(self, what: object, value: Fraction, above: bool, strict: bool = False) -> None:
        """One more."""
        ends, tighter = (self.upper, min) if above else (self.lower, max)
        ends[what] = tighter(ends[what], value) if what in ends else value
        if strict:
            self.never.add((what, value))

    def contradictory(self) -> bool:
        """Whether no number is between the bounds of something."""
        return any(
            low > self.upper[what] or (low == self.upper[what] and (what, low) in self.never)
            for what, low in self.lower.items()
            if what in self.upper
        )

    def complete(self, every: Iterable[object]) -> bool:
        """Whether all of these have both ends."""
        return all(what in self.lower and what in self.upper for what in every)


@dataclass(frozen=True)
class Compared:
    """sum of weights_k y_k <= limit (or <), about the scores of classes."""

    weights: Mapping[int, Fraction]
    limit: Fraction
    strict: bool


@dataclass
class Premises:
    """What follows from one conjunction.

    ``elements``: bounds of single elements, of whichever tensor. ``inputs``, ``units`` and
    ``scores`` are what the network makes of them; ``pairs`` and ``pooled`` bound measurements, by
    (location, prototype) and by prototype. ``linear``: <coefficients, z> >= bound.
    """

    elements: Ends = field(default_factory=Ends)
    units: Ends = field(default_factory=Ends)
    pairs: Ends = field(default_factory=Ends)
    pooled: Ends = field(default_factory=Ends)
    linear: list[tuple[dict[Unit, Fraction], Fraction]] = field(default_factory=list)
    scores: list[Compared] = field(default_factory=list)
    empty: bool = False

    @property
    def hidden(self) -> bool:
        """Whether anything is said about the latent."""
        ends = (self.units, self.pairs, self.pooled)
        return bool(self.linear) or any(each.lower or each.upper for each in ends)


def premises_of(bound: Bound, literals: Disjunct) -> Premises:
    """Everything that is understood of a conjunction."""
    found = Premises()
    for literal in literals:
        if isinstance(literal, Either):
            known = anywhere(bound, literal)
            if known is not None:
                found.pooled.add(known[0], known[1], above=True)
        else:
            _atom(bound, literal, found)
    groups = (found.elements, found.units, found.pairs, found.pooled)
    found.empty = found.empty or any(each.contradictory() for each in groups)
    single = bound.query.type == "float32"
    found.empty = found.empty or contradictory(linear_among(literals, single=single))
    return found


def _atom(bound: Bound, atom: Atom, found: Premises) -> None:
    left = atom.left
    if set(left.terms) <= {()}:
        value = left.constant
        found.empty = found.empty or value > 0 or (atom.strict and value == 0)
        return
    single = bound.query.type == "float32"
    if single and not atom.bare:
        return  # float32 arithmetic within a comparison is another function
    weights = left.linear()
    if weights is None:
        if not single:
            _quadratic(bound, left, found)
        return
    if len(weights) == 1:
        ((element, weight),) = weights.items()
        _bounded(bound, element, -left.constant / weight, weight > 0, atom.strict, found)
    meanings = {element: _meaning(bound, element) for element in weights}
    if all(isinstance(each, Score) for each in meanings.values()):
        _scores(meanings, weights, left, atom, single, found)
    elif all(isinstance(each, Unit) for each in meanings.values()) and len(weights) > 1:
        forms: dict[Unit, Fraction] = {}
        for element, weight in weights.items():
            unit = meanings[element]
            if isinstance(unit, Unit):
                forms[unit] = forms.get(unit, Fraction(0)) - weight
        found.linear.append((forms, left.constant))
        _linear_measurement(bound, forms, left.constant, found)


def _meaning(bound: Bound, element: Element) -> object:
    return None if element.variable == bound.input.name else bound.meaning(element)


def _bounded(
    bound: Bound, element: Element, value: Fraction, above: bool, strict: bool, found: Premises
) -> None:
    """A bound of one element; what it says about what the element is."""
    found.elements.add(element, value, above, strict)
    meaning = _meaning(bound, element)
    if isinstance(meaning, Unit):
        found.units.add(meaning, value, above)
    elif isinstance(meaning, Function) and bound.query.type == "real":
        known = bound.reading.bound(meaning, value, above)
        if known is not None:
            end, upper = known
            _measured(meaning, Fraction(end), upper, found)


def _measured(of: Function, value: Fraction, above: bool, found: Premises) -> None:
    if of.location is None:
        found.pooled.add(of.prototype, value, above)
    else:
        found.pairs.add((of.location, of.prototype), value, above)


def _scores(
    meanings: Mapping[Element, object],
    weights: Mapping[Element, Fraction],
    left: Polynomial,
    atom: Atom,
    single: bool,
    found: Premises,
) -> None:
    known: dict[int, Fraction] = {}
    tensors, exact = set(), True
    for element, weight in weights.items():
        score = meanings[element]
        if isinstance(score, Score):
            tensors.add(element.variable)
            exact = exact and score.exact
            known[score.label] = known.get(score.label, Fraction(0)) + weight
    # another tensor's scores are in the same order, and no more than that
    ordered = len(known) == 2 and sum(known.values()) == 0 and not left.constant
    if len(tensors) == 1 and (ordered or exact) and (exact or not single):
        if single and not ordered:
            return
        found.scores.append(Compared(known, -left.constant, atom.strict))


def _quadratic(bound: Bound, left: Polynomial, found: Premises) -> None:
    """A squared distance written out: sum of z_d^2 - 2 p_d z_d over one location, times a factor.

    Compared with a number, it bounds the measurement of the prototype p; the factor's sign says
    from where.
    """
    squares: dict[Unit, Fraction] = {}
    slopes: dict[Unit, Fraction] = {}
    for monomial, coefficient in left.terms.items():
        meanings = {bound.meaning(e) for e in monomial if e.variable != bound.input.name}
        meaning = meanings.pop() if len(meanings) == 1 else None
        if not monomial:
            continue
        if not isinstance(meaning, Unit) or len(monomial) > 2 or len(set(monomial)) > 1:
            return
        into = squares if len(monomial) == 2 else slopes
        into[meaning] = into.get(meaning, Fraction(0)) + coefficient
    head = bound.reading.head
    places = {unit.location for unit in (*squares, *slopes)}
    if len(places) != 1 or len(squares) != head.channels or head.geometry != "euclidean":
        return
    factor = next(iter(squares.values()))
    if any(value != factor for value in squares.values()):
        return
    (location,) = places
    point = tuple(
        -slopes.get(Unit(location, d), Fraction(0)) / (2 * factor) for d in range(head.channels)
    )
    for j in bound.reading.points.get(point, []):
        if head.measures(location, j):
            # left = factor * (m - |p|^2) + constant <= 0
            value = sum((p * p for p in point), Fraction(0)) - left.constant / factor
            found.pairs.add((location, j), value, factor > 0)
            return


def _linear_measurement(
    bound: Bound, forms: Mapping[Unit, Fraction], constant: Fraction, found: Premises
) -> None:
    """A dot product written out: <c, z> >= constant over one location, c a multiple of -p."""
    head = bound.reading.head
    places = {unit.location for unit in forms}
    if head.geometry != "linear" or len(places) != 1:
        return
    (location,) = places
    point = [forms.get(Unit(location, d), Fraction(0)) for d in range(head.channels)]
    first = next((d for d, value in enumerate(point) if value), None)
    if first is None:
        return
    for known, prototypes in bound.reading.points.items():
        if not known[first]:
            continue
        factor = point[first] / known[first]
        if all(value == factor * own for value, own in zip(point, known, strict=True)):
            for j in prototypes:
                if head.measures(location, j) and head.pooling[j].kind == "nearest":
                    # m = -<p, z>, so that -factor m >= constant
                    found.pairs.add((location, j), -constant / factor, factor > 0)
                    return


def anywhere(bound: Bound, either: Either) -> tuple[int, Fraction] | None:
    """(j, u) where alternatives say "prototype j is within u at one of these locations", so that
    the nearest one is; None where they say something else."""
    if bound.query.type != "real":
        return None
    found: dict[int, list[Fraction]] = {}
    for part in either.parts:
        if not isinstance(part, Atom):
            return None
        one = Premises()
        _atom(bound, part, one)
        if one.empty or len(one.pairs.upper) != 1 or one.pairs.lower:
            return None
        ((place, value),) = one.pairs.upper.items()
        if not isinstance(place, tuple):
            return None
        found.setdefault(place[1], []).append(value)
    if len(found) != 1:
        return None
    ((prototype, values),) = found.items()
    if bound.reading.head.pooling[prototype].kind != "nearest":
        return None
    return prototype, max(values)


def domain_of(bound: Bound, known: Premises) -> Domain:
    """The latents that the premises speak about: the box that they state, else what the operator
    that makes the latent guarantees."""
    head = bound.reading.head
    shape = head.location_count, head.channels
    every = [Unit(location, d) for location in range(shape[0]) for d in range(shape[1])]
    operator = operator_domain(bound)
    low = high = None
    if isinstance(operator, Box):
        low, high = operator.lower, operator.upper
    lower, upper = np.full(shape, -math.inf), np.full(shape, math.inf)
    if low is not None and high is not None:
        lower[:], upper[:] = low, high
    for unit in every:
        place = unit.location, unit.channel
        if unit in known.units.lower:
            lower[place] = max(lower[place], float_below(known.units.lower[unit]))
        if unit in known.units.upper:
            upper[place] = min(upper[place], float_above(known.units.upper[unit]))
    stated = known.units.lower or known.units.upper or known.linear
    if not stated or not _bounded_by(lower, upper) or (lower > upper).any():
        return operator
    forms = [_form(form, value, lower, upper) for form, value in known.linear]
    if not forms:
        return Reach(lower, upper, SOURCE)
    coefficients, bounds = zip(*forms, strict=True)
    return Reach(lower, upper, SOURCE, np.stack(coefficients), np.array(bounds))


def _bounded_by(lower: NDArray[np.float64], upper: NDArray[np.float64]) -> bool:
    return bool((np.abs(lower) < _MOST).all() and (np.abs(upper) < _MOST).all())


def _form(
    form: Mapping[Unit, Fraction],
    value: Fraction,
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
) -> tuple[NDArray[np.float64], float]:
    """<c, z> >= value with c in float64: what that takes from the sum is taken from the bound."""
    rounded = np.zeros_like(lower)
    for unit, coefficient in form.items():
        place = unit.location, unit.channel
        rounded[place] = float(coefficient)
        off = Fraction(rounded[place]) - coefficient
        value += min(off * Fraction(lower[place]), off * Fraction(upper[place]))
    return rounded, float_below(value)


def operator_domain(bound: Bound) -> Domain:
    """What the operator that makes the latent guarantees; all latents, where that is nothing.

    Over float32 numbers only a maximum with 0 does, which is exact: a runtime's sigmoid may leave
    [0, 1] by a rounding.
    """
    kind, head = bound.network.latent_range, bound.network.head
    name = GUARANTEED.get(kind)
    if name is None or (bound.query.type == "float32" and kind != "relu"):
        return Free()
    return domain_from_name(name, kind, head.channels)


def facts_of(bound: Bound, known: Premises) -> FactSet:
    """The facts that the premises state.

    An activation fact needs both ends, where squared distances have one of their own; what is
    bounded from below alone is under a ceiling, if all prototypes are treated alike.
    """
    head = bound.reading.head
    least = Fraction(0) if bound.reading.distance else None
    lower = dict(known.pooled.lower)
    for j in range(head.prototype_count):
        if head.pooling[j].kind != "nearest":
            continue
        places = [k for k in range(head.location_count) if head.measures(k, j)]
        ends = [known.pairs.lower.get((k, j)) for k in places]
        if all(end is not None for end in ends):
            value = min(end for end in ends if end is not None)
            lower[j] = max(lower[j], value) if j in lower else value
    pairs = tuple(
        PairFact(place[0], place[1], *_ends(known.pairs.lower.get(place, least), upper))
        for place, upper in known.pairs.upper.items()
        if isinstance(place, tuple) and (place in known.pairs.lower or least is not None)
    )
    activations = tuple(
        ActivationFact(j, *_ends(lower.get(j, least), upper))
        for j, upper in known.pooled.upper.items()
        if isinstance(j, int) and (j in lower or least is not None)
    )
    return FactSet(pairs, activations, _ceilings(bound, lower))


def _ends(lower: Fraction | None, upper: Fraction) -> tuple[float, float]:
    return float_below(lower or Fraction(0)), float_above(upper)


def _ceilings(bound: Bound, lower: Mapping[object, Fraction]) -> tuple[CeilingFact, ...]:
    """Every step of the staircase that lower bounds of pooled measurements make."""
    head = bound.network.head
    if not (head.all_nearest and head.uniform and bound.reading.distance):
        return ()
    count = len(head.prototypes)
    ends = {j: float_below(value) for j, value in lower.items() if isinstance(j, int) and value > 0}
    return tuple(
        CeilingFact(end, tuple(j for j in range(count) if ends.get(j, -1.0) < end))
        for end in sorted(set(ends.values()))
    )


def input_ends(
    bound: Bound, known: Premises
) -> tuple[Sequence[Fraction], Sequence[Fraction]] | None:
    """Both ends of every input number; None where one is missing."""
    name, size = bound.input.name, bound.input.size
    every = [Element(name, index) for index in range(size)]
    if not known.elements.complete(every):
        return None
    ends = known.elements
    return [ends.lower[e] for e in every], [ends.upper[e] for e in every]
