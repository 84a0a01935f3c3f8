"""Facts, domains and claims in plain words."""

from __future__ import annotations

import numpy as np
import pytest

from protoproof.certificate.schema import (
    ActivationFact,
    BoxDomain,
    CeilingFact,
    PairFact,
    Superfluous,
)
from protoproof.explanation import quantities
from protoproof.kernel.claims import Necessary, SubsetMinimal, Sufficient
from protoproof.kernel.obligations import RULES
from protoproof.network.head.head import Head
from protoproof.prover.proof import ends as inflate
from protoproof.report.page.facts import brief_words, fact_words
from protoproof.report.page.reading import Reading
from protoproof.report.page.stated import claimed_words
from protoproof.report.page.words import OBLIGATIONS, claims_words, domain_words, limits_words
from tests.support.heads import prototype_head, similarity
from tests.support.pages import make_core, make_reading, make_scene

# q of location l and prototype j; the similarity is 1 / (q + 1)
MEASUREMENT = np.array([[4.0, 1.0], [0.25, 3.0], [9.0, 9.0], [9.0, 9.0]])


def reading(**changes: object) -> Reading:
    fields: dict[str, object] = {
        "classes": ("cat", "dog"),
        "head": head(),
        "measurement": MEASUREMENT,
        "predicted": 0,
    }
    return Reading(**{**fields, **changes})  # type: ignore[arg-type]


def head(
    prototypes: int = 2,
    grid: tuple[int, int] = (2, 2),
    bias: tuple[float, float] = (0.0, 0.0),
    owners: tuple[int, ...] | None = (0, 1),
) -> Head:
    weight = np.tile([[1.0, -0.5], [-0.5, 1.0]], 2)[:, :prototypes]
    points = np.arange(2.0 * prototypes).reshape(prototypes, 2)
    return prototype_head(points, similarity("reciprocal"), weight, np.array(bias), owners, grid)


def test_activation() -> None:
    fact = ActivationFact(prototype=0, lower=(0.25).hex(), upper=(0.25).hex())
    assert fact_words(fact, reading()) == (
        "Prototype 0 (a “cat”) is seen with similarity 0.800 (squared distance 0.250), "
        "here at row 0, column 1."
    )


def test_activation_of_a_single_location_has_no_place() -> None:
    fact = ActivationFact(prototype=1, lower=(1.0).hex(), upper=(1.0).hex())
    alone = reading(measurement=MEASUREMENT[:1], head=head(grid=(1, 1), owners=None))
    assert fact_words(fact, alone) == (
        "Prototype 1 is seen with similarity 0.500 (squared distance 1.00)."
    )


def test_pair() -> None:
    fact = PairFact(location=1, prototype=1, lower=(3.0).hex(), upper=(3.0).hex())
    assert fact_words(fact, reading()) == (
        "The location at row 0, column 1 keeps its distance to prototype 1 (a “dog”): "
        "similarity 0.250 (squared distance 3.00)."
    )
    assert brief_words(fact, reading()) == (
        "Prototype 1 (a “dog”): similarity 0.250 (squared distance 3.00)."
    )


def test_a_pair_of_a_single_location_has_no_place() -> None:
    fact = PairFact(location=0, prototype=0, lower=(4.0).hex(), upper=(4.0).hex())
    alone = reading(measurement=MEASUREMENT[:1], head=head(grid=(1, 1)))
    assert fact_words(fact, alone).startswith("The latent keeps its distance to prototype 0 (a")


def test_an_interval_reads_as_a_range_rounded_outwards() -> None:
    fact = PairFact(location=1, prototype=1, lower=(2.9999).hex(), upper=(3.0001).hex())
    assert fact_words(fact, reading()).endswith(
        "similarity between 0.249 and 0.251 (squared distance 2.99 to 3.01)."
    )


@pytest.mark.parametrize(
    ("exempt", "prototypes", "words"),
    [
        ((), 2, "No prototype exceeds similarity 0.501 anywhere."),
        (
            (0,),
            2,
            (
                "No prototype but 1 exempt one (0) exceeds similarity 0.501 anywhere: "
                "1 prototype is under this ceiling."
            ),
        ),
        (
            (0,),
            4,
            (
                "No prototype but 1 exempt one (0) exceeds similarity 0.501 anywhere: "
                "3 prototypes are under this ceiling."
            ),
        ),
    ],
)
def test_ceiling_is_rounded_up(exempt: tuple[int, ...], prototypes: int, words: str) -> None:
    fact = CeilingFact(bound=(0.9999).hex(), exempt=exempt)
    wide = np.repeat(MEASUREMENT, 2, axis=1)[:, :prototypes]
    view = reading(measurement=wide, head=head(prototypes, owners=None))
    assert fact_words(fact, view) == words


def test_domain() -> None:
    core = make_core(make_scene(), "ceiling")
    assert domain_words(core) == (
        "Every latent there is: any real numbers whatever at 4 locations with 4 channels each."
    )
    half = core.model_copy(update={"domain": BoxDomain(lower=(0.0).hex(), upper=None)})
    assert domain_words(half).startswith("Every latent with values of at least 0 at")
    box = core.model_copy(update={"domain": BoxDomain(lower=(0.0).hex(), upper=(1.0).hex())})
    assert domain_words(box).startswith("Every latent with values from 0 to 1 at")


def test_claims_are_the_checkers_and_no_others() -> None:
    core = make_core(make_scene(), "ceiling")
    assert claims_words(core, (), "cat") == ()
    proved, needed = Sufficient(core.domain, core.facts), Necessary(0, 1)
    (sufficient,) = claims_words(core, (proved,), "cat")
    assert "is classified “cat”; 2 rivals ruled out" in sufficient
    _, necessary = claims_words(core, (proved, needed), "cat")
    assert necessary.startswith("Necessary: for 1 of the facts")
    _, minimal = claims_words(core, (proved, needed, SubsetMinimal(core.facts)), "cat")
    assert minimal.startswith("Subset-minimal")


def test_limits_say_what_is_open() -> None:
    core = make_core(make_scene(), "ceiling")
    facts = len(core.facts)
    text = " ".join(limits_words(core, 2, 0, 3))
    assert f"Necessity is open for {facts - 2} facts" in text
    assert "may exist. It has at least 3 facts." in text
    assert "cannot leave out single ones" not in text
    listed = make_core(make_scene(), "topk")
    assert "cannot leave out single ones" in " ".join(limits_words(listed, 0, 0, None))
    spare = (
        Superfluous(fact=0, evidence=core.evidence),
        Superfluous(fact=2, evidence=core.evidence),
    )
    fewer = core.model_copy(update={"superfluous": spare})
    text = " ".join(limits_words(fewer, 1, 2, None))
    assert f"Necessity is open for {facts - 3} fact" in text
    unproved = " ".join(limits_words(fewer, 1, 0, None))
    assert f"Necessity is open for {facts - 1} facts" in unproved
    (said,) = [words for words in claimed_words(fewer, "cat") if words.startswith("Superfluous")]
    assert "each of the facts 1, 3 alone" in said
    closed = " ".join(limits_words(core, facts, 0, facts))
    assert "Necessity" not in closed
    assert "may exist" not in closed


def test_every_obligation_has_words() -> None:
    assert {rule.name for rule in RULES} == set(OBLIGATIONS)


def test_names_are_inert_in_sentences() -> None:
    fact = ActivationFact(prototype=0, lower=(0.25).hex(), upper=(0.25).hex())
    words = fact_words(fact, reading(classes=("c\u202eat", "dog")))
    assert "c[U+202E]at" in words


def test_reading_of_margins_and_places() -> None:
    view = reading(head=head(bias=(0.25, 0.0)))
    activation = [1 / 1.25, 1 / 2]
    assert np.allclose(view.activation, activation)
    assert view.closest_rival == 1
    assert np.isclose(view.margins[1], 1.5 * activation[0] - 1.5 * activation[1] + 0.25)
    assert view.contribution(1) == pytest.approx(-1.5 * activation[1])
    assert [view.place(location) for location in range(4)] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert view.box(0, np.zeros((8, 8), np.uint8)) is None


def test_receptive_fields_are_clipped_to_the_image() -> None:
    view = make_reading(make_scene())
    picture = np.zeros((8, 8), np.uint8)
    assert view.box(0, picture) == (0, 0, 4, 4)
    assert view.box(3, picture) == (3, 3, 8, 8)


def test_unbounded_means_what_inflation_writes() -> None:
    """Two rooms that must not import each other agree on the number."""
    assert quantities.UNBOUNDED == inflate.UNBOUNDED
