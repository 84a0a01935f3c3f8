"""Facts at exact measurements: what is malformed, and what is true to the last bit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from protoproof.certificate.schema import ActivationFact, CeilingFact, Fact, PairFact
from protoproof.kernel.latent.facts import (
    broken,
    intervals,
    malformed,
    untrue,
    violated,
    vocabulary_complaints,
)
from protoproof.kernel.latent.measurement import Latent, Moved, Point
from protoproof.kernel.latent.value import IRRATIONAL_STEPS
from protoproof.kernel.model.chain import Chain, Step
from protoproof.kernel.model.decision import Decision, Node
from protoproof.kernel.model.head import Head, Pooling
from tests.support.kernel import small_heads as heads
from tests.support.kernel.exactly import core_of, linear, small_head

POINTS = [[0, 0], [2, 0], [0, 3]]
WEIGHT = [[1, 0, 0], [0, 1, 0]]


def pair(location: int, prototype: int, low: float = 0.0, high: float = 1.0) -> PairFact:
    return PairFact(location=location, prototype=prototype, lower=low.hex(), upper=high.hex())


def activation(prototype: int, low: float = 0.0, high: float = 1.0) -> ActivationFact:
    return ActivationFact(prototype=prototype, lower=low.hex(), upper=high.hex())


def ceiling(bound: float = 0.0, *exempt: int) -> CeilingFact:
    return CeilingFact(bound=bound.hex(), exempt=exempt)


HEAD = small_head(POINTS, linear(WEIGHT), locations=(0, 0))
BANKS = small_head(POINTS, linear(WEIGHT), locations=(0, 1), banks=(0, 0, 1))

GOOD: dict[str, Sequence[Fact]] = {
    "nothing": (),
    "the last of each": (pair(1, 2), activation(2), ceiling(0.0, 2), ceiling(0.0, 0, 1, 2)),
    "one prototype, once in each way": (pair(0, 1), pair(1, 1), activation(1), activation(0)),
    "two ceilings": (ceiling(0.0, 1), ceiling(1.0, 1), ceiling(0.0)),
}
BAD: dict[str, tuple[str, Sequence[Fact]]] = {
    "no such prototype": ("prototype out of range", (pair(0, 3),)),
    "no such activation": ("prototype out of range", (activation(3),)),
    "no such exempt prototype": ("prototype out of range", (ceiling(0.0, 0, 3),)),
    "no such location": ("location out of range", (pair(2, 0),)),
    "exempt in another order": ("not sorted", (ceiling(0.0, 1, 0),)),
    "exempt twice": ("not sorted", (ceiling(0.0, 1, 1),)),
    "a pair twice": ("a second fact", (pair(0, 1), pair(0, 1, 0.0, 2.0))),
    "an activation twice": ("a second fact", (activation(0), activation(0, 0.0, 2.0))),
    "a ceiling twice": ("a second fact", (ceiling(0.0, 1), ceiling(0.0, 1))),
}


@pytest.mark.trust(22)
def test_well_formed_facts_have_no_complaint() -> None:
    for facts in GOOD.values():
        assert not list(malformed(HEAD, facts))
    assert not list(malformed(BANKS, (pair(0, 1), pair(1, 2), activation(2))))


@pytest.mark.trust(22)
@pytest.mark.parametrize("name", BAD)
def test_malformed_facts_are_told(name: str) -> None:
    words, facts = BAD[name]
    (text,) = malformed(HEAD, facts)
    assert text.startswith(f"fact {len(facts) - 1}: ")
    assert words in text


@pytest.mark.trust(22)
def test_facts_are_about_the_bank_of_their_location() -> None:
    for fact in (pair(0, 2), pair(1, 0), pair(1, 1)):
        (text,) = malformed(BANKS, (fact,))
        assert "another bank" in text


def test_intervals_are_those_of_pair_facts() -> None:
    facts = (pair(1, 2, 0.5, 1.5), activation(0), ceiling(), pair(0, 0, -1.0, 0.25))
    assert intervals(facts) == {(1, 2): ((1, 2), (3, 2)), (0, 0): ((-1, 1), (1, 4))}


def at(head: Head, *latent: Sequence[float]) -> Latent:
    return Latent(head, np.array(latent, np.float32))


def after(number: float, count: int = 1) -> float:
    for _ in range(count):
        number = math.nextafter(number, math.inf)
    return number


def before(number: float) -> float:
    return math.nextafter(number, -math.inf)


@pytest.mark.trust(22)
def test_a_fact_holds_at_its_ends_and_not_one_step_inside() -> None:
    """From z = (1, 0): 1, 1 and 10; from (0, 3): 9, 13 and 0."""
    here = at(HEAD, [1.0, 0.0], [0.0, 3.0]).moved({})
    values = {(0, 0): 1.0, (0, 2): 10.0, (1, 0): 9.0, (1, 1): 13.0}
    for (k, j), v in values.items():
        assert not violated(pair(k, j, v, v), here)
        assert violated(pair(k, j, after(v), after(v)), here)
        assert violated(pair(k, j, before(v), before(v)), here)
    for j, v in enumerate((1.0, 1.0, 0.0)):
        assert not violated(activation(j, v, v), here)
        assert violated(activation(j, after(v), after(v)), here)
        assert violated(activation(j, before(v), before(v)), here)
    assert not violated(ceiling(0.0), here)
    assert violated(ceiling(5e-324), here)
    assert not violated(ceiling(1.0, 2), here)
    assert violated(ceiling(after(1.0), 2), here)
    assert violated(ceiling(after(1.0), 0, 2), here)
    assert not violated(ceiling(1e300, 0, 1, 2), here)


@pytest.mark.trust(22)
def test_facts_at_a_latent_that_moved() -> None:
    latent = at(HEAD, [1.0, 0.0], [0.0, 3.0])
    moved = Moved(latent, {1: Point([0, 1 << latent.shift], 2)})  # to (0, 1/2)
    assert not violated(pair(1, 0, 0.25, 0.25), moved)
    assert not violated(activation(0, 0.25, 0.25), moved)
    assert not violated(activation(2, 6.25, 6.25), moved)
    assert not violated(ceiling(0.25), moved)
    assert violated(ceiling(after(0.25)), moved)


@pytest.mark.trust(22)
def test_exact_premises_are_the_tightest() -> None:
    """A third of the prototype's numbers is no float64: both ends are one step apart."""
    chain = Chain([Step("mul", (Fraction(-1),))])
    mean = {"inner": Chain([Step("mul", (Fraction(1, 3),))])}
    head = small_head(POINTS, linear(WEIGHT), chain=chain, pooling=Pooling("sum"), **mean)
    latent = at(head, [1.0, 0.0])
    low = before(1 / 3) if Fraction(1 / 3) > Fraction(1, 3) else 1 / 3
    cases = [
        (activation(0, low, after(low)), True),
        (activation(0, low, after(low, 2)), False),
        (activation(0, before(low), after(low)), False),
        (ceiling(low, 2), True),  # the level is the negative activation
        (ceiling(low - 1e-14, 2), False),
        (ceiling(-4.0), False),
    ]
    for fact, good in cases:
        for premises in ("exact", "interval"):
            core = core_of(head, [[1.0, 0.0]], (fact,), premises=premises)
            found = list(untrue(core, latent))
            assert bool(found) is (not good and premises == "exact"), (fact, found)
    for fact in (activation(0, after(low), 1.0), activation(0, 0.0, low), ceiling(after(low), 2)):
        core = core_of(head, [[1.0, 0.0]], (activation(1, 0.0, 9.0), fact))
        (text,) = untrue(core, latent)
        assert text == f"fact 1 ({fact.kind}) is false at the recorded latent"


@pytest.mark.trust(22)
def test_a_ceiling_is_exact_where_some_prototype_attains_it() -> None:
    latent = at(HEAD, [1.0, 0.0], [0.0, 3.0])
    for bound, exempt, good in (
        (1.0, (2,), True), (0.0, (), True), (before(1.0), (2,), False), (0.5, (2,), False),
    ):  # fmt: skip
        core = core_of(HEAD, [[1.0, 0.0]], (ceiling(bound, *exempt),), premises="exact")
        assert (not list(untrue(core, latent))) is good


@pytest.mark.trust(22)
def test_of_what_is_irrational_a_few_steps_are_exact() -> None:
    head = small_head([[3, 4]], linear([[1], [0]]), geometry="angular")
    latent = at(head, [1.0, 1.0])  # -7 / sqrt 2
    low = float(latent.best(0).down())
    for count, good in ((1, True), (IRRATIONAL_STEPS, True), (IRRATIONAL_STEPS + 1, False)):
        fact = activation(0, low, after(low, count))
        core = core_of(head, [[1.0, 1.0]], (fact,), premises="exact")
        found = list(untrue(core, latent))
        assert (not found) is good
        assert all("widened premise" in text for text in found)


VOCABULARY: dict[str, tuple[str, Sequence[Fact], str]] = {
    "pairs": ("pairs", (pair(0, 0), pair(1, 2)), ""),
    "no pairs": ("pairs", (), ""),
    "pairs, and an activation": ("pairs", (pair(0, 0), activation(0)), "pair facts only"),
    "pairs, and a ceiling": ("pairs", (ceiling(),), "pair facts only"),
    "a path through no tree": ("path", (activation(0),), "about the nodes of a tree"),
    "mixed": ("mixed", (pair(0, 0), activation(0), ceiling(), ceiling(0.5)), ""),
    "a ceiling": ("ceiling", (ceiling(),), ""),
    "a ceiling and activations": ("ceiling", (ceiling(0.0, 2), activation(0), activation(1)), ""),
    "no ceiling": ("ceiling", (activation(0),), "one ceiling"),
    "two ceilings": ("ceiling", (ceiling(), ceiling(0.5)), "one ceiling"),
    "a ceiling and a pair": ("ceiling", (ceiling(), pair(0, 0)), "one ceiling"),
    "topk with a pair": ("topk", (ceiling(0.0, 0), activation(0), pair(0, 0)), "one ceiling"),
    "topk without a ceiling": ("topk", (activation(0),), "one ceiling"),
    # at the latent the values are 1, 1 and 0
    "the most activated": ("topk", (activation(2), ceiling(0.0, 2)), ""),
    "two of them": ("topk", (activation(0), activation(2), ceiling(1.0, 0, 2)), ""),
    "two others": ("topk", (activation(2), activation(1), ceiling(1.0, 1, 2)), ""),
    "all": ("topk", (*map(activation, range(3)), ceiling(1.0, 0, 1, 2)), ""),
    "only a ceiling": ("topk", (ceiling(),), "exactly the named"),
    "one exempt more": ("topk", (activation(2), ceiling(0.0, 0, 2)), "exactly the named"),
    "one exempt less": ("topk", (activation(2), activation(0), ceiling(1.0, 2)), "exactly the"),
    "not the most activated": ("topk", (activation(0), ceiling(1.0, 0)), "more activated than a"),
    "a tighter ceiling": ("topk", (activation(2), ceiling(after(0.0), 2)), "not the activation"),
    "a wider ceiling": (
        "topk", (activation(0), activation(2), ceiling(before(1.0), 0, 2)), "not the activation",
    ),
    "the ceiling of the first": (
        "topk", (activation(2), activation(1), ceiling(0.0, 1, 2)), "not the activation",
    ),
}  # fmt: skip


@pytest.mark.trust(22)
@pytest.mark.parametrize("name", VOCABULARY)
def test_facts_are_of_their_vocabulary(name: str) -> None:
    vocabulary, facts, words = VOCABULARY[name]
    latent = at(HEAD, [1.0, 0.0], [0.0, 3.0])
    for premises in ("exact", "interval"):
        core = core_of(HEAD, [[1.0, 0.0]], facts, vocabulary=vocabulary, premises=premises)
        found = list(vocabulary_complaints(core, latent))
        loose = premises == "interval" and name in ("a wider ceiling", "the ceiling of the first")
        assert len(found) == (bool(words) and not loose)
        assert all(words in text for text in found)


@pytest.mark.trust(22)
def test_the_last_named_one_may_stand_anywhere() -> None:
    latent = at(HEAD, [0.0, 0.0], [0.0, 3.0])  # the values are 0, 4 and 0
    facts = (*map(activation, range(3)), ceiling(4.0, 0, 1, 2))
    core = core_of(HEAD, [[0.0, 0.0]], facts, vocabulary="topk", premises="exact")
    assert not list(vocabulary_complaints(core, latent))


@pytest.mark.trust(22)
def test_a_path_is_of_activations_of_a_tree() -> None:
    rows = [[0, 1], [1, 0]]
    decision = Decision("tree", 1, rows, [0, 0], 0, (), (Node(0, -1, -2),))
    chain = Chain([Step("mul", (Fraction(-1),)), Step("exp")])
    head = small_head([[0, 0]], decision, chain=chain)
    for facts, good in (((activation(0),), True), ((), True), ((pair(0, 0),), False)):
        core = core_of(head, [[0.0, 0.0]], facts, vocabulary="path")
        assert (not list(vocabulary_complaints(core, at(head, [0.0, 0.0])))) is good


OWN = Chain([Step("mul", (Fraction(-1), Fraction(-2), Fraction(-1, 3)))])  # not uniform


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("euclidean", {}),
        ("euclidean", {"banks": ([0, 1, 1], [0, 1, 1])}),
        ("euclidean", {"chain": OWN}),
        ("diagonal", {"slack": Fraction(1, 64)}),
        ("angular", {}),
    ],
)
def test_what_a_moved_latent_breaks_of_what_is_true(kind: str, more: dict[str, Any]) -> None:
    """One by one, and all together; bounds at the moved measurements themselves, and next to
    them."""
    head = heads.head_of(kind, **more)
    rng = np.random.default_rng(7)
    broken_some = 0
    for _ in range(25):
        latent = Latent(head, rng.integers(-8, 9, size=(3, 2)).astype(np.float32) / 4 + 3)
        moved = {
            k: Point([int(n) for n in rng.integers(1, 40, size=2)], int(rng.integers(1, 4)))
            for k in rng.permutation(3)[: rng.integers(0, 4)].tolist()
        }
        at = latent.moved(moved)
        levels = [one.level(j) for one in (Moved(latent, {}), at) for j in range(3)]
        ends = [
            end
            for v in levels
            for end in (v.down(), math.nextafter(v.down(), math.inf), v.down() - 1)
        ]
        facts = [
            fact
            for end in ends
            for exempt in ((), (0,), (1, 2))
            if not violated(fact := ceiling(end, *exempt), Moved(latent, {}))
        ]
        facts.append(activation(0, -999.0, levels[0].up()))
        for some in (facts, facts[: rng.integers(1, len(facts))], facts[-1:]):
            wanted = [n for n, fact in enumerate(some) if violated(fact, latent.moved(moved))]
            assert list(broken(enumerate(some), latent.moved(moved))) == wanted
            broken_some += bool(wanted)
    assert broken_some > 10
