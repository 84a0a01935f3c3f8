"""Relational evidence: one rival's margin as linear forms, bounded location by location.

Prototypes that a form lists enter the margin linearly in one measurement; all others enter by
their interval. The linear terms of one location are bounded together, which keeps what they have
in common. Every number is a ball, evaluated again from the model, the facts and the bounds that
the checker proved itself: a form contributes choices (locations, tangent points, multipliers),
each of which is sound whatever it is.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping
from typing import Protocol

from flint import arb, arb_mat, fmpz_mat

from protoproof.certificate.schema import (
    Chord,
    Core,
    JointMultipliers,
    PairFact,
    PlaceMultipliers,
    RivalForm,
    Tangent,
)
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import GRID, Ratio, ball, decided, float_below, hex_ratio
from protoproof.kernel.latent.domain import Region
from protoproof.kernel.latent.lagrangian import Corner, ball_minimum, charged_open_end
from protoproof.kernel.latent.margins import Ends, Margin
from protoproof.kernel.model.head import Head

# Ball precisions in bits: forms subtract large numbers, so they start higher than intervals.
PRECISIONS = (128, 256, 512)

_ONE = 1 << GRID


def form_complaints(head: Head, core: Core, region: Region) -> Iterator[str]:
    """What is malformed about the forms; nothing means that :class:`Forms` can evaluate them."""
    stated = {(f.location, f.prototype) for f in core.facts if isinstance(f, PairFact)}
    seen: set[int] = set()
    for form in core.evidence.forms:
        place = f"form against class {form.rival}"
        if form.rival not in core.rivals or form.rival in seen:
            yield f"{place}: not a rival, or a second form for it"
            continue
        seen.add(form.rival)
        for text in entry_complaints(head, core, form, stated, region):
            yield f"{place}: {text}"


def entry_complaints(
    head: Head, core: Core, form: RivalForm, stated: Container[tuple[int, int]], region: Region
) -> Iterator[str]:
    """What is malformed about one form, which may charge the pairs in ``stated``."""
    yield from _entry_complaints(head, core, form)
    yield from _place_complaints(form, stated, region)
    yield from _joint_complaints(form, region)


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


def _place_complaints(
    form: RivalForm, stated: Container[tuple[int, int]], region: Region
) -> Iterator[str]:
    places = [entry.location for entry in form.multipliers]
    used = {entry.location for entry in form.supports} | {e.location for e in form.opposes}
    # under linear bounds over all locations, one without linear terms may have multipliers too
    missing = not used <= set(places) if form.joint else set(places) != used
    if len(set(places)) != len(places) or missing:
        yield "not one entry of multipliers for each location that is used"
    if any(place >= region.locations for place in places):
        yield "location out of range"
    for entry in form.multipliers:
        constraints = region.local() if entry.domain else []
        count = len(entry.facts) + len(constraints)
        if len(entry.mu) != count or len(set(entry.facts)) != len(entry.facts):
            yield f"location {entry.location}: not one multiplier per fact, each once"
        elif charged_open_end(entry.mu, len(entry.facts), constraints):
            yield f"location {entry.location}: charges an open end, which is infinite"
        if entry.domain and not region.bounded:
            yield f"location {entry.location}: uses a domain that bounds nothing"
        if any((entry.location, prototype) not in stated for prototype in entry.facts):
            yield f"location {entry.location}: uses a pair fact that the certificate does not state"


def _joint_complaints(form: RivalForm, region: Region) -> Iterator[str]:
    if form.joint is None:
        return
    if len(form.joint.nu) != len(region.joints) or not region.joints:
        yield "not one multiplier per linear bound of the domain"
    # a linear bound has no upper end
    if any(nu < 0 for nu in form.joint.nu):
        yield "a negative multiplier of a linear bound"
    if not all(entry.domain for entry in form.multipliers):
        yield "linear bounds of the domain are used, but some location does not use its box"


class Known(Protocol):
    """Proven bounds of every q_lj."""

    def at(self, location: int, prototype: int) -> tuple[int, int | None]:
        """Bounds of q_lj, over ``2**GRID``."""

    def elsewhere(self, location: int, prototype: int) -> int | None:
        """A lower bound of every q_kj that can be m_j, k another location; None where none can."""


class Forms:
    """The margins that well-formed forms (obligation 7) prove under proven bounds."""

    def __init__(self, head: Head, core: Core, region: Region, bounds: Known, ends: Ends) -> None:
        self._head, self._core, self._bounds, self._ends = head, core, bounds, ends
        self._region = region
        self._facts: dict[tuple[int, int], tuple[Ratio, Ratio | None]] = {
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
            if form.joint is not None:
                return total + self._jointly(form, form.joint, linear)
            for multipliers in form.multipliers:
                if linear[multipliers.location]:
                    total += self._place(multipliers, linear[multipliers.location])
            return total

        # everything in `least` is over 2**weight_shift, as the integer weights are
        sign, value = decided(least, PRECISIONS)
        return Margin(form.rival, max(sign, 0), float_below(value, head.weight_shift))

    def interval(self, location: int, prototype: int) -> tuple[Ratio, Ratio | None]:
        """The interval of q_lj that multipliers may charge: that of the stated fact."""
        return self._facts[location, prototype]

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
        if multipliers.domain:
            return self._boxed(multipliers, linear, None)
        head = self._head
        total, ends = self._with_facts(multipliers, linear)
        leading = sum(total.values(), arb(0))
        if not leading > 0:
            return arb("nan")
        sums = self._weighted(total)
        square = sum((entry * entry for entry in sums), arb(0))
        norms = sum((value * head.norms[j] for j, value in total.items()), arb(0))
        return (norms - square / leading) / (1 << (2 * head.shift)) - ends

    def _with_facts(
        self, multipliers: PlaceMultipliers, linear: Mapping[int, arb]
    ) -> tuple[dict[int, arb], arb]:
        """Coefficients of all q_j, the facts' multipliers included; and what the facts charge."""
        unit = ball((1 << self._head.weight_shift, 1 << multipliers.shift))
        total = dict(linear)
        ends = arb(0)
        for prototype, mu in zip(multipliers.facts, multipliers.mu, strict=False):
            low, high = self.interval(multipliers.location, prototype)
            total[prototype] = total.get(prototype, arb(0)) + unit * mu
            end = high if mu > 0 else low
            if end is None:
                raise CertificateError("a form charges an open end, which is infinite")
            ends += ball(end) * (unit * mu)
        return total, ends

    def _weighted(self, total: Mapping[int, arb]) -> list[arb]:
        """sum coefficient_j p_j, [D] over 2**shift: exact integers times balls."""
        head = self._head
        if not total:
            return [arb(0)] * head.channels
        rows = fmpz_mat(
            len(total), head.channels, [n for prototype in total for n in head.prototype(prototype)]
        )
        sums: list[arb] = (arb_mat(1, len(total), list(total.values())) * arb_mat(rows)).entries()
        return sums

    def _boxed(
        self,
        multipliers: PlaceMultipliers,
        linear: Mapping[int, arb],
        joint: JointMultipliers | None,
    ) -> arb:
        """As :meth:`_place`, with the least value over the domain's box.

        Theorem: see ``boxed``. The facts and the domain's own constraints enter with multipliers;
        ``joint`` takes its part - sum nu_k <c_k, z_l> of this location into the bracket.
        """
        head, region, location = self._head, self._region, multipliers.location
        scale = 1 << head.weight_shift
        unit = ball((scale, 1 << multipliers.shift))
        total, ends = self._with_facts(multipliers, linear)
        leading = sum(total.values(), arb(0))
        # <g, z>, with g over 1
        down = arb(2) / (1 << head.shift)
        slope = [-entry * down for entry in self._weighted(total)]
        own = multipliers.mu[len(multipliers.facts) :]
        for t, constraint in zip(own, region.local(), strict=True):
            leading += unit * (t * constraint.square)
            step = unit * t / (1 << region.shift)
            slope = [g + step * n for g, n in zip(slope, constraint.slope, strict=True)]
            end = constraint.high if t > 0 else constraint.low
            if t and end is not None:
                ends += ball(end) * (unit * t)
        if joint is not None:
            for nu, bound in zip(joint.nu, region.joints, strict=True):
                step = ball((scale * nu, 1 << (region.shift + joint.shift)))
                normal = bound.slopes[location]
                slope = [g - step * n for g, n in zip(slope, normal, strict=True)]
        norms = sum((value * head.norms[j] for j, value in total.items()), arb(0))
        least = ball_minimum(leading, slope, Corner.of(head, region, location))
        return least + norms / (1 << (2 * head.shift)) - ends

    def _jointly(
        self, form: RivalForm, joint: JointMultipliers, linear: Mapping[int, Mapping[int, arb]]
    ) -> arb:
        """A lower bound of the sum of all locations' forms, linear bounds included.

        Where <c_k, z> >= d_k and nu_k >= 0, a sum of forms is at least itself less
        sum nu_k ( <c_k, z> - d_k ), which is a sum over *all* locations again.
        """
        scale = 1 << self._head.weight_shift
        total = arb(0)
        for nu, bound in zip(joint.nu, self._region.joints, strict=True):
            total += ball((scale * nu, 1 << joint.shift)) * ball(bound.bound)
        entries = {entry.location: entry for entry in form.multipliers}
        for location in range(self._region.locations):
            bare = PlaceMultipliers(location=location, facts=(), shift=0, mu=(), domain=True)
            entry = entries.get(location, bare)
            total += self._boxed(entry, linear.get(location, {}), joint)
        return total
