"""The audit report says what the campaign recorded and the checker accepts, and is inert."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
import subprocess
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protoproof.campaign import Instances, Options, read_campaign, run_campaign
from protoproof.campaign.signal import signal
from protoproof.campaign.store import Ledger
from protoproof.errors import InputError, MissingDependencyError
from protoproof.report.audit import audit_page, audit_to_files
from protoproof.report.audit import html as audit_html
from protoproof.report.audit.figures import SIDE, curves, histogram, matrix, roc, waterfall
from protoproof.report.audit.html import find_browser, print_pdf, render_audit
from protoproof.report.audit.overview import (
    failures_first,
    filters,
    kind,
    least_reliable,
    margin_dots,
    size_ranges,
)
from protoproof.report.audit.page import (
    AuditInstance,
    AuditPage,
    AuditPrototype,
    AuditRegion,
    Step,
)
from tests.support.campaign import MODEL, InlineEngine, digits, network, small_file, some
from tests.support.cli import protoproof
from tests.support.gate import HEADER, gate, row

BROWSER = find_browser()
RULES = "campaign: {vocabulary: topk, witnesses: false}\nrules:\n  accuracy: {at_least: 0.5}\n"
STRICT = RULES + "  explanation_size: [{vocabulary: topk, median_at_most: 1}]\n"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\x1b[31m\u202e{{ 7 * 7 }}"


@pytest.fixture(scope="module")
def data() -> Instances:
    """Five digits; the network takes the first one for another."""
    every = digits()
    chosen = [296, 0, 150, 420, 730]
    return Instances("part", "0" * 64, every.x[chosen], every.y[chosen], every.classes)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory, data: Instances) -> Path:
    out = tmp_path_factory.mktemp("campaign")
    run_campaign(network(), data, out, options=Options(compare=True), engine=InlineEngine)
    return out


@pytest.fixture(scope="module")
def page(directory: Path, data: Instances) -> AuditPage:
    return audit_page(directory, MODEL, data)


class Reader(HTMLParser):
    """Collects what matters; complains about what must not be there."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.headings: list[int] = []
        self.pictures = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "a":
            self.links.append(str(found["href"]))
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "img":
            assert found.get("alt"), found
        if tag == "svg":
            assert found.get("aria-label") or found.get("aria-hidden") == "true"
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert name != "style"  # the policy would not admit it
            if name in ("src", "href") and tag != "a":
                self.pictures += 1
                assert str(value).startswith("data:image/png;base64,")


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader


def test_every_link_resolves_and_nothing_is_remote(page: AuditPage) -> None:
    html = render_audit(page)
    reader = read(html)
    assert len(reader.ids) == len(set(reader.ids))
    assert reader.links
    assert {link.removeprefix("#") for link in reader.links} <= set(reader.ids)
    text = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", html)
    assert not re.search(r"https?:|[\"'=(]//|url\(|@import", text)
    assert not {"iframe", "object", "form", "link"} & set(reader.tags)
    assert reader.pictures == 50 + 5 + 5 + 1  # prototypes, inputs small and large, the wrong one
    steps = [b - a for a, b in zip(reader.headings, reader.headings[1:], strict=False)]
    assert reader.headings[0] == 1
    assert max(steps) == 1


def test_the_content_policy_admits_the_style_and_nothing_else(page: AuditPage) -> None:
    import base64

    html = render_audit(page)
    style = re.search(r"<style>(.*?)</style>", html, re.S)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'sha256-{digest}';" in html
    assert "unsafe" not in html
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"; script-src 'sha256-{digest}'\">" in html
    assert "<" not in script.replace("i < ", "")
    plain = render_audit(page, scripts=False)
    assert "script" not in read(plain).tags
    assert "script-src" not in plain


def test_it_says_what_was_recorded(page: AuditPage, directory: Path) -> None:
    assert (page.total, page.accepted, page.rejected, page.correct) == (5, 5, 0, 4)
    assert [item.index for item in page.wrong] == [0]
    html = render_audit(page)
    for text in (
        network().sha256,
        "labelled “2”, predicted “3”",
        "No release policy was applied",
        MODEL.name,
        "17. Glossary",
        "prediction WRONG",
    ):
        assert text in html
    for item in page.instances:
        assert item.proved is not None
        assert item.observed is not None
        assert 0 < item.proved <= item.observed
        assert sum(step.value for step in item.steps) == pytest.approx(item.observed)
        assert len(item.sentences) == item.size
        assert item.certificate is not None
        stored = directory / "certificates" / item.certificate[0]
        assert hashlib.sha256(stored.read_bytes()).hexdigest() == item.certificate[1]
    assert sum(len(p.used_by) for p in page.prototypes) == np.sum(page.use)
    assert {len(sizes) for _, sizes in page.sizes} == {5}


def test_annex_iv_and_the_model_card_say_what_is_known_and_name_what_is_not(
    page: AuditPage,
) -> None:
    text = render_audit(page)
    annex, card = text.split('<section id="annex">')[1].split('<section id="card">')
    assert "2(e)" in annex
    assert "2(g)" in annex
    assert f"{page.correct} of {page.total} right" in annex
    proved = dict(page.states)["proved"]
    assert f"{proved} of {page.total} explanations are proved" in annex
    regions_too = render_audit(replace(page, accepted=page.accepted + 7))  # more certificates
    assert f"{proved} of {page.total} explanations are proved" in regions_too.split('id="annex"')[1]
    assert dict(page.identity)["Data sha256"] in annex
    assert "Not tested in this campaign" in annex
    for part in ("Intended use", "Training data", "Ethical considerations"):
        assert re.search(rf"{part}</dt><dd><span class=\"soft\">to be stated", card), part
    over = AuditRegion("linf:0.01", 2, 1, 1, page.total)
    assert "linf:0.01: 2 of" in render_audit(replace(page, regions=(over,)))


def test_fewer_sections_check_as_many_certificates(directory: Path, data: Instances) -> None:
    short = audit_page(directory, MODEL, data, sections=1)
    assert (len(short.instances), short.unlisted, short.accepted) == (1, 4, 5)
    reader = read(render_audit(short))
    assert {link.removeprefix("#") for link in reader.links} <= set(reader.ids)


def test_a_certificate_that_is_not_accepted_is_not_hidden(tmp_path: Path, data: Instances) -> None:
    run_campaign(network(), data, tmp_path, options=Options(), engine=InlineEngine)
    with Ledger.create(tmp_path) as ledger:
        row = ledger.rows()[1]
        document = json.loads(ledger.certificate_path(row.key).read_text())
        document["core"]["rivals"].pop()
        content = json.dumps(document).encode()
        record = replace(row.record, certificate=hashlib.sha256(content).hexdigest())
        ledger.store(row.key, record, ledger.timings()[row.key], content)
    page = audit_page(tmp_path, MODEL, data)
    assert (page.accepted, page.rejected) == (4, 1)
    html = render_audit(page)
    assert "Not to be relied on: 1 certificate not accepted" in html
    assert "certificate not accepted</span>" in html


@pytest.mark.parametrize("content", [None, b"{}"])
def test_a_certificate_that_was_lost_or_altered_is_told(
    directory: Path, data: Instances, tmp_path: Path, content: bytes | None
) -> None:
    copy = shutil.copytree(directory, tmp_path / "copy")
    path = next((copy / "certificates").iterdir())
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    page = audit_page(copy, MODEL, data)
    assert page.rejected == 1
    assert "Missing or altered since the campaign ran: 1 certificate." in page.missing
    assert "was altered since" in render_audit(page)


def test_pictures_are_of_what_was_explained(directory: Path, data: Instances) -> None:
    other = Instances("other", "0" * 64, data.x[::-1].copy(), data.y, data.classes)
    page = audit_page(directory, MODEL, other)
    shown = [item.picture is not None for item in page.instances]
    assert shown == [False, False, True, False, False]  # the middle one is where it was
    assert "not what was explained" in " ".join(page.missing)
    assert all(item.picture is None for item in audit_page(directory, MODEL, None).instances)


def test_data_is_called_what_it_is(directory: Path, data: Instances) -> None:
    """Whoever writes a ledger may name the official data, and have another read."""
    page = audit_page(directory, MODEL, replace(data, name="mine", sha256="1" * 64))
    said = dict(page.identity)
    assert (said["Data"], said["Data sha256"]) == ("mine", "1" * 64)
    assert any("another one than the campaign names (sha256 00" in text for text in page.missing)


def test_another_network_is_refused(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sha256 differs"):
        audit_page(directory, MODEL.with_name("mnist-1x1.onnx"), None)
    gate(tmp_path, RULES, data=some(2))
    result = tmp_path / "out" / "gate.json"
    result.write_text(result.read_text().replace(network().sha256, "0" * 64))
    with pytest.raises(InputError, match="another network"):
        audit_page(tmp_path / "out", MODEL, None)


def test_a_policy_is_decided_again_or_not_believed(tmp_path: Path) -> None:
    few, out = some(2), tmp_path / "out"
    gate(tmp_path, RULES, data=few)
    page = audit_page(out, MODEL, few)
    assert page.gate is not None
    assert (page.gate.again, page.gate.passed, page.gate.contradicted) == (True, True, False)
    assert (page.exit_code, page.gate.checks[0].id) == (0, "accuracy")
    html = render_audit(page)
    assert "The policy “test” passed, decided again for this report" in html
    # gate.json chose which file that is: whoever reads the report sees it
    assert f"<dd>{tmp_path / 'policy.yaml'}</dd>" in html
    assert 'data-label="Result" class="yes"' in html
    assert "No fact is proved necessary, so that no explanation is known to need" in html
    # without data, or where the policy is not what it was, nothing is green
    for why, policy, data in (("--data", None, None), ("changed since", HEADER + STRICT, few)):
        if policy is not None:
            (tmp_path / "policy.yaml").write_text(policy)
        page = audit_page(out, MODEL, data)
        assert page.gate is not None
        assert why in page.gate.why
        assert (page.gate.passed, page.exit_code) == (False, 3)
        html = render_audit(page)
        assert "on somebody" in html
        assert 'data-label="Result" class="yes"' not in html
        assert '<section id="verdict" class="verdict plain undecided">' in html
    # whoever is asked for by name is decided, whatever the file says
    page = audit_page(out, MODEL, few, policy=tmp_path / "policy.yaml")
    assert page.gate is not None
    assert (page.gate.outcome, page.gate.said, page.exit_code) == ("failed", "passed", 1)


def test_an_edited_result_of_a_gate_is_found_out(tmp_path: Path) -> None:
    few, out = some(2), tmp_path / "out"
    gate(tmp_path, STRICT, data=few)
    told = (out / "gate.json").read_text()
    assert '"failed"' in told
    (out / "gate.json").write_text(told.replace('"failed"', '"passed"'))
    page = audit_page(out, MODEL, few)
    assert page.gate is not None
    assert (page.gate.outcome, page.gate.said, page.exit_code) == ("failed", "passed", 1)
    assert "Its gate.json says “passed”: that is not what was found" in render_audit(page)
    # a policy that lies beside the result is the same word once more
    easy = (out / "policy.yaml", HEADER + RULES)
    easy[0].write_text(easy[1])
    changed = json.loads(told)
    digest = hashlib.sha256(easy[1].encode()).hexdigest()
    changed |= {
        "outcome": "passed",
        "policy": {"name": "x", "file": str(easy[0]), "sha256": digest},
    }
    (out / "gate.json").write_text(json.dumps(changed))
    page = audit_page(out, MODEL, few)
    assert page.gate is not None
    assert "lies beside the result" in page.gate.why
    assert page.exit_code == 3


def test_an_earlier_comparison_is_not_believed(tmp_path: Path) -> None:
    few, rules = some(2), "  baseline: {lost_proofs: {at_most: 0}, first_release: allowed}\n"
    assert gate(tmp_path, RULES + rules, data=few).outcome == "passed"
    page = audit_page(tmp_path / "out", MODEL, few)
    assert page.gate is not None
    assert (page.gate.outcome, page.exit_code) == ("undecided", 3)
    assert [check.status for check in page.gate.checks if "lost" in check.id] == ["undecided"]
    # nor is it called false: what was not compared here may have been passed
    assert not page.gate.contradicted
    assert "that is not what was found" not in render_audit(page)
    told = tmp_path / "out" / "gate.json"
    told.write_text(told.read_text().replace('"passed"', '"released"'))
    page = audit_page(tmp_path / "out", MODEL, few)
    assert page.gate is not None
    assert page.gate.contradicted


def test_a_gate_whose_answer_was_removed_is_no_campaign_without_one(tmp_path: Path) -> None:
    few, out = some(2), tmp_path / "out"
    gate(tmp_path, STRICT, data=few)
    (out / "gate.json").unlink()
    page = audit_page(out, MODEL, few)
    assert (page.rejected, page.open, page.exit_code) == (0, 0, 3)
    html = render_audit(page)
    assert "Not decided: the gate left no result" in html
    assert "Policy sha256" not in html
    page = audit_page(out, MODEL, few, policy=tmp_path / "policy.yaml")
    assert page.exit_code == 1
    # nobody asks a campaign alone for one
    assert audit_page(out / "campaign", MODEL, few).gate is None


def test_an_easier_campaign_in_its_place_is_not_decided(tmp_path: Path) -> None:
    """True proofs of less than the policy asks for, under a result that was honestly passed."""
    few = some(1)
    gate(tmp_path, RULES.replace("false}", "false, level: F}"), data=few)
    out = tmp_path / "out"
    page = audit_page(out, MODEL, few)
    assert page.gate is not None
    assert (page.gate.again, page.exit_code) == (True, 0)
    shutil.rmtree(out / "campaign")
    quick = Options(vocabulary="topk", witnesses=False)
    run_campaign(network(), few, out / "campaign", options=quick, engine=InlineEngine)
    page = audit_page(out, MODEL, few)
    assert page.gate is not None
    assert not page.gate.again
    assert page.exit_code == 3


def hostile(page: AuditPage) -> AuditPage:
    return replace(
        page,
        title=HOSTILE,
        class_names=tuple(HOSTILE for _ in page.class_names),
        identity=tuple((word, HOSTILE) for word, _ in page.identity),
        regions=(
            AuditRegion(HOSTILE, 1, 1, 3, 5, norm=HOSTILE, radius=0.1),
            AuditRegion("linf:0.2", 0, 1, 4, 5, norm="linf", radius=0.2),
        ),
        classes=tuple(replace(item, name=HOSTILE) for item in page.classes),
        prototypes=tuple(
            replace(item, owner=HOSTILE, origin=HOSTILE, notes=(HOSTILE,))
            for item in page.prototypes
        ),
        instances=tuple(
            replace(item, label=HOSTILE, predicted=HOSTILE, rival=HOSTILE, reason=HOSTILE)
            for item in page.instances
        ),
        wrong=tuple(replace(item, label=HOSTILE, reason=HOSTILE) for item in page.wrong),
        recheck=(HOSTILE,),
    )


@pytest.mark.trust(31)
def test_hostile_names_are_inert(page: AuditPage) -> None:
    html = render_audit(hostile(page))
    reader = read(html)
    assert reader.tags.count("script") == 1
    assert "<img src=x" not in html
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "{{ 7 * 7 }}" in html  # text, not a template
    assert reader.pictures == read(render_audit(page)).pictures


def test_a_report_of_200_instances_stays_small(page: AuditPage) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    many = tuple(replace(page.instances[n % 5], index=n, picture=picture) for n in range(200))
    html = render_audit(replace(page, instances=many))
    assert len(html.encode()) < 10_000_000  # noise does not compress: nothing is larger


def test_failures_come_first_and_a_wrong_one_is_never_only_green(page: AuditPage) -> None:
    html = render_audit(page)
    rows = re.findall(r'<li class="row ([^"]*)" id="i(\d+)".*?<summary>(.*?)</summary>', html, re.S)
    assert [int(index) for _, index, _ in rows] == [0, 1, 2, 3, 4]
    assert rows[0][0] == "is-wrong"
    assert {kinds for kinds, _, _ in rows[1:]} == {"is-fine"}
    assert "explanation proved" in rows[0][2]
    assert "prediction WRONG" in rows[0][2]
    assert all("prediction right" in summary for _, _, summary in rows[1:])
    assert "Wrong predictions (1)" in html


def item(index: int, **changes: Any) -> AuditInstance:
    given: dict[str, Any] = {"accepted": True, "size": 2, "observed": 3.0, "proved": 1.0}
    return AuditInstance(
        index, "a", "a", **({"correct": True, "state": "proved", "reason": ""} | given | changes)
    )


def test_the_order_is_false_wrong_open_and_then_the_rest() -> None:
    items = [
        item(0),
        item(1, state="timeout", accepted=None),
        item(2, correct=False),
        item(3, accepted=False, rejected=True),
        item(4, correct=None, state="error", accepted=None),
        item(5, correct=False, state="timeout", accepted=None),
    ]
    assert [found.index for found in failures_first(items)] == [3, 2, 5, 1, 4, 0]
    assert [kind(found) for found in items] == [
        "is-fine",
        "is-open",
        "is-wrong",
        "is-open",
        "is-open",
        "is-wrong is-open",
    ]
    assert [count for _, _, count in filters(items)] == [6, 2, 4, 1]


def test_plots_hold_every_instance_with_numbers() -> None:
    items = [item(0), item(1, proved=0.5, size=4), item(2, correct=False, observed=6.0)]
    dots, reach, top = margin_dots([*items, item(3, observed=None)])
    assert (len(dots), reach, top) == (3, 6.0, 1.0)
    assert [dot.wrong for dot in dots] == [False, False, True]
    assert margin_dots([]) == ((), 1.0, 1.0)
    (row,) = size_ranges(items)
    assert (row.low, row.median, row.high, row.count) == (2, 2, 4, 3)
    assert size_ranges([]) == ()


def test_reliability_counts_right_predictions_only(page: AuditPage) -> None:
    prototypes = tuple(
        AuditPrototype(number, None, None, "", used)
        for number, used in enumerate([(1, 2), (0, 1), (0,), ()])
    )
    found = least_reliable(replace(page, prototypes=prototypes))  # instance 0 is predicted wrongly
    assert [(row.index, row.right, row.needed) for row in found] == [(2, 0, 1), (1, 1, 2)]


def test_only_facts_that_are_proved_necessary_need_a_prototype(page: AuditPage) -> None:
    """And the page says so, also where there are none: witnesses need not be searched."""
    assert "a fact that is proved necessary names it" in render_audit(page)
    unknown = tuple(
        replace(p, used_by=(), notes=("needed by no explanation",)) for p in page.prototypes
    )
    said = render_audit(replace(page, prototypes=unknown))
    assert "No fact is proved necessary" in said
    assert "is needed for right predictions only" not in said
    assert "named by no" not in said


def test_a_phone_cuts_no_column_and_paper_has_numbers(page: AuditPage) -> None:
    html = render_audit(page)
    style = re.search(r"<style>(.*?)</style>", html, re.S)
    assert style is not None
    assert "counter(page)" in style[1]
    assert "break-before: page" not in style[1]
    tables = re.findall(r'<table class="[^"]*stack[^"]*">(.*?)</table>', html, re.S)
    assert tables
    for table in tables:
        assert all("data-label=" in cell for cell in re.findall(r"<td[^>]*>", table))


def test_histograms_count_everything() -> None:
    for sizes in ([1], [3, 3, 3], list(range(1, 200)), [1, 1000]):
        found = histogram("topk", sizes)
        assert sum(bar.count for bar in found.bars) == len(sizes)
        for bar in found.bars:
            inside = sum(bar.low <= size <= bar.high for size in sizes)
            assert inside == bar.count
        assert len(found.bars) <= 25
        assert found.median == np.median(sizes)
        assert found.p95 == np.percentile(sizes, 95, method="inverted_cdf")


def test_a_waterfall_ends_at_the_sum() -> None:
    falls = waterfall([Step("a", 3.0), Step("b", -5.0), Step("c", 4.0)])
    assert [fall.kind for fall in falls] == ["up", "down", "up", "sum"]
    assert falls[-1].value == 2.0
    for fall in falls:
        assert 0 <= fall.x <= 100
        assert fall.x + fall.width <= 100.5
    assert waterfall([])[0].value == 0.0


def test_curves_and_matrix() -> None:
    regions = [
        AuditRegion("linf:0.2", 1, 0, 3, 4, norm="linf", radius=0.2),
        AuditRegion("linf:0.1", 3, 0, 1, 4, norm="linf", radius=0.1),
        AuditRegion("l2:1", 2, 0, 2, 4, norm="l2", radius=1.0),
    ]
    second, first = curves([*regions, AuditRegion("brightness:0.1", 4, 0, 0, 4)], 4)
    assert (first.norm, second.norm) == ("linf", "l2")  # a radius of one is none of the other
    assert [(p.radius, p.certified) for p in first.points] == [(0.0, 4), (0.1, 3), (0.2, 1)]
    assert [(p.radius, p.certified) for p in second.points] == [(0.0, 4), (1.0, 2)]
    assert first.points[0].y < first.points[1].y < first.points[2].y  # higher up
    crowded = [AuditRegion(str(r), 1, 0, 0, 4, norm="linf", radius=r) for r in (0.001, 0.002, 0.1)]
    assert [p.label for p in curves(crowded, 4)[0].points] == ["0", "", "", "0.1"]
    assert curves([], 4) == ()
    found = matrix([[0, 2], [1, 0]])
    assert [(c.class_, c.prototype, c.count) for c in found.cells] == [(0, 1, 2), (1, 0, 1)]
    assert found.cells[0].opacity > found.cells[1].opacity


def test_what_sizes_tell_of_wrong_predictions(page: AuditPage) -> None:
    """Drawn where it was measured; else the counts, and why not."""
    assert page.signal.reason
    assert "Not measured: " in render_audit(page)
    rows = [row(i, size=2, numbers=5, margin=1.0 + i) for i in range(7)]
    rows += [row(7 + i, label=1, predicted=0, size=9, numbers=4, margin=2.0) for i in range(5)]
    told = signal(rows)
    facts, numbers, margin = roc(told)
    assert facts.path.split()[0] == f"0.0,{SIDE}"
    assert facts.path.split()[-1] == f"{SIDE},0.0"
    html = render_audit(replace(page, signal=told))
    assert f'<polyline class="line" points="{facts.path}"/>' in html
    assert "5 wrong predictions and 7 right ones" in html
    assert facts.told.area == 1.0
    assert f'<td data-label="Area">{numbers.told.area:.3f}</td>' in html
    assert f"{margin.told.low:.3f} to {margin.told.high:.3f}" in html


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory, data: Instances) -> Path:
    """With regions: one that is certified, and one that an input refutes."""
    out = tmp_path_factory.mktemp("certified")
    ask = {"options": Options(vocabulary="topk", witnesses=False), "engine": InlineEngine}
    run_campaign(network(), data, out, regions=("linf:0.005", "linf:0.2"), **ask)
    return out


def test_regions_and_what_refutes_them(certified: Path, data: Instances) -> None:
    page = audit_page(certified, MODEL, data)
    small, large = page.regions
    assert (small.certified, small.total, small.rejected) == (4, 5, 0)  # one is predicted wrongly
    assert (large.refuted, large.certified) == (5, 0)
    assert (page.accepted, page.hidden) == (5 + 5, 0)
    for item in page.counterexamples:
        assert item.region == "linf:0.2"
        assert item.predicted != item.instead
        assert 0 < item.largest <= 0.2 + 1e-6
    html = render_audit(page)
    assert html.count('alt="An input near instance') == 5
    assert "4 of 5 at 0.005, 0 of 5 at 0.2" in html
    assert re.search("0.005 is 1.2[78] of 255 steps", html)  # in what a radius is measured
    assert "regions/*.cert.json" in html
    reader = read(html)
    assert {link.removeprefix("#") for link in reader.links} <= set(reader.ids)


@pytest.mark.parametrize("harm", ["gone", "another", "array"])
def test_files_of_regions_are_not_trusted(
    certified: Path, data: Instances, tmp_path: Path, harm: str
) -> None:
    shutil.copytree(certified, tmp_path / "c")
    found = read_campaign(tmp_path / "c").regions
    small = [r.key for r in found["linf:0.005"].values()]
    large = [r.key for r in found["linf:0.2"].values()]
    folder = tmp_path / "c" / "regions"
    if harm == "gone":
        (folder / f"{small[1]}.cert.json").unlink()
        (folder / f"{large[1]}.npy").unlink()
    elif harm == "another":  # and the ledger agrees
        shutil.copy(folder / f"{small[2]}.cert.json", folder / f"{small[1]}.cert.json")
    else:
        np.save(folder / f"{large[1]}.npy", np.zeros((1, 28, 28), np.float32))
    with sqlite3.connect(tmp_path / "c" / "ledger.sqlite") as ledger:
        for path in folder.iterdir():
            kind = "certificate" if path.name.endswith(".json") else "counterexample"
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            key = path.name.partition(".")[0]
            ledger.execute(f"UPDATE regions SET {kind} = ? WHERE key = ?", (digest, key))  # noqa: S608
    page = audit_page(tmp_path / "c", MODEL, data)
    small_now, large_now = page.regions
    assert small_now.certified == (4 if harm == "array" else 3)
    assert small_now.rejected == (1 if harm == "another" else 0)
    assert large_now.certified == 0
    assert len(page.counterexamples) == (5 if harm == "another" else 4)
    assert page.rejected == {"another": 1, "gone": 2}.get(harm, 0)


def test_without_a_browser_one_line_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(audit_html, "BROWSERS", ("no-such-browser",))
    with pytest.raises(MissingDependencyError, match="print the HTML file"):
        print_pdf(tmp_path / "report.html")


@pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed")
def test_in_a_real_browser(directory: Path, data: Instances, tmp_path: Path) -> None:
    """Opens from disk without a complaint, runs nothing, and prints."""
    out, pdf = tmp_path / "report.html", tmp_path / "report.pdf"
    page = audit_to_files(directory, out, model=MODEL, instances=data, pdf=pdf)
    content = pdf.read_bytes()
    assert content.startswith(b"%PDF-")
    pages = len(re.findall(rb"/Type\s*/Page\b", content)) or sum(
        len(re.findall(rb"/Type\s*/Page\b", _inflated(stream)))
        for stream in re.findall(rb"stream\r?\n(.*?)endstream", content, re.S)
    )
    assert 5 <= pages <= 15  # overviews, fifty prototypes, five instances
    attacked = tmp_path / "attacked.html"
    attacked.write_text(render_audit(hostile(page)), encoding="utf-8")
    for path in (out, attacked):
        done = subprocess.run(
            [
                str(BROWSER),
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--enable-logging=stderr",
                f"--user-data-dir={tmp_path / 'profile'}",
                "--dump-dom",
                path.as_uri(),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        assert ":CONSOLE" not in done.stderr, done.stderr
        assert done.stdout.count("<script") == 1
        assert done.stdout.count("<article") == 5
        assert 'id="tools" class="tools">' in done.stdout  # the script ran


def _inflated(stream: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(stream)
    except zlib.error:
        return b""


def test_from_the_command_line(tmp_path: Path) -> None:
    done = protoproof(
        "campaign", MODEL, "--data", small_file(tmp_path), "--indices", "0,50", "--workers", "1",
        "--timeout", "1e6",
        "--out", tmp_path / "c", "--quiet",
    )  # fmt: skip
    assert done.code == 0, done.err
    done = protoproof("report", tmp_path / "c", "--out", tmp_path / "r.html", "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert (document["accepted"], document["rejected"]) == (2, 0)
    assert document["network_sha256"] == network().sha256
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert 'id="i50"' in html
    assert html.count("<image ") == 2  # the data was found again
    assert f"<dt>Command</dt><dd>protoproof campaign {MODEL.name} --data" in html
    # data that lies inside the directory is its writer's word
    own = shutil.copytree(tmp_path / "c", tmp_path / "d")
    shutil.copy(tmp_path / "digits.npz", own)
    with sqlite3.connect(own / "ledger.sqlite") as connection:
        there = (str(tmp_path / "digits.npz"), str(own / "digits.npz"))
        connection.execute("UPDATE about SET value = replace(value, ?, ?)", there)
    said = protoproof("report", own, "--out", tmp_path / "d.html").out
    assert re.search(r"^data +digits.npz, sha256 [0-9a-f]{64} \(as recorded\)$", said, re.MULTILINE)
    assert "The data was not at hand" in (tmp_path / "d.html").read_text(encoding="utf-8")
    certificate = next((tmp_path / "c" / "certificates").iterdir())
    np.save(tmp_path / "x.npy", some(60).x[[0, 50]])
    which = [
        protoproof(
            "report", certificate, "--model", MODEL, "--input", tmp_path / "x.npy",
            "--index", index, "--out", tmp_path / f"{index}.html",
        ).code
        for index in (0, 1)
    ]  # fmt: skip
    assert sorted(which) == [0, 2]  # it is about one of the two, and refused with the other
    single = (tmp_path / f"{which.index(0)}.html").read_text(encoding="utf-8")
    assert "Explanation proved, and accepted by the independent checker" in single
    alone = protoproof("report", certificate, "--out", tmp_path / "z.html")
    assert alone.code == 2
    assert "protoproof show says what it claims without them" in alone.err
    assert protoproof("report", tmp_path / "nowhere", "--out", tmp_path / "z.html").code == 2
