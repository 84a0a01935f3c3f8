"""Obligations 7 to 12 of small heads: what each establishes, and on which detail it turns."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
import pytest

from protoproof.certificate.cases import CaseTree, ChannelSplit, Leaf
from protoproof.certificate.input_region import OcclusionRegion
from protoproof.certificate.partition import InputCut, Part
from protoproof.certificate.schema import (
    ActivationFact,
    BoxDomain,
    CeilingFact,
    Chord,
    Core,
    Cover,
    DomainBlock,
    Execution,
    FreeDomain,
    ImpliedBound,
    IntervalEvidence,
    LinearBound,
    Move,
    PairBlock,
    PairFact,
    PlaceMultipliers,
    ReachDomain,
    Refutation,
    RivalForm,
    Rows,
    SizeBound,
    Split,
    Tangent,
    Witness,
)
from protoproof.certificate.trees import Packing
from protoproof.errors import CertificateError
from protoproof.kernel.claims import Alike, AtLeast, Contrast, Necessary, Robust, Sufficient
from protoproof.kernel.latent.domain import LatentDomain, read_domain
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.model.chain import Chain, Step
from protoproof.kernel.model.decision import Decision, Node
from protoproof.kernel.model.file import BoundHead
from protoproof.kernel.model.head import Head
from protoproof.kernel.necessity import contrast, size, witnesses
from protoproof.kernel.rule import Domains, Established, IncompleteError, Question
from protoproof.kernel.sufficiency import (
    _concluded,
    multipliers,
    prediction,
    proofs,
    proved_margins,
)
from tests.support.kernel.exactly import UNIT_BOX, core_of, linear, small_head
from tests.support.kernel.moves import encode

Result = TypeVar("Result")
ASKED = Question(b"", None, None)  # type: ignore[arg-type]
POINTS = [[0, 0], [2, 0]]
# -3 m_0 + 2 m_1 over class 1; and 5 - 3 m_0 + m_1 over class 2
HEAD = small_head(POINTS, linear([[3, 0], [0, 2], [0, 1]], [0, 0, -5]))
"""A margin of 8 at the first prototype, where the measurements are 0 and 4."""


def examined(examination: Generator[str, None, Result]) -> tuple[list[str], Result]:
    """What an obligation complains of, and what it establishes."""
    found: list[str] = []
    while True:
        try:
            found.append(next(examination))
        except StopIteration as end:
            return found, end.value


def known(core: Core, latent: Latent, **more: Any) -> Established:
    free = LatentDomain(latent.head.location_count, latent.head.channels)
    return Established([core, latent, Domains(**{"stated": free, "refuting": free, **more})])


def latent_of(head: Head, *values: Sequence[float]) -> Latent:
    return Latent(head, np.array(values, np.float32))


def activation(prototype: int, low: float, high: float) -> ActivationFact:
    return ActivationFact(prototype=prototype, lower=low.hex(), upper=high.hex())


def pair(prototype: int, low: float, high: float) -> PairFact:
    return PairFact(location=0, prototype=prototype, lower=low.hex(), upper=high.hex())


ORIGIN = latent_of(HEAD, [0.0, 0.0])


@pytest.mark.trust(22)
def test_margins_are_proved_where_all_are_positive() -> None:
    for high, least, margins in ((1.0, 2.0, (1, 4)), (1.0, 1.5, (0, 3.5)), (2.0, 2.0, (-2, 1))):
        facts = (activation(0, 0.0, high), activation(1, least, 4.0))
        core = core_of(HEAD, [[0.0, 0.0]], facts)
        if margins[0] > 0:
            texts, found = examined(proved_margins(ASKED, known(core, ORIGIN)))
            assert not texts
            assert [m.lower for m in found.margins] == list(margins)
            assert found.claims == (Sufficient(FreeDomain(), facts),)
            continue
        with pytest.raises(
            IncompleteError, match="1 margins are not proved: over class 1"
        ) as error:
            examined(proved_margins(ASKED, known(core, ORIGIN)))
        assert [m.lower for m in error.value.found.margins] == list(margins)  # type: ignore[attr-defined]


@pytest.mark.trust(22)
def test_bounds_that_exclude_the_recorded_latent_are_a_contradiction() -> None:
    """At their ends they hold it; one float64 step further, something is wrong."""
    step = 2.0**-60
    for fact, wrong in (
        (activation(1, 4.0, 5.0), False), (activation(1, 4.0 + 1e-15, 5.0), True),
        (activation(0, 0.0, 0.0), False), (activation(0, -1.0, -step), True),
        (activation(0, step, 1.0), True),
    ):  # fmt: skip
        other = 1 - fact.prototype
        value = 4.0 * other
        core = core_of(HEAD, [[0.0, 0.0]], (fact, activation(other, value, value)))
        texts, _ = examined(proved_margins(ASKED, known(core, ORIGIN)))
        assert bool(texts) is wrong
        assert all(f"bounds of prototype {fact.prototype}" in text for text in texts)


@pytest.mark.trust(22)
def test_the_best_of_all_evidence_counts_for_each_rival() -> None:
    """Intervals alone leave class 1 open; a form, or one case, that proves it is as good."""
    points = [[0, 0], [2, 0]]
    head = small_head(points, linear([[3, 0], [0, 2], [0, 1]], [12, 0, -5]))
    facts = (pair(0, 0.0, 1.0), pair(1, 0.0, 4.0))
    # with -3 m_0 for a tangent, and -2 m_1 by its end: 12 - 3 m_0, which the fact bounds by 9
    form = RivalForm(
        rival=1, supports=(Tangent(prototype=0, location=0, at=(0.0).hex()),), opposes=(),
        multipliers=(PlaceMultipliers(location=0, facts=(0,), shift=0, mu=(4,)),),
    )  # fmt: skip
    weak = form.model_copy(update={"multipliers": (form.multipliers[0].model_copy(
        update={"mu": (40,)}),)})  # fmt: skip
    latent = latent_of(head, [0.0, 0.0])
    for forms, lower in (((), 9.0), ((form,), 9.0), ((weak,), 9.0)):
        core = core_of(head, [[0.0, 0.0]], facts, evidence=IntervalEvidence(forms=forms))
        texts, found = examined(proved_margins(ASKED, known(core, latent)))
        assert not texts
        assert [(m.rival, m.lower) for m in found.margins] == [(1, lower), (2, 14.0)]
    tree = CaseTree(rival=1, nodes=(Leaf(),))
    for cases in ((tree,), ()):
        core = core_of(head, [[0.0, 0.0]], (pair(0, 0.0, 1.0), pair(1, 0.0, 4.0)),
                       evidence=IntervalEvidence(cases=cases))  # fmt: skip
        _, found = examined(proved_margins(ASKED, known(core, latent)))
        assert [m.lower for m in found.margins] == [9.0, 14.0]


@pytest.mark.trust(22)
def test_a_form_proves_a_rival_that_intervals_leave_open() -> None:
    """-3 m_0 + 3 m_1 + 1 is 13 - 12 z_0, which is at least 1 where |z| <= 1."""
    head = small_head(POINTS, linear([[3, 0], [0, 3]], [1, 0]))
    facts = (pair(0, 0.0, 1.0), pair(1, 0.0, 9.0))
    latent = latent_of(head, [0.0, 0.0])
    for mu, lower in ((6, 1.0), (4, 0.0), (12, -2.0)):
        form = RivalForm(
            rival=1, supports=(Tangent(prototype=0, location=0, at=(0.0).hex()),),
            opposes=(Chord(prototype=1, location=0),),
            multipliers=(PlaceMultipliers(location=0, facts=(0,), shift=0, mu=(mu,)),),
        )  # fmt: skip
        core = core_of(head, [[0.0, 0.0]], facts, evidence=IntervalEvidence(forms=(form,)))
        if lower > 0:
            texts, found = examined(proved_margins(ASKED, known(core, latent)))
            assert not texts
            assert [m.lower for m in found.margins] == [lower]
            continue
        # intervals prove -2, of which the worse form is no better
        with pytest.raises(IncompleteError) as error:
            examined(proved_margins(ASKED, known(core, latent)))
        assert [m.lower for m in error.value.found.margins] == [lower]  # type: ignore[attr-defined]


WALKED = OcclusionRegion.model_construct(kind="occlude")


def reach(region: Any = WALKED, bounds: int = 0, propagated: int | None = None) -> ReachDomain:
    forms = (LinearBound.model_construct(coefficients="", bound=(0.0).hex()),) * bounds
    return ReachDomain.model_construct(
        kind="reach", lower="", upper="", bounds=forms, source="somebody", region=region,
        propagated=propagated,
    )  # fmt: skip


@pytest.mark.trust(22)
def test_a_claim_about_inputs_needs_a_region_no_facts_and_nobodys_word() -> None:
    facts = (activation(0, 0.0, 1.0),)
    base = core_of(HEAD, [[0.0, 0.0]])
    part = (Part(),)

    def concluded(
        domain: Any, facts: Any = (), parts: Any = (), level: str = "R"
    ) -> tuple[Any, ...]:
        changes = {"domain": domain, "facts": facts, "parts": parts, "level": level}
        return _concluded(base.model_copy(update=changes))

    walked, robust = reach(), Robust(WALKED)
    assert concluded(walked) == (Sufficient(walked, ()), robust)
    assert concluded(walked, facts) == (Sufficient(walked, facts),)
    assert concluded(walked, parts=part) == (robust,)
    assert concluded(walked, facts, parts=part) == ()
    for stated in (reach(bounds=1), reach(region=None), reach(region=None, bounds=1, propagated=3)):
        assert concluded(stated) == (Sufficient(stated, ()),)
    propagated = reach(bounds=1, propagated=3)
    assert concluded(propagated) == (Sufficient(propagated, ()), robust)
    free = FreeDomain()
    assert concluded(free) == (Sufficient(free, ()),)
    assert concluded(free, level="F") == (Sufficient(free, ()), Sufficient(free, (), "F"))
    assert concluded(free, parts=part, level="F") == ()


@pytest.mark.trust(22)
def test_every_part_has_its_box_and_its_evidence_and_the_worst_counts() -> None:
    """Over [0, 1/4] the margin over class 1 is proved; over [0, 3/4] it is not."""
    own = IntervalEvidence(implied=(ImpliedBound(prototype=0, via=0, stretch=(1.0).hex()),))
    cut = InputCut(number=0, at=(0.5).hex())
    base = core_of(HEAD, [[0.0, 0.0]])
    core = base.model_copy(update={
        "domain": reach(), "parts": (cut, Part(), Part(evidence=0)), "part_evidence": (own,),
        "evidence": own,
    })  # fmt: skip

    def ends(high: float) -> tuple[Any, Any]:
        return np.zeros((1, 2)), np.array([[high, 0.0]])

    for tops, lower in (((0.25, 0.125), None), ((0.125, 0.25), None), ((0.25, 1.0), "part 1: ")):
        boxes = tuple(map(ends, tops))
        domains = Domains(LatentDomain(1, 2), None, boxes)
        found = list(proofs(core, domains))
        assert [name for name, _, _ in found] == ["part 0: ", "part 1: "]
        assert [part.evidence for _, part, _ in found] == [IntervalEvidence(), own]
        for (_, _, where), high in zip(found, tops, strict=True):
            (low, *_), (top, *_) = where.ends(0)
            assert (low, Fraction(top or 0, 1 << where.shift)) == (0, Fraction(high))
        bare = core.model_copy(update={"part_evidence": (IntervalEvidence(),)})
        here = known(bare, ORIGIN, parts=boxes, refuting=None)
        if lower is None:
            texts, proved = examined(proved_margins(ASKED, here))
            assert not texts
            # 2 (2 - h)^2 - 3 h^2 at h = 1/4
            assert [m.lower for m in proved.margins] == [2 * 49 / 16 - 3 / 16, 5 + 49 / 16 - 3 / 16]
            assert proved.claims == (Robust(WALKED),)
        else:
            with pytest.raises(IncompleteError, match=lower):
                examined(proved_margins(ASKED, here))
    assert [name for name, _, _ in proofs(base, Domains(LatentDomain(1, 2), None))] == [""]


@pytest.mark.trust(22)
def test_malformed_evidence_of_any_kind_is_told() -> None:
    form = RivalForm(rival=0, supports=(), opposes=(), multipliers=())
    block = PairBlock(
        location=0, facts=(1,), shift=0, lower=Rows(prototypes=(), theta=()),
        upper=Rows(prototypes=(), theta=()),
    )  # fmt: skip
    implied = ImpliedBound(prototype=0, via=1, stretch=(1.0).hex())
    tree = CaseTree(rival=0, nodes=(Leaf(),))
    over = {"location": 0, "facts": (), "shift": 0, "lower": block.lower, "upper": block.upper}
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, ""), ({"forms": (form,)}, "not a rival"), ({"blocks": (block,)}, "does not state"),
        ({"implied": (implied,)}, "not stated"), ({"cases": (tree,)}, "not a rival"),
        ({"domain_blocks": (DomainBlock(**over),)}, "bounds nothing"),
        ({"cases": (CaseTree(rival=1, nodes=(Leaf(),)),)}, ""),
    ]  # fmt: skip
    for evidence, words in cases:
        core = core_of(HEAD, [[0.0, 0.0]], evidence=IntervalEvidence(**evidence))
        texts, _ = examined(multipliers(ASKED, known(core, ORIGIN)))
        assert bool(texts) is bool(words)
        assert all(words in text for text in texts)


@pytest.mark.trust(22)
@pytest.mark.parametrize(
    ("bias", "said"),
    [([1, 0], None), ([0, 0], "cannot be separated from"), ([0, 1], "loses to")],
)
def test_the_recorded_prediction_is_no_tie(bias: list[int], said: str | None) -> None:
    head = small_head(POINTS, linear([[1, 0], [0, 1]], bias))
    core = core_of(head, [[1.0, 0.0]])
    texts, found = examined(prediction(ASKED, known(core, latent_of(head, [1.0, 0.0]))))
    assert found.alike == ()
    wanted = [] if said is None else [f"at the recorded latent the predicted class {said} class 1"]
    assert texts == wanted


def tree(routing: Any = "distributed") -> Head:
    """A share of exp(-m) goes right, to the leaf of class 0."""
    decision = Decision("tree", 1, [[0, 5], [2, 0]], [0, 0], 0, (), (Node(0, -1, -2),),
                        routing=routing)  # fmt: skip
    chain = Chain([Step("mul", (Fraction(-1),)), Step("exp")])
    return small_head([[0, 0]], decision, chain=chain)


@pytest.mark.trust(22)
def test_other_readings_are_alike_where_they_predict_the_same() -> None:
    """5 s > 2 (1 - s) from s = 2/7 on; one leaf has more than half from s = 1/2 on."""
    head = tree()
    for z, top, here, everywhere in (
        (0.0, 0.5, 2, 2), (0.5, 0.5, 2, 2), (0.5, 1.0, 2, 0), (1.0, 1.0, 0, 0),
    ):  # fmt: skip
        latent = latent_of(head, [z, 0.0])
        core = core_of(head, [[z, 0.0]], (activation(0, 0.0, top),))
        _, readings = examined(prediction(ASKED, known(core, latent)))
        _, margins = examined(proved_margins(ASKED, known(core, latent)))
        alike = [claim for claim in margins.claims if isinstance(claim, Alike)]
        assert [len(readings.alike), len(alike)] == [here, everywhere]
        assert all(claim.everywhere for claim in alike)
        assert not any(claim.everywhere for claim in readings.alike)
        assert {claim.routing for claim in readings.alike} <= {"greedy", "sample-max"}
    greedy = tree("greedy")
    core = core_of(greedy, [[0.0, 0.0]], (activation(0, 0.0, 0.5),))
    _, readings = examined(prediction(ASKED, known(core, latent_of(greedy, [0.0, 0.0]))))
    assert {claim.routing for claim in readings.alike} == {"distributed", "sample-max"}


def move(location: int, direction: Sequence[float]) -> Move:
    return Move(location=location, keep=(), direction=encode(direction))


THERE = move(0, [2.0, 0.0])


@pytest.mark.trust(22)
def test_witnesses_are_of_facts_and_rivals_that_there_are() -> None:
    facts = (activation(0, 0.0, 0.0), activation(1, 0.0, 4.0))

    def found(*pairs: tuple[int, int]) -> tuple[list[str], tuple[Necessary, ...]]:
        given = tuple(Witness(fact=f, rival=k, moves=(THERE,)) for f, k in pairs)
        core = core_of(HEAD, [[0.0, 0.0]], facts, witnesses=given)
        texts, result = examined(witnesses(ASKED, known(core, ORIGIN)))
        return texts, result.necessary

    assert found() == ([], ())
    assert found((0, 1)) == ([], (Necessary(0, 1),))
    assert found((0, 2)) == ([], (Necessary(0, 2),))
    assert found((1, 1))[0] == ["witness 0 (fact 1): violates fact 0 too"]
    assert found((0, 1), (0, 2))[0] == ["witness 1: no such fact, or a second witness for it"]
    assert found((2, 1))[0] == ["witness 0: no such fact, or a second witness for it"]
    assert found((0, 0))[0] == ["witness 0: class 0 is not a rival"]
    assert found((0, 3))[0] == ["witness 0: class 3 is not a rival"]
    core = core_of(HEAD, [[0.0, 0.0]], facts, witnesses=(
        Witness(fact=0, rival=1, moves=(move(1, [2.0, 0.0]),)),
    ))  # fmt: skip
    texts, _ = examined(witnesses(ASKED, known(core, ORIGIN)))
    assert texts == ["witness 0 (fact 0): moves location 1: out of range, or twice"]
    two = tuple(
        Witness(fact=f, rival=1, moves=(move(0, way),))
        for f, way in ((1, [2.0, 2.0]), (0, [2.0, 0.0]))
    )
    core = core_of(HEAD, [[0.0, 0.0]], (facts[0],), witnesses=two[1:])
    texts, result = examined(witnesses(ASKED, known(core, ORIGIN)))
    assert (texts, result.necessary) == ([], (Necessary(0, 1),))


@pytest.mark.trust(22)
def test_a_size_is_at_most_that_of_the_stated_facts() -> None:
    cover = Cover(ceilings=None, nodes=(Packing(scale=1, weights=((0, 1),)),))
    nothing = Cover(ceilings=None, nodes=(Packing(scale=1, weights=()),))
    refutation = Refutation(rival=1, moves=(THERE,))
    for facts, covers, wanted, wrong in (
        ((activation(0, 0.0, 0.0),), (cover,), AtLeast(1), False), ((), (cover,), AtLeast(1), True),
        ((), (nothing,), None, False),
    ):  # fmt: skip
        bound = SizeBound(refutations=(refutation,), covers=covers)
        core = core_of(HEAD, [[0.0, 0.0]], facts, vocabulary="pairs", size_bound=bound)
        texts, result = examined(size(ASKED, known(core, ORIGIN)))
        assert bool(texts) is wrong
        assert result == wanted
    assert examined(size(ASKED, known(core_of(HEAD, [[0.0, 0.0]]), ORIGIN))) == ([], None)
    bad = SizeBound(refutations=(refutation,), covers=(
        Cover(ceilings=None, nodes=(Split(fact=0),)),
    ))  # fmt: skip
    core = core_of(HEAD, [[0.0, 0.0]], vocabulary="pairs", size_bound=bad)
    with pytest.raises(CertificateError):
        examined(size(ASKED, known(core, ORIGIN)))


@pytest.mark.trust(22)
def test_contrasts_are_established_one_by_one() -> None:
    given = (Refutation(rival=1, moves=(THERE,)), Refutation(rival=1, moves=(move(0, [4.0, 0.0]),)))
    core = core_of(HEAD, [[0.0, 0.0]], contrasts=given)
    texts, result = examined(contrast(ASKED, known(core, ORIGIN)))
    assert not texts
    assert result.contrasts == (Contrast(1, 2), Contrast(1, 1))
    _, none = examined(contrast(ASKED, known(core_of(HEAD, [[0.0, 0.0]]), ORIGIN)))
    assert none.contrasts == ()


@pytest.mark.trust(22)
def test_another_reading_is_alike_only_over_every_rival() -> None:
    """More than half reaches the right leaf, which is best for class 2; all say class 0."""
    weight = [[0, 5], [2, 0], [-20, 6]]
    decision = Decision("tree", 1, weight, [0, 0, 0], 0, (), (Node(0, -1, -2),))
    chain = Chain([Step("mul", (Fraction(-1),)), Step("exp")])
    head = small_head([[0, 0]], decision, chain=chain)
    latent = latent_of(head, [0.75, 0.0])
    core = core_of(head, [[0.75, 0.0]], (activation(0, 0.5, 0.5625),))
    _, readings = examined(prediction(ASKED, known(core, latent)))
    _, margins = examined(proved_margins(ASKED, known(core, latent)))
    assert readings.alike == ()
    assert margins.claims == (Sufficient(FreeDomain(), core.facts),)


@pytest.mark.trust(22)
def test_cases_prove_what_intervals_and_forms_do_not() -> None:
    """1 / (1 + z^2) + 1 / (1 + (1 - z)^2) over [0, 1]: each is at least 1/2, and both 13/10."""
    chain = Chain([Step("add", (Fraction(1),)), Step("reciprocal")])
    head = small_head([[0], [1]], linear([[5, 5], [0, 0]], [-6, 0]), chain=chain)
    latent = latent_of(head, [0.25])
    split = ChannelSplit(location=0, channel=0, at=(0.5).hex())
    where = read_domain(UNIT_BOX, 1, 1)
    for cases, good in (((CaseTree(rival=1, nodes=(split, Leaf(), Leaf())),), True), ((), False)):
        core = core_of(head, [[0.25]], evidence=IntervalEvidence(cases=cases))
        here = known(core, latent, stated=where)
        if good:
            texts, found = examined(proved_margins(ASKED, here))
            assert not texts
            assert abs(found.margins[0].lower - 0.5) < 1e-12
            assert examined(multipliers(ASKED, here)) == ([], None)
        else:
            with pytest.raises(IncompleteError):
                examined(proved_margins(ASKED, here))


@pytest.mark.trust(22)
def test_a_contradiction_needs_one_end_only() -> None:
    """A ceiling has no upper end, and of a prototype without weight nothing need be known."""
    head = small_head([*POINTS, [0, 2]], linear([[3, 0, 0], [0, 2, 0]], [99, 0]))
    latent = latent_of(head, [0.0, 0.0])
    facts = (activation(0, 0.0, 0.0), activation(1, 4.0, 4.0))
    for bound, wrong in ((4.0, False), (4.5, True)):
        ceiling = CeilingFact(bound=bound.hex(), exempt=(0, 1))
        core = core_of(head, [[0.0, 0.0]], (*facts, ceiling))
        texts, _ = examined(proved_margins(ASKED, known(core, latent)))
        assert bool(texts) is wrong
    # products have no lower end by themselves; that of 0 is 0
    head = small_head([[1, 0]], linear([[1], [0]], [9, 0]), geometry="linear")
    where = read_domain(BoxDomain(lower=(1.0).hex(), upper=None), 1, 2)
    for lower, wrong in ((1.0, False), (0.0, True)):
        at = latent_of(head, [lower, 0.0])
        core = core_of(head, [[lower, 0.0]])
        texts, _ = examined(proved_margins(ASKED, known(core, at, stated=where)))
        assert bool(texts) is wrong


@pytest.mark.trust(22)
def test_level_f_is_asked_for_where_it_is_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its complaints end the examination; a margin that rounding may undo is not proved."""
    module = "protoproof.kernel.float32.sufficiency"
    facts = (activation(0, 0.0, 1.0), activation(1, 2.0, 4.0))
    base = core_of(HEAD, [[0.0, 0.0]], facts)
    execution = Execution(form="direct")
    asked: list[str] = []
    wrong: list[str] = []

    def complaints(core: Core, _: object) -> list[str]:
        asked.append("execution")
        return wrong

    def required(*_: object) -> None:
        asked.append("margins")
        if short:
            raise IncompleteError("too short")

    monkeypatch.setattr(f"{module}.execution_complaints", complaints)
    monkeypatch.setattr(f"{module}.require_level_f", required)
    short = False

    def run(**changes: Any) -> tuple[list[str], Any]:
        asked.clear()
        here = known(base.model_copy(update=changes), ORIGIN)
        bound = BoundHead.__new__(BoundHead)
        return examined(proved_margins(ASKED, Established([*here._found, bound])))

    assert run()[1].claims == (Sufficient(FreeDomain(), facts),)
    assert asked == []
    run(execution=execution)
    assert asked == ["execution"]
    texts, found = run(level="F", execution=execution)
    assert asked == ["execution", "margins"]
    assert found.claims == tuple(Sufficient(FreeDomain(), facts, level) for level in ("R", "F"))  # type: ignore[arg-type]
    short = True
    with pytest.raises(IncompleteError, match="too short") as error:
        run(level="F")
    assert [m.lower for m in error.value.found.margins] == [1, 4]  # type: ignore[attr-defined]
    wrong.append("it is not computed like that")
    texts, found = run(level="F")
    assert texts == wrong
    assert found.margins == found.claims == ()
    assert asked == ["execution"]
