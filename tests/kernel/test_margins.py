"""Margins of small heads in fractions: ties, labels, caps, what nothing bounds, and rounding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
from flint import ctx

from protoproof.certificate.schema import ActivationFact, CeilingFact, Fact, PairFact
from protoproof.kernel.arithmetic.exact import GRID
from protoproof.kernel.latent.bounds import Bounds
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.margins import (
    Ends,
    Margin,
    UnboundedError,
    known,
    loses,
    margins,
    observed_margin,
    stated_score,
)
from protoproof.kernel.latent.measurement import Latent, Moved
from protoproof.kernel.model.chain import Chain, Step
from protoproof.kernel.model.decision import Decision, Node, Score
from protoproof.kernel.model.head import Head
from tests.support.kernel.exactly import core_of, fraction, linear, small_head

ONE = 1 << GRID
POINTS = [[0, 0], [2, 0]]


def labels(weight: Sequence[Sequence[int]], bias: Sequence[int]) -> Decision:
    return Decision("labels", 2, [list(row) for row in weight], list(bias), 0)


def at(head: Head, *latent: Sequence[float]) -> Moved:
    import numpy as np

    return Latent(head, np.array(latent, np.float32)).moved({})


@pytest.mark.trust(22)
def test_what_has_to_be_positive() -> None:
    """Of classes the difference; of labels the label's own score, or its negative."""
    head = small_head(POINTS, linear([[5, 1], [2, 3]], [4, 9]))
    here = core_of(head, [[0.0, 0.0]]).instance
    assert stated_score(head, here, 1) == Score([3, -2], -5)
    head = small_head(POINTS, labels([[5, 1], [2, 3]], [4, 9]))
    here = core_of(head, [[0.0, 0.0]], labels=(1,)).instance
    assert stated_score(head, here, 0) == Score([-5, -1], -4)
    assert stated_score(head, here, 1) == Score([2, 3], 9)


@pytest.mark.trust(22)
@pytest.mark.parametrize(("bias", "sign"), [(3, 1), (2, 0), (1, -1)])
def test_a_tie_is_no_margin_and_no_loss(bias: int, sign: int) -> None:
    """At z = (1, 0) both measurements are 1, so that the scores are -3 + bias and -1."""
    head = small_head(POINTS, linear([[3, 0], [0, 1]], [bias, 0]))
    here = core_of(head, [[1.0, 0.0]]).instance
    moved = at(head, [1.0, 0.0])
    found = observed_margin(head, stated_score(head, here, 1), 1, moved)
    assert found == Margin(1, sign, bias - 2)
    assert loses(head, here, 1, moved) is (sign < 0)
    other = core_of(head, [[1.0, 0.0]], predicted=1).instance
    assert loses(head, other, 0, moved) is (sign > 0)


@pytest.mark.trust(22)
@pytest.mark.parametrize(("bias", "on"), [(4, True), (3, None), (2, False)])
def test_a_label_at_its_threshold_is_neither_on_nor_off(bias: int, on: bool | None) -> None:
    head = small_head(POINTS, labels([[3, 0], [0, 1]], [bias, 0]))
    moved = at(head, [1.0, 0.0])
    for said in (True, False):
        here = core_of(head, [[1.0, 0.0]], labels=(0,) if said else ()).instance
        found = observed_margin(head, stated_score(head, here, 0), 0, moved)
        assert (found.sign > 0) is (on is said)
        assert loses(head, here, 0, moved) is (on is (not said))


@pytest.mark.trust(22)
def test_a_score_is_the_activations_divided_by_its_unit() -> None:
    decision = Decision("linear", 2, [[3, 1], [0, 0]], [0, 0], 3)
    head = small_head(POINTS, decision, shift=1)
    here = core_of(head, [[1.0, 0.5]]).instance
    found = observed_margin(head, stated_score(head, here, 1), 1, at(head, [1.0, 0.5]))
    # from (0, 0) it is 5/4, from (1, 0) it is 1/4
    assert found.lower == -(3 * 1.25 + 0.25) / 8
    core = core_of(head, [[1.0, 0.5]], pairs((0, 1.0, 1.25), (1, 0.0, 0.25)))
    ends = ends_of(head, core)
    assert margins(head, core.instance, [1], ends)[0].lower == -(3 * 1.25 + 0.25) / 8


def pairs(*facts: tuple[int, float, float]) -> tuple[Fact, ...]:
    return tuple(
        PairFact(location=0, prototype=j, lower=low.hex(), upper=high.hex())
        for j, low, high in facts
    )


def ends_of(head: Head, core: Any) -> Ends:
    bounds = Bounds(head, core, LatentDomain(head.location_count, head.channels))
    return Ends(head, bounds.best, bounds.caps)


@pytest.mark.trust(22)
@pytest.mark.parametrize(("bias", "sign"), [(8, 1), (7, 0), (6, -1)])
def test_a_proved_margin_takes_the_worse_end_of_each(bias: int, sign: int) -> None:
    """-3 m_0 + 2 m_1 + bias, with m_0 at most 3 and m_1 at least 1; another rival apart."""
    head = small_head(POINTS, linear([[3, 0], [0, 2], [3, 0]], [bias, 0, bias]))
    core = core_of(head, [[0.0, 0.0]], pairs((0, 1.0, 3.0), (1, 1.0, 4.0)))
    found = margins(head, core.instance, [2, 1], ends_of(head, core))
    assert found == [Margin(2, 0, 0.0), Margin(1, sign, bias - 7)]
    open_ = core_of(head, [[0.0, 0.0]], pairs((1, 1.0, 4.0)))
    assert margins(head, open_.instance, [1], ends_of(head, open_)) == [Margin(1, 0, -math.inf)]
    assert margins(head, open_.instance, [2], ends_of(head, open_))[0].sign == 0


@pytest.mark.trust(22)
def test_caps_bound_activations_from_above() -> None:
    """Where similarities differ a ceiling is about activations: the lower of both ends counts."""
    own = Chain([Step("mul", (Fraction(-1), Fraction(-2)))])
    head = small_head(POINTS, linear([[0, 0], [1, 1]]), chain=own)
    for bound, tops in ((1.0, (-1, -2)), (3.0, (-3, -3)), (0.5, (-1, -2))):
        facts = (*pairs((0, 1.0, 4.0), (1, 1.0, 4.0)), ceiling(bound))
        low, high = ends_of(head, core_of(head, [[0.0, 0.0]], facts)).balls()
        assert [fraction(x) for x in high if x is not None] == list(tops)
        assert [fraction(x) for x in low if x is not None] == [-4, -8]
    # of products nothing is known but the cap
    head = small_head(POINTS, linear([[0, 0], [1, 1]]), chain=own, geometry="linear")
    low, high = ends_of(head, core_of(head, [[0.0, 0.0]], (ceiling(2.0),))).balls()
    assert (low[1], [high[0], high[1]]) == (None, [0, -2])
    ends = Ends(head, [(0, 0), (None, None)], [None, (3, 2)])
    low, high = ends.balls()
    assert (low[1], high[1]) == (None, 1.5)
    assert ends.balls()[1] is high
    with ctx.workprec(99):
        assert ends.balls()[1] is not high


def ceiling(bound: float) -> CeilingFact:
    return CeilingFact(bound=bound.hex(), exempt=(0,) if bound == 2.0 else ())


@pytest.mark.trust(22)
def test_terms_may_be_left_out() -> None:
    head = small_head(POINTS, linear([[1, 1], [0, 0]], [5, 0]))
    core = core_of(head, [[0.0, 0.0]], pairs((0, 1.0, 3.0)))
    ends, score = ends_of(head, core), stated_score(head, core.instance, 1)
    assert ends.least(score) is None
    assert ends.least(score, {1}) == 2
    assert ends.least(score, {0, 1}) == 5


def test_what_is_not_known_is_an_error() -> None:
    with pytest.raises(UnboundedError):
        known(None)


@pytest.mark.trust(22)
def test_the_last_bit_of_an_irrational_margin_is_below_it() -> None:
    """exp(-1) against a third, in units of 2**-20."""
    chain = Chain([Step("mul", (Fraction(-1),)), Step("exp")])
    decision = Decision("linear", 2, [[3 << 20, 0], [0, 0]], [-(1 << 20), 0], 20)
    head = small_head(POINTS, decision, chain=chain)
    here = core_of(head, [[0.0, 1.0]]).instance
    found = observed_margin(head, stated_score(head, here, 1), 1, at(head, [0.0, 1.0]))
    assert found.sign == 1
    assert 3 * math.exp(-1) - 1 - 1e-12 < found.lower < 3 * math.exp(-1) - 1 + 1e-12


def tree(slack: int, weight: Sequence[Sequence[int]]) -> Head:
    """One node, whose share is exp(-m) of the prototype at the origin."""
    chain = Chain([Step("mul", (Fraction(-1),)), Step("exp")])
    rows = [list(row) for row in weight]
    decision = Decision("tree", 1, rows, [0, 0], 0, (), (Node(0, -1, -2),), slack=slack)
    return small_head([[0, 0]], decision, chain=chain)


@pytest.mark.trust(22)
@pytest.mark.parametrize(
    ("weight", "slack", "sign", "lost"),
    [
        ([[9, 5], [0, 0]], 4, 1, False),  # 5 - 4: all goes right at the origin
        ([[9, 5], [0, 0]], 5, 0, False),  # nothing is left: it may be a tie
        ([[9, 5], [0, 0]], 6, 0, False),
        ([[0, 0], [9, 5]], 4, -1, True),
        ([[0, 0], [9, 7]], 4, -1, True),
        ([[0, 0], [9, 5]], 5, 0, False),  # the rival's own lead is as large as what rounding took
        ([[0, 0], [9, 5]], 6, 0, False),
    ],
)
def test_what_rounding_took_decides_for_nobody(
    weight: list[list[int]], slack: int, sign: int, lost: bool
) -> None:
    head = tree(slack, weight)
    here, moved = core_of(head, [[0.0, 0.0]]).instance, at(head, [0.0, 0.0])
    score = stated_score(head, here, 1)
    found = observed_margin(head, score, 1, moved)
    assert found.sign == sign
    assert found.lower == weight[0][1] - weight[1][1] - slack
    assert loses(head, here, 1, moved) is lost


@pytest.mark.trust(22)
def test_prototypes_without_weight_are_not_asked_for() -> None:
    """A similarity that is not defined there has no part in the margin."""
    chain = Chain([Step("sqrt"), Step("mul", (Fraction(-1),))])
    head = small_head(POINTS, linear([[1, 0], [0, 0]], [9, 0]), chain=chain)
    moved = at(head, [1.0, 0.0])
    found = observed_margin(head, Score([1, 0], 9), 1, moved)
    assert (found.sign, found.lower) == (1, 8.0)
    assert set(moved.latent._best) == {0}


def activation(prototype: int, low: float, high: float) -> ActivationFact:
    return ActivationFact(prototype=prototype, lower=low.hex(), upper=high.hex())


@pytest.mark.trust(22)
def test_ends_go_through_the_similarity_in_its_direction() -> None:
    """1 / (1 + t) falls: its upper end is that of the least measurement."""
    chain = Chain([Step("add", (Fraction(1),)), Step("reciprocal")])
    head = small_head(POINTS, linear([[1, 0], [0, 1]]), chain=chain)
    facts = (activation(0, 1.0, 3.0), activation(1, 0.0, 7.0))
    low, high = ends_of(head, core_of(head, [[0.0, 0.0]], facts)).balls()
    assert [fraction(x) for x in low if x is not None] == [Fraction(1, 4), Fraction(1, 8)]
    assert [fraction(x) for x in high if x is not None] == [Fraction(1, 2), 1]
