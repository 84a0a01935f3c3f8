"""Proofs by cases, part by part: shapes of trees, what a case knows, and its boxes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from protoproof.certificate.cases import (
    CaseNode,
    CaseTree,
    ChannelSplit,
    DistanceSplit,
    Leaf,
    NearestSplit,
    PlaceSplit,
)
from protoproof.certificate.schema import (
    ActivationFact,
    BoxDomain,
    DomainBlock,
    Fact,
    ImpliedBound,
    IntervalEvidence,
    PairBlock,
    PairFact,
    PlaceMultipliers,
    RivalForm,
    Rows,
    SimplexDomain,
    SphereDomain,
    Tangent,
)
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import GRID
from protoproof.kernel.latent.bounded import BoundedDomain
from protoproof.kernel.latent.bounds import Bounds
from protoproof.kernel.latent.case_bounds import CaseBounds, crossed
from protoproof.kernel.latent.case_domain import CaseDomain, EmptyBoxError
from protoproof.kernel.latent.case_tree import (
    MAX_DEPTH,
    children,
    leaves,
    tree_complaints,
    tree_numbers,
)
from protoproof.kernel.latent.cases import Cases, _Pairs, _side
from protoproof.kernel.latent.domain import LatentDomain, read_domain
from protoproof.kernel.latent.margins import Margin
from protoproof.kernel.model.chain import Chain, Step
from protoproof.kernel.model.head import Head, Pooling
from tests.support.kernel.exactly import UNIT_BOX, core_of, linear, small_head

ONE = 1 << GRID
INFINITE = math.inf
POINTS = [[0, 0], [2, 0], [0, 2]]
WEIGHT = [[1, 0, 0], [0, 1, 0]]
HEAD = small_head(POINTS, linear(WEIGHT), locations=(0, 0, 0))
BANKS = small_head(POINTS, linear(WEIGHT), locations=(0, 1, 0), banks=(0, 0, 1))
FREE = LatentDomain(3, 2)
LEAF = Leaf()


def distance(location: int, prototype: int, at: float = 1.0) -> DistanceSplit:
    return DistanceSplit(location=location, prototype=prototype, at=at.hex())


def nearest(prototype: int, at: float = 1.0) -> NearestSplit:
    return NearestSplit(prototype=prototype, at=at.hex())


def channel(location: int, number: int, at: float = 0.5) -> ChannelSplit:
    return ChannelSplit(location=location, channel=number, at=at.hex())


def place(prototype: int, *locations: int) -> PlaceSplit:
    return PlaceSplit(prototype=prototype, locations=locations)


def tree(*nodes: CaseNode, rival: int = 1) -> CaseTree:
    return CaseTree(rival=rival, nodes=nodes)


def complaints(*trees: CaseTree, head: Head = HEAD, where: LatentDomain | None = None) -> list[str]:
    evidence = IntervalEvidence(cases=trees)
    core = core_of(head, [[0.0, 0.0]] * 3, evidence=evidence)
    return list(tree_complaints(head, core, where or LatentDomain(3, 2)))


GOOD: dict[str, tuple[CaseNode, ...]] = {
    "no split": (LEAF,),
    "the last of each": (distance(2, 2), LEAF, nearest(2), LEAF, channel(2, 1), LEAF, LEAF),
    "two places, or the other": (place(0, 0, 2), LEAF, LEAF, LEAF),
    "all places": (place(0, 0, 1, 2), LEAF, LEAF, LEAF),
    "one place": (place(2, 1), LEAF, LEAF),
}
BAD: dict[str, tuple[str, tuple[CaseNode, ...]]] = {
    "no node": ("a case is missing", ()),
    "a case short": ("a case is missing", (nearest(0), LEAF)),
    "a case more": ("after its end", (nearest(0), LEAF, LEAF, LEAF)),
    "a place short": ("a case is missing", (place(0, 0, 2), LEAF, LEAF)),
    "a place more": ("after its end", (place(0, 0, 1, 2), LEAF, LEAF, LEAF, LEAF)),
    "places in another order": ("not in order", (place(0, 2, 0), LEAF, LEAF, LEAF)),
    "a place twice": ("not in order", (place(0, 1, 1), LEAF, LEAF, LEAF)),
    "no such place": ("out of range", (place(0, 3), LEAF, LEAF)),
    "no such location": ("location that is out of range", (distance(3, 0), LEAF, LEAF)),
    "no such location of a channel": ("out of range", (channel(3, 0), LEAF, LEAF)),
    "no such channel": ("channel that is out of range", (channel(0, 2), LEAF, LEAF)),
    "no such prototype": ("prototype that is out of range", (distance(0, 3), LEAF, LEAF)),
    "no such nearest": ("prototype that is out of range", (nearest(3), LEAF, LEAF)),
    "no such prototype of a place": ("prototype that is out", (place(3, 0), LEAF, LEAF)),
}


@pytest.mark.trust(22)
@pytest.mark.parametrize("name", GOOD)
def test_well_formed_trees_have_no_complaint(name: str) -> None:
    assert not complaints(tree(*GOOD[name]))


@pytest.mark.trust(22)
@pytest.mark.parametrize("name", BAD)
def test_malformed_trees_are_refused(name: str) -> None:
    words, nodes = BAD[name]
    found = complaints(tree(*nodes))
    assert len(found) == 1
    assert found[0].startswith("cases against class 1: ")
    assert words in found[0]


@pytest.mark.trust(22)
def test_trees_are_of_rivals_banks_and_what_can_be_cut() -> None:
    three = small_head(POINTS, linear([*WEIGHT, [0, 0, 1]]), locations=(0, 0, 0))
    one, two = tree(LEAF), tree(LEAF, rival=2)
    assert not complaints(one, two, head=three)
    for trees in ((one, one), (tree(LEAF, rival=0),), (tree(LEAF, rival=3),)):
        assert "not a rival, or a second tree" in complaints(*trees, head=three)[-1]
    for nodes, good in (
        ((distance(0, 0), LEAF, LEAF), True), ((distance(1, 0), LEAF, LEAF), False),
        ((place(0, 0, 2), LEAF, LEAF), True), ((place(0, 0), LEAF, LEAF), True),
        ((place(0, 0, 1), LEAF, LEAF, LEAF), False), ((place(2, 1), LEAF), True),
        ((nearest(2), LEAF, LEAF), True),
    ):  # fmt: skip
        found = complaints(tree(*nodes), head=BANKS)
        assert (not found) is good
        assert good or any("another bank" in text for text in found)
    assert children(place(2, 1), BANKS) == 1
    assert children(place(0, 0), BANKS) == 2
    assert children(place(9, 0, 1), HEAD) == 3
    cut = tree(channel(0, 0), LEAF, LEAF)
    assert not complaints(cut, where=read_domain(UNIT_BOX, 3, 2))
    angular = small_head(POINTS, linear(WEIGHT), locations=(0, 0, 0), geometry="angular")
    ones = np.ones((3, 2))
    joint = BoundedDomain.around(-ones, ones, [(ones, (0, 1))])
    assert "of angles" in complaints(cut, head=angular)[0]
    assert "under linear bounds" in complaints(cut, where=joint)[0]
    mean = small_head(POINTS, linear(WEIGHT), locations=(0, 0, 0))
    mean.pooling = (Pooling(), Pooling(), Pooling("mean"))
    assert complaints(one, head=mean) == ["cases are for prototypes whose nearest location decides"]


@pytest.mark.trust(22)
def test_a_path_is_not_longer_than_can_be_walked() -> None:
    for depth, good in ((MAX_DEPTH, True), (MAX_DEPTH + 1, False)):
        nodes = [nearest(0)] * depth + [LEAF] * (depth + 1)
        assert (not complaints(tree(*nodes))) is good
        back = [node for _ in range(depth) for node in (nearest(0), LEAF)]
        assert (not complaints(tree(*back, LEAF))) is good


def test_leaves_come_with_the_children_that_lead_to_them() -> None:
    nodes = (place(0, 0, 2), LEAF, nearest(1), LEAF, LEAF, LEAF)
    paths = [[(node.kind, child) for node, child in path] for path, _ in leaves(nodes, HEAD)]
    assert paths == [
        [("place", 0)], [("place", 1), ("nearest", 0)], [("place", 1), ("nearest", 1)],
        [("place", 2)],
    ]  # fmt: skip


def test_every_number_of_a_tree_is_listed() -> None:
    form = RivalForm(
        rival=1, opposes=(), multipliers=(),
        supports=(Tangent(prototype=0, location=0, at=(7.0).hex()),),
    )  # fmt: skip
    implied = ImpliedBound(prototype=0, via=1, stretch=(5.0).hex())
    full = Leaf(implied=(implied,), form=form)
    one = tree(distance(0, 0, 2.0), place(0, 0), full, LEAF, channel(0, 0, 3.0), LEAF, LEAF)
    assert [float.fromhex(x) for x in tree_numbers([one, tree(nearest(0, 4.0))])] == [
        2.0, 5.0, 7.0, 3.0, 4.0,
    ]  # fmt: skip


Ends = tuple[Fraction | float, Fraction | float]


def ends_of(ends: tuple[int | None, int | None]) -> Ends:
    return (
        -INFINITE if ends[0] is None else Fraction(ends[0], ONE),
        INFINITE if ends[1] is None else Fraction(ends[1], ONE),
    )


def on_grid(x: float) -> int:
    return int(Fraction(x) * ONE)


class Naive:
    """What a case says, as sets of places and ends."""

    def __init__(self, head: Head) -> None:
        self.places = [{k for k in range(3) if head.measures(k, j)} for j in range(3)]
        self.own: dict[tuple[int, int], Ends] = {
            (k, j): (0, INFINITE) for j in range(3) for k in self.places[j]
        }
        self.best: list[Ends] = [(Fraction(1, 2), 6), (0, INFINITE), (0, INFINITE)]
        self.among = [set(some) for some in self.places]

    def at(self, k: int, j: int) -> Ends:
        low, high = self.own[k, j]
        top = self.best[j][1] if self.among[j] == {k} else INFINITE
        return max(low, self.best[j][0]), min(high, top)

    def agrees(self, bounds: CaseBounds) -> None:
        for k, j in self.own:
            assert ends_of(bounds.at(k, j)) == self.at(k, j)
            others = self.among[j] - {k}
            least = min((self.at(i, j)[0] for i in others), default=-INFINITE)
            exist, low = bounds.elsewhere(k, j)
            assert (exist, ends_of((low, None))[0]) == (bool(others), least)
        assert [ends_of(ends) for ends in bounds.best] == self.best

    def settle(self, j: int) -> None:
        ends = {k: self.at(k, j) for k in self.places[j]}
        low = min((ends[k][0] for k in self.among[j]), default=-INFINITE)
        high = min(end for _, end in ends.values())
        self.best[j] = met(self.best[j], (low, high))

    def empty(self) -> bool:
        crossed = any(not self.among[j] or self.best[j][0] > self.best[j][1] for j in range(3))
        return crossed or any(self.at(k, j)[0] > self.at(k, j)[1] for k, j in self.own)


def met(first: Ends, second: Ends) -> Ends:
    return max(first[0], second[0]), min(first[1], second[1])


@pytest.mark.trust(22)
@pytest.mark.parametrize("banks", [False, True])
def test_a_case_knows_what_its_bounds_imply(banks: bool) -> None:
    """Against sets: which locations may attain, and what that says of each and of the nearest."""
    head, rng = BANKS if banks else HEAD, np.random.default_rng(0)
    fact = ActivationFact(prototype=0, lower=(0.5).hex(), upper=(6.0).hex())
    known = Bounds(head, core_of(head, [[0.0, 0.0]] * 3, (fact,)), LatentDomain(3, 2))
    empty = 0
    for _ in range(60):
        bounds, naive, touched = CaseBounds(head, known), Naive(head), set()
        for _ in range(int(rng.integers(1, 7))):
            j = int(rng.integers(3))
            mine = sorted(naive.places[j])
            low, high = sorted(rng.integers(0, 9, 2).tolist())
            ends: tuple[int | None, int | None] = (
                None if rng.random() < 0.4 else on_grid(low),
                None if rng.random() < 0.4 else on_grid(high),
            )
            touched.add(j)
            what = rng.integers(3)
            if what == 0:
                k = int(rng.choice(mine))
                bounds.narrow(k, j, *ends)
                naive.own[k, j] = met(naive.own[k, j], ends_of(ends))
            elif what == 1:
                bounds.narrow_best(j, *ends)
                naive.best[j] = met(naive.best[j], ends_of(ends))
            else:
                listed = sorted(rng.permutation(mine)[: rng.integers(1, 4)].tolist())
                child = int(rng.integers(len(listed) + 1))
                bounds.place(j, listed, child)
                other = child == len(listed)
                naive.among[j] &= {0, 1, 2} - set(listed) if other else {listed[child]}
        naive.agrees(bounds)
        bounds.settle()
        for j in touched:
            naive.settle(j)
        naive.agrees(bounds)
        assert bounds.is_empty() is naive.empty()
        empty += naive.empty()
    assert 5 < empty < 55


class Known:
    """Upper bounds of some measurements."""

    def __init__(self, highs: dict[tuple[int, int], float]) -> None:
        self.highs = highs

    def at(self, location: int, prototype: int) -> tuple[int | None, int | None]:
        high = self.highs.get((location, prototype))
        return 0, None if high is None else on_grid(high)


def box_of(where: LatentDomain, location: int) -> list[Ends]:
    unit = 1 << where.shift
    lower, upper = where.ends(location)
    return [
        (Fraction(a, unit), INFINITE if b is None else Fraction(b, unit))
        for a, b in zip(lower, upper, strict=True)
    ]


@pytest.mark.trust(22)
def test_a_location_has_the_box_of_its_domain_cut_by_its_halves() -> None:
    base = read_domain(BoxDomain(lower=(-1.0).hex(), upper=(2.0).hex()), 3, 2)
    halves = [(0, 0, 1.25), (0, 1, -0.5), (1, 1, 0.375), (0, 0, 1.75), (0, 1, -0.75)]
    where = CaseDomain(HEAD, base, Known({}), {1: halves})
    assert box_of(where, 0) == [(-1, 2)] * 2
    assert box_of(where, 1) == [(-0.5, 1.25), (0.375, 2)]
    assert (where.bounded, where.uniform, where.kind) == (True, False, "")
    assert where.size * 64 >= max(abs(n or 0).bit_length() for n in where.ends(1)[1])
    edge = CaseDomain(HEAD, base, Known({}), {0: [(0, 0, 0.5), (0, 1, 0.5)], 2: [(1, 0, 2.0)]})
    assert box_of(edge, 0) == [(0.5, 0.5), (-1, 2)]
    assert box_of(edge, 2) == [(-1, 2), (-1, 2)]
    for halves in ([(0, 0, 0.5), (0, 1, 0.75)], [(1, 0, -1.5)], [(0, 1, 2.5)]):
        with pytest.raises(EmptyBoxError):
            CaseDomain(HEAD, base, Known({}), {0: halves})
    half = read_domain(BoxDomain(lower=(0.0).hex(), upper=None), 3, 2)
    with pytest.raises(CertificateError, match="no box"):
        CaseDomain(HEAD, half, Known({}), {0: [(0, 0, 0.5)]})
    ones = np.ones((3, 2))
    joint = BoundedDomain.around(-ones, ones, [(ones, (0, 1))])
    with pytest.raises(CertificateError, match="linear bounds"):
        CaseDomain(HEAD, joint, Known({}), {0: [(0, 0, 0.5)]})


@pytest.mark.trust(22)
def test_a_distance_that_is_bounded_gives_a_box() -> None:
    """Around every prototype of the bank, half as wide as the root of the bound, rounded up."""
    head = small_head([[0, 0], [4, 1], [9, 9]], linear(WEIGHT), shift=1, locations=(0, 1, 0),
                      banks=(0, 0, 1))  # fmt: skip
    free = LatentDomain(3, 2)
    known = Known({(0, 0): 6.25, (0, 1): 2.25, (0, 2): 0.0, (1, 2): 4.0, (2, 1): -1.0})
    step = Fraction(1, ONE)
    where = CaseDomain(head, free, known, {0: [(0, 0, 100.0)], 1: [(1, 1, 4.5)], 2: [(0, 0, 9.0)]})
    # |z - (0, 0)| <= 5/2 and |z - (2, 1/2)| <= 3/2; the third is of the other bank
    assert box_of(where, 0) == [
        (2 - Fraction(3, 2) - step, Fraction(5, 2) + step),
        (Fraction(1, 2) - Fraction(3, 2) - step, Fraction(1, 2) + Fraction(3, 2) + step),
    ]
    two = Fraction(9, 2) - 2 - step, Fraction(9, 2) + 2 + step
    assert box_of(where, 1) == [two, (4.5, two[1])]
    half = Fraction(1, 2)
    # a bound below 0 is 0: there is no latent, which others find out
    assert box_of(where, 2) == [(2 - step, 2 + step), (half - step, half + step)]
    for at in (2.0, 3.0):
        root = CaseDomain(head, free, Known({(0, 0): at}), {0: [(0, 0, 100.0)]})
        (low, high), _ = box_of(root, 0)
        assert (Fraction(high) - step) ** 2 <= at < Fraction(high) ** 2
        assert low == -high
    alone = CaseDomain(head, free, known, {0: [(0, 0, 100.0)]})
    with pytest.raises(CertificateError, match="no box"):
        alone.ends(1)
    for geometry in ("linear", "angular"):
        other = small_head(POINTS, linear(WEIGHT), locations=(0, 0, 0), geometry=geometry)  # type: ignore[arg-type]
        with pytest.raises(CertificateError, match="no box"):
            CaseDomain(other, free, Known({(0, 0): 1.0}), {0: [(0, 0, 0.5)]})


@pytest.mark.trust(22)
def test_constraints_of_the_domain_stay() -> None:
    sphere = read_domain(SphereDomain(slack=(0.125).hex()), 3, 2)
    where = CaseDomain(HEAD, sphere, Known({}), {0: [(0, 0, 1 / 1024)]})
    assert where.local() == sphere.local()
    simplex = read_domain(SimplexDomain(slack=(0.125).hex()), 3, 2)
    where = CaseDomain(HEAD, simplex, Known({}), {0: [(0, 0, 1 / 1024)]})
    (constraint,) = where.local()
    assert [Fraction(n, 1 << where.shift) for n in constraint.slope] == [1, 1]
    assert constraint._replace(slope=[]) == simplex.local()[0]._replace(slope=[])
    assert box_of(where, 1) == box_of(simplex, 1)
    assert where.shift > simplex.shift


@pytest.mark.trust(22)
def test_a_side_of_a_threshold_is_rounded_outwards() -> None:
    for at in (0.5, 2.0**-90, -(2.0**-90), 3.0 * 2.0**-81, -1.25):
        exact = Fraction(at) * ONE
        assert _side(at.hex(), 0) == (None, math.ceil(exact))
        assert _side(at.hex(), 1) == (math.floor(exact), None)


@pytest.mark.trust(22)
def test_a_leaf_may_charge_every_pair_of_a_bank() -> None:
    known = Bounds(BANKS, core_of(BANKS, [[0.0, 0.0]] * 3), LatentDomain(3, 2))
    bounds = CaseBounds(BANKS, known)
    bounds.narrow(0, 1, on_grid(0.5), on_grid(3.0))
    pairs = _Pairs(BANKS, bounds)
    inside = {(k, j) for k, j in itertools.product(range(4), range(4)) if (k, j) in pairs}
    assert inside == {(0, 0), (0, 1), (2, 0), (2, 1), (1, 2)}
    for strange in (3, "0, 0", (0,), (0, 0, 0), ("0", 0)):
        assert strange not in pairs
    assert [Fraction(*end) for end in pairs[0, 1] if end is not None] == [0.5, 3]
    assert pairs[2, 1] == ((0, ONE), None)


def reciprocal() -> Chain:
    return Chain([Step("add", (Fraction(1),)), Step("reciprocal")])


# 5 (1 / (1 + z^2) + 1 / (1 + (1 - z)^2)) - 6 over [0, 1]
SUM = small_head([[0], [1]], linear([[5, 5], [0, 0]], [-6, 0]), chain=reciprocal())


def margin(
    *nodes: CaseNode, head: Head = SUM, facts: Sequence[Fact] = (), domain: Any = UNIT_BOX
) -> Margin:
    core = core_of(head, [[0.25] * head.channels] * head.location_count, facts, domain=domain)
    where = read_domain(core.domain, head.location_count, head.channels)
    bounds = Bounds(head, core, where)
    return Cases(head, core, where, bounds).margin(tree(*nodes))


def about(found: Margin, lower: float) -> bool:
    return found.sign == 1 and abs(found.lower - lower) < 1e-12


HALVES = channel(0, 0)


@pytest.mark.trust(22)
def test_the_margin_is_the_least_of_all_cases_and_open_where_one_is() -> None:
    assert margin(LEAF) == Margin(1, 0, -INFINITE)
    assert about(margin(HALVES, LEAF, LEAF), 0.5)  # 5 (4/5 + 1/2) - 6
    third = channel(0, 0, 0.25)
    best = 5 * (16 / 17 + 1 / 2) - 6, 5 * (4 / 5 + 16 / 25) - 6
    assert about(margin(HALVES, third, LEAF, LEAF, LEAF), 0.5)
    quarters = (HALVES, third, LEAF, LEAF, channel(0, 0, 0.75), LEAF, LEAF)
    assert about(margin(*quarters), min(best))
    # one case that is open leaves the margin open, wherever it comes
    assert margin(third, LEAF, LEAF) == Margin(1, 0, -INFINITE)
    assert margin(channel(0, 0, 0.75), LEAF, LEAF) == Margin(1, 0, -INFINITE)
    # a case without a latent needs no proof
    beyond = channel(0, 0, 1.5)
    assert about(margin(beyond, HALVES, LEAF, LEAF, LEAF), 0.5)
    impossible = distance(0, 0, -1.0)
    assert about(margin(impossible, LEAF, HALVES, LEAF, LEAF), 0.5)


@pytest.mark.trust(22)
def test_thresholds_of_distances_are_cases_too() -> None:
    """Up to 1/4 from the one prototype, or beyond: then at most 1/4 from the other."""
    for split in (distance(0, 0, 0.25), nearest(0, 0.25)):
        assert margin(split, LEAF, LEAF).sign == 0  # of the other one nothing follows by itself
        found = margin(split, HALVES, LEAF, LEAF, HALVES, LEAF, LEAF)
        assert found.sign == 1
    with pytest.raises(CertificateError, match="contradiction: every case is impossible"):
        margin(distance(0, 0, -0.5), LEAF, distance(0, 0, 2.0), distance(0, 0, -2.0), LEAF,
               distance(0, 0, 1.5), distance(0, 0, -2.0), LEAF, channel(0, 0, 2.5), LEAF, LEAF,
               LEAF, LEAF, facts=(pair(0, 5.0, 6.0),))  # fmt: skip


def pair(prototype: int, low: float, high: float, location: int = 0) -> PairFact:
    return PairFact(location=location, prototype=prototype, lower=low.hex(), upper=high.hex())


def rows(prototype: int, *theta: int) -> Rows:
    return Rows(prototypes=(prototype,), theta=(theta,))


NO_ROWS = Rows(prototypes=(), theta=())


@pytest.mark.trust(22)
def test_a_leaf_uses_rows_implied_bounds_and_forms_of_its_case() -> None:
    """Two prototypes of one place: near the first, the second is not far away."""
    # 4 - 9 / (1 + m_1): positive from m_1 > 5/4 on
    far = small_head([[0, 0], [4, 0]], linear([[0, 0], [0, 9]], [4, 0]), chain=reciprocal())
    split = distance(0, 0, 1.0)  # then m_1 is at least (4 - 1)^2 = 9
    block = {"location": 0, "facts": (0,), "shift": 0, "upper": NO_ROWS}
    row = PairBlock(lower=rows(1, 3), **block)  # |z - 4|^2 + 3 (|z|^2 - 1) >= 12 - 3
    known = Leaf(blocks=(row,))
    assert about(margin(known, head=far, facts=(pair(0, 0.0, 1.0),), domain=None), 4 - 9 / 10)
    again = margin(split, known, Leaf(), head=far, facts=(pair(1, 2.0, 99.0),), domain=None)
    assert about(again, 1.0)  # 4 - 9/3: beyond, the fact alone
    weak = margin(split, LEAF, LEAF, head=far, facts=(pair(1, 1.0, 99.0),), domain=None)
    assert weak == Margin(1, 0, -INFINITE)
    domain = BoxDomain(lower=(0.0).hex(), upper=(1.0).hex())
    boxed = margin(Leaf(domain_blocks=(DomainBlock(
        location=0, facts=(), shift=0, lower=Rows(prototypes=(1,), theta=((),)), upper=NO_ROWS,
    ),)), head=far, domain=domain)  # fmt: skip
    assert about(boxed, 4 - 9 / 10)
    # upper bounds of what supports: 9 / (1 + m_1) - 1 needs m_1 < 8
    support = small_head([[0, 0], [1, 0]], linear([[0, 9], [0, 0]], [-1, 0]), chain=reciprocal())
    implied = Leaf(implied=(ImpliedBound(prototype=1, via=0, stretch=(1.0).hex()),))
    some = (ActivationFact(prototype=0, lower=(0.0).hex(), upper=(0.25).hex()),)
    near = nearest(0, 0.5)  # beyond it is nothing; m_1 <= 2 / 4 + 2
    found = margin(near, implied, LEAF, head=support, facts=some, domain=None)
    assert about(found, 9 / 3.5 - 1)
    found = margin(nearest(0, 1.0), implied, LEAF, head=support, domain=None)
    assert found == Margin(1, 0, -INFINITE)  # beyond 1 nothing bounds it
    with pytest.raises(CertificateError, match="starts from an open end"):
        margin(implied, head=support, domain=None)
    # lower bounds of what opposes: far from the second, the first is not near either
    off = small_head([[0, 0], [1, 0]], linear([[0, 0], [9, 0]], [5, 0]), chain=reciprocal())
    kept = Leaf(implied=(ImpliedBound(prototype=0, via=1, stretch=(-0.5).hex()),))
    apart = (ActivationFact(prototype=1, lower=(4.0).hex(), upper=(99.0).hex()),)
    both = nearest(1, 9.0), kept, kept  # m_0 >= 4 / 2 - 1, and beyond 9 / 2 - 1
    assert about(margin(*both, head=off, facts=apart, domain=None), 4 - 9 / 2 + 1)
    beyond = nearest(1, 9.0), Leaf(), kept
    floor = (apart[0].model_copy(update={"lower": (9.5).hex()}),)  # the first case is none
    assert about(margin(*beyond, head=off, facts=floor, domain=None), 4 - 9 / 4.75 + 1)
    tops = (ActivationFact(prototype=0, lower=(0.0).hex(), upper=(1.0).hex()),)
    assert about(margin(implied, head=support, facts=tops, domain=None), 9 / 5 - 1)


@pytest.mark.trust(22)
def test_a_leaf_takes_the_better_of_intervals_and_form() -> None:
    """-3 m_0 + 1 with m_0 at most 1/4, by an interval; a form that charges it is worse."""
    chain = Chain([Step("mul", (Fraction(-1),))])
    head = small_head([[0], [1]], linear([[3, 0], [0, 3]], [2, 0]), chain=chain)

    def form(mu: int, rival: int = 1) -> Leaf:
        return Leaf(form=RivalForm(
            rival=rival, supports=(Tangent(prototype=0, location=0, at=(0.0).hex()),), opposes=(),
            multipliers=(PlaceMultipliers(location=0, facts=(0,), shift=0, mu=(mu,)),),
        ))  # fmt: skip

    facts = (pair(0, 0.0, 1.0),)  # -3 + 3 m_1 + 2 >= -1; with m_1 >= 0
    assert margin(LEAF, head=head, facts=facts, domain=None) == Margin(1, 0, -INFINITE)
    wide = margin(form(4), head=head, facts=facts, domain=None)
    assert wide == Margin(1, 0, -INFINITE)
    near = distance(0, 0, 0.25)
    facts = (pair(1, 1.0, 9.0),)
    for leaf in (LEAF, form(4), form(40)):
        found = margin(near, leaf, LEAF, head=head, facts=(*facts, pair(0, 0.0, 0.5)), domain=None)
        assert found.lower == 3.5  # beyond 1/4: -3/2 + 3 + 2
    with pytest.raises(CertificateError, match="case 0 against class 1: its form is about another"):
        margin(form(4, rival=0), head=head, facts=facts, domain=None)


BAD_LEAVES: dict[str, tuple[str, Leaf]] = {
    "a block": ("block at location 0: no facts", Leaf(blocks=(PairBlock(
        location=0, facts=(), shift=0, lower=NO_ROWS, upper=NO_ROWS),))),
    "a domain block": ("domain bounds nothing", Leaf(domain_blocks=(DomainBlock(
        location=0, facts=(), shift=0, lower=NO_ROWS, upper=NO_ROWS),))),
    "an implied bound": ("prototype out of range", Leaf(implied=(
        ImpliedBound(prototype=9, via=0, stretch=(1.0).hex()),))),
    "a form": ("not one entry of multipliers", Leaf(form=RivalForm(
        rival=1, supports=(Tangent(prototype=0, location=0, at=(0.0).hex()),), opposes=(),
        multipliers=()))),
}  # fmt: skip


@pytest.mark.trust(22)
@pytest.mark.parametrize("name", BAD_LEAVES)
def test_a_malformed_leaf_is_refused(name: str) -> None:
    words, leaf = BAD_LEAVES[name]
    with pytest.raises(CertificateError, match=words) as error:
        margin(
            nearest(0), LEAF, leaf, facts=(pair(0, 0.0, 0.5),), domain=None
        ) if False else margin(leaf, domain=None)
    assert str(error.value).startswith("case 0 against class 1: ")


@pytest.mark.trust(22)
def test_places_where_the_nearest_is_attained() -> None:
    """At the place that attains it, m = t; two facts about one place meet in no case of it."""
    head = small_head([[0], [1]], linear([[9, 0], [0, 0]], [-3, 0]), chain=reciprocal(),
                      locations=(0, 0))  # fmt: skip
    # 9 / (1 + t_0) - 3 needs t_0 < 2
    facts = (pair(0, 0.0, 1.0, 0), pair(0, 3.0, 4.0, 1))
    found = margin(place(0, 0, 1), LEAF, LEAF, head=head, facts=facts, domain=None)
    assert found.lower == 1.5
    facts = (ActivationFact(prototype=0, lower=(0.0).hex(), upper=(1.0).hex()),)
    found = margin(place(0, 0), LEAF, LEAF, head=head, facts=facts, domain=None)
    assert found.lower == 1.5
    # 5 - 9 / (1 + t_1): at the place where t_0 is at most 1, m_1 is at least (4 - 1)^2
    head = small_head([[0], [4]], linear([[0, 0], [0, 9]], [5, 0]), chain=reciprocal(),
                      locations=(0, 0))  # fmt: skip
    row = PairBlock(location=0, facts=(0,), shift=0, lower=rows(1, 3), upper=NO_ROWS)
    facts = (*facts, pair(1, 2.0, 99.0, 1))
    nodes = place(0, 0, 1), Leaf(blocks=(row,)), LEAF
    assert margin(*nodes, head=head, facts=facts, domain=None) == Margin(1, 0, -INFINITE)
    facts = (*facts, pair(1, 2.0, 99.0, 0))
    assert about(margin(*nodes, head=head, facts=facts, domain=None), 2.0)


def test_only_two_ends_can_cross() -> None:
    ends = (None, 1, 2)
    found = {pair for pair in itertools.product(ends, ends) if crossed(*pair)}
    assert found == {(2, 1)}
