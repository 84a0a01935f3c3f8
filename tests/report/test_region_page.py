"""A region's page: what is proved over which inputs, and what may change in it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from protoproof.certification.result import Closest
from protoproof.network import Observation
from protoproof.report.page.page import PageCertificate, PageMade, PageMargin, PageModel, PageTruth
from protoproof.report.page.region import (
    PageAttack,
    PageRadius,
    PageTop,
    RegionPage,
    region_sentence,
    render_region,
)
from tests.support.pages import gray

HOSTILE = "</style><script>alert(1)</script>\u202e"


def made(**changes: object) -> RegionPage:
    page = RegionPage(
        model=PageModel("tiny", "ab" * 32, None, file="tiny.onnx"),
        picture=gray(8, 8),
        input_name="digit.png",
        predicted="7",
        region="linf:0.002",
        inputs=region_sentence("linf:0.002"),
        verdict="proved",
        reason="",
        margins=(PageMargin("1", 2.5, 0.25), PageMargin("9", 3.5, 1.0)),
        truth=PageTruth("7", True),
        made=PageMade("30 November 2026, 14:20 UTC", "protoproof certify tiny.onnx"),
        attack=PageAttack(0.5, "1", 31, gray(8, 8), 0.002),
        radius=PageRadius("linf", "0.01", "0.04"),
        top=PageTop(10, (1, 2), (3,), (4, 5)),
        stages=(("falsify", "nothing found", 0.2),),
        proved=("Robust: every input is classified “7”.",),
        certificates=(PageCertificate("r.cert.json", "cd" * 32, "protoproof check r.cert.json x"),),
        not_proved=("Nothing is said about inputs outside the region.",),
        seconds=1.5,
    )
    return replace(page, **changes)


def text(page: RegionPage) -> str:
    html = re.sub(r"<style>.*?</style>", "", render_region(page), flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_a_region_is_told_in_its_own_words() -> None:
    said = text(made())
    for words in (
        "Every input of the region is predicted alike",
        "Region proved, and accepted by the independent checker",
        "Prediction right: labelled “7”",
        "no number differs from the one shown by more than 0.002",
        "Proved up to 0.01",
        "Refuted from 0.04",
        "Margin 0.500 over “1”, the smallest among 31 inputs",
        "May leave 1 3",
        "May join 2 4, 5",
        "linf:0.002",
        "digit.png",
        "tiny (file tiny.onnx)",
        "30 November 2026",
        "protoproof certify tiny.onnx",
    ):
        assert words in said, words
    for words in ("No fact is needed", "Time to explain", "1/500", "Why the network says"):
        assert words not in said


@pytest.mark.parametrize(
    ("verdict", "heading", "never"),
    [
        ("refuted", "Not every input of the region is predicted alike", "Region proved"),
        ("rejected", "Rejected: this certificate proves nothing", "is open"),
        ("unknown", "Whether the region is predicted alike is open", "Region proved"),
        ("conditional", "Region not proved: it rests on", "accepted by the independent checker"),
    ],
)
def test_only_what_is_proved_is_called_so(verdict: str, heading: str, never: str) -> None:
    said = text(made(verdict=verdict, instead="1", reason="timeout", seconds=None))
    assert heading in said
    assert ("What may help A smaller region" in said) == (verdict == "unknown")
    assert never not in said
    html = render_region(made(verdict=verdict, instead="1", reason="timeout", seconds=None))
    colour = "bad" if verdict in ("refuted", "rejected") else "conditional"
    assert f'<section class="verdict {colour}">' in html


def test_a_wrong_prediction_is_never_under_green_alone() -> None:
    html = render_region(made(truth=PageTruth("2", False)))
    assert 'class="stamp is-bad"' in html
    assert "All of it is wrongly “7”" in html


def test_names_are_inert_and_nothing_is_loaded() -> None:
    html = render_region(
        made(input_name=HOSTILE, predicted=HOSTILE, region=HOSTILE, inputs=region_sentence(HOSTILE))
    )
    assert "<script" not in html
    assert "\u202e" not in html
    assert not re.search(r"https?:|url\(|@import", html)
    assert "default-src 'none'; img-src data:; style-src 'sha256-" in html


@pytest.mark.parametrize(
    ("region", "words"),
    [
        ("l2:1/3", "Euclidean distance to the one shown is at most 1/3"),
        ("occlude:4,5,8,9", "whatever stands in 8 × 9 pixels from row 4, column 5"),
        ("occlude:4,5,3", "within 3 pixels of row 4, column 5"),
        ("brightness:0.1,0", "up to 0.1 added"),
        ("brightness:0.1,0.2", "factor of 1 minus to plus 0.2"),
        ("shift:2", "moved by up to 2 whole pixels"),
        ("box with sha256 ab", "All inputs of the region box with sha256 ab."),
    ],
)
def test_regions_read_as_what_they_hold(region: str, words: str) -> None:
    assert words in region_sentence(region)


def test_the_closest_input_is_the_one_with_the_smallest_margin() -> None:
    closest = Closest(0)
    for own, other in ((2.0, 1.0), (1.5, 1.25), (3.0, 0.0)):
        logits = np.array([own, other, -5.0], np.float32)
        closest(Observation(np.full(2, own, np.float32), np.zeros((1, 1), np.float32), logits, 0))
    assert (closest.margin, closest.rival, closest.tried) == (0.25, 1, 3)
    assert closest.x is not None
    assert float(closest.x[0]) == 1.5
