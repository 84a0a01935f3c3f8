"""Certificates of a campaign say when, by which command and of what; instances have names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from protoproof.campaign import Options, read_campaign, run_campaign
from protoproof.campaign.instances import Instances, read_instances
from protoproof.certificate.reader import read_certificate
from protoproof.certificate.schema import About
from protoproof.cli.campaign import print_campaign
from protoproof.cli.gate import print_gate
from protoproof.gate.markdown import to_markdown
from protoproof.gate.sarif import to_sarif
from protoproof.report.audit import audit_page
from protoproof.report.audit.html import render_audit
from tests.support.campaign import MODEL, InlineEngine, network, some
from tests.support.gate import gate

NAMES = ("cross/000.png", "circle/000.png")
RULES = "campaign: {vocabulary: topk, witnesses: false}\nrules:\n  accuracy: {at_least: 1.0}\n"


def named() -> Instances:
    """Two images of their own files, the second of which is labelled wrong."""
    data = some(2)
    y = np.array([data.y[0], (data.y[1] + 1) % 10])
    return Instances("shapes", "0" * 64, data.x, y, data.classes, files=NAMES)


def test_certificates_say_where_they_come_from(tmp_path: Path) -> None:
    campaign = run_campaign(
        network(),
        named(),
        tmp_path,
        options=Options("topk", witnesses=False),
        regions=["linf:0.01"],
        engine=InlineEngine,
        about=About(created="2026-11-30T12:00:00+00:00", command="protoproof campaign"),
    )
    assert [row.file for row in campaign.rows] == list(NAMES)
    assert [one["file"] for one in campaign.summary["instances"]] == list(NAMES)
    written = [*tmp_path.glob("certificates/*"), *tmp_path.glob("regions/*.cert.json")]
    abouts = [read_certificate(path.read_bytes()).about for path in written]
    assert len(abouts) == 4
    assert {about.input_name for about in abouts} == set(NAMES)
    assert {about.created for about in abouts} == {"2026-11-30T12:00:00+00:00"}
    assert {about.command for about in abouts} == {"protoproof campaign"}


def test_without_files_instances_are_numbered(tmp_path: Path) -> None:
    options = Options("topk", witnesses=False)
    campaign = run_campaign(network(), some(1), tmp_path, options=options, engine=InlineEngine)
    (path,) = tmp_path.glob("certificates/*")
    assert read_certificate(path.read_bytes()).about.input_name == "some[0]"
    assert campaign.rows[0].shown == "instance 0"


def test_a_gate_names_the_files_it_complains_about(tmp_path: Path) -> None:
    result = gate(tmp_path, RULES, data=named())
    (check,) = [check for check in result.checks if check.rule == "accuracy"]
    assert [finding.name for finding in check.findings] == ["instance 1 (circle/000.png)"]
    assert "instance 1 (circle/000.png)" in (tmp_path / "out" / "gate.junit.xml").read_text()


def test_proved_and_right_are_two_signals_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether a prediction is right is said beside whether its explanation is proved."""
    result = gate(tmp_path, RULES, data=named())
    html = render_audit(audit_page(tmp_path / "out", MODEL, named()))
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
    assert "Instance 0 cross/000.png predicted" in text
    assert "Instance 1 circle/000.png predicted" in text
    assert "explanation proved prediction WRONG" in text
    print_gate(result, tmp_path)
    console = capsys.readouterr().out
    for told in (console, to_markdown(result), json.dumps(to_sarif(result))):
        assert "2 of 2 explanations proved" in told
        assert "1 of 2 predictions right" in told
    print_campaign(read_campaign(tmp_path / "out" / "campaign"))
    console = " ".join(capsys.readouterr().out.split())
    assert "2 proved predictions 1 of 2 right, which no proof says; WRONG: instance 1" in console


def test_a_gate_says_that_it_healed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate(tmp_path, RULES, data=named()).healed == 0
    next((tmp_path / "out" / "campaign" / "certificates").iterdir()).unlink()
    again = gate(tmp_path, RULES, data=named())
    assert again.healed == 1
    print_gate(again, tmp_path)
    assert "healed      1 of an earlier run's results" in capsys.readouterr().out


def test_images_in_folders_keep_their_names(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for number, folder in enumerate(("circle", "cross")):
            (tmp_path / part / folder).mkdir(parents=True)
            image = Image.fromarray(np.full((4, 4), number, np.uint8))
            image.save(tmp_path / part / folder / "000.png")
    found = read_instances(str(tmp_path))
    assert found.files == ("circle/000.png", "cross/000.png")
    assert [found.input_name(k) for k in range(2)] == list(found.files)
