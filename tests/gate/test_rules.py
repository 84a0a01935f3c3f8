"""Each rule passes at its limit, fails beyond it, and says what it complains about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from protoproof.campaign import Confirmed, Row
from protoproof.campaign.recheck import Complaint
from protoproof.campaign.regions import RegionRecord
from protoproof.gate.compare import compare
from protoproof.gate.machine_checked import Objection
from protoproof.gate.outcome import Check, overall
from protoproof.gate.policy import BaselineRules, Rules
from protoproof.gate.rules import baseline_checks, checks
from tests.support.gate import campaign, facts, row, without_proof


def only(rules: dict[str, Any], found: Confirmed) -> list[Check]:
    """The checks of the rules that were set."""
    outcomes = checks(Rules.model_validate(rules), found)
    return [check for check in outcomes if check.rule in rules]


def status(rules: dict[str, Any], found: Confirmed) -> list[str]:
    return [check.status for check in only(rules, found)]


def right(count: int, wrong: int = 0, unknown: int = 0, label: int = 0) -> list[Row]:
    rows = [row(i, label) for i in range(count)]
    rows += [row(count + i, label, predicted=1 - label) for i in range(wrong)]
    rows += [
        row(count + wrong + i, label, predicted=None, state="timeout", reason="slow")
        for i in range(unknown)
    ]
    return rows


@pytest.mark.parametrize(
    ("rows", "limit", "expected"),
    [
        (right(9, 1), 0.9, "passed"),
        (right(9, 1), 0.91, "failed"),
        (right(8, 1, 1), 0.9, "undecided"),  # 0.8 or 0.9: nobody knows
        (right(8, 1, 1), 0.8, "passed"),
        (right(7, 2, 1), 0.9, "failed"),
    ],
)
def test_accuracy(rows: Sequence[Row], limit: float, expected: str) -> None:
    (check,) = only({"accuracy": {"at_least": limit}}, campaign(rows))
    assert check.status == expected
    assert {f.instance for f in check.findings} == {r.index for r in rows if r.correct is not True}


def test_accuracy_per_class_names_the_worst() -> None:
    rows = right(9, 1, label=0) + right(5, 5, label=1)
    (check,) = only({"accuracy": {"per_class_at_least": 0.8}}, campaign(rows))
    assert check.status == "failed"
    assert "class 1: 5 of 10" in check.measured
    assert len(check.findings) == 5


def test_an_undecided_class_does_not_hide_a_failing_one() -> None:
    rows = right(8, 0, 2, label=0) + right(5, 5, label=1)
    assert status({"accuracy": {"per_class_at_least": 0.9}}, campaign(rows)) == ["failed"]


@pytest.mark.parametrize(
    ("states", "limit", "expected"),
    [
        (["proved"] * 9 + ["refuted"], 0.9, "passed"),
        (["proved"] * 8 + ["refuted"] * 2, 0.9, "failed"),
        (["proved"] * 8 + ["refuted", "undecided"], 0.9, "undecided"),
        (["proved"] * 8 + ["refuted", "timeout"], 0.9, "undecided"),
        (["proved"] * 8 + ["refuted", "not_run"], 0.9, "undecided"),
    ],
)
def test_certified_accuracy(states: list[Any], limit: float, expected: str) -> None:
    regions = {
        "linf:0.1": {
            f"k{i}": RegionRecord("r", state, predicted=0) for i, state in enumerate(states)
        }
    }
    rules = {"certified_accuracy": ({"region": "linf:0.1", "at_least": limit},)}
    assert status(rules, campaign(right(10), regions=regions)) == [expected]


def test_a_certified_wrong_prediction_is_not_certified_accuracy() -> None:
    rows = right(9, 1)
    regions = {
        "r": {r.key: RegionRecord("r", "proved", predicted=r.record.predicted) for r in rows}
    }
    rules = {"certified_accuracy": ({"region": "r", "at_least": 1.0},)}
    assert status(rules, campaign(rows, regions=regions)) == ["failed"]


@pytest.mark.parametrize(("final", "expected"), [(True, "failed"), (False, "undecided")])
def test_what_is_false_fails_and_what_is_unproved_is_undecided(final: bool, expected: str) -> None:
    rows = [row(0), without_proof(row(1))]
    regions = {"r": {r.key: RegionRecord(f"r{r.key}", "undecided", predicted=0) for r in rows}}
    complaints = {key: Complaint("not so", final) for key in ("k1", "rk0", "rk1")}
    found = campaign(rows, regions=regions, complaints=complaints)
    rules = {"certified_accuracy": ({"region": "r", "at_least": 0.1},)}
    assert status(rules, found) == [expected]
    (check,) = only({"certificates": {"accepted": "all"}}, found)
    assert (check.status, check.measured) == (expected, "1 of 2 certificates accepted")
    assert [(f.instance, f.text) for f in check.findings] == [(1, "not so")]


def sized(*sizes: int | None) -> Confirmed:
    return campaign(
        [
            row(i, sizes={"topk": {"status": "", "reason": "", "size": s}})
            for i, s in enumerate(sizes)
        ]
    )


@pytest.mark.parametrize(
    ("sizes", "limits", "expected"),
    [
        ((1, 2, 3), {"median_at_most": 2.0}, "passed"),
        ((1, 2, 3), {"median_at_most": 1.9}, "failed"),
        ((1, 2, 3, 100), {"median_at_most": 2.5}, "passed"),
        ((1, 2, 3, 100), {"p95_at_most": 99.0}, "failed"),
        (tuple(range(1, 101)), {"p95_at_most": 95.0}, "passed"),
        (tuple(range(1, 101)), {"p95_at_most": 94.0}, "failed"),
        ((1, None, None), {"median_at_most": 50.0}, "failed"),  # no proof in this vocabulary
    ],
)
def test_explanation_size(sizes: Any, limits: dict[str, float], expected: str) -> None:
    rules = {"explanation_size": ({"vocabulary": "topk", **limits},)}
    assert status(rules, sized(*sizes)) == [expected]


def test_witness_share() -> None:
    found = campaign([row(0, size=4, necessary=1), row(1, size=4, necessary=3)])
    assert status({"witness_share": {"at_least": 0.5}}, found) == ["passed"]
    assert status({"witness_share": {"at_least": 0.51}}, found) == ["failed"]


def test_vacuous() -> None:
    found = campaign([row(0, size=46, possible=51), row(1, size=45, possible=51)])
    (check,) = only({"vacuous": {"share_of_possible": 0.9, "at_most": 0.5}}, found)
    assert (check.status, [f.instance for f in check.findings]) == ("passed", [0])
    assert status({"vacuous": {"at_most": 0.49}}, found) == ["failed"]


def test_ambiguous() -> None:
    found = campaign(
        [
            row(0, 0, signature="same"),
            row(1, 0, signature="same"),  # the same class: nothing wrong with these two
            row(2, 1, signature="same"),
            row(3, 2, signature="other"),
        ]
    )
    (check,) = only({"ambiguous": {"at_most": 0.75}}, found)
    assert check.status == "passed"
    assert [f.instance for f in check.findings] == [0, 1, 2]
    assert status({"ambiguous": {"at_most": 0.74}}, found) == ["failed"]
    assert status({"ambiguous": {"at_most": 0.0}}, campaign(found.rows[:2])) == ["passed"]


def test_prototypes() -> None:
    model = facts(
        prototypes=4,
        contradictory=(2,),
        idle=(3,),
        prototype_class=(0, 0, 1, 1),
        nearest=((1, 0.0), (0, 0.0), (3, 0.5), (2, 0.5)),
    )
    found = campaign([row(0, prototypes=(0, 3))], model)
    for rule, expected in [
        ({"contradictory_prototypes": {"at_most": 0}}, [2]),
        ({"unused_prototypes": {"at_most": 2}}, [1, 2, 3]),
        ({"duplicate_prototypes": {"at_most": 1}}, [0, 1]),
        ({"duplicate_prototypes": {"at_most": 3, "squared_distance": 0.5}}, [0, 1, 2, 3]),
    ]:
        (check,) = only(rule, found)
        assert check.status == "failed"
        assert [f.prototype for f in check.findings] == expected
        name, limit = next(iter(rule.items()))
        assert status({name: limit | {"at_most": len(expected)}}, found) == ["passed"]


@pytest.mark.parametrize("state", ["undecided", "timeout", "memory", "error", "not_run", "refuted"])
def test_whatever_is_not_proved_counts(state: str) -> None:
    rows = [row(i) for i in range(9)] + [without_proof(row(9), state)]
    found = campaign(rows)
    (check,) = only({"undecided": {"at_most": 0.1}}, found)
    assert check.status == "passed"
    assert [f.instance for f in check.findings] == [9]
    assert f"1 {state}" in check.measured
    assert status({"undecided": {"at_most": 0.09}}, found) == ["undecided"]


def test_by_default_nothing_may_be_undecided() -> None:
    found = campaign([row(0), without_proof(row(1))])
    outcomes = list(checks(Rules.model_validate({"ambiguous": {"at_most": 1.0}}), found))
    assert overall(outcomes) == "undecided"


@pytest.mark.parametrize(
    "rules",
    [
        {"explanation_size": ({"vocabulary": "topk", "median_at_most": 9.0},)},
        {"witness_share": {"at_least": 0.0}},
        {"vacuous": {"at_most": 1.0}},
        {"ambiguous": {"at_most": 1.0}},
        {"certificates": {"accepted": "all"}},
    ],
)
def test_nothing_proved_is_nothing_passed(rules: dict[str, Any]) -> None:
    assert status(rules, campaign([without_proof(row(0))])) == ["undecided"]


def test_failed_outweighs_undecided() -> None:
    found = campaign([row(0, predicted=1), without_proof(row(1))])
    rules = Rules.model_validate({"accuracy": {"at_least": 1.0}})
    assert overall(list(checks(rules, found))) == "failed"


def against(old: Sequence[Row], new: Sequence[Row], rules: dict[str, Any]) -> list[Check]:
    found = compare(campaign(old, directory=Path("old")), campaign(new))
    return list(baseline_checks(BaselineRules.model_validate(rules), found))


def test_lost_proofs() -> None:
    old = [row(0), row(1), without_proof(row(2))]
    new = [row(0), without_proof(row(1)), row(2), row(3)]
    (check,) = against(old, new, {"lost_proofs": {"at_most": 0}})
    assert (check.status, [f.instance for f in check.findings]) == ("failed", [1])
    assert against(old, new, {"lost_proofs": {"at_most": 1}})[0].status == "passed"


def test_lost_regions() -> None:
    rows = right(3)
    old, new = (
        campaign(
            rows,
            regions={
                "r": {
                    r.key: RegionRecord("r", s, predicted=0)
                    for r, s in zip(rows, states, strict=True)
                },
                other: {r.key: RegionRecord("r", "proved", predicted=0) for r in rows},
            },
        )
        for other, states in (("then", ["proved"] * 3), ("now", ["proved", "refuted", "timeout"]))
    )
    found = compare(old, new)
    assert found.regions() == {"r": (3, 1)}
    rules = BaselineRules.model_validate({"lost_proofs": {"at_most": 0}})
    (check,) = baseline_checks(rules, found)
    assert check.status == "failed"
    assert [(f.instance, f.text) for f in check.findings] == [
        (1, "was certified over r, is refuted now"),
        (2, "was certified over r, is timeout now"),
    ]


def test_drift_is_the_mean_jaccard_distance() -> None:
    old = [row(0, prototypes=(1, 2)), row(1, prototypes=(1, 2, 3))]
    new = [row(0, prototypes=(1, 2)), row(1, prototypes=(3, 4), signature="new")]
    (check,) = against(old, new, {"drift": {"at_most": 0.375}})  # (0 + 3/4) / 2
    assert check.status == "passed"
    assert against(old, new, {"drift": {"at_most": 0.374}})[0].status == "failed"


def test_drift_without_common_proofs_is_undecided() -> None:
    (check,) = against([row(0)], [without_proof(row(0))], {"drift": {"at_most": 1.0}})
    assert check.status == "undecided"


def test_class_loss_is_on_balance() -> None:
    old = [*right(4, label=0), row(9, 1)]
    new = [row(0), row(1), row(2, predicted=1), row(3), row(9, 1)]
    (check,) = against(old, new, {"class_loss": {"at_most": 0.25}})
    assert check.status == "passed"
    (check,) = against(old, new, {"class_loss": {"at_most": 0.24}})
    assert (check.status, [f.instance for f in check.findings]) == ("failed", [2])


@pytest.mark.parametrize(
    ("levels", "expected"), [("FF", "passed"), ("FR", "failed"), ("RR", "failed")]
)
def test_a_certificate_at_level_r_violates_a_policy_that_asks_for_f(
    levels: str, expected: str
) -> None:
    found = campaign([row(k, level=level) for k, level in enumerate(levels)])
    rules = Rules.model_validate({"certificates": {"accepted": "all", "level": "F"}})
    outcomes = {check.rule: check.status for check in checks(rules, found)}
    assert outcomes["level"] == expected
    assert "level" not in {check.rule for check in checks(Rules.model_validate(
        {"certificates": {"accepted": "all"}}), found)}  # fmt: skip


@pytest.mark.parametrize(
    ("objections", "expected"),
    [
        ({}, "passed"),
        ({0: Objection("not covered by the kernel: trees")}, "undecided"),
        ({0: Objection("not covered"), 1: Objection("contradicted", final=True)}, "failed"),
        (None, "undecided"),
    ],
)
def test_a_policy_may_ask_for_the_machine_checked_kernel(
    objections: dict[int, Objection] | None, expected: str
) -> None:
    found = campaign([row(k) for k in range(2)])
    told = None
    if objections is not None:
        told = {found.rows[k].key: objection for k, objection in objections.items()}
    rules = Rules.model_validate({"certificates": {"accepted": "all", "kernel": "required"}})
    outcomes = {check.rule: check for check in checks(rules, found, told)}
    assert outcomes["kernel"].status == expected
    assert len(outcomes["kernel"].findings) == len(objections or {})
