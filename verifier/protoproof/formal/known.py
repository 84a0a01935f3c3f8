"""What a proof knows about measurements and pooled values, and which premise says so.

Values only choose among premises; the kernel computes all of them again. They are integers over
``2**GRID``, as the checker in Python has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import isqrt
from typing import NamedTuple

from protoproof.certificate.schema import CeilingFact, Core, DomainBlock, PairFact
from protoproof.formal.script import NotCoveredError, Ref, Script
from protoproof.kernel.arithmetic.exact import grid_ceiling, grid_floor, hex_ratio
from protoproof.kernel.latent.bounded import BoundedDomain
from protoproof.kernel.latent.bounds import Bounds
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.facts import intervals
from protoproof.kernel.latent.rows import Block, Intervals, block_bounds
from protoproof.kernel.model.head import Head

_FINER = 64  # bits of a multiplier that is close to the best one


class Known(NamedTuple):
    """A bound's value, and how the premise that says it is had."""

    value: int
    premise: Callable[[], Ref]


class Stated:
    """The premises of a statement, in its order: facts, then constraints of the domain."""

    def __init__(self, core: Core, head: Head, where: LatentDomain) -> None:
        count = len(core.facts)
        self.facts = [Ref("stated", n) for n in range(count)]
        self.norm = self.total = self.everywhere = None
        self.boxes: list[Ref] = []
        self.joints: list[Ref] = []
        if not where.bounded:
            return
        direct = head.geometry == "angular"  # of directions, only the box says something: signs
        if where.kind in ("sphere", "ball"):
            self.norm = None if direct else Ref("stated", count)
            self.everywhere = Ref("stated", count + 1)
        elif where.kind == "simplex":
            self.total = None if direct else Ref("stated", count)
            self.everywhere = Ref("stated", count + 1)
        elif where.kind == "box":
            self.everywhere = Ref("stated", count)
        else:
            self.boxes = [Ref("stated", count + n) for n in range(where.locations)]
            count += where.locations
            self.joints = [Ref("stated", count + n) for n in range(len(where.joints))]

    def box(self, location: int | None) -> Ref | None:
        """The box of a location, if there is one."""
        if self.boxes and location is not None:
            return self.boxes[location]
        return self.everywhere

    @property
    def constraint(self) -> Ref | None:
        """The one constraint besides the box that concerns single locations."""
        return self.norm or self.total


class Root:
    """What holds for all rivals: bounds of m_lj and t_j, each with a premise when it is asked for.

    Raises:
        NotCoveredError: a rule that the kernel does not know.
    """

    def __init__(self, head: Head, core: Core, where: LatentDomain, bounds: Bounds) -> None:
        self.head, self.core, self.where, self.bounds = head, core, where, bounds
        self.script, self.stated = Script(), Stated(core, head, where)
        self.low: dict[tuple[int, int], Known] = {}
        self.high: dict[tuple[int, int], Known] = {}
        self.value_low: list[Known | None] = [None] * head.prototype_count
        self.value_high: list[Known | None] = [None] * head.prototype_count
        self.roofs: list[Ref] = []
        self._ball: Ref | None = None
        self._cache: dict[tuple[object, ...], Ref] = {}
        self._read_facts()
        self._read_blocks((*core.evidence.blocks, *core.evidence.domain_blocks))
        self._settle()
        if core.evidence.implied:
            from protoproof.formal.implied import read_implied

            read_implied(self)

    def once(self, key: tuple[object, ...], make: Callable[[], Ref]) -> Ref:
        """A premise that is derived when it is first asked for."""
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    def ball(self) -> Ref:
        """|u|^2 is in [0, 1] for directions u."""
        return self.once(("ball",), lambda: self.script.add("ball"))

    def constraints(self) -> list[Ref]:
        """What multipliers may charge besides measurements, in the order of their columns."""
        if self.head.geometry == "angular":
            return [self.ball()]
        return [] if self.stated.constraint is None else [self.stated.constraint]

    def joint_alone(self, index: int, location: int) -> Ref:
        """What a linear bound over all locations says about one of them."""
        boxes = self.stated.boxes
        tokens: list[str | int | Ref] = ["alone", self.stated.joints[index], location]
        tokens += [len(boxes), *boxes]
        return self.once(("alone", index, location), lambda: self.script.add(*tokens))

    def places(self, prototype: int) -> list[int]:
        """The locations of the prototype's bank."""
        return [k for k in range(self.head.location_count) if self.head.measures(k, prototype)]

    def at_low(self, location: int, prototype: int) -> Known | None:
        """The best lower bound of m_lj by itself."""
        return self.low.get((location, prototype)) or self.alone(location, prototype, 1)

    def at_high(self, location: int, prototype: int) -> Known | None:
        """The best upper bound of m_lj by itself."""
        return self.high.get((location, prototype)) or self.alone(location, prototype, -1)

    def alone(self, location: int, prototype: int, sign: int) -> Known | None:
        """What the domain says about m_lj; the same everywhere where all locations are alike."""
        end = self.bounds.alone(location, prototype)[0 if sign > 0 else 1]
        if end is None:
            return None
        at = None if self.where.uniform else location
        key = ("alone", at, prototype, sign)
        return Known(end, lambda: self.once(key, lambda: self._alone(at, prototype, sign)))

    def _alone(self, at: int | None, prototype: int, sign: int) -> Ref:
        head, stated = self.head, self.stated
        place: str | int = "-" if at is None else at
        free = not self.where.bounded
        if sign > 0 and free and head.geometry in ("euclidean", "diagonal"):
            return self.script.add("zero", prototype)
        box = stated.box(at)
        if head.geometry == "angular":
            positive = not free and min(self.where.ends(at or 0)[0]) >= 0
            signs = box if positive and box is not None else "-"
            key = "span", place, prototype
            return self.once(key, lambda: self.script.add("span", place, prototype, signs))
        if head.geometry == "diagonal":
            if box is None:
                raise NotCoveredError("a range of distances with a weight per channel")
            ends: list[str | int | Ref] = ["scaled", place, prototype, box]
            return self.once(("scaled", place, prototype), lambda: self.script.add(*ends))
        scale = 1 << _FINER
        charges: list[Ref | int] = [0]
        if isinstance(self.where, BoundedDomain) and stated.constraint is not None:
            factor = _best_multiplier(head, self.where, prototype, sign)
            charges = [1, stated.constraint, factor] if factor else [0]
            box = None if self.where.kind in ("sphere", "ball") else box
        return self.script.add(
            "row", place, prototype, sign * scale, "-" if box is None else box, *charges
        )

    def _read_facts(self) -> None:
        head = self.head
        for fact, ref in zip(self.core.facts, self.stated.facts, strict=True):
            if isinstance(fact, CeilingFact):
                if not head.uniform:
                    self.roofs.append(ref)
                    continue
                bound, exempt = grid_floor(hex_ratio(fact.bound)), set(fact.exempt)
                for j in range(head.prototype_count):
                    if j not in exempt:
                        self.raise_value(j, bound, ref)
                continue
            ends = grid_floor(hex_ratio(fact.lower)), grid_ceiling(hex_ratio(fact.upper))
            if isinstance(fact, PairFact):
                self.narrow(fact.location, fact.prototype, *ends, ref)
            else:
                self.raise_value(fact.prototype, ends[0], ref)
                self.lower_value(fact.prototype, ends[1], ref)

    def narrow(
        self, location: int, prototype: int, low: int | None, high: int | None, ref: Ref
    ) -> None:
        """A premise about m_lj."""
        self._narrow(location, prototype, low, high, lambda: ref)

    def _narrow(
        self,
        location: int,
        prototype: int,
        low: int | None,
        high: int | None,
        premise: Callable[[], Ref],
    ) -> None:
        key = location, prototype
        if low is not None:
            known = self.at_low(*key)
            if known is None or low > known.value:
                self.low[key] = Known(low, premise)
        if high is not None:
            known = self.at_high(*key)
            if known is None or high < known.value:
                self.high[key] = Known(high, premise)

    def raise_value(self, prototype: int, low: int, ref: Ref) -> None:
        """A premise says that t_j is at least this."""
        known = self.value_low[prototype]
        if known is None or low > known.value:
            self.value_low[prototype] = Known(low, lambda: ref)

    def lower_value(self, prototype: int, high: int, ref: Ref) -> None:
        """A premise says that t_j is at most this."""
        known = self.value_high[prototype]
        if known is None or high < known.value:
            self.value_high[prototype] = Known(high, lambda: ref)

    def _read_blocks(self, blocks: Sequence[Block]) -> None:
        stated = intervals(self.core.facts)
        pairs = {
            (fact.location, fact.prototype): ref
            for fact, ref in zip(self.core.facts, self.stated.facts, strict=True)
            if isinstance(fact, PairFact)
        }
        for block in blocks:
            refs = [partial(_either, pairs[block.location, i]) for i in block.facts]
            for found in block_rows(self, block, stated, refs):
                location, prototype, low, high, tokens = found
                key = ("row", location, prototype, *map(str, tokens))

                def premise(
                    tokens: list[str | int | Ref] = tokens, key: tuple[object, ...] = key
                ) -> Ref:
                    return self.once(key, lambda: self.script.add(*tokens))

                self._narrow(location, prototype, low, high, premise)

    def _settle(self) -> None:
        """Carry what is known at all locations over to pooled values."""
        head = self.head
        touched = {j for _, j in (*self.low, *self.high)}
        for j in range(head.prototype_count):
            if not head.nearest(j):
                self._pool(j)
                continue
            if j not in touched and self.where.uniform:
                self._settle_alone(j)
                continue
            places = self.places(j)
            lows = [self.at_low(k, j) for k in places]
            value = min((known.value for known in lows if known is not None), default=None)
            known = self.value_low[j]
            if value is not None and None not in lows and (known is None or value > known.value):
                self.value_low[j] = Known(value, partial(self._least, j, lows))
            for k in places:
                high, best = self.at_high(k, j), self.value_high[j]
                if high is not None and (best is None or high.value < best.value):
                    self.value_high[j] = high

    def _settle_alone(self, prototype: int) -> None:
        low, high = (self.alone(self.places(prototype)[0], prototype, s) for s in (1, -1))
        known, best = self.value_low[prototype], self.value_high[prototype]
        if low is not None and (known is None or low.value > known.value):
            self.value_low[prototype] = low
        if high is not None and (best is None or high.value < best.value):
            self.value_high[prototype] = high

    def _least(self, prototype: int, lows: Sequence[Known | None]) -> Ref:
        refs = [known.premise() for known in lows if known is not None]
        return self.once(
            ("least", prototype), lambda: self.script.add("least", prototype, len(refs), *refs)
        )

    def _pool(self, prototype: int) -> None:
        places = self.places(prototype)
        low, high = self.bounds.pooled(prototype)

        def premise() -> Ref:
            pairs = [(self.at_low(k, prototype), self.at_high(k, prototype)) for k in places]
            ends = ["-" if known is None else known.premise() for pair in pairs for known in pair]
            key = "pool", prototype
            return self.once(key, lambda: self.script.add("pool", prototype, len(places), *ends))

        known, best = self.value_low[prototype], self.value_high[prototype]
        if low is not None and (known is None or low > known.value):
            self.value_low[prototype] = Known(low, premise)
        if high is not None and (best is None or high < best.value):
            self.value_high[prototype] = Known(high, premise)


def block_rows(
    root: Root,
    block: Block,
    known: Intervals,
    refs: Sequence[Callable[[bool], Ref]],
    boxed: tuple[LatentDomain, Ref | None] | None = None,
) -> list[tuple[int, int, int | None, int | None, list[str | int | Ref]]]:
    """(location, prototype, lower, upper, step) of every row of a block that bounds anything.

    ``refs``: for each fact, the premise that a positive or another multiplier charges. ``boxed``:
    the domain with narrower boxes, and the premise about that of the location.
    """
    head = root.head
    where, box = boxed or (root.where, root.stated.box(block.location))
    domain = isinstance(block, DomainBlock)
    extra = root.constraints() if domain or head.geometry == "angular" else []
    alone = [partial(root.joint_alone, n, block.location) for n in range(len(where.joints))]
    box = box if domain else None
    steps: dict[tuple[int, int], list[str | int | Ref]] = {}
    for rows, sign in ((block.lower, 1), (block.upper, -1)):
        for prototype, theta in zip(rows.prototypes, rows.theta, strict=True):
            charges: list[Ref | int] = []
            columns: list[Callable[[bool], Ref]] = [*refs]
            columns += [partial(_either, ref) for ref in extra]
            # the kernel's linear forms are over 2**up
            up = joint_exponent(where) if any(theta[len(columns) :]) else 0
            for index, t in enumerate(theta):
                if t and index < len(columns):
                    charges += [columns[index](t > 0), t << up]
                elif t:
                    charges += [alone[index - len(columns)](), t]
            steps[prototype, sign] = [
                *("row", block.location, prototype, sign << (block.shift + up)),
                "-" if box is None else box,
                *(len(charges) // 2, *charges),
            ]
    found = []
    for location, j, least, most in block_bounds(head, where, [block], known):
        found.append((location, j, least, most, steps[j, 1 if most is None else -1]))
    return found


def joint_exponent(where: LatentDomain) -> int:
    """The exponent of a domain with linear bounds in the statement: all its numbers are whole."""
    return max([where.shift, *(joint.bound[1].bit_length() - 1 for joint in where.joints)])


def _either(ref: Ref, positive: bool) -> Ref:
    return ref


def _best_multiplier(head: Head, where: BoundedDomain, prototype: int, sign: int) -> int:
    """A multiplier, over ``2**_FINER``, of the norm or the sum that bounds one measurement best."""
    scale = 1 << _FINER
    norm = isqrt(head.norms[prototype] << (2 * _FINER)) >> head.shift  # |p| over scale
    slack, unit = where.slack
    if where.kind == "simplex":
        return _best_of_sum(head, where, prototype, sign)
    outer = isqrt(((unit + slack) << (2 * _FINER)) // unit)
    inner = isqrt(((unit - slack) << (2 * _FINER)) // unit) if where.kind == "sphere" else 0
    if head.geometry == "linear":
        return norm * scale // (2 * outer) + (1 if norm else 0)
    if sign < 0:
        return norm * scale // outer + scale + 1
    if norm > outer:
        return norm * scale // outer - scale
    if norm < inner:
        return norm * scale // inner - scale + 1
    return 0


def _best_of_sum(head: Head, where: BoundedDomain, prototype: int, sign: int) -> int:
    from fractions import Fraction

    from protoproof.kernel.latent.ranges import shift_to

    scale = 1 << _FINER
    point = [Fraction(n, 1 << head.shift) for n in head.prototype(prototype)]
    slack = Fraction(*where.slack)
    if head.geometry == "linear":
        return round((max(point) if sign > 0 else -min(point)) * scale)
    if sign < 0:
        return round((1 + slack - 2 * min(point)) * scale)
    total = sum((max(x, Fraction(0)) for x in point), Fraction(0))
    nearest = min(max(total, 1 - slack), 1 + slack)
    return round(2 * shift_to(point, nearest) * scale) if nearest != total else 0
