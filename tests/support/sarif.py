"""A strict reader of SARIF 2.1.0 logs, written from the standard.

It knows only the properties that we write, demands those that the standard demands (its sections
are named), and refuses every other one: what passes here uses nothing but known parts rightly.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

Reader = Callable[[Any, str], None]


class NotSarifError(AssertionError):
    """The document breaks the standard, at a place."""


def _fail(where: str, what: str) -> None:
    raise NotSarifError(f"{where}: {what}")


def an_object(required: dict[str, Reader], optional: dict[str, Reader] | None = None) -> Reader:
    known = required | (optional or {})

    def read(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            _fail(where, "not an object")
        if missing := required.keys() - value.keys():
            _fail(where, f"lacks {sorted(missing)}")
        if unknown := value.keys() - known.keys():
            _fail(where, f"has {sorted(unknown)}")
        for name, member in value.items():
            known[name](member, f"{where}.{name}")

    return read


def a_list(item: Reader, unique: bool = False) -> Reader:
    def read(value: Any, where: str) -> None:
        if not isinstance(value, list):
            _fail(where, "not a list")
        for number, member in enumerate(value):
            item(member, f"{where}[{number}]")
        if unique and any(value.count(member) > 1 for member in value):
            _fail(where, "items are not unique")

    return read


def text(value: Any, where: str) -> None:
    if not isinstance(value, str) or not value:
        _fail(where, "not a text")


def one_of(*values: str) -> Reader:
    def read(value: Any, where: str) -> None:
        if value not in values:
            _fail(where, f"{value!r} is none of {values}")

    return read


def number_from(least: int) -> Reader:
    def read(value: Any, where: str) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            _fail(where, f"{value!r} is no integer from {least}")

    return read


def boolean(value: Any, where: str) -> None:
    if not isinstance(value, bool):
        _fail(where, "not a boolean")


def texts(value: Any, where: str) -> None:
    if not isinstance(value, dict):
        _fail(where, "not an object")
    for name, member in value.items():
        text(member, f"{where}.{name}")


def bag(value: Any, where: str) -> None:
    """3.8: a property bag holds anything; ``tags`` would have a meaning of its own."""
    if not isinstance(value, dict) or "tags" in value:
        _fail(where, "not a property bag as we write them")


def uri_reference(value: Any, where: str) -> None:
    """3.4.3: an RFC 3986 reference; 3.10.1 for files: no backslash, nothing unescaped."""
    text(value, where)
    if not re.fullmatch(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+", value):
        _fail(where, "not a URI reference")
    parts = urlsplit(value)
    if parts.scheme not in ("", "file", "https") or ".." in parts.path.split("/"):
        _fail(where, "neither relative below its root nor an absolute address")


MESSAGE = an_object({"text": text})  # 3.11
LEVEL = one_of("none", "note", "warning", "error")  # 3.27.10
RULE = an_object(  # 3.49
    {"id": text},
    {
        "name": text,
        "shortDescription": MESSAGE,
        "defaultConfiguration": an_object({}, {"level": LEVEL}),
    },
)
LOCATION = an_object(  # 3.28, 3.29, 3.30
    {
        "physicalLocation": an_object(
            {
                "artifactLocation": an_object({"uri": uri_reference}),
                "region": an_object({"startLine": number_from(1)}),
            }
        )
    }
)
RESULT = an_object(  # 3.27
    {"message": MESSAGE},
    {
        "ruleId": text,
        "ruleIndex": number_from(0),
        "level": LEVEL,
        "locations": a_list(LOCATION),
        "partialFingerprints": texts,
        "properties": bag,
    },
)
RUN = an_object(  # 3.14
    {
        "tool": an_object(
            {
                "driver": an_object(
                    {"name": text}, {"version": text, "rules": a_list(RULE, unique=True)}
                )
            }
        )
    },
    {
        "automationDetails": an_object({}, {"id": text}),
        "invocations": a_list(
            an_object({"executionSuccessful": boolean}, {"exitCode": number_from(0)})
        ),
        "results": a_list(RESULT),
        "columnKind": one_of("utf16CodeUnits", "unicodeCodePoints"),
        "properties": bag,
    },
)
LOG = an_object({"version": one_of("2.1.0"), "runs": a_list(RUN)}, {"$schema": uri_reference})


def validate(log: Any) -> None:
    """Raise :class:`NotSarifError` unless the log follows the standard, references included."""
    LOG(log, "log")
    for run in log["runs"]:
        rules = run["tool"]["driver"].get("rules", [])
        identifiers = [rule["id"] for rule in rules]
        if len(set(identifiers)) != len(identifiers):
            _fail("rules", "an id occurs twice")
        for number, result in enumerate(run.get("results", [])):
            # 3.27.6, 3.52.4: the index refers to the rule with the id
            if identifiers[result["ruleIndex"]] != result["ruleId"]:
                _fail(f"results[{number}]", "ruleIndex and ruleId disagree")
            for name in result["partialFingerprints"]:  # 3.27.17: names end in their version
                if not re.fullmatch(r"[\w/]+/v\d+", name):
                    _fail(f"results[{number}]", f"fingerprint {name!r} has no version")
