"""Forms as lines: tangents and chords in integers, close to those that the checker evaluates.

A line only has to be below or above a similarity, which the kernel tests; so slopes and constants
are rounded, and give way by as much as the kernel's logarithms are off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from flint import arb, ctx, fmpq

from protoproof.certificate.schema import (
    Chord,
    JointMultipliers,
    PlaceMultipliers,
    RivalForm,
    Tangent,
)
from protoproof.formal.known import Known, joint_exponent
from protoproof.formal.script import NotCoveredError, Ref, Token
from protoproof.kernel.arithmetic.exact import GRID, hex_ratio
from protoproof.kernel.latent.bounds import as_ends
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.model.decision import Score
from protoproof.kernel.model.head import Head

_SECANT = 40  # the two points of a tangent are 2**-40 apart


class Bounded(Protocol):
    """What a form may use: bounds of m_lj and t_j with their premises."""

    def low(self, location: int, prototype: int) -> Known | None:
        """The best lower bound of m_lj."""

    def high(self, location: int, prototype: int) -> Known | None:
        """The best upper bound of m_lj."""

    def least(self, prototype: int) -> int | None:
        """The lower bound of t_j that the kernel's table has."""

    def most(self, prototype: int) -> int | None:
        """The upper one."""

    def candidates(self, prototype: int) -> tuple[Ref | None, Sequence[int]]:
        """The locations that may attain t_j, and the premise that says so."""

    def charged(self, location: int, prototype: int, positive: bool) -> Ref:
        """The premise whose end a multiplier charges."""

    def box(self, location: int) -> Ref | None:
        """The box of a location."""

    def constraints(self) -> Sequence[Ref]:
        """What else multipliers may charge, in the order of their columns."""

    def joints(self) -> Sequence[Ref]:
        """The linear bounds over all locations."""


@dataclass(frozen=True)
class Precision:
    """Exponents of the kernel's units, and the halvings of its logarithms and exponentials."""

    unit: int
    fine: int
    rounds: int

    @property
    def room(self) -> int:
        """What to leave for the kernel's rounding, over its fine unit."""
        return 1 << max(8, self.fine - self.rounds + 24)


class Lines:
    """Writes the forms of certificates."""

    def __init__(
        self, head: Head, precision: Precision, weight_exponent: int, where: LatentDomain
    ) -> None:
        self._head, self._precision, self._exponent = head, precision, weight_exponent
        self._where = where

    def form(self, form: RivalForm, score: Score, bounds: Bounded) -> list[Token | Ref]:
        """``form ...`` with every line that there is."""
        entries: list[Tangent | Chord] = [*form.supports, *form.opposes]
        lines: dict[int, tuple[int, list[str | int | Ref]]] = {}
        for entry in entries:
            weight = score.weights[entry.prototype]
            line = (
                self._tangent(entry, bounds)
                if isinstance(entry, Tangent)
                else self._chord(entry, bounds)
            )
            if line is not None and weight:
                lines[entry.prototype] = entry.location, line
        tokens: list[Token | Ref] = ["form", len(lines)]
        for prototype in sorted(lines):
            tokens += [prototype, *lines[prototype][1]]
        places = {location for location, _ in lines.values()}
        parts = {part.location: part for part in form.multipliers}
        if form.joint is not None:
            places = set(range(self._where.locations))
            for location in places:
                bare = PlaceMultipliers(location=location, facts=(), shift=0, mu=(), domain=True)
                parts.setdefault(location, bare)
        tokens.append(len(places))
        for location in sorted(places):
            tokens += self._sum(parts[location], bounds)
        return [*tokens, *self._joint(form.joint, bounds)]

    def _joint(self, joint: JointMultipliers | None, bounds: Bounded) -> list[str | int | Ref]:
        charges: list[str | int | Ref] = []
        if joint is not None:
            # the kernel's linear forms are over 2**joint_exponent
            down = joint.shift + joint_exponent(self._where)
            for ref, nu in zip(bounds.joints(), joint.nu, strict=True):
                t = (nu << (self._precision.fine + self._exponent)) >> down
                charges += [ref, t] if t else []
        return [len(charges) // 2, *charges]

    def _sum(self, entry: PlaceMultipliers, bounds: Bounded) -> list[str | int | Ref]:
        box = bounds.box(entry.location) if entry.domain else None
        extra = bounds.constraints() if entry.domain or self._head.geometry == "angular" else ()
        charges: list[str | int | Ref] = []
        for index, mu in enumerate(entry.mu):
            # over 2**shift of weights that are whole; the kernel's are over its fine unit as well
            t = (mu << (self._precision.fine + self._exponent)) >> entry.shift
            if not t:
                continue
            if index < len(entry.facts):
                charges += [bounds.charged(entry.location, entry.facts[index], t > 0), t]
            else:
                charges += [extra[index - len(entry.facts)], t]
        return [entry.location, "-" if box is None else box, len(charges) // 2, *charges]

    def _value(self, prototype: int, at: int) -> int:
        """The similarity at ``at`` (over the unit), over the fine unit."""
        precision = self._precision
        with ctx.workprec(2 * precision.fine):
            value = self._head.chain.value(prototype, fmpq(at, 1 << precision.unit))
            return _nearest(value * (arb(2) ** precision.fine))

    def _tangent(self, entry: Tangent, bounds: Bounded) -> list[str | int | Ref] | None:
        unit, room = self._precision.unit, self._precision.room
        j, low = entry.prototype, bounds.least(entry.prototype)
        if low is None:
            return None
        numerator, below = hex_ratio(entry.at)
        first = (numerator << unit) // below
        least = min(low << (unit - GRID), first)
        second = first + (1 << (unit - _SECANT))
        high = bounds.most(j)
        top = None if high is None else max(high << (unit - GRID), second)
        if not self._convex(j, least, top):
            return None
        near, far = self._value(j, first), self._value(j, second)
        step = second - first
        slope = min(0, ((far - near - 2 * room) << unit) // step)
        # every condition of the kernel, with room
        slack = (first - least) * (((far - near + 2 * room) << unit) - slope * step)
        constant = min(
            ((far - room) << unit) - slope * first,
            ((near - room) << unit) - slope * first - -(-slack // step),
        )
        return ["support", entry.location, slope, constant >> unit, first, second]

    def _convex(self, prototype: int, low: int, high: int | None) -> bool:
        one = 1 << self._precision.unit
        with ctx.workprec(128):
            top = as_ends(None, None)[1] if high is None else fmpq(high, one)
            return self._head.chain.convex(prototype, fmpq(low, one), top)

    def _chord(self, entry: Chord, bounds: Bounded) -> list[str | int | Ref] | None:
        unit, room = self._precision.unit, self._precision.room
        j, here = entry.prototype, entry.location
        low, high = bounds.low(here, j), bounds.high(here, j)
        if low is None or high is None or low.value >= high.value:
            return None
        near_at, far_at = low.value << (unit - GRID), high.value << (unit - GRID)
        if not self._convex(j, near_at, far_at):
            return None
        among, places = bounds.candidates(j)
        others = [None if k == here else bounds.low(k, j) for k in places]
        near, far = self._value(j, near_at), self._value(j, far_at)
        ends = [known.value for known in others if known is not None]
        if len(ends) < sum(k != here for k in places):
            return None
        if ends:
            roof = self._value(j, min(ends) << (unit - GRID))
            near, far = max(near, roof), max(far, roof)
        slope = ((far - near) << unit) // (far_at - near_at)
        constant = max(
            ((near + room) << unit) - slope * near_at, ((far + room) << unit) - slope * far_at
        )
        refs: list[Ref | int] = [0 if known is None else known.premise() for known in others]
        return [
            *("oppose", here, slope, -(-constant >> unit), low.premise(), high.premise()),
            *("-" if among is None else among, len(refs), *refs),
        ]


def _nearest(value: arb) -> int:
    found = value.mid().floor().unique_fmpz()
    if found is None:
        raise NotCoveredError("a similarity without a value")
    return int(found)
