"""The second reader and the kinds of heads of the list."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from protoproof.kernel import ModelFile
from tests.support.foreign.families import CERTIFIED
from tests.support.foreign.family import Family
from tests.support.foreign.found import loaded
from tests.support.reading import plain_reading, reads
from tests.support.sources import ROOT

Exported = Callable[[Family, str], Path]

ALWAYS = ("cosine",)


@reads
@pytest.mark.parametrize(
    ("family", "exporter"),
    [
        pytest.param(
            family,
            exporter,
            id=f"{family.name}-{exporter}",
            marks=() if family.name in ALWAYS else pytest.mark.sweep,
        )
        for family, exporter in CERTIFIED
    ],
)
def test_heads_of_the_list_are_read_alike(
    family: Family, exporter: str, exported: Exported
) -> None:
    path = exported(family, exporter)
    network, _, output = loaded(path, family.output)
    reading = plain_reading(ModelFile.read(path), network.recognised.latents, output)
    assert str(reading).startswith("second reading: confirmed")


def test_the_number_of_heads_that_are_read_alike_is_stated() -> None:
    readme = (ROOT / "verifier" / "formal" / "README.md").read_text("utf-8")
    stated = re.search(r"(\d+) of the (\d+) files of\s+the list of foreign heads", readme)
    assert stated is not None
    assert tuple(map(int, stated.groups())) == (len(CERTIFIED), len(CERTIFIED))
