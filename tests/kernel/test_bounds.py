"""Bounds of measurements and pooled values against what the facts say, prototype by prototype."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx, fmpq

from protoproof.certificate.schema import (
    ActivationFact,
    CeilingFact,
    Fact,
    ImpliedBound,
    IntervalEvidence,
    PairBlock,
    PairFact,
    Rows,
)
from protoproof.kernel.arithmetic.exact import GRID
from protoproof.kernel.latent.bounded import BoundedDomain
from protoproof.kernel.latent.bounds import (
    Bounds,
    as_ends,
    larger,
    on_grid,
    smaller,
    smallest,
)
from protoproof.kernel.latent.domain import LatentDomain, read_domain
from protoproof.kernel.latent.facts import intervals
from protoproof.kernel.latent.rows import block_bounds, implied_bounds
from protoproof.kernel.model.chain import Chain, Step
from protoproof.kernel.model.head import Head, Pooling
from tests.support.kernel.exactly import UNIT_BOX, core_of, linear, small_head

ONE = 1 << GRID
POINTS = [[0, 0], [2, 0], [0, 2], [1, 1]]
WEIGHT = [[1, 0, 0, 0], [0, 1, 0, 0]]
INFINITE = math.inf
Ends = tuple[Fraction | float, Fraction | float]
# ends of facts that the grid of bounds holds, and some that it rounds outwards
TINY = 2.0**-90
VALUES = (0.0, TINY, 0.5, 0.5 + TINY, 1.0, 3.0 - 2.0**-50, 4.0)


def down(x: Fraction | float) -> Fraction | float:
    return Fraction(math.floor(Fraction(x) * ONE), ONE) if abs(x) < INFINITE else x


def up(x: Fraction | float) -> Fraction | float:
    return -down(-x)


def number(end: int | None, open_: float) -> Fraction | float:
    return open_ if end is None else Fraction(end, ONE)


def ends_of(ends: tuple[int | None, int | None]) -> Ends:
    return number(ends[0], -INFINITE), number(ends[1], INFINITE)


@pytest.mark.trust(22)
def test_better_bounds_and_what_is_open() -> None:
    for a, b in itertools.product((None, -1, 0, 2), repeat=2):
        low = max(number(a, -INFINITE), number(b, -INFINITE))
        high = min(number(a, INFINITE), number(b, INFINITE))
        assert number(larger(a, b), -INFINITE) == low
        assert number(smaller(a, b), INFINITE) == high
    for bounds in itertools.product((None, -1, 0, 2), repeat=3):
        least = min(number(end, -INFINITE) for end in bounds)
        assert number(smallest(bounds), -INFINITE) == least
    assert smallest([]) is None
    assert smallest([5]) == 5
    assert as_ends(None, None) == (-INFINITE, INFINITE)
    assert as_ends(None, ONE) == (-INFINITE, fmpq(1))
    assert as_ends(0, None) == (fmpq(0), INFINITE)
    assert as_ends(-3, ONE) == (fmpq(-3, ONE), fmpq(1))


@pytest.mark.trust(22)
def test_ranges_are_rounded_outwards() -> None:
    third = fmpq(1, 3)
    assert on_grid(third, third) == (ONE // 3, ONE // 3 + 1)
    assert on_grid(-third, fmpq(0)) == (-(ONE // 3) - 1, 0)
    assert on_grid(-INFINITE, INFINITE) == (None, None)
    assert on_grid(math.nan, math.nan) == (None, None)
    nothing = arb("nan")
    assert on_grid(nothing, nothing) == on_grid(arb("-inf"), arb("inf")) == (None, None)
    wide = arb(1, 0.25)
    low, high = on_grid(wide, wide)
    assert low is not None
    assert high is not None
    assert low <= Fraction(3, 4) * ONE
    assert high >= Fraction(5, 4) * ONE
    assert high - low < ONE * 0.5001
    with ctx.workprec(200):
        assert on_grid(arb(3) / 2**82, arb(3) / 2**82) == (0, 1)
        assert on_grid(arb(3) * 2**90, arb(-3) / 2**81) == ((3 << 90) * ONE, -1)
        assert on_grid(arb(-3) / 2**81, arb(5) / 2**80) == (-2, 5)


def drawn(rng: np.random.Generator) -> tuple[float, float]:
    low, high = sorted(rng.integers(0, len(VALUES), 2).tolist())
    return VALUES[low], VALUES[high]


def some_facts(rng: np.random.Generator, head: Head) -> list[Fact]:
    facts: list[Fact] = []
    for k, j in itertools.product(range(head.location_count), range(head.prototype_count)):
        if head.measures(k, j) and rng.random() < 0.4:
            low, high = drawn(rng)
            facts.append(PairFact(location=k, prototype=j, lower=low.hex(), upper=high.hex()))
    for j in range(head.prototype_count):
        if rng.random() < 0.3:
            low, high = drawn(rng)
            facts.append(ActivationFact(prototype=j, lower=low.hex(), upper=high.hex()))
    for exempt in ((0,), (2, 3), ()):
        if rng.random() < 0.4:
            bound = drawn(rng)[0] * (1 if head.uniform else -1)
            facts.append(CeilingFact(bound=bound.hex(), exempt=exempt))
    return facts


def value(text: str) -> Fraction:
    return Fraction(float.fromhex(text))


class Naive:
    """What the facts say, by the definitions; ``alone``: what the domain says by itself."""

    def __init__(self, head: Head, facts: Sequence[Fact], alone: Sequence[Sequence[Ends]]) -> None:
        self.head = head
        self.places = [
            [k for k in range(head.location_count) if head.measures(k, j)]
            for j in range(head.prototype_count)
        ]
        self.local = [list(row) for row in alone]
        pairs = [f for f in facts if isinstance(f, PairFact)]
        for f in pairs:
            low, high = self.local[f.location][f.prototype]
            self.local[f.location][f.prototype] = (
                max(low, down(value(f.lower))), min(high, up(value(f.upper))),
            )  # fmt: skip
        self.best = [self.nearest(j) for j in range(head.prototype_count)]
        self.caps: list[Fraction | None] = [None] * head.prototype_count
        for f in facts:
            if isinstance(f, ActivationFact):
                low, high = self.best[f.prototype]
                ends = down(value(f.lower)), up(value(f.upper))
                self.best[f.prototype] = max(low, ends[0]), min(high, ends[1])
            elif isinstance(f, CeilingFact):
                for j in set(range(head.prototype_count)) - set(f.exempt):
                    low, high = self.best[j]
                    cap, known = -value(f.bound), self.caps[j]
                    if head.uniform:
                        self.best[j] = max(low, down(value(f.bound))), high
                    else:
                        self.caps[j] = cap if known is None else min(known, cap)

    def nearest(self, j: int) -> Ends:
        """The least lower bound of all, the least upper bound of any."""
        ends = [self.local[k][j] for k in self.places[j]]
        return min(low for low, _ in ends), min(high for _, high in ends)

    def agrees(self, found: Bounds) -> None:
        head = self.head
        for j in range(head.prototype_count):
            assert ends_of(found.best[j]) == self.best[j]
            cap = found.caps[j]
            assert (None if cap is None else Fraction(*cap)) == self.caps[j]
            for k in self.places[j]:
                low, high = self.local[k][j]
                assert ends_of(found.at(k, j)) == (max(low, self.best[j][0]), high)
                others = [found.at(i, j)[0] for i in self.places[j] if i != k]
                exist, least = found.elsewhere(k, j)
                assert exist == bool(others)
                lows = [number(low, -INFINITE) for low in others]
                assert number(least, -INFINITE) == min(lows, default=-INFINITE)


def own_scales() -> Chain:
    """Activations -c_j m, with a constant for each prototype."""
    return Chain([Step("mul", tuple(Fraction(-c) for c in (1, 2, 1, 3)))])


HEADS = {
    "one location": {},
    "three locations": {"locations": (0, 0, 0)},
    "two banks": {"locations": (0, 1, 0), "banks": (0, 1, 0, 1)},
    "own similarities": {"locations": (0, 0), "chain": own_scales()},
}


@pytest.mark.trust(22)
@pytest.mark.parametrize("name", HEADS)
def test_facts_say_of_each_measurement_and_of_the_nearest_what_they_state(name: str) -> None:
    head = small_head(POINTS, linear(WEIGHT), **HEADS[name])  # type: ignore[arg-type]
    rng, count = np.random.default_rng(0), head.location_count
    latent = [[0.0, 0.0]] * count
    for _ in range(20):
        facts = some_facts(rng, head)
        core = core_of(head, latent, facts)
        found = Bounds(head, core, LatentDomain(count, 2))
        nothing: Ends = (Fraction(0), INFINITE)
        assert ends_of(found.alone(0, 1)) == nothing
        Naive(head, facts, [[nothing] * 4] * count).agrees(found)


def box_ends(point: Sequence[int], low: Sequence[float], high: Sequence[float]) -> Ends:
    """The squared distances of the nearest and of the farthest point of a box."""
    near = far = Fraction(0)
    for n, a, b in zip(point, low, high, strict=True):
        sides = [Fraction(a) - n, n - Fraction(b)]
        near += max(0, *sides) ** 2
        far += max(side**2 for side in sides)
    return near, far


@pytest.mark.trust(22)
@pytest.mark.parametrize("name", HEADS)
def test_boxes_that_differ_from_location_to_location(name: str) -> None:
    head = small_head(POINTS, linear(WEIGHT), **HEADS[name])  # type: ignore[arg-type]
    rng, count = np.random.default_rng(1), head.location_count
    for _ in range(12):
        ends = np.sort(rng.integers(-4, 12, (2, count, 2)) / 4, axis=0)
        facts = some_facts(rng, head)
        core = core_of(head, [[0.0, 0.0]] * count, facts)
        found = Bounds(head, core, BoundedDomain.around(ends[0], ends[1]))
        alone = [[box_ends(p, ends[0, k], ends[1, k]) for p in POINTS] for k in range(count)]
        assert [ends_of(found.alone(count - 1, j)) for j in range(4)] == alone[-1]
        Naive(head, facts, alone).agrees(found)


@pytest.mark.trust(22)
def test_one_box_for_all_locations() -> None:
    head = small_head(POINTS, linear(WEIGHT), locations=(0, 0))
    rng = np.random.default_rng(2)
    alone = [[box_ends(p, (0, 0), (1, 1)) for p in POINTS]] * 2
    for _ in range(8):
        facts = some_facts(rng, head)
        core = core_of(head, [[0.0, 0.0]] * 2, facts, domain=UNIT_BOX)
        Naive(head, facts, alone).agrees(Bounds(head, core, read_domain(UNIT_BOX, 2, 2)))


@pytest.mark.trust(22)
def test_free_space_bounds_a_product_from_no_side() -> None:
    """A distance is never negative; an angle is no longer than its prototype."""
    for geometry, wanted in (
        ("euclidean", (0, INFINITE)), ("linear", (-INFINITE, INFINITE)), ("angular", (-2, 2)),
    ):  # fmt: skip
        head = small_head(POINTS, linear(WEIGHT), geometry=geometry)  # type: ignore[arg-type]
        found = Bounds(head, core_of(head, [[1.0, 0.0]]), LatentDomain(1, 2))
        assert ends_of(found.alone(0, 1)) == ends_of(found.best[1]) == wanted


@pytest.mark.trust(22)
def test_rows_and_implied_bounds_enter_like_facts() -> None:
    """The best of what blocks at a location prove; of the nearest, what an activation implies."""
    head = small_head(POINTS, linear(WEIGHT), locations=(0, 0))
    facts: list[Fact] = [
        PairFact(location=1, prototype=0, lower=(1 / 128).hex(), upper=(1 / 64).hex()),
        ActivationFact(prototype=0, lower=(0.25).hex(), upper=(0.5).hex()),
    ]

    def block(low: int, high: int, shift: int) -> PairBlock:
        def rows(t: int) -> Rows:
            return Rows(prototypes=(1, 2), theta=((t,), (t + 1,)))

        return PairBlock(location=1, facts=(0,), shift=shift, lower=rows(low), upper=rows(high))

    blocks = (block(2, 9, 1), block(8, 3, 0), block(3, 2, 0))
    implied = tuple(ImpliedBound(prototype=j, via=0, stretch=(2.0).hex()) for j in (1, 3))
    core = core_of(
        head, [[0.0, 0.0]] * 2, facts, evidence=IntervalEvidence(blocks=blocks, implied=implied)
    )
    found = Bounds(head, core, LatentDomain(2, 2))
    alone = [[(Fraction(0), INFINITE)] * 4 for _ in range(2)]
    naive = Naive(head, facts[:1], alone)
    proved = list(block_bounds(head, LatentDomain(2, 2), blocks, intervals(facts)))
    for k, j, low, high in proved:
        near, far = naive.local[k][j]
        naive.local[k][j] = (
            max(near, number(low, -INFINITE)), min(far, number(high, INFINITE)),
        )  # fmt: skip
    assert {(k, j) for k, j, _, _ in proved} == {(1, 1), (1, 2)}
    expected = [naive.nearest(j) for j in range(4)]
    expected[0] = max(expected[0][0], Fraction(1, 4)), min(expected[0][1], Fraction(1, 2))
    for j, _, bound in implied_bounds(head, implied, {0: (1, 2)}, {}):
        expected[j] = expected[j][0], min(expected[j][1], Fraction(bound, ONE))
    assert [ends_of(ends) for ends in found.best] == expected
    assert ends_of(found.at(1, 1)) == (
        max(naive.local[1][1][0], expected[1][0]), naive.local[1][1][1],
    )  # fmt: skip
    assert expected[3][1] < INFINITE
    assert 3 < naive.local[1][1][0] < naive.local[1][1][1] < 6  # of which 4 is the middle


@pytest.mark.trust(22)
@pytest.mark.parametrize("kind", ["mean", "sum", "focal"])
def test_other_poolings_pool_the_bounds_of_all_locations(kind: str) -> None:
    """And no lower bound of what is pooled is one of any location."""
    head = small_head(
        POINTS, linear(WEIGHT), locations=(0, 0), pooling=Pooling(kind),  # type: ignore[arg-type]
        inner=Chain([Step("mul", (Fraction(3),))]),
    )  # fmt: skip
    facts: list[Fact] = [
        PairFact(location=0, prototype=1, lower=(1.0).hex(), upper=(2.0).hex()),
        PairFact(location=1, prototype=1, lower=(5.0).hex(), upper=(7.0).hex()),
        PairFact(location=1, prototype=2, lower=(5.0).hex(), upper=(7.0).hex()),
        ActivationFact(prototype=3, lower=(90.0).hex(), upper=(99.0).hex()),
    ]
    found = Bounds(head, core_of(head, [[0.0, 0.0]] * 2, facts), LatentDomain(2, 2))
    wanted: dict[str, Ends] = {
        "mean": (Fraction(9), Fraction(27, 2)), "sum": (Fraction(18), Fraction(27)),
        "focal": (Fraction(9, 2), Fraction(9)),
    }  # fmt: skip
    assert ends_of(found.pooled(1)) == ends_of(found.best[1]) == wanted[kind]
    assert found.best[2][1] is None
    assert ends_of(found.best[3]) == (90, 99)
    assert ends_of(found.at(0, 3)) == (0, INFINITE)
    assert found.caps == [None] * 4
    assert ends_of(found.at(0, 1)) == (1, 2)
