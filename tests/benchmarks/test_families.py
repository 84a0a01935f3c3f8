"""The tables of families in the documents say what was measured; every explanation is proved."""

from __future__ import annotations

import pytest

from protoproof.resources import ZOO
from tests.benchmarks.families import PAGE, README, page, rows_of, with_table


def test_the_readme_is_up_to_date() -> None:
    text = README.read_text(encoding="utf-8")
    assert text == with_table(text)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("name", ZOO)
def test_every_zoo_network_was_measured_and_every_certificate_accepted(name: str) -> None:
    (row,) = rows_of(f"heldout-{name}")
    assert row["method"] == name
    assert row["proved"] == row["images"]
    assert not row["open"]
