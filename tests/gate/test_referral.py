"""Long explanations are sent to a person: a list in every document, and no failure by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

from protoproof.campaign import Confirmed
from protoproof.gate.decided import evaluate
from protoproof.gate.junit import to_junit
from protoproof.gate.markdown import to_markdown
from protoproof.gate.outcome import GateResult
from protoproof.gate.policy_file import read_policy
from protoproof.gate.sarif import to_sarif
from tests.support.gate import HEADER, campaign, row, without_proof


def ten() -> Confirmed:
    """Three long explanations, of which two are of wrong predictions, and one without a proof."""
    short = [row(i, size=3, numbers=9) for i in range(6)]
    wrong = [row(i, label=1, predicted=0, size=12, numbers=30) for i in (6, 7)]
    return campaign([*short, *wrong, row(8, size=4, numbers=99), without_proof(row(9))])


def decided(folder: Path, rule: str) -> GateResult:
    path = folder / "policy.yaml"
    path.write_text(f"{HEADER}rules:\n  undecided: {{at_most: 1.0}}\n  referral: {rule}\n")
    return evaluate(read_policy(path), ten())


@pytest.mark.parametrize(
    ("rule", "sent", "caught"),
    [
        ("{facts_over: 3}", [6, 7, 8, 9], 2),
        ("{facts_over: 11}", [6, 7, 9], 2),
        ("{facts_over: 12}", [9], 0),
        ("{numbers_over: 50}", [8, 9], 0),
        ("{facts_over: 11, numbers_over: 50}", [6, 7, 8, 9], 2),
    ],
)
def test_who_is_sent(tmp_path: Path, rule: str, sent: list[int], caught: int) -> None:
    found = decided(tmp_path, rule)
    assert [finding.instance for finding in found.referred] == sent
    check = next(check for check in found.checks if check.rule == "referral")
    assert f"{len(sent)} of 10 sent to a person" in check.measured
    assert f"{caught} of 2 wrong predictions among them" in check.measured
    assert (found.outcome, found.exit_code) == ("passed", 0)
    assert [one["instance"] for one in found.to_json()["referred"]] == sent
    assert found.referred[-1].text == "not proved (undecided)"


def test_documents_call_it_a_referral_and_no_failure(tmp_path: Path) -> None:
    found = decided(tmp_path, "{facts_over: 11}")
    (result,) = to_sarif(found)["runs"][0]["results"]
    assert (result["kind"], result["level"]) == ("review", "none")
    assert "proved by 12 facts with 30 numbers" in result["message"]["text"]
    suites = Xml.fromstring(to_junit(found))  # noqa: S314  # our own bytes
    assert suites.attrib["failures"] == "0"
    said = [case.findtext("system-out") or "" for case in suites.iter("testcase")]
    assert sum(text.startswith("sent to a person: ") for text in said) == 3
    words = to_markdown(found)
    assert "to be looked at by a person: 3" in words
    assert "instance 6" in words


@pytest.mark.parametrize(("share", "outcome"), [(0.3, "passed"), (0.29, "failed")])
def test_a_bounded_share_can_fail(tmp_path: Path, share: float, outcome: str) -> None:
    found = decided(tmp_path, f"{{facts_over: 11, at_most: {share}}}")
    assert found.outcome == outcome
    suites = Xml.fromstring(to_junit(found))  # noqa: S314  # our own bytes
    # the share is what failed, and nobody who is sent
    assert suites.attrib["failures"] == ("1" if outcome == "failed" else "0")
    levels: Any = [result["level"] for result in to_sarif(found)["runs"][0]["results"]]
    assert levels == (["error"] if outcome == "failed" else ["none"])


def test_a_referral_names_a_limit(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="set facts_over, numbers_over, or both"):
        decided(tmp_path, "{at_most: 0.5}")
