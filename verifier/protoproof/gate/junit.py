"""JUnit XML: a suite per model and check, a case per instance; what CI systems show as tests."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from protoproof.gate.first_release import WORDS as FIRST
from protoproof.gate.outcome import Check, GateResult, clean

# rules that look at explanations, and say nothing of an instance that has none
_OF_PROOFS = frozenset(
    {"explanation_size", "witness_share", "vacuous", "ambiguous", "certificates", "level", "kernel"}
)


def to_junit(result: GateResult) -> bytes:
    """The document.

    Each suite's first case is the rule itself. Instances and prototypes that a check complains
    about are failures only if the check did not pass; otherwise they are within what the policy
    allows. Whom a check sends to a person is none in any case: that is written down with the case.
    What a check did not look at is skipped, never a passed test.
    """
    root = Xml.Element("testsuites", name=f"protoproof gate: {clean(result.policy.policy.name)}")
    totals = [0, 0]
    for check in result.checks:
        suite = _suite(result, check)
        root.append(suite)
        totals[0] += int(suite.attrib["tests"])
        totals[1] += int(suite.attrib["failures"])
    root.set("tests", str(totals[0]))
    root.set("failures", str(totals[1]))
    root.set("errors", "0")
    Xml.indent(root)
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + Xml.tostring(root).strip() + b"\n"


def _suite(result: GateResult, check: Check) -> Xml.Element:
    model = clean(result.model["name"])
    first = FIRST if check.measured == FIRST else None
    own = "skipped" if first and check.status == "passed" else check.status
    cases = [_case(model, check, check.id, clean(check.message), own)]
    sent = "sent to a person: " if check.refers else ""
    complaints = {finding.name: sent + clean(finding.text) for finding in check.findings}
    about_instances = not any(finding.prototype is not None for finding in check.findings)
    unseen = {
        row.shown: first or "not proved"
        for row in result.rows
        if first or (check.rule in _OF_PROOFS and row.record.state != "proved")
    }
    names = [row.shown for row in result.rows] if about_instances else []
    for name in dict.fromkeys([*names, *complaints]):
        complaint, why = complaints.get(name), unseen.get(name)
        if complaint is None and why is not None:
            cases.append(_case(model, check, name, why, "skipped"))
            continue
        status = check.status if complaint is not None and not check.refers else "passed"
        cases.append(_case(model, check, name, complaint, status))
    failures = sum(case.find("failure") is not None for case in cases)
    skipped = sum(case.find("skipped") is not None for case in cases)
    suite = Xml.Element(
        "testsuite",
        name=f"{model}: {check.id}",
        tests=str(len(cases)),
        failures=str(failures),
        errors="0",
        skipped=str(skipped),
    )
    suite.extend(cases)
    return suite


def _case(model: str, check: Check, name: str, text: str | None, status: str) -> Xml.Element:
    case = Xml.Element("testcase", classname=f"{model}.{check.rule}", name=name)
    if status == "skipped":
        Xml.SubElement(case, "skipped", message=text or "")
    elif text is not None and status != "passed":
        failure = Xml.SubElement(case, "failure", message=text, type=status)
        failure.text = text
    elif text is not None:
        Xml.SubElement(case, "system-out").text = text
    return case
