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
from typing import Protocol

from flint import arb, ctx, fmpq

from protoproof.certificate.schema import Chord, Core, PlaceMultipliers, RivalForm, Tangent
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import GRID, ball, decided, float_below, hex_ratio
from protoproof.kernel.budget import BALL, OPERATION, spend
from protoproof.kernel.latent.bounds import Interval as Bound
from protoproof.kernel.latent.bounds import as_ends
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.facts import intervals
from protoproof.kernel.latent.lagrangian import Lagrangian, free_rule
from protoproof.kernel.latent.margins import Ends, Margin, UnboundedError, known, stated_score
from protoproof.kernel.latent.rows import Intervals, boundable
from protoproof.kernel.model.head import Head
from protoproof.kernel.model.primitives import End, as_ball

# Ball precisions in bits: forms subtract large numbers, so they start higher than intervals.
PRECISIONS = (128, 256, 512)

_ONE = 1 << GRID


def form_complaints(head: Head, core: Core, where: LatentDomain) -> Iterator[str]:
    """What is malformed about the forms; nothing means that :class:`Forms` can evaluate them."""
    stated = intervals(core.facts)
    seen: set[int] = set()
    for form in core.evidence.forms:
        place = f"form against class {form.rival}"
        if form.rival not in core.rivals or form.rival in seen:
            yield f"{place}: not a rival, or a second form for it"
            continue
        seen.add(form.rival)
        for text in entry_complaints(head, core, form, stated, where):
            yield f"{place}: {text}"


def entry_complaints(
    head: Head, core: Core, form: RivalForm, known: Intervals, where: LatentDomain
) -> Iterator[str]:
    """What is malformed about one form, which may charge the pairs in ``known``."""
    yield from _entry_complaints(head, core, form)
    yield from _location_complaints(head, form, known, where)
    yield from _joint_complaints(form, where)


def _entry_complaints(head: Head, core: Core, form: RivalForm) -> Iterator[str]:
    if not head.decision.linear:
        yield "margins of this decision are not linear in activations"
        return
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
    if not all(
        head.measures(entry.location, entry.prototype) and head.nearest(entry.prototype)
        for entry in entries
    ):
        yield "a location of another bank, or a prototype whose nearest location does not decide"
    # a tangent bounds from below and a chord from above: with the other sign of the weight,
    # neither bounds the margin from below
    weights = stated_score(head, core.instance, form.rival).weights
    if any(weights[entry.prototype] <= 0 for entry in form.supports):
        yield "a prototype without positive weight is listed as support"
    if any(weights[entry.prototype] >= 0 for entry in form.opposes):
        yield "a prototype without negative weight is listed as opposition"
    if any(not _possible(head, entry) for entry in form.supports):
        yield "a tangent at a value that no measurement has"


def _possible(head: Head, entry: Tangent) -> bool:
    low, high = head.free_range(entry.prototype)
    at = fmpq(*hex_ratio(entry.at))
    return (isinstance(low, float) or at >= low) and (isinstance(high, float) or at <= high)


def _location_complaints(
    head: Head, form: RivalForm, known: Intervals, where: LatentDomain
) -> Iterator[str]:
    locations = [entry.location for entry in form.multipliers]
    used = {entry.location for entry in form.supports} | {e.location for e in form.opposes}
    # under linear bounds over all locations, one without linear terms may have multipliers too
    missing = not used <= set(locations) if form.joint else set(locations) != used
    if len(set(locations)) != len(locations) or missing:
        yield "not one entry of multipliers for each location that is used"
    for entry in form.multipliers:
        here = entry.location
        if here >= where.locations:
            yield "location out of range"
        elif entry.domain and not boundable(head, where):
            yield f"location {here}: uses a domain that bounds nothing"
        elif len(set(entry.facts)) != len(entry.facts):
            yield f"location {here}: not one multiplier per fact, each once"
        elif any((here, prototype) not in known for prototype in entry.facts):
            yield f"location {here}: uses a pair fact that the certificate does not state"
        else:
            try:
                _rule(head, entry, known, where).accept(entry.mu)
            except CertificateError as error:
                yield f"location {here}: {error}"


def _joint_complaints(form: RivalForm, where: LatentDomain) -> Iterator[str]:
    if form.joint is None:
        return
    if len(form.joint.nu) != len(where.joints) or not where.joints:
        yield "not one multiplier per linear bound of the domain"
    # a linear bound has no upper end
    if any(nu < 0 for nu in form.joint.nu):
        yield "a negative multiplier of a linear bound"
    if not all(entry.domain for entry in form.multipliers):
        yield "linear bounds of the domain are used, but some location does not use its box"


def _rule(head: Head, entry: PlaceMultipliers, known: Intervals, where: LatentDomain) -> Lagrangian:
    """The Lagrangian bound at one location: of free space, or with what the domain says there."""
    ends = [known[entry.location, prototype] for prototype in entry.facts]
    if entry.domain:
        return Lagrangian(head, where, entry.location, entry.facts, ends, where.local())
    return free_rule(head, where, entry.location, entry.facts, ends)


class Known(Protocol):
    """Proven bounds of every m_lj."""

    def at(self, location: int, prototype: int) -> Bound:
        """Bounds of m_lj, over ``2**GRID``."""

    def elsewhere(self, location: int, prototype: int) -> tuple[bool, int | None]:
        """Whether another location k can have m_kj = t_j, and a lower bound of all such m_kj."""


class Forms:
    """The margins that well-formed forms (obligation 7) prove under proven bounds.

    ``known``: the intervals that multipliers may charge, if not those of the stated facts.
    """

    def __init__(
        self,
        head: Head,
        core: Core,
        where: LatentDomain,
        bounds: Known,
        ends: Ends,
        known: Intervals | None = None,
    ) -> None:
        self._head, self._core, self._bounds, self._ends = head, core, bounds, ends
        self._where = where
        self._known: Intervals = intervals(core.facts) if known is None else known

    def margin(self, form: RivalForm) -> Margin:
        """A lower bound of the margin; minus infinity where the form proves none.

        Sound because margin = offset + sum w_j a_j, each a_j of a listed prototype is replaced by
        something linear that is not above w_j a_j, the linear terms of each location are replaced
        by a lower bound of their sum, and locations are independent.
        """
        head, rival = self._head, form.rival
        score = stated_score(head, self._core.instance, rival)
        weights = score.weights
        tangents = [tangent for tangent in form.supports if self._has_tangent(tangent)]
        chords = [(chord, ends) for chord in form.opposes if (ends := self._chord_ends(chord))]
        listed = {entry.prototype for entry in tangents} | {chord.prototype for chord, _ in chords}
        cost = self._cost(form)

        def least() -> arb:
            spend("a form", cost)
            total = known(self._ends.least(score, listed))
            linear: dict[int, dict[int, arb]] = {e.location: {} for e in form.multipliers}
            lines = [(e.location, e.prototype, self._tangent(e)) for e in tangents]
            lines += [(e.location, e.prototype, self._chord(e, *ends)) for e, ends in chords]
            for location, prototype, (constant, slope) in lines:
                total += constant * weights[prototype]
                linear[location][prototype] = slope * weights[prototype]
            return total + self._bounded(form, linear)

        # everything in `least` is over 2**weight_shift, as the integer weights are
        try:
            sign, value = decided(least, PRECISIONS)
        except UnboundedError:
            return Margin(rival, 0, -math.inf)
        return Margin(rival, max(sign, 0), float_below(value, head.weight_shift))

    def _cost(self, form: RivalForm) -> int:
        """Steps of one evaluation: every listed prototype and fact enters in every channel."""
        head, where = self._head, self._where
        places = where.locations if form.joint is not None else len(form.multipliers)
        columns = sum(len(entry.facts) for entry in form.multipliers)
        columns += len(form.supports) + len(form.opposes)
        per_place = 12 + 2 * len(where.local()) + (0 if form.joint is None else len(form.joint.nu))
        others = len(form.opposes) * where.locations * 8 * OPERATION
        functions = 8 * head.chain.cost * (len(form.supports) + len(form.opposes))
        return others + functions + head.channels * BALL * (2 * columns + per_place * places)

    def _has_tangent(self, tangent: Tangent) -> bool:
        """Whether the similarity is certainly convex where m_lj can be, and up to the tangent.

        Where it is not, the prototype enters by its interval, as if it were not listed.
        """
        at = fmpq(*hex_ratio(tangent.at))
        low, high = as_ends(*self._bounds.at(tangent.location, tangent.prototype))
        low = low if isinstance(low, float) else min(low, at)
        high = high if isinstance(high, float) else max(high, at)
        return self._convex(tangent.prototype, low, high)

    def _convex(self, prototype: int, low: End, high: End) -> bool:
        spend("the shape of a similarity", self._head.chain.cost)
        with ctx.workprec(PRECISIONS[0]):
            return self._head.chain.convex(prototype, low, high)

    def _tangent(self, tangent: Tangent) -> tuple[arb, arb]:
        """Constant and slope of a minorant of a_j in m_lj.

        a_j is the largest similarity over all locations, so at least sigma(m_lj) at this one; and
        where sigma is convex, it is above its tangent at any point.
        """
        at, j = fmpq(*hex_ratio(tangent.at)), tangent.prototype
        slope = self._head.chain.slope(j, at)
        return self._head.chain.value(j, at) - slope * arb(at), slope

    def _chord_ends(self, chord: Chord) -> tuple[int, int] | None:
        """The proven interval of m_lj, if it has two ends, and sigma is convex in between."""
        low, high = self._bounds.at(chord.location, chord.prototype)
        if low is None or high is None or low >= high:
            return None
        return (low, high) if self._convex(chord.prototype, *as_ends(low, high)) else None

    def _chord(self, chord: Chord, low: int, high: int) -> tuple[arb, arb]:
        """Constant and slope of a majorant of a_j in m_lj.

        With t the similarity at a lower bound of m_kj over all other locations k (nothing, where
        there are none), a_j <= max(t, sigma(m_lj)). That is convex in m_lj, as the larger of two
        convex functions, hence below its chord over the interval [low, high] that contains m_lj.
        """
        j, chain = chord.prototype, self._head.chain
        exist, others = self._bounds.elsewhere(chord.location, j)
        near, far = fmpq(low, _ONE), fmpq(high, _ONE)
        at_near, at_far = chain.value(j, near), chain.value(j, far)
        if exist:
            _, top = chain.range(j, *as_ends(others, None))
            elsewhere = arb("nan") if isinstance(top, float) else as_ball(top)
            at_near, at_far = at_near.max(elsewhere), at_far.max(elsewhere)
        slope = (at_far - at_near) / arb(far - near)
        return at_near - slope * arb(near), slope

    def _bounded(self, form: RivalForm, linear: Mapping[int, Mapping[int, arb]]) -> arb:
        """A lower bound of the sum of all locations' linear terms, over 2**weight_shift.

        Locations are independent but for the linear bounds of the domain. Where <c_k, z> >= d_k
        and nu_k >= 0, a sum of forms is at least itself less sum nu_k ( <c_k, z> - d_k ), which is
        a sum over *all* locations again: the Lagrangian bound once more.
        """
        head, where = self._head, self._where
        entries = {entry.location: entry for entry in form.multipliers}
        total, nu = arb(0), []
        if form.joint is None:
            # one without linear terms would only lose
            entries = {location: entry for location, entry in entries.items() if linear[location]}
        else:
            unit = ball((1 << head.weight_shift, 1 << form.joint.shift))
            nu = [unit * factor for factor in form.joint.nu]
            for location in range(where.locations):
                bare = PlaceMultipliers(location=location, facts=(), shift=0, mu=(), domain=True)
                entries.setdefault(location, bare)
            for factor, bound in zip(nu, where.joints, strict=True):
                total += factor * ball(bound.bound)
        for location, entry in entries.items():
            rule = _rule(head, entry, self._known, where)
            unit = ball((1 << head.weight_shift, 1 << entry.shift))
            less = [(n, joint.slopes[location]) for n, joint in zip(nu, where.joints, strict=False)]
            total += rule.form(linear.get(location, {}), entry.mu, unit, less)
        return total
