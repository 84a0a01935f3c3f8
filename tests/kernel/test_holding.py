"""Explanations that hold over a region: accepted ones, and forged ones that must be refused."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from protoproof.certificate.input_region import InputRegion
from protoproof.certificate.schema import ActivationFact, CeilingFact, Core, PairFact, SphereDomain
from protoproof.certification.invariance import Held, of_region
from protoproof.kernel import CheckReport
from protoproof.kernel.claims import words
from protoproof.region.sets.syntax import parse_region
from tests.support.certification import ADAPTER, certifier, examine, image

REGION = "linf:0.05"


@cache
def held(vocabulary: str) -> Core:
    """A widened explanation of the centre, said to hold over the region."""
    known = certifier()
    region = parse_region(REGION, image(), image().shape, (0.0, 1.0))
    if vocabulary == "mixed":
        seen = known.network.observe(image())
        instance = known.explainer.instance(seen)
        core = of_region(known.network, seen, instance, Held.over(known.network, region, instance))
        assert core is not None
        return core
    found = known.explainer.explain(image(), vocabulary=vocabulary, widen=True, witnesses=False)
    assert found.certificate is not None
    answer = known.certify(region, falsify=False, explanation=found.certificate.core)
    assert answer.method == "explanation, as stated", answer.stages
    return answer.certificates[0].core


def last(report: CheckReport) -> str:
    return next(o.detail for o in report.obligations if o.number == 13)


def around(core: Core, **changes: Any) -> InputRegion:
    assert core.holds is not None
    return ADAPTER.validate_python(core.holds.model_dump() | changes)


@pytest.mark.parametrize("vocabulary", ["pairs", "mixed"])
def test_facts_that_hold_over_a_region_make_it_robust(vocabulary: str) -> None:
    report = examine(held(vocabulary))
    assert report.accepted, report.failures
    assert {"sufficient", "robust", "robust-explanation"} <= set(words(report.claims))
    assert ("facts hold over", "linf:0.05 around the input, inside [0.0, 1.0]") in report.subject


def test_a_region_without_facts_that_hold_is_no_claim() -> None:
    core = held("pairs").model_copy(update={"holds": None})
    assert not {"robust", "robust-explanation"} & set(words(examine(core).claims))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"radius": "2/5"}, "fact 0 may fail"),
        ({"low": float(-3).hex(), "radius": "3"}, "may fail"),
        ({"high": (0.5).hex()}, "outside the input domain"),
    ],
)
def test_other_regions_are_rejected(changes: dict[str, str], text: str) -> None:
    core = held("pairs")
    report = examine(core.model_copy(update={"holds": around(core, **changes)}))
    assert report.status == "rejected"
    assert text in last(report)


def test_a_region_around_another_input_is_rejected() -> None:
    core = held("pairs")
    assert core.holds is not None
    other = "A" * (len(core.holds.centre) - 2) + core.holds.centre[-2:]
    report = examine(core.model_copy(update={"holds": around(core, centre=other)}))
    assert report.status == "rejected"
    assert "another input" in last(report)


def narrowed(fact: Any) -> Any:
    """A fact that is true at the recorded latent, and all but exact."""
    known = certifier()
    measurement = known.explainer.instance(known.network.observe(image())).measurement
    if isinstance(fact, CeilingFact):
        bound = min(
            value for j, value in enumerate(measurement.min(axis=0)) if j not in fact.exempt
        )
        return fact.model_copy(update={"bound": float(bound * (1 - 1e-9)).hex()})
    value = (
        measurement[fact.location, fact.prototype]
        if isinstance(fact, PairFact)
        else measurement[:, fact.prototype].min()
    )
    ends = {
        "lower": float(value * (1 - 1e-9)).hex(),
        "upper": float(value * (1 + 1e-9)).hex(),
    }
    return fact.model_copy(update=ends)


@pytest.mark.parametrize("kind", [PairFact, ActivationFact, CeilingFact])
def test_a_fact_that_is_too_narrow_is_rejected(kind: type) -> None:
    core = held("pairs" if kind is PairFact else "mixed")
    at = next(index for index, fact in enumerate(core.facts) if isinstance(fact, kind))
    facts = tuple(narrowed(f) if index == at else f for index, f in enumerate(core.facts))
    report = examine(core.model_copy(update={"facts": facts}))
    assert report.status == "rejected"
    assert last(report) == f"over the region: fact {at} may fail"


def test_facts_are_needed_and_the_domain_must_hold_the_region() -> None:
    core = held("pairs")
    report = examine(core.model_copy(update={"facts": (), "premises": "exact"}))
    assert not report.accepted
    sphere = core.model_copy(update={"domain": SphereDomain(slack=(2.0**-20).hex())})
    assert not examine(sphere).accepted
