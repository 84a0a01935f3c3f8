"""SARIF 2.1.0: what did not pass, each with the line of the policy that asks for it; and whom the
policy sends to a person, of the kind ``review``."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

from protoproof.gate.outcome import RULES, Check, GateResult, clean
from protoproof.version import VERSION

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_SHOWN = 10


def to_sarif(result: GateResult) -> dict[str, Any]:
    """The log: one run; a result per check that did not pass, or sends anybody to a person."""
    failing = [c for c in result.checks if c.status != "passed" or (c.refers and c.findings)]
    rules = sorted({check.rule for check in failing}, key=list(RULES).index)
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "ProtoProof",
                        "version": VERSION,
                        "rules": [_rule(rule) for rule in rules],
                    }
                },
                "automationDetails": {"id": f"protoproof/{clean(result.model['name'])}/"},
                "invocations": [
                    {"executionSuccessful": result.stopped is None, "exitCode": result.exit_code}
                ],
                "results": [_result(result, check, rules.index(check.rule)) for check in failing],
                "columnKind": "unicodeCodePoints",
                "properties": dict(
                    zip(("explanations", "predictions"), result.signals, strict=True)
                ),
            }
        ],
    }


def fingerprint(result: GateResult, check: Check) -> str:
    """Equal for the same complaint about the same network, whatever was measured this time."""
    parts = (result.model["name"], result.policy.policy.name, check.id)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()


def _rule(rule: str) -> dict[str, Any]:
    return {
        "id": rule,
        "name": "".join(word.capitalize() for word in rule.split("_")),
        "shortDescription": {"text": RULES[rule]},
        "defaultConfiguration": {"level": "error"},
    }


def _result(result: GateResult, check: Check, index: int) -> dict[str, Any]:
    shown = "; ".join(f"{f.name}: {f.text}" for f in check.findings[:_SHOWN])
    more = len(check.findings) - _SHOWN
    text = f"{result.model['name']}: {check.message}." + (f" {shown}" if shown else "")
    # nobody knows is no reason to release, and no reason to call the network bad
    level = {"level": "error" if check.status == "failed" else "warning"}
    return {
        "ruleId": check.rule,
        "ruleIndex": index,
        **({"kind": "review", "level": "none"} if check.status == "passed" else level),
        "message": {"text": clean(text) + (f"; and {more} more" if more > 0 else "")},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(result.policy.path)},
                    "region": {"startLine": result.policy.line(check.place)},
                }
            }
        ],
        "partialFingerprints": {"protoproofCheck/v1": fingerprint(result, check)},
        "properties": {
            "status": check.status,
            "measured": clean(check.measured),
            "limit": clean(check.limit),
            "findings": len(check.findings),
        },
    }


def _uri(path: Path) -> str:
    """Relative to the root of the repository that holds the file: readers join it to theirs.

    Outside of any repository, relative to the working directory where it lies below that.
    """
    absolute = path.resolve()
    # a directory, or in a further work tree a file
    roots = [folder for folder in absolute.parents if (folder / ".git").exists()]
    root = roots[0] if roots else Path.cwd()
    if absolute.is_relative_to(root):
        return quote(absolute.relative_to(root).as_posix())
    return absolute.as_uri()
