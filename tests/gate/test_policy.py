"""Policies say what they mean, or are refused with the line that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from protoproof.errors import UsageError
from protoproof.gate import read_policy
from protoproof.gate.policy import Rules, json_schema
from tests.support.cli import ROOT
from tests.support.gate import HEADER

EXAMPLE = ROOT / "specs" / "policies" / "release.yaml"
SCHEMA = ROOT / "specs" / "schema" / "policy.schema.json"


def test_the_published_schema_is_the_model_s() -> None:
    assert json.loads(SCHEMA.read_text()) == json_schema()


def test_the_example_shows_every_rule(tmp_path: Path) -> None:
    """With its comments removed where they hide rules."""
    text = EXAMPLE.read_text()
    for rule in Rules.model_fields:
        assert f"  {rule}:" in text or f"  # {rule}:" in text
    shown = read_policy(EXAMPLE).policy.rules.model_fields_set
    assert shown == set(Rules.model_fields) - {"baseline"}
    lines = []
    for line in text.splitlines():
        if line.startswith("  # ") and line[4:].lstrip().split(":")[0].lstrip("- ") in HIDDEN:
            line = "  " + line[4:]
        lines.append(line)
    (tmp_path / "full.yaml").write_text("\n".join(lines))
    full = read_policy(tmp_path / "full.yaml").policy
    assert full.rules.model_fields_set == set(Rules.model_fields)
    assert full.campaign.memory == 2000


HIDDEN = {
    "certified_accuracy",
    "region",
    "at_least",
    "at_most",
    "baseline",
    "lost_proofs",
    "drift",
    "class_loss",
    "memory",
}


def test_lines_of_keys(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        HEADER + "rules:\n  ambiguous: {at_most: 0.5}\n  explanation_size:\n"
        "    - vocabulary: topk\n      p95_at_most: 3\n"
    )
    file = read_policy(path)
    assert file.line(("rules", "ambiguous", "at_most")) == 4
    assert file.line(("rules", "explanation_size", 0, "p95_at_most")) == 7
    assert file.line(("rules", "undecided", "at_most")) == 3  # not written: the section's
    assert file.line(("nowhere",)) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "asks for nothing"),
        ("# only a comment\n", "asks for nothing"),
        ("- a list\n", "asks for nothing"),
        (HEADER, "rules"),
        (HEADER + "rules: {}\n", "no rule is set"),
        (HEADER + "rules:\n  accuracy:\n", "no rule is set"),
        (HEADER + "rules:\n  accuracy: {}\n", "at_least"),
        (HEADER + "rules:\n  baseline: {}\n", "asks for nothing"),
        (HEADER + "rules:\n  certified_accuracy: []\n", "at least 1"),
        (HEADER + "rules:\n  acuracy: {at_least: 0.9}\n", "line 4"),
        (HEADER + "rules:\n  accuracy: {at_least: 0.9, at_last: 0.8}\n", "at_last"),
        (HEADER + "rules:\n  accuracy: {at_least: 95}\n", "less than or equal to 1"),
        (HEADER + "rules:\n  accuracy: {at_least: .nan}\n", "finite|less than|greater"),
        (HEADER + 'rules:\n  accuracy: {at_least: "0.9"}\n', "number"),
        (HEADER + "rules:\n  undecided: {at_most: -0.1}\n", "greater than or equal"),
        (HEADER + "rules:\n  unused_prototypes: {at_most: 0.5}\n", "integer"),
        (HEADER + "rules:\n  head_binding: recognised\n", "head_binding"),
        (HEADER + "rules:\n  certificates: {accepted: some}\n", "all"),
        (HEADER + "campaign: {timeout: 0}\nrules:\n  ambiguous: {at_most: 0}\n", "timeout"),
        (HEADER + "campaign: {tiemout: 9}\nrules:\n  ambiguous: {at_most: 0}\n", "tiemout"),
        ("schema: protoproof.policy/2\nname: x\nrules:\n  ambiguous: {at_most: 0}\n", "schema"),
        (HEADER + "rules:\n  ambiguous: &a {at_most: 0}\n", "anchors"),
        (HEADER + "rules:\n  ambiguous: !!python/name:os.system {}\n", "tags"),
        (HEADER + "rules:\n  ambiguous: {at_most: 0}\n  ambiguous: {at_most: 1}\n", "at most once"),
        (HEADER + "rules: [\n", "plain YAML"),
        ("a: b\n---\nc: d\n", "plain YAML"),
        ("x" * (1 << 18), "larger than"),
        ("\x00", "plain YAML"),
        (HEADER + "rules:\n  vacuous:\u202e\n  at_most: 0\n", "plain YAML"),
    ],
)
@pytest.mark.trust(30)
def test_what_is_wrong_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=words) as caught:
        read_policy(path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("option", ["median_at_most", "numbers_p95_at_most"])
def test_a_size_without_a_limit_is_no_rule(tmp_path: Path, option: str) -> None:
    """It would ask nothing and pass."""
    text = f"rules:\n  explanation_size:\n    - vocabulary: pairs\n      {option}:\n"
    (tmp_path / "policy.yaml").write_text(HEADER + text)
    with pytest.raises(UsageError, match="set median_at_most"):
        read_policy(tmp_path / "policy.yaml")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a file"):
        read_policy(tmp_path)
