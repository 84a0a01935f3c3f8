"""Regions in parts: trees that are accepted, and everything about a tree that must be refused."""

from __future__ import annotations

import base64
from functools import cache
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from protoproof.certificate.partition import InputCut, LightCut, Part, PartNode
from protoproof.certificate.schema import (
    Core,
    IntervalEvidence,
    LinearBound,
    PairFact,
    PlaceMultipliers,
    ReachDomain,
    RivalForm,
    Tangent,
)
from protoproof.certification.certify import Certifier
from protoproof.kernel.budget import MAX_STEPS, Budget, OutOfBudgetError, current
from protoproof.kernel.claims import words
from protoproof.kernel.encoder import partition as parts_module
from protoproof.kernel.encoder.interval import IntervalPropagation
from protoproof.kernel.model.chain import Chain, Step
from protoproof.region.sets.syntax import parse_region
from tests.support.certification import certifier, examine, image

LIGHT, FREED = "brightness:0.2,0.2", "occlude:12,12,2,2"


@cache
def cut(text: str) -> Core:
    """A certificate in parts, of a region that intervals may or may not prove as a whole."""
    region = parse_region(text, image(), image().shape, (0.0, 1.0))
    known: Certifier = certifier()
    found = known.certify(region, falsify=False, method="branch")
    core = found.certificates[0].core
    if core.parts:
        return core
    # proved as a whole: so are the halves
    return core.model_copy(
        update={"parts": (InputCut(number=12 * 28 + 12, at=(0.5).hex()), Part(), Part())}
    )


def changed(core: Core, nodes: tuple[PartNode, ...], **changes: Any) -> Core:
    return core.model_copy(update={"parts": nodes, **changes})


@pytest.mark.parametrize("text", [LIGHT, FREED])
def test_parts_prove_a_region_without_assumptions(text: str) -> None:
    core = cut(text)
    report = examine(core)
    assert report.accepted, report.failures
    assert words(report.claims) == ("robust",)  # not sufficient: proved over the parts' boxes alone
    assert [a for a in report.assumptions if "level R" not in a and "presented" not in a] == []


def with_first(**changes: Any) -> Core:
    core = cut(LIGHT)
    return changed(core, (core.parts[0].model_copy(update=changes), *core.parts[1:]))


def nodes(*more: PartNode) -> Core:
    core = cut(FREED)
    return changed(core, more, part_evidence=())


HALF = (0.5).hex()
FREE = 12 * 28 + 12  # an input number that may be anything in [0, 1]


def chain(depth: int) -> Core:
    """Cuts of one number, each halving the first half of the one before."""
    cuts = [InputCut(number=FREE, at=(0.5 ** (k + 1)).hex()) for k in range(depth)]
    return nodes(*cuts, *[Part()] * (depth + 1))


def bomb(levels: int) -> Core:
    """A complete binary tree over several input numbers, in preorder."""

    def tree(level: int) -> list[PartNode]:
        if level == levels:
            return [Part()]
        number = 12 * 28 + 12 + 28 * (level % 2) + (level // 2) % 2
        below = tree(level + 1)
        return [InputCut(number=number, at=HALF), *below, *below]

    return nodes(*tree(0))


WRONG = {
    "missing child": (lambda: nodes(InputCut(number=FREE, at=HALF), Part()), "1 parts are"),
    "a cut and nothing else": (lambda: nodes(InputCut(number=FREE, at=HALF)), "2 parts are"),
    "a child too many": (lambda: nodes(Part(), Part()), "nodes after the end"),
    "a threshold at the end of the box": (
        lambda: nodes(InputCut(number=FREE, at=(1.0).hex()), Part(), Part()),
        "not inside the range",
    ),
    "a threshold outside the box": (
        lambda: nodes(InputCut(number=FREE, at=(-0.5).hex()), Part(), Part()),
        "not inside the range",
    ),
    "a threshold outside the half": (
        lambda: nodes(
            InputCut(number=FREE, at=HALF), InputCut(number=FREE, at=(0.75).hex()), *[Part()] * 3
        ),
        "not inside the range",
    ),
    "a pixel that is fixed": (
        lambda: nodes(InputCut(number=0, at=HALF), Part(), Part()),
        "not inside the range",
    ),
    "a pixel that does not exist": (
        lambda: nodes(InputCut(number=28 * 28, at=HALF), Part(), Part()),
        "does not have",
    ),
    "a threshold beyond float64": (
        lambda: nodes(InputCut(number=FREE, at="0x1.0p+9999"), Part(), Part()),
        "not a float64",
    ),
    "a parameter that the region does not have": (
        lambda: nodes(LightCut(parameter="contrast", at="1/8"), Part(), Part()),
        "range of its parameter",
    ),
    "an input number of a family": (
        lambda: changed(cut(LIGHT), (InputCut(number=FREE, at=HALF), Part(), Part()),
                        part_evidence=()),
        "does not have",
    ),
    "a parameter outside its range": (lambda: with_first(at="2/3"), "range of its parameter"),
    "the largest parameter": (lambda: with_first(at="1/5"), "range of its parameter"),
    "too deep": (lambda: chain(parts_module.MAX_DEPTH + 1), "cuts above one part"),
    "evidence that does not exist": (
        lambda: nodes(InputCut(number=FREE, at=HALF), Part(), Part(evidence=0)),
        "every evidence once",
    ),
    "evidence that nobody uses": (
        lambda: changed(cut(FREED), cut(FREED).parts, part_evidence=(
            *cut(FREED).part_evidence, cut(FREED).evidence)),
        "every evidence once",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_trees_are_rejected(name: str) -> None:
    make, text = WRONG[name]
    report = examine(make())
    assert report.status == "rejected"
    assert not words(report.claims)
    assert text in next(o.detail for o in report.obligations if o.number == 5)


@pytest.mark.parametrize("at", ["nan", "inf", "0.5", "1e50000000", "-1/0", "1/2/3", ""])
def test_thresholds_that_are_no_numbers_are_not_read(at: str) -> None:
    for node in (InputCut(number=FREE, at=HALF), LightCut(parameter="contrast", at="1/8")):
        report = examine(nodes(node.model_copy(update={"at": at}), Part(), Part()))
        assert report.status == "rejected"
        assert next(o.number for o in report.failures if o.passed is False) == 1


def test_a_deep_tree_within_the_limit_is_walked() -> None:
    assert examine(chain(12)).accepted


def test_more_parts_than_can_be_examined_are_undecided_before_any_is_walked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object) -> Any:
        raise AssertionError

    monkeypatch.setattr(parts_module, "latent_range", never)
    report = examine(bomb(17))
    assert report.status == "incomplete"
    assert "over 131072 parts" in next(o.detail for o in report.obligations if o.number == 5)


def test_one_unproved_part_leaves_the_claim_open() -> None:
    """The whole as one part is what intervals could not prove."""
    core = cut(LIGHT)
    assert len(core.parts) > 1
    report = examine(changed(core, (Part(),), part_evidence=()))
    assert report.status == "incomplete"
    assert "margins are not proved" in next(o.detail for o in report.obligations if o.number == 8)


def test_the_work_of_all_walks_is_limited_after_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    core = cut(LIGHT)
    left: list[int] = []  # after each walk
    real = parts_module.latent_range

    def counted(walk: IntervalPropagation, tensor: str) -> Any:
        found = real(walk, tensor)
        left.append(MAX_STEPS - current().steps)
        return found

    monkeypatch.setattr(parts_module, "latent_range", counted)
    examine(core)
    assert len(left) == sum(isinstance(node, Part) for node in core.parts) > 2
    # enough for two walks, not for all
    limit = MAX_STEPS - left[1]
    limited = import_module("protoproof.kernel.check")
    monkeypatch.setattr(limited, "Budget", lambda: Budget(max_steps=limit))
    monkeypatch.setattr(parts_module, "part_cost", lambda _: 0)
    left.clear()
    report = examine(core)
    assert report.status == "incomplete"
    assert "times more asks for" in next(o.detail for o in report.obligations if o.number == 5)
    assert len(left) == 1


def test_parts_prove_claims_without_facts_over_walked_regions_only() -> None:
    core = cut(FREED)
    fact = PairFact(location=0, prototype=0, lower=(0.0).hex(), upper=(64.0).hex())
    zero = base64.b64encode(np.zeros(64).astype("<f8").tobytes()).decode()
    domain = core.domain
    assert isinstance(domain, ReachDomain)
    bounded = domain.model_copy(
        update={"bounds": (LinearBound(coefficients=zero, bound=(0.0).hex()),)}
    )
    for changes in (
        {"facts": (fact,), "premises": "interval"},
        {"domain": domain.model_copy(update={"region": None})},
        {"domain": bounded},
        {"holds": domain.region},
    ):
        report = examine(core.model_copy(update=changes))
        assert report.status == "rejected"
        assert "parts: " in next(o.detail for o in report.obligations if o.number == 5)


def tangent_form(rival: int) -> IntervalEvidence:
    """One supporting prototype by a tangent, over the box of latents: true, and seldom needed."""
    head, predicted = certifier().network.head, cut(FREED).instance.predicted
    supporting = int(np.argmax(head.weight[predicted] - head.weight[1 - predicted % 2]))
    form = RivalForm(
        rival=rival,
        supports=(Tangent(prototype=supporting, location=0, at=(1.0).hex()),),
        opposes=(),
        multipliers=(PlaceMultipliers(location=0, facts=(), shift=0, mu=(), domain=True),),
    )
    return IntervalEvidence(forms=(form,))


def one_part(evidence: IntervalEvidence) -> Core:
    return changed(cut(FREED), (Part(evidence=0),), part_evidence=(evidence,))


def test_the_evidence_of_a_part_is_examined() -> None:
    predicted = cut(FREED).instance.predicted
    good, bad = tangent_form(1 - predicted % 2), tangent_form(predicted)
    assert words(examine(one_part(good)).claims) == ("robust",)
    report = examine(one_part(bad))
    assert report.status == "rejected"
    assert "part 0: form" in next(o.detail for o in report.obligations if o.number == 7)


def test_evidence_beside_the_parts_is_refused() -> None:
    used = tangent_form(1 - cut(FREED).instance.predicted % 2)
    report = examine(cut(FREED).model_copy(update={"evidence": used}))
    assert report.status == "rejected"
    assert "belongs to no part" in report.failures[0].detail


def test_parts_times_classes_are_limited() -> None:
    """Every part proves every margin: weights count, however small the latent is."""
    core = nodes(InputCut(number=FREE, at=HALF), Part(), Part())
    chain = Chain([Step("exp")])
    small = SimpleNamespace(location_count=1, channels=1, prototype_count=2000, chain=chain)
    few, many = (SimpleNamespace(**vars(small), class_count=k) for k in (10, 1 << 20))
    assert list(parts_module.part_complaints(core, few)) == []  # type: ignore[arg-type]
    with pytest.raises(OutOfBudgetError, match="the margins over 2 parts"):
        list(parts_module.part_complaints(core, many))  # type: ignore[arg-type]
