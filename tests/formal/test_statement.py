"""The statement says what is claimed, all of it, and nothing of how it is proved."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import Core, Envelope, IntervalEvidence
from protoproof.errors import CertificateError
from protoproof.kernel import ModelFile
from protoproof.kernel.statement import digest, statement
from tests.support.kernel.algebra import NAMES, made
from tests.support.kernel.builders import file, pair_core, scene
from tests.support.kernel.given import Given, honest
from tests.support.sources import ROOT


def stated(name: str, change: Callable[[Core], Core] = lambda core: core) -> str:
    here = made(name, 0)
    return statement(canonical_bytes(Envelope(core=change(honest(here)))), Given(here))


def test_the_statement_of_a_file_is_the_one_that_was_written_by_hand() -> None:
    here = scene(5)
    core = pair_core(here)
    lines = statement(file(core), ModelFile(here.data)).split("\n")
    assert lines[0] == "protoproof.statement/1"
    assert lines[1] == f"model {core.model.sha256}"
    locations = len(here.latent)
    assert f"locations {locations} {' '.join(['0'] * locations)}" in lines
    at = next(k for k, line in enumerate(lines) if line.startswith("latent "))
    unit = 2.0 ** -int(lines[at].split()[1])
    found = [[int(n) * unit for n in line.split()] for line in lines[at + 1 : at + 1 + locations]]
    assert found == here.latent.tolist()
    at = next(k for k, line in enumerate(lines) if line.startswith("points "))
    unit = 2.0 ** -int(lines[at].split()[1])
    rows = lines[at + 1 : at + 1 + len(here.tiny.prototypes)]
    assert [[int(n) * unit for n in row.split()] for row in rows] == here.tiny.prototypes.tolist()
    assert f"claim class {core.instance.predicted}" in lines
    assert sum(line.startswith("pair ") for line in lines) == len(core.facts)


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_head_has_a_statement(name: str) -> None:
    text = stated(name)
    assert text == stated(name)
    assert text.isascii()
    assert text.endswith("\nend\n")
    assert "  " not in text


def test_evidence_is_no_part_of_it() -> None:
    def other(core: Core) -> Core:
        return core.model_copy(update={"evidence": IntervalEvidence(), "witnesses": ()})

    assert stated("distances", other) == stated("distances")


def changed_instance(**changes: Any) -> Callable[[Core], Core]:
    return lambda core: core.model_copy(
        update={"instance": core.instance.model_copy(update=changes)}
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda core: core.model_copy(update={"facts": core.facts[1:]}),
        changed_instance(predicted=7),
        changed_instance(input_sha256="1" * 64),
    ],
    ids=["facts", "class", "input"],
)
def test_another_claim_is_another_statement(change: Callable[[Core], Core]) -> None:
    assert digest(stated("distances", change)) != digest(stated("distances"))


@pytest.mark.parametrize(
    ("routing", "word"),
    [("distributed", "leaves"), ("greedy", "greedy"), ("sample-max", "sample-max")],
)
def test_a_tree_is_stated_as_the_certificate_routes_it(routing: str, word: str) -> None:
    def other(core: Core) -> Core:
        model = core.model.model_copy(update={"routing": routing})
        return core.model_copy(update={"model": model})

    assert f"\ndecision {word} " in stated("a tree of distances", other)


def test_another_model_is_refused() -> None:
    here = scene(5)
    with pytest.raises(CertificateError, match="another model"):
        statement(file(pair_core(here)), ModelFile(here.data + b" "))


def test_what_has_to_be_believed_is_counted() -> None:
    readme = (ROOT / "verifier" / "formal" / "README.md").read_text("utf-8")
    homes = ROOT / "verifier" / "formal", ROOT / "verifier"
    counted = re.findall(r"^\| `([\w/.]+)` \| (\d+) \|", readme, re.MULTILINE)
    assert len(counted) == 12
    for name, lines in counted:
        path = next(home / name for home in homes if (home / name).is_file())
        assert len(path.read_text("utf-8").splitlines()) == int(lines), name
    front = (ROOT / "README.md").read_text("utf-8")
    assert f"one file of definitions ({counted[0][1]} lines)" in front
