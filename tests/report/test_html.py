"""The page: self-contained, inert, accessible."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from protoproof.errors import InternalError, MissingDependencyError
from protoproof.report.page.html import render_explanation
from protoproof.report.page.page import ExplanationPage, PageMade, PageMargin, PageTruth
from protoproof.report.page.view import LISTED, RIVALS
from tests.support.pages import NAMES, bare_fact, gray, make_page

VOID = {"meta", "img", "br", "link", "input", "image", "rect", "circle", "path"}
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></title>{{ 7 * 7 }}\u202e\u2066\x1b[31m\x00",
)


class Page(HTMLParser):
    """All elements with their attributes, and the text outside of style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.style = ""
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text += data

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]


def pages() -> dict[str, ExplanationPage]:
    page = make_page("ceiling")
    unproved = replace(
        page, verdict="unknown", reason="tie", check=None, certificate=None, proved=(), facts=()
    )
    color = np.stack([gray(9, 7)] * 3, axis=2)
    return {
        "topk": make_page("topk"),
        "ceiling": page,
        "pairs": make_page("pairs"),
        "hostile": make_page("pairs", HOSTILE, input_name=HOSTILE[1], title=HOSTILE[2]),
        "unproved": unproved,
        "colour": replace(page, picture=color),
        "two classes": replace(page, others=NAMES[:1], margins=page.margins[:1]),
        "many rivals": replace(page, margins=page.margins * RIVALS),
        "wrong": replace(page, truth=PageTruth(HOSTILE[1], False)),
    }


@pytest.fixture(scope="module", params=list(pages()))
def rendered(request: pytest.FixtureRequest) -> str:
    return render_explanation(pages()[request.param])


@pytest.mark.trust(31)
def test_nothing_runs_and_nothing_is_loaded(rendered: str) -> None:
    page = Page(rendered)
    forbidden = (
        "script",
        "iframe",
        "object",
        "embed",
        "link",
        "form",
        "a",
        "base",
        "foreignobject",
    )
    assert not page.all(*forbidden)
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name != "style", (tag, "blocked by the policy")
            if name in ("src", "href"):
                assert value is not None
                assert value.startswith("data:image/png;base64,")
    assert not re.search(r"https?:|url\(|@import|javascript:", rendered)


def test_the_policy_admits_its_own_style_sheet_only(rendered: str) -> None:
    page = Page(rendered)
    (policy,) = [
        attributes["content"] or ""
        for attributes in page.all("meta")
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    # a policy in the document binds what follows it
    assert rendered.index("Content-Security-Policy") < rendered.index("<style>")


def test_every_picture_has_words(rendered: str) -> None:
    page = Page(rendered)
    assert all(attributes.get("alt") for attributes in page.all("img"))
    for attributes in page.all("svg"):
        if attributes.get("aria-hidden") != "true":
            assert attributes.get("role") == "img"
            assert attributes.get("aria-label")


def test_headings_are_in_order(rendered: str) -> None:
    levels = [int(tag[1]) for tag, _ in Page(rendered).elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_tables_have_captions_and_scopes(rendered: str) -> None:
    page = Page(rendered)
    assert len(page.all("caption")) == len(page.all("table")) > 0
    assert all(attributes.get("scope") in ("col", "row") for attributes in page.all("th"))


def test_language_and_viewport(rendered: str) -> None:
    page = Page(rendered)
    assert page.all("html") == [{"lang": "en"}]
    assert any(attributes.get("name") == "viewport" for attributes in page.all("meta"))
    assert "prefers-color-scheme: dark" in page.style
    assert "@media print" in page.style


@pytest.mark.trust(31)
def test_hiding_characters_never_reach_the_page(rendered: str) -> None:
    assert not re.search(
        r"[\x00-\x09\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2069]", rendered
    )


@pytest.mark.trust(31)
def test_markup_in_names_is_text() -> None:
    text = Page(render_explanation(pages()["hostile"])).text
    assert "[U+202E][U+2066][U+001B][31m[U+0000]" in text
    assert "{{ 7 * 7 }}" in text
    assert '"><img src=x onerror=alert(1)>' in text


@pytest.mark.parametrize("vocabulary", ["topk", "ceiling", "pairs"])
def test_every_fact_is_written_out(vocabulary: str) -> None:
    page = make_page(vocabulary)
    text = Page(render_explanation(page)).text
    for fact in page.facts:
        assert (fact.brief or fact.sentence) in text
    for part in (*page.proved, *page.assumptions, *page.not_proved, page.domain, page.level):
        assert part in text
    assert page.certificate is not None
    assert page.certificate.recheck in text
    assert page.model.sha256 in text


def test_a_proof_is_only_shown_when_the_checker_accepted() -> None:
    good = make_page("ceiling")
    assert good.check is not None
    stamp = "accepted by the independent checker"
    assert stamp in render_explanation(good)
    refused = replace(good.check, accepted=False, status="rejected")
    for page in (
        replace(good, check=refused),
        replace(good, check=None),
        replace(good, verdict="unknown", reason="timeout"),
    ):
        html = render_explanation(page)
        assert stamp not in html
        assert "Nothing on this page counts as proved" in html


def test_proved_and_right_are_two_signals() -> None:
    """A wrong prediction never stands under a green pill alone, and a right one is only called so
    where a label says it."""
    page = make_page("ceiling")
    proved = "Explanation proved"
    for truth, said, other in (
        (PageTruth(), "Right or wrong is not said", "Prediction "),
        (
            PageTruth(page.predicted, True),
            f"Prediction right: labelled “{page.predicted}”",
            "wrong",
        ),
        (PageTruth("gull", False), "Prediction wrong: labelled “gull”", "Prediction right"),
    ):
        text = Page(render_explanation(replace(page, truth=truth))).text
        assert proved in text
        assert said in text
        assert other not in text.partition("This looks like")[0].partition("What it is")[0]
    wrong = render_explanation(replace(page, truth=PageTruth("gull", False)))
    assert f"the wrong class: “{page.predicted}”" in wrong
    assert 'class="stamp is-bad"' in wrong


def test_date_command_and_files_stand_in_every_page() -> None:
    page = make_page("topk", made=PageMade("30 November 2026, 14:20 UTC", "protoproof explain x"))
    text = Page(render_explanation(page)).text
    for word in (*vars(page.made).values(), page.input_name, "tiny.cert.json", page.model.name):
        assert word in text


def test_no_time_is_told_that_nobody_measured() -> None:
    assert "Time to explain" in render_explanation(make_page("topk"))
    assert "Time to explain" not in render_explanation(make_page("topk", seconds=None))
    assert "Time to explain" not in render_explanation(make_page("topk", seconds=0.0))


def test_weak_matches_are_called_so() -> None:
    page = make_page("topk")
    for word in ("closest, though weak", "closest match"):
        other = tuple(replace(fact, likeness=word) for fact in page.facts)
        html = render_explanation(replace(page, facts=other))
        assert "What it is closest to" in html
        assert "This looks like that" not in html
        assert ">looks like</span>" not in html
        assert f">{word}</span>" in html


def test_a_long_explanation_stays_small() -> None:
    facts = tuple(bare_fact(number) for number in range(3 * LISTED))
    html = render_explanation(make_page("pairs", facts=facts))
    assert f"Fact {LISTED - 1}." in html
    assert f"Fact {LISTED}." not in html
    assert f"{2 * LISTED:,} further facts in the certificate" in html
    assert len(html) < 250_000


def test_a_large_noisy_photograph_stays_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1600, 1200, 3), dtype=np.uint8)
    html = render_explanation(make_page("topk", picture=noise))
    assert len(html) < 3_000_000


def test_thousands_of_classes_stay_readable() -> None:
    margins = tuple(PageMargin(f"class {k}", float(k + 1), 0.5) for k in range(2000))
    html = render_explanation(make_page("topk", margins=margins))
    assert "1,990 further rivals" in html


def test_equal_pages_are_equal_bytes() -> None:
    assert render_explanation(make_page("topk")) == render_explanation(make_page("topk"))


def test_without_jinja2_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingDependencyError, match="pip install jinja2"):
        render_explanation(make_page("topk"))


@pytest.mark.parametrize("shape", [(0, 3), (4, 4, 4), (4,)])
def test_what_is_no_picture_is_a_bug(shape: tuple[int, ...]) -> None:
    page = make_page("topk")
    patched = tuple(replace(fact, patch=np.zeros(shape, np.uint8)) for fact in page.facts)
    with pytest.raises(InternalError, match="cannot show an array"):
        render_explanation(replace(page, facts=patched))
