"""Least values of decisions against the definition, at every corner of the activations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flint import arb

from protoproof.errors import ModelError
from protoproof.kernel.model.decision import Decision, Node, Score
from tests.support.kernel.exactly import fraction, linear

Ends = Sequence[Fraction | None]
Step = tuple[int, bool]


def ball(end: Fraction | None) -> arb | None:
    return None if end is None else arb(end.numerator) / end.denominator


def least(
    decision: Decision, score: Score, low: Ends, high: Ends, apart: Sequence[int] = ()
) -> Fraction | None:
    found = decision.least(score, lambda j: ball(low[j]), lambda j: ball(high[j]), apart)
    return None if found is None else fraction(found)


def quarters(
    rng: np.random.Generator, count: int, lowest: int = -8, most: int = 8
) -> tuple[Ends, Ends]:
    """Random intervals, a few of them single points."""
    ends = [sorted(rng.integers(lowest, most + 1, 2).tolist()) for _ in range(count)]
    return [Fraction(a, 4) for a, _ in ends], [Fraction(b, 4) for _, b in ends]


def opened(rng: np.random.Generator, ends: Ends) -> Ends:
    return [None if rng.random() < 0.2 else end for end in ends]


def corners(low: Ends, high: Ends) -> list[tuple[Fraction, ...]]:
    known = [(a, b) for a, b in zip(low, high, strict=True) if a is not None and b is not None]
    return list(itertools.product(*known))


@pytest.mark.trust(22)
def test_a_linear_score_is_least_at_a_corner() -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        decision = linear(rng.integers(-2, 3, (2, 4)).tolist(), rng.integers(-9, 9, 2).tolist())
        score = decision.over(0, 1)
        low, high = quarters(rng, 4)
        apart = [j for j in range(4) if rng.random() < 0.2]
        used = [j for j in range(4) if score.weights[j] and j not in apart]
        values = [
            score.offset + sum(score.weights[j] * x[j] for j in used) for x in corners(low, high)
        ]
        assert least(decision, score, low, high, apart) == min(values)
        low, high = opened(rng, low), opened(rng, high)
        sides = [(low if score.weights[j] > 0 else high)[j] for j in used]
        found = least(decision, score, low, high, apart)
        assert found == (None if None in sides else min(values))


@pytest.mark.trust(22)
def test_the_best_of_each_group_is_least_at_a_corner() -> None:
    """A largest has a lower end where any of the group has one, an upper end where all have."""
    rng = np.random.default_rng(1)
    groups = ((0, 3), (1,), (2, 4, 5))
    for _ in range(40):
        weight, bias = rng.integers(-2, 3, (2, 3)).tolist(), rng.integers(-9, 9, 2).tolist()
        decision = Decision("best", 6, weight, bias, 0, groups)
        score = decision.over(1, 0)
        assert score == ([b - a for a, b in zip(*weight, strict=True)], bias[1] - bias[0])
        low, high = quarters(rng, 6)

        def value(x: Sequence[Fraction], score: Score = score) -> Fraction:
            best = [max(x[j] for j in group) for group in groups]
            return score.offset + sum(w * b for w, b in zip(score.weights, best, strict=True))

        assert least(decision, score, low, high) == min(map(value, corners(low, high)))
        low, high = opened(rng, low), opened(rng, high)
        expected: Fraction | None = Fraction(score.offset)
        for w, group in zip(score.weights, groups, strict=True):
            ends = [(low if w > 0 else high)[j] for j in group]
            known = [end for end in ends if end is not None]
            if not w or expected is None:
                continue
            open_ = not known if w > 0 else len(known) < len(ends)
            expected = None if open_ else expected + w * max(known)
        assert least(decision, score, low, high) == expected


NODES = (Node(0, 1, 2), Node(1, -1, 3), Node(2, -4, -5), Node(3, -2, -3))


def tree(weight: Sequence[Sequence[int]], routing: str = "distributed", **more: Any) -> Decision:
    rows = [list(row) for row in weight]
    given = {"bias": [0] * len(rows), "shift": 0, "nodes": NODES, **more}
    return Decision("tree", 4, rows, routing=routing, **given)  # type: ignore[arg-type]


def leaves(nodes: Sequence[Node], at: int = 0) -> list[tuple[int, tuple[Step, ...]]]:
    """Every leaf's number and the way to it, from left to right."""
    if at < 0:
        return [(-1 - at, ())]
    return [
        (leaf, ((at, right), *way))
        for child, right in ((nodes[at].left, False), (nodes[at].right, True))
        for leaf, way in leaves(nodes, child)
    ]


def share(shares: Sequence[Fraction], step: Step) -> Fraction:
    own = shares[NODES[step[0]].prototype]
    return own if step[1] else 1 - own


def arrives(shares: Sequence[Fraction], way: Sequence[Step]) -> Fraction:
    return math.prod((share(shares, step) for step in way), start=Fraction(1))


WAYS = dict(leaves(NODES))


def test_ways_lead_to_the_leaves() -> None:
    decision = tree(np.eye(5, dtype=int).tolist())
    assert decision.ways == tuple(WAYS[n] for n in range(5))
    assert decision.needed([0] * 5) == [0, 1, 2, 3]
    assert linear([[1, 0, 3], [0, 1, 0]]).needed([2, 0, -1]) == [0, 2]
    groups = Decision("best", 4, [[1, 0], [0, 1]], [0, 0], 0, ((3, 1), (0, 2)))
    assert groups.needed([0, 1]) == [0, 2]
    assert groups.needed([1, 0]) == [1, 3]


@pytest.mark.trust(22)
def test_all_leaves_vote_and_the_least_is_at_a_corner() -> None:
    rng = np.random.default_rng(2)
    for _ in range(30):
        weight, bias = rng.integers(-4, 5, (2, 5)).tolist(), rng.integers(-4, 5, 2).tolist()
        decision = tree(weight, bias=bias, slack=3)
        score = decision.over(0, 1)
        assert score.offset == bias[0] - bias[1] - 3
        low, high = quarters(rng, 4, 0, 4)
        values = [
            score.offset + sum(score.weights[n] * arrives(x, way) for n, way in WAYS.items())
            for x in corners(low, high)
        ]
        assert least(decision, score, low, high) == min(values)
        for side in (0, 1):
            ends: list[list[Fraction | None]] = [list(low), list(high)]
            ends[side][2] = None
            assert least(decision, score, *ends) is None


def greedy(shares: Sequence[Fraction], bad: Sequence[int]) -> Fraction:
    half = Fraction(1, 2)
    return min(max(half - share(shares, step) for step in WAYS[m]) for m in bad)


def common(first: Sequence[Step], second: Sequence[Step]) -> int:
    return sum(1 for _ in itertools.takewhile(lambda p: p[0] == p[1], zip(first, second)))  # noqa: B905


def largest(
    lows: Sequence[Fraction], highs: Sequence[Fraction], good: Sequence[int], bad: Sequence[int]
) -> Fraction:
    """Over bad leaves the least, of the most that a good leaf is surely ahead where they part."""

    def at(step: Step, ends: Sequence[Fraction], others: Sequence[Fraction]) -> Fraction:
        own = NODES[step[0]].prototype
        return ends[own] if step[1] else 1 - others[own]

    def ahead(m: int, n: int) -> Fraction:
        start = common(WAYS[m], WAYS[n])
        sure = math.prod((at(step, lows, highs) for step in WAYS[n][start:]), start=Fraction(1))
        most = math.prod((at(step, highs, lows) for step in WAYS[m][start:]), start=Fraction(1))
        return sure - most

    return min(max(ahead(m, n) for n in good) for m in bad)


@pytest.mark.trust(22)
@pytest.mark.parametrize("routing", ["greedy", "sample-max"])
def test_one_leaf_counts_and_the_bad_ones_are_behind(routing: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(60):
        weight = rng.integers(0, 3, (2, 5)).tolist()
        decision = tree(weight, routing, shift=1, bias=rng.integers(-1, 2, 2).tolist())
        score = decision.over(0, 1)
        good = [n for n, w in enumerate(score.weights) if w + score.offset > 0]
        bad = [n for n in range(5) if n not in good]
        cut = quarters(rng, 4, 0, 4)
        # an interval of what is known may be wider than shares are
        low = [x if x or rng.random() < 0.5 else Fraction(-1, 4) for x in cut[0]]
        high = [x if x != 1 or rng.random() < 0.5 else Fraction(5, 4) for x in cut[1]]
        expected: Fraction | int
        if not bad:
            expected = 1
        elif routing == "greedy":
            expected = min(greedy(x, bad) for x in corners(*cut))
        else:
            expected = largest(*cut, good, bad) if good else -1
        assert least(decision, score, low, high) == 2 * expected
        if bad and (good or routing == "greedy"):
            ends: list[list[Fraction | None]] = [list(low), list(high)]
            ends[int(rng.integers(2))][int(rng.integers(4))] = None
            assert least(decision, score, *ends) is None


def test_a_good_leaf_that_is_sure_is_a_proof_however_ties_go() -> None:
    """The leaf that the definition chooses is good wherever the value is positive."""
    rng = np.random.default_rng(4)
    seen = set()
    for _ in range(200):
        weight = rng.integers(0, 3, (2, 5)).tolist()
        shares = [Fraction(int(n), 4) for n in rng.integers(0, 5, 4)]
        arrived = {n: arrives(shares, way) for n, way in WAYS.items()}
        most = {n for n, x in arrived.items() if x == max(arrived.values())}
        ends = {
            n for n, way in WAYS.items() if all(share(shares, s) >= Fraction(1, 2) for s in way)
        }
        for routing, chosen in (("greedy", ends), ("sample-max", most)):
            decision = tree(weight, routing)
            found = least(decision, decision.over(0, 1), shares, shares)
            assert found is not None
            surely = all(weight[0][n] > weight[1][n] for n in chosen)
            seen.add((found > 0, surely))
            assert surely if found > 0 else not surely
    assert seen == {(True, True), (False, False)}


def test_a_label_is_on_or_off() -> None:
    decision = Decision("labels", 2, [[3, -1]], [-5], 0)
    assert decision.linear
    assert decision.label(0, on=True) == Score([3, -1], -5)
    assert decision.label(0, on=False) == Score([-3, 1], 5)
    assert not tree([[0] * 5, [1] * 5]).linear


WRONG: dict[str, tuple[str, Callable[[], Decision]]] = {
    "one class": ("fewer than two", lambda: linear([[1, 2]])),
    "no label": ("fewer than two", lambda: Decision("labels", 1, [], [], 0)),
    "a bias short": ("not 2 x 2", lambda: linear([[1, 2], [3, 4]], [5])),
    "a weight short": ("not 2 x 2", lambda: Decision("linear", 2, [[1, 2], [3]], [0, 0], 0)),
    "a row that is short": ("not 2 x 2", lambda: Decision("linear", 2, [[1], [3]], [0, 0], 0)),
    "a leaf short": ("not 2 x 5", lambda: tree([[1] * 4, [0] * 4])),
    "a group short": (
        "not 2 x 2", lambda: Decision("best", 2, [[1], [2]], [0, 0], 0, ((0,), (1,))),
    ),
    "a group of nothing": (
        "a prototype that is none",
        lambda: Decision("best", 2, [[1, 2], [2, 1]], [0, 0], 0, ((0,), ())),
    ),
    "a group of another prototype": (
        "a prototype that is none",
        lambda: Decision("best", 2, [[1, 2], [2, 1]], [0, 0], 0, ((0,), (2,))),
    ),
    "a node of another prototype": (
        "a prototype that is none",
        lambda: Decision("tree", 1, [[1, 2], [2, 1]], [0, 0], 0, (), (Node(1, -1, -2),)),
    ),
    "a prototype before the first": (
        "a prototype that is none",
        lambda: Decision("tree", 1, [[1, 2], [2, 1]], [0, 0], 0, (), (Node(-1, -1, -2),)),
    ),
    "groups and no best": (
        "do not fit", lambda: Decision("linear", 1, [[1], [2]], [0, 0], 0, ((0,),)),
    ),
    "best of no group": ("do not fit", lambda: Decision("best", 1, [[], []], [0, 0], 0)),
    "nodes and no tree": (
        "do not fit",
        lambda: Decision("linear", 1, [[1], [2]], [0, 0], 0, (), (Node(0, -1, -2),)),
    ),
    "a tree without a node": ("do not fit", lambda: Decision("tree", 1, [[1], [2]], [0, 0], 0)),
    "a leaf twice": ("not one tree", lambda: one_tree(Node(0, -1, -1))),
    "a node below itself": (
        "not one tree", lambda: one_tree(Node(0, -1, -2), Node(0, 1, -3)),
    ),
    "a node above its parent": (
        "not one tree", lambda: one_tree(Node(0, -1, -2), Node(0, 2, -3), Node(0, 1, -4)),
    ),
    "the root below": ("not one tree", lambda: one_tree(Node(0, -1, 0))),
    "negative slack": ("no tree", lambda: tree([[0] * 5, [1] * 5], slack=-1)),
    "slack without a tree": (
        "no tree", lambda: Decision("linear", 1, [[1], [2]], [0, 0], 0, slack=1),
    ),
    "another routing": ("routes nothing", lambda: tree([[0] * 5, [1] * 5], "best")),
    "linear, and greedy": (
        "routes nothing",
        lambda: Decision("linear", 1, [[1], [2]], [0, 0], 0, routing="greedy"),
    ),
}  # fmt: skip


def one_tree(*nodes: Node) -> Decision:
    count = len(nodes) + 1
    return Decision("tree", 1, [[0] * count, [1] * count], [0, 0], 0, (), nodes)


@pytest.mark.trust(22)
@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_decision_is_refused(name: str) -> None:
    words, make = WRONG[name]
    with pytest.raises(ModelError, match=words):
        make()


def test_the_smallest_decisions_are_decisions() -> None:
    assert one_tree(Node(0, -2, -1)).class_count == 2
    assert one_tree(Node(0, 1, 2), Node(0, -1, -2), Node(0, -3, -4)).class_count == 2
    assert Decision("labels", 1, [[0]], [0], 0).class_count == 1
    assert Decision("best", 1, [[1], [2]], [0, 0], 0, ((0,),)).needed([1]) == [0]
