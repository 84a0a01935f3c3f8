"""What losing latents say about explanations, and what trees conclude from it, by brute force."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flint import arb

from protoproof.certificate.schema import (
    BoxDomain,
    Core,
    Cover,
    Move,
    Node,
    Packing,
    Refutation,
    SizeBound,
    Split,
)
from protoproof.errors import CertificateError
from protoproof.kernel.latent.domain import LatentDomain, read_domain
from protoproof.kernel.latent.measurement import Latent, Moved
from protoproof.kernel.latent.measurer import Point
from protoproof.kernel.latent.size import (
    _DEPTH,
    Clause,
    _encloses,
    _said,
    _tightest,
    clauses,
    concluded,
    ranked,
    size_bound,
    violated_pairs,
)
from protoproof.kernel.latent.value import Approximate, Exact, Value
from tests.support.kernel.exactly import core_of, linear, small_head
from tests.support.kernel.moves import encode

POINTS = [[0, 0], [2, 0], [0, 2], [3, 1]]
COUNT = len(POINTS)
NONE: frozenset[int] = frozenset()
HEAD = small_head(POINTS, linear([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]))
FREE = LatentDomain(1, 2)


def bounded(vocabulary: str, *covers: Cover, refutations: Sequence[Refutation] = ()) -> Core:
    bound = SizeBound(refutations=tuple(refutations), covers=covers)
    return core_of(HEAD, [[0.0, 0.0]], vocabulary=vocabulary, size_bound=bound)


def cover(*nodes: Node, ceilings: tuple[int, int] | None = None) -> Cover:
    return Cover(ceilings=ceilings, nodes=nodes)


def packing(scale: int, *weights: tuple[int, int]) -> Packing:
    return Packing(scale=scale, weights=weights)


def said(*members: Sequence[int], ceilings: Sequence[int] = ()) -> list[Clause]:
    return [Clause(frozenset(some), frozenset(ceilings)) for some in members]


NOTHING = packing(1)
Least = int | str


def least(nodes: Sequence[Node], found: Sequence[Clause]) -> int:
    return concluded(bounded("pairs", cover(*nodes)), found, COUNT)


@pytest.mark.trust(22)
@pytest.mark.parametrize(
    ("nodes", "members", "wanted"),
    [
        ([NOTHING], [], 0),
        ([packing(1, (0, 1))], [(0, 1)], 1),
        ([packing(1, (0, 1), (1, 1))], [(0,), (1,)], 2),
        ([packing(1, (0, 1), (1, 1))], [(0, 2), (1, 2)], "more than its scale"),
        ([packing(2, (0, 1), (1, 1), (2, 1))], [(0, 1), (1, 2), (2, 0)], 2),  # 3/2, rounded up
        ([packing(2, (0, 2), (1, 2))], [(0,), (1,)], 2),
        ([packing(2, (0, 1), (1, 1))], [(0,), (1,)], 1),
        ([packing(2, (0, 3))], [(0,)], "more than its scale"),
        ([packing(1, (1, 1))], [(0,)], "says nothing here"),
        ([Split(fact=0), NOTHING, NOTHING], [], 0),
        ([Split(fact=0), NOTHING, packing(1, (0, 1))], [(0, 1)], 1),
        ([Split(fact=0), packing(1, (0, 1)), NOTHING], [(0, 1)], "met already"),
        # without fact 0, fact 1 alone carries both
        ([Split(fact=0), NOTHING, packing(1, (0, 1), (1, 1))], [(0, 1), (0, 1)], "scale"),
        ([Split(fact=0), packing(1, (1, 1)), packing(1, (0, 2))], [(0,), (1,)], 2),
        ([Split(fact=0), packing(1, (1, 1)), packing(1, (0, 1))], [(0,), (1,)], 1),
        ([Split(fact=0), Split(fact=1), NOTHING, packing(1), packing(1, (0, 9))], [(0,)], 1),
        ([Split(fact=0), NOTHING, packing(1, (0, 9))], [(0,)], 1),
        ([Split(fact=0), Split(fact=1), NOTHING, NOTHING, packing(1, (0, 9))], [(0,)], 1),
        ([Split(fact=0), Split(fact=0), NOTHING, NOTHING, NOTHING], [], "splits twice"),
        ([Split(fact=0), NOTHING, Split(fact=0), NOTHING, NOTHING], [], "splits twice"),
        ([Split(fact=0), NOTHING], [], "ends too early"),
        ([], [], "ends too early"),
        ([NOTHING, NOTHING], [], "after its end"),
    ],
)
def test_trees_conclude_the_least_of_their_cases(
    nodes: list[Node], members: list[tuple[int, ...]], wanted: Least
) -> None:
    if isinstance(wanted, int):
        assert least(nodes, said(*members)) == wanted
    else:
        with pytest.raises(CertificateError, match=wanted):
            least(nodes, said(*members))


@pytest.mark.trust(22)
def test_a_tree_is_not_deeper_than_can_be_walked() -> None:
    for depth, good in ((_DEPTH, True), (_DEPTH + 1, False)):
        nodes = [*(Split(fact=k) for k in range(depth)), *[NOTHING] * (depth + 1)]
        if good:
            assert least(nodes, []) == 0
            continue
        with pytest.raises(CertificateError, match="too deep"):
            least(nodes, [])
        back = [n for k in range(depth) for n in (Split(fact=k), NOTHING)]
        with pytest.raises(CertificateError, match="too deep"):
            least([*back, NOTHING], [])


@pytest.mark.trust(22)
def test_no_tree_concludes_more_than_brute_force() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        found = said(*(rng.permutation(4)[: rng.integers(1, 4)].tolist() for _ in range(3)))
        true = min(
            n for n in range(5) for some in itertools.combinations(range(4), n)
            if all(clause.facts & set(some) for clause in found)
        )  # fmt: skip
        weights = [packing(int(rng.integers(1, 3)), *((int(k), int(rng.integers(1, 3)))
                   for k in rng.permutation(3)[: rng.integers(3)])) for _ in range(2)]  # fmt: skip
        for nodes in ([weights[0]], [Split(fact=int(rng.integers(4))), *weights]):
            try:
                assert least(nodes, found) <= true
            except CertificateError:
                continue


@pytest.mark.trust(22)
def test_each_vocabulary_has_its_covers() -> None:
    one = cover(packing(1, (0, 1)))
    for vocabulary in ("pairs", "path", "mixed"):
        assert concluded(bounded(vocabulary, one), said((0, 1)), COUNT) == 1
        for covers in ((), (one, one), (cover(NOTHING, ceilings=(0, 3)),)):
            with pytest.raises(CertificateError, match="needs one cover"):
                concluded(bounded(vocabulary, *covers), said((0, 1)), COUNT)
    topk = [Clause(NONE, frozenset(range(n))) for n in (1, 3, 2)]
    assert concluded(bounded("topk"), topk, COUNT) == 5
    assert concluded(bounded("topk"), [], COUNT) == 2
    with pytest.raises(CertificateError, match="needs no covers"):
        concluded(bounded("topk", one), topk, COUNT)
    with pytest.raises(CertificateError, match="no size bound"):
        concluded(core_of(HEAD, [[0.0, 0.0]]), [], COUNT)
    assert size_bound(core_of(HEAD, [[0.0, 0.0]]), FREE, latent_of()) == 0


@pytest.mark.trust(22)
def test_covers_are_about_every_ceiling_and_use_what_respects_theirs() -> None:
    """The bound is one more, for the ceiling itself, than the least of all covers."""
    found = [
        Clause(frozenset({0}), frozenset({0, 1, 2, 3})),
        Clause(frozenset({1}), frozenset({2, 3})),
    ]
    first, both = packing(1, (0, 1)), packing(1, (0, 1), (1, 1))

    def bound(*covers: tuple[int, int, Packing]) -> int:
        made = [cover(node, ceilings=(low, high)) for low, high, node in covers]
        return concluded(bounded("ceiling", *made), found, COUNT)

    assert bound((0, 3, first)) == 2
    assert bound((0, 1, first), (2, 3, both)) == 2
    assert bound((0, 0, first), (1, 1, first), (2, 2, both), (3, 3, both)) == 2
    assert bound((2, 3, both), (0, 2, first)) == 2
    assert bound((0, 3, NOTHING)) == 1
    for covers, words in (
        (((0, 3, both),), "nothing here"), (((0, 1, first), (1, 3, both)), "nothing here"),
        (((0, 2, first),), "leave out"), (((1, 3, first),), "leave out"),
        (((0, 0, first), (2, 3, both)), "leave out"), (((0, 4, first),), "do not exist"),
        (((3, 0, first),), "about no ceiling"),
    ):  # fmt: skip
        with pytest.raises(CertificateError, match=words):
            bound(*covers)
    with pytest.raises(CertificateError, match="about no ceiling"):
        concluded(bounded("ceiling", cover(first)), found, COUNT)


def test_covers_of_what_all_respect() -> None:
    found = [Clause(frozenset({k}), frozenset(range(COUNT))) for k in range(3)]
    every = packing(1, (0, 1), (1, 1), (2, 1))
    made = cover(every, ceilings=(0, 3))
    assert concluded(bounded("ceiling", made), found, COUNT) == 4


def latent_of(z: Sequence[float] = (0.0, 0.0)) -> Latent:
    return Latent(HEAD, np.array([z], np.float32))


def squared(z: Sequence[Fraction]) -> list[Fraction]:
    return [sum(((a - n) ** 2 for a, n in zip(z, p, strict=True)), Fraction(0)) for p in POINTS]


def down(x: Fraction) -> Fraction:
    nearest = float(x)
    return Fraction(nearest if Fraction(nearest) <= x else math.nextafter(nearest, -math.inf))


@pytest.mark.trust(22)
def test_what_a_latent_says_in_each_vocabulary() -> None:
    """Over thirds, so that ends are rounded; with ties, which stay together."""
    rng = np.random.default_rng(1)
    seen = set()
    for _ in range(40):
        v = rng.integers(-1, 4, 2).tolist()
        third = rng.integers(-3, 12, 2).tolist()
        seen |= says(v, third if rng.random() < 0.7 else [3 * x for x in v])
    # around the first prototype, which is kept: the others stay further away, or one does not
    for v, z in (([-1, 0], [0, -1]), ([-2, 0], [0, -2]), ([-2, 0], [2, 0])):
        seen |= says(v, [3 * x for x in z])
    assert {0, 4, 10, 11, 14} <= seen
    # a distance that no float64 holds: bounds of it are rounded, and it is kept all the same
    fine = [1.0, 2.0**-20 + 2.0**-43]
    exact = [Fraction(x) * 3 for x in fine]
    assert says(fine, exact) == {4, 14}
    # nearer by less than a float64 step is nearer
    assert 4 not in says([1, 0], [3 - Fraction(1, 2**20), Fraction(0)], 2**40)
    assert says([0, -1], [Fraction(0), -3 + Fraction(3, 2**60)]) & {4, 14} == set()


def says(v: Sequence[float], third: Sequence[float], finer: int = 1) -> set[int]:
    """Whether a latent at a third of some point says what it should; how much it respects."""
    z = [Fraction(x) / 3 for x in third]
    unit = math.lcm(*(x.denominator for x in z), finer)
    latent = latent_of(v)
    moved = Moved(latent, {0: Point([int(x * unit) << latent.shift for x in z], unit)})
    here, there = squared([Fraction(x) for x in v]), squared(z)
    violated = {j for j in range(COUNT) if not down(here[j]) <= there[j] <= -down(-here[j])}
    order = sorted(range(COUNT), key=here.__getitem__)
    assert ranked(latent) == order
    respected = {
        t for t, j in enumerate(order)
        if all(there[i] >= down(here[j]) for i in range(COUNT) if here[i] >= here[j])
    }  # fmt: skip
    topk = 0
    for k in range(1, COUNT + 1):
        m = here[order[k - 1]]
        kept = {j for j in range(COUNT) if here[j] <= m}
        if not kept & violated and all(there[j] >= down(m) for j in set(range(COUNT)) - kept):
            topk = k
    wanted = {
        "pairs": (violated, set()), "path": (violated, set()), "ceiling": (violated, respected),
        "topk": (violated, set(range(topk))),
        "mixed": (
            {*violated, *(COUNT + j for j in violated),
             *(2 * COUNT + t for t in set(range(COUNT)) - respected)}, set(),
        ),
    }  # fmt: skip
    assert set(violated_pairs(latent, moved)) == violated
    for vocabulary, (facts, ceilings) in wanted.items():
        core = core_of(HEAD, [[0.0, 0.0]], vocabulary=vocabulary)
        found = _said(core, latent, moved, frozenset(violated))
        assert found == Clause(frozenset(facts), frozenset(ceilings)), vocabulary
    return {len(respected), 10 + topk}


def test_pairs_are_numbered_by_location_and_of_one_bank() -> None:
    head = small_head(POINTS, linear([[1] * 4, [0] * 4]), locations=(0, 1), banks=(0, 0, 1, 1))
    latent = Latent(head, np.zeros((2, 2), np.float32))
    both = {k: Point([1 << latent.shift, 0]) for k in (0, 1)}
    assert list(violated_pairs(latent, latent.moved({1: both[1]}))) == [6, 7]
    # half way between the first two, the distance to neither stays
    assert list(violated_pairs(latent, latent.moved(both))) == [0, 1, 6, 7]


def after(x: float, count: int = 1) -> float:
    for _ in range(abs(count)):
        x = math.nextafter(x, math.copysign(math.inf, count))
    return x


@pytest.mark.trust(22)
def test_the_tightest_enclosure_of_what_was_recorded() -> None:
    third = Exact(1, 3)
    low, high = third.down(), third.up()
    assert _tightest(third) == (low, high)
    for x, good in ((low, True), (high, True), (after(low, -1), False), (after(high), False)):
        assert _encloses(third, Exact(*x.as_integer_ratio())) is good
    assert _encloses(third, third)
    root: Value = Approximate(lambda: arb(2).sqrt())
    low, high = _tightest(root)
    assert (low, high) == (root.down(), after(root.down()))
    assert _encloses(root, root)
    assert _encloses(root, Approximate(lambda: arb(2).sqrt()))
    assert not _encloses(root, Exact(*after(high).as_integer_ratio()))
    assert not _encloses(root, Exact(*after(low, -1).as_integer_ratio()))
    half: Value = Approximate(lambda: arb(1) / 2)
    assert _tightest(half) == (0.5, 0.5)
    # the ends of what stays open are further in, so that no more is enclosed than may be
    wide: Value = Approximate(lambda: arb(1, 1e-10))
    assert _tightest(wide) == (after(wide.down()), after(wide.up(), -1))
    assert not _encloses(wide, Approximate(lambda: arb(1, 1e-10)))


def move(*direction: float) -> Move:
    return Move(location=0, keep=(), direction=encode(direction))


@pytest.mark.trust(22)
def test_a_refutation_is_of_a_rival_in_the_domain_and_loses() -> None:
    latent = latent_of()

    def found(rival: int, *moves: Move, domain: Any = None) -> list[Clause]:
        core = bounded("pairs", refutations=(Refutation(rival=rival, moves=moves),))
        where = read_domain(domain, 1, 2) if domain else FREE
        return clauses(core, where, latent)

    (clause,) = found(1, move(2.0, 0.0))
    assert clause == Clause(frozenset(range(COUNT)), NONE)
    core = bounded("path", refutations=(Refutation(rival=1, moves=(move(4.0, 0.0),)),))
    assert clauses(core, FREE, latent) == [Clause(frozenset({0, 2, 3}), NONE)]
    (mirror,) = found(1, move(4.0, 0.0))  # as far from the second one as v is
    assert mirror == Clause(frozenset({0, 2, 3}), NONE)
    for rival in (0, 3):
        with pytest.raises(CertificateError, match=f"refutation 0: class {rival} is not a rival"):
            found(rival, move(2.0, 0.0))
    with pytest.raises(CertificateError, match="does not certainly lose to class 2"):
        found(2, move(2.0, 0.0))
    with pytest.raises(CertificateError, match="does not certainly lose to class 1"):
        found(1, move(1.0, 0.0))  # a tie
    box = BoxDomain(lower=(0.0).hex(), upper=(3.0).hex())
    assert found(1, move(3.0, 0.0), domain=box)
    with pytest.raises(CertificateError, match="refutation 0: leaves the domain"):
        found(1, move(4.0, 0.0), domain=box)
    core = bounded("pairs", cover(packing(1, (0, 1))), refutations=(
        Refutation(rival=1, moves=(move(2.0, 0.0),)),
    ))  # fmt: skip
    assert size_bound(core, FREE, latent) == 1
