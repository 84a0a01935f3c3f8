"""From certificate and check to page: copied, never judged."""

from __future__ import annotations

import pytest

from protoproof.certificate.reader import read_certificate
from protoproof.certificate.schema import Superfluous
from protoproof.kernel import check
from protoproof.report.page.build import explanation_page
from protoproof.report.page.html import render_explanation
from protoproof.report.page.page import PageCertificate, PageModel
from protoproof.report.page.text import nearest
from tests.support.kernel.builders import file
from tests.support.pages import gray, make_core, make_page, make_reading, make_scene, rejected


@pytest.mark.parametrize("vocabulary", ["topk", "ceiling", "pairs"])
def test_an_accepted_certificate(vocabulary: str) -> None:
    here = make_scene()
    core = make_core(here, vocabulary)
    report = check(file(core), here.data)
    page = make_page(vocabulary)
    assert (page.verdict, page.reason) == ("proved", "")
    assert page.vocabulary == vocabulary
    assert [fact.kind for fact in page.facts] == [fact.kind for fact in core.facts]
    assert [margin.proved for margin in page.margins] == [lower for _, lower in report.margins]
    assert all(m.proved is not None and 0 < m.proved <= m.observed for m in page.margins)
    assert page.predicted not in page.others
    assert len(page.others) == 2
    assert [text.lower() for text in page.assumptions] == [
        f"{text}.".lower() for text in report.assumptions
    ]


def test_a_rejected_certificate_proves_nothing() -> None:
    here, core, report = rejected()
    assert not report.accepted
    count = range(len(core.facts))
    spare = tuple(Superfluous(fact=index, evidence=core.evidence) for index in count)
    page = explanation_page(
        envelope=read_certificate(file(core.model_copy(update={"superfluous": spare}))),
        check=report,
        reading=make_reading(here),
        picture=gray(8, 8),
        input_name="x",
        model=PageModel("tiny", "ab" * 32, here.tiny.grid),
        certificate=PageCertificate("c.json", "cd" * 32, "protoproof check"),
        sizes=(),
        seconds=0.0,
    )
    assert page.verdict == "rejected"
    assert page.proved == ()
    assert page.not_proved[0].startswith(f"Necessity is open for {len(core.facts)} fact")
    html = render_explanation(page)
    assert "<h1>Rejected: this certificate proves nothing</h1>" in html
    assert '<section class="verdict bad">' in html
    assert "forces" not in html.partition("</style>")[2].partition("What this means")[0]
    assert all(margin.proved is None for margin in page.margins)


def test_facts_carry_place_picture_and_share() -> None:
    here, page = make_scene(), make_page("ceiling")
    reading = make_reading(here)
    for fact in page.facts:
        if fact.kind == "ceiling":
            assert fact.prototype is None
            assert fact.contribution is None
            continue
        assert fact.prototype is not None
        location = reading.best_location(fact.prototype)
        assert fact.location == reading.place(location)
        assert fact.box == reading.box(location, page.picture)
        assert fact.seen == f"similarity {nearest(reading.activation[fact.prototype])}"
        assert fact.activation == reading.activation[fact.prototype]
        assert fact.contribution == reading.contribution(fact.prototype)
        assert fact.patch is not None
        assert fact.origin == f"training image {fact.prototype}"


def test_a_pair_away_from_the_best_location_adds_nothing_that_can_be_named() -> None:
    here, page = make_scene(), make_page("pairs")
    reading = make_reading(here)
    for fact in page.facts:
        assert fact.prototype is not None
        best = reading.place(reading.best_location(fact.prototype))
        assert (fact.contribution is None) == (fact.location != best)
