"""Relational evidence: one rival's margin as linear forms, bounded location by location.

Prototypes that a form lists enter the margin linearly in one measurement; all others enter by
their interval. The linear terms of one location are bounded together, which keeps what they have
in common. Every number is a ball, evaluated again from the model, the facts and the bounds that
the checker proved itself: a form contributes choices (locations, tangent points, multipliers),
each of which is sound whatever it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from flint import arb, arb_mat, fmpz_mat

from verifier.certificate.schema import Chord, Core, PairFact, PlaceMultipliers, RivalForm, Tangent
from verifier.checker.arithmetic import GRID, ball, decided, float_below, hex_ratio
from verifier.checker.bounds import Bounds
from verifier.checker.head import Head
from verifier.checker.margins import Ends, Margin

# Ball precisions in bits: forms subtract large numbers, so they start higher than intervals.
PRECISIONS = (128, 256, 512)

_ONE = 1 << GRID


def form_complaints(head: Head, core: Core) -> Iterator[str]:
    """What is malformed about the forms; nothing means that :class:`Forms` can evaluate them."""
    stated = {(f.location, f.prototype) for f in core.facts if isinstance(f, PairFact)}
    seen: set[int] = set()
    for form in core.evidence.forms:
        place = f"form against class {form.rival}"
        if form.rival not in core.rivals or form.rival in seen:
            yield f"{place}: not a rival, or a second form for it"
            continue
        seen.add(form.rival)
        for text in (*_entry_complaints(head, core, form), *_place_complaints(form, stated)):
            yield f"{place}: {text}"


def _entry_complaints(head: Head, core: Core, form: RivalForm) -> Iterator[str]:
    entries: tuple[Tangent | Chord, ...] = (*form.supports, *form.opposes)
    if len({entry.prototype for entry in entries}) != len(entries):
        # counted twice, a prototype would be charged for twice its weight
        yield "a prototype is listed twice"
    if any(
        entry.prototype >= head.prototype_count or entry.location >= head.location_count
        for entry in entries
    ):
        yield "prototype or location out of range"
        return
    # a tangent bounds from below and a chord from above: with the other sign of the weight,
    # neither bounds the margin from below
    weights, _ = head.margin_weights(core.instance.predicted, form.rival)
    if any(weights[entry.prototype] <= 0 for entry in form.supports):
        yield "a prototype without positive weight is listed as support"
    if any(weights[entry.prototype] >= 0 for entry in form.opposes):
        yield "a prototype without negative weight is listed as opposition"
    # the similarity is convex on [0, infinity) only, and may not even be defined outside
    if any(hex_ratio(entry.at)[0] < 0 for entry in form.supports):
        yield "a tangent at a negative squared distance"


def _place_complaints(form: RivalForm, stated: set[tuple[int, int]]) -> Iterator[str]:
    places = [entry.location for entry in form.multipliers]
    used = {entry.location for entry in form.supports} | {e.location for e in form.opposes}
    if len(set(places)) != len(places) or set(places) != used:
        yield "not one entry of multipliers for each location that is used"
    for entry in form.multipliers:
        if len(entry.mu) != len(entry.facts) or len(set(entry.facts)) != len(entry.facts):
            yield f"location {entry.location}: not one multiplier per fact, each once"
        if any((entry.location, prototype) not in stated for prototype in entry.facts):
            yield f"location {entry.location}: uses a pair fact that the certificate does not state"


class Forms:
    """The margins that well-formed forms (obligation 7) prove under proven bounds."""

    def __init__(self, head: Head, core: Core, bounds: Bounds, ends: Ends) -> None:
        self._head, self._core, self._bounds, self._ends = head, core, bounds, ends
        self._facts = {
            (fact.location, fact.prototype): (hex_ratio(fact.lower), hex_ratio(fact.upper))
            for fact in core.facts
            if isinstance(fact, PairFact)
        }

    def margin(self, form: RivalForm) -> Margin:
        """A lower bound of the margin; minus infinity where the form proves none.

        Sound because margin = offset + sum w_j a_j, each a_j of a listed prototype is replaced by
        something linear that is not above w_j a_j, the linear terms of each location are replaced
        by a lower bound of their sum, and locations are independent.
        """
        head = self._head
        weights, offset = head.margin_weights(self._core.instance.predicted, form.rival)
        chords = [chord for chord in form.opposes if self._has_chord(chord)]
        listed = {entry.prototype for entry in form.supports} | {e.prototype for e in chords}
        if self._ends.unbounded(weights, listed):
            return Margin(form.rival, 0, -math.inf)

        def least() -> arb:
            total = self._ends.least(weights, listed) + offset
            linear: dict[int, dict[int, arb]] = {e.location: {} for e in form.multipliers}
            for tangent in form.supports:
                constant, slope = self._tangent(tangent)
                total += constant * weights[tangent.prototype]
                linear[tangent.location][tangent.prototype] = slope * weights[tangent.prototype]
            for chord in chords:
                constant, slope = self._chord(chord)
                total += constant * weights[chord.prototype]
                linear[chord.location][chord.prototype] = slope * weights[chord.prototype]
            for multipliers in form.multipliers:
                if linear[multipliers.location]:
                    total += self._place(multipliers, linear[multipliers.location])
            return total

        # everything in `least` is over 2**weight_shift, as the integer weights are
        sign, value = decided(least, PRECISIONS)
        return Margin(form.rival, max(sign, 0), float_below(value, head.weight_shift))

    def _tangent(self, tangent: Tangent) -> tuple[arb, arb]:
        """Constant and slope of a minorant of a_j in q_lj.

        a_j is the largest similarity over all locations, so at least sigma(q_lj) at this one; and
        the convex sigma is above its tangent at any t >= 0, wherever q_lj >= 0 lies.
        """
        at = ball(hex_ratio(tangent.at))
        slope = self._head.similarity.derivative(at)
        return self._head.similarity.value(at) - slope * at, slope

    def _has_chord(self, chord: Chord) -> bool:
        """Whether the proven interval of q_lj has two ends.

        Where it has not, the prototype enters by its interval, as if it were not listed.
        """
        low, high = self._bounds.at(chord.location, chord.prototype)
        return high is not None and low < high

    def _chord(self, chord: Chord) -> tuple[arb, arb]:
        """Constant and slope of a majorant of a_j in q_lj.

        With t the similarity at a lower bound of q_kj over all other locations k (nothing, where
        there are none), a_j <= max(t, sigma(q_lj)). That is convex in q_lj, as the larger of two
        convex functions, hence below its chord over the interval [low, high] that contains q_lj.
        """
        low, high = self._bounds.at(chord.location, chord.prototype)
        if high is None:
            raise ValueError("no chord over an unbounded interval")
        sigma = self._head.similarity.value
        others = self._bounds.elsewhere(chord.location, chord.prototype)
        near, far = ball((low, _ONE)), ball((high, _ONE))
        at_near, at_far = sigma(near), sigma(far)
        if others is not None:
            elsewhere = sigma(ball((others, _ONE)))
            at_near, at_far = at_near.max(elsewhere), at_far.max(elsewhere)
        slope = (at_far - at_near) / (far - near)
        return at_near - slope * near, slope

    def _place(self, multipliers: PlaceMultipliers, linear: Mapping[int, arb]) -> arb:
        """A lower bound of sum lambda_j q_lj at one location, over 2**weight_shift.

        Theorem (theory, section 4). For any mu with A = sum lambda + sum mu > 0 and every z,

            sum lambda_j q_j(z) + sum mu_i q_i(z)  =  A |z|^2 - 2 z.p + c  >=  c - |p|^2 / A

        with p = sum lambda_j p_j + sum mu_i p_i and c the same sum of |p_j|^2; and where the facts
        hold, mu_i q_i(z) is at most mu_i h_i for mu_i > 0 and mu_i l_i for mu_i < 0. Subtract.
        Where A is not certainly positive the result is NaN, which proves nothing.
        """
        head = self._head
        unit = ball((1 << head.weight_shift, 1 << multipliers.shift))
        total = dict(linear)
        ends = arb(0)
        for prototype, mu in zip(multipliers.facts, multipliers.mu, strict=True):
            low, high = self._facts[multipliers.location, prototype]
            total[prototype] = total.get(prototype, arb(0)) + unit * mu
            ends += ball(high if mu > 0 else low) * (unit * mu)
        leading = sum(total.values(), arb(0))
        if not leading > 0:
            return arb("nan")
        rows = fmpz_mat(
            len(total), head.channels, [n for prototype in total for n in head.prototype(prototype)]
        )
        # exact integers over 2**shift; the product and its square are balls
        sums = (arb_mat(1, len(total), list(total.values())) * arb_mat(rows)).entries()
        square = sum((entry * entry for entry in sums), arb(0))
        norms = sum((value * head.norms[j] for j, value in total.items()), arb(0))
        return (norms - square / leading) / (1 << (2 * head.shift)) - ends
