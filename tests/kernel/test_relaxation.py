"""Forms: what is malformed, and the bound of a margin that they prove, in fractions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from protoproof.certificate.schema import (
    BoxDomain,
    CeilingFact,
    Chord,
    Core,
    Domain,
    Fact,
    IntervalEvidence,
    JointMultipliers,
    PairFact,
    PlaceMultipliers,
    RivalForm,
    Tangent,
)
from protoproof.kernel.arithmetic.exact import GRID
from protoproof.kernel.latent.bounded import BoundedDomain
from protoproof.kernel.latent.bounds import Bounds
from protoproof.kernel.latent.domain import LatentDomain, read_domain
from protoproof.kernel.latent.facts import intervals
from protoproof.kernel.latent.margins import Ends, Margin, margins
from protoproof.kernel.latent.relaxation import Forms, entry_complaints, form_complaints
from protoproof.kernel.model.chain import Chain, Step
from protoproof.kernel.model.decision import Decision
from protoproof.kernel.model.head import Head, Pooling
from tests.support.kernel.exactly import UNIT_BOX, core_of, linear, small_head
from tests.support.kernel.second_rule import Form, least

ONE = 1 << GRID
POINTS = [[0, 0], [2, 0], [0, 2], [1, 1]]
OPEN: Sequence[Fraction | None] = [None, None]
INFINITE = math.inf


def reciprocal() -> Chain:
    """1 / (1 + t): rational, and convex."""
    return Chain([Step("add", (Fraction(1),)), Step("reciprocal")])


def sigma(t: Fraction | float) -> Fraction:
    return Fraction(0) if t == INFINITE else 1 / (1 + Fraction(t))


def pair(location: int, prototype: int, low: float, high: float) -> PairFact:
    return PairFact(location=location, prototype=prototype, lower=low.hex(), upper=high.hex())


def place(location: int, facts: Sequence[int], mu: Sequence[int], **more: Any) -> PlaceMultipliers:
    fields = {"location": location, "facts": tuple(facts), "shift": 2, "mu": tuple(mu)}
    return PlaceMultipliers(**{**fields, **more})


def tangent(prototype: int, location: int, at: float) -> Tangent:
    return Tangent(prototype=prototype, location=location, at=at.hex())


def chord(prototype: int, location: int) -> Chord:
    return Chord(prototype=prototype, location=location)


def form_of(**changes: Any) -> RivalForm:
    fields: dict[str, Any] = {"rival": 1, "supports": (), "opposes": (), "multipliers": ()}
    return RivalForm(**{**fields, **changes})


def squared(point: Sequence[int]) -> Form:
    p = [Fraction(n) for n in point]
    return Form(Fraction(1), tuple(-2 * x for x in p), sum((x * x for x in p), Fraction(0)))


@dataclass(frozen=True)
class Scene:
    """A head of the similarity 1 / (1 + t), with what is stated and known about its latents."""

    head: Head
    core: Core
    where: LatentDomain

    @property
    def bounds(self) -> Bounds:
        return Bounds(self.head, self.core, self.where)

    def margin(self, form: RivalForm) -> Margin:
        bounds = self.bounds
        ends = Ends(self.head, bounds.best, bounds.caps)
        return Forms(self.head, self.core, self.where, bounds, ends).margin(form)

    def interval(self) -> Margin:
        bounds = self.bounds
        ends = Ends(self.head, bounds.best, bounds.caps)
        (found,) = margins(self.head, self.core.instance, [1], ends)
        return found

    def box(self, location: int) -> tuple[Sequence[Fraction | None], Sequence[Fraction | None]]:
        unit = 1 << self.where.shift
        lower, upper = self.where.ends(location)
        return (
            [Fraction(n, unit) for n in lower],
            [None if n is None else Fraction(n, unit) for n in upper],
        )

    def expected(self, form: RivalForm) -> Fraction | None:
        """The module's words, in fractions; None where nothing is bounded."""
        bounds, decision = self.bounds, self.head.decision
        unit = 1 << decision.shift
        weights = [Fraction(n, unit) for n in decision.over(0, 1).weights]
        total = Fraction(decision.over(0, 1).offset, unit)
        lines: dict[int, dict[int, Fraction]] = {}

        def known(ends: tuple[int | None, int | None]) -> tuple[Fraction, Fraction | float]:
            low, high = ends
            assert low is not None
            return Fraction(low, ONE), INFINITE if high is None else Fraction(high, ONE)

        listed = set()
        for entry in form.supports:
            listed.add(entry.prototype)
            w, at = weights[entry.prototype], Fraction(float.fromhex(entry.at))
            slope = -(sigma(at) ** 2)
            total += w * (sigma(at) - slope * at)
            lines.setdefault(entry.location, {})[entry.prototype] = w * slope
        for one in form.opposes:
            j, k = one.prototype, one.location
            low, high = known(bounds.at(k, j))
            if not low < high < INFINITE:
                continue
            listed.add(j)
            exist, others = bounds.elsewhere(k, j)
            top = sigma(Fraction(others or 0, ONE)) if exist else Fraction(0)
            near, far = max(sigma(low), top), max(sigma(high), top)
            slope = (far - near) / (Fraction(high) - low)
            total += weights[j] * (near - slope * low)
            lines.setdefault(k, {})[j] = weights[j] * slope
        for j, w in enumerate(weights):
            if w and j not in listed:
                low, high = known(bounds.best[j])
                total += w * sigma(high if w > 0 else low)
        return self._bounded(form, lines, total)

    def _bounded(
        self, form: RivalForm, lines: dict[int, dict[int, Fraction]], total: Fraction
    ) -> Fraction | None:
        entries = {entry.location: entry for entry in form.multipliers}
        nu: list[Fraction] = []
        if form.joint is not None:
            nu = [Fraction(n, 1 << form.joint.shift) for n in form.joint.nu]
            for k in range(self.where.locations):
                entries.setdefault(k, place(k, (), (), domain=True))
            for factor, joint in zip(nu, self.where.joints, strict=True):
                total += factor * Fraction(*joint.bound)
        stated = intervals(self.core.facts)
        for k, entry in entries.items():
            if k not in lines and form.joint is None:
                continue
            bounded = Form(Fraction(0), (Fraction(0),) * 2, Fraction(0))
            for j, slope in lines.get(k, {}).items():
                bounded = bounded.plus(slope, squared(POINTS[j]))
            for j, n in zip(entry.facts, entry.mu, strict=True):
                low, high = stated[k, j]
                factor = Fraction(n, 1 << entry.shift)
                bounded = bounded.plus(factor, squared(POINTS[j]))
                total -= factor * Fraction(*(high if n > 0 else low))
            for factor, joint in zip(nu, self.where.joints, strict=False):
                slopes = tuple(Fraction(n, 1 << self.where.shift) for n in joint.slopes[k])
                bounded = bounded.plus(-factor, Form(Fraction(0), slopes, Fraction(0)))
            found = least(bounded, *(self.box(k) if entry.domain else (OPEN, OPEN)))
            if found is None or (not entry.domain and bounded.square <= 0):
                return None
            total += found
        return total


def agrees(found: Margin, expected: Fraction | None) -> None:
    assert found.rival == 1
    if expected is None:
        assert found == Margin(1, 0, -INFINITE)
        return
    assert found.sign == (1 if expected > 0 else 0)
    # balls around forms that are flat on a whole channel are less precise, and never above
    assert Fraction(found.lower) <= expected
    assert Fraction(found.lower) > expected - Fraction(1, 10**12)


def drawn(rng: np.random.Generator, head: Head, *, domain: bool, joints: int = 0) -> RivalForm:
    """A random form, whose multipliers mostly bound something."""
    weights = head.decision.over(0, 1).weights
    supports, opposes, used = [], [], set()
    for j, w in enumerate(weights):
        k = int(rng.integers(head.location_count))
        if rng.random() < 0.3 or not w:
            continue
        used.add(k)
        if w > 0:
            supports.append(tangent(j, k, float(rng.integers(0, 9)) / 2))
        else:
            opposes.append(chord(j, k))
    if joints:
        used.discard(0)
        used |= {e.location for e in (*supports, *opposes)}
    entries = []
    for k in sorted(used):
        facts = rng.permutation(4)[: int(rng.integers(0 if domain else 1, 4))].tolist()
        mu = rng.integers(-4, 24, len(facts)).tolist()
        on = domain and (bool(joints) or rng.random() < 0.8)
        entries.append(place(k, facts, mu, domain=on, shift=int(rng.integers(0, 4))))
    nu = tuple(rng.integers(0, 3, joints).tolist())
    joint = JointMultipliers(shift=1, nu=nu) if joints else None
    return form_of(
        supports=tuple(supports), opposes=tuple(opposes), multipliers=tuple(entries), joint=joint
    )


def random_scene(rng: np.random.Generator, kind: str, count: int) -> Scene:
    rows = rng.integers(-3, 4, (2, 4)).tolist()
    decision = Decision("linear", 4, rows, [int(rng.integers(0, 60)), 0], 1)
    head = small_head(POINTS, decision, locations=(0,) * count, chain=reciprocal())
    facts: list[Fact] = []
    for k, j in itertools.product(range(count), range(4)):
        low = int(rng.integers(0, 8)) / 4
        facts.append(pair(k, j, low, low + int(rng.integers(0, 8)) / 4))
    core = core_of(head, [[0.0, 0.0]] * count, facts)
    if kind == "free":
        return Scene(head, core, LatentDomain(count, 2))
    if kind == "box":
        return Scene(head, core, read_domain(UNIT_BOX, count, 2))
    if kind == "half":
        half = BoxDomain(lower=(0.0).hex(), upper=None)
        return Scene(head, core, read_domain(half, count, 2))
    ends = np.sort(rng.integers(-2, 8, (2, count, 2)) / 4, axis=0)
    forms = [(rng.integers(-2, 3, (count, 2)) / 2, (int(rng.integers(-4, 4)), 4)) for _ in range(2)]
    return Scene(head, core, BoundedDomain.around(ends[0], ends[1], forms))


@pytest.mark.trust(22)
@pytest.mark.parametrize(("kind", "count"), [("free", 1), ("free", 2), ("box", 2), ("half", 1)])
def test_a_form_proves_what_the_theorem_says(kind: str, count: int) -> None:
    rng = np.random.default_rng(0)
    signs = set()
    for _ in range(12):
        here = random_scene(rng, kind, count)
        form = drawn(rng, here.head, domain=kind != "free")
        found = here.margin(form)
        agrees(found, here.expected(form))
        signs.add(found.sign)
    assert 1 in signs


@pytest.mark.trust(22)
def test_linear_bounds_join_the_locations() -> None:
    rng = np.random.default_rng(1)
    for _ in range(10):
        here = random_scene(rng, "reach", 2)
        form = drawn(rng, here.head, domain=True, joints=2)
        agrees(here.margin(form), here.expected(form))
        # without multipliers of theirs, they count for nothing
        used = {e.location for e in (*form.supports, *form.opposes)}
        alone = tuple(entry for entry in form.multipliers if entry.location in used)
        form = form.model_copy(update={"joint": None, "multipliers": alone})
        agrees(here.margin(form), here.expected(form))


@pytest.mark.trust(22)
def test_a_margin_that_may_be_nothing_is_not_positive() -> None:
    """Exact facts about all: a_0 - a_1 + offset, of which 0 is a tie, and less is a loss."""
    facts = (pair(0, 0, 1.0, 1.0), pair(0, 1, 3.0, 3.0))
    for bias, sign in (([3, 4], 0), ([4, 4], 1), ([2, 4], 0)):
        decision = Decision("linear", 4, [[4, 0, 0, 0], [0, 4, 0, 0]], bias, 2)
        head = small_head(POINTS, decision, chain=reciprocal())
        here = Scene(head, core_of(head, [[0.0, 1.0]], facts), LatentDomain(1, 2))
        found = here.margin(form_of())
        agrees(found, Fraction(bias[0] - 3, 4))
        assert found.sign == sign
        assert found.lower == (bias[0] - 3) / 4


def bell() -> Chain:
    """The sigmoid of 2 - t: concave up to 2, convex from there on."""
    return Chain([Step("mul", (Fraction(-1),)), Step("add", (Fraction(2),)), Step("sigmoid")])


def cut_off() -> Chain:
    """1 - t up to a half, then nothing."""
    return Chain([
        Step("mul", (Fraction(-1),)), Step("add", (Fraction(1),)),
        Step("zero_below", (Fraction(1, 2),)),
    ])  # fmt: skip


@pytest.mark.trust(22)
@pytest.mark.parametrize(
    ("chain", "ends", "at", "used"),
    [
        (bell(), (2.5, 4.0), 3.0, True),
        (bell(), (1.0, 4.0), 3.0, False),  # concave where the measurement can be
        (bell(), (2.5, 4.0), 1.0, False),  # concave where the tangent touches
        (bell(), (0.5, 4.0), 2.5, False),  # concave where the measurement can also be
        (cut_off(), (0.0, 0.25), 0.125, True),
        (cut_off(), (0.0, 0.75), 0.125, False),
        (cut_off(), (0.0, 0.25), 0.75, False),  # a jump on the way to where it touches
    ],
)
def test_a_tangent_of_what_is_not_convex_counts_for_nothing(
    chain: Chain, ends: tuple[float, float], at: float, used: bool
) -> None:
    """The prototype then enters by its interval, as if it were not listed."""
    head = small_head(POINTS, linear([[1, 0, 0, 0], [0, 0, 0, 0]]), chain=chain)
    facts = (pair(0, 0, *ends),)
    here = Scene(head, core_of(head, [[0.0, 0.0]], facts), LatentDomain(1, 2))
    form = form_of(supports=(tangent(0, 0, at),), multipliers=(place(0, (0,), (9,)),))
    found, plain = here.margin(form), here.interval()
    assert (abs(found.lower - plain.lower) > 1e-6) is used
    if not used:
        assert math.isclose(found.lower, plain.lower, rel_tol=1e-12)


@pytest.mark.trust(22)
@pytest.mark.parametrize(
    ("chain", "ends", "used"),
    [
        (bell(), (2.5, 4.0), True),
        (bell(), (1.0, 4.0), False),
        (cut_off(), (0.0, 0.75), False),  # from 1 - t at the one end to nothing at the other
        (reciprocal(), (1.0, 4.0), True),
        (reciprocal(), (1.0, 1.0), False),  # a chord over one point
    ],
)
def test_a_chord_of_what_is_not_convex_counts_for_nothing(
    chain: Chain, ends: tuple[float, float], used: bool
) -> None:
    head = small_head(POINTS, linear([[0, 0, 0, 0], [1, 0, 0, 0]]), chain=chain)
    here = Scene(head, core_of(head, [[0.0, 0.0]], (pair(0, 0, *ends),)), LatentDomain(1, 2))
    form = form_of(opposes=(chord(0, 0),), multipliers=(place(0, (0,), (8,)),))
    found, plain = here.margin(form), here.interval()
    assert (abs(found.lower - plain.lower) > 1e-6) is used


@pytest.mark.trust(22)
def test_a_tangent_where_one_end_is_open() -> None:
    """What is convex up to infinity or from there on need not be so on the way to the tangent."""
    weight = [[1, 0, 0, 0], [0, 0, 0, 0]]
    head = small_head(POINTS, linear(weight), chain=bell())
    facts = (CeilingFact(bound=(2.5).hex(), exempt=()),)
    here = Scene(head, core_of(head, [[0.0, 0.0]], facts), LatentDomain(1, 2))
    form = form_of(supports=(tangent(0, 0, 1.0),), multipliers=(place(0, (), ()),))
    assert here.margin(form) == here.interval()
    head = small_head([[1, 1]], linear([[1], [0]]), chain=cut_off(), geometry="linear")
    where = read_domain(BoxDomain(lower=(0.0).hex(), upper=None), 1, 2)
    here = Scene(head, core_of(head, [[0.0, 0.0]]), where)
    assert here.interval().lower == 1  # the product is never negative
    for at in (0.75, -1.0, 0.25):  # the first is beyond the jump, and says nothing
        form = form_of(supports=(tangent(0, 0, at),), multipliers=(place(0, (), (), domain=True),))
        assert here.margin(form) == here.interval()
    jump = Chain([Step("mul", (Fraction(-1),)), Step("zero_below", (Fraction(2),))])
    head = small_head([[1, 1]], linear([[1], [0]]), chain=jump, geometry="linear")
    some = read_domain(BoxDomain(lower=(0.5).hex(), upper=None), 1, 2)
    here = Scene(head, core_of(head, [[1.0, 1.0]]), some)
    form = form_of(supports=(tangent(0, 0, -3.0),), multipliers=(place(0, (), (), domain=True),))
    assert here.margin(form) == here.interval() == Margin(1, 0, 0.0)  # the jump is at -2
    head = small_head(POINTS, linear(weight), chain=cut_off())
    here = Scene(head, core_of(head, [[0.0, 0.0]], (pair(0, 1, 0.0, 1.0),)), LatentDomain(1, 2))
    form = form_of(supports=(tangent(0, 0, 0.25),), multipliers=(place(0, (1,), (8,)),))
    assert here.margin(form) == here.interval()
    # convex where the product ends, and not where it has no end
    bend = Chain([Step("mul", (Fraction(-1),)), Step("sigmoid")])
    head = small_head([[1, 1]], linear([[1], [0]]), chain=bend, geometry="linear")
    most = read_domain(BoxDomain(lower=(-2.5).hex(), upper=None), 1, 2)
    here = Scene(head, core_of(head, [[0.0, 0.0]]), most)
    form = form_of(supports=(tangent(0, 0, 4.0),), multipliers=(place(0, (), (), domain=True),))
    assert here.margin(form) == here.interval()
    # a chord has no end there
    for point in (1, -1):
        head = small_head([[point, point]], linear([[0], [1]]), geometry="linear")
        here = Scene(head, core_of(head, [[0.0, 0.0]]), where)
        form = form_of(opposes=(chord(0, 0),), multipliers=(place(0, (), (), domain=True),))
        assert here.margin(form) == here.interval()


@pytest.mark.trust(22)
def test_a_chord_needs_two_ends() -> None:
    """Products have no lower end by themselves; and a listed one with an open end is unbounded."""
    chain = Chain([Step("mul", (Fraction(-1),)), Step("exp")])
    head = small_head(
        POINTS, linear([[0, 0, 0, 0], [0, 1, 0, 0]]), geometry="linear", chain=chain,
        locations=(0, 0),
    )  # fmt: skip
    form = form_of(opposes=(chord(1, 0),), multipliers=(place(0, (1,), (1,)),))
    for facts in ((), (pair(1, 1, 0.0, 1.0),), (pair(0, 1, 0.0, 1.0),)):
        core = core_of(head, [[0.0, 0.0]] * 2, facts)
        found = Scene(head, core, LatentDomain(2, 2)).margin(form)
        assert found == Margin(1, 0, -INFINITE)


FACTS = (pair(0, 0, 0.0, 1.0), pair(0, 1, 1.0, 2.0), pair(1, 0, 0.0, 1.0))
WEIGHT = [[1, 0, 0, -1], [0, 2, 0, 0]]
FULL = form_of(
    supports=(tangent(0, 0, 0.0),), opposes=(chord(1, 0),), multipliers=(place(0, (0, 1), (1, 1)),)
)


def complaints(
    form: RivalForm, domain: Domain | None = None, head: Head | None = None
) -> list[str]:
    head = head or small_head(POINTS, linear(WEIGHT), locations=(0, 0), chain=reciprocal())
    core = core_of(head, [[0.0, 0.0]] * head.location_count, FACTS, domain=domain)
    where = read_domain(core.domain, head.location_count, 2)
    return list(entry_complaints(head, core, form, intervals(FACTS), where))


def full(**changes: Any) -> RivalForm:
    return FULL.model_copy(update=changes)


def test_well_formed_forms_have_no_complaint() -> None:
    for form in (
        FULL,
        form_of(),
        full(supports=(), opposes=(chord(3, 1),), multipliers=(place(1, (0,), (0,)),)),
        full(multipliers=(place(0, (), ()),)),
        full(multipliers=(place(0, (1,), (-3,)),)),
    ):
        assert not complaints(form)
    assert not complaints(full(multipliers=(place(0, (0,), (1,), domain=True),)), UNIT_BOX)


BAD: dict[str, tuple[str, RivalForm]] = {
    "one prototype twice": ("listed twice", full(supports=(FULL.supports[0], tangent(0, 0, 1.0)))),
    "a chord twice": ("listed twice", full(opposes=(chord(1, 0), chord(1, 0)))),
    "no such prototype": ("out of range", full(supports=(tangent(4, 0, 0.0),))),
    "no such location": (
        "out of range",
        full(supports=(tangent(0, 2, 0.0),), opposes=(), multipliers=(place(2, (), ()),)),
    ),
    "a weight of 0 supports": ("listed as support", full(supports=(tangent(2, 0, 0.0),))),
    "a negative weight supports": (
        "listed as support", full(supports=(tangent(3, 0, 0.0),)),
    ),
    "a weight of 0 opposes": ("listed as opposition", full(opposes=(chord(2, 0),))),
    "a positive weight opposes": (
        "listed as opposition", form_of(opposes=(chord(0, 0),), multipliers=(place(0, (), ()),)),
    ),
    "a tangent below all distances": ("no measurement", full(supports=(tangent(0, 0, -5e-324),))),
    "no multipliers": ("not one entry", full(multipliers=())),
    "multipliers twice": ("not one entry", full(multipliers=(place(0, (), ()), place(0, (), ())))),
    "multipliers of another location": (
        "not one entry", full(multipliers=(place(0, (), ()), place(1, (), ()))),
    ),
    "multipliers of no location": (
        "location out of range", full(multipliers=(place(0, (), ()), place(2, (), ()))),
    ),
    "a free domain is used": (
        "bounds nothing", full(multipliers=(place(0, (), (), domain=True),)),
    ),
    "a fact twice": ("not one multiplier per fact", full(multipliers=(place(0, (0, 0), (1, 1)),))),
    "a fact that is not stated": ("does not state", full(multipliers=(place(0, (2,), (1,)),))),
    "a fact of another location": (
        "does not state",
        full(supports=(tangent(0, 1, 0.0),), opposes=(), multipliers=(place(1, (1,), (1,)),)),
    ),
    "a multiplier short": ("not one multiplier per", full(multipliers=(place(0, (0, 1), (1,)),))),
    "a multiplier more": ("not one multiplier per", full(multipliers=(place(0, (0,), (1, 1)),))),
}  # fmt: skip


@pytest.mark.trust(22)
@pytest.mark.parametrize("name", BAD)
def test_malformed_forms_are_refused(name: str) -> None:
    words, form = BAD[name]
    found = complaints(form)
    assert any(words in text for text in found)
    assert len(found) <= 2


@pytest.mark.trust(22)
def test_forms_are_about_the_bank_and_the_nearest() -> None:
    head = small_head(
        POINTS, linear(WEIGHT), locations=(0, 1), banks=(0, 0, 0, 1), chain=reciprocal()
    )
    assert not complaints(FULL, head=head)
    wrong = full(opposes=(chord(3, 0),))
    assert any("another bank" in text for text in complaints(wrong, head=head))
    mean = small_head(POINTS, linear(WEIGHT), locations=(0, 0))
    mean.pooling = (Pooling("mean"), *mean.pooling[1:])
    assert any("does not decide" in text for text in complaints(FULL, head=mean))
    assert not complaints(full(supports=()), head=mean)
    best = Decision("best", 4, [[1, 0], [0, 1]], [0, 0], 0, ((0, 1), (2, 3)))
    found = complaints(FULL, head=small_head(POINTS, best, locations=(0, 0)))
    assert found == ["margins of this decision are not linear in activations"]


@pytest.mark.trust(22)
def test_a_tangent_touches_where_a_measurement_can_be() -> None:
    """No product with a direction is beyond the length of its prototype."""
    points = [[3, 4], [1, 0], [0, 1], [1, 1]]
    for geometry, at, good in (
        ("angular", 5.0, True), ("angular", -5.0, True), ("angular", 5.0 + 1e-9, False),
        ("angular", -5.0 - 1e-9, False), ("linear", 1e9, True), ("linear", -1e9, True),
        ("euclidean", 0.0, True), ("euclidean", -1.0, False),
    ):  # fmt: skip
        head = small_head(points, linear(WEIGHT), geometry=geometry, locations=(0, 0))  # type: ignore[arg-type]
        count = 1 + (geometry == "angular")  # the ball of directions has a multiplier of its own
        form = full(supports=(tangent(0, 0, at),), multipliers=(place(0, (0,), (1,) * count),))
        assert (complaints(form, head=head) == []) is good


@pytest.mark.trust(22)
def test_joint_multipliers_fit_the_linear_bounds() -> None:
    rng = np.random.default_rng(2)
    here = random_scene(rng, "reach", 2)
    head = small_head(POINTS, linear(WEIGHT), locations=(0, 0), chain=reciprocal())
    core = core_of(head, [[0.0, 0.0]] * 2, FACTS)

    def found(where: LatentDomain, domain: bool = True, **changes: Any) -> list[str]:
        form = full(multipliers=(place(0, (0,), (1,), domain=domain),), **changes)
        return list(entry_complaints(head, core, form, intervals(FACTS), where))

    def nu(*factors: int) -> JointMultipliers:
        return JointMultipliers(shift=0, nu=factors)

    assert not found(here.where)
    assert not found(here.where, joint=nu(0, 0))
    assert not found(here.where, joint=nu(3, 1))
    # under linear bounds a location may have multipliers and nothing linear
    more = (place(0, (0,), (1,), domain=True), place(1, (0,), (1,), domain=True))
    form = full(multipliers=more, joint=nu(1, 1))
    assert not list(entry_complaints(head, core, form, intervals(FACTS), here.where))
    for factors in ((1,), (1, 1, 1), ()):
        assert "not one multiplier per linear bound" in found(here.where, joint=nu(*factors))[0]
    assert "a negative multiplier" in found(here.where, joint=nu(2, -1))[0]
    assert "does not use its box" in found(here.where, domain=False, joint=nu(1, 1))[0]
    half = (more[0], more[1].model_copy(update={"domain": False}))
    some = full(multipliers=half, joint=nu(1, 1))
    texts = list(entry_complaints(head, core, some, intervals(FACTS), here.where))
    assert "does not use its box" in texts[0]
    bare = read_domain(UNIT_BOX, 2, 2)
    assert "not one multiplier per linear bound" in found(bare, joint=nu())[0]
    short = full(multipliers=(), joint=nu(1, 1))
    assert any("not one entry" in text for text in list(
        entry_complaints(head, core, short, intervals(FACTS), here.where)
    ))  # fmt: skip


@pytest.mark.trust(22)
def test_every_rival_has_one_form_at_most() -> None:
    head = small_head(POINTS, linear([*WEIGHT, [0, 1, 0, 1]]), locations=(0, 0), chain=reciprocal())
    second = form_of(rival=2)
    for forms, good in (
        ((FULL, second), True), ((FULL, FULL), False), ((second, second), False),
        ((form_of(rival=0),), False), ((form_of(rival=3),), False),
        ((full(multipliers=()),), False),
    ):  # fmt: skip
        core = core_of(head, [[0.0, 0.0]] * 2, FACTS, evidence=IntervalEvidence(forms=forms))
        found = list(form_complaints(head, core, LatentDomain(2, 2)))
        assert bool(found) is not good
        assert all(text.startswith(f"form against class {forms[-1].rival}: ") for text in found)
