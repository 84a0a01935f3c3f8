"""The tables of families in the documents say what was measured; every explanation is proved."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from protoproof.resources import ZOO, zoo_path
from tests.benchmarks.families import (
    PAGE,
    README,
    full_size,
    kernels,
    page,
    with_table,
    zoo,
)


def test_the_readme_is_up_to_date() -> None:
    text = README.read_text(encoding="utf-8")
    assert text == with_table(text)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("row", zoo(), ids=lambda row: row["method"])
def test_every_certificate_was_accepted_of_the_networks_as_they_are(row: dict[str, Any]) -> None:
    content = zoo_path(row["method"]).read_bytes()
    assert row["network"] == hashlib.sha256(content).hexdigest()
    assert row["proved"] == row["images"]
    assert not row["open"]


def test_both_kernels_were_asked_of_every_network_as_it_is() -> None:
    rows = kernels()
    assert [row["method"] for row in rows] == list(ZOO)
    for row in rows:
        content = zoo_path(row["method"]).read_bytes()
        assert row["network"] == hashlib.sha256(content).hexdigest()
        assert row["both"] == row["certificates"] >= 1000, row["method"]


def test_networks_of_full_size_are_explained_and_checked() -> None:
    rows = full_size()
    assert {"resnet34", "vgg19", "densenet121"} <= {row["method"] for row in rows}
    for row in rows:
        for word, one in row["explained"].items():
            assert one["verdict"] == "proved", (row["method"], word)
            assert one["check_s"] > 0
            assert one["necessary"] <= one["facts"]
