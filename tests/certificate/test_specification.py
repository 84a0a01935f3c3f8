"""The page that another checker can be written from says what schema and code say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from protoproof.certificate import strict_json
from protoproof.certificate.schema import SCHEMA, json_schema
from protoproof.kernel import budget
from protoproof.kernel.arithmetic import exact
from protoproof.kernel.encoder import partition
from protoproof.kernel.latent import case_tree, size, value
from protoproof.kernel.model.primitives import PRIMITIVES
from protoproof.kernel.obligations import RULES
from tests.support.sources import ROOT

TEXT = (ROOT / "specs" / "certificate.md").read_text(encoding="utf-8")
WORDS = set(re.findall(r"`([^`\n]+)`", TEXT))


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for part in schema.values():
            yield from _parts(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _parts(part)


FIELDS = {name for part in _parts(json_schema()) for name in part.get("properties", {})}
VALUES = {
    word
    for part in _parts(json_schema())
    for word in [*part.get("enum", []), part.get("const")]
    if isinstance(word, str)
}


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_every_field_occurs(field: str) -> None:
    assert field in WORDS


@pytest.mark.parametrize("value_", sorted(VALUES))
def test_every_value_occurs(value_: str) -> None:
    assert value_ in WORDS


def test_every_function_of_a_chain_occurs() -> None:
    assert set(PRIMITIVES) <= WORDS


def test_obligations_are_numbered_alike() -> None:
    table = TEXT.partition("## Obligations")[2].partition("*Rejected*")[0]
    rows = re.findall(r"^\| (\d+) \| ([\w ]+) \| ([\d, ]*)\| \S", table, re.MULTILINE)
    stated = [(int(n), name, tuple(map(int, re.findall(r"\d+", needs)))) for n, name, needs in rows]
    assert stated == [(rule.number, rule.name, rule.needs) for rule in RULES]
    for rule in RULES:
        assert (rule.examine.__doc__ or "").startswith(f"{rule.number}. ")


def test_the_spelling_of_numbers_is_that_of_the_code() -> None:
    spelled = [word for word in WORDS if re.fullmatch(r"-?0x\d\.[0-9a-f]+p[+-]\d+", word)]
    assert sorted(spelled) == ["0x0.0p+0", "0x1.8000000000000p+1"]
    for word in spelled:
        assert exact.hex_ratio(word) == float.fromhex(word).as_integer_ratio()


def test_limits_are_those_of_the_code() -> None:
    for words in (
        f"at most {strict_json.MAX_BYTES >> 20} MiB",
        f"{strict_json.MAX_DEPTH} levels of nesting",
        f"{strict_json.MAX_VALUES:,} commas",
        f"has at most {strict_json.MAX_MEMBERS},",
        f"at most {strict_json.MAX_INTEGER_DIGITS} digits",
        f"at most {strict_json.MAX_FLOAT_LENGTH} characters",
        f"at most {case_tree.MAX_DEPTH} splits above a leaf",
        f"at most {size._DEPTH} splits above a leaf",
        f"at most {partition.MAX_DEPTH} cuts above a part",
        f"at most {value.IRRATIONAL_STEPS} steps of float64",
        f"({', '.join(map(str, exact.PRECISIONS))} bits",
        f"multiples of 2^-{exact.GRID}",
        f"2^{budget.MAX_STEPS.bit_length() - 1} steps",
        f"2^{budget.MAX_BYTES.bit_length() - 1} bytes",
        f"`{SCHEMA}`",
    ):
        assert words.lower() in " ".join(TEXT.split()).lower(), words
