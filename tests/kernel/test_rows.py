"""Rows of multipliers and implied bounds: what is malformed, and what exactly they prove."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest

from protoproof.certificate.schema import (
    ActivationFact,
    BoxDomain,
    DomainBlock,
    ImpliedBound,
    IntervalEvidence,
    PairBlock,
    PairFact,
    Rows,
)
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import GRID
from protoproof.kernel.latent.domain import LatentDomain, read_domain
from protoproof.kernel.latent.facts import intervals
from protoproof.kernel.latent.rows import (
    block_bounds,
    block_complaints,
    boundable,
    implied_bounds,
    implied_complaints,
    row_complaints,
)
from protoproof.kernel.model.head import Geometry, Head, Length, Pooling
from tests.support.kernel.exactly import UNIT_BOX, core_of, linear, small_head
from tests.support.kernel.second_rule import Form, bound

ONE = 1 << GRID
POINTS = [[0, 0], [4, 0], [0, 3]]
LATENT = [[1.0, 0.0], [0.0, 1.0]]
WEIGHT = [[1, 0, 0], [0, 1, 0]]
HALF = BoxDomain(lower=(0.0).hex(), upper=None)


def head_of(geometry: Geometry = "euclidean", **more: Any) -> Head:
    """Three prototypes at two locations."""
    return small_head(POINTS, linear(WEIGHT), geometry=geometry, locations=(0, 0), **more)


def banks() -> Head:
    """The last prototype is measured at the second location alone."""
    return small_head(POINTS, linear(WEIGHT), locations=(0, 1), banks=(0, 0, 1))


def pair(location: int, prototype: int, low: float, high: float) -> PairFact:
    return PairFact(location=location, prototype=prototype, lower=low.hex(), upper=high.hex())


FACTS = (pair(0, 0, 1.0, 1.0), pair(0, 1, 9.0, 9.0), pair(1, 0, 1.0, 1.0))


def rows(**theta: Sequence[int]) -> Rows:
    """Multipliers by prototype, written ``p0``, ``p1`` and so on."""
    return Rows(
        prototypes=tuple(int(name[1:]) for name in theta),
        theta=tuple(tuple(row) for row in theta.values()),
    )


def block(facts: Sequence[int] = (0, 1), **changes: Any) -> PairBlock:
    fields = {"location": 0, "facts": tuple(facts), "shift": 0, "lower": rows(), "upper": rows()}
    return PairBlock(**{**fields, **changes})


def over(facts: Sequence[int] = (), **changes: Any) -> DomainBlock:
    fields = {"location": 0, "facts": tuple(facts), "shift": 0, "lower": rows(), "upper": rows()}
    return DomainBlock(**{**fields, **changes})


def complaints(
    *blocks: PairBlock | DomainBlock, head: Head | None = None, domain: Any = None
) -> list[str]:
    head = head or head_of()
    evidence = IntervalEvidence(
        blocks=tuple(b for b in blocks if isinstance(b, PairBlock)),
        domain_blocks=tuple(b for b in blocks if isinstance(b, DomainBlock)),
    )
    core = core_of(head, LATENT, FACTS, domain=domain, evidence=evidence)
    where = read_domain(core.domain, head.location_count, head.channels)
    return list(row_complaints(head, core, where))


GOOD: dict[str, tuple[Any, ...]] = {
    "two shifts": (block(), block(shift=1)),
    "two locations": (block((0,)), block((0,), location=1)),
    "other facts": (block(), block((0,)), block((1,))),
    "a block of each kind": (block(), over((0, 1))),
    "over the domain alone": (over(),),
    "the last location": (over(location=1),),
    "one above A = 0": (block(lower=rows(p2=(0, 0)), upper=rows(p2=(2, 0))),),
    "finer": (block(shift=3, lower=rows(p2=(-7, 0)), upper=rows(p2=(8, 1))),),
    "the last prototype": (block(lower=rows(p2=(1, 1)), upper=rows(p2=(1, 1))),),
    "any A over a box": (over((0,), lower=rows(p1=(-5,)), upper=rows(p1=(0,))),),
}


@pytest.mark.trust(22)
@pytest.mark.parametrize("name", GOOD)
def test_well_formed_blocks_are_evaluated(name: str) -> None:
    assert not complaints(*GOOD[name], domain=UNIT_BOX)
    for one in GOOD[name]:
        head = head_of()
        where = read_domain(UNIT_BOX, 2, 2)
        list(block_bounds(head, where, [one], intervals(FACTS)))


BAD: dict[str, tuple[str, tuple[Any, ...]]] = {
    "the same block": ("a second block", (block(), block(lower=rows(p2=(1, 1))))),
    "the same block over the domain": ("a second block", (over(), over())),
    "no facts": ("no facts", (block(()),)),
    "a fact twice": ("no facts, or one twice", (block((0, 0)),)),
    "a fact twice over the domain": ("no facts, or one twice", (over((1, 1)),)),
    "another fact": ("does not state", (block((0, 2)),)),
    "a fact of another location": ("does not state", (block((0, 1), location=1),)),
    "a fact over the domain that is not stated": ("does not state", (over((2,)),)),
    "no such location": ("out of range", (over(location=2),)),
    "a row twice": (
        "lower: not one row", (block(lower=Rows(prototypes=(2, 2), theta=((1, 1), (1, 1)))),),
    ),
    "a row short": ("upper: not one row", (block(upper=Rows(prototypes=(1, 2), theta=((1, 1),))),)),
    "a prototype short": (
        "upper: not one row", (block(upper=Rows(prototypes=(2,), theta=((1, 1), (2, 1)))),),
    ),
    "no such prototype": ("lower: prototype out of range", (block(lower=rows(p3=(1, 1))),)),
    "A = 0 from below": ("lower: a row has A <= 0", (block(lower=rows(p2=(-1, 0))),)),
    "A = 0 from above": ("upper: a row has A <= 0", (block(upper=rows(p2=(1, 0))),)),
    "A = 0, finer": ("lower: a row has A <= 0", (block(shift=3, lower=rows(p2=(-8, 0))),)),
    "A = 0, finer, from above": (
        "upper: a row has A <= 0", (block(shift=3, upper=rows(p2=(8, 0))),),
    ),
    "a multiplier short": ("not one multiplier", (block(lower=rows(p2=(1,))),)),
    "a multiplier more": ("not one multiplier", (block(upper=rows(p2=(1, 1, 1))),)),
    "a second row that is bad": ("A <= 0", (block(lower=rows(p1=(1, 1), p2=(-1, -1))),)),
}  # fmt: skip


@pytest.mark.trust(22)
@pytest.mark.parametrize("name", BAD)
def test_malformed_blocks_are_refused(name: str) -> None:
    words, blocks = BAD[name]
    found = complaints(*blocks, domain=UNIT_BOX)
    assert len(found) == 1
    assert words in found[0]
    kind = "domain block" if isinstance(blocks[0], DomainBlock) else "block"
    assert found[0].startswith(f"{kind} at location {blocks[0].location}")


@pytest.mark.trust(22)
def test_only_a_domain_that_bounds_measurements_has_blocks() -> None:
    assert "bounds nothing" in complaints(over())[0]
    angular = head_of("angular")
    assert "bounds nothing" in complaints(over(), head=angular, domain=UNIT_BOX)[0]
    for head, domain, wanted in (
        (head_of(), UNIT_BOX, True), (head_of("linear"), UNIT_BOX, True),
        (head_of(), None, False), (angular, UNIT_BOX, False),
    ):  # fmt: skip
        core = core_of(head, LATENT, domain=domain)
        assert boundable(head, read_domain(core.domain, 2, 2)) == wanted


@pytest.mark.trust(22)
def test_an_open_end_is_not_charged() -> None:
    """A measurement that is known from above alone is charged on that side alone."""
    head = head_of("linear")
    fact = over((0,), lower=rows(p1=(1,)))
    where = read_domain(HALF, 2, 2)
    core = core_of(
        head, LATENT, FACTS, domain=HALF, evidence=IntervalEvidence(domain_blocks=(fact,))
    )
    assert not list(row_complaints(head, core, where))
    for row, good in (((1,), True), ((-1,), False), ((0,), True)):
        known = {(0, 0): (None, (1, 1))}
        one = over((0,), lower=rows(p1=row))
        assert bool(list(block_complaints(head, where, one, known))) is not good


@pytest.mark.trust(22)
def test_rows_are_about_the_bank_of_their_location() -> None:
    head = banks()
    assert "another bank" in complaints(block(lower=rows(p2=(1, 1))), head=head)[0]
    assert not complaints(block(lower=rows(p1=(1, 1))), head=head)


def entry(prototype: int = 2, via: int = 0, stretch: float = 1.0) -> ImpliedBound:
    return ImpliedBound(prototype=prototype, via=via, stretch=stretch.hex())


def implied(head: Head, *entries: ImpliedBound, named: Sequence[int] = (0, 1)) -> list[str]:
    return list(implied_complaints(head, entries, set(named), set(named)))


@pytest.mark.trust(22)
def test_malformed_implied_bounds_are_refused() -> None:
    head = head_of()
    assert not implied(head, entry(), entry(1), entry(0, 1, 2.0**-1000))
    assert implied(head, entry(), entry(3))[0].startswith("implied bound 1: prototype out of range")
    assert "not stated" in implied(head, entry(2, 2))[0]
    assert "not stated" in implied(head, entry(2, 3))[0]
    for stretch in (0.0, -1.0, -3.0):
        assert "bounds nothing" in implied(head, entry(stretch=stretch))[0]
    assert not implied(head, entry(stretch=-(2.0**-1000)), entry(1, stretch=-0.75))
    own = [Length(Fraction(k)) for k in (1, 2, 3)]
    scales = {"scales": ([1] * 6, 0)}
    assert not implied(head_of("angular"), entry(), entry(stretch=-3.0))
    for other in (
        head_of("linear"),
        head_of("diagonal", **scales),
        head_of("angular", lengths=own),
    ):
        assert "implies nothing" in implied(other, entry())[0]
    for via, prototype, good in ((0, 1, True), (0, 2, False), (2, 0, False)):
        found = implied(banks(), entry(prototype, via), named=(0, 2))
        assert bool(found) is not good
    mixed = small_head(POINTS, linear(WEIGHT), locations=(0, 0))
    mixed.pooling = (Pooling(), Pooling("mean"), Pooling())
    assert "not the nearest" in implied(mixed, entry(1, 0))[0]
    assert "not the nearest" in implied(mixed, entry(0, 1))[0]
    assert not implied(mixed, entry(2, 0))
    # out of range is said, and nothing is looked up
    assert implied(head, entry(3, 0), named=(0,)) == ["implied bound 0: prototype out of range"]
    assert implied(head, entry(0, 3), named=(0, 3)) == []


def squared(point: Sequence[int], unit: int) -> Form:
    p = [Fraction(n, unit) for n in point]
    return Form(Fraction(1), tuple(-2 * x for x in p), sum((x * x for x in p), Fraction(0)))


@pytest.mark.trust(22)
@pytest.mark.parametrize("kind", ["facts", "domain"])
def test_rows_prove_what_the_theorem_says_rounded_outwards(kind: str) -> None:
    """One row from each side, over thirds, so that the grid does not hold the bound."""
    head = small_head(POINTS, linear(WEIGHT), shift=1, locations=(0, 0))
    facts = (pair(1, 0, 0.75, 1.5), pair(1, 1, 1.0, 2.0))
    known = intervals(facts)
    up, down = (-3, 2), (9, 1)
    sides: dict[str, Any] = {"lower": rows(p2=up, p0=(5, -1)), "upper": rows(p2=down)}
    make = block if kind == "facts" else over
    one = make((0, 1), location=1, shift=2, **sides)
    where = LatentDomain(2, 2) if kind == "facts" else read_domain(UNIT_BOX, 2, 2)
    ends: Sequence[Fraction | None] = [None] * 2 if kind == "facts" else [Fraction(0)] * 2
    tops: Sequence[Fraction | None] = [None] * 2 if kind == "facts" else [Fraction(1)] * 2
    charged = [
        (squared(POINTS[0], 2), Fraction(3, 4), Fraction(3, 2)),
        (squared(POINTS[1], 2), Fraction(1), Fraction(2)),
    ]
    zero = Form(Fraction(0), (Fraction(0),) * 2, Fraction(0))

    def wanted(j: int, sign: int, row: Sequence[int]) -> Fraction:
        form = zero.plus(Fraction(sign), squared(POINTS[j], 2))
        found = bound(form, charged, [Fraction(t, 4) for t in row], ends, tops)
        assert found is not None
        return found

    found = list(block_bounds(head, where, [one], known))
    assert found == [
        (1, 2, math.floor(wanted(2, 1, up) * ONE), None),
        (1, 0, math.floor(wanted(0, 1, (5, -1)) * ONE), None),
        (1, 2, None, math.ceil(-wanted(2, -1, down) * ONE)),
    ]
    if kind == "facts":
        assert (wanted(2, 1, up) * ONE).denominator > 1
        assert (wanted(2, -1, down) * ONE).denominator > 1


@pytest.mark.trust(22)
@pytest.mark.parametrize("stretch", [0.375, 3.0, 2.0**-20, 2.0**20])
def test_implied_bounds_are_the_formula_rounded_up(stretch: float) -> None:
    head = small_head(POINTS, linear(WEIGHT), shift=1, locations=(0, 0))
    s, near = Fraction(stretch), Fraction(3, 8)
    apart = Fraction(4 * 4 + 3 * 3, 4)  # of 1 and 2
    entries = [entry(1, 2, stretch), entry(2, 2, stretch)]
    found = list(implied_bounds(head, entries, {2: (3, 8)}, {}))
    exact = (1 + s) * near + (1 + 1 / s) * apart
    assert found == [
        (1, None, math.ceil(exact * ONE)), (2, None, math.ceil((1 + s) * near * ONE)),
    ]  # fmt: skip


@pytest.mark.trust(22)
@pytest.mark.parametrize("stretch", [0.375, 3.0, 2.0**-20, 2.0**10])
@pytest.mark.parametrize("near", [(-3, 8), (0, 1), (5, 4)])
def test_implied_bounds_of_angles_are_almost_the_best(
    stretch: float, near: tuple[int, int]
) -> None:
    """At least s h + |p_j - s p_i|, and hardly more; also where that length is 0."""
    points = [[-3, 1], [3, 8], [8, 4], [1, 7]]
    head = small_head(points, linear([[1] * 4, [0] * 4]), shift=1, geometry="angular")
    s, h = Fraction(stretch), Fraction(*near)
    found = list(implied_bounds(head, [entry(j, 1, stretch) for j in range(4)], {1: near}, {}))
    for j, _, high in found:
        apart = [Fraction(a) - s * b for a, b in zip(points[j], points[1], strict=True)]
        square = sum((x * x for x in apart), Fraction(0)) / 4
        rest = Fraction(high, ONE) - s * h
        assert rest > 0
        assert square <= rest**2 < square * (1 + Fraction(1, 2**30))
    doubled = small_head([[3, 8], [6, 16]], linear([[1, 0], [0, 1]]), shift=1, geometry="angular")
    for j, times, unit in ((1, 2.0, 1), (0, 0.5, 2)):
        ((_, _, high),) = implied_bounds(doubled, [entry(j, 1 - j, times)], {1 - j: near}, {})
        assert Fraction(high, ONE) - Fraction(times) * h == Fraction(1, unit << 40)


def test_a_stretch_that_bounds_nothing_is_an_error() -> None:
    head = head_of()
    with pytest.raises(CertificateError):
        list(implied_bounds(head, [entry(1, 0, -2.0)], {}, {0: (1, 1)}))


def activation(prototype: int, low: float, high: float) -> ActivationFact:
    return ActivationFact(prototype=prototype, lower=low.hex(), upper=high.hex())


def test_implied_bounds_start_from_stated_activations() -> None:
    head = head_of()
    for facts, good in (((activation(0, 0.0, 1.0),), True), (FACTS, False)):
        evidence = IntervalEvidence(implied=(entry(1, 0),))
        core = core_of(head, LATENT, facts, evidence=evidence)
        assert bool(list(row_complaints(head, core, LatentDomain(2, 2)))) is not good
