"""What the checker accepts, the machine-checked kernel proves; what is false, it does not."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.heldout import heldout
from protoproof import explain
from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import Core, Envelope, Fact, Witness
from protoproof.formal import prove, verify
from protoproof.formal.program import VARIABLE
from protoproof.formal.proof import proof
from protoproof.kernel import ModelFile, check
from protoproof.kernel.budget import Budget
from protoproof.kernel.statement import digest, write
from protoproof.network import load
from protoproof.resources import ZOO, zoo_path
from tests.support.cases import proved
from tests.support.cli import protoproof
from tests.support.examples import examples
from tests.support.formal import built, false_statements, one_number_changed, says
from tests.support.kernel.algebra import COUNT, NAMES, Made, losing, made, tight_activation
from tests.support.kernel.builders import bound_of, ceiling_core, file, pair_core, scene, topk_core
from tests.support.kernel.given import Given, honest, report_of
from tests.support.kernel.moves import with_witnesses
from tests.support.kernel.relational import fewest, needs_forms, relational_core

SWEEP = pytest.mark.sweep


def witnessed(here: Made, core: Core) -> Core:
    """The certificate with a witness, where one is found in few attempts."""
    for rival, moves in itertools.islice(losing(here, np.random.default_rng(5)), 5):
        more = core.model_copy(update={"witnesses": (Witness(fact=0, rival=rival, moves=moves),)})
        if report_of(here, more).accepted:
            return more
    return core


def some_cores(here: Made, rng: np.random.Generator) -> Iterator[Core]:
    """Certificates of some facts, as exact as they may be or wider; not all of them suffice."""
    for trial in range(6):
        keep = [j for j in range(COUNT) if rng.random() < 0.7]
        room = 0.0 if trial % 2 else 10.0 ** rng.uniform(-4, -1)
        facts: list[Fact] = [
            here.activation_fact(j, room) if room else tight_activation(here.exact, j) for j in keep
        ]
        if len(keep) < COUNT and (not facts or rng.random() < 0.4):
            facts.append(here.ceiling(tuple(keep), 0.01))
        for location, j in here.measured() if rng.random() < 0.5 else ():
            facts += [here.pair(location, j, 0.01)] if rng.random() < 0.6 else []
        yield here.core(tuple(facts))


@built
@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_head_is_proved(name: str) -> None:
    here = made(name, 0)
    core = witnessed(here, honest(here))
    answer = prove(canonical_bytes(Envelope(core=core)), Given(here))
    assert answer.proved
    assert len(answer.necessary) == len(core.witnesses)


@built
@pytest.mark.parametrize("name", NAMES)
def test_false_statements_are_not_proved(name: str) -> None:
    here = made(name, 1)
    core = honest(here)
    with Budget().active():
        bound = Given(here).bound(core.model.latent, core.model.output)
        statement = write(core, bound)
        evidence = next(
            text
            for text in (proof(core, bound.head, more) for more in range(3))
            if says(statement, text, core)
        )
    for word, other in false_statements(statement):
        assert not says(other, evidence, core), word


@built
@pytest.mark.parametrize("name", [pytest.param(name, marks=SWEEP) for name in NAMES])
def test_what_the_checker_accepts_is_proved(name: str) -> None:
    """Facts that leave values to the domain, to other locations, or to ceilings."""
    for seed in range(4):
        here = made(name, seed)
        for core in some_cores(here, np.random.default_rng(seed)):
            if report_of(here, core).accepted:
                answer = prove(canonical_bytes(Envelope(core=core)), Given(here))
                assert answer.proved, (seed, core.facts)


def without(core: Core, index: int) -> Core:
    facts = (*core.facts[:index], *core.facts[index + 1 :])
    return core.model_copy(update={"facts": facts})


# what bounds a value in these is asked of no other kind
RANGES = {
    "scaled distances in a box": "scaled",
    "enclosed scales of distances in a box": "scaled",
    "angles with own floors": "span",
    "angles of a box": "span",
}


@built
@pytest.mark.parametrize("name", RANGES)
def test_what_the_domain_alone_says_is_proved(name: str) -> None:
    """The fact about a value that matters little is missing: its range has to do."""
    here, core = next(
        (here, fewer)
        for here in (made(name, seed) for seed in range(20))
        for index in range(COUNT)
        for fewer in (without(honest(here), index),)
        if report_of(here, fewer).accepted
    )
    with Budget().active():
        bound = Given(here).bound(core.model.latent, core.model.output)
        statement, evidence = write(core, bound), proof(core, bound.head)
    assert any(line.startswith(RANGES[name]) for line in evidence.split("\n"))
    assert says(statement, evidence, core)


@built
@examples(2, 24)
@given(seed=st.integers(0, 10**6))
def test_pairs_and_forms_are_proved(seed: int) -> None:
    here = scene(seed)
    cores = [pair_core(here), topk_core(here), ceiling_core(here, 2, 1)]
    cores.append(relational_core(here, fewest(here)))
    cores.append(relational_core(here, fewest(here), box=True))
    for core in cores:
        content, model = file(core), ModelFile(here.data)
        if check(content, model).accepted:
            assert verify(content, model).proved


@built
@pytest.mark.parametrize("seed", [2, 14, 20, 21, 11893])
@pytest.mark.parametrize("box", [False, True])
def test_forms_that_prove_less_than_intervals_are_no_hindrance(seed: int, box: bool) -> None:
    here = scene(seed)
    content, model = file(relational_core(here, fewest(here), box=box)), ModelFile(here.data)
    assert check(content, model).accepted
    assert verify(content, model).proved


@built
@pytest.mark.parametrize(
    ("similarity", "seed"), [("log_ratio", 0), ("exponential", 12), ("reciprocal", 5)]
)
def test_what_needs_forms_is_proved(similarity: str, seed: int) -> None:
    here, named = needs_forms(seed, similarity)
    answer = verify(file(relational_core(here, named)), ModelFile(here.data))
    assert answer.proved


@built
@pytest.mark.parametrize("seed", [11, 19, 95, 97])
def test_proofs_by_cases_are_proved(seed: int) -> None:
    here = proved(seed)
    content = json.dumps(here.document).encode()
    assert verify(content, ModelFile(here.network.data)).proved


@built
def test_a_second_split_by_the_same_location_is_proved() -> None:
    here = proved(19)
    document = copy.deepcopy(here.document)
    count = document["core"]["instance"]["locations"]
    for tree in document["core"]["evidence"]["cases"]:
        nodes = tree["nodes"]
        split = nodes[0]
        assert split["kind"] == "place"
        children = len(split["locations"]) + (len(split["locations"]) < count)
        tree["nodes"] = [split, *nodes * children]
    content, model = json.dumps(document).encode(), ModelFile(here.network.data)
    assert check(content, model).accepted
    assert verify(content, model).proved


@built
@pytest.mark.parametrize(
    "name",
    [
        name if name in ("mnist-shots", "motion-labels") else pytest.param(name, marks=SWEEP)
        for name in ZOO
    ],
)
def test_explanations_of_the_zoo_are_proved(name: str) -> None:
    network, model = load(zoo_path(name)), ModelFile.read(zoo_path(name))
    x = heldout(name, 3).x
    for index, vocabulary in enumerate(("auto", "topk", "mixed")):
        found = explain(network, x[index], vocabulary=vocabulary, timeout=20)
        if found.certificate is not None:
            answer = verify(canonical_bytes(found.certificate), model)
            assert answer.proved, (vocabulary, answer)


@built
@pytest.mark.parametrize("seed", [3, 4])
@pytest.mark.parametrize("box", [False, True])
def test_witnesses_are_proved(seed: int, box: bool) -> None:
    here, core = with_witnesses(seed, box)
    answer = verify(file(core), ModelFile(here.data))
    assert answer.proved
    assert set(answer.necessary) == {witness.fact for witness in core.witnesses}


@built
def test_no_change_of_a_proof_proves_what_is_false() -> None:
    """A changed proof may prove the true statement still; a false one it never does."""
    here, rng = scene(5), np.random.default_rng(5)
    core = relational_core(here, fewest(here))
    with Budget().active():
        bound = bound_of(here.data)
        statement, evidence = write(core, bound), proof(core, bound.head)
    wrong = [other for _, other in false_statements(statement)]
    for _ in range(20):
        other = one_number_changed(evidence, rng)
        assert not any(says(each, other, core) for each in wrong)


@built
def test_the_command_says_what_the_kernel_proved(tmp_path: Path) -> None:
    here = scene(5)
    (tmp_path / "c.json").write_bytes(file(pair_core(here)))
    (tmp_path / "m.onnx").write_bytes(here.data)
    result = protoproof("check", tmp_path / "c.json", tmp_path / "m.onnx", "--kernel")
    assert result.code == 0
    assert "kernel   sufficient" in result.out


def test_a_missing_kernel_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = scene(5)
    (tmp_path / "c.json").write_bytes(file(pair_core(here)))
    (tmp_path / "m.onnx").write_bytes(here.data)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nothing"))
    result = protoproof("check", tmp_path / "c.json", tmp_path / "m.onnx", "--kernel")
    assert result.code == 2
    assert "make kernel" in result.err
    assert len(result.err.strip().splitlines()) == 1


def test_the_statement_is_written_and_its_hash_is_shown(tmp_path: Path) -> None:
    here = scene(5)
    (tmp_path / "c.json").write_bytes(file(pair_core(here)))
    (tmp_path / "m.onnx").write_bytes(here.data)
    target = tmp_path / "statement.txt"
    result = protoproof("check", tmp_path / "c.json", tmp_path / "m.onnx", "--statement", target)
    assert result.code == 0
    assert f"statement: {digest(target.read_text())}" in result.out
