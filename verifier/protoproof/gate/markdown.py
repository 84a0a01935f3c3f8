"""Markdown for a pull request's comment or a job's summary."""

from __future__ import annotations

import re

from protoproof.gate.outcome import GateResult, clean

_MARKS = {"passed": "✅", "failed": "❌", "undecided": "❔"}
_SHOWN = 10


def to_markdown(result: GateResult) -> str:
    """A heading with the answer, a table of checks, the complaints of those that fail, and whom a
    person is to look at."""
    name, data = _inert(result.model["name"]), _inert(result.data["name"])
    policy = _inert(result.policy.policy.name)
    states = ", ".join(f"{count} {state}" for state, count in result.states.items() if count)
    signals = ", ".join(result.signals)
    lines = [
        f"## {_MARKS[result.outcome]} ProtoProof gate {result.outcome}: {name}",
        "",
        f"Policy **{policy}**, data **{data}**, {len(result.rows)} instances ({states}).  ",
        f"{signals}.  ",
        f"Model sha256 `{result.model['sha256']}`",
        "",
        "| | check | measured | asked for |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {_MARKS[check.status]} | {_inert(check.id)} | {_inert(check.measured)} "
        f"| {_inert(check.limit)} |"
        for check in result.checks
    ]
    for check in result.checks:
        if not check.findings or (check.status == "passed" and not check.refers):
            continue
        what = "to be looked at by a person" if check.refers else _inert(check.id)
        lines += ["", f"<details><summary>{what}: {len(check.findings)}</summary>", ""]
        lines += [f"- {_inert(f.name)}: {_inert(f.text)}" for f in check.findings[:_SHOWN]]
        if len(check.findings) > _SHOWN:
            lines.append(f"- and {len(check.findings) - _SHOWN} more (see gate.json)")
        lines += ["", "</details>"]
    return "\n".join(lines) + "\n"


def _inert(text: str) -> str:
    """Text that a Markdown reader shows as it is: no markup, links, mentions or HTML."""
    escaped = re.sub(r"([\\`*_{}\[\]()#+!|~$-])", r"\\\1", clean(text))
    entities = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("@", "&#64;"), (":", "&#58;"))
    for character, entity in entities:
        escaped = escaped.replace(character, entity)
    return escaped
