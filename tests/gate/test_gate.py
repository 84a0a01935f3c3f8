"""Gates on the certified zoo network and on sabotaged copies of it."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest

from protoproof.campaign import read_campaign
from protoproof.campaign.store import Ledger
from protoproof.cli.diff import print_diff
from protoproof.cli.gate import print_gate
from protoproof.errors import InputError, UsageError
from protoproof.formal.program import VARIABLE
from protoproof.gate import compare_directories
from protoproof.gate.junit import to_junit
from tests.support.campaign import MODEL, some
from tests.support.cli import ROOT, protoproof
from tests.support.formal import built
from tests.support.gate import (
    HEADER,
    classes_swapped,
    gate,
    nothing,
    prototype_duplicated,
    sabotaged,
    weights_perturbed,
)
from tests.support.sarif import validate

EXAMPLE = ROOT / "specs" / "policies" / "release.yaml"


@cache
def example_rules() -> str:
    """The example's rules and plan, without what depends on many instances or takes long."""
    text = EXAMPLE.read_text().split("name: release\n", 1)[1]
    assert "  per_class: 10" in text
    assert "at_most: 15" in text
    before, after = text.split("  certified_accuracy:\n")
    text = before + after[after.index("\n\n") :]
    return text.replace("  per_class: 10", "  # all").replace("at_most: 15", "at_most: 50")


BASELINE = (
    "  baseline:\n    lost_proofs: {at_most: 0}\n    drift: {at_most: 0.2}\n"
    "    class_loss: {at_most: 0.2}\n"
)


def failed_everywhere(directory: Path, result: Any, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The failing rules; console, JUnit and SARIF name the same ones."""
    out = directory / "out"
    print_gate(result, out)
    console = capsys.readouterr().out
    root = ElementTree.parse(out / "gate.junit.xml").getroot()  # noqa: S314  # our own
    in_junit = {
        case.attrib["classname"].rsplit(".", 1)[1]
        for case in root.iter("testcase")
        if case.find("failure") is not None
    }
    log = json.loads((out / "gate.sarif").read_text())
    validate(log)
    in_sarif = {entry["ruleId"] for entry in log["runs"][0]["results"]}
    document = json.loads((out / "gate.json").read_text())
    in_json = {check["rule"] for check in document["checks"] if check["status"] != "passed"}
    assert in_junit == in_sarif == in_json
    for rule in in_json:
        assert any(line.startswith("FAILED") and rule in line for line in console.splitlines()), (
            console
        )
    assert (console.count("FAILED") > 0) == bool(in_json)
    return in_json


@pytest.mark.parametrize(
    ("harm", "rules"),
    [
        (nothing, set()),
        (weights_perturbed, {"contradictory_prototypes"}),
        (prototype_duplicated, {"duplicate_prototypes"}),
        (classes_swapped, {"accuracy"}),
    ],
)
def test_the_example_policy_names_what_was_sabotaged(
    tmp_path: Path,
    harm: Callable[[dict[str, np.ndarray]], None],
    rules: set[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = sabotaged(tmp_path / "model.onnx", harm)
    result = gate(tmp_path, example_rules(), model)
    failed = failed_everywhere(tmp_path, result, capsys)
    assert rules <= failed
    assert (result.outcome, result.exit_code) == (("failed", 1) if rules else ("passed", 0))
    if harm is prototype_duplicated:
        duplicates = next(c for c in result.checks if c.rule == "duplicate_prototypes")
        assert [f.prototype for f in duplicates.findings] == [6, 7]
    if harm is classes_swapped:
        worst = next(c for c in result.checks if c.id == "accuracy.per_class_at_least")
        assert {result.rows[0].label, *(r.label for r in result.rows)} >= {3, 8}
        wrong = {row.label for row in result.rows if row.correct is not True}
        assert {3, 8} <= wrong
        assert worst.status == "failed"


def test_against_a_baseline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = "rules:\n  accuracy: {at_least: 0.5}\n"
    assert gate(tmp_path / "old", plain).outcome == "passed"
    rules = plain + BASELINE
    same = sabotaged(tmp_path / "same.onnx", nothing)
    good = gate(tmp_path / "good", rules, same, baseline=tmp_path / "old" / "out")
    assert good.outcome == "passed"
    found = compare_directories(tmp_path / "old" / "out", tmp_path / "good" / "out")
    assert found.same_head
    assert found.count("same") == 20
    timings = json.loads((tmp_path / "good" / "out" / "campaign" / "timings.json").read_text())
    assert timings["carried"] == 20
    swapped = sabotaged(tmp_path / "swapped.onnx", classes_swapped)
    bad = gate(tmp_path / "bad", rules, swapped, baseline=tmp_path / "old" / "out")
    assert "class_loss" in failed_everywhere(tmp_path / "bad", bad, capsys)
    found = compare_directories(tmp_path / "old" / "out", tmp_path / "bad" / "out")
    assert not found.same_head
    document = found.to_json()
    changed = {row["prototype"] for row in document["prototypes"] if row["changed"]}
    from tests.support.campaign import network

    owner = np.array(network().head.prototype_class)
    assert changed == set(np.flatnonzero((owner == 3) | (owner == 8)).tolist())
    losers = [c for c in document["classes"] if c["correct_new"] < c["correct_old"]]
    assert {c["class"] for c in losers} >= {"3", "8"}
    print_diff(found)
    assert "another head" in capsys.readouterr().out


def test_a_lost_proof_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A tie of all classes cannot be proved: every proof is lost."""

    def all_equal(values: dict[str, np.ndarray]) -> None:
        values["weight"][:] = values["weight"][:1]

    gate(tmp_path / "old", "rules:\n  accuracy: {at_least: 0.5}\n", data=some(10))
    model = sabotaged(tmp_path / "tied.onnx", all_equal)
    rules = "rules:\n  undecided: {at_most: 1.0}\n  baseline:\n    lost_proofs: {at_most: 0}\n"
    result = gate(tmp_path / "new", rules, model, data=some(10), baseline=tmp_path / "old" / "out")
    assert failed_everywhere(tmp_path / "new", result, capsys) == {"lost_proofs"}
    lost = next(check for check in result.checks if check.rule == "lost_proofs")
    assert len(lost.findings) == 10
    assert result.states["undecided"] == 10
    found = compare_directories(tmp_path / "old" / "out", tmp_path / "new" / "out")
    assert found.count("lost") == 10


def test_undecided_alone_is_exit_code_3(tmp_path: Path) -> None:
    def all_equal(values: dict[str, np.ndarray]) -> None:
        values["weight"][:] = values["weight"][:1]

    model = sabotaged(tmp_path / "tied.onnx", all_equal)
    result = gate(tmp_path, "rules:\n  ambiguous: {at_most: 1.0}\n", model, data=some(3))
    assert (result.outcome, result.exit_code) == ("undecided", 3)
    assert {check.rule for check in result.failures} == {"undecided", "ambiguous"}


KERNEL = "rules:\n  certificates: {accepted: all, kernel: required}\n"


@built
def test_the_machine_checked_kernel_may_be_required(tmp_path: Path) -> None:
    result = gate(tmp_path, KERNEL, MODEL, data=some(2))
    (check,) = [check for check in result.checks if check.rule == "kernel"]
    assert (check.status, check.findings) == ("passed", ())


def test_a_kernel_that_is_not_built_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    with pytest.raises(UsageError, match="make kernel"):
        gate(tmp_path, KERNEL, MODEL, data=some(2))
    assert not (tmp_path / "out" / "campaign").exists()


@pytest.mark.parametrize("harm", ["forged", "other class"])
def test_certificates_are_proved_again(tmp_path: Path, harm: str) -> None:
    """What the campaign recorded counts for nothing if the files say something else."""
    rules = "rules:\n  certificates: {accepted: all}\n"
    gate(tmp_path, rules, data=some(3))
    directory = tmp_path / "out" / "campaign"
    with Ledger.create(directory) as ledger:
        row = ledger.rows()[1]
        path = ledger.certificate_path(row.key)
        document = json.loads(path.read_text())
        if harm == "forged":
            document["core"]["rivals"].pop()
        else:
            other = ledger.rows()[2]
            document = json.loads(ledger.certificate_path(other.key).read_text())
        content = json.dumps(document).encode()
        import hashlib
        from dataclasses import replace

        record = replace(row.record, certificate=hashlib.sha256(content).hexdigest())
        ledger.store(row.key, record, ledger.timings()[row.key], content)
    result = gate(tmp_path, rules, data=some(3))
    assert result.outcome == "failed"
    # what is not accepted is not proved either
    assert [check.rule for check in result.failures] == ["certificates", "undecided"]
    for check in result.failures:
        assert [finding.instance for finding in check.findings] == [1]
        assert "rejected" in check.findings[0].text


TOPK_ONLY = (
    "campaign: {vocabulary: topk}\nrules:\n"
    "  explanation_size: [{vocabulary: pairs, p95_at_most: 5}]\n"
)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("rules:\n  certified_accuracy: [{region: 'sphere:1', at_least: 0.5}]\n", "none of"),
        ("rules:\n  certified_accuracy: [{region: 'linf:x', at_least: 0.5}]\n", "no number"),
        (
            "campaign: {witnesses: false}\nrules:\n  witness_share: {at_least: 0.5}\n",
            "witnesses: true",
        ),
        (
            "campaign: {witnesses: false}\nrules:\n  baseline: {drift: {at_most: 0.5}}\n",
            "drift needs campaign.witnesses: true",
        ),
        (TOPK_ONLY, "topk only"),
        (
            "campaign: {level: R}\nrules:\n  certificates: {accepted: all, level: F}\n",
            "campaign.level is R",
        ),
        # in the policy's words: a gate has no --domain, --vocabulary or --per-class
        (
            "campaign: {domain: nowhere}\nrules:\n  ambiguous: {at_most: 0}\n",
            r"policy.yaml, line 3: campaign.domain nowhere",
        ),
        (
            "campaign: {vocabulary: words}\nrules:\n  ambiguous: {at_most: 0}\n",
            r"policy.yaml, line 3: campaign.vocabulary words",
        ),
        (
            "campaign:\n  vocabulary: path\nrules:\n  ambiguous: {at_most: 0}\n",
            r"line 4: campaign.vocabulary: path is for trees",
        ),
    ],
)
def test_what_cannot_be_answered_is_refused_before_any_work(
    tmp_path: Path, rules: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        gate(tmp_path, rules)
    assert not (tmp_path / "out").exists()
    assert re.findall(r"(?<!\w)--[a-z-]+", str(caught.value)) == ["--policy"]


CERTIFIED = (
    "campaign: {vocabulary: topk, witnesses: false}\n"
    "rules:\n  certified_accuracy: [{region: 'linf:0.1', at_least: %s}]\n"
)


def test_certified_accuracy_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate(tmp_path, CERTIFIED % 0.9, data=some(10)).outcome == "passed"
    wide = CERTIFIED.replace("linf:0.1", "linf:0.2")
    result = gate(tmp_path, wide % 0.5, data=some(10))
    assert failed_everywhere(tmp_path, result, capsys) == {"certified_accuracy"}
    (check,) = result.failures
    assert "0 of 10 certified over linf:0.2" in check.measured
    assert "an input of the region is predicted" in str(check.findings)


def test_certificates_of_regions_are_proved_again(tmp_path: Path) -> None:
    """Another instance's certificate, with a ledger that says it belongs there."""
    gate(tmp_path, CERTIFIED % 0.5, data=some(4))
    campaign = tmp_path / "out" / "campaign"
    rows = read_campaign(campaign).regions["linf:0.1"]
    one, two = [r.key for r in rows.values() if r.state == "proved"][:2]
    folder = campaign / "regions"
    content = (folder / f"{one}.cert.json").read_bytes()
    (folder / f"{two}.cert.json").write_bytes(content)
    with sqlite3.connect(campaign / "ledger.sqlite") as connection:
        digest = hashlib.sha256(content).hexdigest()
        connection.execute("UPDATE regions SET certificate = ? WHERE key = ?", (digest, two))
    result = gate(tmp_path, CERTIFIED % 1.0, data=some(4))
    assert result.outcome == "failed"
    assert "rejected" in str(result.failures[0].findings)


def test_a_wider_region_s_name_on_a_narrow_certificate(tmp_path: Path) -> None:
    gate(tmp_path, CERTIFIED % 0.5, data=some(2))
    narrow = read_campaign(tmp_path / "out" / "campaign").regions["linf:0.1"]
    wide = CERTIFIED.replace("linf:0.1", "linf:0.4")
    gate(tmp_path, wide % 0.0, data=some(2))
    campaign = tmp_path / "out" / "campaign"
    folder, found = campaign / "regions", read_campaign(campaign).regions["linf:0.4"]
    with sqlite3.connect(campaign / "ledger.sqlite") as connection:
        for key, record in found.items():
            assert record.state != "proved"
            content = (folder / f"{narrow[key].key}.cert.json").read_bytes()
            (folder / f"{record.key}.cert.json").write_bytes(content)
            connection.execute(
                "UPDATE regions SET state = 'proved', certificate = ?, counterexample = NULL "
                "WHERE key = ?",
                (hashlib.sha256(content).hexdigest(), record.key),
            )
            (folder / f"{record.key}.npy").unlink()  # it would refute the region all by itself
    result = gate(tmp_path, wide % 0.5, data=some(2))
    assert result.outcome == "failed"
    assert "not about the region linf:0.4" in str(result.failures[0].findings)


def test_owners_that_nobody_knows_are_refused(tmp_path: Path) -> None:
    model = onnx.load(MODEL)
    entry = next(entry for entry in model.metadata_props if entry.key == "protoproof")
    description = json.loads(entry.value)
    del description["prototype_class"]
    entry.value = json.dumps(description)
    onnx.save(model, tmp_path / "model.onnx")
    rules = "rules:\n  contradictory_prototypes: {at_most: 0}\n"
    with pytest.raises(UsageError, match="which class"):
        gate(tmp_path, rules, tmp_path / "model.onnx", data=some(2))
    assert not (tmp_path / "out").exists()


def test_a_misspelt_vocabulary_is_refused(tmp_path: Path) -> None:
    rules = "rules:\n  explanation_size: [{vocabulary: topq, p95_at_most: 5}]\n"
    with pytest.raises(UsageError, match="line 4: explanation_size: no topq"):
        gate(tmp_path, rules, data=some(2))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("first_release", "outcome", "code"),
    [("", "undecided", 3), ("    first_release: allowed\n", "passed", 0)],
)
def test_a_first_release_is_not_compared(
    tmp_path: Path, first_release: str, outcome: str, code: int
) -> None:
    """No earlier campaign is no bad usage; that it may pass has to stand in the policy."""
    rules = "campaign: {vocabulary: topk}\nrules:\n" + BASELINE + first_release
    result = gate(tmp_path, rules, data=some(1))
    assert (result.outcome, result.exit_code) == (outcome, code)
    told = {c.rule: c.measured for c in result.checks if c.id.startswith("baseline")}
    words = "first release: not compared"
    assert told == dict.fromkeys(("lost_proofs", "drift", "class_loss"), words)
    suites = ElementTree.fromstring(to_junit(result))  # noqa: S314  # our own
    cases = [case for suite in suites if "baseline" in suite.attrib["name"] for case in suite]
    assert len(cases) == 6
    assert all(len(case) == 1 and case[0].tag in ("skipped", "failure") for case in cases)


def test_a_baseline_that_is_not_there_is_no_first_release(tmp_path: Path) -> None:
    rules = "rules:\n" + BASELINE + "    first_release: allowed\n"
    with pytest.raises(InputError, match="holds no ledger"):
        gate(tmp_path, rules, data=some(1), baseline=tmp_path / "mistyped")


@pytest.mark.parametrize("broken", ["policy", "model", "data"])
def test_no_result_of_an_earlier_run_is_left_behind(tmp_path: Path, broken: str) -> None:
    """After a run that ends with 2, nothing says "passed" where results are looked for."""
    out = tmp_path / "out"
    (out / "campaign").mkdir(parents=True)
    names = ("gate.json", "gate.junit.xml", "gate.sarif", "report.html", "report.pdf")
    for path in (*(out / name for name in names), tmp_path / "comment.md"):
        path.write_text("passed")
    policy = tmp_path / "policy.yaml"
    policy.write_text(HEADER + "rules:\n  ambiguous: {at_most: 0}\n")
    asked = {"policy": str(policy), "model": str(MODEL), "data": str(tmp_path / "no.npz")}
    asked |= {broken: str(tmp_path / "absent")}
    options = [word for name, value in asked.items() for word in (f"--{name}", value)]
    comment = ("--markdown", str(tmp_path / "comment.md"))
    done = protoproof("gate", *options, "--out", out, *comment)
    assert (done.code, done.out) == (2, ""), done.err
    assert {path.name for path in out.iterdir()} == {"campaign", *(f"{n}.stale" for n in names)}
    assert not (tmp_path / "comment.md").exists()


def test_a_baseline_with_other_options_or_data_is_refused(tmp_path: Path) -> None:
    gate(tmp_path / "old", "campaign: {vocabulary: topk}\nrules:\n  ambiguous: {at_most: 1}\n")
    rules = "rules:\n  baseline: {drift: {at_most: 0.5}}\n"
    with pytest.raises(InputError, match="other options"):
        gate(tmp_path / "new", rules, baseline=tmp_path / "old" / "out")
    gate(tmp_path / "few", "rules:\n  ambiguous: {at_most: 1}\n", data=some(2))
    from protoproof.campaign import Instances

    every = some(4)
    others = Instances("others", "1" * 64, every.x[1:2], every.y[1:2], every.classes)
    with pytest.raises(InputError, match="no instance in common"):
        gate(tmp_path / "new", rules, data=others, baseline=tmp_path / "few" / "out")


@pytest.mark.parametrize(
    ("per_class", "wish", "rule"),
    [
        (2, ("median_at_most: 10", "median_at_most: 1"), "explanation_size"),
        pytest.param(10, ("at_least: 0.95", "at_least: 1.0"), "accuracy", marks=pytest.mark.sweep),
    ],
)
def test_from_the_command_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    per_class: int,
    wish: tuple[str, str],
    rule: str,
) -> None:
    """The example policy on the zoo network, as the README says; then the other exit codes."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    arguments = ("--model", MODEL, "--data", "mnist5k", "--workers", "2")
    comment, count = ("--markdown", tmp_path / "comment.md"), 10 * per_class
    text = EXAMPLE.read_text()
    assert "per_class: 10" in text
    assert wish[0] in text
    text = text.replace("per_class: 10", f"per_class: {per_class}")
    if per_class < 10:  # as in example_rules: few instances leave more prototypes unseen
        text = text.replace("at_most: 15", "at_most: 50")
    assert "timeout: 60 " in text
    text = text.replace("timeout: 60 ", "timeout: 1000000 ")
    example = tmp_path / "release.yaml"
    example.write_text(text)
    done = protoproof("gate", "--policy", example, *arguments, "--out", tmp_path / "gate", *comment)
    assert done.code == 0, done.out + done.err
    assert "gate        passed" in done.out
    words = json.loads((tmp_path / "gate" / "gate.json").read_text())["checks"]
    assert f"{count} of {count} certificates accepted" in {check["measured"] for check in words}
    assert (tmp_path / "comment.md").read_text() == (tmp_path / "summary.md").read_text()
    strict = tmp_path / "strict.yaml"
    strict.write_text(text.replace(*wish))
    done = protoproof("gate", "--policy", strict, *arguments, "--out", tmp_path / "gate", "--json")
    assert done.code == 1
    document = json.loads(done.out)
    assert {c["rule"] for c in document["checks"] if c["status"] == "failed"} == {rule}
    strict.write_text(HEADER)
    done = protoproof("gate", "--policy", strict, *arguments, "--out", tmp_path / "gate")
    assert (done.code, done.err.count("\n")) == (2, 1)
    same = tmp_path / "gate"
    done = protoproof("diff", same, same, "--json")
    assert done.code == 0
    assert json.loads(done.out)["changes"]["same"] == count
