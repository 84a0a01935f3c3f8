"""JUnit XML: a suite per model and check, a case per instance; what CI systems show as tests."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from protoproof.gate.outcome import Check, GateResult, clean


def to_junit(result: GateResult) -> bytes:
    """The document.

    Each suite's first case is the rule itself. Instances and prototypes that a check complains
    about are failures only if the check did not pass; otherwise they are within what the policy
    allows.
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
    cases = [_case(model, check, check.id, clean(check.message), check.status)]
    complaints = {finding.name: clean(finding.text) for finding in check.findings}
    about_instances = not any(finding.prototype is not None for finding in check.findings)
    names = [row.shown for row in result.rows] if about_instances else []
    for name in dict.fromkeys([*names, *complaints]):
        complaint = complaints.get(name)
        status = check.status if complaint is not None else "passed"
        cases.append(_case(model, check, name, complaint, status))
    failures = sum(case.find("failure") is not None for case in cases)
    suite = Xml.Element(
        "testsuite",
        name=f"{model}: {check.id}",
        tests=str(len(cases)),
        failures=str(failures),
        errors="0",
        skipped="0",
    )
    suite.extend(cases)
    return suite


def _case(model: str, check: Check, name: str, text: str | None, status: str) -> Xml.Element:
    case = Xml.Element("testcase", classname=f"{model}.{check.rule}", name=name)
    if text is not None and status != "passed":
        failure = Xml.SubElement(case, "failure", message=text, type=status)
        failure.text = text
    elif text is not None:
        Xml.SubElement(case, "system-out").text = text
    return case
