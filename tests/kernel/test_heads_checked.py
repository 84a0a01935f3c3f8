"""Certificates of heads of every kind through all obligations; the head is not read from a graph.

What reads heads from graphs has its own tests; here the checker is given the head as if read.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from protoproof.certificate.schema import (
    ActivationFact,
    Core,
    Cover,
    FreeDomain,
    Packing,
    Refutation,
    SizeBound,
    SphereDomain,
    Witness,
)
from tests.support.kernel.algebra import (
    CLASSES,
    COUNT,
    NAMES,
    losing,
    made,
    tight_activation,
)
from tests.support.kernel.given import honest, report_of


@pytest.mark.parametrize("name", NAMES)
def test_an_honest_certificate_is_accepted_and_says_what_it_is_about(name: str) -> None:
    here = made(name, 0)
    report = report_of(here, honest(here))
    assert report.accepted, [o for o in report.obligations if not o.passed]
    about = dict(report.subject)
    words = {"euclidean": "Euclidean", "diagonal": "weight per channel", "linear": "dot product",
             "angular": "cosine"}  # fmt: skip
    assert words[here.kind.geometry] in about["geometry"]
    assert ("distributed" in about["decision"]) == (here.kind.decision == "tree")
    assert ("label 0" in about["predicted"]) == (here.kind.decision == "labels")
    assert "declared" not in str(report.to_json())


def without(core: Core, index: int) -> Core:
    facts = tuple(fact for k, fact in enumerate(core.facts) if k != index)
    return core.model_copy(update={"facts": facts})


@pytest.mark.parametrize("name", NAMES)
def test_without_facts_nothing_is_proved(name: str) -> None:
    """Only heads whose every latent is predicted alike need no fact; none of these is one."""
    here = made(name, 0)
    report = report_of(here, here.core(()))
    assert report.status == "incomplete"
    assert report.obligations[7].passed is None


def one_step(core: Core) -> Core:
    fact = core.facts[0]
    assert isinstance(fact, ActivationFact)
    low = math.nextafter(float.fromhex(fact.upper), math.inf)
    moved = fact.model_copy(update={"lower": low.hex(), "upper": (low + 1.0).hex()})
    return core.model_copy(update={"facts": (moved, *core.facts[1:])})


def model(**changes: Any) -> Callable[[Core], Core]:
    return lambda core: core.model_copy(update={"model": core.model.model_copy(update=changes)})


def instance(core: Core, **changes: Any) -> Core:
    return core.model_copy(update={"instance": core.instance.model_copy(update=changes)})


def other_decision(core: Core) -> Core:
    kinds = ("linear", "labels", "tree", "best")
    return model(decision=kinds[kinds.index(core.model.decision) - 1])(core)


def other_geometry(core: Core) -> Core:
    kinds = ("euclidean", "diagonal", "linear", "angular")
    return model(geometry=kinds[kinds.index(core.model.geometry) - 1])(core)


def other_prediction(core: Core) -> Core:
    if core.model.decision == "labels":
        on = set(core.instance.labels)
        return instance(core, labels=tuple(k for k in range(CLASSES) if k not in on))
    predicted = core.rivals[0]
    rivals = tuple(k for k in range(CLASSES) if k != predicted)
    return instance(core, predicted=predicted).model_copy(update={"rivals": rivals})


def other_rivals(core: Core) -> Core:
    """One is left out; of labels any may be explained, but in order."""
    rivals = core.rivals[::-1] if core.model.decision == "labels" else core.rivals[:-1]
    return core.model_copy(update={"rivals": rivals})


def other_domain(core: Core) -> Core:
    sphere = SphereDomain(slack=(2.0**-16).hex())
    return core.model_copy(update={"domain": FreeDomain() if core.domain == sphere else sphere})


FORGERIES: dict[str, tuple[Callable[[Core], Core], int]] = {
    "a fact one step off": (one_step, 6),
    "another decision": (other_decision, 3),
    "another geometry": (other_geometry, 3),
    "another pooling": (model(pooling=("focal", "sum")), 3),
    "another prediction": (other_prediction, 9),
    "other rivals": (other_rivals, 4),
    "labels that are none": (lambda c: instance(c, labels=(1, 1)), 4),
    "more latents": (lambda c: instance(c, locations=c.instance.locations + 1), 4),
    "another vocabulary": (lambda c: c.model_copy(update={"vocabulary": "pairs"}), 6),
}


@pytest.mark.parametrize("forgery", FORGERIES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.trust(15)
def test_forgeries_are_rejected_by_the_obligation_they_break(name: str, forgery: str) -> None:
    here = made(name, 1)
    change, number = FORGERIES[forgery]
    report = report_of(here, change(honest(here)))
    assert report.status == "rejected"
    assert number in [o.number for o in report.obligations if o.passed is False]


@pytest.mark.parametrize("name", NAMES)
def test_a_domain_that_the_graph_does_not_guarantee_is_rejected(name: str) -> None:
    here = made(name, 0)
    if here.kind.domain == "sphere":
        here_is = here.core(()).model_copy(update={"domain": FreeDomain()})
        assert report_of(here, here_is).obligations[4].passed
        return
    report = report_of(here, other_domain(honest(here)))
    assert 5 in [o.number for o in report.obligations if o.passed is False]


def test_one_label_may_be_explained_alone() -> None:
    here = made("labels by distance", 0)
    for label in range(CLASSES):
        core = instance(honest(here), predicted=label).model_copy(update={"rivals": (label,)})
        assert report_of(here, core).accepted
        wrong = instance(core, predicted=(label + 1) % CLASSES)
        assert report_of(here, wrong).status == "rejected"


def test_paths_are_for_trees() -> None:
    for name, good in (("a tree of distances", True), ("distances", False)):
        here = made(name, 0)
        facts = tuple(tight_activation(here.exact, j) for j in range(COUNT - 1))
        core = here.core(facts).model_copy(update={"vocabulary": "path", "premises": "exact"})
        report = report_of(here, core)
        assert (report.obligations[5].passed is True) == good
        if good:  # the prototype that no node has is not needed
            assert report.accepted


@pytest.mark.parametrize("name", NAMES)
def test_witnesses_contrasts_and_sizes_count_for_every_head(name: str) -> None:
    """A latent that loses violates some facts: it shows that one of them is needed."""
    here, rng = made(name, 0), np.random.default_rng(5)
    core = honest(here)
    for rival, moves in itertools.islice(losing(here, rng), 5):
        refutation = Refutation(rival=rival, moves=moves)
        cover = Cover(ceilings=None, nodes=(Packing(scale=1, weights=((0, 1),)),))
        bound = SizeBound(refutations=(refutation,), covers=(cover,))
        report = report_of(here, core.model_copy(update={"size_bound": bound}))
        assert report.accepted, report.failures
        assert report.lower_bound == 1
        witness = Witness(fact=0, rival=rival, moves=moves)
        told = report_of(here, core.model_copy(update={"witnesses": (witness,)}))
        # it violates more facts than one, as a rule: then it is no witness, and is refused as one
        assert told.status in ("accepted", "rejected")
        if told.status == "rejected":
            assert any("violates" in o.detail for o in told.failures)
            continue
        assert told.necessary == (0,)
    labels = here.kind.decision == "labels"
    for rival, moves in itertools.islice(losing(here, rng), 5):
        contrast = Refutation(rival=rival, moves=moves)
        told = report_of(here, core.model_copy(update={"contrasts": (contrast,)}))
        if labels or CLASSES == 2:
            assert told.accepted, told.failures
        assert told.accepted or "certainly predicted" in told.failures[0].detail


def test_a_latent_that_loses_by_less_than_rounding_took_is_no_witness() -> None:
    """Rounded numbers of leaves may have taken from either score."""
    here, rng = made("a tree of distances", 0), np.random.default_rng(5)
    core, found = honest(here), False
    for rival, moves in itertools.islice(losing(here, rng), 20):
        told = core.model_copy(
            update={
                "witnesses": (Witness(fact=0, rival=rival, moves=moves),),
                "facts": core.facts[:1],
            }
        )
        if report_of(here, told).obligations[9].passed is not True:
            continue
        found = True
        head, decision = here.head, here.head.decision
        head.decision = replace(decision, slack=1 << (decision.shift + 8))
        report = report_of(here, told)
        head.decision = decision
        assert report.obligations[9].passed is False
        assert "certainly lose" in report.obligations[9].detail
    assert found
