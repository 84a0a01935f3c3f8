"""One case of a proof by cases: its premises, and what they say about measurements and values."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial

from protoproof.certificate.schema import ImpliedBound
from protoproof.formal.boxes import Boxes
from protoproof.formal.implied import implied_steps
from protoproof.formal.known import Known, Root, block_rows
from protoproof.formal.script import NotCoveredError, Ref, Token, optional, used
from protoproof.kernel.arithmetic.exact import GRID, Ratio, hex_ratio
from protoproof.kernel.latent.bounds import Interval
from protoproof.kernel.latent.case_domain import Half
from protoproof.kernel.latent.lagrangian import Interval as Charged
from protoproof.kernel.latent.ranges import box_ranges
from protoproof.kernel.latent.rows import Block

_ONE = 1 << GRID


class Case:
    """What holds at one node of a tree.

    Attributes:
        tokens: what is written since the last split.
        depth: premises of the path so far.
        among: by prototype, the locations that may attain its value, and the premise.
        single: the prototypes of which a split named the one that does.
    """

    def __init__(self, root: Root) -> None:
        self.root = root
        self.tokens: list[Token] = []
        self.depth = 0
        self.among: dict[int, tuple[Ref, list[int]]] = {}
        self.single: set[int] = set()
        self._low: dict[tuple[int, int], Known] = {}
        self._high: dict[tuple[int, int], Known] = {}
        self._value_low: dict[int, Known] = {}
        self._value_high: dict[int, Known] = {}
        self._touched: set[int] = set()
        self._boxes = Boxes()

    def fork(self) -> Case:
        """The same knowledge, to be told more."""
        other = Case(self.root)
        other.depth, other.among, other.single = self.depth, dict(self.among), set(self.single)
        other._low, other._high = dict(self._low), dict(self._high)
        other._value_low, other._value_high = dict(self._value_low), dict(self._value_high)
        other._touched = set(self._touched)
        other._boxes = self._boxes.fork()
        return other

    def use(self, *tokens: Token | Ref) -> None:
        """Write tokens; references are those at this depth."""
        self.tokens += used(tokens, self.depth)

    def add(self, *tokens: Token | Ref) -> Ref:
        """Write a step, whose conclusion is a new premise."""
        self.use("step", *tokens)
        return self._enter()

    def _enter(self) -> Ref:
        self.depth += 1
        return Ref("case", self.depth - 1)

    def enter_measurement(
        self, location: int, prototype: int, low: int | None, high: int | None
    ) -> None:
        """A split says this about m_lj."""
        self._narrow(location, prototype, low, high, self._enter())

    def enter_value(self, prototype: int, low: int | None, high: int | None) -> None:
        """A split says this about t_j."""
        self._narrow_value(prototype, low, high, self._enter())

    def enter_channel(self, location: int, half: Half) -> None:
        """A split says this about a channel of z_l."""
        self._boxes.enter(location, half, self._enter())

    def enter_place(self, prototype: int, places: list[int], single: bool = False) -> Ref:
        """A split says which locations may attain t_j; ``single``: that one does."""
        ref = self._enter()
        self.among[prototype] = ref, places
        if single:
            self.single.add(prototype)
        self._touched.add(prototype)
        return ref

    def _narrow(
        self, location: int, prototype: int, low: int | None, high: int | None, ref: Ref
    ) -> None:
        key = location, prototype
        self._touched.add(prototype)
        known, other = self._own_low(*key), self._own_high(*key)
        if low is not None and (known is None or low > known.value):
            self._low[key] = Known(low, lambda: ref)
        if high is not None and (other is None or high < other.value):
            self._high[key] = Known(high, lambda: ref)

    def _narrow_value(self, prototype: int, low: int | None, high: int | None, ref: Ref) -> None:
        self._touched.add(prototype)
        known, other = self.value_low(prototype), self.value_high(prototype)
        if low is not None and (known is None or low > known.value):
            self._value_low[prototype] = Known(low, lambda: ref)
        if high is not None and (other is None or high < other.value):
            self._value_high[prototype] = Known(high, lambda: ref)

    def _own_low(self, location: int, prototype: int) -> Known | None:
        return self._low.get((location, prototype)) or self.root.at_low(location, prototype)

    def _own_high(self, location: int, prototype: int) -> Known | None:
        return self._high.get((location, prototype)) or self.root.at_high(location, prototype)

    def value_low(self, prototype: int) -> Known | None:
        """The best lower bound of t_j."""
        return self._value_low.get(prototype) or self.root.value_low[prototype]

    def value_high(self, prototype: int) -> Known | None:
        """The best upper bound of t_j."""
        return self._value_high.get(prototype) or self.root.value_high[prototype]

    def _places(self, prototype: int) -> list[int]:
        found = self.among.get(prototype)
        return self.root.places(prototype) if found is None else found[1]

    def any_low(self, location: int, prototype: int) -> Known | None:
        """The best lower bound of m_lj; its premise may be about t_j."""
        own, value = self._own_low(location, prototype), self.value_low(prototype)
        if value is None or (own is not None and own.value >= value.value):
            return own
        return value

    def low(self, location: int, prototype: int) -> Known | None:
        """The best lower bound of m_lj, by a premise about m_lj."""
        own, best = self._own_low(location, prototype), self.any_low(location, prototype)
        if best is None or best is own:
            return own

        def premise() -> Ref:
            ref = self.add("low", location, prototype, best.premise())
            self._low[location, prototype] = Known(best.value, lambda: ref)
            return ref

        return Known(best.value, premise)

    def high(self, location: int, prototype: int) -> Known | None:
        """The best upper bound of m_lj, also where no other location attains t_j."""
        own, value = self._own_high(location, prototype), self.value_high(prototype)
        alone = self._places(prototype) == [location]
        if not alone or value is None or (own is not None and own.value <= value.value):
            return own

        def premise() -> Ref:
            here = self.among.get(prototype)
            only = self.add("only", prototype) if here is None else here[0]
            if here is None:
                self.among[prototype] = only, [location]
            ref = self.add("here", only, self._about_value(prototype, location))
            self._high[location, prototype] = Known(value.value, lambda: ref)
            return ref

        return Known(value.value, premise)

    def _about_value(self, prototype: int, location: int) -> Ref:
        """A premise about t_j itself with its upper bound."""
        known = self._value_high.get(prototype) or self.root.value_high[prototype]
        if known is None:
            raise NotCoveredError("an upper bound that is none")
        for place in self.root.places(prototype):
            if known is self._own_high(place, prototype):
                ref = self.add("up", prototype, place, known.premise())
                self._value_high[prototype] = Known(known.value, partial(_same, ref))
                return ref
        return known.premise()

    def cut(self, unit: int) -> bool:
        """Write the boxes that splits of channels leave, and whether one of them is empty.

        ``unit``: the exponent of the kernel's unit.
        """
        if self._boxes.write(self, unit):
            return True
        if self._boxes.where is not None:
            head, where = self.root.head, self._boxes.where
            for location in self._boxes.locations():
                for prototype, ends in enumerate(box_ranges(head, where, location)):
                    if head.measures(location, prototype):
                        self._narrow_in_box(location, prototype, *ends)
        return False

    def _narrow_in_box(
        self, location: int, prototype: int, low: int | None, high: int | None
    ) -> None:
        """What the box of a location says about m_lj; the step is written where it is asked for."""
        key, box = (location, prototype), self._boxes.box(self.root, location)
        known, other = self._own_low(*key), self._own_high(*key)
        scaled = self.root.head.geometry == "diagonal"

        def step(sign: int) -> Ref:
            if box is None:
                raise NotCoveredError("a location without a box")
            if scaled:
                return self.add("scaled", location, prototype, box)
            return self.add("row", location, prototype, sign, box, 0)

        if low is not None and (known is None or low > known.value):
            self._touched.add(prototype)
            self._low[key] = Known(low, cache(partial(step, 1)))
        if high is not None and (other is None or high < other.value):
            self._touched.add(prototype)
            self._high[key] = Known(high, cache(partial(step, -1)))

    def at(self, location: int, prototype: int) -> Interval:
        """Bounds of m_lj."""
        low, high = self.low(location, prototype), self.high(location, prototype)
        return None if low is None else low.value, None if high is None else high.value

    def settle(self) -> None:
        """Carry what is known about m_lj over to t_j, for the prototypes that changed."""
        for prototype in sorted(self._touched):
            places = self._places(prototype)
            lows = [self.any_low(k, prototype) for k in places]
            known = self.value_low(prototype)
            if lows and None not in lows:
                found = [low for low in lows if low is not None]
                value = min(low.value for low in found)
                if known is None or value > known.value:
                    refs = [low.premise() for low in found]
                    among = self.among.get(prototype)
                    how = ("least",) if among is None else ("least-among",)
                    which = (prototype,) if among is None else (prototype, among[0])
                    ref = self.add(*how, *which, len(refs), *refs)
                    self._value_low[prototype] = Known(value, partial(_same, ref))
            for k in self.root.places(prototype):
                high, best = self._own_high(k, prototype), self.value_high(prototype)
                if high is not None and (best is None or high.value < best.value):
                    self._value_high[prototype] = high

    def contradicts(self) -> bool:
        """Write that the case is impossible, where two bounds exclude each other."""
        for prototype in sorted(self._touched):
            if not self._places(prototype):
                self.use("nowhere", self.among[prototype][0])
                return True
            low, high = self.value_low(prototype), self.value_high(prototype)
            if low is not None and high is not None and low.value > high.value:
                below = self.add("least", prototype, 1, low.premise())
                place = self._places(prototype)[0]
                self.use("absurd", below, self._about_value(prototype, place))
                return True
        for location, prototype in (*self._low, *self._high):
            low, high = self.low(location, prototype), self.high(location, prototype)
            if low is not None and high is not None and low.value > high.value:
                refs = low.premise(), high.premise()
                self.use("absurd", *refs)
                return True
        return False

    def __contains__(self, pair: object) -> bool:
        """Whether multipliers may charge a pair: all of them."""
        match pair:
            case (int() as location, int() as prototype):
                head = self.root.head
                inside = location < head.location_count and prototype < head.prototype_count
                return inside and head.measures(location, prototype)
        return False

    def __getitem__(self, pair: tuple[int, int]) -> Charged:
        low, high = self.low(*pair), self.high(*pair)
        ends: tuple[Ratio | None, Ratio | None] = (
            None if low is None else (low.value, _ONE),
            None if high is None else (high.value, _ONE),
        )
        return ends

    def add_rows(self, blocks: Sequence[Block], implied: Sequence[ImpliedBound]) -> None:
        """What a leaf's rows and implied bounds say; all start from what the path says."""
        found, where = [], self._boxes.where
        for block in blocks:
            charged = [partial(self.charged, block.location, i) for i in block.facts]
            boxed = None if where is None else (where, self.box(block.location))
            found += block_rows(self.root, block, self, charged, boxed)
        sides: tuple[dict[int, Ratio], dict[int, Ratio]] = {}, {}
        for entry in implied:
            below = hex_ratio(entry.stretch)[0] < 0
            known = (self.value_low if below else self.value_high)(entry.via)
            if known is None:
                raise NotCoveredError("an implied bound that starts from an open end")
            sides[below][entry.via] = known.value, _ONE
        head = self.root.head
        via = {(j, False): self._about_value(j, self.root.places(j)[0]) for j in sides[0]}
        via |= {(j, True): self._everywhere(j) for j in sides[1]}
        found_implied = [
            (j, low, high, step())
            for j, low, high, step in implied_steps(
                head, implied, sides, lambda j, below: via[j, below], self.root.ball
            )
        ]
        for location, prototype, low, high, tokens in found:
            self._narrow(location, prototype, low, high, self.add(*tokens))
        for prototype, low, high, step in found_implied:
            self._narrow_value(prototype, low, high, self.add(*step))

    def _everywhere(self, prototype: int) -> Ref:
        """A premise about every m_lj, with the lower bound of t_j."""
        known = self.value_low(prototype)
        if known is None:
            raise NotCoveredError("a lower bound that is none")
        return self.add("low", "-", prototype, known.premise())

    def updates(self) -> list[tuple[int, Ref | str, Ref | str]]:
        """The prototypes whose value has other premises than for all rivals."""
        rows = []
        for j in sorted(self._touched):
            low, high = self.value_low(j), self.value_high(j)
            rows.append(
                (
                    j,
                    optional(None if low is None else low.premise()),
                    optional(None if high is None else high.premise()),
                )
            )
        return rows

    def best(self) -> list[Interval]:
        """The bounds of all values."""
        count = range(self.root.head.prototype_count)
        pairs = [(self.value_low(j), self.value_high(j)) for j in count]
        return [
            (None if low is None else low.value, None if high is None else high.value)
            for low, high in pairs
        ]

    def least(self, prototype: int) -> int | None:
        """The lower bound of t_j that the kernel's table has."""
        known = self.value_low(prototype)
        return None if known is None else known.value

    def most(self, prototype: int) -> int | None:
        """The upper one."""
        known = self.value_high(prototype)
        return None if known is None else known.value

    def candidates(self, prototype: int) -> tuple[Ref | None, Sequence[int]]:
        """The locations that may attain t_j, and the premise that says so."""
        found = self.among.get(prototype)
        return (None, self.root.places(prototype)) if found is None else found

    def charged(self, location: int, prototype: int, positive: bool) -> Ref:
        """The premise whose end a multiplier charges."""
        known = self.high(location, prototype) if positive else self.low(location, prototype)
        if known is None:
            raise NotCoveredError("an open end that is charged")
        return known.premise()

    def box(self, location: int) -> Ref | None:
        """The box of a location."""
        return self._boxes.box(self.root, location)

    def constraints(self) -> Sequence[Ref]:
        """The ball of directions, or the domain's constraint."""
        return self.root.constraints()

    def joints(self) -> Sequence[Ref]:
        """The domain's."""
        return self.root.stated.joints


def _same(ref: Ref) -> Ref:
    return ref
