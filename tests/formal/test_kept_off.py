"""What ceilings say about prototypes beside those they bind, by the machine-checked kernel."""

from __future__ import annotations

import json

import pytest

from protoproof.certificate.schema import Core, ImpliedBound
from protoproof.formal import prove
from protoproof.formal.proof import proof
from protoproof.kernel import ModelFile
from protoproof.kernel.budget import Budget
from protoproof.kernel.statement import write
from tests.support.formal import built, false_statements, line_changed, says
from tests.support.kernel.algebra import COUNT, Made, made
from tests.support.kernel.given import Given, report_of
from tests.support.kernel.kept_off import needing_kept_off


@built
def test_a_certificate_that_needs_it_is_proved() -> None:
    here, document = needing_kept_off()
    model = ModelFile(here.data)
    assert prove(json.dumps(document).encode(), model).proved
    bare = json.loads(json.dumps(document))
    kept = [e for e in bare["core"]["evidence"]["implied"] if e["stretch"][0] != "-"]
    bare["core"]["evidence"]["implied"] = kept
    assert not prove(json.dumps(bare).encode(), model).proved


def texts(here: Made, core: Core) -> tuple[str, str]:
    with Budget().active():
        bound = Given(here).bound(core.model.latent, core.model.output)
        return write(core, bound), proof(core, bound.head)


ROOM = 2.0**-20
HEADS = {
    "distances": 0,
    "two banks of distances": 2,
    "angles": 0,
    "two banks of angles": 1,
}  # by their seed


@built
@pytest.mark.parametrize("name", HEADS)
def test_the_step_is_derived_from_nothing_else(name: str) -> None:
    """Squared distances and angles, one bank and two; the kernel refuses another premise."""
    here = made(name, HEADS[name])
    bank = here.banks[1]
    for j in range(COUNT):
        others = [i for i in range(COUNT) if i != j and bank[i] == bank[j]]
        entries = tuple(
            ImpliedBound(prototype=j, via=i, stretch=stretch.hex())
            for i in others
            for stretch in (-0.125, -0.5, -0.875)
        )
        named = (here.activation_fact(i, ROOM) for i in range(COUNT) if i != j)
        core = here.core((here.ceiling((j,), ROOM), *named), implied=entries)
        if not report_of(here, core).accepted:
            continue
        statement, evidence = texts(here, core)
        if "\nlow - " not in evidence:
            continue
        assert says(statement, evidence, core)
        for word, other in false_statements(statement):
            assert not says(other, evidence, core), word

        def mislead(tokens: list[str], exempt: int = j) -> None:
            tokens[2] = str(exempt)  # nothing keeps that one away

        assert not says(statement, line_changed(evidence, "low", mislead), core)
        return
    raise AssertionError("no such bound is used")
